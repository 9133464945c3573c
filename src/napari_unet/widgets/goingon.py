"""A segmentation goes on where it was left, on what the panel says now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_unet.config import SegmentConfig
from napari_unet.library import Library
from napari_unet.widgets.earlier import left_unfinished
from napari_unet.widgets.form import Form
from napari_unet.widgets.imagechoice import ImageChoice
from napari_unet.widgets.panel import Panel
from napari_unet.widgets.prepare import with_its_image

_WHERE = {"device", "threads", "scheduler"}  # what computes changes no pixel, and may be gone when a result goes on


class GoingOn:
    """Finds what is needed to go on with a segmentation, and begins.

    Parameters
    ----------
    panel
    library
    form
        Shows on what is computed.
    image
        Names the image of what goes on.
    begin : callable
        Starts it.
    """

    def __init__(
        self,
        panel: Panel,
        library: Library,
        form: Form,
        image: ImageChoice,
        begin: Callable[[SegmentConfig, Image], None],
    ) -> None:
        self._panel, self._library, self._form, self._image, self._begin = panel, library, form, image, begin
        self._changed: set[str] = set()  # of what the form brought for a segmentation, what somebody changed
        self._of: Path | None = None  # that segmentation

    def resume(self, config: SegmentConfig, image: Image | None) -> None:
        """Go on with a segmentation, over whichever layer shows its image now."""
        panel = self._panel
        if panel.preparing:
            return
        if image is None:
            work = left_unfinished(config, panel.layers(Image), self._library)
            panel.prepare(work, lambda found: self._go_on(*found))
        else:
            panel.prepare(with_its_image(config, image, self._library), lambda config: self._go_on(config, image))

    def earlier(self, config: SegmentConfig) -> None:
        """Go on with a segmentation of another day, on what it was begun on if the panel shows nothing else."""
        self.compute_as(config)
        self.resume(config, None)

    def compute_as(self, config: SegmentConfig) -> None:
        """Show on what a segmentation computes until it is done, but for what somebody chose already."""
        shown = self._form.asdict()
        self._changed |= {name for name, value in self._form.brought.items() if shown[name] != value}
        if config.out != self._of:
            self._changed, self._of = set(), config.out
        self.done()
        asked = config.model_dump(include=_WHERE, exclude_defaults=True)
        chosen = self._form.chosen().keys() | self._changed
        self._form.bring({name: value for name, value in asked.items() if name not in chosen})

    def others(self) -> dict[str, Any]:
        """Return the values of the form for what is begun anew: where another one was computed is for that alone."""
        return self._form.for_others()

    def done(self) -> None:
        """Show what is for others."""
        self._form.set(self.others())
        self._form.bring({})

    def _go_on(self, config: SegmentConfig, image: Image) -> None:
        """Go on with a segmentation, where the panel says, and let that name its image."""
        self._image.choose(image)
        if problem := self._form.problem():
            self._panel.say(problem)
            return
        shown = self._form.asdict()
        where = {name: shown[name] for name in _WHERE}
        self._begin(SegmentConfig(**config.model_dump() | where), image)
