"""A process that waits for a job, then does it: asked through a pipe, heard through its doorbell."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QObject, Signal, Slot

from napari_unet import requests
from napari_unet.events import from_json
from napari_unet.library import HOME
from napari_unet.problem import Problem
from napari_unet.requests import Begin, KeepGoing, Request

# -P: a file of the user named like a module, where napari was started, is not imported in its place.
WORKER = (sys.executable, "-P", "-m", "napari_unet.worker")
# A Ctrl-C in the terminal is not meant for it; on Windows it opens none of its own.
if sys.platform == "win32":
    _APART = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
else:
    _APART = 0
_TAIL = 4000  # bytes of stderr
# Held while a thread speaks, and for good when Python ends: a thread that speaks while Qt is taken down crashes.
_speaking = threading.Lock()
atexit.register(_speaking.acquire)


class Worker(QObject):
    """A process that waits for a job, then does it.

    It belongs to the thread that listens to it, not to the window: what the thread speaks through is always there.

    Parameters
    ----------
    command
        What starts it.
    home
        The folder of the user's library, where it keeps what it measures.
    """

    rang = Signal()
    said = Signal(object)
    ended = Signal()

    def __init__(self, command: Sequence[str], home: Path) -> None:
        super().__init__()
        self.returncode: int | None = None
        self.errors = ""
        self.keeps_going = False
        self._begun = False
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115, the thread closes it
        try:
            # Not buffered: nothing is left to be written when a process is gone, and no lock is held at exit.
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE", HOME: str(home)},
                start_new_session=True,
                creationflags=_APART,
            )
        except OSError as error:
            self._stderr.close()
            raise Problem(f"No job can be started ({error.strerror}). Close other programs and try again.") from error
        assert self._process.stdin is not None
        self._stdin = self._process.stdin

    @property
    def fate(self) -> str:
        """Why it is gone, such as "exit code 1: MemoryError"."""
        code = self.returncode or 0
        why = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        if code == -9:
            return f"{why}; often there was too little memory"
        return f"{why}: {self.errors.splitlines()[-1][:200]}" if self.errors else why

    def listen(self) -> None:
        """Hear it from now on; what was connected before misses nothing."""
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, request: Request) -> None:
        """Write a request; a process that is gone does not read it."""
        self._begun |= isinstance(request, Begin)
        self.keeps_going |= isinstance(request, KeepGoing)
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(requests.to_json(request).encode() + b"\n")

    @Slot()
    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """Say nothing more to it: it ends in good order, unless it was told to keep going."""
        self._stdin.close()

    def let_go(self, patience: float) -> None:
        """End with the window: a spare at once, a job in good order or when its time is over, or when it is done."""
        self.close()
        if not self._begun:
            self.kill()
        elif not self.keeps_going:
            threading.Thread(target=self._kill_after, args=(patience,), daemon=True).start()

    def _kill_after(self, seconds: float) -> None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def _listen(self) -> None:
        """Pass on what the process says until it is gone; runs in a thread of its own."""
        assert self._process.stdout is not None
        with self._process.stdout as lines, self._stderr as stderr, contextlib.suppress(RuntimeError):
            for line in lines:
                self._pass_on(line.decode(errors="replace"))
            code = self._process.wait()
            stderr.seek(max(stderr.seek(0, os.SEEK_END) - _TAIL, 0))
            self.errors = stderr.read().decode(errors="replace").strip()
            self.returncode = code
            with _speaking:
                self.ended.emit()

    def _pass_on(self, line: str) -> None:
        with _speaking:
            try:
                self.said.emit(from_json(line))
            except ValueError:  # an empty line, or what a library printed
                self.rang.emit()


def let_go(workers: list[Worker], scratch: tempfile.TemporaryDirectory[str], patience: float) -> None:
    """Let go of the processes of a window that is gone."""
    while workers:
        workers.pop().let_go(patience)
    scratch.cleanup()
