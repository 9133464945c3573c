import errno
import gc
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_unet.formats import _natural, in_words
from napari_unet.problem import Problem
from napari_unet.volume import open_volume

STACK = np.random.default_rng(0).integers(0, 60000, (5, 64, 80), dtype=np.uint16)
TIFFS: dict[str, dict[str, Any]] = {
    "plain": {},
    "deflated": {"compression": "zlib", "predictor": True},
    "strips": {"compression": "zlib", "rowsperstrip": 7, "metadata": None},
    "tiled": {"tile": (32, 48)},
    "tiled and deflated": {"tile": (32, 48), "compression": "zlib"},
    "without metadata": {"metadata": None},
    "big": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "big-endian deflated": {"byteorder": ">", "compression": "zlib"},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
    "imagej in time": {"imagej": True, "metadata": {"axes": "TYX"}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
    "ome deflated": {"ome": True, "compression": "zlib", "metadata": {"axes": "ZYX"}},
}


def write(path: Path, pixels: np.ndarray = STACK, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, photometric="minisblack", **options)
    return path


def problem(path: Path) -> str:
    """The Problem in two sentences that opening `path`, and reading all of it, gives."""
    with pytest.raises(Problem, match=r"^.*[^.]\. [A-Z].*\.$") as caught:
        read(path)
    return str(caught.value)


def read(path: Path) -> None:
    volume = open_volume(path)
    for z in range(volume.shape[0]):
        volume.section(z)


@pytest.mark.parametrize("options", TIFFS.values(), ids=TIFFS)
def test_tiff(tmp_path: Path, options: dict[str, Any]) -> None:
    volume = open_volume(write(tmp_path / "a.tif", **options))
    assert (volume.shape, volume.dtype) == (STACK.shape, STACK.dtype)
    for z in range(5):
        np.testing.assert_array_equal(volume.section(z), STACK[z])
    np.testing.assert_array_equal(volume.section(4, slice(3, 50), slice(20, 70)), STACK[4, 3:50, 20:70])


@pytest.mark.parametrize("dtype", ["?", "i1", "i4", "u8", "f2", "f4", "f8"])
def test_tiff_dtypes(tmp_path: Path, dtype: str) -> None:
    pixels = (STACK % 2 if dtype == "?" else STACK % 128).astype(dtype)
    np.testing.assert_array_equal(open_volume(write(tmp_path / "a.tif", pixels)).section(1), pixels[1])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (256, 256)}])
