"""The Segment panel in real windows, clicked and typed into; a fake worker computes."""

from __future__ import annotations

import errno
import shlex
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDockWidget,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QToolButton,
    QWidget,
)

from napari_unet import cli
from napari_unet.config import SegmentConfig
from napari_unet.requests import Begin, Stop
from napari_unet.result import open_result
from napari_unet.widgets import handover
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.remembered import FILE

from .conftest import panel_of
from .test_models import a_run

SHAPE = (4, 60, 80)


def grey(shape=SHAPE) -> np.ndarray:
    """A stack in which no two sections are alike."""
    return np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)


class Session:
    """A window with the panel, and what a person sees and presses there."""

    def __init__(self, driver, fake) -> None:
        self.driver, self.fake, self.viewer = driver, fake, driver.viewer
        self.panel = panel_of(driver, "Segment")
        self.driver.wait(lambda: self.panel.jobs is not None and self.panel.jobs.ready is not None, 10)

    def find(self, kind, name):
        return self.driver.find(self.panel, kind, name)

    def press(self, name) -> None:
        self.driver.wait(lambda: self.find(QPushButton, name).isEnabled(), 10)
        self.driver.click(self.find(QPushButton, name))

    def says(self, name="message") -> str:
        label = self.find(QLabel, name)
        return label.text() if label.isVisible() else ""

    def pick(self, name, text) -> None:
        """Choose in a combo box with the keys."""
        box = self.find(QComboBox, name)
        box.setFocus()
        QTest.keyClick(box, Qt.Key.Key_Home)
        while box.currentText() != text:
            before = box.currentIndex()
            QTest.keyClick(box, Qt.Key.Key_Down)
            assert box.currentIndex() > before, f"no {text}"

    def begun(self, count=1) -> list[SegmentConfig]:
        """Wait for so many jobs, and return what they were asked."""
        self.driver.wait(lambda: len(self.fake.asked(Begin)) >= count, 10)
        return [SegmentConfig(**begin.config) for begin in self.fake.asked(Begin)]

    def results(self) -> list[Labels]:
        return [layer for layer in self.viewer.layers if isinstance(layer, Labels) and layer.name != "U-Net preview"]

    def result(self) -> Labels:
        """Wait for the result and return its layer."""
        self.driver.wait(lambda: len(self.results()) == 1, 10)
        return self.results()[0]

    def done(self) -> None:
        self.driver.wait(lambda: self.says("progress").startswith("Done"), 10)

    def choose(self, name, start) -> None:
        self.driver.choose(self.find(QPushButton, name), start)


@pytest.fixture
def session(driver, fake) -> Iterator[Session]:
    session = Session(driver, fake)
    yield session
    vars(session).clear()  # as for the driver


def test_nothing_can_begin_without_an_image_and_the_panel_says_why(session):
    buttons = [session.find(QPushButton, name) for name in ("preview", "segment", "command")]

    def reason(words):
        assert words in session.says("reason")
        assert not any(button.isEnabled() for button in buttons)
        assert all(words in button.toolTip() for button in buttons)

    reason("Open an image first")
    colour = session.viewer.add_image(np.zeros((4, 8, 8, 3), np.uint8), rgb=True)
    reason("Split RGB")
    session.viewer.layers.remove(colour)
    many = session.viewer.add_image(np.zeros((2, 3, 4, 8, 8), np.uint8), name="many")
    reason("many has 5 axes")
    session.viewer.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    session.pick("image", "stack")
    assert session.says("reason") == ""
    assert all(button.isEnabled() for button in buttons)
    session.driver.click(session.find(QToolButton, "fold"))
    session.driver.type(session.find(QWidget, "tile").findChild(QLineEdit), "100")
    reason("multiple of 16")
    assert many in session.viewer.layers


