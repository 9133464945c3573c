"""The examples that a training would see, in a window of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tifffile
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QDialog, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_unet.classes import PixelClass
from napari_unet.problem import Problem
from napari_unet.widgets.classes import legend


def show_mosaic(parent: QWidget, path: Path, caption: str, classes: Sequence[PixelClass]) -> QDialog:
    """Show a mosaic of examples in a window beside `parent`; the former one of this parent is closed.

    Parameters
    ----------
    parent : QWidget
    path : Path
        An RGB TIFF, uint8 (Y, X, 3).
    caption : str
        What is to be seen, below the picture.
    classes : sequence of PixelClass
        For the legend.

    Raises
    ------
    Problem
        If the file cannot be read.
    """
    picture = _Picture(_read(path))
    for former in parent.findChildren(QDialog, "mosaic"):
        former.close()
    dialog = QDialog(parent, objectName="mosaic", windowTitle="Examples the training sees")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    column = QVBoxLayout(dialog)
    column.addWidget(picture, 1)
    column.addWidget(QLabel(caption, wordWrap=True, textFormat=Qt.TextFormat.PlainText))
    column.addWidget(QLabel(legend(classes), wordWrap=True, textFormat=Qt.TextFormat.RichText))
    dialog.resize(640, 740)
    dialog.show()
    return dialog


class _Picture(QWidget):
    """A picture as large as fits, its shape kept."""

    def __init__(self, pixmap: QPixmap) -> None:
        super().__init__(minimumWidth=160, minimumHeight=160)
        self._pixmap = pixmap
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:  # noqa: N802
        return self._pixmap.size()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002, N802
        ratio = self.devicePixelRatioF()
        keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        # Scaled here and not by the painter, which skips pixels where it shrinks to less than half.
        scaled = self._pixmap.scaled(self.size() * ratio, keep, smooth)
        place = QRect(0, 0, round(scaled.width() / ratio), round(scaled.height() / ratio))
        place.moveCenter(self.rect().center())
        QPainter(self).drawPixmap(place, scaled)


def _read(path: Path) -> QPixmap:
    """Return the picture in an RGB TIFF."""
    try:
        pixels = tifffile.imread(path)
    except (OSError, ValueError) as error:
        raise Problem(f"{path} cannot be read. Show the examples again.") from error
    height, width, _ = pixels.shape
    return QPixmap.fromImage(QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888))
