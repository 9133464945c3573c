"""What the ticked labels alone tell, kept up to date beside the window while somebody paints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet.events import Finding
from napari_unet.lint import Layer, Rules, findings
from napari_unet.marks import ACCEPTED, marked
from napari_unet.oddities import Seen, look
from napari_unet.problem import Problem
from napari_unet.volume import Volume
from napari_unet.widgets.alignment import corner_on
from napari_unet.widgets.background import in_background
from napari_unet.widgets.handover import volume_of
from napari_unet.widgets.labelfolder import stamps
from napari_unet.widgets.strokes import is_strokes, path_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

_PAUSE = 600  # milliseconds without a change, then the labels are read

_Stamp = tuple[bool, int]  # whether values are ids, and when a section changed, or how often
_Known = dict[int, tuple[_Stamp, Seen | None]]  # section: the stamp that it had, and what it shows


@dataclass(frozen=True)
class _Job:
    """Labels to read: of the sections in `stamps`, those that are not known with the same stamp."""

    path: Path | None  # None if they are only in memory
    volume: Volume
    corner: tuple[int, int, int]
    stamps: dict[int, _Stamp]
    known: _Known


class Proofreader(QObject):
    """Reads labels in a thread whenever they changed, and says what should be looked at; changed sections only.

    Parameters
    ----------
    viewer
    parent
        With it, the reading ends.
    """

    found = Signal(object)  # a list of Finding

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image: Image | None = None
        self._layers: Sequence[Labels] = ()
        self._rules = Rules({}, False, False)
        self._known: dict[str, _Known] = {}
        self._edits: Counter[tuple[str, int]] = Counter()  # of sections of labels in memory
        self._in_view: dict[str, int] = {}
        self._reading = self._outdated = False
        self._timer = QTimer(self, singleShot=True, interval=_PAUSE)
        self._timer.timeout.connect(self._read)

    def follow(self, image: Image | None, layers: Sequence[Labels], rules: Rules) -> None:
        """Read these labels of an image from now on; what they mean may have changed."""
        self._image, self._layers, self._rules = image, layers, rules
        for layer in layers:
            layer.events.labels_update.connect(self._on_update)
            layer.events.set_data.connect(self._on_update)
        self.look()

    def look(self) -> None:
        """Read what changed, as soon as nothing more changes."""
        self._outdated = self._reading
        self._timer.start()

    def _on_update(self, event: Any) -> None:
        """Count the edits of the section in view; labels on disk have stamps.

        napari tells of undo only that it draws the section again, as it does of one that comes into view.
        """
        layer = event.source
        z = round(layer.world_to_data(self._viewer.dims.point)[0]) if layer.ndim == 3 else 0
        came = self._in_view.get(layer.unique_id) != z and event.type == "set_data"
        self._in_view[layer.unique_id] = z
        if layer in self._layers and not is_strokes(layer) and not came:
            self._edits[layer.unique_id, z] += 1
            self.look()

    def _read(self) -> None:
        if self._reading:
            self._outdated = True
            return
        jobs = {layer.unique_id: self._job(layer) for layer in self._layers}
        self._reading, self._outdated = True, False
        work = _findings(jobs, self._rules)
        in_background(work, "", lambda _: None, self._done, self._failed, self)

    def _job(self, layer: Labels) -> _Job | None:
        """Return what is to be read of a layer, None if it is none that can be trained on."""
        if self._image is None:
            return None
        try:
            volume_of(self._image)  # else no labels lie on it
            volume, corner = volume_of(layer), corner_on(layer, self._image)
        except Problem:  # the training will say it
            return None
        edits = {z: self._edits[layer.unique_id, z] for z in range(volume.shape[0])}
        path = path_of(layer) if is_strokes(layer) else None
        now = stamps(path) if path else edits
        known = self._known.get(layer.unique_id, {})
        return _Job(path, volume, corner, {z: (self._rules.objects, stamp) for z, stamp in now.items()}, known)

    def _done(self, outcome: tuple[dict[str, _Known], list[Finding]]) -> None:
        self._known, found = outcome
        self._reading = False
        if self._outdated:
            self._read()
        else:
            self.found.emit(found)

    def _failed(self, _: str) -> None:
        """Say nothing of labels that cannot be read: the training will."""
        self._done(({}, []))


def _findings(
    jobs: dict[str, _Job | None], rules: Rules
) -> Generator[str, None, tuple[dict[str, _Known], list[Finding]]]:
    """Read what is not known, for a thread; return what is known now, and what should be looked at."""
    known: dict[str, _Known] = {}
    layers = []
    for layer, job in jobs.items():
        here = known[layer] = {}
        if job is None:
            layers.append(Layer({}, 0))
            continue
        for z, stamp in job.stamps.items():
            yield ""
            before = job.known.get(z)
            here[z] = before if before and before[0] == stamp else (stamp, _look(job, z, rules.objects))
        sections = {z: seen for z, (_, seen) in here.items() if seen}
        layers.append(Layer(sections, job.volume.shape[0], job.corner))
    return known, list(findings(layers, rules))


def _look(job: _Job, z: int, objects: bool) -> Seen | None:
    labels = job.volume.section(z)
    return look(labels, objects, marked(job.path, ACCEPTED, z, labels) if job.path else None)
