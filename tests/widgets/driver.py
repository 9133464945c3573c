"""Drives a real napari window as a person does: menus, clicks, keys, strokes on the canvas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from napari import Viewer
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QKeySequence, QMouseEvent, QPixmap
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMainWindow, QMenu, QPushButton, QWidget

W = TypeVar("W", bound=QWidget)
LEFT = Qt.MouseButton.LeftButton
NO_KEY = Qt.KeyboardModifier.NoModifier
SCREEN = 1280, 800
SMALLER = 1000, 640  # without a GPU, each pixel takes its time
_EVERY = 12  # milliseconds; the canvas passes over moves that follow sooner


class Driver:
    """A person in front of a napari window."""

    def __init__(self, viewer: Viewer, qtbot, size: tuple[int, int] = SCREEN) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.window: QMainWindow = viewer.window._qt_window
        self.window.resize(*size)
        qtbot.waitExposed(self.window)

    def wait(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Go on when `condition` holds."""
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=round(1000 * seconds))  # it takes None for True

    def activate(self) -> None:
        """Give the window the keyboard, since napari's menus act on it; without a window manager, ask often."""

        def active() -> bool:
            self.window.activateWindow()
            return QApplication.activeWindow() is self.window

        self.wait(active)

    def menu(self, *names: str) -> None:
        """Click through menus and submenus to an entry."""
        bar = self.window.menuBar()
        action = _action(bar.actions(), names[0])
        self._opened(action.menu(), lambda: QTest.mouseClick(bar, LEFT, pos=bar.actionGeometry(action).center()))
        for name in names[1:]:
            menu: QMenu = action.menu()
            self.wait(menu.isVisible, 5)
            action = _action(menu.actions(), name)
            spot = menu.actionGeometry(action).center()
            QTest.mouseMove(menu, spot)
            QTest.mouseClick(menu, LEFT, pos=spot)
        QApplication.processEvents()

    def open_menu(self, button: QPushButton) -> QMenu:
        """Click a button that has a menu."""
        self.activate()
        return self._opened(button.menu(), lambda: self.click(button))

    def choose(self, button: QPushButton, *starts: str) -> None:
        """Open the menu of a button and click through it, by the entries or how they start."""
        menu = self.open_menu(button)
        for start in starts:
            self.wait(menu.isVisible, 5)
            found = [each for each in menu.actions() if each.text().startswith(start)]
            (action,) = [each for each in found if each.text() == start] or found
            QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())
            menu = action.menu()

    def find(self, panel: QWidget, kind: type[W], name: str) -> W:
        """Return the widget with an object name, as it is in view."""
        found = panel.findChild(kind, name)
        assert found is not None, f"there is no {name}"
        return found

    def click(self, widget: QWidget, spot: QPoint | None = None) -> None:
        """Click a widget that is in view and enabled."""
        assert widget.isVisible(), f"{widget.objectName()} is not in view"
        assert widget.isEnabled(), f"{widget.objectName()} is disabled: {widget.toolTip()}"
        QTest.mouseClick(widget, LEFT, pos=spot or widget.rect().center())
        QApplication.processEvents()

    def type(self, widget: QWidget, text: str) -> None:
        """Replace what stands in a field, and press Enter."""
        widget.setFocus()
        QTest.keyClick(widget, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClicks(widget, text)
        QTest.keyClick(widget, Qt.Key.Key_Return)

    def stroke(
        self,
        layer,
        points: Sequence[tuple[float, float]],
        keys: Qt.KeyboardModifier = NO_KEY,
        midway: Callable[[], None] | None = None,
    ) -> None:
        """Paint with the mouse through points (row, column) of a layer, in the section in view, holding `keys` down.

        When half of the way is done, `midway` is called.
        """
        spots = [self._on_canvas(layer, *point) for point in points]
        path = [spots[0]]
        for a, b in pairwise(spots):
            count = max(2, round(np.hypot(b.x() - a.x(), b.y() - a.y()) / 12))
            path += [a + (b - a) * i / count for i in range(1, count + 1)]
        canvas = self.viewer.window._qt_viewer.canvas.native
        none = Qt.MouseButton.NoButton
        _send(canvas, QEvent.Type.MouseMove, path[0], none, none, keys)
        _send(canvas, QEvent.Type.MouseButtonPress, path[0], LEFT, LEFT, keys)
        for i, spot in enumerate(path[1:], start=1):
            if midway is not None and i == len(path) // 2:
                midway()
            self.qtbot.wait(_EVERY)
            _send(canvas, QEvent.Type.MouseMove, spot, none, LEFT, keys)
        _send(canvas, QEvent.Type.MouseButtonRelease, path[-1], LEFT, none, keys)
        QApplication.processEvents()

    def right_click(self, layer, point: tuple[float, float]) -> None:
        """Press the right button on a point (row, column) of a layer, and let it go."""
        spot, right = self._on_canvas(layer, *point), Qt.MouseButton.RightButton
        canvas, none = self.viewer.window._qt_viewer.canvas.native, Qt.MouseButton.NoButton
        _send(canvas, QEvent.Type.MouseMove, spot, none, none, NO_KEY)
        _send(canvas, QEvent.Type.MouseButtonPress, spot, right, right, NO_KEY)
        _send(canvas, QEvent.Type.MouseButtonRelease, spot, right, none, NO_KEY)
        QApplication.processEvents()

    def swift(self, layer, start: tuple[float, float], end: tuple[float, float], keys: Qt.KeyboardModifier) -> None:
        """Drag as `stroke` does, so swiftly that the canvas hears of no way but its first pixel."""
        first, last = (self._on_canvas(layer, *point) for point in (start, end))
        canvas, none = self.viewer.window._qt_viewer.canvas.native, Qt.MouseButton.NoButton
        _send(canvas, QEvent.Type.MouseMove, first, none, none, keys)
        _send(canvas, QEvent.Type.MouseButtonPress, first, LEFT, LEFT, keys)
        self.qtbot.wait(_EVERY)
        _send(canvas, QEvent.Type.MouseMove, first, none, LEFT, keys)
        _send(canvas, QEvent.Type.MouseButtonRelease, last, LEFT, none, keys)
        QApplication.processEvents()

    def press(self, keys: str) -> None:
        """Press keys such as "Ctrl+Z" over the canvas."""
        self.activate()
        canvas = self.viewer.window._qt_viewer.canvas.native
        canvas.setFocus()
        QTest.keySequence(canvas, QKeySequence(keys))
        QApplication.processEvents()

    def show_section(self, z: int) -> None:
        """Go to a section."""
        self.viewer.dims.set_current_step(0, z)
        QApplication.processEvents()

    def picture(self, path) -> None:
        """Save the window as it is on the screen."""
        QApplication.processEvents()
        self.qtbot.wait(300)
        assert self.grab().save(str(path))

    def grab(self) -> QPixmap:
        """Return the window as it is on the screen now."""
        return self.window.screen().grabWindow(self.window.winId())

    def _opened(self, menu: QMenu, click: Callable[[], None]) -> QMenu:
        """Click until a menu is in view: a window that gets the keyboard late closes what was open."""

        def visible() -> bool:
            if not menu.isVisible():
                click()
            return menu.isVisible()

        self.wait(visible, 20)
        return menu

    def _on_canvas(self, layer, row: float, column: float) -> QPointF:
        """Return where a pixel of a layer is on the canvas."""
        point = list(layer.world_to_data(self.viewer.dims.point))
        point[-2:] = row, column
        world = np.array(layer.data_to_world(point))[-2:]
        canvas = self.viewer.window._qt_viewer.canvas
        height, width = canvas.native.height(), canvas.native.width()
        y, x = (world - np.array(self.viewer.scene.camera.center)[-2:]) * self.viewer.scene.camera.zoom
        return QPointF(width / 2 + x, height / 2 + y)


def _action(actions, name: str):
    names = [action.text().replace("&", "") for action in actions]
    assert name in names, f"no {name!r} among {names}"
    return actions[names.index(name)]


def _send(canvas: QWidget, kind: QEvent.Type, spot: QPointF, button, buttons, keys: Qt.KeyboardModifier) -> None:
    event = QMouseEvent(kind, spot, QPointF(canvas.mapToGlobal(spot.toPoint())), button, buttons, keys)
    QApplication.sendEvent(canvas, event)
