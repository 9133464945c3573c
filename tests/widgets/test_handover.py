import errno
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import dask.array
import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image, Labels, Layer
from napari.utils._proxies import PublicOnlyProxy

from napari_unet.disk import lock
from napari_unet.layout import Layout, create
from napari_unet.problem import Problem
from napari_unet.reader import read
from napari_unet.volume import open_volume
from napari_unet.widgets import handover
from napari_unet.widgets.handover import copied, handed_over, on_disk, section_copied, volume_of

STACK = np.random.default_rng(0).integers(0, 255, (5, 90, 110), dtype=np.uint8)
VOXELS: dict[str, Any] = {"scale": (50, 4, 4), "units": "nm"}


def end_of(steps: Any) -> tuple[list[tuple[int, int]], Path]:
    """Run a generator: what it yields, and what it returns."""
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return seen, end.value


def memmapped(folder: Path) -> np.ndarray:
    mapped = np.memmap(folder / "a.raw", STACK.dtype, "w+", shape=STACK.shape)
    mapped[:] = STACK
    return mapped


KINDS = {
    "numpy": lambda _: STACK,
    "memmap": memmapped,
    "zarr": lambda folder: zarr.create_array(folder / "a.zarr", data=STACK),
    "dask": lambda _: dask.array.from_array(STACK, chunks=(2, 50, 50)),
    "multiscale": lambda _: [STACK, STACK[:, ::2, ::2]],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("proxy", [False, True])
def test_a_volume_of_any_layer(tmp_path: Path, kind: str, proxy: bool) -> None:
    layer = Image(KINDS[kind](tmp_path), name="cell", **VOXELS)
    volume = volume_of(PublicOnlyProxy(layer) if proxy else layer)
    assert (volume.shape, volume.dtype, volume.name) == (STACK.shape, np.uint8, "cell")
    assert volume.voxel_size == (50, 4, 4)
    np.testing.assert_array_equal(volume.section(3, slice(7, 60)), STACK[3, 7:60])


@pytest.mark.parametrize("lazy", [False, True])
def test_one_image_is_a_stack_of_one_section(lazy: bool) -> None:
    pixels = dask.array.from_array(STACK[0]) if lazy else STACK[0]
    volume = volume_of(Image(pixels))
    assert volume.shape == (1, 90, 110)
    np.testing.assert_array_equal(volume.section(0, columns=slice(5, 9)), STACK[0, :, 5:9])


def test_what_can_be_shown_but_not_segmented() -> None:
    with pytest.raises(Problem, match=r"cell has 4 axes .* press Take"):
        volume_of(Image(np.zeros((2, 3, 4, 5)), name="cell"))
    with pytest.raises(Problem, match=r"strokes has 4 axes .* Split Stack"):
        volume_of(Labels(np.zeros((2, 3, 4, 5), int), name="strokes"))
    with pytest.raises(Problem, match=r"colour image.* Split RGB"):
        volume_of(Image(np.zeros((4, 5, 3), np.uint8), rgb=True))
    with pytest.raises(Problem, match="complex64 values"):
        # napari 0.9 has no layer for these: a stand-in.
        volume_of(SimpleNamespace(data=np.zeros((4, 5), np.complex64), ndim=2, name="cell", multiscale=False))  # type: ignore[arg-type]


def tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", STACK)
    return folder / "a.tif"


def from_file(path: Path, data: Any = STACK, kind: type = Image) -> Any:
    """Return a layer as napari's own reader makes it: an array in memory, and where it came from."""
    layer = kind(data)
    layer._set_source(layer.source.model_copy(update={"path": str(path)}))
    return layer


def test_a_file_that_holds_the_layer(tmp_path: Path) -> None:
    path = tiff(tmp_path)
    assert on_disk(from_file(path)) == path
    assert on_disk(from_file(path, dask.array.from_array(STACK))) == path
    assert on_disk(Image(tifffile.memmap(path, mode="r"))) == path
    assert on_disk(Image(STACK)) is None


def test_a_copy_in_the_midst_of_which_napari_ended_goes_with_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "other.zarr.partial").mkdir()
    (tmp_path / "other.zarr.lock").touch()
    (tmp_path / "running.zarr.partial").mkdir()
    held = lock(tmp_path / "running.zarr.lock")
    for _ in copied(Image(np.zeros((2, 20, 30), np.uint8), name="stack"), tmp_path):
        pass
    held.close()
    assert sorted(each.suffix for each in tmp_path.iterdir()) == [".lock", ".partial", ".zarr"]
    assert not (tmp_path / "other.zarr.partial").exists()


@pytest.mark.parametrize("what", ["pixels", "folder"])
def test_no_copy_is_made_of_what_changes_meanwhile_or_into_a_folder_that_is_deleted(tmp_path: Path, what: str) -> None:
    pixels = np.zeros((4, 20, 30), np.uint8)
    copies = tmp_path / "copies"
    copying = copied(Image(pixels, name="stack"), copies)
    for _ in range(5):
        next(copying)
    if what == "pixels":
        pixels[3] = 1
    else:
        shutil.rmtree(copies)
    with pytest.raises(Problem, match="changed while it was copied" if what == "pixels" else "was deleted while"):
        list(copying)
    assert not list(copies.glob("*"))


