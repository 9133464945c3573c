"""How fast the window answers: a preview, a stroke, Stop, a view in use while a training runs, and the memory it takes.

    xvfb-run -a python benchmarks/window.py [--only preview stroke stop stalls memory]
                                            [--tries N] [--minutes M] [--cycles N]

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
from driver import Window, draw, pause, wait
from napari.settings import get_settings
from qtpy.QtCore import QPointF, Qt, QTimer
from qtpy.QtWidgets import QComboBox, QLabel, QWidget

from napari_unet.events import Event, Failed, Joined, Previewed
from napari_unet.library import HOME
from napari_unet.widgets.predictions import LIVE as LIVE_PREVIEW

PREVIEW = "U-Net preview"  # the layer that the Segment panel adds
REPETITIONS = 5  # of each preview
STROKES = 20  # while a training runs
BEAT = 10  # milliseconds
STALL = 0.1  # seconds: what a person notices


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


def stroke(_: argparse.Namespace) -> dict:
    """Time strokes while a training runs, from the lifted brush to what the model learned of them in the preview."""
    window = Window()
    panel = window.panel("Train")
    job = window.start(panel, "train")
    wait(lambda: LIVE_PREVIEW in window.viewer.layers)
    window.viewer.layers.selection.active = window.strokes
    window.strokes.mode = "paint"
    canvas = window.viewer.window._qt_viewer.canvas.native
    rng, size = np.random.default_rng(0), np.array([canvas.width(), canvas.height()])
    heard: list[tuple[float, Event]] = []
    job.happened.connect(lambda event: heard.append((perf_counter(), event)))
    joined, shown = [], []
    while len(shown) < STROKES:
        pause(rng.uniform(0, 3))  # any moment between two previews is as likely
        heard.clear()
        window.strokes.selected_label = int(rng.integers(1, 3))
        spots = rng.uniform(0.3, 0.7, 2) * size + np.cumsum(rng.normal(0, 8, (10, 2)), axis=0)
        for seconds in draw(canvas, [QPointF(*spot) for spot in spots]):
            pause(seconds)
        began = perf_counter()
        wait(lambda: any(isinstance(event, Joined) for _, event in heard))
        at, step = next((at, event.step) for at, event in heard if isinstance(event, Joined))
        joined.append(at - began)
        wait(lambda: any(isinstance(event, Previewed) and event.step > step for _, event in heard))  # noqa: B023
        shown.append(perf_counter() - began)
    window.stop(panel, job)
    window.close()
    return {"joined": spread(joined), "shown": spread(shown)}


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
                yield from draw(canvas, [QPointF(*spot) for spot in spots])
        yield 0.1


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
    parts = {each.__name__: each for each in (preview, stroke, stop, stalls, memory)}
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
