"""What a worker process can be asked: frozen dataclasses, each one JSON line on its standard input."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from napari_unet import jsonline


@dataclass(frozen=True)
class Begin:
    """Do this job: "train", "segment", "examples", "check" or "suggest", with the fields of its configuration."""

    verb: str
    config: dict[str, Any]


@dataclass(frozen=True)
class Preview:
    """While training, show this part of a section of the first image as it is segmented now; voxels, ends excluded."""

    z: int
    y0: int
    y1: int
    x0: int
    x1: int


@dataclass(frozen=True)
class Join:
    """While training, learn from what is painted by now in some sections of `labels`, in their own numbering.

    `pair` is the number of the image and its labels among the inputs, from 0 on.
    """

    pair: int
    labels: str
    sections: tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """While segmenting, do first what is near this voxel of the image: somebody looks at it."""

    z: int
    y: int
    x: int


@dataclass(frozen=True)
class Stop:
    """Stop in good order; what is finished stays."""


@dataclass(frozen=True)
class KeepGoing:
    """Go on after the window is closed."""


Request = Begin | Preview | Join | Look | Stop | KeepGoing
_KINDS = (Begin, Preview, Join, Look, Stop, KeepGoing)


def to_json(request: Request) -> str:
    """Return `request` as one line of JSON, without the newline."""
    return jsonline.dump("request", request)


def from_json(line: str) -> Request:
    """Return the request of a line that `to_json` wrote.

    Raises
    ------
    ValueError
        If the line is no request, or one of its fields is of another type.
    """
    request: Request = jsonline.parse("request", _KINDS, line)
    # A job that runs must not meet a text where it computes with a number.
    return TypeAdapter(type(request)).validate_python(asdict(request))
