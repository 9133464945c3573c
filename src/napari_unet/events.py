"""What a running job says: frozen dataclasses, each one JSON line."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    """The job has begun: what it computes, on what."""

    verb: str
    device: str
    detail: str


@dataclass(frozen=True)
class Progress:
    """How far the job is; `seconds_left` is None until it can be told."""

    done: int
    total: int
    unit: str
    seconds_left: float | None


@dataclass(frozen=True)
class Loss:
    """The training loss after a step, smoothed over the last steps."""

    step: int
    loss: float


@dataclass(frozen=True)
class Score:
    """Mean IoU on the held-out part, in [0, 1], None without one; `trusted` is False where it is too small to tell."""

    step: int
    iou: float | None
    best: float | None
    trusted: bool


@dataclass(frozen=True)
class Notice:
    """Something the user should know; the job goes on."""

    text: str


@dataclass(frozen=True)
class Finished:
    """The job is done, or stopped with what it had; `path` is its result."""

    path: str
    detail: str
    stopped: bool = False


@dataclass(frozen=True)
class Failed:
    """The job ended without a result: what is wrong and what to do."""

    text: str


Event = Started | Progress | Loss | Score | Notice | Finished | Failed
_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Started, Progress, Loss, Score, Notice, Finished, Failed)
}


def to_json(event: Event) -> str:
    """Return `event` as one line of JSON, without the newline."""
    return json.dumps({"event": type(event).__name__.lower(), **dataclasses.asdict(event)}, allow_nan=False)


def from_json(line: str) -> Event:
    """Return the event of a line that `to_json` wrote; fields it does not know are dropped.

    Raises
    ------
    ValueError
        If the line is not an event.
    """
    try:
        fields = json.loads(line)
        kind = _KINDS[fields["event"]]
        return kind(**{f.name: fields[f.name] for f in dataclasses.fields(kind) if f.name in fields})
    except (KeyError, TypeError) as error:  # another kind, no object at all, or a field is missing
        raise ValueError(f"not an event: {line[:80]}") from error
