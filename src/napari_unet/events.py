"""What a running job says: frozen dataclasses, each one JSON line."""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet import jsonline


@dataclass(frozen=True)
class Ready:
    """A worker process waits for a job: what it computes on, and what to do where a GPU that is there is not used."""

    device: str
    advice: str


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
class Previewed:
    """The part of a section that was asked for, as the training sees it after `step`; `path` is the file."""

    step: int
    path: str


@dataclass(frozen=True)
class Joined:
    """What was painted meanwhile is learned after `step`: now so many sections, so many pixels to learn from."""

    step: int
    sections: int
    pixels: int


@dataclass(frozen=True)
class Suggested:
    """A place worth painting next, number `rank` from 1 on, and why in one sentence; voxels, ends excluded."""

    rank: int
    z: int
    y0: int
    y1: int
    x0: int
    x1: int
    why: str


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


Event = Ready | Started | Progress | Loss | Score | Previewed | Joined | Suggested | Notice | Finished | Failed
_KINDS = (Ready, Started, Progress, Loss, Score, Previewed, Joined, Suggested, Notice, Finished, Failed)


def to_json(event: Event) -> str:
    """Return `event` as one line of JSON, without the newline."""
    return jsonline.dump("event", event)


def from_json(line: str) -> Event:
    """Return the event of a line that `to_json` wrote; fields it does not know are dropped.

    Raises
    ------
    ValueError
        If the line is not an event.
    """
    event: Event = jsonline.parse("event", _KINDS, line)
    return event
