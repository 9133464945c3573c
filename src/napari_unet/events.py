"""What a running job says: frozen dataclasses, each one JSON line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from napari_unet import jsonline

WORSE = 0.02  # a mean IoU that fell by less may be the luck of the pixels that were looked at


@dataclass(frozen=True)
class Ready:
    """A worker process waits for a job: what it computes on, and what to do where a GPU that is there is not used.

    `device` is empty where the preferred one is not there.
    """

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
    """Mean IoU on the held-out part, in [0, 1], None without one; `trusted` is False where it is too small to tell.

    `held` is how many pixels are held out.
    """

    step: int
    iou: float | None
    best: float | None
    trusted: bool
    held: int = 0


@dataclass(frozen=True)
class Previewed:
    """The part of a section that was asked for, as the training sees it after `step`; `path` is the file."""

    step: int
    path: str


@dataclass(frozen=True)
class Joined:
    """What was painted meanwhile is learned after `step`: now so many sections, so many pixels to learn from.

    `learned` tells whether that changed anything in them: all of it may lie in what is held out.
    """

    step: int
    sections: int
    pixels: int
    learned: bool = True


@dataclass(frozen=True)
class NotJoined:
    """Why some of what was painted meanwhile is not learned, and what to do; empty once there is no such any more."""

    text: str


@dataclass(frozen=True)
class Compared:
    """Mean IoU of the model that a training began with and of the one that it keeps, on the same painted pixels.

    `earlier` tells that these were painted for the former model or those behind it; else for this training.
    """

    before: float
    after: float
    pixels: int
    earlier: bool

    @property
    def worse(self) -> bool:
        """Whether the training lost more than chance explains."""
        return self.after < self.before - WORSE


@dataclass(frozen=True)
class Finding:
    """Something painted that may be wrong, of a kind; where: a voxel of the image of pair number `pair`, from 0 on.

    `painted` is the label that a slip has there, None of other kinds; `others` are more places (Y, X) like it in that
    section.
    """

    kind: str
    text: str
    pair: int
    z: int
    y: int
    x: int
    painted: int | None = None
    others: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Take lists, as JSON has them, for tuples."""
        object.__setattr__(self, "others", tuple((y, x) for y, x in self.others))


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


Event = (
    Ready
    | Started
    | Progress
    | Loss
    | Score
    | Previewed
    | Joined
    | NotJoined
    | Compared
    | Finding
    | Suggested
    | Notice
    | Finished
    | Failed
)
_KINDS = get_args(Event)


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