def test_the_image_keeps_its_place_in_the_choice(session):
    first = session.viewer.add_image(np.zeros(SHAPE, np.uint8), name="first")
    box = session.find(QComboBox, "image")
    session.viewer.add_image(np.zeros(SHAPE, np.uint8), name="second")
    assert box.currentText() == "first"
    first.name = "renamed"
    assert box.currentText() == "renamed"
    session.viewer.layers.move(0, 2)
    assert box.currentText() == "renamed"
    session.viewer.layers.remove(first)
    assert box.currentText() == "second"


def _layers(folder: Path) -> dict[str, Image]:
    """Return a stack as each kind of layer, and a single section."""
    pixels = grey()
    tifffile.imwrite(folder / "memmap.tif", pixels, photometric="minisblack")
    stored = zarr.create_array(folder / "stored.zarr", data=pixels, chunks=(1, 60, 80))
    return {
        "numpy": Image(pixels),
        "memmap": Image(tifffile.memmap(folder / "memmap.tif", mode="r")),
        "zarr": Image(stored),
        "dask": Image(da.from_array(pixels, chunks=(1, 60, 80))),
        "multiscale": Image([pixels, pixels[:, ::2, ::2]], multiscale=True),
        "section": Image(pixels[1]),
    }


@pytest.mark.parametrize(
    "name",
    [
        "numpy",
        "multiscale",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("memmap", "zarr", "dask", "section")),
    ],
)
def test_every_kind_of_image_is_previewed_and_segmented(session, tmp_path, name):
    session.fake.does("finish")
    pixels = grey()
    layer = session.viewer.add_layer(_layers(tmp_path)[name])
    if layer.ndim == 3:
        session.driver.show_section(1)
    session.press("preview")
    session.driver.wait(lambda: session.says() == "Previewed with em-membrane.", 10)
    preview = session.viewer.layers["U-Net preview"]
    y, x = preview.translate[1:].astype(int)
    box = pixels[1, y : y + preview.data.shape[1], x : x + preview.data.shape[2]]
    np.testing.assert_array_equal(preview.data, [np.where(box > box.mean(), 1, 2)])
    assert box.size > pixels[1].size / 2
    session.press("segment")
    result = session.result()
    session.done()
    section = np.asarray(result.data)[0 if name == "section" else 1]
    np.testing.assert_array_equal(section, np.where(pixels[1] > pixels[1].mean(), 1, 2))
    assert not preview.visible
    config = session.begun(2)[-1]
    in_place = {"memmap": tmp_path / "memmap.tif", "zarr": tmp_path / "stored.zarr"}
    assert config.image == in_place.get(name, config.image)
    assert name in in_place or config.image.parent.name == "copies"


def test_the_result_lies_on_its_image_and_grows(session, home, tmp_path):
    place = {
        "scale": (40, 4, 4),
        "translate": (400, 80, 40),
        "rotate": 20,
        "shear": (0, 0, 0.1),
        "affine": np.diag([1, 2, 2, 1]),
        "units": ("nm", "nm", "nm"),
        "axis_labels": ("z", "y", "x"),
    }
    image = session.viewer.add_image(grey(), name="my stack", **place)
    session.viewer.add_image(grey(), name="above", visible=False)
    session.press("segment")
    result = session.result()
    assert [layer.name for layer in session.viewer.layers] == ["my stack", "my-stack-em-membrane", "above"]
    for name in place:
        np.testing.assert_array_equal(getattr(result, name), getattr(image, name))
    assert list(result.features["class"])[:2] == ["interior", "membrane"]
    session.driver.wait(lambda: "tile 1 of 4, 1 min 00 s left" in session.says("progress"), 10)
    assert np.unique(result.data[0]).tolist() == [1, 2]
    assert np.unique(result.data[3]).tolist() == [255]
    assert not session.find(QPushButton, "segment").isEnabled()
    assert session.find(QPushButton, "segment").toolTip() == "A segmentation is running."
    session.viewer.layers.move(1, 0)
    image.name, result.name = "other", "mine"
    session.fake.does("finish")
    session.done()
    assert result in session.viewer.layers
    assert np.unique(result.data[3]).tolist() == [1, 2]
    assert result.metadata["napari-unet"]["path"] == str(home.segmentations / "my-stack-em-membrane.zarr")
    assert open_result(home.segmentations / "my-stack-em-membrane.zarr").layout.voxel_size == pytest.approx(
        (40, 8, 8), rel=0.01
    )


