"""Where to paint next: a button and a key that go from one suggested place to the next, and say why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from app_model.types import KeyBinding
from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtGui import QHideEvent, QShowEvent
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_unet.card import MODEL_FILE
from napari_unet.config import SuggestJob
from napari_unet.disk import seen
from napari_unet.events import Event, Failed, Finished, Joined, Progress, Suggested
from napari_unet.library import UNDONE, free
from napari_unet.widgets.job import Job
from napari_unet.widgets.models import SCRATCH
from napari_unet.widgets.outline import corners, outline
from napari_unet.widgets.panel import OPEN_FIRST, Panel
from napari_unet.widgets.prepare import Prepared
from napari_unet.widgets.rows import Sentences
from napari_unet.widgets.sight import InView, painting, show_part
from napari_unet.words import duration

KEY = "N"
NAME = "U-Net next place"
_MANY = 3  # corrections that joined a training, after which the list is of the past
_PAUSE = 50  # milliseconds
_PASSED_ON = ("zero", "device", "precision", "threads")


class NextPlace(QWidget):
    """Asks which places of the image are worth painting, and shows them one after another.

    A new list is asked for when the old one is at its end, is of another image or model, or when the model has learned
    more since: its training came to its end, or three corrections joined it.

    Parameters
    ----------
    panel : Panel
    prepare : callable
        Makes files of the chosen layers, then calls what it is given with them; it is told what button asks.
    settings : callable
        Returns those of a training by their names.
    image : callable
        Returns the chosen image.
    """

    def __init__(
        self,
        panel: Panel,
        prepare: Callable[[Callable[[Prepared], None], str], None],
        settings: Callable[[], Mapping[str, Any]],
        image: Callable[[], Image | None],
    ) -> None:
        super().__init__()
        self._panel, self._prepare, self._settings, self._image = panel, prepare, settings, image
        self._training: Job | None = None
        self._search: Job | None = None
        self._searches = 0
        self._places: list[Suggested] = []
        self._shown = 0  # so many of them
        self._about = ("", "")  # image and model that they are of
        self._joined = 0  # corrections since then
        self._button = QPushButton(objectName="next-place")
        self._why = Sentences()
        self._why.setObjectName("why")
        self._why.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._button)
        column.addWidget(self._why)
        self._button.clicked.connect(self._on_clicked)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Take the key, unless it means something already."""
        super().showEvent(event)
        viewer, key = self._panel.viewer, KeyBinding.from_str(KEY)
        if key not in viewer.keymap and key not in viewer.class_keymap:
            viewer.bind_key(KEY, self._on_key)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        """Give the key back."""
        super().hideEvent(event)
        if self._panel.viewer.keymap.get(KeyBinding.from_str(KEY)) == self._on_key:
            self._panel.viewer.bind_key(KEY, None)

    def watch(self, training: Job) -> None:
        """Follow a training: what it learns makes another model of it."""
        if self._training is not None:
            self._training.happened.disconnect(self._on_learned)
        self._training = training
        training.happened.connect(self._on_learned)

    def offer(self) -> None:
        """Show what the button does now, or why it does nothing."""
        left, reason = self._left, self._reason()
        tip = (
            f"Goes to place {self._shown + 1} of {len(self._places)}. Key: {KEY}."
            if left
            else "Looks for places where the model hesitates, or that look unlike what is painted, and goes to the "
            f"first. Key: {KEY}."
        )
        self._button.setText(
            "Stop looking" if self._searching else f"{'Next place' if left else 'Where next?'} ({KEY})"
        )
        self._button.setEnabled(not reason)
        self._button.setToolTip(reason or ("Ends the search; nothing is shown." if self._searching else tip))

    @property
    def _searching(self) -> bool:
        return self._search is not None and self._search.running

    @property
    def _left(self) -> bool:
        """Whether there are places that were not shown yet, of what is chosen now."""
        image = self._image()
        return (
            image is not None
            and self._about == (image.unique_id, self._model())
            and self._joined < _MANY
            and self._shown < len(self._places)
        )

    def _model(self) -> str:
        """Return the model of the training in view, if it has kept one, else what a training would start from."""
        run: Path | None = self._training.config.out if self._training is not None else None
        if run is not None and seen(run / MODEL_FILE) and not seen(run / UNDONE):
            return str(run)
        return self._settings()["start_from"]

    def _reason(self) -> str:
        if self._image() is None:
            return OPEN_FIRST
        if self._panel.preparing:
            return "The layers are being prepared."
        if self._model() == SCRATCH:
            return "A model from scratch knows nothing yet. Train it first."
        return ""

    def _on_clicked(self) -> None:
        if self._search is not None and self._searching:
            self._search.stop()
        else:
            self._go_on()

    def _on_key(self, _viewer: object) -> None:
        if self._button.isEnabled() and not self._searching and not painting():
            self._go_on()

    def _go_on(self) -> None:
        if self._left:
            self._show_next()
        else:
            self._ask()
        self.offer()

    def _ask(self) -> None:
        """Look for places, in a process of its own."""
        image, model, settings = self._image(), self._model(), self._settings()
        assert image is not None

        def begin(files: Prepared) -> None:
            jobs = self._panel.jobs
            assert jobs is not None
            config = SuggestJob(
                image=files.image,
                labels=files.labels,
                model=model,
                seed=self._searches,  # other parts of a large stack each time
                within_labels=True,  # nothing can be painted elsewhere
                out=free(jobs.scratch, "places"),
                **{name: settings[name] for name in _PASSED_ON},
            )
            self._search = jobs.start("suggest", config, "U-Net: where to paint next", image)
            self._search.happened.connect(self._on_found)
            self._searches += 1
            self._places, self._shown, self._joined = [], 0, 0
            self._about = image.unique_id, model
            self._say("Looking for places ...")

        self._why.hide()  # it was about the former list
        self._prepare(begin, "Where next?")

    def _on_found(self, event: Event) -> None:
        match event:
            case Progress(done, total, _, seconds_left):
                left = f", {duration(seconds_left)} left" if seconds_left is not None else " ..."
                self._say(f"Looking for places: {done} of {total} views{left}")
            case Suggested():
                self._places.append(event)
            case Finished():
                self._on_searched(event)
            case Failed(text):
                self._say(text)
        self.offer()

    def _on_searched(self, finished: Finished) -> None:
        """Go to the first place, but never in the midst of a stroke: it would go through all sections between."""
        if painting():
            QTimer.singleShot(_PAUSE, partial(self._on_searched, finished))
            return
        image = self._image()
        # They were asked for, whatever was learned meanwhile.
        if image is not None and image.unique_id == self._about[0]:
            self._about, self._joined = (image.unique_id, self._model()), 0
        if self._left:
            self._show_next()
            self.offer()
        elif self._places:
            self._say(f"Another image is chosen now. Press Where next? ({KEY}) again.")
        else:
            self._say(f"No place is suggested: {finished.detail}.")

    def _on_learned(self, event: Event) -> None:
        if isinstance(event, Joined | Finished):
            self._joined += 1 if isinstance(event, Joined) else _MANY
            self.offer()

    def _show_next(self) -> None:
        """Go to the next place, draw its outline, and say why it is worth painting."""
        place, image, viewer = self._places[self._shown], self._image(), self._panel.viewer
        assert image is not None
        self._shown += 1
        around = [corners(place.z, (place.y0, place.y1), (place.x0, place.x1))]
        # First of all: napari cannot select a layer in 3-D before the mouse has moved there.
        show_part(viewer, image, InView(place.z, place.y0, place.y1, place.x0, place.x1))
        outline(viewer, image, "next place", NAME, around, "yellow", "transparent")
        self._say(f"Place {self._shown} of {len(self._places)}, section {place.z}. {place.why}")

    def _say(self, text: str) -> None:
        self._why.setText(text)
        self._why.show()
