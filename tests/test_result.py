"""A result is read as it was written, at every level, also while it grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_store import LAYOUT, fill, shapes, truth

from napari_unet.events import Failed, Finished, Notice, Progress, Started
from napari_unet.layout import Chunk
from napari_unet.log import LOG, append
from napari_unet.problem import Problem
from napari_unet.result import doubt, open_result
from napari_unet.store import open_store


@given(shapes, st.booleans())
@settings(max_examples=10, deadline=None)
def test_every_level_holds_every_2_to_the_k_th_pixel(tmp_path_factory, shape, probabilities):
    path = tmp_path_factory.mktemp("law") / "out.zarr"
    layout = replace(LAYOUT, shape=shape, probabilities=probabilities)
    with open_store(path, layout) as store:
        fill(store, store.pending)
    result = open_result(path)
    assert result.layout == layout
    assert len(result.probabilities) == (len(result.classes) if probabilities else 0)
    for levels, whole in zip((result.classes, result.probabilities), truth(layout), strict=True):
        for k, level in enumerate(levels):
            np.testing.assert_array_equal(level[...], whole[..., :: 2**k, :: 2**k])


def test_what_is_not_computed_yet_is_255(tmp_path):
    with open_store(tmp_path / "out.zarr", LAYOUT) as store:
        fill(store, [Chunk(1, 0, 1)])
        store.flush()
        result = open_result(tmp_path / "out.zarr")
        assert (result.classes[0][0] == 255).all()
        assert (result.classes[0][1, :, :1024] == 255).all()
        assert (result.classes[2][1, :, 256:512] == truth(LAYOUT)[0][1, ::4, 1024:2048:4]).all()


def test_what_is_no_result_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no segmentation made by napari-unet"):
        open_result(tmp_path)


@pytest.mark.parametrize("level", ["0", "1", "probabilities/0"])
def test_a_result_of_which_metadata_are_damaged_is_a_problem(tmp_path: Path, level: str) -> None:
    path = tmp_path / "out.zarr"
    open_store(path, LAYOUT).close()
    for content in ("", '{"zarr', "{}"):
        (path / level / "zarr.json").write_text(content)
        with pytest.raises(Problem, match=r"out.zarr is damaged: .*\. Copy the whole folder again from its source, or"):
            open_result(path)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, ""),
        (Finished("out.zarr", "2 sections segmented"), ""),
        (
            Finished("out.zarr", "2 sections segmented, but not checked for seams", stopped=True),
            "its last job was stopped: 2 sections segmented, but not checked for seams. Run the napari-unet",
        ),
        (Notice("Comparing the image."), "its job has not ended"),
        (Failed("Section 1 is not what it was."), "its last job ended so: Section 1 is not what it was."),
    ],
)
def test_a_result_that_is_complete_but_not_good_is_told_by_how_its_job_ended(tmp_path, last, words):
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        fill(store, store.pending[1:])
    if last is not None:
        for event in (Started("segment", "processor", "stack"), *[Progress(1, 6, "chunk", 1.0)] * 1000, last):
            append(path / LOG, event)
    assert doubt(path) == ""  # what is missing in it shows
    with open_store(path, LAYOUT) as store:
        fill(store, store.pending)
    assert doubt(path).startswith("All of out.zarr is computed, but ") == bool(words)
    assert words in doubt(path)


def test_what_speaks_against_no_result_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no segmentation made by napari-unet"):
        doubt(tmp_path)