@pytest.mark.slow
def test_layers_may_be_removed_while_the_job_runs(session):
    image = session.viewer.add_image(grey(), name="stack")
    session.press("segment")
    session.viewer.layers.remove(image)
    session.viewer.layers.remove(session.result())
    session.fake.does("finish")
    session.done()
    assert session.results() == []


@pytest.mark.slow
def test_the_end_of_a_job_is_said_with_its_name_where_another_image_is_chosen(session):
    session.viewer.add_image(grey(), name="stack")
    session.fake.does("wait")
    session.press("segment")
    session.result()
    session.viewer.add_image(grey()[::-1], name="other")
    session.pick("image", "other")
    session.fake.does("finish")
    session.driver.wait(lambda: session.says("progress").startswith("stack: Done: "), 10)
    session.pick("image", "stack")
    assert session.says("progress").startswith("Done: ")
    session.pick("image", "other")
    assert session.says("progress").startswith("stack: Done: ")
    session.pick("image", "stack")
    session.viewer.layers.remove("stack")  # then the other one is chosen
    assert session.says("progress").startswith("stack: Done: ")


@pytest.mark.slow
def test_a_preview_of_an_image_that_was_removed_is_not_shown(session):
    image = session.viewer.add_image(grey(), name="stack")
    session.fake.does("wait")
    session.press("preview")
    session.begun()
    session.viewer.layers.remove(image)
    session.viewer.add_image(grey()[::-1], name="other")
    session.fake.does("finish")
    session.driver.wait(lambda: session.says().startswith("stack was closed, so its preview is not shown."), 10)
    assert [layer.name for layer in session.viewer.layers] == ["other"]
    session.press("preview")
    session.driver.wait(lambda: "U-Net preview" in session.viewer.layers, 10)


@pytest.mark.slow
def test_the_file_of_a_result_tells_where_a_copied_image_lies(session):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack", scale=(50, 4, 4), translate=(25, 2, -6), units="nm")
    session.pick("part", "some sections")
    session.driver.type(session.find(QSpinBox, "first"), "1")
    session.press("segment")
    result = session.result()
    session.done()
    (config,) = session.begun()
    assert (config.place, config.region) == ("0.5,0.5,-1.5", "1:4,:,:")
    np.testing.assert_allclose(result.translate, (75, 2, -6))


def test_what_the_widgets_show_is_what_is_asked(session, home):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack")
    session.pick("part", "some sections")
    first, last = session.find(QSpinBox, "first"), session.find(QSpinBox, "last")
    assert (first.value(), last.value()) == (0, 3)
    session.driver.type(first, "1")
    session.driver.type(last, "2")
    session.driver.click(session.find(QCheckBox, "probabilities"))
    session.driver.click(session.find(QToolButton, "fold"))
    session.driver.type(session.find(QWidget, "tile").findChild(QLineEdit), "256")
    session.driver.type(session.find(QWidget, "threads").findChild(QLineEdit), "2")
    session.pick("device", "cpu")
    session.pick("precision", "bfloat16")
    session.press("segment")
    result = session.result()
    session.done()
    (config,) = session.begun()
    assert config == SegmentConfig(
        image=config.image,
        out=home.segmentations / "stack-em-membrane.zarr",
        region="1:3,:,:",
        probabilities=True,
        tile=256,
        threads=2,
        device="cpu",
        precision="bfloat16",
    )
    assert result.translate.tolist() == [1, 0, 0]
    assert result.data.shape == (2, 60, 80)
    names = [layer.name for layer in session.viewer.layers]
    assert names == ["stack", "interior probability", "membrane probability", "stack-em-membrane"]
    assert [layer.visible for layer in session.viewer.layers] == [True, False, False, True]
    assert session.find(QComboBox, "image").count() == 1


