"""Results as layers: one that a job is still filling, and the preview of a section."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_unet.classes import PixelClass
from napari_unet.disk import locked, seen
from napari_unet.events import Event, Failed, Finished, Progress
from napari_unet.finished import DONE, LOCK
from napari_unet.problem import Problem
from napari_unet.reader import OURS, class_look, read
from napari_unet.region import start_of
from napari_unet.widgets.place import placed
from napari_unet.widgets.predictions import hides, is_result, show_first
from napari_unet.widgets.sight import camera_kept
from napari_unet.widgets.strokes import is_strokes

if TYPE_CHECKING:
    from napari_unet.widgets.job import Job

_PAUSE = 0.33  # seconds between two refreshes
_LOOK_EVERY = 500  # milliseconds
_OPACITY = 0.5


class Growing(QObject):
    """The layers of a result that a job fills, right above its image: classes, and hidden probabilities if it has them.

    They are for reading only, and lie on the image, wherever the file says it lies. A layer that the user removes
    does not come back; layers of the same result that are in the viewer already are used again.

    Parameters
    ----------
    viewer
    image_layer
        The image that is segmented; None where layers of the result are in the viewer already, to stay where they lie.
    path
        The folder of the result; it need not exist yet.
    offset
        The voxel (Z, Y, X) of `image_layer` on which the result begins.
    """

    said = Signal(str)  # what was hidden as this one came, or lies over it

    def __init__(
        self,
        viewer: ViewerModel,
        image_layer: Image | None,
        path: Path,
        offset: tuple[int, int, int],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image = image_layer
        self.path = path.resolve()
        self._offset = offset
        self._there = False  # whether the result exists, and was shown
        self._alone = False
        self._drawn = 0  # the size of the list of finished tiles, as of the last refresh
        self._earliest = 0.0  # when the next refresh may be
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._refresh)
        self._watch = QTimer(self, interval=_LOOK_EVERY)
        self._watch.timeout.connect(self._on_watch)

    def look(self) -> None:
        """Show what is new on disk; call it whenever the job says something.

        Once the result is there, it looks by itself as well, as long as some process makes it.

        Raises
        ------
        Problem
            If the result cannot be read.
        """
        if not self._there:
            if not seen(self.path / DONE):  # made last: now all of the result can be opened
                return
            if self._image is not None:
                self._show(self._image)
            self._there = True
            self._image = None  # the layer may go, and its memory with it, while somebody still looks at the job
            self._watch.start()
        if not self._timer.isActive():
            wait = self._earliest - time.monotonic()
            self._timer.start(max(0, round(1000 * wait)))

    def finish(self) -> None:
        """Show all that is on disk, at once; call it when the job has ended.

        Raises
        ------
        Problem
            If the result cannot be read.
        """
        self.look()
        self._image = None
        self._watch.stop()
        self._timer.stop()
        self._refresh()

    def come_first(self) -> None:
        """Hide other predictions, once: they would be mixed with this one, of which a tile is done."""
        if self._there and not self._alone:
            self._alone = True
            for layer in list(filter(is_result, self.layers()))[-1:]:
                if told := show_first(self._viewer, layer):
                    self.said.emit(told)

    def _on_watch(self) -> None:
        """Look where a tile was finished: a job may say so before it is on the disk, or be another window's."""
        if not locked(self.path / LOCK):
            self.finish()
        elif self._listed() != self._drawn:
            self.look()

    def layers(self) -> list[Layer]:
        """Return the layers of the result, also those that were opened by other means."""
        return [layer for layer in self._viewer.layers if _mark(layer).get("path") == str(self.path)]

    def _listed(self) -> int:
        """Return the size of the list of finished tiles."""
        try:
            return (self.path / DONE).stat().st_size
        except OSError:
            return 0

    def _show(self, image: Image) -> None:
        """Bring the layers of the result over its image, those added that were not there."""
        place = placed(image, self._offset)
        parts = read(str(self.path))
        marks = [fields["metadata"][OURS] for _, fields, _ in parts]
        for layer in self.layers():
            if _mark(layer) not in marks:  # of another result, which was in that folder before
                self._viewer.layers.remove(layer)
        for (data, fields, kind), mark in zip(parts, marks, strict=True):
            layer = next((each for each in self._viewer.layers if _mark(each) == mark), None)
            if layer is None:
                if kind == "labels":
                    fields["opacity"] = _OPACITY
                layer = Layer.create(data, {**fields, **place}, kind)
                _add_above(self._viewer, image, layer)
            else:
                _change(layer, place)
                raise_above(self._viewer, image, layer)
            layer.editable = False

    def _refresh(self) -> None:
        """Read again what the visible layers show."""
        start, self._drawn = time.monotonic(), self._listed()
        for layer in self.layers():
            if layer.visible:
                layer.refresh(extent=False)
        now = time.monotonic()
        # A slow disk must not keep the window busy.
        self._earliest = now + max(_PAUSE, 4 * (now - start))
        if self._drawn:
            self.come_first()


