"""Traps on the way to the disk: counts what this process writes, and lets one of those calls kill it or fail.

The calls are those that this program, Python and zarr 3.1 use to change a disk: opening a file to write it, writing,
`os.fsync`, `os.rename`, `os.replace`, `os.link`, `os.unlink`, `os.remove`, `os.mkdir`, `os.rmdir`, `os.truncate`.
`test_traps.py` compares them with what strace sees.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import re
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

Point = tuple[str, str, int]  # which call, on which file, the how-manieth of those
_WRITING = set("wax+")
_ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
_NAMED = ["rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir", "truncate"]


class Trap:
    """Counts calls, and springs at one of them.

    Parameters
    ----------
    root : Path
        Only calls on files below are seen.
    at : Point or None
        Where it springs.
    does : str
        "kill": SIGKILL before the call. "half": half of a write, then SIGKILL. "ENOSPC", "EIO": half of a write, then
        that error. "remove": the result is removed. "move": it becomes aside.zarr. "protect": it is made read-only.
        "cut:NAME": the file NAME loses its second half. After the last four the call goes on.
    for_good : bool
        Whether every later call fails, too.
    sprung : callable
        Called just before.
    """

    def __init__(self, root: Path, at: Point | None, does: str, for_good: bool, sprung: Callable[[], object]) -> None:
        self.seen: list[Point] = []
        self._root, self._at, self._does, self._for_good, self._sprung = str(root), at, does, for_good, sprung
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._open = False

    def set(self) -> None:
        """Take the place of the calls, until the process ends."""
        for name in _NAMED:
            setattr(os, name, self._watched(name, getattr(os, name)))
        self._fsync, os.fsync = os.fsync, self._sync  # type: ignore[assignment]
        self._os_open, os.open = os.open, self._descriptor  # type: ignore[assignment]
        self._file = io.open
        io.open = builtins.open = self._opened  # type: ignore[assignment]

    def point(self, call: str, path: Any, some: Callable[[], object] = lambda: None) -> None:
        """Take note of a call, and spring if it is its turn; `some` does half of the call."""
        place = str(_folder(path) if isinstance(path, int) else Path(path).absolute())
        if not place.startswith(self._root + "/"):
            return
        name = re.sub(r"\.[0-9a-f]{32}\.", ".*.", place[len(self._root) + 1 :])
        with self._lock:
            self._counts[call, name] += 1
            this = (call, name, self._counts[call, name])
            self.seen.append(this)
            turn = this == self._at
            if not turn and not (self._open and self._for_good):
                return
            first, self._open = not self._open, True
        if first:
            self._sprung()
        self._spring(some)

    def _spring(self, some: Callable[[], object]) -> None:
        what, _, name = self._does.partition(":")
        if what == "kill":
            _die()
        if what == "half":
            some()
            _die()
        if what in _ERRORS:
            error = OSError(_ERRORS[what], os.strerror(_ERRORS[what]))
            error.add_note(str(some() or 0))
            raise error
        result = Path(self._root, "out.zarr")
        if what == "remove":
            shutil.rmtree(result, ignore_errors=True)  # other threads write into it
        if what == "move":
            result.rename(result.with_name("aside.zarr"))
        if what == "protect":
            for path in (result, *result.rglob("*")):
                with contextlib.suppress(FileNotFoundError):  # another thread has just renamed it
                    path.chmod(0o555 if path.is_dir() else 0o444)
        if what == "cut":
            file = Path(self._root, name)
            with file.open("r+b") as opened:
                opened.truncate(file.stat().st_size // 2)

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *more: Any, dir_fd: int | None = None, **named: Any) -> Any:
            where = path
            if dir_fd is not None:  # shutil.rmtree gives names in an open folder
                named["dir_fd"] = dir_fd
                where = _folder(dir_fd) / path
            self.point("rename" if name == "replace" else "unlink" if name == "remove" else name, where)
            return real(path, *more, **named)

        return call

    def _sync(self, descriptor: int) -> None:
        self.point("fsync", descriptor)
        self._fsync(descriptor)

    def _descriptor(self, path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            self.point("create", path)
        return self._os_open(path, flags, *more, **named)

    def _opened(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        if isinstance(file, int) or not _WRITING & set(mode) or not self._inside(file):
            return self._file(file, mode, buffering, encoding, errors, newline, closefd, opener)
        self.point("create", file)
        raw = _Raw(self, file, mode.replace("b", "").replace("t", ""))
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline, buffering == 1)

    def _inside(self, file: Any) -> bool:
        return str(Path(file).absolute()).startswith(self._root + "/")


class _Raw(io.FileIO):
    """A file whose writes are seen."""

    def __init__(self, trap: Trap, file: Any, mode: str) -> None:
        super().__init__(os.fspath(file), mode)
        self._trap, self._path = trap, os.fspath(file)
        self._owed: OSError | None = None

    def write(self, data: Any) -> int:
        if owed := self._owed:
            self._owed = None
            raise owed
        bytes_ = memoryview(data).cast("B")
        write = super().write
        try:
            self._trap.point("write", self._path, lambda: write(bytes_[: len(bytes_) // 2]))
        except OSError as error:
            # As the system does it: so much was written; the next call says why it was not more.
            if half := int(error.__notes__[0]):
                self._owed = error
                return half
            raise
        return write(bytes_)


def _folder(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed")
