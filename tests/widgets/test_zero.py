from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QLabel

from napari_unet.widgets.zero import ZeroMeaning


def test_what_0_means_is_said_in_a_sentence(qtbot) -> None:
    zero, changes = ZeroMeaning(), []
    qtbot.addWidget(zero)
    zero.changed.connect(lambda: changes.append(zero.value()))
    sentence = zero.findChild(QLabel, "zero-means")
    assert (zero.value(), sentence.text()) == ("unlabelled", "Only what is painted counts.")
    QTest.keyClick(zero.findChild(QComboBox, "zero"), Qt.Key.Key_Down)
    assert sentence.text() == "What is not painted, on a section with paint, is background."
    zero.choose("unlabelled")
    assert changes == ["background", "unlabelled"]
