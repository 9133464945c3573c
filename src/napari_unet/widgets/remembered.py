"""What was last chosen in the panels, from one day to the next: a small file in the user's library."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from napari_unet.card import bundled, find
from napari_unet.config import TrainConfig
from napari_unet.disk import disk_problems, write_json
from napari_unet.library import Entry, Library
from napari_unet.problem import Problem

FILE = "last-choices.json"


class Choices(BaseModel):
    """What was chosen when a job began last; nothing in it belongs to one image.

    Attributes
    ----------
    start_from, minutes, live
        Of a training: its start model, how long, whether it was previewed.
    model, used, probabilities
        Of a segmentation or a preview: its model; when that was, in seconds since 1970; whether with probabilities.
    """

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    start_from: str = TrainConfig.model_fields["start_from"].default
    minutes: float = Field(TrainConfig.model_fields["minutes"].default, gt=0)
    live: bool = True
    model: str = ""
    used: float = 0.0
    probabilities: bool = False


def recall(library: Library) -> Choices:
    """Return what was chosen last; what cannot be read is forgotten."""
    file = library.root / FILE
    try:
        return Choices.model_validate_json(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        logging.getLogger(__name__).warning("%s is passed over: %s", file, error)
    return Choices()


def remember(library: Library, **chosen: Any) -> None:
    """Keep some of the choices; of two windows the last one wins, and what cannot be written is forgotten."""
    file = library.root / FILE
    beside = file.with_name(f"{FILE}.{os.getpid()}")  # two programs may write at once
    with contextlib.suppress(Problem), disk_problems(file):
        library.root.mkdir(parents=True, exist_ok=True)
        write_json(beside, {**recall(library).model_dump(), **chosen})
        beside.replace(file)


def last_model(entries: Sequence[Entry], choices: Choices) -> str:
    """Return the name of the model that was trained or used last, of models as `Library.models` gives them.

    One that was undone does not count while there are others; without models it is an empty string.
    """
    names = [entry.name for entry in entries if not entry.undone] or [entry.name for entry in entries]
    if not names:
        return ""
    return choices.model if choices.model in names and choices.used > _trained(names[0]) else names[0]


def _trained(name: str) -> float:
    """Return when a model was trained, in seconds since 1970; the bundled ones are older than all."""
    if name in bundled():
        return 0.0
    try:
        return find(name).stat().st_mtime
    except (Problem, OSError):
        return 0.0
