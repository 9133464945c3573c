"""The user's own folder: trainings, painted labels, segmentations, copies of images that were not on disk."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_unet.card import MODEL_FILE, Card, bundled, find, read_card
from napari_unet.disk import disk_problems, locked, newest_first, seen
from napari_unet.log import ERROR, LOG
from napari_unet.naming import named
from napari_unet.preview import PREVIEW
from napari_unet.problem import Problem, unreadable
from napari_unet.runs import LOCK

UNDONE = "undone"
_LONGEST, _LONGEST_END = 60, 40  # characters of a name, and of what is appended to it
HOME = "NAPARI_UNET_HOME"  # environment variable that names another folder


@dataclass(frozen=True)
class Entry:
    """A model one can choose.

    Attributes
    ----------
    name : str
        What `card.find` takes: a bundled name or a run folder.
    title : str
        What the user sees.
    card : Card
    in_training : bool
        Whether some process, of this window or not, trains it just now.
    undone : bool
        Whether somebody undid its training.
    note : str
        What the user noted on it.
    """

    name: str
    title: str
    card: Card
    in_training: bool = False
    undone: bool = False
    note: str = ""


@dataclass(frozen=True)
class Library:
    """The user's own folder; nothing in it is ever overwritten."""

    root: Path

    @property
    def runs(self) -> Path:
        """Trainings, one folder each."""
        return self.root / "trainings"

    @property
    def labels(self) -> Path:
        """Painted labels."""
        return self.root / "labels"

    @property
    def segmentations(self) -> Path:
        """Segmented stacks."""
        return self.root / "segmentations"

    @property
    def copies(self) -> Path:
        """Images that no file holds as they are, copied for the process that computes."""
        return self.root / "copies"

    @property
    def sessions(self) -> Path:
        """What open windows show; see `session.py`."""
        return self.root / "sessions"

    @property
    def writable(self) -> bool:
        """Whether something can be kept there, as far as one can tell without trying."""
        for there in (self.root, *self.root.parents):
            try:
                there.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:  # a disk that does not answer
                break
            return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)  # noqa: PTH112 - it raises nothing
        return False

    def in_words(self, text: str) -> str:
        """Return a message in which copies and labels of this library have the names of layers, not paths."""
        folders = "|".join(re.escape(str(folder)) for folder in (self.copies, self.labels))
        return re.sub(rf"(?:{folders})[\\/]([^\\/]*?)(?:-[0-9a-f]{{12}})?\.zarr(?:[\\/]\d+\b)?", r"\1", text)

    def painted(self) -> list[Path]:
        """Return the folders of the painted labels, the newest first."""
        return zarrs_in(self.labels)

    def models(self) -> list[Entry]:
        """Return the user's own models, the newest first, the bundled ones, those that were undone.

        What cannot be read is left out.
        """
        own = list(self._own())
        there = [*own, *(Entry(name, name, read_card(find(name))) for name in bundled())]
        return sorted(there, key=lambda entry: entry.undone)

    def _own(self) -> Iterator[Entry]:
        for time, file in newest_first(self.runs, f"*/{MODEL_FILE}"):
            try:
                card = read_card(file)
            except Problem:
                continue
            busy, undone = locked(file.with_name(LOCK)), seen(file.with_name(UNDONE))
            called = named(file.parent)
            title = f"{called.name or file.parent.name} ({'undone' if undone else when(time)})"
            yield Entry(str(file.parent), title, card, busy, undone, called.note)


def undo(run: Path, undone: bool = True) -> None:
    """Undo a training: its model stays, but behind all others; or take that back.

    Raises
    ------
    Problem
        If the folder cannot be written.
    """
    with disk_problems(run):
        if undone:
            (run / UNDONE).touch()
        else:
            (run / UNDONE).unlink(missing_ok=True)


def library(chosen: str = "") -> Library:
    """Return the library in the folder that NAPARI_UNET_HOME names, else in `chosen`, else in `~/napari-unet`.

    A `chosen` folder that is not absolute lies in the home folder.
    """
    at_home = re.sub(r"^~[/\\]?", "", chosen.strip()) or "napari-unet"
    return Library(Path(os.environ.get(HOME) or Path.home() / at_home).absolute())


def zarrs_in(folder: Path) -> list[Path]:
    """Return the Zarrs in a folder, the newest first, without those at which nobody can look now."""
    return [path for _, path in newest_first(folder, "*.zarr")]


def free(folder: Path, name: str, suffix: str = "", ending: str = "", taken: Collection[Path] = ()) -> Path:
    """Return a path in `folder` that is free: NAME, NAME-2, NAME-3 ... with `suffix`; NAME is what `file_name` makes.

    Free is what does not exist, an empty folder, and that of a training which failed before it began, but for what is
    `taken`: it is not there now, and may come back.
    """
    stem = file_name(name, ending)
    path, number = folder / f"{stem}{suffix}", 2
    away = {os.path.realpath(each) for each in taken}
    while os.path.realpath(path) in away or not _is_free(path):
        path, number = folder / f"{stem}-{number}{suffix}", number + 1
    return path


def file_name(name: str, ending: str = "") -> str:
    """Return NAME or NAME-ENDING as every file system takes it: dashes for what some do not, at most 60 characters.

    The name is shortened first: the ending, or its last 40 characters, tells one result from another.
    """
    stem, end = (re.sub(r"[^\w.-]+", "-", part).strip("-.") for part in (name, ending))
    end = end and f"-{end[-_LONGEST_END:]}"
    return (stem or "unnamed")[: _LONGEST - len(end)].rstrip("-.") + end


def _is_free(path: Path) -> bool:
    """Tell whether nothing is kept at `path`, and no training is about to begin there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        raise unreadable(path.parent, error) from error
    try:
        names = {each.name for each in path.iterdir()}
    except OSError:  # it is a file, or another user's
        return False
    if LOCK not in names or names - {LOCK, LOG, ERROR, PREVIEW}:
        return not names
    return not locked(path / LOCK)


def when(time: float) -> str:
    """Return a time as "today 14:05", "yesterday 14:05" or "2026-11-20 14:05"."""
    then = datetime.datetime.fromtimestamp(time)
    days = (datetime.date.today() - then.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, then.date().isoformat())
    return f"{day} {then:%H:%M}"
