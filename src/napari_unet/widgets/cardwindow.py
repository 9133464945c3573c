"""The card of a model, in a window of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QFontDatabase, QGuiApplication
from qtpy.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from napari_unet import naming
from napari_unet.card import Card
from napari_unet.naming import Named
from napari_unet.problem import Problem
from napari_unet.widgets.classes import legend


class CardWindow(QDialog):
    """The card of a model, to read and to copy from; one of the user's own can be named, and noted on.

    Parameters
    ----------
    card : Card
    parent : QWidget
    folder : Path, optional
        Of the model, if it is one of the user's own.
    """

    named = Signal()  # the model has another name or note now
    said = Signal(str)  # a sentence for the user

    def __init__(self, card: Card, parent: QWidget, folder: Path | None = None) -> None:
        super().__init__(parent, windowTitle=f"Model {card.name}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._folder = folder
        sheet = QWidget()
        grid = QGridLayout(sheet)
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        name = _text(card.name)
        font = name.font()
        font.setBold(True)
        name.setFont(font)
        grid.addWidget(name, 0, 0, 1, 2)
        for line, (label, field) in enumerate([*self._own_fields(), *_fields(card)], start=1):
            if label:
                grid.addWidget(QLabel(label), line, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(field, line, 1 if label else 0, 1, 1 if label else 2)
        grid.setRowStretch(grid.rowCount(), 1)
        scroll = QScrollArea()
        scroll.setWidget(sheet)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(scroll)
        self.resize(520, 600)

    def _own_fields(self) -> Iterator[tuple[str, QWidget]]:
        """Return the fields that the user fills in."""
        if self._folder is None:
            return
        now = naming.named(self._folder)
        self._name = QLineEdit(now.name, objectName="name", placeholderText=self._folder.name)
        self._note = QLineEdit(now.note, objectName="note", placeholderText="What it is good for, or not")
        for field, longest in ((self._name, naming.LONGEST_NAME), (self._note, naming.LONGEST_NOTE)):
            field.setMaxLength(longest)
            field.editingFinished.connect(self._save)
        self._name.setToolTip("What the lists call the model; its folder keeps its name.")
        self._note.setToolTip("Kept beside the model, and shown where it is chosen.")
        self.finished.connect(self._save)  # closed with the cursor in a field
        yield "Name", self._name
        yield "Note", self._note

    def _save(self) -> None:
        """Keep what was typed, if it is something else."""
        assert self._folder is not None
        typed = Named(self._name.text().strip(), self._note.text().strip())
        if typed == naming.named(self._folder):
            return
        try:
            naming.name(self._folder, typed)
        except Problem as problem:
            self.said.emit(str(problem))
        else:
            self.named.emit()


def _fields(card: Card) -> Iterator[tuple[str, QWidget]]:
    """Return what a card says, each with its label."""
    if what := card.about.get("what"):
        yield "", _text(_words(what))
    classes = _text(legend(card.classes))
    classes.setTextFormat(Qt.TextFormat.RichText)
    yield "Classes", classes
    if card.created:
        yield "Created", _text(_time(card.created))
    sizes = dict.fromkeys(" × ".join(f"{edge:g}" for edge in size) + " nm (Z, Y, X)" for size in card.voxel_size)
    yield "Voxel sizes it saw", _text("\n".join(sizes) or "not known")
    # The SHA-256 after the name is for programs.
    yield "Started from", _text(re.sub(r" [0-9a-f]{64}$", "", card.started_from))
    yield "Steps", _text(f"{card.step:,}")
    if card.scores:
        yield "Scores", _text("\n".join(f"{name}: {score:.3f}" for name, score in card.scores.items()))
    if card.command:
        yield "Command", _command(card.command)
    for key, value in card.about.items():
        if key != "what":
            yield key.capitalize(), _text(_words(value))


def _time(created: str) -> str:
    """Return an ISO time as local date and time, or as it is."""
    try:
        return f"{datetime.fromisoformat(created).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return created


def _words(value: Any) -> str:
    """Return anything that JSON can hold as lines of text."""
    if isinstance(value, list):
        return "\n\n".join(map(_words, value))
    if isinstance(value, dict):
        return "\n".join(_words(each) if key == "name" else f"{key}: {_words(each)}" for key, each in value.items())
    return str(value)


def _text(text: str) -> QLabel:
    """Return a label to read and select."""
    label = QLabel(text, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _command(command: str) -> QWidget:
    """Return a command to select, with a button that copies it."""
    box, copy = QWidget(), QPushButton("Copy")
    text = QTextEdit(plainText=command, readOnly=True)
    text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    text.setFixedHeight(4 * text.fontMetrics().height())
    copy.setToolTip("Copy the command that made this model.")
    copy.setAutoDefault(False)  # Enter in a field is not for it
    copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(command))
    line = QHBoxLayout(box)
    line.setContentsMargins(0, 0, 0, 0)
    line.addWidget(text, 1)
    line.addWidget(copy, alignment=Qt.AlignmentFlag.AlignTop)
    return box
