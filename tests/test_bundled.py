"""The bundled models: they find what they found when their cards were written, and the cards say what is owed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from napari_unet.card import bundled, find, read_card
from napari_unet.config import SegmentConfig
from napari_unet.report import report
from napari_unet.samples import IMAGE, TRUTH
from napari_unet.segment import segment

# On sections 9 to 14 of the sample, which no model was trained on: V_rand at 0.5, IoU of membrane.
FOUND = {"em-membrane": (0.690, 0.361), "em-membrane-small": (0.692, 0.357)}


@pytest.mark.parametrize("name", bundled())
def test_it_finds_what_it_found(name: str, tmp_path: Path) -> None:
    config = SegmentConfig(
        image=IMAGE, out=tmp_path / "out.zarr", model=name, region="9:15,:,:", probabilities=True, precision="float32"
    )
    list(segment(config))
    scores = report(config.out, TRUTH, "membrane")
    assert (scores["at_0.5"]["v_rand"], scores["classes"]["membrane"]["iou"]) == pytest.approx(FOUND[name], abs=0.005)


@pytest.mark.parametrize("name", bundled())
def test_its_card_names_data_licences_split_scores_command_and_date(name: str) -> None:
    card = read_card(find(name))
    assert card.command == f"python recipes/em_membrane.py DATA WORK {name}"
    assert card.created.startswith("2026-")
    assert {"vnc/stack1 14-19, V_rand at 0.5", "isbi2012 0-9, V_rand at 0.5"} <= set(card.scores)
    assert (50.0, 4.6, 4.6) in card.voxel_size
    told = json.dumps(asdict(card))
    for owed in ("10.6084/m9.figshare.856713", "CC BY 4.0", "CC BY-NC-SA 3.0", "CC BY 3.0 US", "BSD-2-Clause"):
        assert owed in told
    assert "never seen" in card.about


def test_one_is_accurate_and_one_is_fast() -> None:
    assert [(name, read_card(find(name)).width) for name in bundled()] == [
        ("em-membrane", 32),
        ("em-membrane-small", 16),
    ]
