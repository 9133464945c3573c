"""What jobs compute on, in a line of a panel, and what to do if a GPU that is there is not used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_unet.events import Event, Failed, Finished, Started
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.rows import Sentences
from napari_unet.words import for_window, listed

_MACHINE = ("device", "precision", "threads")


class ComputesOn(Sentences):
    """What the running jobs compute on, or what the next one would, or why none can."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: Jobs | None = None
        self._cluster = ""
        self._otherwise: list[str] = []  # what the next job asks for
        self.setObjectName("device")
        self.setText("Computes on: looking ...")

    def watch(self, jobs: Jobs) -> None:
        """Follow the jobs of a window."""
        self._jobs = jobs
        jobs.became_ready.connect(self._show)
        jobs.broke.connect(self._show)
        jobs.began.connect(self._follow)
        for job in jobs.running():
            self._follow(job)
        self._show()

    def lead_to(self, asked: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
        """Tell on what the next job computes if that is `asked` of it: a cluster, or what is not `usual`."""
        self._cluster = asked.get("scheduler", "")
        changed = [(name, asked[name]) for name in _MACHINE if asked[name] != usual[name]]
        self._otherwise = [f"{name} {'automatic' if value == 'auto' else value}" for name, value in changed]
        if self._jobs is not None:
            self._show()

    def _follow(self, job: Job) -> None:
        job.happened.connect(self._on_event)
        self._show()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Started | Finished | Failed):
            self._show()

    def _show(self, *_: object) -> None:
        assert self._jobs is not None
        ready, trouble = self._jobs.ready, self._jobs.trouble
        devices = [each.device for job in self._jobs.running() for each in job.events if isinstance(each, Started)]
        if not devices and ready is not None and ready.device:
            devices = [ready.device]
        if self._cluster and not self._jobs.running():
            self.setText(f"Computes on: the cluster {self._cluster}")
        elif devices:
            advice = f"\nNo GPU is used: {ready.advice}" if ready and ready.advice else ""
            next_one = f"\nThe next job, as Advanced says: {listed(self._otherwise)}." if self._otherwise else ""
            self.setText(f"Computes on: {' and '.join(dict.fromkeys(devices))}{advice}{next_one}")
        elif ready is not None:
            self.setText(f"Nothing can be computed: {for_window(ready.advice)}")
        elif trouble:
            remedy = "Run napari-unet doctor in a terminal; it tells more."
            self.setText(f"Nothing can be computed: {trouble}.\n{remedy}")
