import time
import tracemalloc
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr
from napari.layers import Image, Labels, Layer
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QPoint, Qt

from napari_unet import placing
from napari_unet.classes import PixelClass
from napari_unet.layout import Layout, create
from napari_unet.problem import Problem
from napari_unet.reader import read
from napari_unet.tiles import Box
from napari_unet.volume import open_volume
from napari_unet.widgets.handover import copied, handed_over, on_disk
from napari_unet.widgets.labelfolder import identity
from napari_unet.widgets.place import placed
from napari_unet.widgets.strokes import (
    classes_of,
    is_strokes,
    missing,
    moved_to_disk,
    new_strokes,
    path_of,
    set_classes,
    take_over,
)

STACK = np.random.default_rng(0).integers(0, 255, (5, 90, 110), dtype=np.uint8)
CLASSES = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
TURNED: dict[str, Any] = {"scale": (50, 4, 4), "units": "nm", "rotate": (0, 0, 30), "translate": (9, 8, 7)}
BOX = Box(1, 3, 20, 60, 30, 100)


def last(steps: Any) -> Path:
    """Run a generator, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def kept(layer: Labels) -> np.ndarray:
    """Read the labels of a layer from disk."""
    return open_volume(path_of(layer), labels=True).array[:]


def test_new_labels_lie_on_the_image(tmp_path: Path) -> None:
    image = Image(STACK, name="cell", axis_labels=("z", "y", "x"), **TURNED)
    layer = new_strokes(image, tmp_path / "labels", "strokes")
    assert (layer.name, layer.data.shape, layer.dtype) == ("strokes", STACK.shape, np.uint8)
    for p in ((0, 0, 0), (4, 80, 100)):
        np.testing.assert_allclose(layer.data_to_world(p), image.data_to_world(p))
    assert (layer.units, layer.axis_labels) == (image.units, image.axis_labels)
    assert (layer.brush_size, layer.selected_label) == (6, 1)
    assert layer.data.chunks == (1, 90, 110)
    assert is_strokes(layer)
    assert path_of(layer) == tmp_path / "labels" / "strokes.zarr"
    assert layer.metadata["napari-unet"] == {"path": str(path_of(layer)), "id": identity(path_of(layer))}
    assert classes_of(layer) == ()
    again = new_strokes(image, tmp_path / "labels", "strokes")
    third = new_strokes(image, tmp_path / "labels", "strokes")
    assert [path_of(each).name for each in (again, third)] == ["strokes-2.zarr", "strokes-3.zarr"]
    assert len({identity(path_of(each)) for each in (layer, again, third)} - {""}) == 3
    assert (again.name, third.name) == ("strokes-2", "strokes-3")
    assert sorted(path.name for path in (tmp_path / "labels").glob("*.zarr")) == [
        "strokes-2.zarr",
        "strokes-3.zarr",
        "strokes.zarr",
    ]
    path_of(third).rename(tmp_path / "away")
    fourth = new_strokes(image, tmp_path / "labels", "strokes")
    assert path_of(fourth).name == "strokes-4.zarr"  # whoever knows the third one by its path takes it for no other


def test_labels_whose_folder_is_gone_are_missing_also_behind_a_link_and_their_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    image = Image(STACK)
    layer = new_strokes(image, tmp_path / "link", "strokes")
    path = path_of(layer)
    assert missing(layer) is None
    path.rename(tmp_path / "away")
    assert missing(layer) == path
    other = new_strokes(image, tmp_path / "link", "strokes", taken=[path])
    assert path_of(other).name == "strokes-2.zarr"
    path.symlink_to(path)  # as a disk that is not there: all that one asks of it is an error
    assert missing(layer) == path
    path.unlink()
    (tmp_path / "away").rename(path)
    assert missing(layer) is None


def test_a_part_of_the_image(tmp_path: Path) -> None:
    image = Image(STACK, **TURNED)
    layer = new_strokes(image, tmp_path, "part", BOX)
    assert layer.data.shape == (2, 40, 70)
    np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), image.data_to_world((2, 22, 33)))


def test_one_image_alone(tmp_path: Path) -> None:
    layer = new_strokes(Image(STACK[0], scale=(4, 4), units="nm"), tmp_path, "strokes")
    assert layer.data.shape == (1, 90, 110)
    np.testing.assert_array_equal(layer.scale, [1, 4, 4])


def as_tiff(folder: Path) -> Image:
    tifffile.imwrite(folder / "a.tif", STACK)
    return Image(tifffile.memmap(folder / "a.tif", mode="r"), **TURNED)


def as_part(folder: Path) -> Image:
    """Show a part of a larger stack, which knows where it lies, at two resolutions."""
    create(folder / "a.zarr", Layout((5, 700, 110), (), (40.0, 5.0, 5.0), (2, 64, 32), False, {}))
    levels = [zarr.open_array(folder / "a.zarr" / str(level), mode="r+") for level in range(2)]
    levels[0][:, :90] = STACK
    return Image(levels)


@pytest.mark.parametrize(
    "image", [as_tiff, as_part, lambda _: Image(STACK), lambda _: Image(STACK, **TURNED), lambda _: Image(STACK[0])]
)
@pytest.mark.parametrize("whole", [False, True])
def test_the_core_finds_the_strokes_where_they_were_painted(tmp_path: Path, image: Any, whole: bool) -> None:
    shown = image(tmp_path)
    box = None if whole else Box(0, 1, 20, 60, 30, 100)
    layer = new_strokes(shown, tmp_path, "strokes", box)
    z = min(2, layer.data.shape[0] - 1)
    layer.paint((z, 9, 11), 1)
    path = on_disk(shown) or last(copied(shown, tmp_path))
    volume, labels = open_volume(path), open_volume(path_of(layer), labels=True)
    assert labels.voxel_size == volume.voxel_size
    placing.refuse_other_voxels(volume, labels)
    assert placing.corner_of(volume, labels) == ((0, 0, 0) if whole else (0, 20, 30))


def test_what_is_on_disk_is_a_valid_label_image(tmp_path: Path) -> None:
    layer = new_strokes(Image(STACK), tmp_path, "strokes")
    set_classes(layer, CLASSES)
    image = yaozarrs.validate_zarr_store(str(path_of(layer))).ome_metadata()
    assert isinstance(image, yaozarrs.v05.LabelImage)


def test_classes_are_kept_and_shown(tmp_path: Path) -> None:
    layer = new_strokes(Image(STACK), tmp_path, "strokes")
    layer.brush_size = 30
    set_classes(layer, CLASSES)
    assert classes_of(layer) == CLASSES
    np.testing.assert_allclose(layer.get_color(2), [0xE6 / 255, 0x9F / 255, 0, 1], atol=1e-6)
    alpha = layer.colormap.map(np.array([[0, 1, 2, 7]], np.uint8))[..., 3]
    np.testing.assert_array_equal(alpha, [[0, 1, 1, 1]])
    layer.paint((0, 40, 50), 2)
    assert "class: membrane" in layer.get_status((0, 40, 50), view_direction=[1, 0, 0], dims_displayed=[1, 2])["value"]
    set_classes(layer, CLASSES[:1])
    assert classes_of(layer) == CLASSES[:1]
    assert (layer.brush_size, kept(layer)[0, 40, 50]) == (30, 2)
    assert open_volume(path_of(layer)).offset == (0, 0, 0)


@pytest.mark.parametrize("proxy", [False, True])
def test_painting_fill_and_undo_land_on_disk(tmp_path: Path, proxy: bool) -> None:
    layer = new_strokes(Image(STACK, **TURNED), tmp_path, "strokes", BOX)
    if proxy:
        layer = PublicOnlyProxy(layer)
    assert is_strokes(layer)
    set_classes(layer, CLASSES)
    layer.paint((1, 20, 30), 2)
    painted = kept(layer)
    assert painted[1, 20, 30] == 2
    assert 20 < np.count_nonzero(painted) < 50
    layer.fill((1, 0, 0), 1)
    assert kept(layer)[1, 0, 0] == 1
    layer.undo()
    np.testing.assert_array_equal(kept(layer), painted)
    layer.undo()
    assert not kept(layer).any()
    layer.redo()
    np.testing.assert_array_equal(kept(layer), painted)


def stroke(qtbot: Any, viewer: Any, *points: tuple[float, float]) -> None:
    """Press the mouse on the canvas at the first of the points of the world (y, x), drag it along, and release it."""
    canvas = viewer.window._qt_viewer.canvas.native
    zoom, (y0, x0) = viewer.scene.camera.zoom, viewer.scene.camera.center[-2:]
    places = [
        QPoint(round((x - x0) * zoom + canvas.width() / 2), round((y - y0) * zoom + canvas.height() / 2))
        for y, x in points
    ]
    qtbot.mouseMove(canvas, places[0])
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        qtbot.mouseMove(canvas, place)
        qtbot.wait(20)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[-1])


def test_a_stroke_of_the_mouse_lands_on_disk(tmp_path: Path, make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(STACK, scale=(50, 4, 4), units="nm")
    layer = new_strokes(image, tmp_path, "strokes", BOX)
    set_classes(layer, CLASSES)
    viewer.add_layer(layer)
    viewer.layers.selection.active = layer
    viewer.dims.set_point(0, 2 * 50)
    layer.mode, layer.selected_label = "paint", 2
    qtbot.wait(50)
    stroke(qtbot, viewer, *(image.data_to_world((2, 40, x))[1:] for x in (50, 65, 80)))
    painted = kept(layer)
    assert not painted[0].any()
    assert np.all(painted[1, 20, 20:50] == 2)
    assert set(np.unique(painted[1])) == {0, 2}
    rows, _ = np.nonzero(painted[1])
    assert (rows.min(), rows.max()) == (17, 23)
    colours = viewer.screenshot(canvas_only=True, flash=False)
    assert (np.abs(colours[..., :3].astype(int) - colours[..., :1]) > 30).any()  # the image is grey
    layer.undo()
    assert not kept(layer).any()


def test_a_large_stack_takes_neither_memory_nor_time(tmp_path: Path) -> None:
    image = Image(zarr.create_array(tmp_path / "a.zarr", shape=(200, 4096, 4096), chunks=(1, 1024, 1024), dtype="u1"))
    start = time.perf_counter()
    new_strokes(image, tmp_path, "warm")
    assert time.perf_counter() - start < 3
    tracemalloc.start()
    layer = new_strokes(image, tmp_path, "strokes")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert layer.data.shape == (200, 4096, 4096)
    assert layer.data.chunks == (1, 512, 512)
    assert len(list(path_of(layer).rglob("*"))) < 5


def test_other_layers_are_no_strokes(tmp_path: Path) -> None:
    create(tmp_path / "result.zarr", Layout((1, 9, 9), CLASSES, None, (0, 0, 0), False, {}))
    result = zarr.open_array(tmp_path / "result.zarr/0", mode="r")
    bare = zarr.create_array(tmp_path / "bare.zarr", data=STACK)
    for layer in (Image(STACK), Labels(STACK), Labels(result), Labels(bare), Labels(zarr.create_array({}, data=STACK))):
        assert not is_strokes(layer)
    with pytest.raises(ValueError, match="not kept on disk"):
        path_of(Labels(STACK))
    strokes = new_strokes(Image(STACK), tmp_path, "strokes")
    assert not is_strokes(Image(strokes.data))
    assert on_disk(strokes) == path_of(strokes)


def test_strokes_are_opened_to_be_painted_on(tmp_path: Path) -> None:
    layer = new_strokes(Image(STACK, scale=(50, 4, 4), units="nm"), tmp_path, "strokes", BOX)
    set_classes(layer, CLASSES)
    (opened,) = (Layer.create(*each) for each in read(str(path_of(layer))))
    assert isinstance(opened, Labels)
    assert is_strokes(opened)
    assert classes_of(opened) == CLASSES
    assert opened.metadata == layer.metadata
    np.testing.assert_array_equal(opened.translate, [50, 80, 120])
    opened.paint((1, 20, 30), 2)
    assert kept(layer)[1, 20, 30] == 2


LABELS = np.where(STACK > 250, STACK, 0).astype(np.int64)


@pytest.mark.parametrize("data", [LABELS, LABELS.astype(np.uint8), LABELS > 0, dask.array.from_array(LABELS)])
def test_labels_in_memory_move_to_disk(tmp_path: Path, data: Any) -> None:
    image = Image(STACK, **TURNED)
    layer = Labels(data, name="old labels", **TURNED, opacity=0.3, colormap={None: "gray", 1: "#ff0000"})
    layer.selected_label, layer.mode, layer.brush_size = 3, "erase", 17
    before = layer.data_to_world((1, 2, 3))
    steps = moved_to_disk(layer, image, tmp_path)
    assert next(steps) == (1, 10)
    path = last(steps)
    assert path == tmp_path / "old-labels.zarr"
    assert not is_strokes(layer)
    take_over(layer, path)
    assert is_strokes(layer)
    assert path_of(layer) == path
    assert (layer.name, layer.opacity, layer.selected_label) == ("old labels", 0.3, 3)
    assert (layer.mode, layer.brush_size, layer.data_to_world((1, 2, 3))) == ("erase", 17, before)
    np.testing.assert_array_equal(layer.get_color(1), [1, 0, 0, 1])
    assert layer.data.dtype == (np.uint8 if data.dtype.itemsize == 1 else np.uint16)  # room for as many ids as before
    np.testing.assert_array_equal(kept(layer), np.asarray(data))
    assert open_volume(path).voxel_size == handed_over(image).voxel_size == (50, 4, 4)
    layer.paint((2, 40, 50), 9)
    assert kept(layer)[2, 40, 50] == 9
    layer.undo()
    np.testing.assert_array_equal(kept(layer), np.asarray(data))


@pytest.mark.parametrize(("largest", "named"), [(2, True), (3, False)])
def test_moved_labels_get_classes_unless_a_value_has_none(tmp_path: Path, largest: int, named: bool) -> None:
    data = np.minimum(LABELS, largest)
    layer = Labels(data, name="labels")
    before = layer.get_color(1)
    take_over(layer, last(moved_to_disk(layer, Image(STACK), tmp_path, CLASSES)))
    assert classes_of(layer) == (CLASSES if named else ())
    assert layer.data.dtype == (np.uint8 if named else np.uint16)
    colour = np.array([0x56, 0xB4, 0xE9, 255]) / 255 if named else before
    np.testing.assert_allclose(layer.get_color(1), colour, atol=0.01)


@pytest.mark.parametrize(("largest", "dtype"), [(255, "u2"), (256, "u2"), (70_000, "u4"), (2**40, "u8")])
def test_large_labels_stay_what_they_are(tmp_path: Path, largest: int, dtype: str) -> None:
    data = LABELS.copy()
    data[2, 3, 4] = largest
    array = open_volume(last(moved_to_disk(Labels(data), Image(STACK), tmp_path))).array
    assert array.dtype == dtype
    np.testing.assert_array_equal(array[:], data)


def test_a_flat_layer_becomes_a_stack_of_one_section(tmp_path: Path, make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    image = viewer.add_image(STACK[0], scale=(4, 4), units="nm", rotate=20, translate=(7, 8))
    layer = viewer.add_labels(LABELS[0], scale=(4, 4), units="nm", rotate=20, translate=(7, 8))
    layer.paint((9, 9), 1)
    layer.selected_label = 70_000
    take_over(layer, last(moved_to_disk(layer, image, tmp_path)))
    assert layer.data.shape == (1, 90, 110)
    assert layer.selected_label == 1
    np.testing.assert_allclose(layer.data_to_world((0, 3, 4))[1:], image.data_to_world((3, 4)))
    assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
    before = kept(layer)
    layer.undo()  # the stroke was made on other data
    np.testing.assert_array_equal(kept(layer), before)
    layer.paint((0, 40, 50), 9)
    assert kept(layer)[0, 40, 50] == 9
    layer.paint((0, 40, 50), 300)
    assert kept(layer)[0, 40, 50] == 300


def test_what_are_no_labels_of_the_image(tmp_path: Path) -> None:
    image = Image(STACK, name="cell")
    with pytest.raises(Problem, match="labels is 4 x 90 x 110 voxels large, but cell is 5 x 90 x 110"):
        last(moved_to_disk(Labels(LABELS[1:], name="labels"), image, tmp_path))
    with pytest.raises(Problem, match="negative labels"):
        last(moved_to_disk(Labels(-LABELS), image, tmp_path))
    with pytest.raises(Problem, match="5 axes"):
        new_strokes(Image(np.zeros((2, 2, 2, 2, 2))), tmp_path, "strokes")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", [{}, TURNED, {**TURNED, "affine": np.diag([2, 3, 4, 1])}])
@pytest.mark.parametrize("corner", [(0, 0, 0), (1, 20, -30)])
def test_labels_are_saved_where_they_lie(tmp_path: Path, place: dict[str, Any], corner: tuple[int, int, int]) -> None:
    image = Image(STACK, **place)
    layer = Labels(LABELS, name="labels", **placed(image, corner))
    assert open_volume(last(moved_to_disk(layer, image, tmp_path))).offset == corner


def test_a_move_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    steps = moved_to_disk(Labels(LABELS), Image(STACK), tmp_path)
    for _ in range(7):
        next(steps)
    assert list(tmp_path.iterdir())
    steps.close()
    assert not list(tmp_path.iterdir())
