"""Keeps on disk what a window shows, as long as it lives."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_unet.problem import Problem
from napari_unet.reader import OURS, READ
from napari_unet.session import Living, Session
from napari_unet.widgets.choices import choices_in, choose
from napari_unet.widgets.handover import finest
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.preferences import sessions_of
from napari_unet.widgets.snapshot import snapshot
from napari_unet.widgets.which import which

if TYPE_CHECKING:
    from napari import Viewer

_EVERY = 1000  # milliseconds
_VERBS = "train", "segment"


class Recorder(QObject):
    """Looks every second what a window shows, and lets a thread write it down if that changed.

    Parameters
    ----------
    window
        It is recorded until it is closed.
    viewer
        Its viewer.
    """

    def __init__(self, window: QMainWindow, viewer: Viewer) -> None:
        super().__init__(window)
        self._viewer, self._jobs = viewer, Jobs.of(window)
        self._panels: dict[str, weakref.ref[QWidget]] = {}
        self._left: dict[str, dict[str, Any]] = {}  # what the panels showed that were closed
        self._copies: dict[Any, Path] = {}  # a layer's id: a file that holds what it shows
        self._living = Living(sessions_of(window))
        self._known: dict[Any, str] = {}  # an image's id: what tells it from others of its file
        self._written: Session | None = None
        self._writing: threading.Thread | None = None
        self._telling: threading.Thread | None = None
        timer = QTimer(self, interval=_EVERY)
        timer.timeout.connect(self._look)
        timer.start()
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._look)
        viewer.layers.events.inserted.connect(self._at_once)
        viewer.layers.events.removed.connect(self._at_once)
        self._jobs.began.connect(self._at_once)
        self.destroyed.connect(self._living.end)
        # Python may collect a window before Qt deletes it, then nobody hears `destroyed`; napari may also just end.
        weakref.finalize(self, self._living.end)

    @classmethod
    def of(cls, window: QMainWindow, viewer: Viewer) -> Recorder:
        """Return the recorder of a window, made at the first call."""
        return window.findChild(cls) or cls(window, viewer)

    def add(self, name: str, panel: QWidget) -> list[str]:
        """Record what a panel shows, too, while it is open; it begins with what the last one of its name showed.

        Returns
        -------
        list of str
            A sentence for each choice of that one that can no longer be made.
        """
        layers = {layer.unique_id: layer for layer in self._viewer.layers}
        said = choose(panel, self._left[name], layers) if name in self._left else []
        self._panels[name] = weakref.ref(panel)
        self._at_once()
        return said

    def left(self, name: str, panel: QWidget) -> None:
        """Keep what a panel shows when it is hidden, perhaps for ever."""
        self._left[name] = choices_in(panel, lambda layer: layer and layer.unique_id)

    def open_panels(self) -> dict[str, QWidget]:
        """Return the panels that are open, by their names."""
        panels = {name: panel for name, there in self._panels.items() if (panel := there()) is not None}
        return {name: panel for name, panel in panels.items() if panel.window() is not panel}  # a closed one is in none

    def write(self) -> None:
        """Write down at once what the window shows.

        Raises
        ------
        Problem
            If the disk is full or cannot be written.
        """
        self._living.write(self._now())

    def _at_once(self, *_: object) -> None:
        """Look as soon as all has been done that belongs to a change."""
        self._soon.start()

    def _look(self) -> None:
        now = self._now()
        something = now.layers or now.jobs or self._written  # an empty window need not be brought back
        if something and now != self._written and (self._writing is None or not self._writing.is_alive()):
            self._written = now
            self._writing = threading.Thread(target=self._write, args=(now,), daemon=True)
            self._writing.start()
        self._tell_apart()
        self._living.beat()

    def _tell_apart(self) -> None:
        """Let a thread find what tells images from others of their files, one after another."""
        new = (layer for layer in self._viewer.layers if layer.unique_id not in self._known and _is_one_of(layer))
        if (self._telling is None or not self._telling.is_alive()) and (layer := next(new, None)):
            about = layer.unique_id, finest(layer), layer.metadata
            self._telling = threading.Thread(target=self._tell, args=about, daemon=True)
            self._telling.start()

    def _tell(self, layer: Any, pixels: Any, metadata: Mapping[str, Any]) -> None:
        self._known[layer] = which(pixels, metadata)

    def _write(self, now: Session) -> None:
        with contextlib.suppress(Problem):  # what is painted is kept all the same, and the watch of it warns
            self._living.write(now)

    def _now(self) -> Session:
        jobs = [job for verb in _VERBS if (job := self._jobs.latest(verb)) is not None]
        self._copies |= {job.image.unique_id: _image_of(job) for job in jobs if job.image is not None}
        return snapshot(self._viewer, self.open_panels(), jobs, self._copies, self._known)


def _is_one_of(layer: Layer) -> bool:
    """Return whether a layer has a mark of ours, or is an image that may be one of several that came from a file."""
    came = isinstance(layer, Image) and bool(layer.source.path or layer.source.sample)
    return came or READ in layer.metadata or "path" in layer.metadata.get(OURS, {})


def _image_of(job: Job) -> Path:
    """Return the file that a job reads its image from."""
    path: Path = job.config.image if job.verb == "segment" else job.config.inputs[0]
    return path
