"""A training seen from its end: look at the models it kept, take an earlier one, undo all of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari.layers import Image, Labels
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QPushButton, QSlider, QWidget

from napari_unet.card import MODEL_FILE, find, read_card
from napari_unet.config import SegmentConfig
from napari_unet.disk import is_there, seen
from napari_unet.events import Event, Failed, Finished, Score
from napari_unet.library import UNDONE, Library, free, undo
from napari_unet.naming import name_of
from napari_unet.problem import Problem
from napari_unet.runs import begun_in
from napari_unet.timeline import adopt, kept
from napari_unet.widgets.job import Job
from napari_unet.widgets.models import SCRATCH
from napari_unet.widgets.panel import Panel
from napari_unet.widgets.predictions import show_first
from napari_unet.widgets.preferences import machine
from napari_unet.widgets.prepare import prepare_section
from napari_unet.widgets.remembered import remember
from napari_unet.widgets.result import preview_called
from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.sectionpreview import SectionPreview, region_of
from napari_unet.widgets.sight import in_view, show_flat, why_not_in_view


@dataclass(frozen=True)
class _Stop:
    """A place of the slider: a model, what it is called, and the step it is of, None if it is in the library."""

    title: str
    model: str
    step: int | None


class Timeline(QWidget):
    """A slider over the models of a training, and what one can do with them; hidden without a training.

    Parameters
    ----------
    panel : Panel
        Prepares the image, and says what happens.
    library : Library
    image : callable
        Returns the image to look at.
    """

    chosen = Signal(str)  # a model that somebody wants to go on from

    def __init__(self, panel: Panel, library: Library, image: Callable[[], Image | None]) -> None:
        super().__init__()
        self._panel, self._library, self._image = panel, library, image
        self._run: Path | None = None
        self._job: Job | None = None
        self._stops: list[_Stop] = []
        self._shown: list[str] = []  # the two previews that were asked for last
        self._preview = SectionPreview(panel.viewer, self)
        self._slider = QSlider(Qt.Orientation.Horizontal, objectName="timeline")
        self._slider.setPageStep(1)
        self._slider.setToolTip("The models that this training kept on its way.")
        self._title = Sentences()
        self._title.setObjectName("stop-title")
        self._show = QPushButton("Show", objectName="show-step")
        self._flip = QPushButton("Flip", objectName="flip")
        self._use = QPushButton("Use", objectName="use-step")
        self._undo = QPushButton("Undo training", objectName="undo")
        self._show.setToolTip("Segments what is in view with this model.")
        self._use.setToolTip("Makes this model one of its own, to segment with or to go on from.")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self._slider, 0, 0, 1, 4)
        grid.addWidget(self._title, 1, 0, 1, 4)
        for column, button in enumerate((self._show, self._flip, self._use, self._undo)):
            grid.addWidget(button, 2, column)
        self._slider.valueChanged.connect(self._update)
        self._show.clicked.connect(self._on_show)
        self._flip.clicked.connect(self._on_flip)
        self._use.clicked.connect(self._on_use)
        self._undo.clicked.connect(self._on_undo)
        self._preview.said.connect(panel.say)
        self._preview.changed.connect(self._update)
        self.hide()

    def watch(self, job: Job) -> None:
        """Follow a training."""
        if self._job is not None:
            self._job.happened.disconnect(self._on_event)
        self._job = job
        job.happened.connect(self._on_event)
        self.hide()
        self.show_run(job.config.out)

    def show_run(self, run: Path) -> None:
        """Show the models of a run folder; if it has none, those that are shown stay."""
        if stops := _stops(run):
            last = run != self._run or self._slider.value() == self._slider.maximum()
            self._run, self._stops = run, stops
            self._slider.setRange(0, len(stops) - 1)
            if last:
                self._slider.setValue(len(stops) - 1)
            self.show()
        self._update()

    def call_anew(self) -> None:
        """Show what the models are called now."""
        if self._run is not None and not self.isHidden():
            self.show_run(self._run)

    def go_back(self, run: Path) -> None:
        """Undo the training of a run folder."""
        self.show_run(run)
        self._let_be(run, undone=True)

    @property
    def _running(self) -> bool:
        return self._job is not None and self._job.running and self._job.config.out == self._run

    def _on_event(self, event: Event) -> None:
        assert self._job is not None
        run = self._job.config.out
        if isinstance(event, Score | Finished | Failed):
            self.show_run(run)
        if isinstance(event, Finished) and not seen(run / MODEL_FILE):  # stopped before its first step
            self.hide()

    def _update(self) -> None:
        """Show what can be done with the model at the slider."""
        if self._run is None:
            return
        stop = self._stops[self._slider.value()]
        undone = seen(self._run / UNDONE)
        # With its name: what is said above the slider may be of another training.
        self._title.setText(f"{name_of(str(self._run))}{' (undone)' * undone} · {stop.title}")
        self._show.setText("Stop" if self._preview.running else "Show")
        both = len(self._there()) == 2
        self._flip.setEnabled(both)
        tip = "Shows the other one of the two models that were shown last." if both else "Show two models first."
        self._flip.setToolTip(tip)
        self._undo.setText("Redo training" if undone else "Undo training")
        self._undo.setEnabled(not self._running)
        reason = "Stop the training first." if self._running else ""
        tip = "Takes the model back." if undone else "Goes back to the model from before; this one is kept, behind all."
        self._undo.setToolTip(reason or tip)

    def _on_show(self) -> None:
        if self._preview.running:
            self._preview.stop()
            return
        image, stop, jobs = self._image(), self._stops[self._slider.value()], self._panel.jobs
        view = in_view(self._panel.viewer, image) if image is not None else None
        if image is None or view is None or jobs is None:
            self._panel.say(why_not_in_view(self._panel.viewer, "Show a section of it first."))
            return
        show_flat(self._panel.viewer, image)

        def begin(file: tuple[Path, int]) -> None:
            path, z = file
            out, name = free(jobs.scratch, "preview", ".zarr"), _layer_name(stop)
            fields = {"image": path, "out": out, "model": stop.model, "region": region_of(view, z)}
            config = SegmentConfig(**fields, **machine())
            called = "" if stop.step is None else f"step {stop.step:,}"
            self._preview.begin(jobs, config, image, view, name, called)
            self._remember(name)

        self._panel.prepare(prepare_section(image, view.z, jobs.scratch), begin)

    def _remember(self, name: str) -> None:
        """Keep the layers of the two models that were shown last."""
        self._shown = [*(each for each in self._shown if each != name), name]
        for gone in self._shown[:-2]:
            if (layer := preview_called(self._panel.viewer, gone)) is not None:
                self._panel.viewer.layers.remove(layer)
        self._shown = self._shown[-2:]
        self._update()

    def _on_flip(self) -> None:
        there = self._there()
        if there:
            other = next((layer for layer in there if not layer.visible), there[0])
            more = show_first(self._panel.viewer, other)
            shown = f"In view: {other.name}."
            elsewhere = f"{other.name} was shown elsewhere. Move the slider to its model and press Show to see it here."
            told = shown if in_view(self._panel.viewer, other) else elsewhere
            self._panel.say(f"{told} {more}".rstrip())

    def _there(self) -> list[Labels]:
        """Return the layers of the models that were shown last, but for those that were stopped or removed."""
        layers = [preview_called(self._panel.viewer, name) for name in self._shown]
        return [layer for layer in layers if layer is not None]

    def _on_use(self) -> None:
        assert self._run is not None
        stop = self._stops[self._slider.value()]
        try:
            model = _there(stop.model)
            if stop.step is not None:
                model = str(adopt(self._run, stop.step, self._library.runs))
        except Problem as problem:
            self._panel.say(str(problem))
            return
        self.chosen.emit(model)
        self._panel.say(f"{name_of(model)} is chosen: the next training starts from it, and Segment offers it.")

    def _on_undo(self) -> None:
        assert self._run is not None
        self._let_be(self._run, undone=not seen(self._run / UNDONE))

    def _let_be(self, run: Path, undone: bool) -> None:
        """Undo a training, or take that back."""
        try:
            start = _in_library(begun_in(run).start_from)
            chosen = _there(start if undone else str(run))
            undo(run, undone)
        except Problem as problem:
            self._panel.say(str(problem))
            return
        if chosen != SCRATCH:
            remember(self._library, model=chosen, used=time.time())  # Segment takes it up, too
        self.chosen.emit(chosen)
        self.show_run(run)  # not that of the model which is chosen now: the next press takes this one back
        this = name_of(str(run))
        former = '"from scratch"' if start == SCRATCH else name_of(start)
        said = f"Undone: {former} is chosen again, as it was. {this} is kept, behind all others."
        self._panel.say(said if undone else f"{this} is chosen again.")


def _stops(run: Path) -> list[_Stop]:
    """Return the models of a run: the one it started from, those on its way, the one it keeps."""
    try:
        start = _in_library(begun_in(run).start_from)
        final = read_card(run / MODEL_FILE)
    except Problem:
        return []
    before = [] if start == SCRATCH else [_Stop(f"Before: {name_of(start)}", start, None)]
    on_the_way = []
    for step, file in kept(run):
        with contextlib.suppress(Problem):  # a damaged one is not offered
            on_the_way.append(_Stop(_title(f"Step {step:,}", read_card(file).scores), str(file), step))
    kept_one = _Stop(_title(f"Kept: step {final.step:,}", final.scores), str(run), None)
    return [*before, *on_the_way, kept_one]


def _title(text: str, scores: dict[str, float]) -> str:
    return " · ".join([text, *(f"{name} {score:.2f}" for name, score in scores.items())])


def _layer_name(stop: _Stop) -> str:
    name = stop.title.split(" · ")[0]
    return f"U-Net: {name[0].lower()}{name[1:]}"


def _there(model: str) -> str:
    """Return a model that can be used.

    Raises
    ------
    Problem
        If it is gone, since somebody deleted its folder, or cannot be read now.
    """
    try:
        if model != SCRATCH:
            read_card(find(model))
    except Problem as problem:
        if is_there(Path(model)):
            raise Problem(f"Nothing is changed. {problem}") from problem
        raise Problem(
            f"{name_of(model)} is gone, so nothing is changed. Choose another model at Start from."
        ) from problem
    return model


def _in_library(name: str) -> str:
    """Return what the library calls a model: its folder, if it is that of a training."""
    return str(Path(name).parent) if Path(name).name == MODEL_FILE else name