def test_what_lies_over_a_flat_image_comes_into_view_beside_a_stack(session):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack")
    session.viewer.add_image(grey()[0], name="flat")
    session.pick("image", "flat")
    for _ in range(2):
        session.driver.show_section(2)
        session.press("preview")
        assert session.viewer.dims.current_step[0] == 0
        session.driver.wait(lambda: "U-Net preview" in session.viewer.layers, 10)
        session.driver.wait(lambda: session.find(QPushButton, "preview").text() == "Preview section", 10)
    session.driver.show_section(2)
    session.press("segment")
    assert session.viewer.dims.current_step[0] == 0


@pytest.mark.parametrize("button", ["preview", "segment"])
@pytest.mark.parametrize("start", [pytest.param(0, marks=pytest.mark.slow), 1000])
def test_what_comes_over_a_flat_image_leaves_who_paints_on_a_stack_where_he_is(session, button, start):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack", translate=(start, 0, 0))
    session.viewer.add_image(grey()[0], name="flat")
    session.pick("image", "flat")
    session.press(button)
    session.driver.show_section(2)
    count, here = len(session.viewer.layers), session.viewer.dims.point
    session.driver.wait(lambda: len(session.viewer.layers) > count, 10)
    assert session.viewer.dims.point == here


@pytest.mark.slow
@pytest.mark.parametrize("button", ["preview", "segment"])
def test_what_lies_over_a_flat_image_comes_into_view_beside_a_stack_that_begins_elsewhere(session, button):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack", translate=(1000, 0, 0))
    session.viewer.add_image(grey()[0], name="flat")
    session.pick("image", "flat")
    count = len(session.viewer.layers)
    session.press(button)
    session.driver.wait(lambda: len(session.viewer.layers) > count, 10)
    assert session.viewer.dims.point[0] == 0


@pytest.mark.slow
def test_a_preview_that_was_over_a_stack_comes_into_view_over_a_flat_image(session):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack", translate=(1000, 0, 0))
    session.viewer.add_image(grey()[0], name="flat")
    for name in ("stack", "flat"):
        session.pick("image", name)
        session.press("preview")
        session.driver.wait(lambda: session.says().startswith("Previewed"), 20)
        assert session.viewer.dims.point[0] == session.viewer.layers["U-Net preview"].translate[0]


def test_what_is_in_view(session):
    session.fake.does("finish")
    image = session.viewer.add_image(grey((4, 600, 800)), name="stack")
    session.driver.show_section(2)
    session.viewer.scene.camera.center = (0, 300, 400)
    session.viewer.scene.camera.zoom = 10
    session.pick("part", "what is in view")
    session.press("segment")
    result = session.result()
    session.done()
    z, y, x = ([int(end) for end in part.split(":")] for part in session.begun()[0].region.split(","))
    assert z == [2, 3]
    assert 0 < y[0] < 300 < y[1] < 600
    assert 0 < x[0] < 400 < x[1] < 800
    assert result.translate.tolist() == [2, y[0], x[0]]
    session.viewer.scene.camera.center = (0, 5000, 5000)
    session.press("segment")
    assert session.says() == "The image is not in view. Show the part to segment first."
    session.press("preview")
    assert session.says() == "The image is not in view. Show a section of it first."
    for rolled, order in ((3, (0, 1, 2)), (2, (1, 0, 2))):
        session.viewer.dims.ndisplay, session.viewer.dims.order = rolled, order
        for button in ("segment", "preview"):
            session.press(button)
            assert session.says() == "Go back to the 2-D view of rows and columns first."
            session.panel.say("")
    assert image in session.viewer.layers
    assert len(session.begun()) == 1


