"""What the page of this plugin in napari's preferences says."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMainWindow

from napari_unet.library import HOME, Library, library

_MACHINE = ("device", "precision")


def machine() -> dict[str, Any]:
    """Return what to compute on, "device", and in which number format, "precision"."""
    page = _page()
    return {name: getattr(page, name) for name in _MACHINE}


def follow(take: Callable[[Mapping[str, Any]], None]) -> None:
    """Call `take`, a method of a QObject, with what `machine` returns: now, and at each change while that lives."""
    page, method, owner = _page(), weakref.WeakMethod(take), take.__self__  # type: ignore[attr-defined]
    emitters = [getattr(page.events, name) for name in _MACHINE]

    # One function for both: Python empties what only a window holds before the window says that it is destroyed.
    def tell(what: object = None) -> None:
        if isinstance(what, QObject):
            for each in emitters:
                each.disconnect(tell)
        elif (alive := method()) is not None:
            alive(machine())

    for each in emitters:
        each.connect(tell)
    owner.destroyed.connect(tell)
    tell()


def library_of(window: QMainWindow) -> Library:
    """Return the user's library as a window began with it: it does not move while somebody works, or types a path."""
    shelf = window.findChild(_Shelf) or _Shelf(window)
    return shelf.library


def sessions_of(window: QMainWindow) -> Path:
    """Return where is kept what windows show: in the home folder, to be found when another library was chosen since."""
    at_home = library()
    return (at_home if at_home.writable else library_of(window)).sessions


def unwritable(there: Library) -> str:
    """Return what to say of a library that cannot be written, or an empty string."""
    if there.writable:
        return ""
    return (
        f"Nothing can be kept in {there.root}: it cannot be written. Choose another library folder in "
        f"File > Preferences > U-Net, or with {HOME}; then open napari again."
    )


class _Shelf(QObject):
    """Keeps with a window where its library is."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self.library = library(_page().library_folder)


def _page() -> Any:
    return get_plugin_settings("napari-unet").computing
