"""Keeps the large layers of this plugin out of the 3-D view, where napari would read them whole."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.events import EventEmitter
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_unet.reader import OURS, READ
from napari_unet.widgets.paintwatch import PaintWatch
from napari_unet.widgets.predictions import hidden_now, hide_others, is_prediction

if TYPE_CHECKING:
    from napari import Viewer

_MOST = 50_000_000  # voxels; napari draws about 100 million a second
_MARKS = {OURS, READ}  # in the metadata of our layers


class Guard(QObject):
    """Hides large layers while a viewer shows 3-D, and says why; they come back in 2-D.

    It watches as long as it lives; give it the main window of the viewer as parent.

    Parameters
    ----------
    viewer
        Whose layers are watched.
    say
        Gets one sentence each time that layers are hidden.
    """

    def __init__(self, viewer: ViewerModel, say: Callable[[str], None], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._say = say
        self._hidden: set[Any] = set()  # layers by their unique_id
        self._together: set[Any] | None = None  # the predictions that were in view before 3-D
        self._watched: set[Any] = set()
        # napari reads the layers in a callback of its own, and puts its own before all of a plugin, `position` or not.
        # An emitter chained in between counts as one of its own.
        self._early = EventEmitter()
        self._early.connect(self._hide)
        viewer.dims.events.ndisplay.connect(self._early, position="first")
        viewer.layers.events.inserted.connect(self._early, position="first")
        viewer.layers.events.removed.connect(self._on_removed)
        # Late: a layer that is shown before napari has gone back to 2-D is read in 3-D.
        viewer.dims.events.ndisplay.connect(self._show)
        self._hide()

    @classmethod
    def of(cls, window: QMainWindow, viewer: ViewerModel, say: Callable[[str], None]) -> Guard:
        """Return the guard of a window, made at the first call."""
        return window.findChild(cls) or cls(viewer, say, window)

    def _hide(self) -> None:
        if self._viewer.dims.ndisplay != 3:
            return
        if self._together is None:
            self._together = {each.unique_id for each in self._predictions()}
        large = [each for each in self._viewer.layers if _is_ours(each) and _drawn(each) > _MOST]
        for layer in large:
            self._watch(layer)
        self._put_away([each for each in large if each.visible])

    def _put_away(self, layers: list[Layer]) -> None:
        for layer in layers:
            self._hidden.add(layer.unique_id)
            layer.visible = False
        if layers:
            self._say(_sentence([layer.name for layer in layers], sum(map(_drawn, layers))))

    def _watch(self, layer: Layer) -> None:
        """Hide a layer again if it is shown in 3-D: napari refreshes it, and so reads it, before any event."""
        guard, shown = weakref.ref(self), weakref.ref(getattr(layer, "__wrapped__", layer))  # not napari's proxy

        def refresh(*args: Any, **kwargs: Any) -> None:
            watching, layer = guard(), shown()
            if layer is None:
                return
            if watching is not None and layer.visible and _drawn(layer) > _MOST:
                watching._put_away([layer])
            else:
                type(layer).refresh(layer, *args, **kwargs)

        layer.refresh = refresh
        self._watched.add(layer.unique_id)

    def _let_be(self, layer: Layer) -> None:
        if layer.unique_id in self._watched:
            self._watched.remove(layer.unique_id)
            del layer.refresh

    def _on_removed(self, event: Any) -> None:
        self._let_be(event.value)

    def _show(self) -> None:
        if self._viewer.dims.ndisplay != 2:
            return
        for layer in self._viewer.layers:
            self._let_be(layer)
            if layer.unique_id in self._hidden:
                layer.visible = True
        self._hidden.clear()
        came = [each for each in self._predictions() if each.unique_id not in (self._together or ())]
        self._together = None
        over = [each for layer in reversed(came) if layer.visible for each in hide_others(self._viewer, layer)]
        if told := hidden_now(over):
            self._say(told)

    def _predictions(self) -> list[Labels]:
        """Return the predictions in view."""
        return [each for each in self._viewer.layers if each.visible and is_prediction(each)]


def guarded(viewer: Viewer) -> None:
    """Guard the window of a viewer, and keep what is painted in it: layers of ours may come without a panel."""
    if window := main_window(viewer.window.file_menu):
        Guard.of(window, viewer, show_info)
        PaintWatch.of(window, viewer)


def main_window(widget: QWidget) -> QMainWindow | None:
    """Return the window that holds `widget`, in a menu or in a dock, floating or not."""
    above = widget.parentWidget()
    while above is not None and not isinstance(above, QMainWindow):
        above = above.parentWidget()
    return above


def _is_ours(layer: Layer) -> bool:
    """Return whether this plugin made a layer of pixels."""
    return isinstance(layer, (Image, Labels)) and not _MARKS.isdisjoint(layer.metadata)


def _drawn(layer: Image | Labels) -> int:
    """Return how many voxels napari reads to draw a layer in 3-D: of several levels the coarsest, or the locked one."""
    if not layer.multiscale:
        return math.prod(layer.data.shape)
    locked = getattr(layer, "locked_data_level", None)  # since napari 0.7.1
    return math.prod(layer.data[-1 if locked is None else locked].shape)


def _sentence(names: list[str], voxels: int) -> str:
    """Say which layers are hidden, and why first: napari folds all but the first words away."""
    they, come = ("It", "comes") if len(names) == 1 else ("They", "come")
    return (
        f"Too large for 3-D, so hidden: {', '.join(names)}. Drawing {voxels / 1e6:,.0f} million voxels there would "
        f"freeze napari. {they} {come} back in 2-D."
    )