@pytest.mark.parametrize("everywhere", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_section_with_pixels_that_are_no_numbers_is_named_as_the_user_knows_it(session, everywhere):
    pixels = grey().astype(np.float32)
    pixels[1:3, : 60 if everywhere else 5] = np.nan
    session.viewer.add_image(pixels, name="nan", contrast_limits=(0, 255))
    session.driver.show_section(2)
    session.press("preview")
    said = (
        "Section 2 of nan holds grey values that are not numbers or are infinite. "
        "Replace them, for example with 0, and start again."
    )
    session.driver.wait(lambda: session.says() == said, 10)
    session.fake.does("finish")
    session.driver.show_section(3)
    session.press("preview")
    session.driver.wait(lambda: session.says() == "Previewed with em-membrane.", 10)


def test_the_button_says_which_part_it_segments(session):
    session.viewer.add_image(grey(), name="stack")
    button = session.find(QPushButton, "segment")
    for part, text in (
        ("some sections", "Segment sections"),
        ("what is in view", "Segment view"),
        ("the whole stack", "Segment stack"),
    ):
        session.pick("part", part)
        assert button.text() == text


@pytest.mark.slow
def test_results_of_an_image_with_a_long_name_tell_what_made_them(session, home):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="a" * 70)
    own = f"{'a' * 53}-labels"  # as a model that was trained on labels of it
    a_run(home.root, own)
    made = {"em-membrane": "em-membrane", "em-membrane-small": "em-membrane-small", str(home.runs / own): "segmented"}
    for model, ending in made.items():
        session.panel.findChild(ModelChoice).choose(model)
        session.press("segment")
        session.driver.wait(lambda end=f"a-{ending}": any(each.name.endswith(end) for each in session.results()), 10)
        session.done()


def test_of_results_and_previews_over_an_image_one_is_seen_at_a_time(session):
    again = "is hidden now; its eye in the layer list shows it again."
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack")

    def seen() -> list[str]:
        return [each.name for each in session.viewer.layers if isinstance(each, Labels) and each.visible]

    def says_beside_the_job() -> list[str]:
        return [each.text() for each in session.panel.findChildren(QLabel, "said")]

    session.press("preview")
    session.driver.wait(lambda: seen() == ["U-Net preview"], 10)
    session.press("segment")
    session.driver.wait(lambda: seen() == ["stack-em-membrane"], 10)
    session.done()
    assert says_beside_the_job() == []
    session.panel.findChild(ModelChoice).choose("em-membrane-small")
    session.press("preview")
    session.driver.wait(lambda: session.says().endswith(f". stack-em-membrane {again}"), 10)
    assert seen() == ["U-Net preview"]
    session.viewer.layers["stack-em-membrane"].visible = True
    session.press("segment")
    session.driver.wait(lambda: says_beside_the_job() == [f"stack-em-membrane {again}"], 10)
    assert seen() == ["stack-em-membrane-small"]
    session.done()
    session.choose("earlier", "Open stack-em-membrane")
    session.driver.wait(lambda: session.says() == f"stack-em-membrane-small {again}", 10)
    assert seen() == ["stack-em-membrane"]


def test_a_preview_leaves_nothing_in_the_library(session, home):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="stack")
    session.press("preview")
    session.driver.wait(lambda: session.says() == "Previewed with em-membrane.", 10)
    assert session.begun()[0].image.parent == session.panel.jobs.scratch
    assert {file.name for file in home.root.iterdir()} == {FILE, "sessions"}  # what was chosen, what is open


@pytest.mark.slow
def test_a_segmentation_goes_on_when_the_copy_of_its_image_is_gone(session, home):
    session.viewer.add_image(grey(), name="stack")
    session.press("segment")
    session.result()
    session.press("stop")
    session.driver.wait(lambda: session.says("progress").startswith("Stopped"), 10)
    shutil.rmtree(home.copies)
    session.fake.does("finish")
    session.press("resume")
    session.done()
    assert session.begun(2)[1].image.exists()
    assert 255 not in np.asarray(session.result().data)


