"""Which layers are painted labels, and a button for new ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QListWidget, QListWidgetItem, QMenu, QPushButton, QWidget

from napari_unet.classes import PixelClass
from napari_unet.omezarr import written_sections
from napari_unet.widgets.handover import blocks
from napari_unet.widgets.strokes import classes_of, is_strokes, missing, set_classes, show_look

if TYPE_CHECKING:
    from napari.layers import Labels

_ROWS = 4  # in view at most; more of them scroll
_MOST = 12  # earlier labels in the menu
_SMALL = 2**26  # bytes of labels that are not in memory and are looked through at once
# In the metadata of a layer that has no classes on disk: those that somebody named, else those that were shown first.
_NAMED, _SHOWN = "napari-unet classes", "napari-unet classes as shown"


class LabelsChoice(QWidget):
    """A list of labels layers to tick, and a button that makes a new one or brings one of another day back.

    Parameters
    ----------
    earlier : callable
        Returns the folders of the labels that were painted before, the newest first.
    """

    changed = Signal()
    new_for_stack = Signal()
    new_for_view = Signal()
    reopened = Signal(object)  # the folder of earlier labels

    def __init__(self, earlier: Callable[[], Sequence[Path]]) -> None:
        super().__init__()
        self._earlier = earlier
        self._layers: list[Labels] = []
        self._looked: dict[str, float] = {}  # what `_largest` told of lazy labels, by their ids
        self._list = QListWidget()
        self._list.setObjectName("labels")
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._list.itemChanged.connect(lambda _: self.changed.emit())
        self._new = QPushButton("New")
        self._new.setObjectName("new")
        self._new.setToolTip("Makes a labels layer over the image, kept on disk, or brings an earlier one back.")
        menu = QMenu(self._new)
        menu.addAction("For the whole stack", self.new_for_stack.emit)
        menu.addAction("For what is in view", self.new_for_view.emit)
        self._before = menu.addMenu("Earlier labels")
        menu.aboutToShow.connect(self._list_earlier)
        self._new.setMenu(menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._list, 1)
        row.addWidget(self._new, 0, Qt.AlignmentFlag.AlignTop)

    def setToolTip(self, text: str) -> None:  # noqa: N802
        """Give the list the tip of its row; the button has its own."""
        self._list.setToolTip(text)

    def show_layers(self, layers: Sequence[Labels]) -> None:
        """List `layers`; those that were ticked stay so, and a new one that is alone is."""
        ticked, known = ({layer.unique_id for layer in them} for them in (self.chosen(), self._layers))
        self._layers = list(layers)
        if len(self._layers) == 1:
            ticked |= {self._layers[0].unique_id} - known
        self._list.blockSignals(True)
        self._list.clear()
        height = self.fontMetrics().height() + 8  # the first one is on a line with the name of the row
        for layer in self._layers:
            item = QListWidgetItem(layer.name, self._list)
            item.setSizeHint(QSize(0, height))
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
        self._list.setFixedHeight(min(max(len(layers), 1), _ROWS) * height + 4)
        self._tick(ticked)

    def chosen(self) -> list[Labels]:
        """Return the layers that are ticked, the topmost first."""
        return [
            layer for row, layer in enumerate(self._layers) if self._item(row).checkState() == Qt.CheckState.Checked
        ]

    def kept_classes(self) -> list[tuple[PixelClass, ...]]:
        """Return the classes of the ticked layers, as far as these have some of their own."""
        return [classes for layer in self.chosen() if (classes := _classes_of(layer))]

    def named(self) -> bool:
        """Return whether classes of the ticked layers are on disk, or somebody named them."""
        return any(_on_disk(each) or _NAMED in each.metadata for each in self.chosen())

    def show_classes(self, classes: Sequence[PixelClass]) -> None:
        """Let the ticked layers have these classes, as far as they have none."""
        for layer in self.chosen():
            if not _classes_of(layer):
                layer.metadata = {**layer.metadata, _SHOWN: tuple(classes)}
                self._show_in(layer, classes)

    def show_other_classes(self, classes: Sequence[PixelClass]) -> None:
        """Let them have these ones instead, where nobody named theirs; other layers have none from now on."""
        for layer in self._layers:
            layer.metadata = {key: value for key, value in layer.metadata.items() if key != _SHOWN}
        self.show_classes(classes)

    def painted_on(self, layer: Labels) -> None:
        """Let a layer keep the classes that were shown when somebody painted on it."""
        if _SHOWN in layer.metadata:
            layer.metadata = {_NAMED: layer.metadata[_SHOWN], **layer.metadata}

    def keep_classes(self, classes: Sequence[PixelClass]) -> None:
        """Let the ticked layers have these classes: on disk, where some are kept there.

        Raises
        ------
        Problem
            If the folder of one cannot be written.
        """
        for layer in self.chosen():
            if _on_disk(layer):
                set_classes(layer, classes)
            elif not missing(layer):  # ids have none on disk, and keep their colours
                layer.metadata = {**layer.metadata, _NAMED: tuple(classes)}
                self._show_in(layer, classes)

    def classes_differ(self) -> bool:
        """Return whether the same value means one thing in one ticked layer, something else in another."""
        return len({tuple(each.name for each in classes) for classes in self.kept_classes()}) > 1

    def choose_only(self, layer: Labels) -> None:
        """Tick one layer and no other."""
        self.choose([layer])

    def choose(self, layers: Sequence[Labels]) -> None:
        """Tick these layers and no others."""
        self._tick({layer.unique_id for layer in layers})

    def _list_earlier(self) -> None:
        """Fill the menu with what was painted before."""
        self._before.clear()
        for path in self._earlier()[:_MOST]:
            self._before.addAction(path.stem, lambda path=path: self.reopened.emit(path))
        self._before.setEnabled(not self._before.isEmpty())

    def _tick(self, ids: Set[str]) -> None:
        """Tick the layers with these ids and no others; all at once for those who listen."""
        self._list.blockSignals(True)
        for row, layer in enumerate(self._layers):
            on = layer.unique_id in ids
            self._item(row).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self._list.blockSignals(False)
        self.changed.emit()

    def _show_in(self, layer: Labels, classes: Sequence[PixelClass]) -> None:
        """Show classes in a layer that is not kept by us, unless it holds ids, or may: these keep their colours."""
        largest = self._looked.get(layer.unique_id)
        if largest is None:
            largest = _largest(layer)
            if type(layer.data) is not np.ndarray:  # else what is painted is seen the next time
                self._looked[layer.unique_id] = largest
        if largest <= len(classes):
            show_look(layer, classes)

    def _item(self, row: int) -> QListWidgetItem:
        return self._list.item(row)


def _largest(layer: Labels) -> float:
    """Return the largest value of a layer as far as some of it tells, infinity where nobody knows."""
    data = layer.data
    if isinstance(data, np.ndarray) and (type(data) is np.ndarray or data.nbytes <= _SMALL):
        return int(data.max(initial=0))
    if not isinstance(data, np.memmap | zarr.Array) or len(shape := data.shape) != 3 or 0 in shape:
        return math.inf
    try:
        written = written_sections(data)
        if written is not None and len(written) * data.nbytes // shape[0] <= _SMALL:
            return max((int(np.max(data[z])) for z in written), default=0)
        return max(int(np.max(data[block])) for block in blocks((shape[0], shape[1], shape[2]))) or math.inf
    except Exception:  # a chunk is damaged, or the disk away: whoever needs the pixels says so
        return math.inf


def _on_disk(layer: Labels) -> tuple[PixelClass, ...]:
    """Return the classes that are kept with a layer on disk, none for ids and for a layer in memory."""
    return classes_of(layer) if is_strokes(layer) else ()


def _classes_of(layer: Labels) -> tuple[PixelClass, ...]:
    """Return the classes of a layer, none if it has none of its own."""
    return _on_disk(layer) or layer.metadata.get(_NAMED) or layer.metadata.get(_SHOWN, ())
