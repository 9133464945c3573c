"""A worker of a cluster computes only what the job sees, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_unet.blocks import Block
from napari_unet.blockwise import Blockwise
from napari_unet.clusterworker import Segmenting
from napari_unet.config import SegmentConfig
from napari_unet.layout import Chunk, read_layout
from napari_unet.problem import Problem
from napari_unet.segment import segment
from napari_unet.tiles import Box


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("no such thing"),
            r"On the worker tcp://w: Something went wrong that should not \(ValueError: no such thing\). "
            r"Its log tells more. Mend that and run the same command again: what is finished is kept.$",
        ),
        (RuntimeError("could not create a primitive"), "On the worker tcp://w: There is not enough memory. Close"),
    ],
)
def test_what_should_not_happen_on_a_worker_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, said: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    tifffile.imwrite(tmp_path / "stack.tif", np.arange(120, dtype=np.uint8).reshape(2, 6, 10))
    config = SegmentConfig(
        model="em-membrane-small", image=tmp_path / "stack.tif", out=tmp_path / "out.zarr", precision="float32"
    )
    list(segment(config, lambda: True))
    here = Segmenting(config, read_layout(config.out), Box(0, 2, 0, 6, 0, 10))
    here.setup(SimpleNamespace(address="tcp://w"))
    monkeypatch.setattr(Blockwise, "read", fail)
    with pytest.raises(Problem, match=said):
        here.compute(Block(()))
    unexpected = isinstance(error, ValueError)
    assert ("in fail" in caplog.text) == unexpected  # the whole traceback


@pytest.mark.parametrize(("key", "what"), [("model_sha256", "model"), ("image_fingerprint", "image")])
def test_a_worker_that_sees_other_files_refuses(tmp_path: Path, key: str, what: str) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.arange(120, dtype=np.uint8).reshape(2, 6, 10))
    config = SegmentConfig(
        model="em-membrane-small", image=tmp_path / "stack.tif", out=tmp_path / "out.zarr", precision="float32"
    )
    list(segment(config, lambda: True))
    layout = read_layout(config.out)
    other = replace(layout, provenance=layout.provenance | {key: "another"})
    with pytest.raises(Problem, match=f"On the worker tcp://w: There is another {what} at the same path"):
        Segmenting(config, other, Box(0, 2, 0, 6, 0, 10)).setup(SimpleNamespace(address="tcp://w"))


def test_a_worker_begins_no_other_result_where_one_was_moved(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.arange(120, dtype=np.uint8).reshape(2, 6, 10))
    config = SegmentConfig(
        model="em-membrane-small", image=tmp_path / "stack.tif", out=tmp_path / "out.zarr", precision="float32", tile=64
    )
    list(segment(config, lambda: True))
    here = Segmenting(config, read_layout(config.out), Box(0, 2, 0, 6, 0, 10))
    here.setup(SimpleNamespace(address="tcp://w"))
    written, _ = here.compute(Block((Chunk(0, 0, 0),)))
    assert list(written.seen) == [Chunk(0, 0, 0)]
    config.out.rename(tmp_path / "moved.zarr")
    with pytest.raises(Problem, match=r"On the worker tcp://w: .*out\.zarr was moved or deleted while it was written"):
        here.compute(Block((Chunk(1, 0, 0),)))
    assert not config.out.exists()
    here.teardown(SimpleNamespace())
    with pytest.raises(Problem, match="The job has ended"):
        here.compute(Block((Chunk(1, 0, 0),)))
