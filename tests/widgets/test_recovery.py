"""What a napari that died showed comes back in the next one."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels
from napari.layers._layer_actions import _duplicate_layer
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QPushButton, QWidget

from napari_unet.events import Finished
from napari_unet.session import Asked, Living, Session, Shown, left_in
from napari_unet.widgets.classes import ClassList
from napari_unet.widgets.handover import copied
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.paintwatch import PaintWatch
from napari_unet.widgets.panel import Panel
from napari_unet.widgets.recorder import Recorder
from napari_unet.widgets.reopen import read_again
from napari_unet.widgets.strokes import is_strokes, new_strokes, path_of
from napari_unet.widgets.which import which

from .conftest import panel_of, said
from .driver import Driver
from .fakeworker import PAUSE_AT

PICTURES = os.environ.get("NAPARI_UNET_PICTURES")
SHAPE = 6, 96, 128
PLACE = {"scale": (50, 4, 4), "units": "nm", "translate": (100, 8, 12)}


@pytest.fixture
def tiff(tmp_path) -> Path:
    """A stack in a file."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8))
    return path


def button(panel: QWidget, name: str) -> QPushButton:
    return panel.findChild(QPushButton, name)


def die(driver: Driver, home) -> None:
    """Close the window, and leave its session as if the process had been killed."""
    left = left_in(home.sessions)
    driver.window.findChild(Recorder).write()
    (file,) = set(home.sessions.glob("*.json")) - set(left)
    kept = file.read_bytes()
    driver.viewer.close()
    driver.wait(lambda: not file.exists(), 10)
    file.write_bytes(kept)
    file.with_suffix(".lock").touch()


def recover(driver: Driver, panel: QWidget) -> str:
    """Press Recover; return what is said in the end."""
    driver.wait(lambda: button(panel, "recover").isVisible(), 10)
    assert said(panel, "recovery").startswith("napari ended unexpectedly (today ")
    driver.click(button(panel, "recover"))
    driver.wait(lambda: button(panel, "dismiss").text() == "Close", 30)
    return said(panel, "recovery")


def painted(driver: Driver, panel: QWidget) -> Labels:
    """Make new labels, and paint a stroke of each class on sections 2 and 4."""
    driver.choose(button(panel, "new"), "For the whole stack")
    labels = driver.viewer.layers[-1]
    for z, value in ((2, 1), (4, 2)):
        driver.show_section(z)
        labels.selected_label = value
        driver.stroke(labels, [(30, 30), (40, 90)])
    return labels


def test_layers_classes_model_and_choices_come_back(open_window, home, tiff):
    first = open_window()
    (image,) = first.viewer.open(tiff, plugin="napari", **PLACE)
    image.contrast_limits, image.gamma, image.colormap = (10, 200), 0.8, "magma"
    panel = panel_of(first, "Train")
    labels = painted(first, panel)
    first.type(panel.findChild(ClassList).findChildren(QLineEdit)[1], "cell wall")
    labels.brush_size, labels.opacity = 11, 0.4
    panel.findChild(QComboBox, "zero").setCurrentText("background")
    panel.findChild(QDoubleSpinBox, "minutes").setValue(7.5)
    panel.findChild(ModelChoice).choose("em-membrane-small")
    panel_of(first, "Segment").findChild(QWidget, "probabilities").setChecked(True)
    first.viewer.dims.transpose()
    first.viewer.scene.camera.zoom = 3.5
    path, pixels, place = path_of(labels), np.asarray(labels.data), labels.translate
    die(first, home)

    driver = open_window()
    panel = panel_of(driver, "Train")
    assert recover(driver, panel) == "Back: 2 layers."
    driver.qtbot.wait(300)
    assert not panel.visibleRegion().isEmpty()  # it is still in front
    assert [layer.name for layer in driver.viewer.layers] == ["stack", "stack-labels"]
    image, labels = driver.viewer.layers
    assert image.source.path == str(tiff)
    assert (image.contrast_limits, image.gamma, image.colormap.name) == ([10, 200], 0.8, "magma")
    assert is_strokes(labels)
    assert path_of(labels) == path
    np.testing.assert_array_equal(labels.data, pixels)
    np.testing.assert_allclose(labels.translate, place)
    assert (labels.brush_size, labels.opacity, labels.selected_label, labels.mode) == (11, 0.4, 2, "paint")
    assert driver.viewer.layers.selection.active == labels
    assert driver.viewer.dims.current_step[0] == 4
    assert driver.viewer.dims.order == (0, 2, 1)
    assert driver.viewer.scene.camera.zoom == pytest.approx(3.5)
    assert panel.findChild(LabelsChoice).chosen() == [labels]
    assert [each.name for each in panel.findChild(ClassList).classes()] == ["interior", "cell wall"]
    assert panel.findChild(ModelChoice).name() == "em-membrane-small"
    assert panel.findChild(QComboBox, "zero").currentText() == "background"
    assert panel.findChild(QDoubleSpinBox, "minutes").value() == 7.5
    (segment,) = (each for each in driver.window.findChildren(Panel) if each is not panel)
    assert segment.findChild(QWidget, "probabilities").isChecked()
    assert driver.window.findChild(PaintWatch) is not None
    assert left_in(home.sessions) == []

    driver.stroke(labels, [(60, 30), (70, 90)])  # painting goes on
    assert labels.data[4, 65, 60] == 2
    driver.click(button(panel, "dismiss"))
    assert not panel.findChild(QLabel, "recovery").isVisible()
    driver.viewer.close()
    driver.wait(lambda: not list(home.sessions.iterdir()), 10)


