"""Model files: what is saved comes back whole, and whatever else is opened is a Problem in plain words."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from test_card import CARD

from napari_unet import model
from napari_unet.card import MODEL_FILE, bundled, read_card
from napari_unet.model import load, save
from napari_unet.problem import Problem
from napari_unet.unet import UNet


def small(seed: int = 0) -> UNet:
    torch.manual_seed(seed)
    return UNet(classes=2, width=16, batch_norm=True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "cells.safetensors"
    save(path, small(), CARD)
    return path


def with_metadata(path: Path, text: str | None, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    """Write a safetensors file with `text` for a card."""
    metadata = None if text is None else {"napari-unet": text}
    path.write_bytes(to_bytes(tensors or {"head.weight": torch.zeros(2, 3)}, metadata))
    return path


def test_a_bundled_model_must_be_as_it_was_delivered(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "WEIGHTS", saved.parent)
    sums = saved.parent / model.SUMS
    sums.write_text(f"{hashlib.sha256(saved.read_bytes()).hexdigest()}  {saved.name}\n")
    assert load(str(saved)).card == CARD
    sums.write_text(f"{'0' * 64}  {saved.name}\n")
    with pytest.raises(Problem, match="The bundled model cells is not as it was delivered"):
        load(str(saved))


# ---- what is saved comes back


def test_weights_and_card_come_back_as_they_were(saved: Path) -> None:
    found = load(str(saved))
    assert found.card == read_card(saved) == CARD
    assert found.sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert not found.net.training
    there, here = small().state_dict(), found.net.state_dict()
    assert there.keys() == here.keys()
    assert all(torch.equal(there[name], here[name]) for name in there)


def test_the_saved_network_is_left_as_it_is(tmp_path: Path) -> None:
    net = small().train()
    save(tmp_path / "m.safetensors", net, CARD)
    assert net.training
    assert all(weights.requires_grad for weights in net.parameters())


def test_a_run_folder_stands_for_its_model(saved: Path, tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(saved.read_bytes())
    assert load(str(tmp_path)).card == CARD


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_model_has_the_classes_of_its_card(name: str) -> None:
    found = load(name)
    assert found.net.head.out_channels == len(found.card.classes)


def test_the_hash_is_of_the_weights_that_were_read(saved: Path, tmp_path: Path, monkeypatch) -> None:
    """A training may put newer weights in the file's place at any moment."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved.read_bytes())

    def meanwhile(**how: object) -> UNet:
        (tmp_path / "newer").write_bytes(b"newer")
        (tmp_path / "newer").replace(path)
        return UNet(**how)

    monkeypatch.setattr(model, "UNet", meanwhile)
    assert load(str(path)).sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()


# ---- what is no model


def test_a_missing_model_names_the_bundled_ones() -> None:
    with pytest.raises(Problem, match=r"There is no model nowhere.safetensors. .* or one of: .*em-membrane"):
        load("nowhere.safetensors")


@pytest.mark.parametrize("tenth", range(10))
def test_a_file_cut_short_is_damaged(saved: Path, tmp_path: Path, tenth: int) -> None:
    whole = saved.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(whole[: len(whole) * tenth // 10])
    with pytest.raises(Problem, match=r"cut.safetensors is damaged or not a model file"):
        load(str(path))


@pytest.mark.parametrize("content", [b"my model\n", b"\x08\0\0\0\0\0\0\0no json!", b"PK\x03\x04" + bytes(100)])
def test_a_file_of_another_kind_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.safetensors"
    path.write_bytes(content)
    with pytest.raises(Problem, match=r"notes.safetensors is damaged or not a model file"):
        load(str(path))


def test_weights_of_another_program_are_not_ours(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="holds weights, but not of a napari-unet model"):
        load(str(with_metadata(tmp_path / "other.safetensors", None)))


@pytest.mark.parametrize(
    "changes", [{"width": 32}, {"width": 10**9}, {"batch_norm": False}, {"classes": CARD.classes[:1]}]
)
def test_weights_must_fit_the_card(saved: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    text = json.dumps(dataclasses.asdict(dataclasses.replace(CARD, **changes)))
    path = with_metadata(tmp_path / "m.safetensors", text, load_file(saved))
    with pytest.raises(Problem, match="do not fit its card"):
        load(str(path))


@pytest.mark.parametrize("text", ["", "[]", json.dumps(dataclasses.asdict(CARD) | {"width": "wide"})])
def test_a_card_that_makes_no_sense_is_a_problem(saved: Path, tmp_path: Path, text: str) -> None:
    path = with_metadata(tmp_path / "m.safetensors", text, load_file(saved))
    with pytest.raises(Problem, match=r"The card in .*m.safetensors cannot be read"):
        load(str(path))


# ---- writing


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_leaves_the_former_file(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved.read_bytes())
    (tmp_path / "m.safetensors.partial").symlink_to("/dev/full")
    with pytest.raises(Problem, match=r"The disk that holds .*m.safetensors is full"):
        save(path, small(seed=1), CARD)
    assert path.read_bytes() == saved.read_bytes()
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=f"cannot be written .{os.strerror(errno.ENOENT)}"):
        save(tmp_path / "gone" / "m.safetensors", small(), CARD)
