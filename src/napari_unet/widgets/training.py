"""A training of the window begins, or goes on: what it shows and what joins it belong to its job, not to a panel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_unet.config import TrainConfig
from napari_unet.library import undo
from napari_unet.problem import Problem
from napari_unet.runs import as_begun, begun_in
from napari_unet.widgets.heldout import HeldOut
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.joins import Joins
from napari_unet.widgets.labelfolder import stamps
from napari_unet.widgets.livepreview import LivePreview
from napari_unet.widgets.paintwatch import PaintWatch

if TYPE_CHECKING:
    from napari import Viewer


class Trainings:
    """Starts the trainings of a window.

    Parameters
    ----------
    viewer
        Where previews are shown.
    jobs
        The jobs of its window.
    watch
        Knows what is painted in it.
    """

    def __init__(self, viewer: Viewer, jobs: Jobs, watch: PaintWatch) -> None:
        self._viewer, self._jobs, self._watch = viewer, jobs, watch

    def begin(self, config: TrainConfig, image: Image, labels: Sequence[Path]) -> Job:
        """Start a training of `image` on the labels that are painted on in the files `labels`.

        Raises
        ------
        Problem
            If another one runs, or the system starts no more processes.
        """
        return self._start(config, image, labels)[0]

    def go_on(self, config: TrainConfig, image: Image) -> Job:
        """Go on with a training, on the labels as they were when it ended and what was painted since.

        If it was undone, that is taken back.

        Raises
        ------
        Problem
            As `begin`.
        """
        labels = [path for _, path in begun_in(config.out).pairs]
        job, joins = self._start(as_begun(config), image, labels)
        for path in labels:
            sections: Iterable[int] = ()
            with suppress(OSError):  # the disk is away: the training reads them all when it is back
                sections = stamps(path)
            joins.tell(path, sections)
        undo(config.out, undone=False)
        return job

    def _start(self, config: TrainConfig, image: Image, labels: Sequence[Path]) -> tuple[Job, Joins]:
        former = self._jobs.latest("train")
        if former is not None and former.running:  # it was started while this one was prepared
            raise Problem("Another training is running. Wait for its end, or stop it, then train again.")
        job = self._jobs.start("train", config, config.out.name, image)
        LivePreview(self._viewer, image, job)
        HeldOut(self._viewer, image, job)
        return job, Joins(self._watch, job, labels)
