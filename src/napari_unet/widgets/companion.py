"""What goes along with a job on an image, as long as the job lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_unet.events import Event
from napari_unet.widgets.job import Job

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image


class Companion(QObject):
    """Hears what a job says; of layers it keeps no more than the id: a stack that is removed leaves the memory.

    Parameters
    ----------
    viewer
    image
        The layer that the job works on.
    job
    """

    def __init__(self, viewer: Viewer, image: Image, job: Job) -> None:
        super().__init__(job)
        self._viewer, self._job = viewer, job
        self._image: str = image.unique_id
        job.happened.connect(self._on_event)

    def _found(self, layer: str) -> Any:
        """Return the layer of an id, None if it is not in the viewer."""
        return next((each for each in self._viewer.layers if each.unique_id == layer), None)

    def _on_event(self, event: Event) -> None:
        raise NotImplementedError