def test_one_section_of_a_tiff_is_read_alone(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write(tmp_path / "a.tif", np.zeros((64, 512, 512), np.uint8), **options)
    tracemalloc.start()
    open_volume(path).section(40)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_a_tiff_is_closed_with_its_volume(tmp_path: Path) -> None:
    volume = open_volume(write(tmp_path / "a.tif", compression="zlib"))
    handle = volume.array.store_path.store._data[0].keyframe.parent.filehandle
    volume.section(0)
    assert not handle.closed
    del volume
    gc.collect()
    assert handle.closed


@pytest.mark.parametrize("options", TIFFS.values(), ids=TIFFS)
@pytest.mark.parametrize("part", [0.0, 0.05, 0.5, 0.9])
def test_a_truncated_tiff(tmp_path: Path, options: dict[str, Any], part: float) -> None:
    path = write(tmp_path / "a.tif", **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert str(path) in problem(path)


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", compression="zlib")
    with tifffile.TiffFile(path) as tif:
        start = tif.pages[3].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start : start + 100] = bytes(100)
    path.write_bytes(data)
    np.testing.assert_array_equal(open_volume(path).section(2), STACK[2])
    assert problem(path).startswith(f"Section 3 of {path} cannot be read")


def test_a_tiff_of_several_images(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        tif.write(STACK, photometric="minisblack")
        tif.write(STACK[0, :9], photometric="minisblack")
    assert "images of different sizes" in problem(tmp_path / "a.tif")


def test_a_compression_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tifffile.TIFF, "DECOMPRESSORS", {1: None})
    assert "compressed by ADOBE_DEFLATE" in problem(write(tmp_path / "a.tif", compression="zlib"))


def test_sections_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray((STACK[i % 5] + i).astype(np.uint16)).save(tmp_path / f"s{i}_of_12.png")
    (tmp_path / "notes.txt").write_text("not a section")
    (tmp_path / "._s1_of_12.png").write_bytes(b"left behind by a file manager")
    volume = open_volume(tmp_path)
    assert (volume.shape, volume.dtype) == ((12, 64, 80), np.uint16)
    for i in range(12):
        np.testing.assert_array_equal(volume.section(i), STACK[i % 5] + i)
    np.testing.assert_array_equal(volume.array[1:3, 4:6, 7], np.stack([STACK[1] + 1, STACK[2] + 2])[:, 4:6, 7])


@given(st.lists(st.integers(0, 999), unique=True))
def test_natural_order_is_that_of_numbers(numbers: list[int]) -> None:
    names = sorted((f"Section {number}.tif" for number in numbers), key=_natural)
    assert names == [f"Section {number}.tif" for number in sorted(numbers)]


def test_a_folder_of_tiff_sections(tmp_path: Path) -> None:
    for i, kind in enumerate(({}, {"compression": "zlib"}, {"byteorder": ">"}, {"tile": (32, 32)})):
        write(tmp_path / f"{i}.TIF", STACK[i], **kind)
    volume = open_volume(tmp_path)
    assert volume.shape == (4, 64, 80)
    for i in range(4):
        np.testing.assert_array_equal(volume.section(i), STACK[i])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
def test_png_modes(tmp_path: Path, mode: str) -> None:
    pixels = (STACK[0] % 2 * 255).astype(np.uint8)
    image = Image.fromarray(STACK[0]) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    image.save(tmp_path / "a.png")
    volume = open_volume(tmp_path / "a.png")
    assert volume.shape == (1, 64, 80)
    expected = {"1": pixels // 255, "I;16": STACK[0]}.get(mode, pixels)
    np.testing.assert_array_equal(volume.section(0), expected)
    assert volume.dtype == expected.dtype


def test_labels_with_a_palette_are_its_numbers(tmp_path: Path) -> None:
    numbers = (STACK[:2] % 3).astype(np.uint8)
    for i, section in enumerate(numbers):
        image = Image.fromarray(section).convert("P")
        image.putdata(section.ravel().tolist())
        image.putpalette([0, 0, 0, 230, 159, 0, 86, 180, 233])
        image.save(tmp_path / f"{i}.png", transparency=0)
    volume = open_volume(tmp_path, labels=True)
    assert (volume.shape, volume.dtype) == ((2, 64, 80), np.uint8)
    for i in range(2):
        np.testing.assert_array_equal(volume.section(i), numbers[i])
    np.testing.assert_array_equal(open_volume(tmp_path / "1.png", labels=True).section(0), numbers[1])
    assert "is a colour image" in problem(tmp_path)


def test_a_folder_of_colour_sections(tmp_path: Path) -> None:
    colours = STACK[:3, :, :, None].astype(np.uint8) + np.arange(3, dtype=np.uint8)
    for i in range(3):
        Image.fromarray(colours[i]).save(tmp_path / f"{i}.png")
    assert "is a colour image" in problem(tmp_path)
    np.testing.assert_array_equal(open_volume(tmp_path, channel=1).section(2), colours[2, ..., 1])


def test_a_large_png_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(STACK[0]).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.png").section(0), STACK[0])


def test_an_odd_section_is_named(tmp_path: Path) -> None:
    write(tmp_path / "1.tif", STACK[0])
    write(tmp_path / "2.tif", STACK[0, :9])
    assert problem(tmp_path).startswith(
        f"{tmp_path / '2.tif'} is 9 x 80 pixels of uint16, but 1.tif is 64 x 80 pixels of uint16."
    )
    write(tmp_path / "2.tif", STACK[0].astype(np.uint8))
    assert "2.tif is 64 x 80 pixels of uint8" in problem(tmp_path)
    write(tmp_path / "2.tif", STACK)
    assert "2.tif holds more than one section" in problem(tmp_path)


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_damaged_section_is_named(tmp_path: Path, suffix: str, part: float) -> None:
    for i in range(3):
        path = tmp_path / f"{i}.{suffix}"
        Image.fromarray(STACK[i]).save(path) if suffix == "png" else write(path, STACK[i], compression="zlib")
    path = tmp_path / f"1.{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert str(path) in problem(tmp_path)


def test_a_section_that_vanishes_is_named(tmp_path: Path) -> None:
    for i in range(2):
        write(tmp_path / f"{i}.tif", STACK[i])
    volume = open_volume(tmp_path)
    (tmp_path / "1.tif").unlink()
    with pytest.raises(Problem, match=r"1\.tif"):
        volume.section(1)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_array(tmp_path: Path, version: Any) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=STACK, chunks=(1, 32, 32), zarr_format=version)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.zarr").section(3), STACK[3])
    chunk = tmp_path / "a.zarr" / ("2.0.0" if version == 2 else "c/2/0/0")
    chunk.write_bytes(chunk.read_bytes()[:20])
    assert problem(tmp_path / "a.zarr").startswith("Section 2 of ")


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr(tmp_path: Path, version: Any) -> None:
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    steps = [
        {"type": "scale", "scale": [1, 50, 4, 5]},
        {"type": "translation", "translation": [0, 100, 80, 31]},
    ]
    multiscales = [{"axes": axes, "datasets": [{"path": "s0", "coordinateTransformations": steps}]}]
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    group.attrs.update({"multiscales": multiscales} if version == 2 else {"ome": {"multiscales": multiscales}})
    group.create_array("s0", data=STACK[None])
    volume = open_volume(tmp_path / "a.zarr")
    assert (volume.voxel_size, volume.offset) == ((50, 4, 5), (2, 20, 6.2))
    for translation, offset in (([0, 0, 0, 0], (0, 0, 0)), (None, None)):
        steps[1:] = [{"type": "translation", "translation": translation}] if translation else []
        group.attrs.update({"multiscales": multiscales} if version == 2 else {"ome": {"multiscales": multiscales}})
        assert open_volume(tmp_path / "a.zarr").offset == offset
    np.testing.assert_array_equal(volume.section(3), STACK[3])
    np.testing.assert_array_equal(open_volume(tmp_path / "a.zarr" / "s0").section(3), STACK[3])
    axes.pop(0)
    group.attrs.update({"multiscales": multiscales} if version == 2 else {"ome": {"multiscales": multiscales}})
    assert "s0" in problem(tmp_path / "a.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_a_level_of_ome_zarr_lies_where_its_image_says(tmp_path: Path, version: Any) -> None:
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    datasets = []
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=version)
    for level in range(3):
        group.create_array(f"s{level}", data=STACK[None, :, :: 2**level, :: 2**level])
        step = {"type": "scale", "scale": [1, 50, 4 * 2**level, 4 * 2**level]}
        place = {"type": "translation", "translation": [0, 100, 64, 32]}
        datasets.append({"path": f"s{level}", "coordinateTransformations": [step, place][: 1 if level == 2 else 2]})
    multiscales = [{"axes": axes, "datasets": datasets}]
    group.attrs.update({"multiscales": multiscales} if version == 2 else {"ome": {"multiscales": multiscales}})
    for level, offset in enumerate([(2, 16, 8), (2, 8, 4), None]):
        volume = open_volume(tmp_path / "a.zarr" / f"s{level}")
        assert (volume.voxel_size, volume.offset) == ((50, 4 * 2**level, 4 * 2**level), offset)
        np.testing.assert_array_equal(volume.section(3), STACK[3, :: 2**level, :: 2**level])
    axes.pop(0)  # the axes are not those of the arrays any more: they are by themselves
    group.attrs.update({"multiscales": multiscales} if version == 2 else {"ome": {"multiscales": multiscales}})
    volume = open_volume(tmp_path / "a.zarr" / "s1")
    assert (volume.shape, volume.voxel_size, volume.offset) == ((5, 32, 40), None, None)


def test_a_zarr_that_is_no_image(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr")
    assert "not an OME-Zarr image" in problem(tmp_path / "a.zarr")
    group.attrs["ome"] = {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "gone"}]}]}
    assert "gone" in problem(tmp_path / "a.zarr")
    for text in ("", "{", "[]", '{"zarr_format": 3, "node_type": "array"}'):
        (tmp_path / "a.zarr" / "zarr.json").write_text(text)
        assert "a.zarr" in problem(tmp_path / "a.zarr")


