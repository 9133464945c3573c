import errno
import tracemalloc
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet import convert as room
from napari_unet.classes import PixelClass
from napari_unet.convert import convert
from napari_unet.events import Finished, Notice, Progress, Started
from napari_unet.layout import Layout, create, open_levels
from napari_unet.problem import Problem
from napari_unet.volume import open_volume

LAYOUT = Layout(
    shape=(3, 40, 50),
    classes=(PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane <&>", "#e69f00")),
    voxel_size=(50.0, 4.6, 4.6),
    offset=(7, 0, 1033),
    probabilities=True,
    provenance={},
)


def result(folder: Path, layout: Layout = LAYOUT, missing: int = 0) -> tuple[Path, np.ndarray, np.ndarray]:
    """Write a result of random classes, the first `missing` sections not computed; return classes, probabilities."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 255, layout.shape, dtype=np.uint8)
    probabilities = rng.integers(0, 256, (len(layout.classes), *layout.shape), dtype=np.uint8)
    classes[:missing], probabilities[:, :missing] = 255, 0
    path = folder / "cells.zarr"
    create(path, layout)
    pyramids = open_levels(path, layout, "r+")
    pyramids[0][0][missing:] = classes[missing:]
    if layout.probabilities:
        pyramids[1][0][:, missing:] = probabilities[:, missing:]
    return path, classes, probabilities


def test_the_class_map_and_its_events(tmp_path: Path) -> None:
    path, classes, _ = result(tmp_path)
    out = tmp_path / "new" / "cells.tif"
    started, *progress, finished = convert(path, out)
    what = "3 sections of 40 x 50 pixels"
    assert started == Started("convert", "processor", what)
    assert [(each.done, each.total, each.unit) for each in progress if isinstance(each, Progress)] == [
        (1, 3, "section"),
        (2, 3, "section"),
        (3, 3, "section"),
    ]
    assert finished == Finished(str(out), f"{what} written")
    assert [each.name for each in out.parent.iterdir()] == ["cells.tif"]
    np.testing.assert_array_equal(tifffile.imread(out), classes)
    volume = open_volume(out, labels=True)
    assert (volume.shape, volume.dtype) == (LAYOUT.shape, np.uint8)
    assert (volume.voxel_size, volume.offset) == (LAYOUT.voxel_size, LAYOUT.offset)
    assert volume.fingerprint() == open_volume(path).fingerprint()


def test_what_other_programs_read(tmp_path: Path) -> None:
    path, _, probabilities = result(tmp_path, replace(LAYOUT, provenance={"model": "cells", "tile": 512}))
    list(convert(path, tmp_path / "a.tif"))
    list(convert(path, tmp_path / "p.tif", probabilities=True))
    for name, axes in (("a.tif", "ZYX"), ("p.tif", "ZCYX")):
        with tifffile.TiffFile(tmp_path / name) as tif:
            assert (tif.is_ome, tif.is_bigtiff, tif.series[0].axes) == (True, False, axes)
            assert {page.compression for page in tif.pages} == {tifffile.COMPRESSION.ADOBE_DEFLATE}
            assert ["ImageDescription" in page.aspage().tags for page in tif.pages[:2]] == [True, False]
            xml = tif.ome_metadata
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
        assert [float(pixels.get(f"PhysicalSize{axis}")) for axis in "ZYX"] == [50, 4.6, 4.6]
        assert {pixels.get(f"PhysicalSize{axis}Unit") for axis in "ZYX"} == {"nm"}
        planes = pixels.findall("{*}Plane")
        assert [float(plane.get("PositionZ")) for plane in planes if plane.get("TheC") == "0"] == [350, 400, 450]
        assert {float(plane.get("PositionX")) for plane in planes} == {1033 * 4.6}
    made = ElementTree.fromstring(xml).find(".//{*}MapAnnotation[@Namespace='napari-unet']/{*}Value")
    assert {each.get("K"): each.text for each in made} == {"model": "cells", "tile": "512"}
    assert [each.get("Name") for each in pixels.findall("{*}Channel")] == ["interior", "membrane <&>"]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "p.tif"), probabilities.swapaxes(0, 1))


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    size=st.none() | st.tuples(*[st.floats(1e-3, 1e6)] * 3),
    offset=st.tuples(*[st.integers(0, 10**6)] * 3),
    made=st.none() | st.tuples(*[st.floats(-1e6, 1e6)] * 3),
    count=st.integers(1, 6),
    probabilities=st.booleans(),
)
@settings(max_examples=40)
def test_round_trip(tmp_path_factory, shape, size, offset, made, count, probabilities) -> None:
    folder = tmp_path_factory.mktemp("convert")
    classes = tuple(PixelClass(i + 1, f"class {i}", f"#00000{i}") for i in range(count))
    layout = replace(LAYOUT, shape=shape, classes=classes, voxel_size=size, offset=offset)
    if made:
        layout = replace(layout, provenance={"model": "a <&> ü", "place": list(made)})
    path, map_, channels = result(folder, layout)
    list(convert(path, folder / "a.tif", probabilities))
    for channel in range(count) if probabilities else [None]:
        volume = open_volume(folder / "a.tif", channel)
        assert (volume.shape, volume.voxel_size, volume.offset) == (shape, size, offset)
        assert volume.made_at == (list(made) if made else None)
        expected = map_ if channel is None else channels[channel]
        for z in range(shape[0]):
            np.testing.assert_array_equal(volume.section(z), expected[z])


@pytest.mark.parametrize(("probabilities", "value"), [(False, 255), (True, 0)])
def test_what_is_not_computed_is_counted(tmp_path: Path, probabilities: bool, value: int) -> None:
    path, classes, _ = result(tmp_path, missing=2)
    notice = list(convert(path, tmp_path / "a.tif", probabilities))[-2]
    assert notice == Notice(f"4,000 of 6,000 pixels are not computed yet: they are {value} in a.tif.")
    if not probabilities:
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), classes)


def test_a_file_of_probabilities_that_is_missing_is_not_computed(tmp_path: Path) -> None:
    path, _, _ = result(tmp_path, replace(LAYOUT, shape=(2, 40, 1030)))
    (path / "probabilities/0/c/1/1/0/1").unlink()
    assert not any(isinstance(event, Notice) for event in convert(path, tmp_path / "a.tif"))
    notice = list(convert(path, tmp_path / "p.tif", probabilities=True))[-2]
    assert notice == Notice("240 of 82,400 pixels are not computed yet: they are 0 in p.tif.")


def test_no_more_than_a_section_is_in_memory(tmp_path: Path) -> None:
    path, classes, _ = result(tmp_path, replace(LAYOUT, shape=(12, 1024, 1024), probabilities=False))
    del classes
    tracemalloc.start()
    list(convert(path, tmp_path / "a.tif"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20  # of 12 sections of one megabyte


def test_a_big_one_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_BIG", 5999)
    path, classes, _ = result(tmp_path)
    list(convert(path, tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif").section(2), classes[2])


# ---- what leaves nothing behind


def problem(path: Path, out: Path, probabilities: bool = False) -> str:
    with pytest.raises(Problem, match=r"^.*[^.]\. [A-Z].*\.$") as caught:
        list(convert(path, out, probabilities))
    return str(caught.value)


def test_stopped(tmp_path: Path) -> None:
    path, _, _ = result(tmp_path)
    *_, finished = convert(path, tmp_path / "a.tif", should_stop=lambda: True)
    assert finished == Finished(str(tmp_path / "a.tif"), "nothing is kept", stopped=True)
    events = convert(path, tmp_path / "a.tif")
    assert isinstance(next(events), Started)
    assert isinstance(next(events), Progress)
    events.close()
    assert [each.name for each in tmp_path.iterdir()] == ["cells.zarr"]


def test_what_a_kill_left_is_no_hindrance(tmp_path: Path) -> None:
    path, classes, _ = result(tmp_path)
    (tmp_path / "a.tif.partial").write_bytes(b"half" * 99999)
    list(convert(path, tmp_path / "a.tif"))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), classes)
    assert not (tmp_path / "a.tif.partial").exists()


def test_two_at_once(tmp_path: Path) -> None:
    path, classes, _ = result(tmp_path)
    first = convert(path, tmp_path / "a.tif")
    assert isinstance([next(first), next(first)][1], Progress)
    assert f"Another job is writing {tmp_path / 'a.tif'}. Wait until" in problem(path, tmp_path / "a.tif")
    list(first)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), classes)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tif", "cells.zarr"]


def test_one_that_ends_while_another_begins(tmp_path: Path) -> None:
    path, classes, _ = result(tmp_path)
    second = convert(path, tmp_path / "a.tif")
    next(second)
    list(convert(path, tmp_path / "a.tif"))
    with pytest.raises(Problem, match=r"a.tif already exists"):
        next(second)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), classes)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tif", "cells.zarr"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path, _, _ = result(tmp_path)
    monkeypatch.setattr(room, "sync", full)
    assert "is full" in problem(path, tmp_path / "a.tif")
    assert [each.name for each in tmp_path.iterdir()] == ["cells.zarr"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    path, _, _ = result(tmp_path)
    (tmp_path / "a.tif").write_text("months of work")
    assert "a.tif already exists. Choose another name, or delete it first." in problem(path, tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_text() == "months of work"
    assert "cells.zarr does not end in .tif" in problem(path, path)
    assert "a.png does not end in .tif" in problem(path, tmp_path / "a.png")


def test_only_results_of_ours(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((2, 9, 9), np.uint8))
    for path in (tmp_path / "image.tif", tmp_path / "gone.zarr", tmp_path):
        assert "is no segmentation made by napari-unet" in problem(path, tmp_path / "a.tif")
    path, _, _ = result(tmp_path, replace(LAYOUT, probabilities=False))
    assert "was made without probabilities" in problem(path, tmp_path / "a.tif", probabilities=True)


def test_a_damaged_result(tmp_path: Path) -> None:
    path, _, _ = result(tmp_path)
    chunk = path / "0" / "c" / "1" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert problem(path, tmp_path / "a.tif").startswith(
        f"Section 1 of {path} is damaged. Run the same napari-unet segment command"
    )
    (path / "0" / "zarr.json").unlink()
    assert "cells.zarr is damaged: not all of its levels can be opened" in problem(path, tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()
