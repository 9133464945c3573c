"""What a user may choose is checked, and the same as flags, JSON and object."""

import shlex
from pathlib import Path
from typing import Annotated, get_args

import pytest
from cyclopts import App, Parameter
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from napari_unet.config import (
    Device,
    Precision,
    SegmentConfig,
    SegmentSettings,
    SuggestSettings,
    TrainConfig,
    TrainSettings,
)

words = st.text("abcxyz äß-_.~ 0", min_size=1, max_size=8).filter(lambda text: text.strip())
paths = st.lists(words.filter(lambda word: not word.startswith("~")), min_size=1, max_size=3).map(lambda p: Path(*p))
positive = st.floats(1e-6, 1e6)
sixteens = st.integers(1, 64).map(lambda n: 16 * n)
ends = st.tuples(*[st.sampled_from(["", "0", "7", "100"])] * 2).map(":".join)
on_machine = {
    "threads": st.integers(0, 128),
    "device": st.sampled_from(get_args(Device)),
    "precision": st.sampled_from(get_args(Precision)),
    "channel": st.none() | st.integers(0, 5),
}
trainings = st.fixed_dictionaries(
    on_machine
    | {
        "out": paths,
        "start_from": words,
        "classes": st.lists(words.map(str.strip), max_size=4, unique=True),
        "colors": st.lists(st.from_regex("#[0-9a-fA-F]{6}", fullmatch=True), max_size=4, unique=True),
        "zero": st.sampled_from(["unlabelled", "background"]),
        "objects": st.booleans(),
        "minutes": positive,
        "steps": st.integers(0, 10**6),
        "seed": st.integers(0, 2**32 - 1),
        "precision": st.sampled_from(["auto", "float32", "bfloat16"]),
        "width": st.sampled_from([None, 16, 32, 64]),
        "crop": sixteens,
        "batch": st.integers(1, 64),
        "learning_rate": st.floats(0, 0.1),
        "balance": st.floats(0, 1),
        "border_weight": st.just(0.0) | positive,
    }
)
segmentations = st.fixed_dictionaries(
    on_machine
    | {
        "model": words,
        "region": st.just("") | st.tuples(ends, ends, ends).map(",".join),
        "tile": sixteens,
        "probabilities": st.booleans(),
    }
)

questions = st.fixed_dictionaries(
    on_machine
    | {
        "model": words,
        "count": st.integers(1, 100),
        "zero": st.sampled_from(["unlabelled", "background"]),
        "seed": st.integers(0, 2**32 - 1),
    }
)


def training(**choices: object) -> TrainConfig:
    return TrainConfig(**{"inputs": ("a.tif", "b.tif"), "out": "run"} | choices)


def segmentation(**choices: object) -> SegmentConfig:
    return SegmentConfig(**{"image": "a.tif", "out": "b.zarr"} | choices)


def flags(settings: BaseModel) -> list[str]:
    """The words of a command that gives these settings."""
    words = []
    for name, value in settings:
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words += [flag] if value else []
        elif isinstance(value, tuple):
            words += [flag + "=" + ",".join(value)] if value else []
        elif value is not None:
            words += [f"{flag}={value}"]
    return words


def parsed(kind: type[BaseModel], words: list[str]) -> BaseModel:
    """What the command line makes of these words."""
    app = App()

    @app.default
    def command(*, settings: Annotated[kind | None, Parameter(name="*")] = None) -> BaseModel:
        return settings or kind()

    return app(words, exit_on_error=False, print_error=False, result_action="return_value")


# ---- one thing in four forms


@given(trainings)
@settings(max_examples=30)
def test_a_training_comes_back_from_json_and_from_flags(choices):
    config = training(**choices)
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    settings = TrainSettings(**choices)
    assert parsed(TrainSettings, flags(settings)) == settings


@given(questions)
def test_a_question_where_to_paint_comes_back_from_its_flags(choices):
    settings = SuggestSettings(**choices)
    assert parsed(SuggestSettings, flags(settings)) == settings
    assert SuggestSettings.model_validate_json(settings.model_dump_json()) == settings


@given(segmentations)
@settings(max_examples=30)
def test_a_segmentation_comes_back_from_json_and_from_flags(choices):
    config = segmentation(**choices)
    assert SegmentConfig.model_validate_json(config.model_dump_json()) == config
    settings = SegmentSettings(**choices)
    assert parsed(SegmentSettings, flags(settings)) == settings


@pytest.mark.parametrize("config", [training(), segmentation()])
def test_the_defaults_are_allowed(config):
    assert type(config).model_validate(config.model_dump()) == config


@pytest.mark.parametrize("kind", [TrainSettings, SegmentSettings, SuggestSettings])
def test_every_setting_is_described_in_a_sentence(kind):
    for name, field in kind.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


# ---- checks


@pytest.mark.parametrize("config", [training(), segmentation()])
def test_a_config_is_frozen_and_has_no_other_settings(config):
    with pytest.raises(ValidationError, match="frozen"):
        config.threads = 2
    with pytest.raises(ValidationError, match=r"thread\n.*Extra inputs are not permitted"):
        type(config)(**dict(config), thread=2)


