"""The card of a trained model: what it is, where it comes from; read without loading its weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter

from napari_unet.classes import PixelClass
from napari_unet.problem import Problem, told_by

WEIGHTS = Path(__file__).parent / "weights"  # the bundled models, and SHA256SUMS of them
MODEL_FILE = "model.safetensors"
KEY = "napari-unet"  # of the card among the metadata of a safetensors file


def _fit_for_a_map(classes: tuple[PixelClass, ...]) -> tuple[PixelClass, ...]:
    values = {c.value for c in classes}
    if not values or len(values) < len(classes) or not values <= set(range(255)):
        raise ValueError("classes need different values from 0 to 254")
    if not all(re.fullmatch("#[0-9a-fA-F]{6}", c.color) for c in classes):
        raise ValueError("a colour is not #rrggbb")
    return classes


@dataclass(frozen=True)
class Card:
    """What a model is and where it comes from.

    Parameters
    ----------
    name : str
    classes : tuple of PixelClass
        One an output channel, in order.
    separator : str
        Name of the class that separates touching objects; empty if there is none.
    width : int
        Channels of the first level.
    batch_norm : bool
    created : str
        Date and time, ISO 8601.
    command : str
        The command that made it.
    started_from : str
        Name and SHA-256 of the model it was fine-tuned from, or "scratch".
    step : int
        Training steps behind these weights.
    voxel_size : tuple of (Z, Y, X) in nanometres
        One entry for each training image whose voxel size is known.
    scores : dict
        Scores by name, such as the held-out IoU.
    about : dict
        For bundled models: data, licences, split.
    """

    name: str
    classes: Annotated[tuple[PixelClass, ...], AfterValidator(_fit_for_a_map)]
    separator: str = ""
    width: Annotated[int, Field(gt=0)] = 16
    batch_norm: bool = True
    created: str = ""
    command: str = ""
    started_from: str = "scratch"
    step: int = 0
    voxel_size: tuple[tuple[float, float, float], ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Card:
        """Return the card that `dataclasses.asdict` turned into `fields`; raise ValueError for anything else."""
        return TypeAdapter(cls).validate_python(fields)


def read_card(path: Path) -> Card:
    """Return the card of a model file.

    Raises
    ------
    Problem
        If the file is missing, damaged, or no model of ours.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = file.read(min(int.from_bytes(file.read(8), "little"), size))
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror or error}). Choose another model.") from error
    card = card_of(path, header)
    try:
        whole = 8 + len(header) + _bytes_of_weights(json.loads(header)) == size
    except (LookupError, TypeError) as error:
        raise damaged(path) from error
    if not whole:
        raise damaged(path)
    return card


def card_of(path: Path, header: bytes) -> Card:
    """Return the card in the header of the safetensors file `path`.

    Raises
    ------
    Problem
        If there is none.
    """
    try:
        card = (json.loads(header).get("__metadata__") or {}).get(KEY)
    except (ValueError, RecursionError, AttributeError) as error:
        raise damaged(path) from error
    if card is None:
        raise Problem(f"{path} holds weights, but not of a napari-unet model. Choose a model that napari-unet made.")
    try:
        return Card.from_dict(json.loads(card))
    except (ValueError, TypeError, RecursionError) as error:
        raise Problem(f"The card in {path} cannot be read. Use the original file.") from error


def damaged(path: Path) -> Problem:
    """Return what to say of a model file that cannot be read."""
    return Problem(f"{path} is damaged or not a model file. Copy it again, or choose another model.")


def _bytes_of_weights(header: dict[str, Any]) -> int:
    """Return how many bytes of weights follow the header."""
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return max(ends, default=0)


def find(name: str) -> Path:
    """Return the file of a bundled name, a path, or a run folder.

    Raises
    ------
    Problem
        If there is no such model, or the system does not tell.
    """
    ours = bundled()
    if name in ours:
        return WEIGHTS / f"{name}.safetensors"
    nothing = Problem(f"There is no model {name}. Give a model file, a run folder, or one of: {', '.join(ours)}.")
    try:
        path = Path(name).expanduser()
        if path.is_dir() and not (path / MODEL_FILE).exists():
            raise Problem(
                f"The folder {path} holds no {MODEL_FILE}. Choose a run folder in which a training has begun."
            )
        path = path / MODEL_FILE if path.is_dir() else path
        found = path.is_file()
    except RuntimeError as error:  # the home folder of nobody
        raise nothing from error
    except OSError as error:
        raise told_by(error, name, nothing) from error
    if not found:
        raise nothing
    return path


def where_it_is(name: str) -> str:
    """Return a bundled name or "scratch" as it is, and the full path of any other model."""
    return name if name == "scratch" or name in bundled() else str(find(name).absolute())


def bundled() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))
