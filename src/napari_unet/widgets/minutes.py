"""How long a training lasts."""

from __future__ import annotations

from qtpy.QtCore import QLocale
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox

from napari_unet.config import TrainConfig
from napari_unet.widgets.wheel import only_with_focus

_TIP = "How long; Stop works at any moment."
_NO_USE = "It trains for the steps set under Advanced, however long these take."


class Minutes(QDoubleSpinBox):
    """A number of minutes; of no use where the number of steps is given.

    A comma typed in it is a point, and a point is one in every language of the computer, as in the fields of `fields`.
    """

    def __init__(self) -> None:
        super().__init__(objectName="minutes", toolTip=_TIP)
        self.setLocale(QLocale.c())
        self.setRange(0.1, 10_000)
        self.setDecimals(1)
        self.setSuffix(" min")
        self.setValue(TrainConfig.model_fields["minutes"].default)
        only_with_focus(self)

    def offer(self, steps: object) -> None:
        """Let a time be chosen, unless there is a number of steps."""
        self.setEnabled(not steps)
        self.setToolTip(_NO_USE if steps else _TIP)

    def validate(self, text: str, at: int) -> tuple[QValidator.State, str, int]:
        """Return what a text in the making may become, with its comma as a point."""
        return super().validate(text.replace(",", "."), at)
