"""What a training would see, shown before it begins: bent and shaded examples, and the loss weights as a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_unet.config import TrainConfig
from napari_unet.events import Event, Failed, Finished
from napari_unet.omezarr import open_array
from napari_unet.problem import Problem
from napari_unet.reader import OURS
from napari_unet.widgets.docks import closed
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.livepreview import classes_in
from napari_unet.widgets.mosaic import show_mosaic
from napari_unet.widgets.place import placed
from napari_unet.widgets.result import selection_kept
from napari_unet.widgets.sight import in_view, painting, show_section

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

Look = Literal["examples", "weights"]
_CAPTION = (
    "Each example is a place that was painted, bent and shaded anew. The bright middle is what counts; the dark rim is "
    "only seen, and colours show what is painted."
)
WEIGHTS_NAME = "U-Net loss weights"


class Looks(QObject):
    """Lets a job draw what a training would see, then shows it: examples in a window of their own, or the weights.

    Parameters
    ----------
    parent
        The window of the examples lies beside it.
    viewer
        Where the weights are shown.
    """

    changed = Signal()  # a drawing began, or ended

    def __init__(self, parent: QWidget, viewer: Viewer) -> None:
        super().__init__(parent)
        self._parent, self._viewer = parent, viewer
        self._job: Job | None = None
        self._what: Look = "examples"

    @property
    def drawn(self) -> str:
        """What is being drawn, "examples" or "weights", or an empty string."""
        return self._what if self._job is not None and self._job.running else ""

    def stop(self) -> None:
        """Give up what is being drawn."""
        if self._job is not None:
            self._job.stop()

    def begin(self, jobs: Jobs, what: Look, config: TrainConfig, image: Image, said: Callable[[str], None]) -> None:
        """Draw.

        Parameters
        ----------
        jobs
            They get one more, in their scratch folder.
        what
            What to show.
        config
            Of the training.
        image
            The layer that is trained on.
        said
            Called with what happens, in words.

        Raises
        ------
        Problem
            If the system starts no more processes.
        """
        job = self._job = jobs.start("examples", config, "U-Net: drawing examples", image)
        self._what = what
        shown: str = image.unique_id  # no more of it: a stack that is removed leaves the memory
        said("Drawing what the training would see ...")

        def happened(event: Event) -> None:
            if isinstance(event, Failed):
                said(event.text)
            elif isinstance(event, Finished):
                try:
                    said(self._show(what, config, shown))
                except Problem as problem:
                    said(str(problem))
            self.changed.emit()

        job.happened.connect(happened)
        self.changed.emit()

    def _show(self, what: Look, config: TrainConfig, shown: str) -> str:
        """Show what was drawn; return what to say of it."""
        if what == "weights":
            return _show_weights(self._viewer, shown, config)
        if closed(self._parent):  # nobody waits for them any more
            return ""
        show_mosaic(self._parent, config.out / "examples.tif", _CAPTION, classes_in(config))
        return ""


def _show_weights(viewer: Viewer, shown: str, config: TrainConfig) -> str:
    """Show the weights over their image, instead of the last ones; return what they say."""
    image = next((layer for layer in viewer.layers if layer.unique_id == shown), None)
    if image is None:
        return "The image was closed, so its weights are not shown."
    for old in [layer for layer in viewer.layers if layer.metadata.get(OURS, {}).get("weights")]:
        viewer.layers.remove(old)
    weights = open_array(config.out / "weights.zarr")
    with selection_kept(viewer):
        viewer.add_image(
            weights,
            name=WEIGHTS_NAME,
            colormap="inferno",
            blending="additive",
            contrast_limits=(0, weights.attrs["highest"]),
            metadata={OURS: {"weights": True}},
            **placed(image),
        )
    view, painted = in_view(viewer, image), np.array(weights.attrs["painted"], int)
    if view is not None and view.z not in painted and not painting():  # the layer is black there
        show_section(viewer, image, painted[np.abs(painted - view.z).argmin()])
    return "The brighter a pixel, the more it counts. Strokes that stay dark are held out to judge the training by."
