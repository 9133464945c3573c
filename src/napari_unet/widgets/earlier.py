"""Segmentations of earlier days: to open, to go on with where they were left, and to check."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMenu, QPushButton

from napari_unet.config import SegmentConfig
from napari_unet.disk import locked
from napari_unet.finished import LOCK, finished_chunks
from napari_unet.layout import CONFIG, read_layout
from napari_unet.library import Library, zarrs_in
from napari_unet.problem import Problem
from napari_unet.region import start_of
from napari_unet.result import doubt
from napari_unet.widgets.prepare import layer_of, not_open, with_its_image
from napari_unet.widgets.result import Growing

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.panel import Panel

_MOST = 12  # results in the menu, the newest


class EarlierResults(QPushButton):
    """A button with a menu of the results in the library, the newest first."""

    opened = Signal(object)  # the path of a result
    resumed = Signal(object)  # the configuration of one to go on with, or to check

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._library = library
        self.setObjectName("earlier")
        self.setText("Earlier results")
        self.setToolTip(
            "Opens a segmentation of an earlier day, goes on with one that was left unfinished, or checks one that is "
            "finished and computes again what is damaged."
        )
        self._menu = QMenu(self)
        self._menu.aboutToShow.connect(self._list)
        self.setMenu(self._menu)

    def _list(self) -> None:
        """Fill the menu with what is there now."""
        self._menu.clear()
        checks = QMenu("Check for damage", self._menu)
        for path in zarrs_in(self._library.segmentations)[:_MOST]:
            try:
                done, total = finished_chunks(path)
            except Problem:
                text = "is being made" if locked(path / LOCK) else "cannot be opened as a result"
                self._menu.addAction(f"{path.stem} {text}").setEnabled(False)
                continue
            self._menu.addAction(f"Open {path.stem}", lambda path=path: self.opened.emit(path))
            good = done == total and not doubt(path)
            if locked(path / LOCK):
                text = f"{path.stem} is being made: {done:,} of {total:,} tiles"
                self._menu.addAction(text).setEnabled(False)
            elif config := settings_of(path):
                text = path.stem if good else f"Resume {path.stem}: {done:,} of {total:,} tiles are done"
                (checks if good else self._menu).addAction(text, lambda config=config: self.resumed.emit(config))
        if not checks.isEmpty():
            self._menu.addMenu(checks)
        if self._menu.isEmpty():
            self._menu.addAction("There are none yet").setEnabled(False)


def image_of(path: Path, layers: Sequence[Image]) -> Generator[str, None, Image | None]:
    """Find the layer that shows the image of a segmentation, by its pixels; for a thread.

    Returns
    -------
    Image or None
        None if none of `layers` does.

    Raises
    ------
    Problem
        If `path` is no segmentation.
    """
    return (yield from layer_of(read_layout(path).provenance.get("image_fingerprint", ""), layers))


def left_unfinished(
    config: SegmentConfig, layers: Sequence[Image], library: Library
) -> Generator[str, None, tuple[SegmentConfig, Image]]:
    """Find what is needed to go on with a segmentation of another day; for a thread.

    Raises
    ------
    Problem
        If none of `layers` shows its image, or as `prepare`.
    """
    image = yield from image_of(config.out, layers)
    if image is None:
        gone = f"The image of {config.out.stem} is not open. Open {config.image} first; then try again."
        raise not_open(gone, config.image, library)
    return (yield from with_its_image(config, image, library)), image


def show_earlier(viewer: Viewer, path: Path, image: Image | None, panel: Panel) -> None:
    """Show a result over its image, or where its file says if that is not open; the panel says what it lacks.

    While it is being made it fills, also when the panel is closed.
    """
    config, making = settings_of(path), locked(path / LOCK)
    if image is None or config is None:
        growing = Growing(viewer, None, path, (0, 0, 0), panel.jobs)
        if not growing.layers():
            viewer.open(str(path), plugin="napari-unet")
    else:
        growing = Growing(viewer, image, path, start_of(config.region), panel.jobs)
    done, total = finished_chunks(path)
    if making:
        told = f"{path.stem} was being made when it was opened: its tiles come into view as they are done."
    elif done < total:
        left = f"{done:,} of {total:,} tiles are done. Earlier results > Resume goes on."
        told = f"{path.stem} is not finished: {left}"
    else:
        told = doubt(path)

    def add(more: str) -> None:
        if isalive(panel):
            panel.say(f"{told} {more}".lstrip())

    panel.say(told)
    growing.said.connect(add)
    growing.look()


def settings_of(path: Path) -> SegmentConfig | None:
    """Return the settings that a result was last asked for with, None if it does not tell."""
    try:
        config = SegmentConfig.model_validate_json((path / CONFIG).read_text())
    except (OSError, ValueError):
        return None
    return config.model_copy(update={"out": path})
