"""The panel that fine-tunes a model on painted labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari.layers import Image, Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QPushButton

from napari_unet.card import MODEL_FILE
from napari_unet.config import TrainConfig
from napari_unet.disk import seen
from napari_unet.events import Finished
from napari_unet.library import free
from napari_unet.problem import Problem
from napari_unet.widgets.accept import Accept
from napari_unet.widgets.advanced import Advanced
from napari_unet.widgets.annotation import Annotation
from napari_unet.widgets.comparison import Comparison
from napari_unet.widgets.curve import Curve
from napari_unet.widgets.docks import closed
from napari_unet.widgets.enough import Enough
from napari_unet.widgets.findings import Findings
from napari_unet.widgets.inmemory import InMemory
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobview import JobView
from napari_unet.widgets.livepreview import LivePreview, LiveSwitch
from napari_unet.widgets.looks import Look, Looks
from napari_unet.widgets.minutes import Minutes
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.nextplace import NextPlace
from napari_unet.widgets.panel import Panel
from napari_unet.widgets.prepare import Moved, Prepared, keep, prepare, to_go_on, training_on, with_added
from napari_unet.widgets.remembered import recall, remember
from napari_unet.widgets.rows import Fold, plain_tip, side_by_side
from napari_unet.widgets.shortcuts import Shortcuts
from napari_unet.widgets.sight import camera_kept, show_flat
from napari_unet.widgets.strokes import is_strokes, take_over
from napari_unet.widgets.timeline import Timeline
from napari_unet.widgets.training import Trainings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari import Viewer

T = TypeVar("T")


class TrainPanel(Panel):
    """U-Net: Train.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._image = self.image_choice("The stack that was painted on.")
        self._painted = Annotation(self, self._library, lambda: self._image.value)
        self._memory = self.wide(InMemory())
        accept = Accept(napari_viewer, self._painted.chosen)
        self._accept = self.row("Correct", accept, "Take what is predicted right; paint over what is wrong.")
        self._start = self.row("Start from", ModelChoice(self._library, True), "The model that goes on learning.")
        self._minutes = self.row("Time", Minutes(), "How long; Stop works at any moment.")
        self._findings = self.wide(Findings(self))
        self._train = QPushButton("Train", objectName="train")
        self.wide(side_by_side(self._findings.button, self._train))
        self.answers()
        self._advanced = Advanced()
        self.wide(Fold("Advanced", self._advanced))
        self._curve = self.wide(Curve())
        self._view = self.wide(JobView("train", "Continue"))
        self._enough = self.wide(Enough())
        self._next = self.wide(NextPlace(self, self._prepare, self._settings, lambda: self._image.value))
        self._timeline = Timeline(self, self._library, lambda: self._image.value)
        self._compared = self.wide(Comparison(self._timeline))
        self.wide(self._timeline)
        self._live = self.wide(LiveSwitch())
        self._looks = Looks(self, napari_viewer)
        self._new_image = QTimer(self, singleShot=True, interval=0)  # when napari has done with a new one
        self.wide(Fold("Shortcuts", Shortcuts()))
        self.last_row()
        self._fill()
        self._connect()
        self.reset_choices()

    def reset_choices(self, *_: object) -> None:
        """Follow the layers of the viewer; napari calls it when they change."""
        self._image.reset_choices()
        self._painted.show_layers(self.layers(Labels))

    def attached(self) -> None:
        """Show the training that is under way, or was."""
        assert self.jobs is not None
        self._start.watch(self.jobs)
        assert self.watch is not None
        self.watch.painted.connect(self._findings.painted)
        if job := self.jobs.latest("train"):
            self.began(job)
        self.updated()

    # ---- building

    def _fill(self) -> None:
        last = recall(self._library)
        self._start.choose_if_there(last.start_from, TrainConfig.model_fields["start_from"].default)
        self._minutes.setValue(last.minutes)
        self._live.setChecked(last.live)
        self._painted.offer_classes(self._known_classes())

    def _connect(self) -> None:
        self._image.changed.connect(self._on_image)
        self._new_image.timeout.connect(self._painted.lie_above)
        self._painted.changed.connect(self.updated)
        self._findings.flipped.connect(self._painted.let_zero_mean)
        self._findings.pressed.connect(self._on_check)
        self._memory.pressed.connect(self._on_keep)
        self._accept.said.connect(self.say)
        self._start.changed.connect(self._on_start)
        self._start.called.connect(self._timeline.call_anew)
        self._start.said.connect(self.say)
        self._advanced.form.changed.connect(self.updated)
        self._advanced.look.connect(self._on_look)
        self._looks.changed.connect(self.updated)
        self._train.clicked.connect(self._on_train)
        self._view.resumed.connect(self._on_continue)
        self._view.ended.connect(self._on_ended)
        self._timeline.chosen.connect(self._on_chosen)

    # ---- what can be done now

    def _unready(self) -> str:
        """Return why the layers cannot be used, or an empty string."""
        problem = self.problem_of(self._image.value) or self._painted.reason() or self._advanced.form.problem()
        return problem or ("The layers are being prepared." if self.preparing else "")

    def _reason(self) -> str:
        """Return why no training can begin, or an empty string."""
        running = self._view.job is not None and self._view.job.running
        return self._unready() or ("A training is running." if running else "")

    def updated(self) -> None:
        """Say what can be done now, or why it cannot."""
        reason = self._reason()
        settings = self._advanced.form.asdict()
        self._minutes.offer(settings["steps"])
        self._device.lead_to(settings, self._advanced.form.defaults())
        self._memory.show_layers(self._painted.chosen(), self._unready())
        self._painted.hold(self._preparation is not None and self._preparation.writes_labels)
        self._train.setEnabled(not reason)
        self._advanced.offer_looks(reason, self._looks.drawn)
        self._findings.follow(self._image.value, self._painted.chosen(), self._settings(), reason)
        self._next.offer()
        self._train.setToolTip(plain_tip(reason or "Fine-tune the model on what is painted."))
        self.explain(reason)

    # ---- what to start from

    def _known_classes(self) -> tuple[Any, ...]:
        """Return the classes of the model to start from; the present ones for a training from scratch."""
        card = self._start.card()
        return tuple(c for c in card.classes if c.value) if card else self._painted.classes()

    def _on_image(self, *_: object) -> None:
        self.say("")  # it was about the former one
        self._new_image.start()
        self.updated()

    def _on_start(self) -> None:
        self._painted.offer_classes(self._known_classes())
        self.updated()
        if self._view.job is None or not self._view.job.running:
            self._timeline.show_run(Path(self._start.name()))

    def _on_chosen(self, model: str) -> None:
        try:
            self._start.choose(model)
        except Problem as problem:
            self.say(str(problem))

    # ---- training

    def _settings(self) -> dict[str, Any]:
        """Return what the widgets show, but for the files; what is changed later counts for the next training."""
        return {
            "start_from": self._start.name(),
            "minutes": self._minutes.value(),
            **self._painted.settings(),
            **self._advanced.form.asdict(),
        }

    def _on_train(self) -> None:
        if not self._start.still_there():
            return
        name = self._advanced.name.text().strip() or self._painted.chosen()[0].name
        image, settings = self._image.value, self._settings()
        show_flat(self.viewer, image)

        def begin(files: Prepared) -> None:
            config = training_on(files, free(self._library.runs, name), settings)
            remember(self._library, start_from=config.start_from, minutes=config.minutes, live=self._live.isChecked())
            self._begin(lambda trainings: trainings.begin(config, image, files.labels))

        self._prepare(begin)

    def _prepare(self, then: Callable[[Prepared], None], button: str = "") -> None:
        """Let the layers be files, then go on with these; what `button` asks for is shown in this very panel."""

        def go_on(files: Prepared) -> None:
            self._take_over(files.moved)
            if button and closed(self):
                self.say(f"{self._where(files.moved)}The panel was closed meanwhile. Press {button} again.")
            else:
                then(files)

        self._write(prepare, go_on)

    def _on_keep(self) -> None:
        """Keep the labels on disk, whatever becomes of the image."""
        self._write(keep, self._take_over)

    def _write(self, work: Callable[..., Generator[str, None, T]], then: Callable[[T], None]) -> None:
        """Let `work`, one of those of `prepare.py`, write files of the layers."""
        labels, classes = self._painted.chosen(), self._painted.classes()
        in_memory = [layer for layer in labels if not is_strokes(layer)]
        self.prepare(work(self._image.value, labels, self._library, classes), then, in_memory)

    def _take_over(self, moved: Moved) -> None:
        """Let layers be painted in their files."""
        for layer, path in moved:
            with camera_kept(self.viewer):
                take_over(layer, path)
        self.say(self._where(moved))

    def _where(self, moved: Moved) -> str:
        """Return a sentence on layers that are painted in a copy from now on, if some are."""
        names = ", ".join(layer.name for layer, _ in moved)
        return names and f"{names} is kept on disk from now on, in {self._library.labels}. "

    def _begin(self, start: Callable[[Trainings], Job]) -> None:
        """Start a training, or go on with one."""
        assert self.jobs is not None
        assert self.watch is not None
        try:
            job = start(Trainings(self.viewer, self.jobs, self.watch))
        except Problem as problem:
            self.say(str(problem))
            return
        for live in job.findChildren(LivePreview):
            live.pause(not self._live.isChecked())

    def _on_continue(self, job: Job) -> None:
        """Go on with a training."""
        self.say("")  # what was said at its end
        if not self.preparing:
            work = to_go_on(job.config, self.image_of(job), self.layers(Image), self._library)
            self.prepare(work, lambda found: self._go_on(*found))

    def _go_on(self, config: TrainConfig, image: Image) -> None:
        """Go on with a training, and let the panel name its image."""
        self._image.choose(image)
        self._begin(lambda trainings: trainings.go_on(config, image))
        self._timeline.show_run(config.out)  # it is undone no longer

    def began(self, job: Job) -> None:
        """Show a training that was started in this window."""
        if job.verb != "train":
            return
        shown = self._curve, self._view, self._enough, self._next, self._compared, self._timeline, self._live
        for each in shown:
            each.watch(job)
        self.updated()

    def _on_ended(self, job: Job) -> None:
        if isinstance(job.outcome, Finished) and seen(job.config.out / MODEL_FILE):
            self.say(f"The model is called {job.config.out.name}. The Segment panel offers it.")
        self.show_end(self._view)

    # ---- looking before training

    def _on_check(self) -> None:
        """Let the start model look for slips."""
        image, settings = self._image.value, self._settings()
        self._prepare(lambda files: self._findings.begin(files, image, with_added(settings, files)), "Check")

    def _on_look(self, what: Look) -> None:
        """Let the examples and weights be drawn, then show one of them; or stop that."""
        if self._looks.drawn:
            self._looks.stop()
            return
        image, settings = self._image.value, self._settings()

        def begin(files: Prepared) -> None:
            assert self.jobs is not None
            config = training_on(files, free(self.jobs.scratch, "examples"), settings)

            def said(text: str) -> None:
                self.say(self._where(files.moved) + text)

            self._looks.begin(self.jobs, what, config, image, said)

        self._prepare(begin, f"Show {what}")
