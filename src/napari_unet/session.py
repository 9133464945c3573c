"""What a window shows, kept on disk while it lives, so that it can be brought back if its process dies.

::

    LIBRARY/sessions/
      ID.json     what the window shows
      ID.lock     held as long as it lives; touched while it shows something
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import TypeAdapter

from napari_unet.disk import disk_problems, found_in, lock, locked, write_json
from napari_unet.problem import Problem


@dataclass(frozen=True)
class Shown:
    """A layer: where its pixels are, and how it looked.

    Attributes
    ----------
    name : str
    kind : str
        What napari calls such layers, such as "image".
    origin : str
        "ours", labels or a result of this program; "file", what a reader of napari made of a file; "array", an array in
        a file; "sample"; or "memory", nothing that can be opened again.
    path : str
        The file, "" if there is none.
    plugin : str
        The reader that opened the file, or that the sample comes from.
    sample : str
        What the plugin calls the sample.
    shape, dtype
        Of its pixels, at the finest level; empty for what has none.
    look : dict
        Attributes of the layer by name, as JSON holds them.
    which : str
        Tells it from others of the same file; "" where that is not known.
    """

    name: str
    kind: str
    origin: Literal["ours", "file", "array", "sample", "memory"]
    path: str = ""
    plugin: str = ""
    sample: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    look: dict[str, Any] = field(default_factory=dict)
    which: str = ""


@dataclass(frozen=True)
class Asked:
    """A job of the window: its verb, its settings, and the number of the layer it is about, None if that is gone."""

    verb: str
    config: dict[str, Any]
    image: int | None


@dataclass(frozen=True)
class Session:
    """What a window shows.

    Attributes
    ----------
    layers : tuple of Shown
        From bottom to top; the others count them from 0.
    active : int or None
        The layer that is selected.
    point, center : tuple of float
        Where the sliders and the camera are, in the world.
    order : tuple of int
        The axes, those in view last.
    zoom : float
    panels : dict
        For each open panel what its widgets show, by name.
    jobs : tuple of Asked
        The last one of each verb, whether it runs or not.
    """

    layers: tuple[Shown, ...] = ()
    active: int | None = None
    point: tuple[float, ...] = ()
    center: tuple[float, ...] = ()
    order: tuple[int, ...] = ()
    zoom: float = 1.0
    panels: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: tuple[Asked, ...] = ()


class Living:
    """The files of a window that lives; any thread may call.

    Parameters
    ----------
    folder
        Where sessions are kept; made when there is something to write.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{uuid.uuid4().hex}.json"
        self._held: IO[bytes] | None = None
        self._ended = False
        self._one = threading.Lock()

    def write(self, session: Session) -> None:
        """Keep what the window shows now, unless it is closed.

        Raises
        ------
        Problem
            If the disk is full or cannot be written; what was kept before stays.
        """
        with self._one:
            if self._ended:
                return
            with disk_problems(self._file):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._held = self._held or lock(_lock_of(self._file))
            write_json(self._file, asdict(session))

    def beat(self) -> None:
        """Note that the window lives now."""
        if self._held is not None:
            with contextlib.suppress(OSError):
                os.utime(_lock_of(self._file))

    def end(self) -> None:
        """Forget the session: its window is closed."""
        with self._one:
            self._ended = True
            if self._held is not None:
                _forget(self._file, self._held)


class Left:
    """The session of a window that died, nobody else's as long as this object holds it.

    Parameters
    ----------
    file
        One that `left_in` returned.

    Raises
    ------
    Problem
        If another window brings it back just now, or it cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        with disk_problems(file):
            try:
                self._held = lock(_lock_of(file))
            except Problem as busy:
                raise Problem("Another window is bringing it back.") from busy
        try:
            self.session: Session = TypeAdapter(Session).validate_json(file.read_bytes())
        except (OSError, ValueError) as error:
            self._held.close()
            raise Problem(
                f"{file} cannot be read. Press Dismiss; what was painted, trained and segmented is kept."
            ) from error

    def forget(self) -> None:
        """Delete the session, and nothing else."""
        _forget(self._file, self._held)

    def let_go(self) -> None:
        """Leave the session to others."""
        self._held.close()


def left_in(folder: Path) -> list[Path]:
    """Return the sessions in `folder` whose window died, the latest death first; none where nobody can look now."""
    left = [(died(file), file) for file in found_in(folder, "*.json") if not locked(_lock_of(file))]
    return [file for _, file in sorted(left, reverse=True)]


def died(file: Path) -> float:
    """Return when the window of a session died, within seconds, in seconds since 1970; 0 if the session is gone."""
    for each in (_lock_of(file), file):
        with contextlib.suppress(OSError):
            return each.stat().st_mtime
    return 0.0


def dismiss(file: Path) -> None:
    """Delete a session whose window died, and nothing else.

    Raises
    ------
    Problem
        If another window is bringing it back.
    """
    with disk_problems(file):
        _forget(file, lock(_lock_of(file)))


def _lock_of(file: Path) -> Path:
    return file.with_suffix(".lock")


def _forget(file: Path, held: IO[bytes]) -> None:
    """Delete a session, first what others look for; Windows deletes no file that is open."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
        file.with_name(file.name + ".partial").unlink(missing_ok=True)
    held.close()
    with contextlib.suppress(OSError):
        _lock_of(file).unlink(missing_ok=True)
