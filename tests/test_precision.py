"""The number format: tried once for each device, then remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from napari_unet import precision
from napari_unet.precision import MEASURED, fastest, gain


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was tried; bfloat16 is twice as fast."""
    tried: list[str] = []

    def trial(kind: str) -> float:
        tried.append(kind)
        return 2.0

    monkeypatch.setattr(precision, "gain", trial)
    return tried


def test_a_device_is_tried_once(tmp_path: Path, tried: list[str]) -> None:
    assert [fastest("cpu", "one", tmp_path / "new") for _ in range(3)] == ["bfloat16"] * 3
    assert tried == ["cpu"]
    fastest("cuda", "another", tmp_path / "new")
    assert tried == ["cpu", "cuda"]
    assert json.loads((tmp_path / "new" / MEASURED).read_text()) == {"one": 2.0, "another": 2.0}


@pytest.mark.parametrize(("gain", "taken"), [(0.1, "float32"), (1.1, "float32"), (1.2, "bfloat16")])
def test_what_was_measured_decides(tmp_path: Path, tried: list[str], gain: float, taken: str) -> None:
    (tmp_path / MEASURED).write_text(json.dumps({"one": gain}))
    assert fastest("cpu", "one", tmp_path) == taken
    assert not tried


@pytest.mark.parametrize("text", ["", "[]", "{", '{"one": "fast"}', '{"one": null}'])
def test_a_damaged_file_is_measured_anew(tmp_path: Path, tried: list[str], text: str) -> None:
    (tmp_path / MEASURED).write_text(text)
    assert fastest("cpu", "one", tmp_path) == "bfloat16"
    assert json.loads((tmp_path / MEASURED).read_text()) == {"one": 2.0}


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path, tried: list[str]) -> None:
    (tmp_path / "file").touch()
    assert fastest("cpu", "one", tmp_path / "file") == "bfloat16"
    assert fastest("cpu", "one", tmp_path / "file") == "bfloat16"
    assert len(tried) == 2


def test_a_real_trial_leaves_the_threads_as_they_were() -> None:
    torch.set_num_threads(2)
    assert gain("cpu") > 0
    assert torch.get_num_threads() == 2
