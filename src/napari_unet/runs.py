"""Run folders: one training, with all that is needed to repeat or resume it.

::

    RUN/
      config.json             the settings, with seed, threads, device, number format and steps as used
      inputs.json             fingerprints of the painted sections and their images
      painted/1.zarr ...      the painted sections of each pair, as they were: labels like any others, with their marks
      painted/1-at-240.zarr   sections of a pair that were painted on meanwhile, learned after step 240
      joined.json             when which sections joined
      held.json               which strips of which sections are held out: before the training, and now
      log.jsonl               one event a line
      checkpoint.safetensors  where the training is
      model.safetensors       the best weights so far, with their card
      steps/000120.safetensors ...  models on the way
      undone                  there if somebody undid the training
      origin.json             of a model on the way of a run that became one of its own: which run
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_unet import holdout, log
from napari_unet.config import TrainConfig
from napari_unet.disk import disk_problems, is_there, lock, write_json
from napari_unet.events import Event, Finished
from napari_unet.holdout import Strips
from napari_unet.kept import PAINTED, labels_of
from napari_unet.log import ERROR, LOG
from napari_unet.newzarr import refuse_inside
from napari_unet.preview import PREVIEW
from napari_unet.problem import Problem

CONFIG, INPUTS = "config.json", "inputs.json"
HELD, LOCK, ORIGIN = "held.json", "training.lock", "origin.json"
STEPS = "steps"  # folder of the models on the way
# What a run killed before its settings were written may hold.
_BEFORE_BEGIN = {INPUTS, HELD, LOG, ERROR, PAINTED, LOCK, PREVIEW}
_BEFORE_BEGIN |= {f"{name}.partial" for name in (INPUTS, HELD, CONFIG, PREVIEW)}
_CHECKED_BY_CONTENT = {"inputs", "out", "start_from"}  # files may have moved; `inputs.json` knows what they hold
_LEFT_TO_PROGRAM = {"steps": 0, "threads": 0, "device": "auto", "precision": "auto", "learning_rate": 0.0}


@dataclass(frozen=True)
class Run:
    """A run folder and the settings it was begun with; `config` is None before the first start."""

    folder: Path
    config: TrainConfig | None

    @property
    def finished(self) -> Finished | None:
        """The last event, if the training came to its end."""
        events, _ = log.read(self.folder / LOG)
        last = events[-1] if events else None
        return last if isinstance(last, Finished) and not last.stopped else None

    def begin(self, config: TrainConfig, fingerprints: dict[str, str]) -> None:
        """Write down what the training sees, and the settings as they are used; from now on it can be resumed."""
        write_json(self.folder / INPUTS, fingerprints)
        write_json(self.folder / CONFIG, config.model_dump(mode="json"))

    def check_inputs(self, fingerprints: dict[str, str]) -> None:
        """Compare what the training sees with what it saw when it began.

        Raises
        ------
        Problem
            If labels, images or the start model changed.
        """
        path = self.folder / INPUTS
        try:
            before = dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise Problem(f"{path} cannot be read. Choose another name (--out).") from error
        changed = sorted(name for name in before.keys() | fingerprints if before.get(name) != fingerprints.get(name))
        if changed:
            raise Problem(
                f"The images, labels or start model changed since {self.folder} was begun ({', '.join(changed[:3])}). "
                "Train on the new ones into another folder (--out), starting from this run (--start-from)."
            )

    def keep_held(self, before: Strips, now: Strips) -> None:
        """Write down what was held out before this training, and what is now."""
        write_json(self.folder / HELD, {"before": holdout.to_json(before), "now": holdout.to_json(now)})

    def held_before(self, start: Path | None) -> Strips:
        """Return what was held out before this training: of a run that was begun, else where it starts from.

        Parameters
        ----------
        start : Path, optional
            The model file that it starts from.
        """
        if self.config is not None:
            return held_in(self.folder, "before")
        return held_in(start.parent) or held_in(run_behind(start)) if start else {}

    def record(self, events: Iterable[Event]) -> Iterator[Event]:
        """Append each event to the log, then pass it on; a problem is logged too.

        Raises
        ------
        Problem
            If another job writes here, or the disk is full or cannot be written.
        """
        with disk_problems(self.folder):
            held = lock(self.folder / LOCK)
        with held:
            yield from log.record(self.folder / LOG, events)


def open_run(config: TrainConfig) -> Run:
    """Create the run folder of `config`, or open it to resume.

    Raises
    ------
    Problem
        If the folder holds something else, or a run with other settings.
    """
    folder = config.out
    with disk_problems(folder):
        begun = (folder / CONFIG).exists()
        foreign = folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _BEFORE_BEGIN)
    if not begun:
        if foreign:
            raise Problem(f"{folder} already exists and is no run of napari-unet. Choose another name (--out).")
        refuse_inside(folder)
        with disk_problems(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return Run(folder, None)
    before = begun_in(folder)
    for name, asked in config:
        used = getattr(before, name)
        if name not in _CHECKED_BY_CONTENT and asked != used and asked != _LEFT_TO_PROGRAM.get(name, ...):
            raise Problem(
                f"{folder} was begun with {name.replace('_', ' ')} {_plain(used)}, not {_plain(asked)}. Give the same "
                f"settings to resume, or train on from it into another folder (--start-from {folder} --out ...)."
            )
    # The files are those of this command, wherever they are now.
    return Run(folder, before.model_copy(update={"inputs": config.inputs, "out": folder}))


def held_in(folder: Path, when: Literal["before", "now"] = "now") -> Strips:
    """Return what a run holds out; nothing if `folder` is no run.

    Raises
    ------
    Problem
        If the file cannot be read.
    """
    path = folder / HELD
    if not is_there(path):
        return {}
    try:
        return holdout.from_json(json.loads(path.read_text())[when])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Problem(f"{path} cannot be read. Train again into another folder (--out), from another model.") from error


def run_behind(model: Path) -> Path:
    """Return the folder of the run that made a model file, which may be one on its way, or have become one of its own.

    Raises
    ------
    Problem
        If it is not known any more which it was.
    """
    folder = model.parent.parent if model.parent.name == STEPS else model.parent
    path = folder / ORIGIN
    if not is_there(path):
        return folder
    try:
        return Path(json.loads(path.read_text())["run"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Problem(f"{path} cannot be read. Start from another model.") from error


def begun_in(folder: Path) -> TrainConfig:
    """Return the settings with which the run in `folder` was begun.

    Raises
    ------
    Problem
        If there are none, or they cannot be read.
    """
    try:
        return TrainConfig.model_validate_json((folder / CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise Problem(f"{folder / CONFIG} cannot be read. Choose another name (--out).") from error


def as_begun(config: TrainConfig) -> TrainConfig:
    """Return `config` with the labels that its run keeps in place of those that may have been painted on since.

    Raises
    ------
    Problem
        If the system does not tell whether there is a run.
    """
    if not is_there(config.out / CONFIG):
        return config
    kept = ((image, labels_of(config.out, pair)) for pair, (image, _) in enumerate(config.pairs))
    return config.model_copy(update={"inputs": tuple(path for both in kept for path in both)})


def _plain(value: Any) -> str:
    return ",".join(value) or "of the start model" if isinstance(value, tuple) else str(value)
