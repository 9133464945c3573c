"""When to stop painting: the last corrections changed next to nothing of the view."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_unet.events import Event, Finished, Joined, Previewed
from napari_unet.preview import Preview, load_preview
from napari_unet.problem import Problem
from napari_unet.widgets.job import Job
from napari_unet.widgets.rows import Sentences

SHARE, COUNT = 0.003, 3  # so much of the view, so many corrections in a row
LEARNED = 3  # previews of the same view after which a correction has had its effect
MOST = 6  # previews that corrections wait for each other: somebody may paint on and on
_WORDS = "Your last three corrections changed less than 0.3 % of the view: painting more here will change little."


class Corrections:
    """How much of the view each correction changed, from the previews before and after it joined.

    A correction is judged in the view it was made in, by the last preview before it joined and the third one of that
    view after it. Corrections that join before that are judged together, by the sixth preview after the first of them
    at the latest. One whose effect nobody saw counts as a large one.
    """

    def __init__(self) -> None:
        self._latest: Preview | None = None
        self._before: Preview | None = None
        self._after: Preview | None = None
        self._seen = 0  # previews since the last correction joined, of its view
        self._waited = 0  # previews since the first of those joined that are judged together
        self._open = False  # the last correction is not judged yet
        self._small = 0  # the last so many corrections changed little

    @property
    def enough(self) -> bool:
        """Whether the last three corrections changed next to nothing."""
        return self._small >= COUNT

    def joined(self) -> None:
        """Take note that a correction is learned from now on."""
        if self._latest is None or self._before is None or not _same_view(self._latest, self._before):
            self.settle()
        if not self._open:
            self._before, self._waited = self._latest, 0
        self._open, self._after, self._seen = True, None, 0

    def previewed(self, preview: Preview) -> None:
        """Take note of what is in view now."""
        self._latest = preview
        if self._open and self._before is not None and _same_view(preview, self._before):
            self._after = preview
            self._seen += 1
            self._waited += 1
            if self._seen == LEARNED or self._waited == MOST:
                self.settle()

    def settle(self) -> None:
        """Judge the last correction by what is known of it."""
        if self._open:
            little = (
                self._before is not None and self._after is not None and _changed(self._before, self._after) < SHARE
            )
            self._small = self._small + 1 if little else 0
            self._open = False


class Enough(Sentences):
    """A line that says so, once a training; hidden until then."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("enough")
        self._job: Job | None = None
        self._corrections = Corrections()
        self.hide()

    def watch(self, job: Job) -> None:
        """Follow a training from now on."""
        if self._job is not None:
            self._job.happened.disconnect(self._on_event)
        self._job, self._corrections = job, Corrections()
        self.hide()
        job.happened.connect(self._on_event)

    def _on_event(self, event: Event) -> None:
        match event:
            case Joined():
                self._corrections.joined()
            case Previewed(path=path):
                try:
                    self._corrections.previewed(load_preview(Path(path)))
                except Problem:  # the next one comes soon
                    return
            case Finished():
                self._corrections.settle()
        if self._corrections.enough and self.isHidden():
            self.setText(_WORDS)
            self.show()


def _same_view(one: Preview, other: Preview) -> bool:
    return (one.z, one.y, one.x, one.classes.shape) == (other.z, other.y, other.x, other.classes.shape)


def _changed(one: Preview, other: Preview) -> float:
    """Return the share of the pixels that are of another class."""
    return float(np.mean(one.classes != other.classes))
