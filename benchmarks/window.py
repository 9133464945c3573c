"""How fast the window answers: a preview, Stop, a view in use while a training runs, and the memory it takes.

    xvfb-run -a python benchmarks/window.py [--only preview stop stalls memory] [--tries N] [--minutes M] [--cycles N]

It opens real napari windows with real worker processes and clicks the real buttons, on the bundled sample and on the
processor; each part in a process of its own, with a library of its own. `benchmarks/README.md` says what each counts.
"""
# ruff: noqa: TID251, the other benchmarks know no window

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import napari
import numpy as np
import psutil
import zarr
from napari.settings import get_settings
from qtpy.QtCore import QEvent, QEventLoop, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPushButton, QToolButton, QWidget

from napari_unet.events import Failed, Loss, Progress, Score
from napari_unet.library import HOME
from napari_unet.widgets.jobs import Job
from napari_unet.widgets.livepreview import NAME as LIVE_PREVIEW

LEFT = Qt.MouseButton.LeftButton
PREVIEW = "U-Net preview"  # the layer that the Segment panel adds
REPETITIONS = 5  # of each preview
STEPS = 100_000  # a training that nobody waits for; with a number of steps it need not time any
BEAT = 10  # milliseconds
STALL = 0.1  # seconds: what a person notices


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


def preview_seconds(window: Window, panel: QWidget) -> float:
    """Time one preview, from the click to the layer; the layer is removed again."""
    began = perf_counter()
    window.click(panel, "preview")
    wait(lambda: PREVIEW in window.viewer.layers)
    seconds = perf_counter() - began
    wait(lambda: "Previewed" in panel.findChild(QLabel, "message").text())
    window.viewer.layers.remove(PREVIEW)
    return seconds


def preview(_: argparse.Namespace) -> dict:
    """Time previews, cold and warm."""
    cold, warm = [], []
    for _ in range(REPETITIONS):
        window = Window()
        cold.append(preview_seconds(window, window.panel("Segment")))
        window.close()
    window = Window()
    panel = window.panel("Segment")
    ready: list[object] = []  # each process says so once; a job takes one, then the next one is started
    panel.jobs.became_ready.connect(ready.append)
    while len(warm) < REPETITIONS:
        wait(lambda: len(ready) > len(warm))
        warm.append(preview_seconds(window, panel))
    window.close()
    return compared(cold=spread(cold), warm=spread(warm))


