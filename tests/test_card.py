"""Cards of models: read without torch, and whatever else is opened is a Problem in plain words."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes

from napari_unet.card import MODEL_FILE, Card, bundled, find, read_card, where_it_is
from napari_unet.classes import PixelClass
from napari_unet.config import SegmentSettings, TrainSettings
from napari_unet.problem import Problem

CARD = Card(
    name="cells",
    classes=(PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00")),
    separator="membrane",
    width=16,
    created="2025-01-31T12:00:00+00:00",
    command="napari-unet train stack.tif strokes.tif",
    started_from="em-membrane 0123abcd",
    step=240,
    voxel_size=((30.0, 4.0, 4.0), (10.0, 10.0, 10.0)),
    scores={"held-out IoU": 0.8125},
    about={"licence": "CC BY 4.0", "sections": [1, 2, 3]},
)
FIELDS = dataclasses.asdict(CARD)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def with_card(path: Path, text: str | None) -> Path:
    """Write a safetensors file with `text` for a card."""
    metadata = None if text is None else {"napari-unet": text}
    path.write_bytes(to_bytes({"head.weight": np.zeros((2, 3), np.float32), "head.bias": np.zeros(2)}, metadata))
    return path


def with_header(path: Path, header: bytes, weights: bytes = b"") -> Path:
    """Write what a safetensors file consists of: the length of the header, the header, the weights."""
    path.write_bytes(len(header).to_bytes(8, "little") + header + weights)
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return with_card(tmp_path / "cells.safetensors", json.dumps(FIELDS))


# ---- reading


def test_a_card_comes_back_as_it_was(saved: Path) -> None:
    assert read_card(saved) == Card.from_dict(FIELDS) == CARD


def test_cards_are_read_without_torch() -> None:
    look = (
        "from napari_unet.card import *; import sys; print(read_card(find('em-membrane')).name, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout == "em-membrane False\n"


def test_every_byte_counts(saved: Path) -> None:
    whole = saved.read_bytes()
    for wrong in [*(whole[:size] for size in range(len(whole))), whole + b"\0"]:
        saved.write_bytes(wrong)
        with pytest.raises(Problem, match=r"cells.safetensors is damaged or not a model file"):
            read_card(saved)


@pytest.mark.parametrize("content", [b"my model\n", b"\x08\0\0\0\0\0\0\0no json!", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_another_kind_is_no_model(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(Problem, match=r"cells.safetensors is damaged or not a model file"):
        read_card(saved)


def test_weights_of_another_program_are_not_ours(saved: Path) -> None:
    with pytest.raises(Problem, match="holds weights, but not of a napari-unet model"):
        read_card(with_card(saved, None))


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.safetensors"):
        with pytest.raises(Problem, match=r"cannot be read .* Choose another model"):
            read_card(path)


@pytest.mark.parametrize("missing", ["name", "classes"])
def test_a_card_needs_a_name_and_classes(tmp_path: Path, missing: str) -> None:
    text = json.dumps({name: value for name, value in FIELDS.items() if name != missing})
    with pytest.raises(Problem, match=r"The card in .*m.safetensors cannot be read"):
        read_card(with_card(tmp_path / "m.safetensors", text))


def test_a_card_of_an_older_or_newer_version_is_read(tmp_path: Path) -> None:
    text = json.dumps({"name": "cells", "classes": FIELDS["classes"], "width": 32, "mood": "good"})
    card = read_card(with_card(tmp_path / "m.safetensors", text))
    assert card == Card("cells", CARD.classes, width=32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        "[" * 100_000,
        json.dumps(FIELDS | {"classes": []}),
        json.dumps(FIELDS | {"classes": [{"value": 1}]}),
        json.dumps(FIELDS | {"classes": FIELDS["classes"][:1] * 2}),
        json.dumps(FIELDS | {"classes": [{"value": 255, "name": "a", "color": "#000000"}]}),
        json.dumps(FIELDS | {"classes": [{"value": -1, "name": "a", "color": "#000000"}]}),
        json.dumps(FIELDS | {"classes": [{"value": 1, "name": "a", "color": "red"}]}),
        json.dumps(FIELDS | {"width": 0}),
        json.dumps(FIELDS | {"width": "wide"}),
        json.dumps(FIELDS | {"voxel_size": [[1, 2]]}),
    ],
)
def test_a_card_that_makes_no_sense_is_a_problem(tmp_path: Path, text: str) -> None:
    path = with_card(tmp_path / "m.safetensors", text)
    with pytest.raises(Problem, match=r"The card in .*m.safetensors cannot be read"):
        read_card(path)


@given(
    st.text()
    | anything.map(json.dumps)
    | st.dictionaries(st.sampled_from([*FIELDS]), anything).map(lambda wrong: json.dumps(FIELDS | wrong))
)
@settings(max_examples=150)
def test_any_card_is_read_or_a_problem(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = with_card(tmp_path_factory.getbasetemp() / "fuzz.safetensors", text)
    try:
        card = read_card(path)
    except Problem:
        return
    assert Card.from_dict(json.loads(json.dumps(dataclasses.asdict(card)))).classes == card.classes
    assert card.width > 0
    assert {c.value for c in card.classes} <= set(range(255))


@given(
    metadata=anything | st.dictionaries(st.just("napari-unet"), anything | st.just(json.dumps(FIELDS))),
    table=st.dictionaries(st.text(), anything | st.dictionaries(st.just("data_offsets"), anything), max_size=2),
)
@settings(max_examples=150)
def test_any_header_is_a_card_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, metadata: object, table: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "header.safetensors"
    try:
        card = read_card(with_header(path, json.dumps({"__metadata__": metadata} | table).encode()))
    except Problem:
        return
    assert card == CARD


@pytest.mark.parametrize("entry", [5, None, [], {}, {"data_offsets": []}, {"data_offsets": [0, "8"]}])
def test_a_damaged_list_of_weights_is_a_problem(saved: Path, entry: object) -> None:
    header = json.dumps({"__metadata__": {"napari-unet": json.dumps(FIELDS)}, "head.weight": entry}).encode()
    with pytest.raises(Problem, match="is damaged or not a model file"):
        read_card(with_header(saved, header, bytes(8)))


def test_a_card_that_is_no_text_is_a_problem(saved: Path) -> None:
    with pytest.raises(Problem, match=r"The card in .* cannot be read"):
        read_card(with_header(saved, b'{"__metadata__": {"napari-unet": 5}}'))


# ---- finding


def test_bundled_models_go_by_name_and_are_what_the_settings_start_from() -> None:
    for name in bundled():
        assert find(name).name == f"{name}.safetensors"
        assert read_card(find(name)).name == name
    assert TrainSettings(out=Path("run")).start_from in bundled()
    assert SegmentSettings().model in bundled()


def test_a_run_folder_stands_for_its_model(saved: Path, tmp_path: Path) -> None:
    saved.rename(tmp_path / MODEL_FILE)
    assert find(str(tmp_path)) == find(str(tmp_path / MODEL_FILE)) == tmp_path / MODEL_FILE


@pytest.mark.parametrize(
    "name", ["nowhere.safetensors", "no-such-model", "~nobody-of-this-name/m.safetensors", "n" * 999]
)
def test_a_missing_model_names_the_bundled_ones(name: str) -> None:
    with pytest.raises(Problem, match=r"There is no model .* or one of: .*em-membrane"):
        find(name)


def test_a_model_of_which_the_system_tells_nothing_is_not_said_to_be_missing(tmp_path: Path, monkeypatch) -> None:
    stat = Path.stat

    def stale(path: Path, **options: bool) -> os.stat_result:
        if path.is_relative_to(tmp_path):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", stale)
    with pytest.raises(Problem, match=r"model.safetensors cannot be read \(Stale file handle\). Check the disk"):
        find(str(tmp_path / "model.safetensors"))


def test_a_folder_without_a_model_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"holds no model.safetensors"):
        find(str(tmp_path))


def test_where_a_model_is_holds_from_any_folder(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert where_it_is(saved.name) == str(saved)
    assert [where_it_is(name) for name in ("scratch", "em-membrane")] == ["scratch", "em-membrane"]
    with pytest.raises(Problem, match="There is no model"):
        where_it_is("gone.safetensors")