@pytest.mark.slow
def test_settings_changed_while_files_are_prepared_are_for_the_next_job(session):
    session.fake.does("finish")
    session.viewer.add_image(grey((60, 60, 80)), name="stack")
    session.press("segment")
    session.driver.click(session.find(QCheckBox, "probabilities"))
    (config,) = session.begun()
    assert not config.probabilities


def test_stop_and_resume(session):
    session.viewer.add_image(grey(), name="stack")
    stop, resume = session.find(QPushButton, "stop"), session.find(QPushButton, "resume")
    assert not stop.isVisible()
    assert not resume.isVisible()
    session.press("segment")
    result = session.result()
    session.press("stop")
    assert not stop.isEnabled()
    assert "after what it is doing" in stop.toolTip()
    session.driver.wait(lambda: session.says("progress").startswith("Stopped: "), 10)
    assert len(session.fake.asked(Stop)) == 1
    assert not stop.isVisible()
    done = sum(255 not in np.asarray(section) for section in result.data)
    assert 0 < done < 4
    session.fake.does("finish")
    session.press("resume")
    session.done()
    assert session.results() == [result]
    assert 255 not in np.asarray(result.data)
    first, second = session.begun(2)
    assert first == second
    assert not resume.isVisible()


@pytest.mark.slow
def test_resume_takes_from_the_panel_what_computes(session):
    session.viewer.add_image(grey(), name="stack")
    session.driver.click(session.find(QToolButton, "fold"))
    scheduler = session.find(QLineEdit, "scheduler")
    session.driver.type(scheduler, "tcp://nobody:1")
    session.press("segment")
    session.result()
    session.press("stop")
    session.driver.wait(lambda: session.says("progress").startswith("Stopped: "), 10)
    session.driver.type(scheduler, "tcp://somebody:1")
    session.driver.type(session.find(QWidget, "threads").findChild(QLineEdit), "3")
    session.fake.does("finish")
    session.press("resume")
    session.done()
    first, second = session.begun(2)
    assert first.scheduler == "tcp://nobody:1"
    assert second == first.model_copy(update={"scheduler": "tcp://somebody:1", "threads": 3})


@pytest.mark.slow
def test_a_segmentation_goes_on_when_its_image_was_closed_and_opened_again(session):
    session.viewer.add_image(grey(), name="stack")
    session.press("segment")
    session.result()
    session.press("stop")
    session.driver.wait(lambda: session.says("progress").startswith("Stopped: "), 10)
    session.viewer.layers.remove("stack")
    session.viewer.add_image(255 - grey(), name="another")
    session.press("resume")
    session.driver.wait(lambda: "is not open. Open" in session.says(), 10)
    session.viewer.add_image(grey(), name="again")
    session.fake.does("finish")
    session.press("resume")
    session.done()
    (result,) = session.results()
    assert [layer.name for layer in session.viewer.layers] == ["another", "again", result.name]
    first, second = session.begun(2)
    assert first == second


def test_a_preview_can_be_stopped(session):
    session.viewer.add_image(grey(), name="stack")
    session.fake.does("hang")
    session.press("preview")
    session.begun()
    preview = session.find(QPushButton, "preview")
    session.driver.wait(lambda: preview.text() == "Stop preview", 10)
    session.press("preview")
    session.driver.wait(lambda: session.says() == "The preview was stopped.", 10)
    assert preview.text() == "Preview section"
    assert [layer.name for layer in session.viewer.layers] == ["stack"]
    session.fake.does("finish")
    session.press("preview")
    session.driver.wait(lambda: "U-Net preview" in session.viewer.layers, 10)


