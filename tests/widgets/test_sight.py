from typing import Any

import numpy as np
import pytest

from napari_unet.widgets.sight import InView, around, in_view, show_part

STACK = np.zeros((10, 400, 600), np.uint8)


def looked_at(viewer: Any, centre: tuple[float, float], shown: float, z: float) -> None:
    """Show `shown` units of the world in the height of the canvas (300 by 400 pixels)."""
    viewer.canvas.size = (300, 400)
    viewer.scene.camera.center = (0, *centre)
    viewer.scene.camera.zoom = 300 / shown
    viewer.dims.set_point(0, z)


@pytest.mark.parametrize("pyramid", [False, True])
@pytest.mark.parametrize("scale", [(1, 1, 1), (50, 4, 4)])
def test_the_part_in_view(make_napari_viewer_proxy: Any, pyramid: bool, scale: tuple[float, ...]) -> None:
    viewer = make_napari_viewer_proxy()
    data = [STACK, STACK[:, ::2, ::2], STACK[:, ::4, ::4]] if pyramid else STACK
    layer = viewer.add_image(data, multiscale=pyramid, scale=scale, translate=(100, 40, -8))
    step = scale[1]
    looked_at(viewer, (40 + 150 * step, -8 + 200.2 * step), 30 * step, 100 + 7 * scale[0])
    assert in_view(viewer, layer) == InView(7, 135, 166, 180, 221)
    assert in_view(viewer, layer, largest=20) == InView(7, 140, 160, 190, 210)
    looked_at(viewer, (40, -8), 100 * step, 100 + 2 * scale[0])  # the corner of the image amid the view
    assert in_view(viewer, layer) == InView(2, 0, 51, 0, 68)
    looked_at(viewer, (40 + 450 * step, -8), 60 * step, 100)
    assert in_view(viewer, layer) is None


