"""What a user calls a model, and notes on it: in a file beside it, since nothing in a model is ever changed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from napari_unet.card import MODEL_FILE
from napari_unet.disk import write_json

NAMED = "named.json"
LONGEST_NAME, LONGEST_NOTE = 60, 300  # characters


@dataclass(frozen=True)
class Named:
    """A name other than that of the folder, and a note; both may be empty."""

    name: str = ""
    note: str = ""


def named(folder: Path) -> Named:
    """Return what the user calls the model in a folder, and noted on it; nothing if that cannot be read."""
    try:
        return TypeAdapter(Named).validate_python(json.loads((folder / NAMED).read_text()))
    except (OSError, ValueError, RecursionError):
        return Named()


def name(folder: Path, called: Named) -> None:
    """Write down what the user calls the model in a folder, and notes on it.

    Raises
    ------
    Problem
        If the disk is full or the folder cannot be written.
    """
    write_json(folder / NAMED, asdict(called))


def name_of(model: str) -> str:
    """Return what the user calls a model: a bundled name, a run folder or a file."""
    path = Path(model)
    folder = path.parent if path.name == MODEL_FILE else path
    return named(folder).name or folder.name