def test_what_is_not_there_or_of_another_kind(tmp_path: Path) -> None:
    assert "does not exist" in problem(tmp_path / "gone.tif")
    assert "holds no sections" in problem(tmp_path)
    for name in ("a.mrc", "a.h5", "a", "a.tif", "a.png"):
        (tmp_path / name).write_text("some text that is no image at all")
        assert str(tmp_path / name) in problem(tmp_path / name)
    assert "Save it as TIFF, HDF5, MRC, OME-Zarr or as a folder of PNG files." in problem(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "opener"),
    [
        ("a.tif", "tifffile.TiffFile"),
        ("a.png", "PIL.PngImagePlugin.PngImageFile"),
        ("a.h5", "h5py.File"),
        ("a.mrc", "mrcfile.mmap"),
        ("a.zarr", "zarr.open_array"),
        ("a.zarr", "json.loads"),
        ("a.tif", "pathlib.Path.exists"),
        ("folder", "pathlib.Path.is_file"),
        ("folder", "pathlib.Path.iterdir"),
    ],
)
def test_what_may_not_be_read_is_a_matter_of_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, opener: str
) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name == "a.zarr":
        zarr.create_array(path, data=STACK)
    else:
        path.touch()

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # root may read all

    with monkeypatch.context() as patch:
        patch.setattr(opener, fail)
        said = problem(path)
    assert said.startswith(str(path))
    assert said.endswith(" may not be read. Ask its owner for permission, or for a copy.")


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("stack.tif", "stack.tif"),
        ("stack.tif/1", "level 1 of stack.tif"),
        ("image.zarr", "image.zarr"),
        ("image.zarr/0", "level 0 of image.zarr"),
        ("sections/7", "7"),
        ("stack.h5/volumes/raw", "volumes/raw of stack.h5"),
        ("stack.h5", "stack.h5"),
    ],
)
def test_a_stack_is_called_by_what_it_lies_in(tmp_path: Path, inside: str, words: str) -> None:
    write(tmp_path / "stack.tif")
    zarr.create_group(tmp_path / "image.zarr").create_array("0", data=STACK)
    (tmp_path / "sections" / "7").mkdir(parents=True)
    (tmp_path / "stack.h5").touch()
    assert in_words(tmp_path / inside) == words
