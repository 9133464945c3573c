"""What can stay folded in the panel that trains: the name, the settings of experts, looks at what it would see."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_unet.config import TrainConfig
from napari_unet.widgets import preferences
from napari_unet.widgets.form import Form

_LEARNING = ("objects", "steps", "seed", "width", "crop", "batch", "learning_rate", "balance", "border_weight")
_MACHINE = ("device", "precision", "threads")
_DRAWING = "The other one is being drawn."


class Advanced(QWidget):
    """A name for the new model, a form, and two buttons that show what the training would see."""

    look = Signal(str)  # "examples" or "weights" are to be shown

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit(objectName="name", placeholderText="Name of the new model: chosen by itself")
        self.name.setToolTip("What the new model is called. No model is ever overwritten.")
        self.form = Form(TrainConfig, (*_LEARNING, *_MACHINE))
        preferences.follow(self.form.prefer)
        self._buttons = (
            QPushButton(objectName="examples"),
            QPushButton(objectName="weights"),
        )
        self._looks = (
            ("Show examples", "Shows the images that the training would see, as they are bent and shaded."),
            ("Show weights", "Shows as a layer how much each painted pixel counts in the training."),
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

    def offer_looks(self, reason: str, drawn: str = "") -> None:
        """Let the buttons be pressed, unless there is a reason why not, which they then show.

        That of what is being `drawn` stops it meanwhile.
        """
        for button, (text, tip) in zip(self._buttons, self._looks, strict=True):
            stops = button.objectName() == drawn
            button.setText("Stop drawing" if stops else text)
            button.setEnabled(stops or not (reason or drawn))
            button.setToolTip("Nothing is shown then." if stops else reason or (drawn and _DRAWING) or tip)
