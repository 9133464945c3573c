"""What can stay folded in the panel that trains: the name, the settings of experts, looks at what it would see."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_unet.config import TrainConfig
from napari_unet.widgets.form import Form

_LEARNING = ("objects", "steps", "seed", "width", "crop", "batch", "learning_rate", "balance", "border_weight")
_MACHINE = ("device", "precision", "threads")


class Advanced(QWidget):
    """A name for the new model, a form, and two buttons that show what the training would see."""

    look = Signal(str)  # "examples" or "weights" are to be shown

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit(objectName="name", placeholderText="Name of the new model: chosen by itself")
        self.name.setToolTip("What the new model is called. No model is ever overwritten.")
        self.form = Form(TrainConfig, (*_LEARNING, *_MACHINE))
        self._buttons = (
            QPushButton("Show examples", objectName="examples"),
            QPushButton("Show weights", objectName="weights"),
        )
        self._tips = (
            "Shows the images that the training would see, as they are bent and shaded.",
            "Shows as a layer how much each painted pixel counts in the training.",
        )
        looks = QHBoxLayout()
        for button in self._buttons:
            button.clicked.connect(partial(self.look.emit, button.objectName()))
            looks.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.name)
        column.addWidget(self.form)
        column.addLayout(looks)

    def offer_looks(self, reason: str) -> None:
        """Let the buttons be pressed, unless there is a reason why not, which they then show."""
        for button, tip in zip(self._buttons, self._tips, strict=True):
            button.setEnabled(not reason)
            button.setToolTip(reason or tip)
