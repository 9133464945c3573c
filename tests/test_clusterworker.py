"""A worker of a cluster computes only what the job sees, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_unet.clusterworker import Segmenting
from napari_unet.config import SegmentConfig
from napari_unet.layout import read_layout
from napari_unet.problem import Problem
from napari_unet.segment import segment
from napari_unet.tiles import Box


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
