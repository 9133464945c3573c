"""What is painted outlives a power cut within seconds, and those who learn from it hear which sections changed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QMainWindow

from napari_unet.disk import sync
from napari_unet.widgets.labelfolder import chunk_files, note_used, stamps
from napari_unet.widgets.marks import mark_corrections
from napari_unet.widgets.onlabels import OnLabels
from napari_unet.widgets.preferences import library_of
from napari_unet.widgets.strokes import is_strokes, missing, path_of, why_missing
from napari_unet.widgets.undo import jump_on_undo

if TYPE_CHECKING:
    from napari import Viewer

_EVERY = 1000  # milliseconds
_TRIES = 3  # to sync files while somebody erases others
_TWICE = (
    "{layer} is no copy: it shows the same labels on disk as {same}, so painting on one changes both. "
    "To keep a copy, use File > Save Selected Layers."
)
_PATIENCE = 3  # looks after which a section is passed on though somebody goes on painting


class PaintWatch(QObject):
    """Looks every second which files of the labels in a viewer changed.

    Files tell of all that changes labels: strokes, undo, and other programs.

    Parameters
    ----------
    viewer
        Its labels on disk are looked after.
    folder
        Where new labels go: none may take the name of those that were shown.
    parent
        Its main window.
    """

    painted = Signal(object, object)  # the folder of the labels, a set of their sections
    painted_in_memory = Signal(str)  # the name of labels that are not kept on disk

    def __init__(self, viewer: Viewer, folder: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._folder = viewer, folder
        self._known: set[Any] = set()  # the ids of the labels that are looked after
        self._in_memory: set[Any] = set()  # the ids of the others
        self._seen: dict[Path, dict[int, int]] = {}  # labels, section: when it changed last
        self._described: dict[Path, int] = {}  # labels: when their classes changed last
        self._waiting: dict[Path, dict[int, int]] = {}  # labels, section: looks since it began to change
        self._saving: threading.Thread | None = None
        self._unsaved: dict[Path, int] = {}  # labels: what is newer than this is not safe yet
        self._trouble = ""
        self._gone: dict[Labels, str] = {}  # those whose folders are not there now, and the tool that was in hand
        self._why: dict[Path, str] = {}  # what was said of their folders
        OnLabels(viewer)
        timer = QTimer(self, interval=_EVERY)
        timer.timeout.connect(self._look)
        timer.start()
        self._look()

    @classmethod
    def of(cls, window: QMainWindow, viewer: Viewer) -> PaintWatch:
        """Return the watch of a window, made at the first call."""
        return window.findChild(cls) or cls(viewer, library_of(window).labels, window)

    def _look(self) -> None:
        layers: dict[Path, Labels] = {}
        for layer in filter(is_strokes, self._viewer.layers):
            same = layers.setdefault(path_of(layer), layer)
            if layer.unique_id not in self._known:
                self._known.add(layer.unique_id)
                jump_on_undo(self._viewer, layer)
                mark_corrections(self._viewer, layer)
                if path_of(layer).parent == self._folder:
                    note_used(path_of(layer))
                if same is not layer:
                    show_warning(_TWICE.format(layer=layer.name, same=same.name))
        for layer in self._viewer.layers:
            if isinstance(layer, Labels) and layer.unique_id not in self._known | self._in_memory:
                self._in_memory.add(layer.unique_id)
                layer.events.paint.connect(self._on_paint)
        away = {layer: folder for layer in self._viewer.layers if (folder := missing(layer))}
        for gone in self._seen.keys() - layers:
            self._compare(gone)  # it may have been painted on just before it was removed
            del self._seen[gone], self._described[gone]
        why = {folder: why_missing(folder) for folder in away.values()}
        for gone in why:
            if why[gone] != self._why.get(gone):
                what = f"{gone.stem} is not kept on disk any more: {why[gone]}"
                show_warning(f"{what}. Put its folder back, then paint on.")
        self._why = why
        for layer in away.keys() - self._gone.keys():  # also a duplicate that was made meanwhile
            self._gone[layer] = layer.mode
            layer.editable = False  # painting would make a folder in that place, or change other labels
        returned = {layer: path_of(layer) for layer in self._gone if layer in self._viewer.layers and is_strokes(layer)}
        for layer in returned:
            layer.editable, layer.mode = True, self._gone.pop(layer)
        for back in set(returned.values()):
            show_info(f"{back.stem} is kept on disk again: paint on.")
            self.painted.emit(back, set(stamps(back)))  # what was painted last may not have been read
        for path in layers:
            self._pass_on(path, self._compare(path))
        self._save()

    def _on_paint(self, event: Any) -> None:
        if not is_strokes(event.source):  # it may be kept on disk since
            self.painted_in_memory.emit(event.source.name)

    def _compare(self, path: Path) -> set[int]:
        """Return which sections changed since the last look; what was not looked at yet may not be safe."""
        try:
            now, described = stamps(path), _changed(path / "zarr.json")
        except OSError:  # the disk is away, which is told when it lasts
            return set()
        before = self._seen.get(path)
        changed = {z for z in now.keys() | (before or {}) if now.get(z) != (before or {}).get(z)}
        if changed or described != self._described.get(path):
            self._unsaved.setdefault(path, max((before or {}).values(), default=0))
        self._seen[path], self._described[path] = now, described
        return changed if before is not None else set()

    def _pass_on(self, path: Path, changed: set[int]) -> None:
        """Tell of sections that nobody paints on any more, or has for seconds."""
        waiting = self._waiting.setdefault(path, {})
        waiting.update({z: waiting.get(z, 0) + 1 for z in changed})
        ready = {z for z, looks in waiting.items() if z not in changed or looks >= _PATIENCE}
        for z in ready:
            del waiting[z]
        if ready:
            self.painted.emit(path, ready)

    def _save(self) -> None:
        """Let a thread put on the disk what the system still keeps in memory."""
        if self._trouble:
            show_warning(f"What you paint may not be safe on the disk: {self._trouble}.")
            self._trouble = ""
        if self._unsaved and (self._saving is None or not self._saving.is_alive()):
            self._saving = threading.Thread(target=self._sync, args=(self._unsaved,), daemon=True)
            self._unsaved = {}
            self._saving.start()

    def _sync(self, unsaved: dict[Path, int]) -> None:
        for path, since in unsaved.items():
            for _ in range(_TRIES):
                try:
                    sync(path, _newer(path, since))
                    break
                except FileNotFoundError:  # erased meanwhile, and perhaps others are not synced yet
                    continue
                except OSError as error:
                    self._trouble = f"{error.strerror} ({path})"
                    break


def _newer(path: Path, since: int) -> list[Path]:
    """Return the files of labels that changed since a time, in nanoseconds, and what tells their classes."""
    return [*(file for file in chunk_files(path) if _changed(file) >= since), path / "zarr.json"]


def _changed(file: Path) -> int:
    """Return when a file changed last, in nanoseconds; 0 if it is gone."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
