"""Text in panels is shown as it is, whatever a user calls a layer or a model."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument

from napari_unet.widgets.rows import Sentences


@pytest.mark.parametrize("text", ["a <b>bold</b> name\n& more", "5 < 6", "plain"])
def test_a_sentence_and_its_tip_show_what_looks_like_markup_as_it_is(qtbot, text):
    label = Sentences()
    qtbot.addWidget(label)
    label.setText(text)
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert label.text() == text
    shown = QTextDocument()
    if Qt.mightBeRichText(label.toolTip()):
        shown.setHtml(label.toolTip())
    else:
        shown.setPlainText(label.toolTip())
    assert shown.toPlainText() == text