@pytest.mark.parametrize(
    ("what", "words"),
    [pytest.param("fail", "The disk is full.", marks=pytest.mark.slow), ("crash", "The segmentation ended unexp")],
)
def test_a_failure_is_said_and_can_be_resumed(session, what, words):
    session.viewer.add_image(grey(), name="stack")
    session.fake.does(what)
    session.press("segment")
    session.driver.wait(lambda: session.says("progress").startswith(words), 10)
    session.fake.does("finish")
    session.press("resume")
    session.done()
    assert 255 not in np.asarray(session.result().data)


def test_a_closed_panel_finds_its_job_again(session, fake):
    driver, viewer = session.driver, session.viewer
    viewer.add_image(grey(), name="stack")
    session.press("segment")
    result = session.result()
    session.driver.wait(lambda: "tile 1 of 4" in session.says("progress"), 10)
    close(session)
    again = Session(driver, fake)
    assert again.panel is not session.panel
    assert "tile 1 of 4" in again.says("progress")
    assert again.find(QPushButton, "stop").isVisible()
    assert not again.find(QPushButton, "segment").isEnabled()
    close(again)
    fake.does("finish")
    driver.wait(lambda: 255 not in np.asarray(result.data), 10)
    last = Session(driver, fake)
    last.done()
    assert last.find(QPushButton, "segment").isEnabled()
    assert viewer.layers[-1] == result


def test_what_was_chosen_to_compute_on_outlives_the_panel(session, fake):
    session.viewer.add_image(grey(), name="stack")
    session.driver.click(session.find(QToolButton, "fold"))
    session.driver.type(session.find(QWidget, "threads").findChild(QLineEdit), "2")
    session.press("segment")
    session.driver.wait(lambda: "tile 1 of 4" in session.says("progress"), 10)
    session.press("stop")
    session.driver.wait(lambda: session.says("progress").startswith("Stopped"), 10)
    close(session)
    again = Session(session.driver, fake)
    again.press("segment")
    assert [config.threads for config in again.begun(2)] == [2, 2]
    vars(again).clear()


def close(session: Session) -> None:
    """Press the cross of the dock that holds the panel."""
    (dock,) = (dock for dock in session.driver.window.findChildren(QDockWidget) if dock.isAncestorOf(session.panel))
    session.driver.click(dock.titleBarWidget().close_button)
    session.driver.wait(lambda: not session.panel.isVisible(), 5)


@pytest.mark.slow
def test_a_panel_closed_while_it_previews_or_prepares_loses_nothing(session, fake):
    driver, viewer = session.driver, session.viewer
    viewer.add_image(grey((60, 60, 80)), name="stack")
    session.press("preview")
    session.begun(1)
    close(session)
    fake.does("finish")
    driver.wait(lambda: "U-Net preview" in viewer.layers, 10)
    again = Session(driver, fake)
    again.press("segment")
    close(again)
    driver.wait(lambda: len(again.results()) == 1, 10)
    last = Session(driver, fake)
    last.done()


@pytest.mark.slow
def test_the_command_does_the_same(session, monkeypatch):
    session.fake.does("finish")
    session.viewer.add_image(grey(), name="my 'stack'")
    session.pick("part", "some sections")
    session.driver.type(session.find(QSpinBox, "first"), "1")
    session.driver.click(session.find(QCheckBox, "probabilities"))
    session.driver.click(session.find(QToolButton, "fold"))
    session.driver.type(session.find(QWidget, "tile").findChild(QLineEdit), "512")
    session.press("command")
    session.driver.wait(lambda: session.says().startswith("The command is in the clipboard."), 10)
    program, *words = shlex.split(QApplication.clipboard().text())
    assert program == "napari-unet"
    assert session.fake.asked(Begin) == []
    asked = []
    monkeypatch.setattr("napari_unet.segment.segment", lambda config, stop: asked.append(config) or iter(()))
    cli.main(words)
    session.press("segment")
    assert asked == session.begun()


