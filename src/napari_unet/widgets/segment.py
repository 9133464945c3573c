"""The panel that segments a stack with a trained model."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QCheckBox, QPushButton

from napari_unet.config import SegmentConfig
from napari_unet.events import Finished
from napari_unet.library import free
from napari_unet.problem import Problem
from napari_unet.widgets import preferences
from napari_unet.widgets.earlier import EarlierResults, image_of, show_earlier
from napari_unet.widgets.form import Form
from napari_unet.widgets.goingon import GoingOn
from napari_unet.widgets.handover import volume_of
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobview import JobView
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.panel import Panel
from napari_unet.widgets.part import Part
from napari_unet.widgets.prepare import prepare, prepare_section
from napari_unet.widgets.remembered import recall, remember
from napari_unet.widgets.rows import Fold, plain_tip, side_by_side
from napari_unet.widgets.sectionpreview import SectionPreview, region_of
from napari_unet.widgets.segmenting import begin_segmentation, named
from napari_unet.widgets.sight import InView, in_view, show_flat, why_not_in_view
from napari_unet.widgets.stacks import Stacks, StacksLine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari import Viewer

_ADVANCED = ("best_quality", "tile", "device", "precision", "threads", "scheduler")


class SegmentPanel(Panel):
    """U-Net: Segment.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._previewing = SectionPreview(napari_viewer, self)
        self._image = self.image_choice("The stack to segment; it may be larger than the memory.")
        self._model = self.row("Model", ModelChoice(self._library, False), "What segments it; the card tells more.")
        self._part = self.row("Part", Part(), "Which part of the stack to segment.")
        self._probabilities = self.row(
            "Output",
            QCheckBox("probabilities too"),
            "Classes are always kept; the probability of each class on top.",
        )
        self._preview, self._segment = QPushButton("Preview section"), QPushButton("Segment stack")
        self.wide(side_by_side(self._preview, self._segment))
        self._several = self.wide(StacksLine(napari_viewer))
        self.answers()
        self._form = Form(SegmentConfig, _ADVANCED)
        self.wide(Fold("Advanced", self._form))
        self._view = self.wide(JobView("segment", "Resume"))
        self._command, self._earlier = QPushButton("Copy as command"), EarlierResults(self._library)
        self.wide(side_by_side(self._command, self._earlier))
        self._going_on = GoingOn(self, self._library, self._form, self._image, self._begin)
        self.last_row()
        self._fill()
        self._connect()
        self.reset_choices()

    def reset_choices(self, *_: object) -> None:
        """Follow the layers of the viewer; napari calls it when they change."""
        self._image.reset_choices()
        self._on_image()

    def attached(self) -> None:
        """Show the segmentation that is under way, or was."""
        assert self.jobs is not None
        self._model.watch(self.jobs)
        self._several.watch(Stacks.of(self.viewer, self.jobs, self._library))
        if job := self.jobs.latest("segment"):
            self.began(job)
            if not isinstance(job.outcome, Finished) or job.outcome.stopped:
                self._going_on.compute_as(job.config)
        self.updated()

    def began(self, job: Job) -> None:
        """Show a segmentation that was started in this window."""
        if job.verb == "segment":
            self._view.watch(job)
            self._name_job()
            self.updated()

    def segment_last(self, images: Sequence[Image]) -> None:
        """Preview what is in view with the model that was trained or used last; the next press does whole stacks.

        Parameters
        ----------
        images
            What to segment, the first that can be is previewed; none for the image that is chosen.
        """
        if images:
            usable = [image for image in images if not self.problem_of(image)]
            self._image.value = (usable or images)[0]
        self._model.choose_last()
        self._part.choose_all()
        self._several.offer(images)
        if self._previewing.running:
            self.say("A preview is being computed. Stop it, or wait until it is done; then try again.")
        elif not self._reason():
            self._on_preview()

    def _fill(self) -> None:
        names = {
            "model": self._model,
            "probabilities": self._probabilities,
            "preview": self._preview,
            "segment": self._segment,
            "command": self._command,
        }
        for name, widget in names.items():
            widget.setObjectName(name)
        self._probabilities.setChecked(recall(self._library).probabilities)
        preferences.follow(self._form.prefer)

    def _connect(self) -> None:
        self._image.changed.connect(self._on_other_image)
        self._several.changed.connect(self.updated)
        self._model.changed.connect(self.updated)
        self._part.changed.connect(self.updated)
        self._model.said.connect(self.say)
        self._form.changed.connect(self.updated)
        self._preview.clicked.connect(self._on_preview)
        self._previewing.said.connect(self.say)
        self._previewing.changed.connect(self.updated)
        self._segment.clicked.connect(self._on_segment)
        self._command.clicked.connect(self._on_command)
        self._view.resumed.connect(lambda job: self._going_on.resume(job.config, self.image_of(job)))
        self._view.ended.connect(self._on_ended)
        self._earlier.opened.connect(self._on_open)
        self._earlier.resumed.connect(self._going_on.earlier)

    # ---- what can be done now

    def _reason(self) -> str:
        """Return why nothing can begin, or an empty string."""
        problem = self.problem_of(self._image.value) or self._form.problem()
        return problem or ("The image is being prepared." if self.preparing else "")

    def updated(self) -> None:
        """Say what can be done now, or why it cannot."""
        reason = self._reason()
        previews = self._previewing.running
        self._preview.setText("Stop preview" if previews else "Preview section")
        tip = "Stops the preview." if previews else "Segments what is in view, with all that these settings do."
        self._enable(self._preview, "" if previews else reason, tip)
        several = len(self._several.offered())
        self._segment.setText(f"Segment {several} stacks" if several else f"Segment {self._part.word}")
        self._enable(
            self._segment,
            reason or ("A segmentation is running." if self._running or self._several.busy else ""),
            "Segments tile by tile; the result fills in as tiles are done.",
        )
        self._enable(self._command, reason, "Copies the command that does just this, for a terminal or a cluster.")
        self.explain(reason)
        self._device.lead_to(self._going_on.others(), self._form.defaults())

    def _enable(self, button: QPushButton, reason: str, tip: str) -> None:
        """Let a button be pressed unless there is a reason why not; its tip tells."""
        button.setEnabled(not reason)
        button.setToolTip(plain_tip(reason or tip))

    @property
    def _running(self) -> bool:
        return self._view.job is not None and self._view.job.running

    def _on_other_image(self, *_: object) -> None:
        self.say("")  # it was about the former one
        self._name_job()
        self._on_image()

    def _name_job(self) -> None:
        """Let the view of the job say which image it is about, if another one is chosen."""
        job, chosen = self._view.job, self._image.value
        about = self.image_of(job) if job is not None else None
        if job is None or chosen is None or about is chosen:
            self._view.call("")
        else:
            self._view.call(job.image_name if about is None else about.name)

    def _on_image(self) -> None:
        offered = self._several.offered()
        self._several.offer(offered if self._image.value in offered else ())
        with contextlib.suppress(Problem):  # then nothing can begin, and the panel says why
            self._part.set_depth(volume_of(self._image.value).shape[0] if self._image.value else 1)
        self.updated()

    def _settings(self) -> partial[SegmentConfig]:
        """Return what the widgets show now: what is changed while files are prepared is for the next job."""
        return partial(
            SegmentConfig,
            model=self._model.name(),
            probabilities=self._probabilities.isChecked(),
            **self._going_on.others(),
        )

    def _region(self) -> str | None:
        """Return the part to segment, or None if it is not in view, which is then said."""
        if not self._part.in_view:
            return self._part.region()
        view = self._in_view("Show the part to segment first.", largest=10**9)
        return region_of(view, view.z) if view else None

    def _in_view(self, remedy: str, largest: int = 1024) -> InView | None:
        """Return the part of the image in view, or None if there is none, which is then said."""
        view = in_view(self.viewer, self._image.value, largest)
        if view is None:
            self.say(why_not_in_view(self.viewer, remedy))
        return view

    # ---- segmenting

    def _on_ended(self, job: Job) -> None:
        if isinstance(job.outcome, Finished) and not job.outcome.stopped:
            self._going_on.done()
        self.show_end(self._view)

    def _remember(self) -> None:
        chosen = {"model": self._model.name(), "probabilities": self._probabilities.isChecked()}
        remember(self._library, used=time.time(), **chosen)

    def _on_segment(self) -> None:
        image = self._image.value
        self._going_on.done()
        self._remember()
        if self._several.offered():
            self._several.begin(named(self._settings(), self._library.segmentations, ""))
            return
        show_flat(self.viewer, image)
        self._prepare(lambda config: self._begin(config, image))

    def _on_command(self) -> None:
        def copy(config: SegmentConfig) -> None:
            QGuiApplication.clipboard().setText(config.command())
            same = "It gives the same result in a terminal or on a cluster."
            if config.precision == "auto" or not config.tile:  # a result keeps both, but elsewhere others are chosen
                same = "It does the same anywhere; for the same to the last pixel, choose precision and tile first."
            self.say(f"The command is in the clipboard. {same}")

        self._prepare(copy)

    def _prepare(self, then: Callable[[SegmentConfig], None]) -> None:
        """Bring the image to disk, then go on with what to do with it."""
        image, region = self._image.value, self._region()
        if region is not None:
            configured = named(self._settings(), self._library.segmentations, region)
            self.prepare(prepare(image, (), self._library), lambda files: then(configured(image, files)))

    def _begin(self, config: SegmentConfig, image: Image) -> None:
        """Start a segmentation, or go on with one."""
        assert self.jobs is not None
        if self._running or self._several.busy:
            self.say("A segmentation is running. Stop it, or wait until it is done; then try again.")
            return
        try:
            begin_segmentation(self.viewer, self.jobs, config, image)
        except Problem as problem:
            self.say(str(problem))

    def _on_open(self, path: Path) -> None:
        if not self.preparing:
            work = image_of(path, self.layers(Image))
            self.prepare(work, lambda image: show_earlier(self.viewer, path, image, self))

    # ---- preview

    def _on_preview(self) -> None:
        if self._previewing.running:
            self._previewing.stop()
            return
        image, settings = self._image.value, self._settings()
        view = self._in_view("Show a section of it first.")
        if view is None:
            return
        self._remember()
        show_flat(self.viewer, image)

        def begin(file: tuple[Path, int]) -> None:
            assert self.jobs is not None
            path, z = file
            out = free(self.jobs.scratch, "preview", ".zarr")
            config = settings(image=path, out=out, region=region_of(view, z), probabilities=False)
            self._previewing.begin(self.jobs, config, image, view)

        assert self.jobs is not None
        self.prepare(prepare_section(image, view.z, self.jobs.scratch), begin)
