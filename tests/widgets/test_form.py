"""The form shows every setting, exactly, and gives it back as the settings class takes it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit, QScrollArea, QToolButton, QWidget

from napari_unet.config import SegmentSettings, TrainConfig, TrainSettings
from napari_unet.widgets.form import Form

ADVANCED = [
    *("seed", "width", "crop", "batch", "learning_rate", "balance", "border_weight"),
    *("steps", "objects", "threads", "device", "precision", "channel"),
]
words = st.text("abcxyz äß-_.~ 0", min_size=1, max_size=8).filter(lambda text: text.strip())
on_machine = {
    "threads": st.integers(0),
    "device": st.sampled_from(["auto", "cpu", "cuda", "mps"]),
    "precision": st.sampled_from(["auto", "float32", "bfloat16"]),
    "channel": st.none() | st.integers(0),
}
trainings = st.builds(
    TrainSettings,
    **on_machine,
    out=words.map(Path),
    start_from=words,
    classes=st.lists(words.map(str.strip), max_size=4, unique=True),
    zero=st.sampled_from(["unlabelled", "background"]),
    objects=st.booleans(),
    minutes=st.floats(0, exclude_min=True, allow_infinity=False),
    steps=st.integers(0),
    seed=st.integers(0, 2**32 - 1),
    width=st.sampled_from([None, 16, 32, 64]),
    crop=st.integers(1).map(lambda n: 16 * n),
    batch=st.integers(1),
    learning_rate=st.floats(0, 0.1),
    balance=st.floats(0, 1),
    border_weight=st.floats(0, allow_infinity=False),
)
segmentations = st.builds(
    SegmentSettings,
    **on_machine,
    model=words,
    region=st.sampled_from(["", ":,:,:", "0:10,0:512,7:"]),
    tile=st.integers(1, 64).map(lambda n: 16 * n),
    probabilities=st.booleans(),
)


def on_screen(qtbot):
    """A form of all settings of a training."""
    form = Form(TrainSettings, list(TrainSettings.model_fields))
    qtbot.addWidget(form)
    with qtbot.waitActive(form):  # only then does Tab finish what is typed
        form.show()
        form.activateWindow()
    return form


@pytest.fixture
def form(qtbot):
    return on_screen(qtbot)


def row(form, name):
    """The widget that holds the value of a field, and nothing else."""
    return form.findChild(QWidget, name)


def type_in(qtbot, form, name, text):
    """Type over what stands in a row, and go on to the next."""
    widget = row(form, name)
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)
    qtbot.keyClick(widget, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(widget, Qt.Key.Key_Delete)
    qtbot.keyClicks(widget, text)
    qtbot.keyClick(widget, Qt.Key.Key_Tab)


# ---- values


@pytest.mark.parametrize("kind", [TrainSettings, SegmentSettings])
def test_the_defaults_come_back(kind, qtbot):
    form = Form(kind, [name for name, field in kind.model_fields.items() if not field.is_required()])
    qtbot.addWidget(form)
    needed = {"out": "run"} if kind is TrainSettings else {}
    assert kind(**needed, **form.asdict()) == kind(**needed)
    assert form.problem() == ""


@pytest.mark.parametrize(("kind", "choices"), [(TrainSettings, trainings), (SegmentSettings, segmentations)])
def test_all_settings_come_back_exactly(kind, choices, qtbot):
    form = Form(kind, list(kind.model_fields))
    qtbot.addWidget(form)

    @given(choices)
    @settings(max_examples=40)
    def back(config):
        form.set(dict(config))
        assert form.problem() == ""
        assert kind(**form.asdict()) == config
        form.set(config.model_dump(mode="json"))  # as a run folder keeps it
        assert kind(**form.asdict()) == config

    back()


def test_what_is_not_named_stays(form):
    form.set({"batch": 7, "inputs": ("a.tif", "b.tif")})
    form.set({"crop": 160})
    assert (form.asdict()["batch"], form.asdict()["crop"]) == (7, 160)
    assert list(form.asdict()) == list(TrainSettings.model_fields)


def test_no_other_choice_can_be_set(form):
    with pytest.raises(ValueError, match="not in tuple"):
        form.set({"width": 17})


# ---- hands on it


def test_what_differs_from_its_default_shows_the_way_back(form, qtbot):
    ways = {name: form.findChild(QToolButton, f"{name}_back") for name in form.asdict()}
    assert not any(way.isVisible() for way in ways.values())
    type_in(qtbot, form, "crop", "160")
    qtbot.keyClick(row(form, "device"), Qt.Key.Key_Down)
    assert [name for name, way in ways.items() if way.isVisible()] == ["device", "crop"]
    with qtbot.waitSignal(form.changed):
        qtbot.mouseClick(ways["crop"], Qt.MouseButton.LeftButton)
    assert form.asdict()["crop"] == 112
    assert not ways["crop"].isVisible()
    form.reset()
    assert form.asdict()["device"] == "auto"
    assert not any(way.isVisible() for way in ways.values())


# ---- problems


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("crop", "100", "Crop must be a multiple of 16, such as 96."),
        ("crop", "0", "Crop must be at least 16."),
        ("seed", "4294967296", "Seed must be at most 4,294,967,295."),
        ("batch", "", "Batch must be a whole number."),
        ("batch", "four", "Batch must be a whole number."),
        ("batch", "2.5", "Batch must be a whole number."),
        ("minutes", "0", "Minutes must be more than 0."),
        ("minutes", "five", "Minutes must be a number."),
        ("border_weight", "nan", "Border weight must be a number."),
        ("learning_rate", "1", "Learning rate must be at most 0.1."),
        ("channel", "-1", "Channel must be at least 0."),
        ("classes", "a, a", "Classes: two classes have the same name or colour."),
        ("out", "", "Out is empty."),
    ],
)
def test_a_problem_is_one_plain_sentence(name, text, problem, form, qtbot):
    form.set({"out": "run"})
    assert form.problem() == ""
    type_in(qtbot, form, name, text)
    assert form.problem() == problem


def test_a_comma_is_a_point(form, qtbot):
    type_in(qtbot, form, "border_weight", "2,5")
    assert (form.asdict()["border_weight"], row(form, "border_weight").text()) == (2.5, "2.5")


def test_a_choice_that_a_training_refuses(qtbot):
    form = Form(TrainConfig, ["precision"])
    qtbot.addWidget(form)
    form.set({"precision": "float16"})
    assert form.problem().startswith("Precision: float16 loses small gradients")


# ---- in a panel


def test_the_wheel_scrolls_the_panel_unless_a_row_is_being_edited(qtbot):
    form, panel = Form(TrainSettings, ADVANCED), QScrollArea()
    panel.setWidget(form)
    panel.resize(300, 120)
    qtbot.addWidget(panel)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.activateWindow()
    batch, width = row(form, "batch"), row(form, "width")

    def turn(widget):
        """One notch towards the user; as Qt does with a real one, hand it on to the parent until it is taken."""
        at = (QPointF(5, 5), QPointF(widget.mapToGlobal(QPoint(5, 5))), QPoint(), QPoint(0, -120))
        none = (Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase)
        event = QWheelEvent(*at, *none, False)
        event.ignore()
        while not event.isAccepted() and widget is not None:
            QApplication.sendEvent(widget, event)
            widget = widget.parentWidget()

    row(form, "seed").setFocus()
    for widget in (batch, batch.findChild(QLineEdit), width):
        panel.verticalScrollBar().setValue(0)
        turn(widget)
        assert panel.verticalScrollBar().value() > 0
    assert isinstance(width, QComboBox)
    assert (form.asdict()["batch"], form.asdict()["width"]) == (4, None)
    batch.setFocus()
    qtbot.waitUntil(batch.hasFocus)
    turn(batch)
    assert form.asdict()["batch"] == 3


def test_it_fits_a_panel_in_every_theme(make_napari_viewer):
    viewer = make_napari_viewer()
    form = Form(TrainSettings, ADVANCED)
    viewer.window.add_dock_widget(form, name="form")
    for viewer.theme in ("dark", "light"):
        assert form.sizeHint().width() <= 320
        for line in form.findChildren(QLineEdit):
            assert line.fontMetrics().horizontalAdvance(line.placeholderText()) < line.width(), line.placeholderText()


def test_what_is_preferred_is_the_default(form):
    def shown() -> tuple[str, bool]:
        return form.asdict()["device"], form.findChild(QToolButton, "device_back").isVisible()

    form.prefer({"device": "cpu", "of another form": 1})
    assert shown() == ("cpu", False)
    form.set({"device": "cuda"})
    assert shown() == ("cuda", True)
    form.prefer({"device": "mps"})  # what was chosen stays
    assert shown() == ("cuda", True)
    form.prefer({"device": "cuda"})
    assert shown() == ("cuda", False)
    form.prefer({"device": "cpu"})
    assert shown() == ("cpu", False)
    form.set({"device": "auto"})
    form.reset()
    assert shown() == ("cpu", False)
