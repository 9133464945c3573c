"""What should be looked at before a training: a short list in the panel, each line of which goes to its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_unet.config import CheckConfig, CheckSettings
from napari_unet.events import Event, Failed, Finding, Finished, Notice, Progress
from napari_unet.library import free
from napari_unet.lint import DENSE, SPARSE, Rules
from napari_unet.problem import Problem
from napari_unet.slips import SLIP
from napari_unet.widgets.alignment import corner_on
from napari_unet.widgets.handover import volume_of
from napari_unet.widgets.job import Job
from napari_unet.widgets.panel import Panel
from napari_unet.widgets.prepare import Prepared
from napari_unet.widgets.proofreader import Proofreader
from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.sight import around, show_part
from napari_unet.words import for_window

if TYPE_CHECKING:
    from napari.layers import Image

_MOST = 6  # lines in view
_FLIP = {DENSE: ("background", "Let 0 mean background"), SPARSE: ("unlabelled", "Let 0 mean not labelled")}
_TIP = "Lets the model to start from look for places where it is sure of another class than the one that is painted."


class Findings(QWidget):
    """A line for each finding, and a button that lets the model look for slips.

    What the labels alone tell is said by itself while somebody paints.

    Parameters
    ----------
    panel : Panel
        Prepares the layers, and knows the jobs.

    Attributes
    ----------
    button : QPushButton
        It goes beside the one that trains.
    """

    flipped = Signal(str)  # what 0 should mean instead: "unlabelled" or "background"
    pressed = Signal()  # slips are to be looked for

    def __init__(self, panel: Panel) -> None:
        super().__init__()
        self._panel = panel
        self._image: Image | None = None
        self._layers: Sequence[Labels] = ()
        self._about: list[str] = []  # the ids of these layers
        self._asked: list[str] = []  # of those that a check was asked for
        self._job: Job | None = None
        self._plain: list[Finding] = []  # what the labels alone tell
        self._slips: list[Finding] = []
        self._shown: list[Finding] = []
        self._reader = Proofreader(panel.viewer, self)
        self._list = QVBoxLayout()
        self._list.setSpacing(2)
        self.button = QPushButton("Check", objectName="check")
        self.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._said = Sentences()
        self._said.setObjectName("checked")
        self._said.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._list)
        column.addWidget(self._said)
        self.button.clicked.connect(self._on_button)
        self._reader.found.connect(self._on_found)

    def follow(self, image: Image | None, layers: Sequence[Labels], settings: Mapping[str, Any], reason: str) -> None:
        """Look at these labels of an image, as `settings` of a training read them; `reason` forbids a check."""
        about = [layer.unique_id for layer in (image, *layers) if layer is not None]
        if about != self._about:
            self._about = about
            self._forget()
        self._image, self._layers = image, layers
        names = dict(enumerate(settings["classes"], start=1))
        self._reader.follow(image, layers, Rules(names, settings["zero"] == "background", settings["objects"]))
        self.button.setEnabled(self._running or not reason)
        self.button.setToolTip("Gives the check up." if self._running else reason or _TIP)
        self.button.setVisible(bool(layers))

    def painted(self, *_: object) -> None:
        """Read labels on disk that were painted on; a slip that was painted over is none any more."""
        self._slips = list(filter(self._stands, self._slips))
        self._show()
        self._reader.look()

    def begin(self, files: Prepared, image: Image, settings: Mapping[str, Any]) -> None:
        """Let a job look for slips on prepared layers, unless some of them were closed or changed meanwhile.

        Raises
        ------
        Problem
            If the system starts no more processes.
        """
        jobs = self._panel.jobs
        assert jobs is not None
        if self._about != self._asked:
            return
        fields = {name: settings[name] for name in CheckSettings.model_fields.keys() & settings}
        config = CheckConfig(inputs=files.inputs, out=free(jobs.scratch, "check"), **fields)
        if self._job is not None:
            self._job.happened.disconnect(self._on_event)
        self._job = jobs.start("check", config, "U-Net: looking for slips", image)
        self._job.happened.connect(self._on_event)
        self.button.setText("Stop check")
        self._slips = []
        self._show()
        self._say("Looking for slips ...")

    def _forget(self) -> None:
        """Forget what was found on other layers, and what is looked for there."""
        if self._job is not None:
            self._job.happened.disconnect(self._on_event)
            self._job.stop()
            self._job = None
        self.button.setText("Check")
        self._plain, self._slips = [], []
        self._show()
        self._say("")

    @property
    def _running(self) -> bool:
        return self._job is not None and self._job.running

    def _on_button(self) -> None:
        if self._running:
            assert self._job is not None
            self._job.stop()
            self.button.setEnabled(False)
            self.button.setToolTip("It stops after what it is doing now.")
            self._say("Stopping ...")
        else:
            self._asked = self._about
            self.pressed.emit()

    def _on_found(self, found: list[Finding]) -> None:
        self._plain = found
        self._show()

    def _on_event(self, event: Event) -> None:
        assert self._job is not None
        match event:
            case Finding(kind=kind) if kind == SLIP and self._stands(event):  # not painted over while it was looked for
                self._slips.append(event)
            case Progress() if self.button.isEnabled():
                self._say(f"Looking for slips: {self._job.state}.")
            case Notice(text) | Failed(text):
                self._say(text)
            case Finished() if self._slips:
                self._say("")
            case Finished() if not any(isinstance(each, Notice) for each in self._job.events):
                self._say("No slips: the model agrees with what is painted, or is not sure.")
        if isinstance(event, Finished | Failed):
            self.button.setText("Check")
            self._show()
            self._panel.updated()

    def _say(self, text: str) -> None:
        self._said.setText(for_window(text))
        self._said.setVisible(bool(text))

    def _show(self) -> None:
        """Show a line for each finding, those that matter most first."""
        zero = [each for each in self._plain if each.kind in _FLIP]
        found = [*zero, *self._slips, *(each for each in self._plain if each not in zero)]
        if found == self._shown:
            return
        self._shown = found
        while (item := self._list.takeAt(0)) is not None:
            old = item.widget()
            old.setParent(None)
            old.deleteLater()
        for each in found[:_MOST]:
            line = _Line(each)
            places = cycle([(each.y, each.x), *each.others])
            line.clicked.connect(lambda _=False, each=each, places=places: self._go(each, *next(places)))
            self._list.addWidget(line)
            if each.kind in _FLIP:
                value, title = _FLIP[each.kind]
                flip = QPushButton(title, objectName="flip-zero")
                flip.setToolTip("Changes what 0 means, above.")
                flip.clicked.connect(lambda _=False, value=value: self.flipped.emit(value))
                self._list.addWidget(flip, 0, Qt.AlignmentFlag.AlignRight)
        if len(found) > _MOST:
            more = Sentences()
            more.setText(f"{len(found) - _MOST} more are listed when some of these are mended.")
            self._list.addWidget(more)

    def _go(self, finding: Finding, y: int, x: int) -> None:
        """Show a place of a finding, with its labels selected."""
        there = {layer.unique_id for layer in self._panel.viewer.layers}
        layer = self._layers[finding.pair]
        if self._image is None or not {self._image.unique_id, layer.unique_id} <= there:
            self._panel.say("The image or the labels of this finding were closed.")
            return
        show_part(self._panel.viewer, self._image, around(finding.z, y, x))
        self._panel.viewer.layers.selection.active = layer
        if not layer.visible:  # to show one that is shown already takes the brush out of the hand
            layer.visible = True

    def _stands(self, slip: Finding) -> bool:
        """Tell whether what a slip is about is still painted there, or that cannot be told."""
        try:
            layer, image = self._layers[slip.pair], self._image
            if image is None:
                return True
            z, y, x = (a - b for a, b in zip((slip.z, slip.y, slip.x), corner_on(layer, image), strict=True))
            return volume_of(layer).section(z, slice(y, y + 1), slice(x, x + 1)).item() == slip.painted
        except (Problem, LookupError, ValueError):
            return True


class _Line(QPushButton):
    """A button as high as its text, which wraps."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(objectName=f"finding-{finding.kind}")
        self.setToolTip("Goes there, and with each further press to the next." if finding.others else "Goes there.")
        text = QLabel(for_window(finding.text), wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        text.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        row = QVBoxLayout(self)
        row.setContentsMargins(6, 3, 6, 3)
        row.addWidget(text)
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size of the text."""
        return self.layout().sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return a size that any panel has."""
        return QSize(1, self.layout().minimumSize().height())

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """Return how high the text is when it wraps."""
        return self.layout().heightForWidth(width)