def test_an_interrupted_training_goes_on(open_window, home, fake, tiff):
    first = open_window()
    first.viewer.open(tiff, plugin="napari")
    panel = panel_of(first, "Train")
    painted(first, panel)
    first.click(button(panel, "train"))
    first.wait(lambda: panel.jobs.latest("train") is not None, 20)
    job = panel.jobs.latest("train")
    first.wait(lambda: job.progress is not None and job.progress.done == PAUSE_AT, 20)
    out = job.config.out
    die(first, home)

    driver = open_window()
    panel = panel_of(driver, "Train")
    assert recover(driver, panel) == "Back: 2 layers, the training stack-labels."
    assert said(panel, "progress") == f"Stopped: {PAUSE_AT} steps."
    fake.does("finish")
    driver.click(button(panel, "resume"))
    jobs = driver.window.findChild(Jobs)
    driver.wait(lambda: jobs.latest("train").outcome is not None and not jobs.latest("train").outcome.stopped, 20)
    assert isinstance(jobs.latest("train").outcome, Finished)
    assert jobs.latest("train").config.out == out
    assert jobs.latest("train").image == driver.viewer.layers["stack"]


def test_an_interrupted_segmentation_is_resumed_on_the_copy_of_an_image_in_memory(open_window, home, fake):
    first = open_window()
    first.viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8), name="stack")
    panel = panel_of(first, "Segment")
    first.click(button(panel, "segment"))
    first.wait(lambda: "tile 1 of 6" in said(panel, "progress"), 20)
    die(first, home)

    driver = open_window()
    panel = panel_of(driver, "Segment")
    assert recover(driver, panel) == "Back: 2 layers, the segmentation stack-em-membrane."
    image, result = driver.viewer.layers
    assert (image.name, image.data.shape, result.editable) == ("stack", SHAPE, False)
    assert said(panel, "progress") == "Stopped: 1 of 6 tiles."
    fake.does("finish")
    driver.click(button(panel, "resume"))
    driver.wait(lambda: said(panel, "progress") == "Done: 6 of 6 tiles.", 20)
    assert 255 not in np.asarray(result.data)
    assert list(driver.viewer.layers) == [image, result]


