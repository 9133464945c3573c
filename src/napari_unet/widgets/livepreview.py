"""While a training runs: the part of the section in view, as it would be segmented now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox

from napari_unet.classes import PixelClass
from napari_unet.config import TrainConfig
from napari_unet.events import Event, Failed, Finished, Joined, Notice, Previewed
from napari_unet.preview import NONE, load_preview
from napari_unet.problem import Problem
from napari_unet.requests import Preview
from napari_unet.widgets.companion import Companion
from napari_unet.widgets.job import Job
from napari_unet.widgets.predictions import LIVE, show_first
from napari_unet.widgets.result import show_preview
from napari_unet.widgets.sight import InView, in_view

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Labels

_LOOK_EVERY = 300  # milliseconds
_SAME, _MOVED = 3.0, 0.5  # seconds from one preview to the next: of the same view, of another one
_SHARE = 3  # a pause is so much longer than the preview took: most of the time is for the training
_LOST = 30.0  # seconds after which no answer comes any more


class LivePreview(Companion):
    """Asks a training for previews of what is in view and shows them.

    A preview that the user removes comes back when the asking was paused in between, not before.

    Attributes
    ----------
    paused : bool
        Whether it asks for no previews now.
    """

    def __init__(self, viewer: Viewer, image: Image, job: Job) -> None:
        super().__init__(viewer, image, job)
        self.paused = False
        self._asked: InView | None = None
        self._shown: InView | None = None
        self._asked_at = self._shown_at = 0.0
        self._cost = 0.0  # seconds from asking to showing
        self._layer = ""  # the id of the layer, once there is one
        self._timer = QTimer(self, interval=_LOOK_EVERY)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def pause(self, paused: bool) -> None:
        """Ask for no previews, or go on."""
        self.paused = paused
        if paused:
            self._timer.stop()
        elif self._job.running:
            if (layer := self._found(self._layer)) is None:
                self._layer = ""
            else:
                self._see(layer)  # a preview of another model may have hidden it
            self._timer.start()

    def _look(self) -> None:
        """Ask for the view if it is another one, or if the last preview is old."""
        now = time.monotonic()
        waits = self._asked is not None and now < self._asked_at + _LOST
        image = self._wanted()
        if waits or image is None:
            return
        view = in_view(self._viewer, image)
        pause = max(_SAME, _SHARE * self._cost) if view == self._shown else _MOVED
        if view is None or now < self._shown_at + pause:
            return
        self._asked, self._asked_at = view, now
        self._job.ask(Preview(view.z, view.y0, view.y1, view.x0, view.x1))

    def _on_event(self, event: Event) -> None:
        match event:
            case Previewed(path=path):
                if (image := self._wanted()) is not None and not self.paused:
                    self._show(Path(path), image)
                self._answered()
            case Notice(text) if text.startswith(NONE):
                self._answered()
            case Joined():
                self._shown = None  # who painted waits for what is learned of it
            case Finished() | Failed():
                self._timer.stop()

    def _answered(self) -> None:
        """Wait no more."""
        self._shown_at = time.monotonic()
        self._cost = self._shown_at - self._asked_at
        self._shown, self._asked = self._asked, None

    def _wanted(self) -> Image | None:
        """Return the image if it is in the viewer, unless the preview was removed."""
        removed = self._layer and self._found(self._layer) is None
        image: Image | None = self._found(self._image)
        return None if removed else image

    def _show(self, path: Path, image: Image) -> None:
        try:
            preview = load_preview(path)
        except Problem:  # the next one comes soon
            return
        classes = classes_in(self._job.config)
        place = preview.z, preview.y, preview.x
        layer = show_preview(self._viewer, image, preview.classes, classes, *place, LIVE)
        if not self._layer:  # later, whoever hides it, or shows others, wants that
            self._layer = layer.unique_id
            self._see(layer)

    def _see(self, layer: Labels) -> None:
        """Let the preview be seen alone; results that this hides are told."""
        if told := show_first(self._viewer, layer):
            self._job.remark(told)


class LiveSwitch(QCheckBox):
    """Lets the training in view be previewed, or not."""

    def __init__(self) -> None:
        super().__init__("Preview what is in view while it trains", objectName="live", checked=True)
        self.setToolTip("Shows every few seconds what the model would answer now; costs a part of the time.")
        self._job: Job | None = None
        self.toggled.connect(self._on_toggled)

    def watch(self, job: Job) -> None:
        """Switch the previews of `job`, if it has some, and show whether they are on."""
        self._job = job
        for live in job.findChildren(LivePreview):
            self.setChecked(not live.paused)

    def _on_toggled(self, on: bool) -> None:
        if self._job is not None:
            for live in self._job.findChildren(LivePreview):
                live.pause(not on)


def classes_in(config: TrainConfig) -> tuple[PixelClass, ...]:
    """Return the classes that a panel wrote into a configuration, with their colours."""
    named = zip(config.classes, config.colors, strict=True)
    return tuple(PixelClass(value, name, color) for value, (name, color) in enumerate(named, start=1))
