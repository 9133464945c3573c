"""A trained model: weights and card in one safetensors file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field, TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from napari_unet.classes import PixelClass
from napari_unet.disk import write_whole
from napari_unet.problem import Problem
from napari_unet.unet import UNet

_BUNDLED = Path(__file__).parent / "weights"
MODEL_FILE = "model.safetensors"


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


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode, its card, and the SHA-256 of its file (empty if it was never saved)."""

    net: UNet
    card: Card
    sha256: str = ""


def save(path: Path, net: UNet, card: Card) -> None:
    """Write weights and card to `path`, whole or not at all.

    Raises
    ------
    Problem
        If the disk is full or the folder cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    metadata = {"napari-unet": json.dumps(dataclasses.asdict(card))}
    write_whole(path, lambda beside: beside.write_bytes(to_bytes(tensors, metadata)))


def read_card(path: Path) -> Card:
    """Return the card of a model file.

    Raises
    ------
    Problem
        If the file is missing, damaged, or no model of ours.
    """
    return _read(path)[0]


def load(name: str) -> Model:
    """Return the model of a bundled name, a file, or a run folder.

    Raises
    ------
    Problem
        If there is none, or the file is damaged or no model of ours.
    """
    path = find(name)
    card, tensors, sha256 = _read(path)
    misfit = Problem(f"The weights in {path} do not fit its card. Use the original file.")
    # Looked at first: the network of a wrong card may be too large for any memory.
    if "head.weight" not in tensors or tensors["head.weight"].shape[:2] != (len(card.classes), card.width):
        raise misfit
    net = UNet(classes=len(card.classes), width=card.width, batch_norm=card.batch_norm)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise misfit from error
    return Model(net.eval(), card, sha256)


def find(name: str) -> Path:
    """Return the file of a bundled name, a path, or a run folder.

    Raises
    ------
    Problem
        If there is no such model.
    """
    if name in bundled():
        return _BUNDLED / f"{name}.safetensors"
    try:
        path = Path(name).expanduser()
        if path.is_dir() and not (path / MODEL_FILE).exists():
            raise Problem(
                f"The folder {path} holds no {MODEL_FILE}. Choose a run folder in which a training has begun."
            )
        path = path / MODEL_FILE if path.is_dir() else path
        found = path.is_file()
    except (OSError, RuntimeError):  # a name too long for the system, the home folder of nobody
        found = False
    if not found:
        raise Problem(f"There is no model {name}. Give a model file, a run folder, or one of: {', '.join(bundled())}.")
    return path


def where_it_is(name: str) -> str:
    """Return a bundled name or "scratch" as it is, and the full path of any other model."""
    return name if name == "scratch" or name in bundled() else str(find(name).absolute())


def bundled() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.stem for path in _BUNDLED.glob("*.safetensors"))


def _read(path: Path) -> tuple[Card, dict[str, torch.Tensor], str]:
    """Return card, weights and SHA-256, all of one moment: a training may put newer weights in their place."""
    try:
        content = path.read_bytes()
        tensors = from_bytes(content)
    except (SafetensorError, OSError, KeyError) as error:  # KeyError: a number format that torch does not have
        raise Problem(
            f"{path} is damaged or not a model file ({error}). Copy it again, or choose another model."
        ) from error
    # A safetensors file starts with the length of its header, JSON with our card among the metadata.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    card = (header.get("__metadata__") or {}).get("napari-unet")
    if card is None:
        raise Problem(f"{path} holds weights, but not of a napari-unet model. Choose a model that napari-unet made.")
    try:
        return Card.from_dict(json.loads(card)), tensors, hashlib.sha256(content).hexdigest()
    except (ValueError, RecursionError) as error:
        raise Problem(f"The card in {path} cannot be read. Use the original file.") from error
