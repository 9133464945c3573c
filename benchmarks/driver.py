"""A real napari window with the bundled sample, used as a person does: clicks, keys, strokes on the canvas."""
# ruff: noqa: TID251, the other benchmarks know no window

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter

import napari
import psutil
from qtpy.QtCore import QEvent, QEventLoop, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QPushButton, QToolButton, QWidget

from napari_unet.events import Failed, Loss, Progress, Score
from napari_unet.widgets.job import Job

LEFT = Qt.MouseButton.LeftButton
STEPS = 100_000  # a training that nobody waits for; with a number of steps it need not time any


def pause(seconds: float) -> None:
    """Let Qt go on for a while."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), Qt.TimerType.PreciseTimer, loop.quit)
    loop.exec()


def wait(condition: Callable[[], bool], seconds: float = 180) -> None:
    """Let Qt go on until `condition` holds, looked at every millisecond."""
    end = perf_counter() + seconds
    while not condition():
        if perf_counter() > end:
            raise TimeoutError(f"nothing came of it within {seconds} s")
        pause(0.001)


class Window:
    """A napari window with the bundled sample and our panels in it."""

    def __init__(self) -> None:
        self.viewer = napari.Viewer()
        window = self.viewer.window._qt_window
        window.resize(1280, 800)
        QTest.qWaitForWindowExposed(window)
        self.image, self.strokes = self.viewer.open_sample("napari-unet", "fly-medulla")

    def panel(self, name: str) -> QWidget:
        """Open the panel "Train" or "Segment"; in the first one, set the steps under Advanced."""
        _, panel = self.viewer.window.add_plugin_dock_widget("napari-unet", name)
        pause(0)  # it finds its window when it is shown
        if name == "Train":
            self.click(panel, "fold", QToolButton)
            steps = panel.findChild(QWidget, "steps").findChild(QLineEdit)
            steps.selectAll()
            QTest.keyClicks(steps, str(STEPS))
            QTest.keyClick(steps, Qt.Key.Key_Return)
            self.click(panel, "fold", QToolButton)
        return panel

    def click(self, panel: QWidget, name: str, kind: type[QWidget] = QPushButton) -> None:
        """Click a button that is in view and enabled."""
        button = panel.findChild(kind, name)
        assert button.isVisible() and button.isEnabled(), f"{name} cannot be pressed: {button.toolTip()}"  # noqa: PT018
        QTest.mouseClick(button, LEFT)

    def start(self, panel: QWidget, verb: str) -> Job:
        """Press Train or Segment; return the job once it shows what it does."""
        signs = (Loss, Score) if verb == "train" else Progress
        wait(panel.findChild(QPushButton, verb).isEnabled)
        panel.parentWidget().raise_()  # its dock: panels lie behind each other
        self.click(panel, verb)
        wait(lambda: (job := panel.jobs.latest(verb)) is not None and job.running)
        job = panel.jobs.latest(verb)
        wait(lambda: job.outcome is not None or any(isinstance(event, signs) for event in job.events))
        assert job.running, job.outcome
        return job

    def stop(self, panel: QWidget, job: Job) -> tuple[float, float, float]:
        """Press Stop; return the seconds until the button shows it, the job has stopped, its process is gone."""
        began = perf_counter()
        self.click(panel, "stop")
        QApplication.processEvents()  # the button is drawn again
        heard = perf_counter()
        assert not panel.findChild(QPushButton, "stop").isEnabled(), "Stop was not heard"
        wait(lambda: not job.running)
        stopped = perf_counter()
        assert isinstance(job.outcome, Failed) or job.outcome.stopped, "it was done before it was stopped"
        wait(lambda: job._worker.returncode is not None)
        return heard - began, stopped - began, perf_counter() - began

    def close(self) -> None:
        """Close it, and wait until its processes are gone."""
        self.viewer.close()
        wait(lambda: not psutil.Process().children())


def draw(canvas: QWidget, spots: list[QPointF]) -> Iterator[float]:
    """Draw with the mouse, as fast as napari follows."""
    move, none = QEvent.Type.MouseMove, Qt.MouseButton.NoButton
    events = [(move, spots[0], none, none), (QEvent.Type.MouseButtonPress, spots[0], LEFT, LEFT)]
    events += [(move, spot, none, LEFT) for spot in spots[1:]]
    for kind, spot, button, held in [*events, (QEvent.Type.MouseButtonRelease, spots[-1], LEFT, none)]:
        place = QPointF(canvas.mapToGlobal(spot.toPoint()))
        event = QMouseEvent(kind, spot, place, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(canvas, event)
        yield 0.012
