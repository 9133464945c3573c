"""The demo, with a shorter training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_unet import demo, train
from napari_unet.config import TrainConfig
from napari_unet.events import Event, Notice, Started
from napari_unet.problem import Problem
from napari_unet.widgets.show import show_demo


@pytest.mark.slow
def test_demo_leaves_scores_picture_and_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(config: TrainConfig, should_stop: Callable[[], bool]) -> Iterator[Event]:
        less = {"steps": 2, "crop": 16, "batch": 1}
        yield from train.train(config.model_copy(update=less), should_stop)

    monkeypatch.setattr(demo, "train", short)
    said = [event.text for event in demo.demo(tmp_path / "demo") if isinstance(event, Notice)]
    assert any(text.startswith("Before training") for text in said)
    assert any(text.startswith("After training") for text in said)
    scores = json.loads((tmp_path / "demo" / "scores.json").read_text())
    assert scores["before"]["sections"] == scores["after"]["sections"] == 24
    picture = np.asarray(Image.open(tmp_path / "demo" / "demo.png"))
    assert picture.shape == (540, 2024, 3)
    panels = [picture[40:, i * 508 : i * 508 + 500].astype(int) for i in range(4)]
    colourful = [bool((panel.max(2) != panel.min(2)).any()) for panel in panels]
    assert colourful == [False, True, True, True]
    again = list(demo.demo(tmp_path / "demo"))
    assert sum("already done" in getattr(event, "detail", "") for event in again) == 3


def test_a_folder_in_missing_folders_is_made(tmp_path: Path) -> None:
    events = demo.demo(tmp_path / "not" / "yet")
    assert isinstance(next(events), Started)
    assert (tmp_path / "not" / "yet").is_dir()


@pytest.mark.parametrize(
    ("folder", "words"), [("a.tif", r"a\.tif is a file\. Choose"), ("a.tif/demo", r"cannot be written")]
)
def test_a_file_in_the_way_is_a_problem(tmp_path: Path, folder: str, words: str) -> None:
    (tmp_path / "a.tif").touch()
    with pytest.raises(Problem, match=words):
        next(demo.demo(tmp_path / folder))


def test_show_without_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Problem, match=r"no screen .* look at demo\.png"):
        show_demo(tmp_path)
