"""A session comes back into a window: its layers, jobs, panels and view, once its files are read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

import npe2
from napari.layers import Labels, Layer
from pydantic import ValidationError
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_unet.config import SegmentConfig, TrainConfig
from napari_unet.disk import locked, seen
from napari_unet.finished import LOCK as RESULT_LOCK
from napari_unet.layout import CONFIG as RESULT_CONFIG
from napari_unet.runs import CONFIG, LOCK
from napari_unet.session import Asked, Session
from napari_unet.widgets.choices import choose
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.pastjob import PastJob
from napari_unet.widgets.recorder import Recorder
from napari_unet.widgets.reopen import PLUGIN, Found, dress, layer_of, read_again, shows
from napari_unet.words import counted

if TYPE_CHECKING:
    from napari import Viewer

_PATIENCE = 15.0  # seconds; a job whose napari died stops by itself

_Config = TrainConfig | SegmentConfig


def read_session(session: Session) -> Generator[str, None, Found]:
    """Read what belongs to a session, and wait for its jobs to stop; for a thread.

    Yields
    ------
    str
        What it is doing, in words.
    """
    found = yield from read_again(session.layers)
    end = time.monotonic() + _PATIENCE
    for asked in session.jobs:
        config = _config_of(asked)
        while config is not None and _busy(config) and time.monotonic() < end:
            yield f"Waiting until {config.out.stem} has stopped ..."
            time.sleep(0.1)
    return found


def bring_back(viewer: Viewer, window: QMainWindow, session: Session, found: Found) -> str:
    """Show a session that was read, and return in a few sentences what came back and what did not."""
    layers, said = _show(viewer, session, found)
    said += found.said
    jobs, refused = _recall(Jobs.of(window), session.jobs, layers)
    said += refused
    there = Recorder.of(window, viewer).open_panels()
    for name, choices in session.panels.items():
        panel = there.get(name) or _opened(viewer, name)
        if panel is not None:
            said += choose(panel, choices, layers)
    _look_there(viewer, session, layers)
    back = [counted(len(layers), "layer"), *jobs]
    return " ".join([f"Back: {', '.join(back)}.", *said])


def _show(viewer: Viewer, session: Session, found: Found) -> tuple[dict[int, Layer], list[str]]:
    """Add the layers that are not there by now; return all by their numbers, and a sentence for each that failed."""
    there, layers, said = list(viewer.layers), dict[int, Layer](), []
    for number, data in found.layers.items():
        shown = session.layers[number]
        layer = next((each for each in there if shows(each, shown, data)), None)
        try:
            if layer is None:
                layer = viewer.add_layer(layer_of(shown, data))
            else:
                there.remove(layer)
                dress(layer, shown)
            layers[number] = layer
        except Exception as error:  # napari refuses in many ways what another version of it kept
            said.append(f"{shown.name} is not back ({type(error).__name__}: {error}).")
    return layers, said


def _recall(jobs: Jobs, asked: Sequence[Asked], layers: Mapping[int, Layer]) -> tuple[list[str], list[str]]:
    """Let the panels show former jobs; return what came back, and a sentence for each that did not."""
    back, said = [], []
    for each in asked:
        config = _config_of(each)
        if config is None:
            continue
        what = f"{'training' if each.verb == 'train' else 'segmentation'} {config.out.stem}"
        latest = jobs.latest(each.verb)
        if not seen(config.out / (CONFIG if each.verb == "train" else RESULT_CONFIG)):
            said.append(f"The {what} had not begun; start it again.")
        elif _busy(config):
            said.append(f"The {what} still runs; what it makes will be in the list.")
        elif latest is not None and latest.running:
            said.append(f"The {what} is not shown, because another one runs.")
        else:
            image = layers.get(-1 if each.image is None else each.image)
            jobs.recall(PastJob(jobs, each.verb, config, image, jobs.in_words))
            back.append(f"the {what}")
    return back, said


def _opened(viewer: Viewer, name: str) -> QWidget | None:
    """Open a panel as the menu does, which finds it again by the name of its dock; None if there is no such panel."""
    plugins = npe2.PluginManager.instance()
    widgets = [each for each in plugins.iter_widgets() if (each.plugin_name, each.display_name) == (PLUGIN, name)]
    if not widgets:
        return None
    panel: QWidget = widgets[0].get_callable()(viewer)
    dock = viewer.window.add_dock_widget(panel, name=f"{name} ({plugins.get_manifest(PLUGIN).display_name})")
    dock.show()  # now, so that it comes to the front before the panel that shall stay there
    return panel


def _look_there(viewer: Viewer, session: Session, layers: Mapping[int, Layer]) -> None:
    """Go to the section and the part of it that were in view, with the tool in hand."""
    if len(session.point) == viewer.dims.ndim:
        viewer.dims.set_point(range(viewer.dims.ndim), session.point)
    if len(session.order) == viewer.dims.ndim:
        viewer.dims.order = session.order
    if session.center:
        viewer.scene.camera.center = session.center
        viewer.scene.camera.zoom = session.zoom
    viewer.layers.selection.active = active = layers.get(-1 if session.active is None else session.active)
    for number, layer in layers.items():
        if layer is active and isinstance(layer, Labels) and layer.editable:
            with contextlib.suppress(KeyError, ValueError):
                layer.mode = session.layers[number].look.get("mode", layer.mode)


def _config_of(asked: Asked) -> _Config | None:
    """Return the settings of a job, None if this version does not know them."""
    try:
        return (TrainConfig if asked.verb == "train" else SegmentConfig)(**asked.config)
    except ValidationError:
        return None


def _busy(config: _Config) -> bool:
    """Tell whether a process still does this job."""
    return locked(config.out / (LOCK if isinstance(config, TrainConfig) else RESULT_LOCK))
