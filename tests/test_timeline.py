"""Models on the way are few, evenly spread, and become models of their own bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_unet import timeline
from napari_unet.card import MODEL_FILE
from napari_unet.config import TrainConfig
from napari_unet.library import Library, undo
from napari_unet.model import load
from napari_unet.runs import HELD, held_in, run_behind
from napari_unet.train import train


@given(st.integers(1, 3000), st.integers(1, 200))
def test_models_on_the_way_are_few_and_the_last_step_is_among_them(judgements: int, every: int) -> None:
    steps = judgements * every
    chosen = [step for step in range(0, steps + 1, every) if timeline.passes(step, every, steps)]
    assert 1 <= len(chosen) <= timeline.MOST
    assert len(chosen) == min(judgements, timeline.MOST)
    assert chosen[-1] == steps
    assert max(np.diff([0, *chosen])) <= steps / timeline.MOST + every


def test_an_earlier_model_becomes_one_of_its_own_and_a_training_is_undone(tmp_path: Path) -> None:
    rng, library = np.random.default_rng(0), Library(tmp_path / "home")
    labels = np.zeros((1, 96, 96), np.uint8)
    labels[0, ::4], labels[0, 1::4] = 1, 2
    for name, pixels in (("image", rng.integers(0, 255, labels.shape, np.uint8)), ("labels", labels)):
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels, photometric="minisblack", metadata={"axes": "ZYX"})
    run = library.runs / "mine"
    config = TrainConfig(
        inputs=(tmp_path / "image.tif", tmp_path / "labels.tif"),
        out=run,
        steps=30,
        threads=1,
        crop=16,
        batch=1,
        start_from="em-membrane-small",
    )
    list(train(config))
    assert [step for step, _ in timeline.kept(run)] == [10, 20, 30]
    assert [load(str(file)).card.step for _, file in timeline.kept(run)] == [10, 20, 30]
    models = [timeline.adopt(run, 20, library.runs) for _ in range(2)]
    assert [model.name for model in models] == ["mine-step-20", "mine-step-20-2"]
    for model in models:
        assert (model / MODEL_FILE).read_bytes() == timeline.file_of(run, 20).read_bytes()
        assert held_in(model) == held_in(run)
        assert (run / HELD).exists()
        assert run_behind(model / MODEL_FILE) == run
    assert run_behind(timeline.file_of(run, 20)) == run_behind(run / MODEL_FILE) == run

    before = (run / MODEL_FILE).read_bytes()
    titles = [entry.title.split(" ")[0] for entry in library.models()]
    undo(run)
    entries = library.models()
    assert [entry.undone for entry in entries] == [False] * (len(entries) - 1) + [True]
    assert entries[-1].title == "mine (undone)"
    assert (run / MODEL_FILE).read_bytes() == before
    undo(run, undone=False)
    assert [entry.title.split(" ")[0] for entry in library.models()] == titles
