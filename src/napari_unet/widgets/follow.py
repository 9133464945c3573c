"""While a stack is segmented: what the user looks at comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_unet.events import Event, Failed, Finished
from napari_unet.requests import Look
from napari_unet.widgets.companion import Companion
from napari_unet.widgets.job import Job
from napari_unet.widgets.sight import in_view

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

_LOOK_EVERY = 300  # milliseconds
_WIDEST = 10**9  # pixels of a side: any view has a middle


class Follow(Companion):
    """Tells a segmentation what is in view."""

    def __init__(self, viewer: Viewer, image: Image, job: Job) -> None:
        super().__init__(viewer, image, job)
        self._said: Look | None = None
        self._timer = QTimer(self, interval=_LOOK_EVERY)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self._look()

    def _look(self) -> None:
        """Say what is in view, if it is something else than before."""
        image = self._found(self._image)
        view = in_view(self._viewer, image, _WIDEST) if image is not None else None
        if view is None:
            return
        look = Look(view.z, (view.y0 + view.y1) // 2, (view.x0 + view.x1) // 2)
        if look != self._said:
            self._said = look
            self._job.ask(look)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Finished | Failed):
            self._timer.stop()