@pytest.mark.parametrize(
    "given_as", ["a,b c,d", "a, b c ,d,", ("a", "b c", "d"), ["a,b c", "d"], [" a", "", "b c,,d "]]
)
def test_class_names_are_split_at_commas(given_as):
    assert training(classes=given_as).classes == ("a", "b c", "d")


@pytest.mark.parametrize(
    "given_as", ["#AA0000,#00bb00", "#AA0000, #00bb00 ,", ("#AA0000", "#00bb00"), ["#AA0000,#00bb00"]]
)
def test_colours_are_split_at_commas(given_as):
    assert training(colors=given_as).colors == ("#AA0000", "#00bb00")


def test_no_class_names():
    assert training(classes="").classes == training(classes=[","]).classes == ()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"classes": "a,b, a"}, "two classes have the same name"),
        ({"classes": None}, "classes\n"),
        ({"classes": 3}, "classes\n"),
        ({"colors": "#aa0000,#aa0000"}, "two classes have the same name or colour"),
        ({"colors": "red"}, "colors.0\n.*should match pattern"),
        ({"colors": "#aa000"}, "should match pattern"),
        ({"colors": "#aa0000,#aa00000"}, "should match pattern"),
        ({"colors": "#aa0000\n,#00bb00\n7"}, "should match pattern"),
        ({"colors": 3}, "colors\n"),
        ({"crop": 100}, "must be a multiple of 16, such as 96"),
        ({"crop": 17}, "must be a multiple of 16, such as 16"),
        ({"crop": 0}, "greater than or equal to 16"),
        ({"minutes": 0}, "greater than 0"),
        ({"minutes": "a few"}, "valid number"),
        ({"minutes": float("inf")}, "finite number"),
        ({"learning_rate": float("nan")}, "finite number"),
        ({"border_weight": float("inf")}, "finite number"),
        ({"width": 17}, "16, 32 or 64"),
        ({"zero": "nothing"}, "'unlabelled' or 'background'"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**32}, "less than or equal to 4294967295"),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"device": "gpu"}, "'auto', 'cpu', 'cuda' or 'mps'"),
        ({"inputs": ()}, "in pairs: IMAGE LABELS"),
        ({"inputs": ("a", "b", "c")}, "in pairs: IMAGE LABELS"),
        ({"out": None}, "out\n"),
    ],
)
def test_what_a_training_cannot_be(choices, message):
    with pytest.raises(ValidationError, match=message):
        training(**choices)


@pytest.mark.parametrize(
    "region", ["1", "0:10", "0:10,0:512", "0:1,0:2,0:3,0:4", "a:b,:,:", "0-1,:,:", "-1:2,:,:", ":"]
)
def test_a_region_that_is_none(region):
    with pytest.raises(ValidationError, match="must look like 0:10,0:512,0:512"):
        segmentation(region=region)


@pytest.mark.parametrize("place", ["1", "1,2", "1,2,3,4", "a,b,c", "1e3,0,0", "1,,2", "0x1,0,0"])
def test_a_place_that_is_none(place):
    with pytest.raises(ValidationError, match=r"must look like 0,12\.5,-3"):
        segmentation(place=place)


@pytest.mark.parametrize("region", ["", ":,:,:", "0:10,0:512,0:512", "3:,:7,1:2"])
def test_a_region(region):
    assert segmentation(region=region).region == region


@pytest.mark.parametrize(
    ("tile", "message"), [(1000, "such as 992"), (17, "such as 16"), (-16, "or equal to 0"), (8192, "or equal to 4096")]
)
def test_a_tile_that_is_none(tile, message):
    with pytest.raises(ValidationError, match=message):
        segmentation(tile=tile)


# ---- paths


def test_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    config = training(inputs=("a.tif", "~/b.tif", "c/d.tif", tmp_path / "e.tif"), out="run")
    assert config.out == tmp_path / "run"
    assert config.pairs == (
        (tmp_path / "a.tif", tmp_path / "me" / "b.tif"),
        (tmp_path / "c" / "d.tif", tmp_path / "e.tif"),
    )


def test_a_file_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert segmentation(image="~nobody.tif").image == tmp_path / "~nobody.tif"


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"steps": 30, "seed": 4, "classes": "cell wall,lumen", "objects": True, "zero": "background"},
        {"classes": "a,b", "colors": "#aa0000,#00bb00"},
        {"minutes": 2.5, "start_from": "scratch", "width": 32, "border_weight": 0.0, "channel": 1},
    ],
)
def test_the_command_does_the_same_training_again(choices):
    config = training(**choices)
    program, verb, image, labels, *rest = shlex.split(config.command())
    assert (program, verb, Path(image), Path(labels)) == ("napari-unet", "train", *config.inputs)
    again = parsed(TrainSettings, rest)
    assert again == TrainSettings(**config.model_dump(include=set(TrainSettings.model_fields)))


def test_float16_is_refused_for_training() -> None:
    with pytest.raises(ValidationError, match="loses small gradients"):
        training(precision="float16")
