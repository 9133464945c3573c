"""What jobs ask of the disk: one writer, files that outlive a power cut, errors in plain words."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from napari_unet.problem import Problem, unreadable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_BLINK = 0.2  # seconds; who only looks whether a file is locked holds it for less


def lock(file: Path, guarded: Path | None = None) -> IO[bytes]:
    """Open `file` and lock it; the system releases it when it is closed or the process dies.

    Parameters
    ----------
    file : Path
    guarded : Path or None
        What nobody else may write meanwhile; None for the folder of `file`.

    Raises
    ------
    Problem
        If another job holds it.
    """
    opened = file.open("ab")
    end = time.monotonic() + _BLINK
    while not _held(opened):
        if time.monotonic() > end:
            opened.close()
            raise Problem(f"Another job is writing {guarded or file.parent}. Wait until it ends, or stop it.")
        time.sleep(_BLINK / 20)
    return opened


def is_there(path: Path) -> bool:
    """Tell whether a file or folder is there.

    Raises
    ------
    Problem
        If the system does not tell.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


def seen(path: Path) -> bool:
    """Tell whether a file or folder can be seen now; where the system does not tell, it cannot."""
    try:
        return is_there(path)
    except Problem:
        return False


def found_in(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield what matches a pattern in a folder, as far as the system tells now."""
    with contextlib.suppress(OSError):
        yield from folder.glob(pattern)


def newest_first(folder: Path, pattern: str) -> list[tuple[float, Path]]:
    """Return what matches a pattern and can be seen now, each with the time of its last change, the newest first."""
    times = []
    for path in found_in(folder, pattern):
        with contextlib.suppress(OSError):  # as of a link to a disk that is not there today
            times.append((path.stat().st_mtime, path))
    return sorted(times, reverse=True)


def locked(file: Path) -> bool:
    """Tell whether a job holds the lock `file`, at this moment."""
    try:
        with file.open("rb") as opened:
            return not _held(opened, alone=False)
    except OSError:  # there is none, or it is not ours to open
        return False


def _held(opened: IO[bytes], alone: bool = True) -> bool:
    """Try to lock a file, alone or with others that only look; return whether it is ours now."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(opened.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(opened, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # some network disks know no locks: go on without one
    return True


def sync(root: Path, files: Iterable[Path]) -> None:
    """Make `files`, and the folders from `root` down to them, outlive a power cut."""
    folders: set[Path] = set()
    for file in files:
        _fsync(file, os.O_RDWR)
        folders.update(folder for folder in file.parents if folder.is_relative_to(root))
    if sys.platform != "win32":  # which cannot sync a folder
        for folder in folders:
            _fsync(folder, os.O_RDONLY)


def refuse_gone(folder: Path, opened: int, file: Path) -> None:
    """Raise Problem if `file` is no longer what is `opened`: the folder was moved or deleted while it was written.

    As long as a file is open, no other one is taken for it.
    """
    try:
        there = os.path.samestat(os.fstat(opened), file.stat())
    except (FileNotFoundError, NotADirectoryError):
        there = False
    except OSError as error:  # the disk or the network is away
        raise unreadable(folder, error) from error
    if not there:
        what = f"{folder} was moved or deleted while it was written"
        raise Problem(f"{what}. Delete what is left there, move it back, and run the same command again.")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in the place of `path` in one step.

    A kill at any moment leaves the former file or the new one, never a part.

    Raises
    ------
    Problem
        If the disk is full or the folder cannot be written; the former file stays.
    """
    beside = path.with_name(path.name + ".partial")
    with disk_problems(path):
        try:
            write(beside)
            _fsync(beside, os.O_RDWR)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, whole or not at all."""
    write_whole(path, lambda beside: beside.write_text(json.dumps(value, indent=1) + "\n"))


@contextlib.contextmanager
def disk_problems(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into a Problem.

    Raises
    ------
    Problem
    """
    try:
        yield
    except OSError as error:
        raise disk_problem(path, error) from error


def room(folder: Path) -> int | None:
    """Return how many bytes are free on the disk that `folder` is or will be on, None if it does not tell."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if seen(each))
    try:
        return shutil.disk_usage(there).free
    except OSError:  # as some network disks
        return None


def disk_problem(path: Path, error: OSError, kept: str = "") -> Problem:
    """Return what `error` means to who wants to write `path`; `kept` ends the last sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what, remedy = f"The disk that holds {path} is full", "Free some space"
    else:
        what, remedy = f"{path} cannot be written ({error.strerror or error})", "Check the disk and your access to it"
    return Problem(f"{what}. {remedy} and run the same command again{kept}.")


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
