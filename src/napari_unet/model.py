"""A trained model: weights and card in one safetensors file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from napari_unet.card import KEY, WEIGHTS, Card, card_of, damaged, find
from napari_unet.disk import write_whole
from napari_unet.problem import Problem, reading
from napari_unet.unet import UNet

SUMS = "SHA256SUMS"  # of the bundled models, as `sha256sum` writes and checks them


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
    metadata = {KEY: json.dumps(dataclasses.asdict(card))}
    write_whole(path, lambda beside: beside.write_bytes(to_bytes(tensors, metadata)))


def load(name: str) -> Model:
    """Return the model of a bundled name, a file, or a run folder.

    Raises
    ------
    Problem
        If there is none, or the file is damaged or no model of ours, or a bundled model is not as it was delivered.
    """
    path = find(name)
    card, tensors, sha256 = _read(path)
    if path.parent == WEIGHTS and f"{sha256}  {path.name}" not in (WEIGHTS / SUMS).read_text().splitlines():
        raise Problem(f"The bundled model {path.stem} is not as it was delivered. Install napari-unet again.")
    misfit = Problem(f"The weights in {path} do not fit its card. Use the original file.")
    # Looked at first: the network of a wrong card may be too large for any memory.
    if "head.weight" not in tensors or tensors["head.weight"].shape[:2] != (len(card.classes), card.width):
        raise misfit
    net = UNet(classes=len(card.classes), width=card.width, batch_norm=card.batch_norm)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise misfit from error
    return Model(net.train(False), card, sha256)


def _read(path: Path) -> tuple[Card, dict[str, torch.Tensor], str]:
    """Return card, weights and SHA-256, all of one moment: a training may put newer weights in their place."""
    with reading(path, damaged(path)):
        content = path.read_bytes()
        tensors = from_bytes(content)
    # A safetensors file starts with the length of its header.
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    return card_of(path, header), tensors, hashlib.sha256(content).hexdigest()