@given(st.integers(0, 10), st.data())
def test_a_changed_block_is_seen(tmp_path_factory: Any, number: int, data: st.DataObject) -> None:
    shape = (7, 300, 200)
    z, rows, columns = list(handover.blocks(shape))[number]
    assert 0 <= z < 7
    assert (rows.stop, columns.stop) <= (300, 200)
    folder = tmp_path_factory.getbasetemp() / "blocks"
    folder.mkdir(exist_ok=True)
    if not (folder / "a.tif").exists():
        tifffile.imwrite(folder / "a.tif", np.zeros(shape, np.uint8))
    changed = np.zeros(shape, np.uint8)
    changed[z, data.draw(st.integers(rows.start, rows.stop - 1)), data.draw(st.integers(columns.start, 199))] = 1
    changed[z, rows.start, columns.start] = 1
    assert on_disk(from_file(folder / "a.tif", changed)) is None
    assert on_disk(from_file(folder / "a.tif", np.zeros(shape, np.uint8))) is not None


@pytest.mark.parametrize("other", [STACK[1:], STACK.astype(np.uint16), STACK[:, ::-1], STACK + 1])
def test_a_file_that_holds_something_else(tmp_path: Path, other: np.ndarray) -> None:
    assert on_disk(from_file(tiff(tmp_path), other)) is None


def test_a_file_that_is_no_stack(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\0nothing")
    tifffile.imwrite(tmp_path / "cut.tif", STACK, compression="zlib")
    layer = from_file(tmp_path / "cut.tif")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:9000])
    assert on_disk(layer) is None
    for path in ("bad.tif", "gone.tif", "a" * 5000, "nul\0.tif", "https://example.org/a.tif"):
        assert on_disk(from_file(tmp_path / path)) is None
    assert on_disk(Image(memmapped(tmp_path))) is None
    assert on_disk(Image(np.zeros((4, 5, 3), np.uint8), rgb=True)) is None


def test_not_a_number_equals_itself(tmp_path: Path) -> None:
    pixels = np.where(STACK > 99, np.nan, STACK).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    assert on_disk(from_file(tmp_path / "a.tif", pixels)) is not None


def test_an_ome_zarr_is_handed_over_with_its_voxel_size(tmp_path: Path) -> None:
    layout = Layout((2, 700, 600), (), (50.0, 4.0, 4.0), (1, 20, 30), False, {})
    create(tmp_path / "a.zarr", layout)
    levels = [zarr.open_array(tmp_path / "a.zarr" / str(level), mode="r") for level in range(2)]
    (opened,) = (Layer.create(*each) for each in read(str(tmp_path / "a.zarr")))
    for layer in (opened, Image(levels), Image(levels[0]), Image(zarr.open(tmp_path / "a.zarr")["0"])):
        assert on_disk(layer) == tmp_path / "a.zarr"
        volume = handed_over(layer)
        assert (volume.voxel_size, volume.offset) == ((50, 4, 4), (1, 20, 30))
    assert on_disk(Image(levels[1])) == tmp_path / "a.zarr" / "1"
    bare = zarr.create_array(tmp_path / "bare.zarr", data=STACK)
    assert on_disk(Image(bare)) == tmp_path / "bare.zarr"
    assert on_disk(Image(zarr.create_array({}, data=STACK))) is None
    assert handed_over(Image(STACK, **VOXELS)).voxel_size == (50, 4, 4)


def test_labels_painted_on_since_they_were_read_are_not_on_disk(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 400, 400), np.uint8))
    layer = from_file(tmp_path / "a.tif", np.zeros((5, 400, 400), np.uint8), Labels)
    assert on_disk(layer) == tmp_path / "a.tif"
    layer.paint((3, 390, 5), 1)
    assert on_disk(layer) is None


def test_a_copy(tmp_path: Path) -> None:
    layer = Image(dask.array.from_array(STACK), name="my cell/1", **VOXELS)
    seen, path = end_of(copied(layer, tmp_path / "copies"))
    assert seen == [(n, 10) for n in range(1, 11)]
    assert path.parent == tmp_path / "copies"
    assert path.name.startswith("my-cell-1-")
    assert len(path.stem) == len("my-cell-1-") + 12
    volume = open_volume(path)
    assert (volume.voxel_size, volume.dtype) == ((50, 4, 4), np.uint8)
    np.testing.assert_array_equal(volume.array[:], STACK)
    assert isinstance(yaozarrs.validate_zarr_store(str(path)).ome_metadata(), yaozarrs.v05.Image)
    array = zarr.open_array(path / "0", mode="r")
    assert array.chunks == (1, 90, 110)
    assert isinstance(array.metadata.codecs[-1], zarr.codecs.Crc32cCodec)
    assert list(path.parent.iterdir()) == [path]
    assert on_disk(Image(array)) == path


