"""The time that a training may take, typed."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QLocale
from qtpy.QtWidgets import QLineEdit

from napari_unet.widgets.minutes import Minutes


@pytest.fixture(params=["en_US", "de_DE", "fr_FR"])
def language(request):
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield
    QLocale.setDefault(before)


@pytest.mark.usefixtures("language")
@pytest.mark.parametrize("text", ["2.5", "2,5", "2,5 min"])
def test_a_comma_is_a_point_in_every_language(text, qtbot):
    minutes = Minutes()
    qtbot.addWidget(minutes)
    line = minutes.findChild(QLineEdit)
    line.selectAll()
    qtbot.keyClicks(line, text)
    assert (minutes.value(), minutes.cleanText(), minutes.text()) == (2.5, "2.5", "2.5 min")
