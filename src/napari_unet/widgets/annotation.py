"""What is painted, and what it means: the rows for labels, zero and classes, kept in step with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal

from napari_unet.classes import PixelClass
from napari_unet.problem import Problem
from napari_unet.widgets.alignment import corner_of_copy
from napari_unet.widgets.classes import ClassList
from napari_unet.widgets.labelschoice import LabelsChoice
from napari_unet.widgets.newlabels import add_strokes, box_in_view, reopen_strokes, start_painting
from napari_unet.widgets.panel import OPEN_FIRST, Panel
from napari_unet.widgets.result import raise_above
from napari_unet.widgets.strokes import is_strokes, missing, why_missing
from napari_unet.widgets.undo import jump_on_undo
from napari_unet.widgets.zero import ZeroMeaning

if TYPE_CHECKING:
    from napari_unet.library import Library

_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")  # what tells where a layer lies


class Annotation(QObject):
    """The ticked labels, what 0 means in them, and their classes.

    Classes belong to labels: those that are ticked bring theirs, and a change is kept with them.

    Parameters
    ----------
    panel
        It gets the rows.
    library
        Where new labels go.
    image
        Returns the image that is painted on, None if there is none.
    """

    changed = Signal()

    def __init__(self, panel: Panel, library: Library, image: Callable[[], Image | None]) -> None:
        super().__init__(panel)
        self._panel, self._library, self._image = panel, library, image
        self._ticked: set[str] = set()  # the labels whose classes are shown
        self._held = False  # the classes are being written with labels
        self._given: tuple[PixelClass, ...] = ()  # the classes as they came from a model or from labels
        labels = LabelsChoice(library.painted)
        self._labels = panel.row("Labels", labels, "Painted layers: a few strokes of each class are enough.")
        self._zero = panel.row("0 means", ZeroMeaning(), "What an unpainted pixel on a painted section is.")
        self._classes = panel.row("Classes", ClassList(), "What the label values mean. Click a number to paint it.")
        self._labels.changed.connect(self._on_labels)
        self._labels.new_for_stack.connect(lambda: self._new(in_view_only=False))
        self._labels.new_for_view.connect(lambda: self._new(in_view_only=True))
        self._labels.reopened.connect(self._reopen)
        self._zero.changed.connect(self.changed)
        self._classes.changed.connect(self.changed)
        self._classes.edited.connect(self._keep_classes)
        self._classes.picked.connect(self._on_picked)
        selected = panel.viewer.layers.selection.events.active
        selected.connect(self._mark_class)
        panel.destroyed.connect(lambda: selected.disconnect(self._mark_class))

    def chosen(self) -> list[Labels]:
        """Return the labels that are ticked, the topmost first."""
        return self._labels.chosen()

    def settings(self) -> dict[str, Any]:
        """Return the fields of a training that these rows show."""
        classes = self._classes.classes()
        return {
            "classes": tuple(each.name for each in classes),
            "colors": tuple(each.color for each in classes),
            "zero": self._zero.value(),
        }

    def reason(self) -> str:
        """Return why nothing can be learned from this, or an empty string."""
        if not self._labels.chosen():
            return "Press New and paint a few strokes, or tick a labels layer."
        for layer in self._labels.chosen():
            if gone := missing(layer):
                what = f"{layer.name} is not kept on disk any more: {why_missing(gone)}"
                return f"{what}. Put its folder back, or untick it."
        if self._labels.classes_differ():
            return "The ticked labels have different classes. Tick them one by one and make their classes the same."
        image = self._image()
        try:
            for layer in self._labels.chosen():
                if image is not None and not is_strokes(layer):
                    corner_of_copy(layer, image)
        except Problem as problem:
            return str(problem)
        return self._classes.problem()

    def lie_above(self) -> None:
        """Move the ticked labels above their image: napari opens one on top of all that is there."""
        image, viewer = self._image(), self._panel.viewer
        if image is not None and not self.reason():
            for layer in self._labels.chosen():
                raise_above(viewer, image, layer)

    def show_layers(self, layers: Sequence[Labels]) -> None:
        """Offer these layers."""
        self._labels.show_layers(layers)

    def let_zero_mean(self, value: str) -> None:
        """Let 0 mean "unlabelled" or "background"."""
        self._zero.choose(value)

    def classes(self) -> tuple[PixelClass, ...]:
        """Return the classes that are shown."""
        return self._classes.classes()

    def offer_classes(self, classes: Sequence[PixelClass]) -> None:
        """Show classes, unless the ticked labels have their own, or somebody changed those that are shown."""
        if not self._labels.named() and self._classes.classes() == self._given:
            self._classes.set_classes(classes)
            self._given = self._classes.classes()
            self._labels.show_other_classes(self._given)

    def _on_labels(self) -> None:
        """Take the classes of the labels that were ticked; those that have none get what somebody typed before."""
        self._classes.set_painted(bool(self._labels.chosen()))
        self._offer_rows()
        ticked = {layer.unique_id for layer in self._labels.chosen()}
        if ticked != self._ticked:  # else someone may be typing a name just now
            self._ticked = ticked
            self._panel.say("")  # it was about the former ones
            if own := self._labels.kept_classes():
                self._classes.set_classes(own[0])
                self._given = self._classes.classes()
            elif self._classes.classes() != self._given:
                self._keep_classes()
            self._labels.show_classes(self._classes.classes())
            self._mark_class()
            for layer in self._labels.chosen():
                jump_on_undo(self._panel.viewer, layer)
                layer.events.selected_label.connect(self._mark_class)
                layer.events.editable.connect(self._on_editable)
                layer.events.paint.connect(self._on_paint)
                for name in _PLACE:
                    layer.events[name].connect(self._on_moved)
        self.changed.emit()

    def hold(self, held: bool) -> None:
        """Let nobody change the classes while they are written with labels, or let them again."""
        self._held = held
        self._offer_rows()

    def _offer_rows(self) -> None:
        """Let the classes be changed where what is typed can be kept."""
        gone = any(missing(layer) for layer in self._labels.chosen())
        self._classes.setEnabled(not (self._held or gone or self._labels.classes_differ()))

    def _keep_classes(self) -> None:
        """Keep the classes with the ticked labels, unless these mean different things."""
        if self._ticked and not self._classes.problem() and not self._labels.classes_differ():
            try:
                self._labels.keep_classes(self._classes.classes())
            except Problem as problem:
                self._panel.say(str(problem))
            self._given = self._classes.classes()  # they have them

    def _in_hand(self) -> Labels | None:
        """Return the layer that is painted on: the selected one, else the topmost of those that are ticked."""
        active, chosen = self._panel.viewer.layers.selection.active, self._labels.chosen()
        return active if active in chosen else next(iter(chosen), None)

    def _mark_class(self, *_: Any) -> None:
        """Mark the class that is painted with, whoever chose it."""
        if (layer := self._in_hand()) is not None:
            self._classes.set_current(layer.selected_label)

    def _on_moved(self, _: Any) -> None:
        """Look again whether the labels lie on the image."""
        self.changed.emit()

    def _on_paint(self, event: Any) -> None:
        self._labels.painted_on(event.source)

    def _on_editable(self, _: Any) -> None:
        """Take the classes anew: the folder of the labels may be gone, or there again."""
        self._ticked = set()
        self._on_labels()

    def _on_picked(self, value: int) -> None:
        if (layer := self._in_hand()) is not None:
            start_painting(self._panel.viewer, layer, value)
        else:
            self._panel.say("Tick a labels layer, or press New.")

    def _new(self, in_view_only: bool) -> None:
        image, viewer = self._image(), self._panel.viewer
        if problem := OPEN_FIRST if image is None else self._classes.problem():
            self._panel.say(problem)
            return
        try:
            box = box_in_view(viewer, image) if in_view_only else None
            layer = add_strokes(viewer, image, self._classes.classes(), self._library, box)
        except Problem as problem:
            self._panel.say(str(problem))
            return
        self._labels.choose_only(layer)
        self._classes.set_current(self._classes.classes()[0].value)
        how = "Paint a few strokes of each class, then press Train."
        self._panel.say(f"{layer.name} is kept on disk while you paint. {how}")

    def _reopen(self, path: Path) -> None:
        image = self._image()
        if image is None:
            self._panel.say(OPEN_FIRST)
            return
        try:
            layer = reopen_strokes(self._panel.viewer, image, path)
        except Problem as problem:
            self._panel.say(str(problem))
            return
        self._labels.choose_only(layer)
        self._panel.say(f"{layer.name} goes on being kept on disk while you paint.")
