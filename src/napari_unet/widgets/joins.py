"""While it trains: what is painted joins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject

from napari_unet.problem import Problem
from napari_unet.requests import Join
from napari_unet.widgets.job import Job
from napari_unet.widgets.labelfolder import identity
from napari_unet.widgets.paintwatch import PaintWatch


class Joins(QObject):
    """Tells a training which sections of its labels were painted on; it lives as long as the job.

    Parameters
    ----------
    watch
        Knows what is painted.
    job
        The training.
    labels
        Where the labels of each pair are painted on, in the order of the pairs.
    """

    def __init__(self, watch: PaintWatch, job: Job, labels: Sequence[Path]) -> None:
        super().__init__(job)
        self._job = job
        self._labels = [path.resolve() for path in labels]
        self._told_by = [_told_by(path) for path in labels]
        self._others: set[str] = set()  # labels that it does not learn, of which that was said
        watch.painted.connect(self.tell)
        watch.painted_in_memory.connect(self._tell_apart)

    def tell(self, path: Path, sections: Iterable[int]) -> None:
        """Let the training learn from sections of the labels in `path`, or say that it does not use these."""
        if not self._job.running:
            return
        pair = self._labels.index(path.resolve()) if path.resolve() in self._labels else None
        if pair is not None and self._told_by[pair] in (None, _told_by(path)):
            self._job.ask(Join(pair, str(path), tuple(sorted(sections))))
        else:
            self._tell_apart(path.stem)

    def _tell_apart(self, name: str) -> None:
        """Say once that the training does not use the labels that are called so."""
        if self._job.running and name not in self._others:
            self._others.add(name)
            show_info(f"The training that runs does not learn {name}: it was not ticked when that began.")


def _told_by(path: Path) -> str | None:
    """Return what tells labels from others in their place, None where that cannot be read now."""
    try:
        return identity(path)
    except Problem:
        return None
