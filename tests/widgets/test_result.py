import gc
import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari import Viewer
from napari.layers import Image, Labels, Layer
from napari.utils._proxies import PublicOnlyProxy

from napari_unet.classes import PixelClass
from napari_unet.layout import Chunk, Layout
from napari_unet.reader import read
from napari_unet.store import Store, open_store
from napari_unet.view import View
from napari_unet.widgets.predictions import show_first
from napari_unet.widgets.result import Growing, show_preview

CLASSES = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
SMALL, LARGE = (2, 60, 80), (2, 700, 1100)
BLUE, ORANGE = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)


def layout(shape: tuple[int, int, int], probabilities: bool = False, model: str = "m") -> Layout:
    return Layout(shape, CLASSES, (50.0, 4.0, 4.0), (0, 0, 0), probabilities, {"model": model})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A result of two chunks, sections of 60 x 80."""
    with open_store(tmp_path / "cells.zarr", layout(SMALL)) as store:
        yield store


def fill(store: Store, z: int, value: int, x: int = 0) -> None:
    """Write one chunk full of one class."""
    chunk = Chunk(z, 0, x)
    y0, y1, x0, x1 = chunk.box(store.layout.shape)
    probabilities = np.full((2, y1 - y0, x1 - x0), 100 * value, np.uint8) if store.layout.probabilities else None
    store.write(chunk, np.full((y1 - y0, x1 - x0), value, np.uint8), probabilities)
    store.flush()


def stack(viewer: Viewer, shape: tuple[int, ...], **fields: Any) -> Image:
    """Add a black image and go to its first section."""
    layer = viewer.add_layer(Image(np.zeros(shape, np.uint8), name="stack", **fields))
    viewer.dims.set_point(0, layer.data_to_world((0,) * layer.ndim)[0])
    return layer


def centre(viewer: Viewer) -> tuple[int, ...]:
    """Return red, green and blue in the middle of the canvas."""
    pixels = viewer.screenshot(canvas_only=True, flash=False)
    return tuple(map(int, pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, :3]))


def half(colour: tuple[int, ...]) -> Any:
    """Return a colour at half the opacity over black, as far as a screen is exact."""
    return pytest.approx([part / 2 for part in colour], abs=3)


def labels_of(viewer: Viewer) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def test_it_fills_in(make_napari_viewer: Callable[..., Viewer], qtbot: Any, tmp_path: Path) -> None:
    viewer = make_napari_viewer(show=True)
    growing = Growing(PublicOnlyProxy(viewer), stack(viewer, SMALL), tmp_path / "cells.zarr", (0, 0, 0))
    growing.look()
    assert len(viewer.layers) == 1
    with open_store(tmp_path / "cells.zarr", layout(SMALL)) as store:
        growing.look()
        image, layer = viewer.layers
        assert layer.name == "cells"
        assert isinstance(layer.data, View)
        assert not layer.multiscale
        assert not layer.editable
        assert layer.opacity == 0.5
        assert layer.metadata["napari-unet"]["provenance"] == {"model": "m"}
        assert list(layer.features["class"]) == ["interior", "membrane", "not computed yet"]
        assert centre(viewer) == (0, 0, 0)
        fill(store, 0, 2)
        growing.look()
        qtbot.waitUntil(lambda: centre(viewer) == half(ORANGE), timeout=3000)
        assert np.all(layer.data[0] == 2)
        assert np.all(layer.data[1] == 255)
        viewer.dims.set_current_step(0, 1)
        assert centre(viewer) == (0, 0, 0)
        fill(store, 1, 1)
        growing.finish()
        assert centre(viewer) == half(BLUE)
        assert np.all(layer.data[1] == 1)
        assert layer.get_status((1, 20, 20))["value"] == "1; class: interior"
    assert image.name == "stack"


def test_several_levels_and_probabilities(make_napari_viewer: Callable[..., Viewer], tmp_path: Path) -> None:
    viewer = make_napari_viewer(show=True)
    with open_store(tmp_path / "cells.zarr", layout(LARGE, probabilities=True)) as store:
        growing = Growing(viewer, stack(viewer, LARGE), tmp_path / "cells.zarr", (0, 0, 0))
        growing.look()
        assert [layer.name for layer in viewer.layers] == [
            "stack",
            "interior probability",
            "membrane probability",
            "cells",
        ]
        _, interior, membrane, layer = viewer.layers
        assert layer.multiscale
        assert [level.shape for level in layer.data] == layout(LARGE).level_shapes()
        assert not interior.visible
        assert not membrane.visible
        assert centre(viewer) == (0, 0, 0)
        fill(store, 0, 2)
        growing.finish()
        assert centre(viewer) == half(ORANGE)
        for level in layer.data:
            assert np.all(np.asarray(level[0, :, : 1024 * level.shape[2] // 1100]) == 2)
        viewer.scene.camera.zoom *= 8
        assert centre(viewer) == half(ORANGE)
        layer.visible = False
        membrane.visible = True
        assert centre(viewer) == pytest.approx([200] * 3, abs=3)


def test_it_reads_one_section_a_look(
    make_napari_viewer: Callable[..., Viewer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_shapes = []
    read_array = zarr.Array.__getitem__

    def counted(array: zarr.Array, key: Any) -> Any:
        pixels = read_array(array, key)
        read_shapes.append(np.shape(pixels))
        return pixels

    viewer = make_napari_viewer(show=True)
    with open_store(tmp_path / "cells.zarr", layout((9, 700, 700))) as store:
        monkeypatch.setattr(zarr.Array, "__getitem__", counted)
        growing = Growing(viewer, stack(viewer, (9, 700, 700)), tmp_path / "cells.zarr", (0, 0, 0))
        growing.look()
        fill(store, 0, 1)
        read_shapes.clear()
        growing.finish()
    assert read_shapes
    assert max(map(np.prod, read_shapes)) <= 700 * 700


def test_it_lies_on_the_image(make_napari_viewer: Callable[..., Viewer], store: Store) -> None:
    viewer = make_napari_viewer()
    fields = {"scale": (5, 2, 3), "translate": (7, 8, 9), "rotate": 30, "shear": (0, 0, 0.3)}
    units = ("um", "um", "um")
    image = stack(viewer, (4, 90, 90), **fields, affine=np.diag([1, 2, 2, 1]), units=units, axis_labels=("a", "b", "c"))
    Growing(viewer, image, store.path, (1, 4, 6)).look()
    (layer,) = labels_of(viewer)
    for z, y, x in np.random.default_rng(0).uniform(0, 60, (5, 3)):
        np.testing.assert_allclose(layer.data_to_world((z, y, x)), image.data_to_world((z + 1, y + 4, x + 6)))
    assert layer.units == image.units
    assert layer.axis_labels == image.axis_labels


def test_it_waits_between_two_refreshes(make_napari_viewer: Callable[..., Viewer], qtbot: Any, store: Store) -> None:
    viewer = make_napari_viewer()
    growing = Growing(viewer, stack(viewer, SMALL), store.path, (0, 0, 0))
    growing.look()
    (layer,) = labels_of(viewer)
    refreshed = []
    layer.events.set_data.connect(lambda: refreshed.append(layer))
    for _ in range(20):
        growing.look()
        qtbot.wait(40)
    assert 2 <= len(refreshed) <= 4
    count = len(refreshed)
    growing.look()
    growing.finish()
    assert len(refreshed) == count + 1
    layer.visible = False
    growing.finish()
    qtbot.wait(400)
    assert len(refreshed) == count + 1


def test_what_the_user_removes_stays_away(
    make_napari_viewer: Callable[..., Viewer], qtbot: Any, tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    with open_store(tmp_path / "cells.zarr", layout(SMALL, probabilities=True)) as store:
        growing = Growing(viewer, stack(viewer, SMALL), store.path, (0, 0, 0))
        growing.look()
        viewer.layers.selection.active = viewer.layers["cells"]
        viewer.layers.remove_selected()
        fill(store, 0, 2)
        growing.look()
        qtbot.wait(50)
        growing.finish()
    assert [layer.name for layer in viewer.layers] == ["stack", "interior probability", "membrane probability"]


def test_a_layer_that_is_opened_again_is_filled(
    make_napari_viewer: Callable[..., Viewer], qtbot: Any, store: Store
) -> None:
    viewer = make_napari_viewer(show=True)
    image = stack(viewer, SMALL)
    growing = Growing(viewer, image, store.path, (0, 0, 0))
    growing.look()
    viewer.layers.remove("cells")
    Growing(viewer, image, store.path, (0, 0, 0)).finish()  # as Earlier results > Open
    fill(store, 0, 2)
    growing.finish()
    assert centre(viewer) == half(ORANGE)


@pytest.mark.parametrize("over_its_image", [True, False])
def test_it_is_watched_while_another_process_makes_it(
    make_napari_viewer: Callable[..., Viewer], qtbot: Any, tmp_path: Path, over_its_image: bool
) -> None:
    viewer = make_napari_viewer(show=True)
    image: Image | None = stack(viewer, SMALL)
    with open_store(tmp_path / "cells.zarr", layout(SMALL)) as store:
        if not over_its_image:
            ((data, fields, _),) = read(str(store.path))
            viewer.add_layer(Labels(data, **{**fields, "opacity": 0.5, "scale": (1, 1, 1)}))
            image = None
        growing = Growing(viewer, image, store.path, (0, 0, 0))
        growing.look()
        fill(store, 0, 2)
        qtbot.waitUntil(lambda: centre(viewer) == half(ORANGE), timeout=5000)
        viewer.dims.set_current_step(0, 1)
        fill(store, 1, 1)
    qtbot.waitUntil(lambda: centre(viewer) == half(BLUE), timeout=5000)
    assert len(labels_of(viewer)) == 1


def test_a_layer_of_the_same_result_is_used_again(make_napari_viewer: Callable[..., Viewer], store: Store) -> None:
    viewer = make_napari_viewer()
    image = stack(viewer, SMALL, scale=(2, 3, 4), rotate=30)
    opened, second = (viewer.add_layer(Layer.create(*read(str(store.path))[0])) for _ in range(2))
    growing = Growing(PublicOnlyProxy(viewer), image, store.path, (0, 0, 0))
    growing.look()
    fill(store, 0, 1)
    growing.finish()
    assert viewer.layers == [image, opened, second]
    np.testing.assert_allclose(opened.data_to_world((1, 9, 8)), image.data_to_world((1, 9, 8)))
    assert not opened.editable
    assert opened._slice.image.raw.min() == 1


def test_another_result_in_that_folder(make_napari_viewer: Callable[..., Viewer], tmp_path: Path) -> None:
    viewer = make_napari_viewer()
    image = stack(viewer, SMALL)
    path = tmp_path / "cells.zarr"
    for model in ("old", "new"):
        shutil.rmtree(path, ignore_errors=True)
        open_store(path, layout(SMALL, model=model)).close()
        Growing(viewer, image, path, (0, 0, 0)).look()
    (layer,) = labels_of(viewer)
    assert layer.name == "cells"
    assert layer.metadata["napari-unet"]["provenance"] == {"model": "new"}


def test_it_lies_on_its_own_image_not_on_another_one(make_napari_viewer: Callable[..., Viewer]) -> None:
    viewer = make_napari_viewer()
    below = stack(viewer, SMALL)
    above = viewer.add_image(np.zeros(SMALL, np.uint8), name="above")
    pixels = np.ones((60, 80), np.uint8)

    def order() -> list[str]:
        return [layer.name for layer in viewer.layers]

    preview = show_preview(viewer, above, pixels, CLASSES, 0, 0, 0, "preview")
    assert (order(), show_first(viewer, preview)) == (["stack", "above", "preview"], "")
    show_preview(viewer, below, pixels, CLASSES, 0, 0, 0, "preview")
    assert order() == ["stack", "preview", "above"]
    assert show_first(viewer, preview) == "above lies over preview; its eye in the layer list shows what is below."
    viewer.add_image(np.zeros(SMALL, np.uint8), name="top")
    told = "above and top lie over preview; their eyes in the layer list show what is below."
    assert show_first(viewer, preview) == told
    viewer.layers.remove("top")
    viewer.layers.move(1, 3)
    show_preview(viewer, below, pixels, CLASSES, 0, 0, 0, "preview")
    assert (order(), show_first(viewer, preview)) == (["stack", "above", "preview"], "")  # as somebody put it


def test_it_comes_before_others_when_there_is_a_tile_of_it(
    make_napari_viewer: Callable[..., Viewer], qtbot: Any, tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    image, told = stack(viewer, SMALL), list[str]()

    def grow(store: Store) -> Growing:
        growing = Growing(viewer, image, store.path, (0, 0, 0))
        growing.said.connect(told.append)
        growing.look()
        return growing

    def seen() -> list[str]:
        return [layer.name for layer in labels_of(viewer) if layer.visible]

    again = "is hidden now; its eye in the layer list shows it again."
    with (
        open_store(tmp_path / "a.zarr", layout(SMALL)) as former,
        open_store(tmp_path / "b.zarr", layout(SMALL)) as new,
    ):
        fill(former, 0, 1)
        kept = [grow(former)]
        qtbot.wait(700)
        kept.append(grow(new))
        qtbot.wait(700)
        assert seen() == ["a", "b"]  # nothing is seen of the new one
        fill(new, 1, 2)
        qtbot.waitUntil(lambda: seen() == ["b"], timeout=5000)
        kept.append(grow(former))  # goes on: what it had is seen at once
        qtbot.waitUntil(lambda: seen() == ["a"], timeout=5000)
    assert told == [f"a {again}", f"b {again}"]


def test_it_does_not_disturb_painting(make_napari_viewer: Callable[..., Viewer], store: Store) -> None:
    viewer = make_napari_viewer()
    image = stack(viewer, SMALL)
    strokes = viewer.add_layer(Labels(np.zeros(SMALL, np.uint8), name="strokes"))
    strokes.mode = "paint"
    proxy = PublicOnlyProxy(viewer)
    Growing(proxy, proxy.layers["stack"], store.path, (0, 0, 0)).look()
    show_preview(proxy, proxy.layers["stack"], np.ones((5, 5), np.uint8), CLASSES, 0, 0, 0, "preview")
    assert [layer.name for layer in viewer.layers] == ["stack", "cells", "preview", "strokes"]
    assert viewer.layers.selection.active is strokes
    assert strokes.mode == "paint"
    viewer.layers.selection = {image, strokes}
    viewer.layers.remove("preview")
    show_preview(viewer, image, np.ones((5, 5), np.uint8), CLASSES, 0, 0, 0, "preview")
    assert viewer.layers.selection == {image, strokes}


@pytest.mark.slow
def test_an_image_leaves_the_memory_after_a_job_that_made_nothing(
    make_napari_viewer: Callable[..., Viewer], tmp_path: Path
) -> None:
    viewer = make_napari_viewer()
    image = weakref.ref(stack(viewer, SMALL))
    growing = Growing(viewer, image(), tmp_path / "none.zarr", (0, 0, 0))
    growing.finish()
    viewer.layers.clear()
    gc.collect()
    assert image() is None
    assert labels_of(viewer) == []


def test_a_preview(make_napari_viewer: Callable[..., Viewer]) -> None:
    viewer = make_napari_viewer(show=True)
    image = stack(viewer, (4, 90, 90), scale=(5, 2, 2), translate=(7, 8, 9), rotate=20)
    pixels = np.full((30, 40), 2, np.uint8)
    layer = show_preview(PublicOnlyProxy(viewer), image, pixels, CLASSES, 1, 30, 25, "preview")
    np.testing.assert_allclose(layer.data_to_world((0, 3, 4)), image.data_to_world((1, 33, 29)))
    assert not layer.editable
    assert centre(viewer) == (0, 0, 0)
    viewer.dims.set_point(0, layer.data_to_world((0, 15, 20))[0])
    assert centre(viewer) == half(ORANGE)
    pixels = np.ones((60, 50), np.uint8)
    pixels[20:40] = 255
    classes = (PixelClass(1, "inside", "#ff0000"),)
    again = show_preview(viewer, image, pixels, classes, 2, 0, 25, "preview")
    assert again is labels_of(viewer)[0]
    assert len(viewer.layers) == 2
    np.testing.assert_allclose(again.data_to_world((0, 3, 4)), image.data_to_world((2, 3, 29)))
    np.testing.assert_array_equal(again.data, pixels[np.newaxis])
    np.testing.assert_allclose(again.get_color(1), [1, 0, 0, 1])
    assert list(again.features["class"]) == ["inside", "not computed yet"]
    assert not again.editable
    other = show_preview(viewer, image, pixels, classes, 2, 0, 25, "other")
    assert labels_of(viewer) == [again, other]
    np.testing.assert_array_equal(other.colormap.map(np.array([[0, 1, 255]], np.uint8))[..., 3], [[0, 1, 0]])