def add_stack(window: Window) -> None:
    """Add a stack that takes long to segment: noise, which is as much work as anything else."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 1024, 1024), np.uint8)
    file = Path(os.environ[HOME], "stack.zarr")
    stack = zarr.create_array(file, data=noise, chunks=(1, 1024, 1024), dimension_names="zyx")
    place = {"scale": window.image.scale, "units": window.image.units, "axis_labels": window.image.axis_labels}
    window.viewer.add_image(stack, name="stack", contrast_limits=(0, 255), **place)


def stop(options: argparse.Namespace) -> dict:
    """Time Stop, trainings and segmentations by turns."""
    window = Window()
    panels = {"train": window.panel("Train"), "segment": window.panel("Segment")}
    add_stack(window)
    panels["segment"].findChild(QComboBox, "image").setCurrentText("stack")
    layers = set(window.viewer.layers)
    times, killed = {verb: [] for verb in panels}, dict.fromkeys(panels, 0)  # killed: those that did not stop in time
    rng = np.random.default_rng(0)
    for number in range(options.tries):
        verb = ("train", "segment")[number % 2]
        job = window.start(panels[verb], verb)
        pause(rng.uniform(0, 1))  # any moment of a step or a tile is as likely
        times[verb].append(window.stop(panels[verb], job))
        killed[verb] += isinstance(job.outcome, Failed)
        for layer in set(window.viewer.layers) - layers:  # what the job showed
            window.viewer.layers.remove(layer)
    window.close()
    names = ("heard", "stopped", "gone")
    return {
        verb: {"killed": killed[verb], **dict(zip(names, map(spread, zip(*each, strict=True)), strict=True))}
        for verb, each in times.items()
    }


def use(window: Window) -> Iterator[float]:
    """Look around and paint, the same in each window; yield the seconds until the next move."""
    rng = np.random.default_rng(0)
    viewer, canvas = window.viewer, window.viewer.window._qt_viewer.canvas.native
    camera = viewer.scene.camera
    size = np.array([canvas.width(), canvas.height()])
    zoom, middle = camera.zoom, np.array(camera.center)
    viewer.layers.selection.active = window.strokes
    window.strokes.mode = "paint"
    while True:
        match rng.integers(4):
            case 0:
                viewer.dims.set_current_step(0, int(rng.integers(window.image.data.shape[0])))
            case 1:
                camera.zoom = zoom * 2 ** rng.uniform(0, 2)
            case 2:
                camera.center = middle * rng.uniform(0.6, 1.4, len(middle))
            case _:
                window.strokes.selected_label = int(rng.integers(1, 3))
                spots = rng.uniform(0.2, 0.8, 2) * size + np.cumsum(rng.normal(0, 8, (10, 2)), axis=0)
                yield from stroke(canvas, [QPointF(*spot) for spot in spots])
        yield 0.1


def stroke(canvas: QWidget, spots: list[QPointF]) -> Iterator[float]:
    """Draw with the mouse, as fast as napari follows."""
    move, none = QEvent.Type.MouseMove, Qt.MouseButton.NoButton
    events = [(move, spots[0], none, none), (QEvent.Type.MouseButtonPress, spots[0], LEFT, LEFT)]
    events += [(move, spot, none, LEFT) for spot in spots[1:]]
    for kind, spot, button, held in [*events, (QEvent.Type.MouseButtonRelease, spots[-1], LEFT, none)]:
        place = QPointF(canvas.mapToGlobal(spot.toPoint()))
        event = QMouseEvent(kind, spot, place, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(canvas, event)
        yield 0.012


def gaps(window: Window, minutes: float) -> dict[str, float]:
    """Use the window; return the gaps between the beats of a timer in its thread."""
    beats: list[float] = []
    timer = QTimer(interval=BEAT, timerType=Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: beats.append(perf_counter()))
    before = np.count_nonzero(window.strokes.data)
    end = perf_counter() + 60 * minutes
    timer.start()
    for seconds in use(window):
        pause(seconds)
        if perf_counter() > end:
            break
    timer.stop()
    assert np.count_nonzero(window.strokes.data) > before, "nothing was painted"
    each = np.diff(beats)
    return {**spread(each), "stalled_s": float(each[each > STALL].sum())}


def stalls(options: argparse.Namespace) -> dict:
    """Measure the same use twice, each in a fresh window: after a training was stopped, and while one runs."""

    def used(training: bool) -> dict[str, float]:
        window = Window()
        panel = window.panel("Train")
        job = window.start(panel, "train")
        wait(lambda: LIVE_PREVIEW in window.viewer.layers)
        if not training:
            window.stop(panel, job)
        result = gaps(window, options.minutes)
        if job.running:
            window.stop(panel, job)
        window.close()
        return result

    return compared(training=used(True), without=used(False))


def memory(options: argparse.Namespace) -> dict:
    """Measure the memory of this process around trainings that are stopped, in MB."""
    window = Window()
    panel = window.panel("Train")
    process = psutil.Process()
    megabytes = [process.memory_info().rss / 1e6]
    for _ in range(options.cycles):
        window.stop(panel, window.start(panel, "train"))
        pause(0.5)
        megabytes.append(process.memory_info().rss / 1e6)
    window.close()
    half = (options.cycles + 1) // 2  # the first ones fill caches
    growth = (megabytes[-1] - megabytes[half]) / max(options.cycles - half, 1)
    return {"before": megabytes[0], "first": megabytes[1], "last": megabytes[-1], "growth": growth, "all": megabytes}


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return how times are spread."""
    p50, p99 = np.percentile(seconds, [50, 99])
    return {"p50_s": float(p50), "p99_s": float(p99), "worst_s": float(max(seconds))}


def compared(**two: dict[str, float]) -> dict[str, dict]:
    """Return two sets of figures, and the first through the second."""
    (_, first), (_, second) = two.items()
    return {**two, "ratio": {name: first[name] / second[name] for name in first if second[name]}}


def table(figures: dict, title: str = "") -> Iterator[str]:
    """Say the figures, a line for each set of them: seconds, MB for the memory."""
    numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
    if numbers:
        yield f"{title:24}" + "".join(f"{name:>10}{value:9.3f}" for name, value in numbers.items())
    for name, inner in figures.items():
        if isinstance(inner, dict):
            yield from table(inner, f"{title} {name}".strip())


def measure(part: Callable[[argparse.Namespace], dict], options: argparse.Namespace) -> dict:
    """Measure a part, with settings and a library of its own."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the processor is there everywhere
    get_settings(None)  # not the user's own
    with TemporaryDirectory(ignore_cleanup_errors=True) as os.environ[HOME]:
        return part(options)


def main() -> None:
    """Print the result: a table on stderr, one JSON object on stdout."""
    parts = {each.__name__: each for each in (preview, stop, stalls, memory)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), help="parts to measure")
    parser.add_argument("--tries", type=int, default=100, help="of Stop, half of them for each kind of job")
    parser.add_argument("--minutes", type=float, default=10, help="of use, with a training and again without")
    parser.add_argument("--cycles", type=int, default=20, help="trainings for the memory")
    options = parser.parse_args()
    results = {}
    for name in options.only:  # what one part leaves in memory must not count for the next one
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
            results[name] = alone.submit(measure, parts[name], options).result()
    print("\n".join(table(results)), file=sys.stderr)
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "napari": napari.__version__, **vars(options)}
    print(json.dumps({"benchmark": "window", **machine, **results}))


if __name__ == "__main__":
    main()
