import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_unet.omezarr import (
    Level,
    Multiscale,
    is_zarr,
    level_of,
    metadata,
    multiscale,
    numbers,
    open_array,
    written_sections,
)
from napari_unet.problem import Problem

AXES = [{"name": "z", "type": "space", "unit": "nanometer"}, {"name": "Y"}, "x"]
IMAGE = {
    "axes": AXES,
    "datasets": [
        {
            "path": "0",
            "coordinateTransformations": [
                {"type": "scale", "scale": [10, 4, 4]},
                {"type": "translation", "translation": [100, 0, 8]},
            ],
        },
        {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [10, 8, 8]}]},
    ],
    "coordinateTransformations": [
        {"type": "scale", "scale": [5, 1, 1]},
        {"type": "translation", "translation": [0, 0, 2]},
    ],
}


@pytest.mark.parametrize("attributes", [{"multiscales": [IMAGE]}, {"ome": {"multiscales": [IMAGE]}, "more": 1}])
def test_an_image_and_its_levels(attributes: dict[str, Any]) -> None:
    assert multiscale(attributes) == Multiscale(
        axes=("z", "y", "x"),
        units=("nanometer", None, None),
        levels=(Level("0", (50, 4, 4), (500, 0, 10)), Level("1", (50, 8, 8), (0, 0, 2))),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"axes": []}, {"axes": ["z", "y"]}, {"axes": ["x", "y", "x"]}, {"axes": [{"type": "space"}]},
        {"axes": 3}, {"datasets": []}, {"datasets": [{}]}, {"datasets": None},
    ],
)  # fmt: skip
def test_what_is_no_image(change: dict[str, Any]) -> None:
    assert multiscale({"multiscales": [{**IMAGE, **change}]}) is None


@pytest.mark.parametrize("attributes", [{}, {"multiscales": []}, {"ome": {"plate": {}}}, {"multiscales": [7]}])
def test_attributes_without_an_image(attributes: dict[str, Any]) -> None:
    assert multiscale(attributes) is None


def test_nonsense_beside_the_paths_is_passed_over() -> None:
    steps = [{"type": "scale", "scale": [2]}, {"type": "scale", "scale": ["a", None, 1]}, {"type": "affine"}]
    image = {"axes": AXES, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    found = multiscale({"multiscales": [image]})
    assert found is not None
    assert found.levels == (Level("0", (1, 1, 1), None),)


def test_numbers_are_finite() -> None:
    assert numbers([1, "2.5"], 2) == [1, 2.5]
    for values in ([1], [1, float("nan")], [1, float("inf")], [1, "a"], 3, None):
        assert numbers(values, 2) is None


@pytest.mark.parametrize("version", [2, 3])
def test_metadata_of_both_formats(tmp_path: Path, version: Any) -> None:
    assert not is_zarr(tmp_path)
    group = zarr.create_group(tmp_path, zarr_format=version)
    group.attrs["a"] = 1
    group.create_array("b", shape=(2,), dtype="u1")
    assert is_zarr(tmp_path)
    assert is_zarr(tmp_path / "b")
    found = metadata(tmp_path)
    assert (found["node_type"], found["attributes"]) == ("group", {"a": 1})
    assert metadata(tmp_path / "b")["node_type"] == "array"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("path", ["1", "./1", "scales/deep/1"])
def test_the_image_of_a_level(tmp_path: Path, version: Any, path: str) -> None:
    image = {**IMAGE, "datasets": [IMAGE["datasets"][0], {**IMAGE["datasets"][1], "path": path}]}
    image = {name: value for name, value in image.items() if name != "coordinateTransformations"}
    written = zarr.create_group(tmp_path / "a.zarr", attributes={"multiscales": [image]}, zarr_format=version)
    written.create_array(path.removeprefix("./"), shape=(2, 2, 2), dtype="u1")
    found = level_of(tmp_path / "a.zarr" / path)
    assert found is not None
    group, described, number = found
    assert group == tmp_path / "a.zarr"
    assert (number, described.levels[number].scale) == (1, (10, 8, 8))
    assert [level.translation for level in described.levels] == [(100, 0, 8), None]
    assert level_of(tmp_path / "a.zarr" / "2") is None
    assert level_of(tmp_path / "a.zarr") is None
    for file in ("zarr.json", ".zattrs"):
        (tmp_path / "a.zarr" / file).write_text("{")
    assert level_of(tmp_path / "a.zarr" / path) is None


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff"])
@pytest.mark.parametrize("file", ["zarr.json", ".zattrs"])
def test_damaged_metadata(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Problem, match=file):
        metadata(tmp_path)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    zarr.create_array(tmp_path, data=np.zeros(4, "u1"), zarr_format=2)
    numbers = json.loads((tmp_path / ".zarray").read_text())
    texts = {"dtype": "|O", "filters": [{"id": "vlen-utf8"}], "fill_value": ""}
    for change in ({"compressor": {"id": "pickle"}}, {"filters": [{"id": "pickle"}]}):
        (tmp_path / ".zarray").write_text(json.dumps({**numbers, **change}))
        with pytest.raises(Problem):
            open_array(tmp_path)
    (tmp_path / ".zarray").write_text(json.dumps({**numbers, **texts, "compressor": {"id": "pickle"}}))
    with pytest.raises(Problem, match="pickled objects"):
        open_array(tmp_path)


def test_an_unknown_codec(tmp_path: Path) -> None:
    zarr.create_array(tmp_path, data=np.zeros(4, "u1"), zarr_format=2)
    array = json.loads((tmp_path / ".zarray").read_text())
    (tmp_path / ".zarray").write_text(json.dumps({**array, "compressor": {"id": "magic"}}))
    with pytest.raises(Problem, match="not a Zarr array that can be read"):
        open_array(tmp_path)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, {1, 4}),
        ({"chunks": (1, 4, 4)}, {1, 4}),
        ({"chunks": (2, 8, 8)}, None),
        ({"fill_value": 3}, None),
        ({"zarr_format": 2}, None),
        ({"chunks": (1, 4, 4), "shards": (1, 8, 8)}, None),
        ({"chunk_key_encoding": {"name": "default", "separator": "."}}, None),
    ],
)
def test_the_files_of_an_array_tell_which_sections_are_written(
    tmp_path: Path, how: dict[str, Any], told: set[int] | None
) -> None:
    array = zarr.create_array(
        tmp_path / "a.zarr", **{"shape": (6, 8, 8), "chunks": (1, 8, 8), "dtype": "uint8", "fill_value": 0} | how
    )
    assert written_sections(array) == (set() if told else None)
    array[1], array[4, 2] = 1, 2
    assert written_sections(array) == told
    assert written_sections(array[:]) is None
