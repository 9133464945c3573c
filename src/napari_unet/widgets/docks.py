"""The docks of the panels: tabs in one place, and in front when somebody asks for one."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, QTimer, Slot
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


class Dock(QObject):
    """Brings the dock of a panel to the front when it is asked for.

    napari's menu entries show and hide by turns, and do not know that a dock can be behind another one.
    """

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        self._behind, self._hidden = False, False  # behind another one; hidden by itself, not with its window
        dock.visibilityChanged.connect(self._on_visibility)
        dock.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Show a dock that was hidden while it was behind another one; put one that is shown again in front."""
        if event.type() == QEvent.Type.Hide and watched.isHidden():
            self._hidden = True
            if self._behind:
                QTimer.singleShot(0, self._show)
        elif event.type() == QEvent.Type.Show and self._hidden:
            self._hidden = False
            QTimer.singleShot(0, watched.raise_)
        return False

    @Slot(bool)
    def _on_visibility(self, in_view: bool) -> None:
        self._behind = not in_view and self.parent().isVisible()

    @Slot()
    def _show(self) -> None:
        if self.parent().widget() is not None:  # else napari has taken the panel out of it
            self.parent().show()


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that holds `widget`."""
    above = widget.parentWidget()
    while above is not None and not isinstance(above, QDockWidget):
        above = above.parentWidget()
    return above


def closed(panel: QWidget) -> bool:
    """Return whether the dock around a panel was closed; behind another tab it is not."""
    docks: list[QDockWidget] = panel.window().findChildren(QDockWidget)
    return all(dock.isHidden() for dock in docks if dock.isAncestorOf(panel))


def into_one_place(panel: QWidget, window: QMainWindow) -> None:
    """Put the dock of a panel behind that of another one as a tab: together they would leave each other little room."""
    dock = dock_of(panel)
    if dock is None:
        return
    others = [each.parent() for each in window.findChildren(Dock) if each.parent().isVisible()]
    Dock(dock)
    if others:
        window.tabifyDockWidget(others[0], dock)
        QTimer.singleShot(0, dock.raise_)
