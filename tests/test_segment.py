"""Segmentation: exact at any tile size, resumable, and with all that made it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.config import SegmentConfig
from napari_unet.device import Compute
from napari_unet.events import Finished, Notice, Progress
from napari_unet.grey import measure
from napari_unet.model import load
from napari_unet.problem import Problem
from napari_unet.samples import IMAGE
from napari_unet.segment import Box, logits, parse_region, segment
from napari_unet.store import open_result
from napari_unet.tiles import CUT, MARGIN, mirror
from napari_unet.unet import UNet, folded
from napari_unet.volume import open_volume

CPU = Compute("cpu", "processor", "float32", 1)


@pytest.fixture(scope="module")
def trained() -> UNet:
    return folded(load("em-membrane").net).to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    return open_volume(IMAGE).section(0)


def whole_pass(net: UNet, section: np.ndarray) -> torch.Tensor:
    """One pass over the whole mirrored image, without any tile."""
    grey = measure(section, "section")
    rows, columns = (mirror(np.arange(-MARGIN, -(-n // 16) * 16 + MARGIN), n) for n in section.shape)
    image = torch.from_numpy(grey.normalise(section[np.ix_(rows, columns)]))[None, None]
    with torch.inference_mode():
        return net(image.contiguous(memory_format=torch.channels_last))[
            0, :, CUT : CUT + section.shape[0], CUT : CUT + section.shape[1]
        ]


def assert_same(tiled: torch.Tensor, whole: torch.Tensor) -> None:
    """The standard of the house: logits within 1e-5, a label differs only where the two best are within 2e-5."""
    assert tiled.shape == whole.shape
    assert float((tiled - whole).abs().max()) <= 1e-5
    best = whole.topk(2, dim=0).values
    differs = tiled.argmax(0) != whole.argmax(0)
    assert bool(((best[0] - best[1])[differs] < 2e-5).all())


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    tile=st.integers(1, 10).map(lambda n: 16 * n),
    threads=st.sampled_from([1, 2]),
)
def test_any_tile_size_gives_the_whole_image_pass(
    trained: UNet, tissue: np.ndarray, height: int, width: int, tile: int, threads: int
) -> None:
    section = tissue[:height, :width]
    torch.set_num_threads(threads)
    try:
        tiled = logits(trained, section, measure(section, ""), Box(0, 1, 0, height, 0, width), tile, CPU)
    finally:
        torch.set_num_threads(1)
    assert_same(tiled, whole_pass(trained, section))


@pytest.mark.parametrize("tile", [16, 48, 128, 256])
def test_a_real_section_has_no_seams(trained: UNet, tissue: np.ndarray, tile: int) -> None:
    box = Box(0, 1, 0, tissue.shape[0], 0, tissue.shape[1])
    assert_same(logits(trained, tissue, measure(tissue, ""), box, tile, CPU), whole_pass(trained, tissue))


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_region_is_a_cut_of_the_whole(trained: UNet, tissue: np.ndarray, data: st.DataObject) -> None:
    section = tissue[:120, :90]
    y0, x0 = data.draw(st.integers(0, 119)), data.draw(st.integers(0, 89))
    y1, x1 = data.draw(st.integers(y0 + 1, 120)), data.draw(st.integers(x0 + 1, 90))
    cut = logits(trained, section, measure(section, ""), Box(0, 1, y0, y1, x0, x1), 64, CPU)
    assert_same(cut, whole_pass(trained, section)[:, y0:y1, x0:x1])


def test_folding_changes_no_label(tissue: np.ndarray, trained: UNet) -> None:
    box = Box(0, 1, 0, 100, 0, 100)
    as_trained = logits(load("em-membrane").net, tissue, measure(tissue, ""), box, 64, CPU)
    assert float((as_trained - logits(trained, tissue, measure(tissue, ""), box, 64, CPU)).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("text", "box"),
    [("", (0, 5, 0, 60, 0, 70)), ("1:3,0:60,8:70", (1, 3, 0, 60, 8, 70)), ("2:,:30,:", (2, 5, 0, 30, 0, 70))],
)
def test_region_text(text: str, box: tuple[int, ...]) -> None:
    assert parse_region(text, (5, 60, 70)) == Box(*box)


@pytest.mark.parametrize("text", ["0:6,:,:", "3:3,:,:", "4:2,:,:", ":,60:,:", ":,:,0:71"])
def test_region_outside_the_stack(text: str) -> None:
    with pytest.raises(Problem, match="does not lie inside the stack of 5 sections"):
        parse_region(text, (5, 60, 70))


@pytest.fixture
def stack(tmp_path: Path, tissue: np.ndarray) -> Path:
    """Five small sections, each of its own grey values."""
    path = tmp_path / "stack.tif"
    sections = np.stack([tissue[i : i + 40, :50] for i in range(5)])
    tifffile.imwrite(path, sections, metadata={"axes": "ZYX", "voxel_size": [50, 4, 4]})
    return path


def finish(config: SegmentConfig) -> Finished:
    last = list(segment(config))[-1]
    assert isinstance(last, Finished)
    return last


def files_of(path: Path) -> dict[str, bytes]:
    """Every file of a result but its list of finished chunks, which may be in another order."""
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file() and f.name != "done.jsonl"}


def test_the_result_knows_what_made_it(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(image=stack, out=tmp_path / "out.zarr", region="1:4,3:40,5:50", probabilities=True)
    assert not finish(config).stopped
    result = open_result(config.out)
    assert result.layout.shape == (3, 37, 45)
    assert result.layout.offset == (1, 3, 5)
    assert result.layout.voxel_size == (50, 4, 4)
    assert [c.name for c in result.layout.classes] == ["interior", "membrane"]
    assert result.layout.provenance["model_sha256"] == load("em-membrane").sha256
    classes, probabilities = np.asarray(result.classes[0][:]), np.asarray(result.probabilities[0][:]).astype(int)
    assert set(np.unique(classes)) <= {1, 2}
    assert np.abs(probabilities.sum(0) - 255).max() <= 1
    apart = np.abs(probabilities[0] - probabilities[1]) > 1
    assert (classes[apart] == 1 + probabilities.argmax(0)[apart]).all()


def test_progress_counts_up_to_the_end(stack: Path, tmp_path: Path) -> None:
    events = list(segment(SegmentConfig(image=stack, out=tmp_path / "out.zarr")))
    assert [e.done for e in events if isinstance(e, Progress)] == [1, 2, 3, 4, 5]
    assert [e.seconds_left for e in events if isinstance(e, Progress)][-1] == 0


def test_a_stopped_job_goes_on_and_gives_the_same_bytes(stack: Path, tmp_path: Path) -> None:
    finish(SegmentConfig(image=stack, out=tmp_path / "whole.zarr"))
    config = SegmentConfig(image=stack, out=tmp_path / "stopped.zarr", tile=16)
    done: list[Progress] = []
    for event in segment(config, lambda: len(done) == 2):
        if isinstance(event, Progress):
            done.append(event)
    assert isinstance(event, Finished)
    assert event.stopped
    events = list(segment(config))
    assert Notice("2 of 5 chunks were finished before and are kept.") in events
    assert len([e for e in events if isinstance(e, Progress)]) == 3
    assert files_of(tmp_path / "stopped.zarr") == files_of(tmp_path / "whole.zarr")
    assert finish(config).detail == "already done"


def test_a_killed_job_goes_on_and_gives_the_same_bytes(stack: Path, tmp_path: Path) -> None:
    finish(SegmentConfig(image=stack, out=tmp_path / "whole.zarr", probabilities=True))
    out = tmp_path / "killed.zarr"
    command = [sys.executable, "-m", "napari_unet.cli", "segment", str(stack), str(out), "--probabilities"]
    with subprocess.Popen([*command, "--threads", "1", "--tile", "16"], stdout=subprocess.DEVNULL) as process:
        while not list((out / "0").glob("c/1/*/*")):
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    finish(SegmentConfig(image=stack, out=out, probabilities=True))
    assert files_of(out) == files_of(tmp_path / "whole.zarr")


def test_another_setting_is_refused_and_nothing_is_touched(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(image=stack, out=tmp_path / "out.zarr")
    finish(config)
    before = files_of(config.out)
    for change, words in [({"probabilities": True}, "probabilities"), ({"region": "0:2,:,:"}, "shape")]:
        with pytest.raises(Problem, match=words):
            finish(config.model_copy(update=change))
    assert files_of(config.out) == before


def test_a_changed_image_is_refused(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(image=stack, out=tmp_path / "out.zarr")
    finish(config)
    changed = tifffile.imread(stack)
    changed[2, 10, 10] += 1
    tifffile.imwrite(stack, changed, metadata={"axes": "ZYX", "voxel_size": [50, 4, 4]})
    with pytest.raises(Problem, match="another image fingerprint"):
        finish(config)


def test_a_blank_section_is_said_and_a_blank_stack_refused(stack: Path, tmp_path: Path) -> None:
    sections = tifffile.imread(stack)
    sections[1] = 7
    tifffile.imwrite(stack, sections)
    said = [e.text for e in segment(SegmentConfig(image=stack, out=tmp_path / "a.zarr")) if isinstance(e, Notice)]
    assert said == ["Section 1 has the same grey value everywhere: its result says nothing."]
    tifffile.imwrite(stack, np.full_like(sections, 7))
    with pytest.raises(Problem, match="same grey value everywhere"):
        finish(SegmentConfig(image=stack, out=tmp_path / "b.zarr"))


def test_chunks_join_without_seams_whatever_the_region(trained: UNet, tissue: np.ndarray, tmp_path: Path) -> None:
    section = np.tile(tissue, (5, 5))[:1070, :1050]
    tifffile.imwrite(tmp_path / "large.tif", section)
    config = SegmentConfig(
        image=tmp_path / "large.tif", out=tmp_path / "out.zarr", region=":,7:,3:", tile=512, precision="float32"
    )
    finish(config)
    result = np.asarray(open_result(config.out).classes[0][0])
    whole = whole_pass(trained, section)[:, 7:, 3:]
    best = whole.topk(2, dim=0).values
    differs = result != whole.argmax(0).numpy() + 1
    assert result.shape == (1063, 1047)
    assert (best[0] - best[1]).numpy()[differs].max(initial=0) < 2e-5
