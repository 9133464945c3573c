"""What is in view, segmented with any model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_unet.config import SegmentConfig
from napari_unet.events import Event, Failed, Finished
from napari_unet.naming import name_of
from napari_unet.result import open_result
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.predictions import show_first
from napari_unet.widgets.result import show_preview
from napari_unet.widgets.sight import InView

if TYPE_CHECKING:
    from napari import Viewer

PREVIEW = "U-Net preview"


class SectionPreview(QObject):
    """Segments a part of a section in a job that nobody keeps, and shows it as a layer.

    Parameters
    ----------
    viewer
        Where it is shown.
    parent
        With it, nobody waits for the preview any more.
    """

    said = Signal(str)
    changed = Signal()  # it began, or ended

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._job: Job | None = None
        self._place, self._name, self._called = (0, 0, 0), PREVIEW, ""
        self._image = "", ""  # id and name of the image; no more of it: one that is removed leaves the memory

    @property
    def running(self) -> bool:
        """Whether one is being computed."""
        return self._job is not None and self._job.running

    def stop(self) -> None:
        """Give it up."""
        if self._job is not None:
            self._job.stop()

    def begin(
        self, jobs: Jobs, config: SegmentConfig, image: Image, view: InView, name: str = PREVIEW, called: str = ""
    ) -> None:
        """Segment what `config` says, and show it on `image` where `view` is; its layer is called `name`.

        What the model is `called` is said; nothing is what the user calls it.

        Raises
        ------
        Problem
            If the system starts no more processes.
        """
        self._job = jobs.start("segment", config, "U-Net preview", image)
        self._place, self._name = (view.z, view.y0, view.x0), name
        self._called = called or name_of(config.model)
        self._image = image.unique_id, image.name
        self._job.happened.connect(self._on_event)
        self.said.emit(f"Segmenting what is in view with {self._called} ...")
        self.changed.emit()

    def _on_event(self, event: Event) -> None:
        job = self._job
        assert job is not None
        if isinstance(event, Failed):
            self.said.emit("The preview was stopped." if job.stopped else event.text)
        elif isinstance(event, Finished):
            self.said.emit(self._show(job.config))
        self.changed.emit()

    def _show(self, config: SegmentConfig) -> str:
        """Show the preview over its image, if that is still there; return what to say of it."""
        shown, called = self._image
        image = next((layer for layer in self._viewer.layers if layer.unique_id == shown), None)
        if image is None:
            return f"{called} was closed, so its preview is not shown."
        result = open_result(config.out)
        pixels = np.asarray(result.classes[0][0])
        layer = show_preview(self._viewer, image, pixels, result.layout.classes, *self._place, name=self._name)
        return f"Previewed with {self._called}. {show_first(self._viewer, layer)}".rstrip()


def region_of(view: InView, z: int) -> str:
    """Return what is in view as a region, of section `z` of a file."""
    return f"{z}:{z + 1},{view.y0}:{view.y1},{view.x0}:{view.x1}"
