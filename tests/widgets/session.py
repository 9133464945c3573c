"""A person's session in a real window with the real worker process: the steps that several stories share.

With NAPARI_UNET_PICTURES set to a folder, stories train longer and save the pictures of the documentation there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageQt
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QAbstractButton, QLabel, QLineEdit, QPushButton, QTabBar, QToolButton, QWidget

from napari_unet.reader import OURS
from napari_unet.widgets.job import Job
from napari_unet.widgets.train import TrainPanel

from .driver import Driver

PICTURES = os.environ.get("NAPARI_UNET_PICTURES")
Stroke = Sequence[tuple[float, float]]  # points (row, column)
SECTION = 11  # of the sample, and what is painted there
INTERIOR: list[Stroke] = [
    [(45, 19), (38, 40), (42, 62)],
    [(68, 112), (65, 127)],
    [(84, 183), (90, 190)],
    [(207, 158), (215, 208)],
    [(184, 46), (161, 66)],
    [(150, 22), (135, 20)],
    [(113, 132), (106, 134)],
]
MEMBRANE: list[Stroke] = [
    [(75, 25), (84, 46), (88, 60), (80, 76), (64, 88), (50, 98), (43, 108), (41, 125), (45, 138)],
    [(88, 167), (72, 173), (65, 189), (64, 208), (72, 221), (88, 224)],
]


class Session:
    """The person's way through a window, step by step.

    Parameters
    ----------
    make_viewer : callable
        napari's fixture `make_napari_viewer`.
    qtbot
    pictures : str
        How the names of its pictures begin; empty if none may be taken.
    """

    def __init__(self, make_viewer: Callable, qtbot, pictures: str) -> None:
        self.viewer = make_viewer(show=True)
        self.driver = Driver(self.viewer, qtbot)
        self.wait, self.click, self.find = self.driver.wait, self.driver.click, self.driver.find
        self._pictures = pictures

    @property
    def takes_pictures(self) -> bool:
        return bool(PICTURES and self._pictures)

    def picture(self, name: str) -> None:
        if self.takes_pictures:
            self.driver.picture(Path(PICTURES) / f"{self._pictures}-{name}.png")

    def layer(self, name: str):
        """Return the layer of a name once it is there."""
        self.wait(lambda: name in self.viewer.layers, 60)
        return self.viewer.layers[name]

    def result(self, job: Job):
        """Return the layer of a segmentation once it is there, whatever it is called."""

        def found() -> list:
            path = str(job.config.out.resolve())
            return [each for each in self.viewer.layers if each.metadata.get(OURS, {}).get("path") == path]

        self.wait(lambda: bool(found()), 60)
        return found()[0]

    def open_sample(self) -> None:
        self.driver.menu("File", "Open Sample", "Fly medulla, with strokes on two sections (U-Net)")
        self.layer("fly medulla")
        self.viewer.layers.remove("strokes")
        self.driver.show_section(SECTION)

    def open_panel(self, name: str, kind: type[QWidget]) -> QWidget:
        self.driver.menu("Layers", "Segment", "U-Net", f"{name} (U-Net)")
        return self.opened(kind)

    def opened(self, kind: type[QWidget]) -> QWidget:
        """Return a panel once it knows what it computes on."""
        self.wait(lambda: self.driver.window.findChild(kind) is not None)
        panel = self.driver.window.findChild(kind)
        self.wait(lambda: panel.jobs is not None and panel.jobs.ready is not None)
        assert "Computes on: processor" in self.find(panel, QLabel, "device").text()
        return panel

    def go_to_tab(self, name: str) -> None:
        """Click the tab of a panel that lies behind another one."""
        bars = self.driver.window.findChildren(QTabBar)
        found = [(bar, i) for bar in bars for i in range(bar.count()) if bar.tabText(i) == f"{name} (U-Net)"]
        ((bar, i),) = found
        self.click(bar, bar.tabRect(i).center())

    def new_labels(self, panel: TrainPanel, name: str):
        """Make labels for the whole stack, the brush in hand."""
        self.driver.choose(self.find(panel, QPushButton, "new"), "For the whole stack")
        labels = self.layer(name)
        assert (labels.mode, labels.selected_label) == ("paint", 1)
        return labels

    def pick_class(self, panel: TrainPanel, value: int) -> None:
        self.click(next(each for each in panel.findChildren(QAbstractButton) if each.text() == str(value)))

    def paint(self, panel: TrainPanel):
        """Make new labels, and paint strokes of both classes with the mouse."""
        labels = self.new_labels(panel, "fly-medulla-labels")
        for points in INTERIOR:
            self.driver.stroke(labels, points)
        self.pick_class(panel, 2)
        for points in MEMBRANE:
            self.driver.stroke(labels, points)
        return labels

    def fold(self, panel: QWidget, title: str) -> None:
        """Fold a part of a panel out, or away."""
        self.click(next(each for each in panel.findChildren(QToolButton, "fold") if each.text() == title))

    def set_advanced(self, panel: TrainPanel, **numbers: int) -> None:
        """Set numbers under Advanced, such as how many steps to train."""
        self.fold(panel, "Advanced")
        for name, number in numbers.items():
            field = self.find(panel, QWidget, name)
            panel.ensureWidgetVisible(field)
            self.driver.type(field.findChild(QLineEdit), str(number))
        self.fold(panel, "Advanced")

    def train(self, panel: TrainPanel) -> Job:
        """Press Train; return the job."""
        before = panel.jobs.latest("train")
        self.click(self.find(panel, QPushButton, "train"))
        self.wait(lambda: panel.jobs.latest("train") is not before)
        return panel.jobs.latest("train")


class Film:
    """What happens in the window of a session that takes pictures: a frame every second, half as large.

    napari's own panels at the left are left out.
    """

    _LEFT, _MOST, _COLOURS = 330, 24, 128  # pixels, frames

    def __init__(self, session: Session) -> None:
        self._driver, self._on = session.driver, session.takes_pictures
        self._frames: list[Image.Image] = []
        self._timer = QTimer(interval=1000)
        self._timer.timeout.connect(self._take)
        if self._on:
            self._timer.start()

    def save(self, name: str) -> None:
        """Save what was filmed until now as an animated picture of at most 24 frames."""
        self._timer.stop()
        if not self._on:
            return
        step = max(1, -(-len(self._frames) // (self._MOST - 1)))
        frames = [*self._frames[:-1:step], self._frames[-1]]
        both = Image.new("RGB", (frames[0].width, 2 * frames[0].height))
        both.paste(frames[0])
        both.paste(frames[-1], (0, frames[0].height))
        palette = both.quantize(self._COLOURS, Image.Quantize.MEDIANCUT)
        first, *others = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in frames]
        times = [*[300] * len(others), 2500]  # milliseconds; the last one stays
        first.save(Path(PICTURES) / name, save_all=True, append_images=others, duration=times, loop=0, optimize=True)

    def _take(self) -> None:
        frame = ImageQt.fromqpixmap(self._driver.grab()).convert("RGB")
        frame = frame.crop((self._LEFT, 0, *frame.size))
        frame = frame.resize((frame.width // 2, frame.height // 2), Image.Resampling.LANCZOS)
        if not self._frames or frame != self._frames[-1]:
            self._frames.append(frame)