def done(work):
    """Do what a thread would, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_the_copy_of_a_flat_image_comes_back_flat(tmp_path):
    flat = Image(np.random.default_rng(0).integers(0, 255, SHAPE[1:], np.uint8), name="flat")
    path = str(done(copied(flat, tmp_path)))
    found = done(read_again([Shown("flat", "image", "array", path, shape=SHAPE[1:], dtype="uint8")]))
    assert found.said == ()
    np.testing.assert_array_equal(np.asarray(found.layers[0][0]), flat.data)


@pytest.mark.slow
def test_what_was_only_in_memory_is_named_and_the_rest_comes_back(open_window, home, tiff):
    first = open_window()
    first.viewer.add_image(np.zeros(SHAPE, np.uint8), name="thought")
    panel = panel_of(first, "Train")
    labels = painted(first, panel)
    pixels = np.asarray(labels.data)
    first.viewer.add_points(np.zeros((1, 3)), name="marks")
    first.viewer.open(tiff, plugin="napari")
    first.viewer.open_sample("napari-unet", "fly-medulla")
    die(first, home)
    tifffile.imwrite(tiff, np.zeros((2, 9, 9), np.uint8))

    driver = open_window()
    text = recover(driver, panel_of(driver, "Train"))
    assert text == (
        "Back: 3 layers. thought is not back: it was only in memory. marks is not back: it was only in memory. "
        f"stack is not back: {tiff} no longer holds what was shown: 6 x 96 x 128 of uint8. "
        "strokes is as in its file: what was painted on it since was only in memory."
    )
    layers = driver.viewer.layers
    driver.wait(lambda: [each.name for each in layers] == ["fly medulla", "thought-labels", "strokes"], 5)
    np.testing.assert_array_equal(layers["thought-labels"].data, pixels)


def test_what_was_open_twice_comes_back_twice(open_window, home, tiff):
    first = open_window()
    for _ in range(2):
        first.viewer.open(tiff, plugin="napari")
    labels = painted(first, panel_of(first, "Train"))
    first.viewer.layers.selection = {labels}
    _duplicate_layer(first.viewer.layers)
    names = [layer.name for layer in first.viewer.layers]
    die(first, home)
    driver = open_window()
    assert recover(driver, panel_of(driver, "Train")) == "Back: 4 layers."
    assert [layer.name for layer in driver.viewer.layers] == names


@pytest.fixture
def channels(tmp_path) -> Path:
    """An OME-Zarr of two channels."""
    scale = [{"type": "scale", "scale": [1.0] * 4}]
    levels = {
        "axes": [{"name": name} for name in "czyx"],
        "datasets": [{"path": "0", "coordinateTransformations": scale}],
    }
    path = tmp_path / "two.zarr"
    group = zarr.create_group(path, attributes={"ome": {"version": "0.5", "multiscales": [levels]}})
    group.create_array("0", data=np.random.default_rng(0).integers(0, 255, (2, *SHAPE), np.uint8))
    return path


def test_channels_of_a_file_are_not_exchanged(open_window, home, channels):
    first = open_window()
    (one, other), (again, more) = (first.viewer.open(str(channels), plugin="napari-unet") for _ in range(2))
    one.name, other.name, more.name = other.name, "nuclei", "once more"
    first.viewer.layers.remove(again)
    first.viewer.layers.move(0, 2)
    panel_of(first, "Train")
    recorder = first.window.findChild(Recorder)
    first.wait(lambda: all(shown.which for shown in recorder._now().layers), 20)
    before = [(layer.name, np.asarray(layer.data)) for layer in first.viewer.layers]
    die(first, home)

    driver = open_window()
    assert recover(driver, panel_of(driver, "Train")) == "Back: 3 layers."
    for layer, (name, pixels) in zip(driver.viewer.layers, before, strict=True):
        assert layer.name == name
        np.testing.assert_array_equal(np.asarray(layer.data), pixels)


def test_a_channel_that_the_user_has_opened_again_is_taken(open_window, home, channels):
    first = open_window()
    first.viewer.open(str(channels), plugin="napari-unet")
    first.viewer.layers[1].name = "nuclei"
    panel_of(first, "Train")
    recorder = first.window.findChild(Recorder)
    first.wait(lambda: all(shown.which for shown in recorder._now().layers), 20)
    die(first, home)
    driver = open_window()
    there = driver.viewer.open(str(channels), plugin="napari-unet")
    assert recover(driver, panel_of(driver, "Train")) == "Back: 2 layers."
    assert list(driver.viewer.layers) == there
    assert there[1].name == "nuclei"


def test_what_is_drawn_over_an_image_is_not_looked_at(open_window, home, tiff):
    driver = open_window()
    driver.viewer.open(tiff, plugin="napari")
    panel_of(driver, "Train")
    driver.viewer.add_shapes(
        [[[0, 1, 1], [0, 1, 9], [0, 9, 9]]],
        shape_type="polygon",
        name="strip",
        metadata={"napari-unet": {"held out": True}},
    )
    later = driver.viewer.open(tiff, plugin="napari")
    recorder = driver.window.findChild(Recorder)
    driver.wait(lambda: later[0].unique_id in recorder._known, 10)
    assert len(recorder._known) == 2


def test_other_labels_in_the_place_of_those_that_were_shown_do_not_come_back(open_window, home, tiff, tmp_path):
    first = open_window()
    (image,) = first.viewer.open(tiff, plugin="napari")
    labels = painted(first, panel_of(first, "Train"))
    recorder = first.window.findChild(Recorder)
    first.wait(lambda: all(shown.which for shown in recorder._now().layers), 20)
    path, others = path_of(labels), path_of(new_strokes(image, tmp_path, "others"))
    die(first, home)
    path.rename(tmp_path / "away")
    others.rename(path)

    driver = open_window()
    text = recover(driver, panel_of(driver, "Train"))
    assert text == f"Back: 1 layer. {labels.name} is not back: {path} holds something else now."


@pytest.mark.parametrize("alike", [False, True])
def test_it_is_said_where_nobody_knows_which_layer_of_a_file_it_was(tiff, monkeypatch, alike):
    pixels = [np.full(SHAPE, value, np.uint8) for value in (0, 0 if alike else 1)]
    npe2 = SimpleNamespace(read=lambda *_, **__: [(each, {}, "image") for each in pixels])
    monkeypatch.setattr("napari_unet.widgets.reopen.npe2", npe2)
    shown = Shown("nuclei", "image", "file", str(tiff), shape=SHAPE, dtype="uint8", which=which(pixels[1], {}))
    found = done(read_again([shown]))
    assert found.said == ((f"nuclei may be another of the layers that {tiff} holds: look at it.",) if alike else ())
    np.testing.assert_array_equal(found.layers[0][0], pixels[1])


@pytest.mark.parametrize("lazy", [False, True])
def test_only_labels_that_were_read_into_memory_may_have_been_painted_there(tiff, monkeypatch, lazy):
    labels = zarr.array(np.ones(SHAPE, np.uint8)) if lazy else np.ones(SHAPE, np.uint8)
    npe2 = SimpleNamespace(read=lambda *_, **__: [(labels, {}, "labels")])
    monkeypatch.setattr("napari_unet.widgets.reopen.npe2", npe2)
    found = done(read_again([Shown("cells", "labels", "file", str(tiff), shape=SHAPE, dtype="uint8")]))
    assert [each.startswith("cells is as in its file: ") for each in found.said] == [True] * (not lazy)


@pytest.mark.slow
def test_the_next_one_is_offered_and_dismissing_deletes_nothing_else(open_window, home, tiff):
    for count in (1, 2):
        first = open_window()
        first.viewer.open(tiff, plugin="napari")
        panel = panel_of(first, "Train")
        painted(first, panel)
        kept = {file for file in home.root.rglob("*") if file.is_relative_to(home.labels)}
        die(first, home)
        assert len(left_in(home.sessions)) == count
    driver = open_window()
    panel = panel_of(driver, "Train")
    newest, oldest = left_in(home.sessions)
    driver.click(button(panel, "dismiss"))
    assert left_in(home.sessions) == [oldest]
    assert said(panel, "recovery").startswith("napari ended unexpectedly")
    segment = panel_of(driver, "Segment")
    driver.click(button(segment, "dismiss"))
    assert not button(segment, "recover").isVisible()
    assert left_in(home.sessions) == []
    assert not newest.exists()
    assert {file for file in home.root.rglob("*") if file.is_relative_to(home.labels)} == kept


@pytest.mark.slow
def test_a_window_in_which_nothing_was_opened_is_not_offered(open_window, home, tiff, qtbot):
    driver = open_window()
    panel_of(driver, "Train")
    qtbot.wait(2500)  # it looks every second
    assert left_in(home.sessions) == list(home.sessions.glob("*")) == []
    driver.viewer.open(tiff, plugin="napari")
    driver.wait(lambda: any(home.sessions.glob("*.json")), 10)


def test_a_job_that_had_not_begun_and_a_model_that_is_gone_are_named(open_window, home, tmp_path):
    config = {"image": str(tmp_path / "a.tif"), "out": str(home.segmentations / "new.zarr")}
    panels = {"Train": {"model": "no-such-model", "image": 7, "widgets": {"minutes": "soon", "weather": 1}}}
    living = Living(home.sessions)
    living.write(Session(panels=panels, jobs=(Asked("segment", config, 3), Asked("train", {"no": "such"}, None))))
    (file,) = home.sessions.glob("*.json")
    kept = file.read_bytes()
    living.end()
    file.write_bytes(kept)
    driver = open_window()
    panel = panel_of(driver, "Train")
    text = recover(driver, panel)
    assert text.startswith(
        "Back: 0 layers. The segmentation new had not begun; start it again. The model no-such-model"
    )
    assert panel.findChild(ModelChoice).name() == "em-membrane"


@pytest.mark.slow
def test_layers_opened_again_are_not_opened_twice_and_what_is_said_fits(open_window, home, tiff):
    first = open_window()
    first.viewer.open(tiff, plugin="napari", **PLACE)
    painted(first, panel_of(first, "Train"))
    die(first, home)
    driver = open_window()
    (image,) = driver.viewer.open(tiff, plugin="napari")
    panel = panel_of(driver, "Train")
    assert panel.width() <= 340
    for name, text in (("recover", "Recover"), ("dismiss", "Dismiss")):
        assert button(panel, name).text() == text
        assert button(panel, name).toolTip()
    if PICTURES:
        driver.picture(Path(PICTURES) / "recover-offered.png")
    assert recover(driver, panel) == "Back: 2 layers."
    assert panel.width() <= 340
    if PICTURES:
        driver.picture(Path(PICTURES) / "recovered.png")
    assert [layer.name for layer in driver.viewer.layers] == ["stack", "stack-labels"]
    assert image.scale.tolist() == [50, 4, 4]
