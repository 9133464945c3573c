"""The training curve, as a real widget."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QObject, QPoint, QPointF, Qt, Signal
from qtpy.QtGui import QPalette, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_unet.config import TrainConfig
from napari_unet.events import Loss, Notice, Progress, Score
from napari_unet.widgets.curve import Curve


@pytest.fixture
def curve(qtbot):
    curve = Curve()
    qtbot.addWidget(curve)
    curve.show()
    return curve


def losses(curve):
    """Steps and losses as a reader of the left axis sees them."""
    steps, shares = curve._loss.getOriginalDataset()
    return [] if steps is None else list(zip(steps, shares * curve._plot.getAxis("left").scale, strict=True))


def dots(item):
    steps, ious = item.getOriginalDataset()
    return [] if steps is None else list(zip(steps, ious, strict=True))


def x_range(curve):
    return curve._plot.viewRange()[0]


def test_points_appear_by_themselves_on_their_axes(curve, qtbot):
    for event in (Score(0, 0.5, 0.5, True), Loss(5, 4.0), Loss(10, 1.0), Score(10, 0.75, 0.75, True)):
        curve.add(event)
    qtbot.waitUntil(lambda: bool(losses(curve)), timeout=2000)
    assert losses(curve) == [(5, 4.0), (10, 1.0)]
    assert dots(curve._trusted) == [(0, 0.5), (10, 0.75)]
    assert dots(curve._untrusted) == []
    labels = {side: curve._plot.getAxis(side).labelText for side in ("bottom", "left", "right")}
    assert labels == {"bottom": "step", "left": "loss", "right": "IoU"}


def test_ten_thousand_points_are_one_drawing(curve, qtbot):
    drawn = []
    curve._loss.sigPlotChanged.connect(drawn.append)
    for step in range(10_000):
        curve.add(Progress(step, 10_000, "step", None))
        curve.add(Loss(step, 1.0))
    assert not drawn
    qtbot.waitUntil(lambda: bool(drawn), timeout=2000)
    qtbot.wait(300)
    assert len(drawn) == 1
    assert len(losses(curve)) == 10_000
    assert len(curve._loss.getData()[0]) < curve.width()


def test_points_that_keep_coming_are_drawn_meanwhile(curve, qtbot):
    for step in range(50):
        curve.add(Loss(step, 1.0))
        qtbot.wait(20)
        if losses(curve):
            break
    assert losses(curve)


def test_a_curve_may_go_before_its_last_point_is_drawn(qtbot):
    curve = Curve()
    curve.add(Loss(5, 0.7))
    with qtbot.waitSignal(curve.destroyed):
        curve.deleteLater()
    qtbot.wait(300)  # an error in a slot fails the test


def test_the_sentence_goes_with_the_first_point_and_comes_back(curve):
    assert (curve._empty.isVisible(), curve._plot.isVisible()) == (True, False)
    curve.add(Score(0, None, None, False))  # nothing to see yet
    curve.add(Progress(1, 100, "step", None))
    curve.draw()
    assert curve._empty.isVisible()
    curve.add(Loss(5, 0.7))
    curve.draw()
    assert (curve._empty.isVisible(), curve._plot.isVisible()) == (False, True)
    curve.clear()
    assert (curve._empty.isVisible(), curve._plot.isVisible()) == (True, False)
    assert losses(curve) == []


def test_before_it_learns_it_says_how_much_a_score_needs(curve):
    assert "A score can be trusted from about 13,000 pixels painted by hand on" in curve._empty.text()


def test_the_ring_is_at_the_best_with_its_value(curve):
    for step, iou, best in ((0, 0.5, 0.5), (10, 0.816, 0.816), (20, 0.7, 0.816), (30, 0.816, 0.816)):
        curve.add(Score(step, iou, best, True))
    curve.draw()
    assert dots(curve._ring) == [(10, 0.816)]
    assert curve._best.isVisible()
    assert curve._best.toPlainText() == "0.82"
    assert not curve._doubt.isVisible()
    assert curve._best.pos() == QPointF(10, 0.816)


def test_an_untrusted_score_is_hollow_and_dashed_and_never_best(curve):
    for step in (10, 20):
        curve.add(Score(step, 0.9, 0.9, False))
    curve.draw()
    assert dots(curve._untrusted) == [(10, 0.9), (20, 0.9)]
    assert dots(curve._trusted) == dots(curve._ring) == []
    assert not curve._best.isVisible()
    assert curve._doubt.isVisible()
    assert curve._doubt.toPlainText() == "IoU not to be trusted yet"
    styles = [line.opts["pen"].style() for line in (curve._trusted, curve._untrusted)]
    assert styles == [Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine]
    inside = [line.opts["symbolBrush"].color().name() for line in (curve._trusted, curve._untrusted)]
    assert inside[1] == curve.palette().color(QPalette.ColorRole.Window).name() != inside[0]


def test_the_end_is_known_from_the_start(curve):
    curve.add(Progress(1, 400, "step", None))
    curve.add(Loss(5, 0.7))
    curve.draw()
    low, high = x_range(curve)
    assert -40 < low < 0
    assert 400 < high < 440
    curve.add(Loss(800, 0.7))  # more than was said
    curve.draw()
    assert 800 < x_range(curve)[1] < 880


def test_a_resumed_training_takes_back_the_steps_it_repeats(curve):
    for event in (Loss(5, 0.9), Loss(10, 0.8), Score(10, 0.9, 0.9, True), Loss(15, 0.7), Loss(7, 0.6)):
        curve.add(event)
    curve.draw()
    assert losses(curve) == pytest.approx(np.array([(5, 0.9), (7, 0.6)]))
    assert dots(curve._trusted) == []


class AJob(QObject):
    """What the curve knows of a training."""

    happened = Signal(object)

    def __init__(self, out, *events):
        super().__init__()
        self.config = TrainConfig(inputs=("image", "labels"), out=out)
        self.events = events


def test_a_training_that_goes_on_keeps_its_curve(curve):
    first = AJob("one", Progress(1, 100, "step", None), Loss(5, 0.9), Score(5, 0.5, 0.5, True))
    curve.watch(first)
    first.happened.emit(Loss(10, 0.8))
    again = AJob("one")
    curve.watch(again)
    first.happened.emit(Loss(12, 0.1))  # no one looks at it any more
    again.happened.emit(Loss(8, 0.7))
    curve.draw()
    assert losses(curve) == pytest.approx(np.array([(5, 0.9), (8, 0.7)]))
    assert dots(curve._trusted) == [(5, 0.5)]
    other = AJob("other", Loss(5, 0.3), Notice("Nothing to draw."))
    curve.watch(other)
    curve.draw()
    assert losses(curve) == [(5, 0.3)]
    assert dots(curve._trusted) == []
    assert x_range(curve)[1] < 6


def test_losses_of_nothing_can_be_drawn(curve):
    curve.add(Loss(5, 0.0))
    curve.draw()
    assert losses(curve) == [(5, 0.0)]


def test_steps_are_whole_numbers(curve):
    axis = curve._plot.getAxis("bottom")
    assert axis.tickStrings([0.0, 2.5, 5000.0], 1.0, 2.5) == ["0", "", "5,000"]


def test_the_mouse_moves_nothing_and_opens_nothing(curve, qtbot):
    curve.add(Progress(1, 100, "step", None))
    curve.add(Loss(5, 0.7))
    curve.draw()
    qtbot.waitExposed(curve)
    before, window = curve._plot.viewRange(), curve.windowHandle()
    for button in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
        QTest.mousePress(window, button, Qt.KeyboardModifier.NoModifier, QPoint(120, 60))
        for x in range(120, 181, 20):
            QTest.mouseMove(window, QPoint(x, 90))
            qtbot.wait(20)
        QTest.mouseRelease(window, button, Qt.KeyboardModifier.NoModifier, QPoint(180, 90))
    assert curve._plot.viewRange() == before
    assert QApplication.activePopupWidget() is None


def test_the_wheel_is_left_to_the_panel(curve):
    curve.add(Loss(5, 0.7))
    curve.draw()
    before, centre = curve._plot.viewRange(), curve.rect().center()
    under, at = curve.childAt(centre) or curve, QPointF(centre)
    turn = (QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier)
    wheel = QWheelEvent(at, curve.mapToGlobal(at), *turn, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(under, wheel)
    assert not wheel.isAccepted()
    assert curve._plot.viewRange() == before
    assert under is curve


def test_it_takes_the_colours_of_napari_and_keeps_its_dock_narrow(make_napari_viewer, qtbot):
    viewer, curve = make_napari_viewer(), Curve()
    dock = viewer.window.add_dock_widget(curve, name="curve")
    curve.add(Loss(5, 0.7))
    curve.draw()
    assert curve.sizeHint().width() <= 340
    assert dock.minimumSizeHint().width() <= 340
    assert curve.minimumWidth() == 200
    assert curve.height() == 150

    def is_of(theme):
        colours = get_theme(theme)
        background = curve._plot.backgroundBrush().color().name()
        corner = curve.grab().toImage().pixelColor(2, 2).name()
        value = curve._best.color.name()
        return (background, corner, value) == (
            colours.background.as_hex(format="long"),
            colours.background.as_hex(format="long"),
            colours.text.as_hex(format="long"),
        )

    for theme in ("light", "dark"):
        viewer.theme = theme
        qtbot.waitUntil(lambda theme=theme: is_of(theme), timeout=2000)
    dock.hide()
    viewer.theme = "light"
    dock.show()
    qtbot.waitUntil(lambda: is_of("light"), timeout=2000)