def test_what_is_wrong_with_the_image_is_a_sentence_and_the_panel_works_again(session, monkeypatch):
    image = session.viewer.add_image(grey(), name="stack")
    full = OSError(errno.ENOSPC, "full")
    with monkeypatch.context() as patch:
        patch.setattr("napari_unet.widgets.handover._created", lambda *_: (_ for _ in ()).throw(full))
        for button in ("preview", "segment", "command"):
            session.press(button)
            session.driver.wait(lambda: "is full. Free some space" in session.says(), 10)
            assert not session.find(QPushButton, "cancel").isVisible()
    session.fake.does("finish")
    session.press("segment")
    session.done()
    assert image in session.viewer.layers


def test_a_preparation_is_followed_and_cancelled_in_a_panel_that_was_opened_again(session, home, monkeypatch):
    copying, go_on = threading.Event(), threading.Event()

    def created(*_):
        copying.set()
        go_on.wait(20)
        raise AssertionError("cancelled before")

    session.viewer.add_image(grey((6, 60, 80)), name="stack")
    with monkeypatch.context() as patch:
        patch.setattr("napari_unet.widgets.handover._created", created)
        session.press("segment")
        session.driver.wait(copying.is_set, 10)
        close(session)
        again = Session(session.driver, session.fake)
        assert again.says().startswith("Copying stack, ")
        assert again.says("reason") == "The image is being prepared."
        assert not again.find(QPushButton, "segment").isEnabled()
        again.press("cancel")
        assert again.says() == "Cancelling ..."
        go_on.set()
        again.driver.wait(lambda: again.says() == "Cancelled.", 10)
    assert not again.find(QPushButton, "cancel").isVisible()
    assert session.fake.asked(Begin) == []
    again.press("segment")
    assert again.result()
    vars(again).clear()


def test_what_is_said_after_a_preparation_is_said_in_the_panel_that_is_open_then(session, monkeypatch):
    go_on, create = threading.Event(), handover._created

    def created(*arguments):
        go_on.wait(20)
        return create(*arguments)

    monkeypatch.setattr("napari_unet.widgets.handover._created", created)
    session.viewer.add_image(grey((6, 60, 80)), name="stack")
    session.press("command")
    close(session)
    again = Session(session.driver, session.fake)
    go_on.set()
    again.driver.wait(lambda: again.says().startswith("The command is in the clipboard."), 10)
    assert not _told_by_napari("The command")
    vars(again).clear()


def test_what_is_said_after_a_preparation_is_said_by_napari_where_no_panel_is_open(session, monkeypatch):
    go_on = threading.Event()

    def created(*_):
        go_on.wait(20)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("napari_unet.widgets.handover._created", created)
    session.viewer.add_image(grey((6, 60, 80)), name="stack")
    session.press("segment")
    close(session)
    go_on.set()
    session.driver.wait(lambda: _told_by_napari("is full. Free some space"), 10)


def _told_by_napari(text: str) -> bool:
    return any(text in each.message for each in notification_manager.records)


def test_a_preparation_can_be_cancelled(session, home, monkeypatch):
    copying, go_on = threading.Event(), threading.Event()

    def section(volume, z, *box):
        copying.set()
        go_on.wait(5)
        return np.zeros((60, 80), np.uint8)

    session.viewer.add_image(grey((60, 60, 80)), name="stack")
    cancel = session.find(QPushButton, "cancel")
    assert not cancel.isVisible()
    with monkeypatch.context() as patch:
        patch.setattr("napari_unet.volume.Volume.section", section)
        session.press("segment")
        session.driver.wait(copying.is_set, 5)
        assert not session.find(QPushButton, "preview").isEnabled()
        session.press("cancel")
        assert session.says() == "Cancelling ..."
        go_on.set()
        session.driver.wait(lambda: session.says() == "Cancelled.", 10)
    assert not cancel.isVisible()
    assert list(home.copies.glob("*")) == []
    assert session.fake.asked(Begin) == []
    session.press("segment")
    assert session.result()