def test_a_copy_without_voxel_size_and_of_other_values(tmp_path: Path) -> None:
    for pixels in (STACK[0], STACK > 99, STACK.astype(">u2") * 9, STACK / np.float32(3)):
        path = end_of(copied(Image(pixels), tmp_path))[1]
        volume = open_volume(path)
        assert volume.voxel_size is None
        np.testing.assert_array_equal(volume.array[:], np.atleast_3d(pixels) if pixels.ndim == 3 else pixels[None])


def test_the_same_pixels_are_copied_once(tmp_path: Path) -> None:
    first = end_of(copied(Image(STACK, name="a"), tmp_path))[1]
    (first / "mark").touch()
    seen, again = end_of(copied(Image(dask.array.from_array(STACK), name="a"), tmp_path))
    assert again == first
    assert (first / "mark").exists()
    assert seen == [(n, 10) for n in range(1, 6)]
    others = [STACK + 1, STACK.reshape(5, 110, 90), STACK.view(np.int8)]
    paths = [end_of(copied(Image(each, name="a"), tmp_path))[1] for each in others]
    paths.append(end_of(copied(Image(STACK, name="a", **VOXELS), tmp_path))[1])
    assert len({first, *paths}) == 5


def test_a_copy_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    steps = copied(Image(STACK), tmp_path)
    for _ in range(7):
        next(steps)
    (partial,) = tmp_path.glob("*.partial")
    shutil.copytree(partial, tmp_path / "killed")
    steps.close()
    assert not list(tmp_path.glob("*.partial"))
    (tmp_path / "killed").rename(partial)
    (partial / "rubbish").touch()
    path = end_of(copied(Image(STACK), tmp_path))[1]
    np.testing.assert_array_equal(open_volume(path).array[:], STACK)
    assert not partial.exists()
    assert not (path / "rubbish").exists()


def test_a_copy_that_has_no_room_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = {"free": 10**9}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(**usage))
    path = end_of(copied(Image(STACK, name="cell"), tmp_path))[1]
    usage["free"] = STACK.nbytes - 1
    assert end_of(copied(Image(STACK, name="cell"), tmp_path))[1] == path  # it is there already
    with pytest.raises(Problem, match=r"cell is in no file .* takes up to less than 1 MB, but the disk that holds"):
        end_of(copied(Image(STACK + 1, name="cell"), tmp_path))
    with pytest.raises(Problem, match=r"other library folder: File > Preferences > U-Net\.$"):
        next(copied(Image(STACK, name="other"), tmp_path))
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(Problem, match=r"The disk that holds .*cell-.* is full\. Free some space"):
        end_of(copied(Image(STACK, name="cell"), tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ends", [False, True])
def test_two_at_once(tmp_path: Path, ends: bool) -> None:
    first, second = copied(Image(STACK), tmp_path), copied(Image(STACK), tmp_path)
    for _ in range(6):
        next(first)
    for _ in range(7):  # reads all, and waits
        assert next(second)[0] <= len(STACK)
    path = end_of(first)[1] if ends else first.close()
    told, same = end_of(second)
    assert path in (None, same)
    assert (len(told) == 0) == ends
    np.testing.assert_array_equal(open_volume(same).array[:], STACK)


def test_an_unreadable_section(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=STACK, chunks=(1, 90, 110))
    layer = Image(array, name="cell")
    (tmp_path / "a.zarr/c/3/0/0").write_bytes(b"?")
    with pytest.raises(Problem, match="Section 3 of cell cannot be read"):
        end_of(copied(layer, tmp_path / "copies"))


def test_one_section(tmp_path: Path) -> None:
    layer = Image(dask.array.from_array(STACK), name="cell", **VOXELS)
    path = section_copied(layer, 3, tmp_path)
    volume = open_volume(path)
    assert (volume.shape, volume.voxel_size, volume.offset) == ((1, 90, 110), (50, 4, 4), (3, 0, 0))
    np.testing.assert_array_equal(volume.section(0), STACK[3])
    assert path.name.startswith("cell-section-3-")
    assert section_copied(layer, 3, tmp_path) == path != section_copied(layer, 2, tmp_path)
    alone = section_copied(Image(STACK[0]), 0, tmp_path)
    np.testing.assert_array_equal(open_volume(alone).section(0), STACK[0])


def test_an_empty_folder_of_that_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with handover.whole(tmp_path / "a") as beside:
        zarr.create_group(beside)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "zarr.json"]


def test_each_deep_chunk_of_an_open_array_is_decoded_once_for_each_reading(tmp_path: Path) -> None:
    class Deep:
        """An open array that is in no file, in chunks of two sections; it says which are read."""

        shape, dtype, ndim, chunks = STACK.shape, STACK.dtype, STACK.ndim, (2, 90, 110)
        read: ClassVar[list[Any]] = []

        def __getitem__(self, key: Any) -> np.ndarray:
            self.read.append(key[0])
            return STACK[key]

    layer = Image(Deep(), name="cell", contrast_limits=(0, 255))
    Deep.read.clear()
    seen, path = end_of(copied(layer, tmp_path))
    assert seen == [(done + 1, 10) for done in range(10)]
    assert Deep.read == [slice(0, 2), slice(2, 4), slice(4, 5)] * 2
    np.testing.assert_array_equal(open_volume(path).array[:], STACK)
