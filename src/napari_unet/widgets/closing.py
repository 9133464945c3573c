"""The question what becomes of running jobs when their window is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Slot
from qtpy.QtWidgets import QApplication, QDialog, QMainWindow, QMessageBox, QProgressDialog, QWidget

from napari_unet.requests import KeepGoing
from napari_unet.widgets.pending import Pending

if TYPE_CHECKING:
    from napari_unet.widgets.job import Job
    from napari_unet.widgets.jobs import Jobs

_EVERY = 500  # milliseconds


class Closing(QObject):
    """Asks what becomes of what runs, and closes the window when that is answered.

    A person is asked, a program is not: `viewer.close()` closes the canvas before it closes the window.
    """

    def __init__(self, window: QMainWindow, jobs: Jobs) -> None:
        super().__init__(jobs)
        self._jobs = jobs
        self._stopping: list[Job] = []
        self._dialog: QDialog | None = None
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        """Hold back the closing of a window in use, as long as something runs that was not told to keep going."""
        if event.type() != QEvent.Type.Close or not self._told() or not _in_use(watched):
            return False
        event.ignore()
        if self._dialog is None:
            self._ask(watched)
        return True

    def _ending(self) -> list[Jobs]:
        """Return the jobs of the window; if all of napari is to end, those of all windows."""
        window, kind = self._jobs.parent(), type(self._jobs)
        windows = [window]
        if getattr(window, "_quit_app", False):  # File > Exit: napari closes the other windows without a question
            windows = [each for each in QApplication.topLevelWidgets() if isinstance(each, QMainWindow)]
        return [jobs for each in windows for jobs in each.findChildren(kind)]

    def _in_question(self) -> list[Job]:
        """Return the jobs that end with the window."""
        running = [job for jobs in self._ending() for job in jobs.running()]
        return [job for job in running if job.kept and not job.keeps_going]

    def _pending(self) -> list[Pending]:
        """Return what ends with the window, and is no job."""
        return [each for jobs in self._ending() for each in jobs.findChildren(Pending)]

    def _told(self) -> str:
        """Return what runs, in sentences."""
        running = [f"A {job.noun} is running: {job.title}, {job.state}." for job in self._in_question()]
        return "\n".join([*running, *filter(None, (each.told() for each in self._pending()))])

    def _ask(self, window: QMainWindow) -> None:
        """Ask, and go on when the answer comes: nothing waits meanwhile."""
        box = QMessageBox(window)
        if hasattr(QMessageBox, "Option"):  # since Qt 6.6
            box.setOption(QMessageBox.Option.DontUseNativeDialog)
        box.setWindowTitle("Close napari?")
        stop = box.addButton("", QMessageBox.ButtonRole.DestructiveRole)
        finish = box.addButton("", QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton("Keep napari open", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)
        answers = {stop: self._stop, finish: self._let_finish, stay: self._stay}
        box.finished.connect(lambda _: answers[box.clickedButton()]())

        def tell() -> None:  # jobs go on, end, and begin while it is asked
            jobs = self._in_question()
            those = "it" if len(jobs) == 1 else "them"
            box.setText(self._told() or "Nothing runs any more. What is finished is kept.")
            stop.setText(f"Stop {those}")
            stop.setVisible(bool(jobs))
            finish.setText(f"Let {those} finish" if jobs else "Close napari")

        tell()
        timer = QTimer(box, interval=_EVERY)
        timer.timeout.connect(tell)
        box.finished.connect(timer.stop)  # the box lives on for a moment, its window perhaps not
        timer.start()
        self._show(box)

    def _stay(self) -> None:
        self._dismiss()
        self._jobs.parent()._quit_app = False  # else napari takes closing this window later for File > Exit

    def _stop(self) -> None:
        """Close the window when all jobs have stopped."""
        self._dismiss()
        wait = QProgressDialog("Stopping. What is finished is kept.", "", 0, 0, self._jobs.parent())
        wait.setWindowTitle("Close napari?")
        wait.setCancelButton(None)
        self._show(wait)
        self._give_up_pending()
        self._stopping = self._in_question()
        for job in self._stopping:
            job.happened.connect(self._close_if_stopped)
            job.stop()
        self._close_if_stopped()

    @Slot()
    def _close_if_stopped(self) -> None:
        if self._dialog and not any(job.running for job in self._stopping):
            self._dismiss()
            self._close()

    def _let_finish(self) -> None:
        """Close the window; the jobs go on without it."""
        self._dismiss()
        self._give_up_pending()
        for job in self._in_question():
            job.ask(KeepGoing())
        self._close()

    def _give_up_pending(self) -> None:
        """Let no job begin any more."""
        for each in self._pending():
            each.cancel()

    def _close(self) -> None:
        """Close the window as it was asked before: napari's own `close` would forget that all of napari was meant."""
        QMainWindow.close(self._jobs.parent())

    def _show(self, dialog: QDialog) -> None:
        """Show the one dialog there is; only its window waits for it."""
        self._dialog = dialog
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        dialog.show()

    def _dismiss(self) -> None:
        if self._dialog:
            self._dialog.deleteLater()
            self._dialog = None


def _in_use(window: QMainWindow) -> bool:
    """Tell whether a window and its canvas are in view."""
    center = window.centralWidget()
    return center is not None and any(child.isVisible() for child in center.findChildren(QWidget))