def test_the_view_agrees_with_what_napari_draws(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    layer = viewer.add_image(STACK, scale=(50, 4, 4), rotate=(0, 0, 0))
    viewer.scene.camera.zoom *= 4
    qtbot.wait(100)
    (_, y0, x0), (_, y1, x1) = layer.corner_pixels
    found = in_view(viewer, layer)
    assert found is not None
    assert 0 < y0 < y1 < 399
    np.testing.assert_allclose([found.y0, found.y1, found.x0, found.x1], [y0, y1, x0, x1], atol=2)


def test_a_view_in_other_units(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_image(STACK, scale=(0.05, 0.004, 0.004), units="um")
    viewer.add_image(STACK, scale=(50, 4, 4), units="nm")
    looked_at(viewer, (600, 800), 120, 350)
    assert in_view(viewer, layer) == in_view(viewer, viewer.layers[1]) == InView(7, 135, 166, 180, 221)


def test_a_turned_image(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_image(STACK, rotate=(0, 0, 90))
    assert tuple(np.round(layer.data_to_world((3, 150, 200)))) == (3, -200, 150)
    looked_at(viewer, (-200, 150), 30, 3)
    assert in_view(viewer, layer) == InView(3, 130, 171, 185, 216)


def test_one_image_alone_and_below_a_stack(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_image(STACK[0])
    viewer.canvas.size = (300, 400)
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 150, 200), 10
    assert in_view(viewer, layer) == InView(0, 135, 166, 180, 221)
    viewer.add_image(STACK)
    looked_at(viewer, (150, 200), 30, 5)
    assert in_view(viewer, layer) == InView(0, 135, 166, 180, 221)


def test_no_section_in_view(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_image(STACK[:, :20, :20])
    assert in_view(viewer, layer) is not None
    viewer.dims.order = (1, 0, 2)
    assert in_view(viewer, layer) is None
    viewer.dims.order = (0, 2, 1)
    assert in_view(viewer, layer) is not None
    viewer.dims.ndisplay = 3
    assert in_view(viewer, layer) is None


def test_a_section_beside_the_image(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_image(STACK[:3, :20, :20])
    viewer.add_image(STACK[:, :20, :20])
    viewer.dims.set_point(0, 5)
    assert in_view(viewer, layer) is None


@pytest.mark.parametrize(
    "place",
    [
        {"scale": (50, 4, 4), "translate": (0, 8, 12), "units": "nm"},
        {"scale": (0.05, 0.004, 0.004), "units": "um"},
        {"rotate": (0, 0, 90)},
    ],
)
def test_a_voxel_comes_into_the_middle_with_what_is_around_it(make_napari_viewer: Any, place: dict) -> None:
    viewer = make_napari_viewer()
    layer = viewer.add_image(STACK, **place)
    viewer.add_image(STACK, scale=(50, 4, 4), units=place.get("units") and "nm")
    viewer.canvas.size = (260, 260)
    for zoom, voxel in ((1e-3, (7, 150, 200)), (1e6, (3, 70, 80))):
        viewer.scene.camera.zoom = zoom
        show_part(viewer, layer, around(*voxel))
        view = in_view(viewer, layer)
        assert view is not None
        assert (view.z, (view.y0 + view.y1) // 2, (view.x0 + view.x1) // 2) == voxel
        assert view.y1 - view.y0 == view.x1 - view.x0 == 131  # twice 65 pixels, half of one at each end


@pytest.mark.parametrize("kind", ["stack", "section", "micrometres"])
@pytest.mark.parametrize("zoom", [0.01, 1.0, 400.0])
def test_a_part_comes_into_the_middle_of_the_view(make_napari_viewer: Any, kind: str, zoom: float) -> None:
    viewer = make_napari_viewer()
    pixels = np.zeros((400, 600) if kind == "section" else (6, 400, 600), np.uint8)
    image = viewer.add_image(pixels, scale=(5, 2, 2)[-pixels.ndim :], translate=(7, 8, 9)[-pixels.ndim :])
    if kind == "micrometres":
        image.units = ("um",) * 3
        viewer.add_labels(np.zeros((3, 3, 3), int), units=("nm",) * 3)
    part = InView(0 if kind == "section" else 4, 100, 228, 300, 428)
    viewer.scene.camera.zoom = zoom
    show_part(viewer, image, part)
    view = in_view(viewer, image)
    assert view is not None
    assert view.z == part.z
    assert view.y0 <= part.y0 < part.y1 <= view.y1
    assert view.x0 <= part.x0 < part.x1 <= view.x1
    height, width = np.array(viewer.canvas.size) / viewer.scene.camera.zoom / 2  # in pixels of the image
    if kind != "micrometres":
        assert (width < 6 * 128 + 1) or (height < 6 * 128 + 1)
    assert abs((view.y0 + view.y1) / 2 - 164) <= max(1, abs(view.y1 - view.y0 - height))
    zoomed = viewer.scene.camera.zoom
    show_part(viewer, image, part)
    assert viewer.scene.camera.zoom == zoomed


def test_a_part_of_a_flat_image_is_looked_at_where_labels_over_it_lie(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((6, 40, 60), np.uint8))
    flat = viewer.add_image(np.zeros((40, 60), np.uint8))
    viewer.dims.set_current_step(0, 4)
    show_part(viewer, flat, InView(0, 10, 20, 30, 40))
    assert viewer.dims.current_step[0] == 0


@pytest.mark.parametrize(("what", "before"), [("ndisplay", 3), ("order", (1, 0, 2))])
def test_a_part_is_looked_at_in_its_section_also_from_3d_and_rolled_axes(
    make_napari_viewer: Any, what: str, before: Any
) -> None:
    viewer = make_napari_viewer()
    image = viewer.add_image(np.zeros((6, 40, 60), np.uint8))
    setattr(viewer.dims, what, before)
    show_part(viewer, image, InView(4, 10, 20, 30, 40))
    view = in_view(viewer, image)
    assert view is not None
    assert view.z == 4
    assert view.y0 <= 10 < 20 <= view.y1
    assert view.x0 <= 30 < 40 <= view.x1