def show_growing(viewer: ViewerModel, image: Image, job: Job) -> None:
    """Show the result of a segmentation as it grows, as long as the job lives."""
    growing = Growing(viewer, image, job.config.out, start_of(job.config.region), job)
    growing.said.connect(job.remark)

    def look(event: Event) -> None:
        if isinstance(event, Failed):
            with suppress(Problem):  # the job says it
                growing.finish()
        elif isinstance(event, Finished):
            growing.finish()
        else:
            growing.look()
        if isinstance(event, Progress) and event.done:
            growing.come_first()

    job.happened.connect(look)


def show_preview(
    viewer: ViewerModel,
    image_layer: Image,
    classes_array: np.ndarray,
    classes: Sequence[PixelClass],
    z: int,
    y0: int,
    x0: int,
    name: str,
) -> Labels:
    """Show the classes of a part of one section, instead of the last preview of that name.

    Parameters
    ----------
    viewer
    image_layer
        The image that the preview lies on.
    classes_array
        uint8 (h, w), the values of `classes`; 255 is transparent.
    classes
        Their names and colours.
    z, y0, x0
        The voxel of `image_layer` on which the preview begins.
    name
        Of its layer.
    """
    look = {**placed(image_layer, (z, y0, x0)), **class_look([asdict(each) for each in classes])}
    layer = preview_called(viewer, name)
    if layer is None:
        metadata = {OURS: {"preview": name, "image": image_layer.unique_id}}
        layer = Labels(classes_array[np.newaxis], name=name, opacity=_OPACITY, metadata=metadata, **look)
        _add_above(viewer, image_layer, layer)
    else:
        layer.data = classes_array[np.newaxis]
        _change(layer, look)
        raise_above(viewer, image_layer, layer)
        if _mark(layer)["image"] != image_layer.unique_id:
            _mark(layer)["image"] = image_layer.unique_id
            _lower(viewer, image_layer, layer)
    layer.editable = False
    return layer


def preview_called(viewer: ViewerModel, name: str) -> Labels | None:
    """Return the layer of the preview of that name."""
    return next((layer for layer in viewer.layers if _mark(layer).get("preview") == name), None)


def _mark(layer: Layer) -> dict[str, Any]:
    """Return what we wrote into the metadata of a layer, nothing for one that is not ours."""
    return layer.metadata.get(OURS, {})


def _change(layer: Layer, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(layer, name, value)


def _add_above(viewer: ViewerModel, image_layer: Image, layer: Layer) -> None:
    """Add a layer above the image and what we showed on it before, without selecting it."""
    layers = list(viewer.layers)
    ids = [each.unique_id for each in layers]
    place = ids.index(image_layer.unique_id) + 1 if image_layer.unique_id in ids else len(ids)
    while place < len(layers) and _mark(layers[place]) and not is_strokes(layers[place]):
        place += 1
    with selection_kept(viewer), camera_kept(viewer):
        viewer.layers.insert(place, layer)


def raise_above(viewer: ViewerModel, image_layer: Image, layer: Layer) -> None:
    """Move a layer that lies below the image: it may have been made over another one."""
    ids = [each.unique_id for each in viewer.layers]
    below = ids.index(layer.unique_id)
    if image_layer.unique_id in ids[below:]:
        with selection_kept(viewer):
            viewer.layers.move(below, ids.index(image_layer.unique_id) + 1)


def _lower(viewer: ViewerModel, image_layer: Image, layer: Layer) -> None:
    """Move a layer that lies above an image that hides its own one: it was made over another one."""
    layers = list(viewer.layers)
    ids = [each.unique_id for each in layers]
    above = ids.index(layer.unique_id)
    if image_layer.unique_id in ids[:above]:
        first = ids.index(image_layer.unique_id) + 1
        if any(each.visible and hides(each) for each in layers[first:above]):
            with selection_kept(viewer):
                viewer.layers.move(above, first)


@contextmanager
def selection_kept(viewer: ViewerModel) -> Iterator[None]:
    """Select afterwards what was selected before: someone may be painting."""
    selected = set(viewer.layers.selection)
    yield
    viewer.layers.selection.clear()
    viewer.layers.selection.update(selected)
