"""One stack of an image with time points or channels, taken in the panel."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton

from napari_unet.widgets.handover import volume_of
from napari_unet.widgets.onestack import one_stack

from .conftest import panel_of

PIXELS = np.random.default_rng(4).integers(0, 255, (3, 4, 60, 80)).astype(np.uint8)
PLACE = {
    "scale": (2, 50, 4, 4),
    "translate": (7, 100, 8, 12),
    "units": ("second", "nm", "nm", "nm"),
    "axis_labels": ("t", "z", "y", "x"),
}


@pytest.fixture
def shown(driver, fake):
    """Return the panel, over an image of time points."""
    driver.viewer.add_image(PIXELS, name="film", **PLACE)
    panel = panel_of(driver, "Segment")
    panel.ensureWidgetVisible(driver.find(panel, QPushButton, "take"))
    return panel


@pytest.mark.parametrize("kind", ["numpy", "dask", "multiscale"])
@pytest.mark.parametrize("held", [{0: 2}, {1: 3}])
def test_a_stack_shows_what_the_image_shows_there_and_lies_where_that_lies(kind, held) -> None:
    data = {"numpy": PIXELS, "dask": da.from_array(PIXELS), "multiscale": [PIXELS, PIXELS[:, :, ::2, ::2]]}[kind]
    film = Image(data, multiscale=kind == "multiscale", rotate=np.diag([1.0, 1, -1, -1]), shear=np.zeros(6), **PLACE)
    taken = one_stack(film, held, "taken")
    ((axis, at),) = held.items()
    volume = volume_of(taken)
    np.testing.assert_array_equal([volume.section(z) for z in range(volume.shape[0])], PIXELS.take(at, axis))
    if taken.multiscale:
        np.testing.assert_array_equal(np.asarray(taken.data[1]), PIXELS[:, :, ::2, ::2].take(at, axis))
    voxel = np.array([1, 20, 30])
    world = film.data_to_world(np.insert(voxel, axis, at))
    np.testing.assert_allclose(taken.data_to_world(voxel), np.delete(world, axis))


def test_a_stack_in_nanometres_knows_its_voxel_size() -> None:
    assert volume_of(one_stack(Image(PIXELS, **PLACE), {0: 1}, "")).voxel_size == (50, 4, 4)


def test_a_coarse_level_with_fewer_time_points_shows_the_nearest_before() -> None:
    film = Image([PIXELS, PIXELS[::2, :, ::2, ::2]], multiscale=True)
    taken = one_stack(film, {0: 2}, "")
    np.testing.assert_array_equal(np.asarray(taken.data[1]), PIXELS[2, :, ::2, ::2])


def test_the_sliders_say_which_one_and_the_button_takes_it(driver, shown) -> None:
    film = driver.viewer.layers["film"]
    take, reason = driver.find(shown, QPushButton, "take"), driver.find(shown, QLabel, "reason")
    assert "film has 4 axes" in reason.text()
    driver.viewer.dims.set_current_step(0, 2)
    assert take.text() == "Take t 2 as a stack"
    film.contrast_limits = 20, 200
    driver.click(take)
    assert [layer.name for layer in driver.viewer.layers] == ["film", "film, t 2"]
    taken = driver.viewer.layers["film, t 2"]
    assert shown._image.value is taken
    assert [take.isVisible(), reason.isVisible()] == [False, False]
    assert driver.find(shown, QPushButton, "segment").isEnabled()
    assert (*taken.scale, *taken.translate) == (50, 4, 4, 100, 8, 12)
    assert taken.contrast_limits == [20, 200]
    np.testing.assert_array_equal(taken.data[1], PIXELS[2, 1])


def test_another_axis_can_count_the_sections(driver, shown) -> None:
    along, take = driver.find(shown, QComboBox, "along"), driver.find(shown, QPushButton, "take")
    assert [along.itemText(i) for i in range(along.count())] == ["t (3)", "z (4)"]
    assert along.currentText() == "z (4)"
    driver.viewer.dims.set_current_step(1, 3)
    along.setCurrentIndex(0)
    assert take.text() == "Take z 3 as a stack"
    driver.click(take)
    np.testing.assert_array_equal(driver.viewer.layers["film, z 3"].data[0], PIXELS[0, 3])


def test_axes_without_a_name_are_counted(driver, fake) -> None:
    driver.viewer.add_image(PIXELS, name="film")
    panel = panel_of(driver, "Segment")
    along, take = driver.find(panel, QComboBox, "along"), driver.find(panel, QPushButton, "take")
    assert [along.itemText(i) for i in range(along.count())] == ["axis 1 (3)", "axis 2 (4)"]
    driver.viewer.dims.set_current_step(0, 2)
    assert take.text() == "Take axis 1 at 2 as a stack"
    driver.click(take)
    assert [layer.name for layer in driver.viewer.layers] == ["film", "film, axis 1 at 2"]


def test_an_image_of_three_axes_is_not_asked_about(driver, fake) -> None:
    driver.viewer.add_image(PIXELS[0], name="stack")
    panel = panel_of(driver, "Segment")
    assert not driver.find(panel, QPushButton, "take").isVisible()
    driver.viewer.add_image(PIXELS, name="film")
    panel._image.choose(driver.viewer.layers["film"])
    assert driver.find(panel, QPushButton, "take").isVisible()
