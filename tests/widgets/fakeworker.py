"""A worker process without torch: it follows the protocol of `napari_unet.worker`, and does as a test tells it.

`FakeWorker` is the test's end of it; this file, run as a script with a folder, is the process. Both meet in the folder:
`does` holds what jobs are to do now, `asked.jsonl` every request that came. Most processes never get a job: what only
jobs need is in `fakejobs.py`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Literal

from napari_unet import log
from napari_unet.events import Compared, Ready, to_json
from napari_unet.requests import Begin, Join, KeepGoing, Preview, Request, Stop, from_json
from napari_unet.requests import to_json as to_line

Does = Literal["finish", "wait", "hang", "fail", "crash"]
STEPS, PAUSE_AT = 40, 10  # of a training; a job told to wait stays there
DEVICE = "the processor, 2 threads"


class FakeWorker:
    """What a test tells the processes, and what they were asked; `command` is for `Jobs`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.command = (sys.executable, "-P", __file__, str(folder))
        self.does("wait")

    def does(self, what: Does) -> None:
        """Let the jobs run to their end, wait in the middle or hang at the start until told or stopped, or go wrong."""
        beside = self._folder / "does.new"
        beside.write_text(what)
        beside.replace(self._folder / "does")

    def compares(self, compared: Compared) -> None:
        """Let the trainings end with a comparison."""
        (self._folder / "compared").write_text(to_json(compared))

    def asked(self, kind: type[Request]) -> list[Request]:
        """Return all requests of a kind, in their order."""
        file = self._folder / "asked.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [request for line in lines if isinstance(request := from_json(line), kind)]


class _Process:
    """The process."""

    def __init__(self, folder: Path, preferred: str) -> None:
        self.folder = folder
        self._precision = json.loads(preferred)["precision"]
        self._begin: Begin | None = None
        self.previews: list[Preview] = []
        self.joins: list[Join] = []
        self.stop, self._keep = threading.Event(), threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def run(self) -> None:
        _ring(to_json(Ready(DEVICE if self._precision == "auto" else f"{DEVICE}, {self._precision}", "")))
        while self._begin is None:
            if self.stop.is_set():
                return
            time.sleep(0.01)
        sys.path.append(str(Path(__file__).parent))  # behind all else: -P keeps it from being the first
        from fakejobs import FakeJobs

        out = Path(self._begin.config["out"])
        out.mkdir(parents=True, exist_ok=True)
        for event in getattr(FakeJobs(self), self._begin.verb)(self._begin.config):
            log.append(out / log.LOG, event)
            _ring()

    def _read(self) -> None:
        for line in sys.stdin:
            with (self.folder / "asked.jsonl").open("a") as asked:
                asked.write(to_line(from_json(line)) + "\n")
            match from_json(line):
                case Begin() as begin:
                    self._begin = begin
                case Preview() as preview:
                    self.previews.append(preview)
                case Join() as join:
                    self.joins.append(join)
                case Stop():
                    self.stop.set()
                case KeepGoing():
                    self._keep.set()
        if not self._keep.is_set():
            self.stop.set()

    def does(self) -> str:
        return (self.folder / "does").read_text()


def _ring(line: str = "") -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


if __name__ == "__main__":
    _Process(Path(sys.argv[1]), sys.argv[2]).run()
