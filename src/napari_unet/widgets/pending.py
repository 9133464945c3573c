"""Work that a window has begun and that is no job yet: with the window it ends, and nothing of it goes on."""

from __future__ import annotations

from qtpy.QtCore import QObject


class Pending(QObject):
    """Such work; it belongs to the jobs of its window."""

    def told(self) -> str:
        """Return what would end with the window, in sentences; empty if nothing would."""
        raise NotImplementedError

    def cancel(self) -> None:
        """End it before its next step."""
        raise NotImplementedError
