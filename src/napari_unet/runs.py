"""Run folders: one training, with all that is needed to repeat or resume it.

::

    RUN/
      config.json             the settings, with seed, threads, device, number format and steps as used
      inputs.json             fingerprints of the painted sections and their images
      painted/                the painted sections, as they were
      log.jsonl               one event a line
      checkpoint.safetensors  where the training is
      model.safetensors       the best weights so far, with their card
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unet.config import TrainConfig
from napari_unet.disk import disk_problems, lock, write_whole
from napari_unet.events import Event, Failed, Finished, from_json, to_json
from napari_unet.problem import Problem

CONFIG, INPUTS, LOG, PAINTED, LOCK = "config.json", "inputs.json", "log.jsonl", "painted", "training.lock"
# What a run killed before its settings were written may hold.
_BEFORE_BEGIN = {INPUTS, LOG, PAINTED, LOCK, f"{INPUTS}.partial", f"{CONFIG}.partial"}
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
        last = _last_event(self.folder / LOG)
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

    def record(self, events: Iterable[Event]) -> Iterator[Event]:
        """Append each event to the log, then pass it on; a problem is logged too.

        Raises
        ------
        Problem
            If another job writes here, or the disk is full or cannot be written.
        """
        path = self.folder / LOG

        def write(event: Event) -> None:
            # Opened for each line: a full disk may show only when the file is closed.
            with disk_problems(self.folder), path.open("a") as log:
                log.write(json.dumps({"time": round(time.time(), 3)} | json.loads(to_json(event))) + "\n")

        with disk_problems(self.folder):
            held = lock(self.folder / LOCK)
        with held:
            _end_last_line(path)
            try:
                for event in events:
                    write(event)
                    yield event
            except Problem as problem:
                write(Failed(str(problem)))
                raise


def open_run(config: TrainConfig) -> Run:
    """Create the run folder of `config`, or open it to resume.

    Raises
    ------
    Problem
        If the folder holds something else, or a run with other settings.
    """
    folder = config.out
    if not (folder / CONFIG).exists():
        if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - _BEFORE_BEGIN):
            raise Problem(f"{folder} already exists and is no run of napari-unet. Choose another name (--out).")
        with disk_problems(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return Run(folder, None)
    try:
        before = TrainConfig.model_validate_json((folder / CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise Problem(f"{folder / CONFIG} cannot be read. Choose another name (--out).") from error
    for name, asked in config:
        used = getattr(before, name)
        if name not in _CHECKED_BY_CONTENT and asked != used and asked != _LEFT_TO_PROGRAM.get(name, ...):
            raise Problem(
                f"{folder} was begun with {name.replace('_', ' ')} {_plain(used)}, not {_plain(asked)}. Give the same "
                f"settings to resume, or train on from it into another folder (--start-from {folder} --out ...)."
            )
    # The files are those of this command, wherever they are now.
    return Run(folder, before.model_copy(update={"inputs": config.inputs, "out": folder}))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, whole or not at all."""
    write_whole(path, lambda beside: beside.write_text(json.dumps(value, indent=1) + "\n"))


def _plain(value: Any) -> str:
    return ",".join(value) or "of the start model" if isinstance(value, tuple) else str(value)


def _end_last_line(log: Path) -> None:
    """Let the next event have a line of its own where a kill left half a line."""
    with disk_problems(log.parent), log.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")


def _last_event(log: Path) -> Event | None:
    """Return the last whole event of a log; a kill may have left half a line."""
    if log.exists():
        for line in reversed(log.read_text(errors="replace").splitlines()):
            try:
                return from_json(line)
            except ValueError:
                continue
    return None
