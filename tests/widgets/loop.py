"""The stacks on which somebody goes round the loop, and the session in which that happens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from qtpy.QtWidgets import QLabel, QPushButton
from scipy import ndimage

from napari_unet.card import find
from napari_unet.events import Joined
from napari_unet.samples import TRUTH
from napari_unet.volume import open_volume
from napari_unet.widgets.heldout import NAME as HELD_OUT
from napari_unet.widgets.job import Job
from napari_unet.widgets.models import ModelChoice
from napari_unet.widgets.strokes import path_of
from napari_unet.widgets.train import TrainPanel

from .session import INTERIOR, MEMBRANE, PICTURES, SECTION, Session, Stroke

ISBI = Path(__file__).parents[3] / "shared/data/isbi2012"
STEPS = 0 if PICTURES else 180  # as many as the time allows; else as many on any machine, and small ones
_SIDE = 120  # pixels of the square that is accepted


@dataclass(frozen=True)
class Stack:
    """What is painted, all on one section; and a truth that the person sees when looking at a prediction."""

    layer: str
    truth: Path
    interior: list[Stroke]
    membrane: list[Stroke]
    later: list[Stroke]  # of membrane, while it trains
    slip: Stroke  # of membrane, in the midst of a cell
    dot: tuple[float, float]

    @property
    def labels(self) -> str:
        return f"{self.layer.replace(' ', '-')}-labels"

    def truth_of(self, z: int) -> np.ndarray:
        """Return the classes of a section: 1 interior, 2 membrane."""
        return np.where(np.isin(tifffile.imread(self.truth)[z], (1, 255)), 1, 2)


SAMPLE = Stack(
    "fly medulla",
    TRUTH,
    INTERIOR,
    MEMBRANE,
    later=[[(172, 152), (188, 134), (205, 124), (230, 117)], [(245, 12), (241, 30), (240, 44), (232, 57)]],
    slip=[(185, 185), (188, 215)],
    dot=(30, 75),
)
ISBI_2012 = Stack(
    "raw",
    ISBI / "interior.tif",
    [[(150, 140), (190, 170)], [(40, 140), (90, 150)], [(300, 120), (320, 135)], [(380, 350), (420, 440)]],
    [[(135, 90), (155, 82), (175, 78), (205, 79), (230, 72), (255, 68)], [(165, 207), (212, 208)]],
    later=[[(165, 280), (200, 280), (235, 281)], [(255, 148), (270, 134), (283, 120), (285, 104)]],
    slip=[(230, 160), (233, 190)],
    dot=(140, 230),
)


class Loop(Session):
    """A session on a stack, with what several of its chapters know."""

    def __init__(self, make_viewer, qtbot, stack: Stack) -> None:
        super().__init__(make_viewer, qtbot, "loop" if stack is SAMPLE else "")
        self.stack = stack
        self.open_stack()
        self.panel = self.open_panel("Train", TrainPanel)

    def open_stack(self) -> None:
        if self.stack is SAMPLE:
            self.open_sample()
        else:
            self.viewer.open(ISBI / "raw.tif", plugin="napari")
            self.driver.show_section(SECTION)

    def button(self, name: str) -> QPushButton:
        return self.find(self.panel, QPushButton, name)

    def said(self, name: str) -> str:
        return self.find(self.panel, QLabel, name).text()

    def notices(self) -> list[str]:
        """Return what the job in view said."""
        return [each.text() for each in self.panel.findChildren(QLabel, "said") if not each.isHidden()]

    def press_button(self, name: str) -> None:
        """Scroll to a button of the Train panel and click it."""
        self.panel.ensureWidgetVisible(self.button(name))
        self.click(self.button(name))

    def start_file(self) -> Path:
        """Return the file of the model that the next training starts from."""
        return find(self.panel.findChild(ModelChoice).name())

    def finding(self, kind: str) -> str:
        """Return what a finding says."""
        return self.button(f"finding-{kind}").findChild(QLabel).text()

    def held_out(self) -> np.ndarray:
        """Return the corners of the strips that are drawn."""
        return np.array(self.layer(HELD_OUT).data)

    @property
    def image(self):
        return self.viewer.layers[self.stack.layer]

    @property
    def section(self) -> int:
        """The section in view."""
        return self.viewer.dims.current_step[0]

    def painted(self) -> np.ndarray:
        """Return the labels of the section, as the disk has them."""
        return open_volume(path_of(self.labels)).section(SECTION)

    def predicted(self, name: str) -> np.ndarray:
        return np.asarray(self.layer(name).data[0]).copy()

    def joined(self, job: Job) -> int:
        """Return how often something joined a training."""
        return sum(isinstance(each, Joined) for each in job.events)

    def until_step(self, job: Job, step: int) -> None:
        self.wait(lambda: not job.running or (job.progress is not None and job.progress.done >= step), 300)
        assert job.running, job.outcome


def what_is_right(predicted: np.ndarray, truth: np.ndarray) -> Stroke:
    """Return two corners of the square of a section that is predicted best."""
    alike = ndimage.uniform_filter((predicted == truth).astype(float), _SIDE)
    half = _SIDE // 2
    inside = alike[half:-half, half:-half]
    y, x = np.unravel_index(inside.argmax(), inside.shape)
    return [(y, x), (y + _SIDE - 1, x + _SIDE - 1)]


def mistake(predicted: np.ndarray, truth: np.ndarray) -> tuple[int, Stroke]:
    """Return the class of the largest patch of a section that is predicted wrongly, and a stroke in its midst."""
    depth = ndimage.distance_transform_edt(np.pad(predicted != truth, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(truth[y, x]), [(y, x), (y, x + 3)]
