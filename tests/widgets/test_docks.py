from __future__ import annotations

from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget

from .conftest import panel_of
from .test_panel import dock_of, raised


def test_the_menu_brings_a_panel_that_is_behind_another_one_to_the_front(driver):
    train, segment = panel_of(driver, "Train"), panel_of(driver, "Segment")
    driver.wait(lambda: raised(driver, segment) and not raised(driver, train), 5)
    panel_of(driver, "Train")
    driver.wait(lambda: raised(driver, train) and not raised(driver, segment), 5)
    panel_of(driver, "Segment")
    driver.wait(lambda: raised(driver, segment) and not raised(driver, train), 5)
    driver.activate()
    driver.menu("Plugins", "U-Net", "Segment (U-Net)")  # it is in front: now the entry hides it, as others of napari
    driver.wait(lambda: not segment.isVisible() and raised(driver, train), 5)
    panel_of(driver, "Segment")
    driver.wait(lambda: raised(driver, segment) and not raised(driver, train), 5)


def test_a_panel_that_napari_removes_while_it_is_behind_another_one_is_gone(driver):
    train, segment = panel_of(driver, "Train"), panel_of(driver, "Segment")
    driver.wait(lambda: raised(driver, segment) and not raised(driver, train), 5)
    dock = dock_of(driver, train)
    driver.viewer.window.remove_dock_widget(dock)
    QTest.qWait(50)
    assert not train.isVisible()
    assert not [each for each in driver.window.findChildren(QDockWidget) if each is dock and each.isVisible()]
