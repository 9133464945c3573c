"""Accept here: copy what is predicted, under a brush or in a rectangle, into the labels."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_unet.problem import Problem
from napari_unet.widgets.marks import mark_accepted
from napari_unet.widgets.onlabels import not_reached
from napari_unet.widgets.predictions import difference, is_prediction, predicted, predictions_in_view
from napari_unet.widgets.rows import plain_tip
from napari_unet.widgets.sight import FLAT_FIRST, shows_sections, voxel_at
from napari_unet.widgets.strokes import is_strokes, missing

if TYPE_CHECKING:
    from napari import Viewer

_LOOK_EVERY = 400  # milliseconds
_MOST = 1024 * 1024  # pixels of a rectangle: napari copies them one by one, and keeps all of them to undo
_HOW = (
    "Drag over what is right: it is copied into the labels. Shift and drag draws a rectangle. What is painted already "
    "is never changed; erase it first. Ctrl+Z takes a drag back."
)


class Accept(QWidget):
    """A button that makes the mouse copy predictions into labels; it says where to paint when a prediction is selected.

    The mouse does so until the button is pressed again, another layer or tool is chosen, or the panel is hidden.

    Parameters
    ----------
    viewer
    ticked : callable
        Returns the labels that are trained on, the topmost first.
    """

    said = Signal(str)

    def __init__(self, viewer: Viewer, ticked: Callable[[], Sequence[Labels]]) -> None:
        super().__init__()
        self._viewer, self._ticked = viewer, ticked
        self._labels: Labels | None = None  # what is copied into while the button is down
        self._before = ""  # the tool that was in hand before
        self._accepted = np.empty((0, 3), int)  # the voxels of the last drag,
        self._there = False  # and whether they are painted
        self._selected = ""  # the id of the layer that was selected at the last look
        self._button = QPushButton("Accept here", objectName="accept", checkable=True)
        self._button.toggled.connect(self._on_toggled)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._button)
        self._timer = QTimer(self, interval=_LOOK_EVERY)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def setToolTip(self, text: str) -> None:  # noqa: N802
        """Leave the tip to the button, which has its own."""

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Show at once whether something can be accepted."""
        super().showEvent(event)
        self._look()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        """Put the tool away: nobody would know that it is in hand."""
        self._button.setChecked(False)
        super().hideEvent(event)

    def _target(self) -> Labels | None:
        """Return the labels to copy into: those that are selected, if they are ticked, else the topmost ticked ones."""
        ticked = self._ticked()
        selected = [layer for layer in ticked if layer == self._viewer.layers.selection.active]
        return next(iter([*selected, *ticked]), None)

    def _reason(self) -> str:
        """Return why nothing can be accepted, or an empty string."""
        labels = self._target()
        if labels is None:
            return "Tick a labels layer, or press New: what is accepted goes there."
        if missing(labels):
            return f"{labels.name} is not kept on disk any more. Put its folder back, or press New."
        if not is_strokes(labels):
            return f"{labels.name} is only in memory until it is trained on. Press New for labels that are on disk."
        there = predictions_in_view(self._viewer)
        if not shows_sections(self._viewer):
            return FLAT_FIRST
        if not there:
            return "No prediction is in view. Train, or press Preview section in the Segment panel."
        if differs := difference(there[0], labels):
            return f"{differs}. Make the classes the same, or hide {there[0].name}."
        return ""

    def _look(self) -> None:
        """Follow what can be accepted, and what is selected."""
        if not self.isVisible():
            return
        labels, active = self._labels, self._viewer.layers.selection.active
        if labels is not None and (active != labels or labels not in self._ticked() or missing(labels)):
            self._button.setChecked(False)
        on = self._button.isChecked()
        if on and labels is not None:
            self._follow_undo(labels)
        reason = "" if on else self._reason()  # a preview that comes late takes nothing out of the hand
        self._button.setEnabled(not reason)
        self._button.setToolTip(plain_tip(reason or _HOW))
        selected = active.unique_id if active is not None else ""
        if selected != self._selected:
            self._selected = selected
            if is_prediction(active):
                self._say_where_to_paint(active)

    def _follow_undo(self, labels: Labels) -> None:
        """Say so if the last drag was taken back, or is there again."""
        if not len(self._accepted):
            return
        there = bool(labels.data[tuple(self._accepted[0])])
        if there != self._there:
            self._there = there
            self._say_accepted(labels)

    def _say_where_to_paint(self, prediction: Labels) -> None:
        prediction.editable = False  # one from a file may not be so yet
        labels = self._target()
        where = "press New, and paint there" if labels is None else f"click a class number, and paint on {labels.name}"
        self.said.emit(f"{prediction.name} is computed and stays as it is. To correct it, {where}.")

    # ---- the tool

    def _on_toggled(self, on: bool) -> None:
        if on and not self._reason():
            self._take_in_hand()
        else:
            self._button.setChecked(False)
            self._put_away()

    def _take_in_hand(self) -> None:
        labels = self._target()
        assert labels is not None
        self._labels, self._before = labels, labels.mode
        self._viewer.layers.selection.active = labels
        labels.visible = True
        labels.mode = "pan_zoom"
        labels.mouse_pan = False  # the drag is ours
        labels.brush_size = labels.brush_size  # napari keeps the size of the cursor only while it paints itself
        labels.cursor = "circle"
        labels.mouse_drag_callbacks.append(self._drag)
        labels.events.mode.connect(self._on_other_tool)
        self.said.emit(_HOW)

    def _put_away(self) -> None:
        labels, self._labels, self._accepted = self._labels, None, self._accepted[:0]
        if labels is None:
            return
        labels.events.mode.disconnect(self._on_other_tool)
        labels.mouse_drag_callbacks.remove(self._drag)
        if labels.mode == "pan_zoom":
            labels.mouse_pan, labels.cursor = True, "standard"
            labels.mode = self._before
        self.said.emit("")

    def _on_other_tool(self) -> None:
        self._button.setChecked(False)

    def _drag(self, labels: Labels, event: Any) -> Generator[None, None, None]:
        """Accept along a drag of the left button; all of it is one step to undo."""
        if event.button != 1 or any(key != "Shift" for key in event.modifiers):
            return
        if missing(labels):
            self.said.emit(f"Nothing is accepted: {labels.name} is not kept on disk any more.")
            return
        if not predictions_in_view(self._viewer):
            self.said.emit("Nothing is accepted: no prediction is in view.")
            return
        if problem := not_reached(self._viewer, labels, event.position):
            self.said.emit(f"Nothing is accepted: {problem}")
            return
        self._follow_undo(labels)  # now: said at the next look, it would hide what is said of this drag
        drag = self._in_rectangle if "Shift" in event.modifiers else self._under_brush
        with labels.events.paint.blocker(), labels.block_history():  # nobody paints by hand
            try:
                accepted = yield from drag(labels, event)
            except Problem as problem:
                show_warning(f"Nothing more is accepted. {problem}")
                return
        if accepted is None:
            return
        if not len(accepted):
            why = f"nothing is predicted there, it is painted already, or {labels.name} does not reach there"
            self.said.emit(f"Nothing is accepted: {why}.")
            return
        self._accepted, self._there = accepted, True
        self._say_accepted(labels)

    def _say_accepted(self, labels: Labels) -> None:
        """Say that the last drag is accepted, or was taken back."""
        done = f"{len(self._accepted):,} pixels are accepted into {labels.name}."
        self.said.emit(done if self._there else "What was accepted last is taken back.")

    def _under_brush(self, labels: Labels, event: Any) -> Generator[None, None, np.ndarray]:
        """Accept what the brush goes over, as long as the section stays; return its voxels (N, 3)."""
        last, section = self._voxel(labels, event), self._viewer.dims.current_step
        accepted = [self._copy(labels, _brushed(labels, last, last))]
        yield
        while event.type == "mouse_move" and self._viewer.dims.current_step == section:
            here = self._voxel(labels, event)
            accepted.append(self._copy(labels, _brushed(labels, last, here)))
            last = here
            yield
        return np.concatenate(accepted)

    def _in_rectangle(self, labels: Labels, event: Any) -> Generator[None, None, np.ndarray | None]:
        """Draw a rectangle, then accept what is in it; return its voxels (N, 3), None if it is given up."""
        first, corner, section = self._voxel(labels, event), event.pos[::-1], self._viewer.dims.current_step
        viewer = getattr(self._viewer, "__wrapped__", self._viewer)  # not napari's proxy, which hides the frame
        frame = viewer.canvas.overlays._zoom_box  # that of napari's own Alt and drag
        frame.position, frame.visible = (corner, corner), True
        yield
        while event.type == "mouse_move":
            frame.position = corner, event.pos[::-1]
            yield
        frame.visible = False
        last = self._voxel(labels, event)  # where the button is released: Qt may leave out moves
        if self._viewer.dims.current_step != section:
            self.said.emit("Nothing is accepted: another section came into view. Drag in one section.")
            return None
        low, high = np.maximum(np.minimum(first, last), 0), np.minimum(np.maximum(first, last) + 1, labels.data.shape)
        if np.maximum(high - low, 0).prod() > _MOST:
            self.said.emit("The rectangle is too large: at most 1,024 x 1,024 pixels are accepted at once.")
            return None
        return self._copy(labels, _voxels(low, high))

    def _voxel(self, labels: Labels, event: Any) -> np.ndarray:
        """Return the voxel of labels under the mouse: (3,), integer."""
        return np.floor(voxel_at(self._viewer, labels, np.array(event.position)) + 0.5).astype(int)

    def _copy(self, labels: Labels, voxels: np.ndarray) -> np.ndarray:
        """Copy what is predicted at voxels (N, 3) of labels where nothing is painted; return those."""
        if not len(voxels):
            return voxels
        low, high = voxels.min(0), voxels.max(0) + 1
        box = tuple(slice(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True))
        unpainted = voxels[np.asarray(labels.data[box])[tuple((voxels - low).T)] == 0]
        said = predicted(self._viewer, labels, unpainted)
        new, values = unpainted[said != 0], said[said != 0]
        if len(new):
            mark_accepted(labels, new, values)
            labels.data_setitem(tuple(new.T), values)
        return new


def _voxels(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the voxels (N, 3) from `low` to before `high`."""
    ends = zip(low, high, strict=True)
    return np.stack(np.meshgrid(*(np.arange(*each) for each in ends), indexing="ij"), -1).reshape(-1, 3)


def _brushed(labels: Labels, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the voxels (N, 3) of labels that their brush goes over on its straight way in a section.

    The brush is round in the world, and as large as napari's own.
    """
    steps = np.abs(labels.scale) / np.abs(labels.scale[1:]).min()
    steps[0] = 0  # it is flat
    radius = labels.brush_size // 2 + 0.5
    reach = np.array([0, *np.ceil(radius / steps[1:])], int)
    low, high = np.minimum(start, end) - reach, np.maximum(start, end) + reach + 1
    voxels = _voxels(np.maximum(low, 0), np.minimum(high, labels.data.shape))
    way, off = (end - start) * steps, (voxels - start) * steps
    along = np.clip(off @ way / max(way @ way, 1e-9), 0, 1)
    return voxels[((off - along[:, None] * way) ** 2).sum(1) <= radius**2]
