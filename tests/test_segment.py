"""Segmentation: exact at any tile size, resumable, and with all that made it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_unet import predict
from napari_unet.config import SegmentConfig
from napari_unet.convert import convert
from napari_unet.device import Compute
from napari_unet.events import Event, Failed, Finished, Notice, Progress, Started
from napari_unet.finished import DONE
from napari_unet.grey import Grey, measure
from napari_unet.layout import Chunk
from napari_unet.log import LOG, read
from napari_unet.model import load
from napari_unet.newzarr import create_stack
from napari_unet.omezarr import metadata, multiscale
from napari_unet.placing import begins_on
from napari_unet.predict import logits
from napari_unet.problem import Problem
from napari_unet.requests import Look
from napari_unet.result import open_result
from napari_unet.samples import IMAGE
from napari_unet.seams import SEAMS
from napari_unet.segment import segment
from napari_unet.store import Store
from napari_unet.tiles import Box, Section
from napari_unet.unet import UNet, folded
from napari_unet.volume import open_volume

SMALL = "em-membrane-small"
DONE_BEFORE = "already done, and nothing of it is damaged"
CPU = Compute("cpu", "processor", "float32", 1)


@pytest.fixture(scope="module")
def trained() -> UNet:
    return folded(load(SMALL).net).to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    return open_volume(IMAGE).section(0)


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
    told = {"done.jsonl", "log.jsonl", "config.json", SEAMS}  # the order, the times, where it lies, how it was checked
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file() and f.name not in told}


def test_the_result_knows_what_made_it(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(
        model=SMALL, image=stack, out=tmp_path / "out.zarr", region="1:4,3:40,5:50", probabilities=True
    )
    assert not finish(config).stopped
    result = open_result(config.out)
    assert result.layout.shape == (3, 37, 45)
    assert result.layout.offset == (1, 3, 5)
    assert result.layout.voxel_size == (50, 4, 4)
    assert [c.name for c in result.layout.classes] == ["interior", "membrane"]
    assert result.layout.provenance["model_sha256"] == load(SMALL).sha256
    classes, probabilities = np.asarray(result.classes[0][:]), np.asarray(result.probabilities[0][:]).astype(int)
    assert set(np.unique(classes)) <= {1, 2}
    assert np.abs(probabilities.sum(0) - 255).max() <= 1
    apart = np.abs(probabilities[0] - probabilities[1]) > 1
    assert (classes[apart] == 1 + probabilities.argmax(0)[apart]).all()


def test_a_result_lies_where_its_image_does_between_two_voxels_too(tmp_path: Path) -> None:
    image = tmp_path / "image.zarr"
    array = create_stack(image, (2, 64, 64), 64, np.uint8, (50, 4, 4), (3, 10.5, 20.25))
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    for place, start in (("", (4, 10.5, 28.25)), ("0,-1.5,0.25", (1, -1.5, 8.25))):
        out = tmp_path / f"out{place}.zarr"
        finish(SegmentConfig(model=SMALL, image=image, out=out, region="1:2,:,8:", place=place))
        found = multiscale(metadata(out)["attributes"])
        assert found is not None
        assert found.levels[0].translation == tuple(np.multiply(start, (50, 4, 4)))
        assert open_result(out).layout.provenance["place"] == np.subtract(start, (1, 0, 8)).tolist()


@pytest.mark.parametrize(("place", "told"), [("3,20.5,-7", None), ("", (3, 10, 20))])
def test_a_result_serves_as_labels_on_its_image_wherever_that_lies(tmp_path: Path, place: str, told: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
    image = tmp_path / ("image.zarr" if told else "image.tif")
    if told:
        create_stack(image, pixels.shape, 64, np.uint8, (50, 4, 4), told)[:] = pixels
    else:
        tifffile.imwrite(image, pixels, metadata={"axes": "ZYX"})
    out = tmp_path / "out.zarr"
    finish(SegmentConfig(model=SMALL, image=image, out=out, region="1:2,8:,4:", place=place))
    assert begins_on(open_volume(image), open_volume(out, labels=True)) == (1, 8, 4)


def test_stop_does_not_wait_for_the_network(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "stopped.zarr")
    layers = 3
    asked = iter(range(layers))
    *_, last = segment(config, lambda: next(asked, None) is None)
    assert last == Finished(str(config.out), "0 of 5 chunks are kept", stopped=True)
    assert next(asked, None) is None
    assert finish(config).detail.startswith("5 sections segmented")


def test_progress_counts_up_to_the_end(stack: Path, tmp_path: Path) -> None:
    events = list(segment(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")))
    assert [e.done for e in events if isinstance(e, Progress)] == [1, 2, 3, 4, 5]
    assert [e.seconds_left for e in events if isinstance(e, Progress)][-1] == 0


def test_a_stopped_job_goes_on_and_gives_the_same_bytes(stack: Path, tmp_path: Path) -> None:
    finish(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "whole.zarr", tile=16))
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "stopped.zarr", tile=16)
    done: list[Progress] = []
    for event in segment(config, lambda: len(done) == 2):
        if isinstance(event, Progress):
            done.append(event)
    assert isinstance(event, Finished)
    assert event.stopped
    events = list(segment(config))
    assert [e.text for e in events if isinstance(e, Notice)] == ["2 of 5 chunks were finished before and are kept."]
    assert len([e for e in events if isinstance(e, Progress)]) == 3
    assert files_of(tmp_path / "stopped.zarr") == files_of(tmp_path / "whole.zarr")
    assert finish(config).detail == DONE_BEFORE


def test_a_killed_job_goes_on_and_gives_the_same_bytes(stack: Path, tmp_path: Path) -> None:
    finish(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "whole.zarr", probabilities=True, tile=16))
    out = tmp_path / "killed.zarr"
    command = [sys.executable, "-m", "napari_unet.cli", "segment", str(stack), str(out), "--probabilities"]
    command += ["--model", SMALL]
    with subprocess.Popen([*command, "--threads", "1", "--tile", "16"], stdout=subprocess.DEVNULL) as process:
        while not list((out / "0").glob("c/1/*/*")):
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    finish(SegmentConfig(model=SMALL, image=stack, out=out, probabilities=True))
    assert files_of(out) == files_of(tmp_path / "whole.zarr")


def test_what_is_damaged_on_the_disk_is_said_and_computed_again(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    finish(config)
    before = files_of(config.out)
    (config.out / "0/c/2/0/0").unlink()
    events = list(segment(config))
    assert Notice("Damaged on the disk, so computed again: 1 finished chunk.") in events
    assert len([e for e in events if isinstance(e, Progress)]) == 1
    assert files_of(config.out) == before


def test_a_coarse_level_that_is_damaged_is_said_and_written_again(tissue: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.tile(tissue[:16], 3)[None, :, :1040], metadata={"axes": "ZYX"})
    config = SegmentConfig(model=SMALL, image=tmp_path / "stack.tif", out=tmp_path / "out.zarr")
    finish(config)
    before = files_of(config.out)
    (config.out / "1/c/0/0/0").write_bytes(b"junk")
    events = list(segment(config))
    assert Notice("Damaged on the disk, so written again: the coarse levels of 1 section.") in events
    assert events[-1] == Finished(str(config.out), "already done, and what was damaged is mended")
    assert files_of(config.out) == before
    assert finish(config).detail == DONE_BEFORE


def test_a_certificate_that_is_damaged_is_made_again(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    finish(config)
    before = (config.out / SEAMS).read_bytes()
    for content in (before[:5], b"{}", b"3"):
        (config.out / SEAMS).write_bytes(content)
        assert finish(config).detail == "5 sections segmented; not checked for seams: each section is one tile"
        assert (config.out / SEAMS).read_bytes() == before
    assert finish(config).detail == DONE_BEFORE


def test_a_job_killed_before_its_certificate_is_certified_later(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    finish(config)
    before = (config.out / SEAMS).read_bytes()
    (config.out / SEAMS).rename(config.out / f"{SEAMS}.partial")
    assert finish(config).detail == "5 sections segmented; not checked for seams: each section is one tile"
    assert (config.out / SEAMS).read_bytes() == before
    assert not (config.out / f"{SEAMS}.partial").exists()


def test_another_setting_is_refused_and_nothing_is_touched(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    finish(config)
    before = files_of(config.out)
    changes: dict[str, Any] = {"probabilities": True, "region": "0:2,:,:", "tile": 16}
    differences = "with probabilities", "of 2 sections of 40 x 50 pixels", "in tiles of 16 pixels"
    for change, words in zip(({name: value} for name, value in changes.items()), differences, strict=True):
        with pytest.raises(Problem, match=words):
            finish(config.model_copy(update=change))
    assert files_of(config.out) == before


def test_a_changed_image_is_refused(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    finish(config)
    changed = tifffile.imread(stack)
    changed[2, 10, 10] += 1
    tifffile.imwrite(stack, changed, metadata={"axes": "ZYX", "voxel_size": [50, 4, 4]})
    with pytest.raises(
        Problem, match=r"made from another image than .*, or from that before it was edited\. Put the former"
    ):
        finish(config)


def test_an_image_mended_as_told_is_segmented_as_told(stack: Path, tmp_path: Path) -> None:
    pixels = tifffile.imread(stack).astype(np.float32)
    pixels[3, 20] = np.nan
    tifffile.imwrite(stack, pixels, metadata={"axes": "ZYX"})
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    with pytest.raises(
        Problem, match=r"Replace them, for example with 0, and start again, a segmentation under another name\.$"
    ):
        finish(config)
    tifffile.imwrite(stack, np.nan_to_num(pixels), metadata={"axes": "ZYX"})
    assert not finish(config.model_copy(update={"out": tmp_path / "another.zarr"})).stopped


def test_stop_does_not_wait_for_seams_to_be_looked_for(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", tile=16)
    done: list[Event] = []
    for event in segment(config, lambda: any(isinstance(each, Progress) and each.done == each.total for each in done)):
        done.append(event)
    sections = open_volume(stack).shape[0]
    assert done[-1] == Finished(str(config.out), f"{sections} sections segmented, but not checked for seams", True)
    before = files_of(config.out)
    assert "no seam at " in finish(config).detail
    assert files_of(config.out) == before


@pytest.mark.parametrize("finished", [False, True])
def test_an_image_edited_where_the_fingerprint_does_not_look_is_refused(tmp_path: Path, finished: bool) -> None:
    sections = np.random.default_rng(0).integers(0, 255, (9, 300, 40), np.uint8)
    image = tmp_path / "image.tif"
    tifffile.imwrite(image, sections, metadata={"axes": "ZYX"})
    config = SegmentConfig(model=SMALL, image=image, out=tmp_path / "out.zarr")
    done: list[object] = []
    for event in segment(config, lambda: not finished and sum(isinstance(each, Progress) for each in done) > 5):
        done.append(event)
    before, same = files_of(config.out), open_volume(image).fingerprint()
    image.touch()
    assert not finished or finish(config).detail == DONE_BEFORE  # a new date alone is no change
    sections[5, 280, 20] ^= 255
    tifffile.imwrite(image, sections, metadata={"axes": "ZYX"})
    assert open_volume(image).fingerprint() == same
    with pytest.raises(Problem, match=r"Section 5 of .*image.tif is not what it was when .*out.zarr was computed"):
        finish(config)
    assert files_of(config.out) == before


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("patience", [-1.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_one_edited_section_of_many_is_found_at_once_or_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: float, finished: bool
) -> None:
    sections = np.random.default_rng(0).integers(0, 255, (40, 20, 20), np.uint8)
    image = tmp_path / "image.zarr"
    array = zarr.create_array(image, data=sections, chunks=(1, 20, 20))
    config = SegmentConfig(model=SMALL, image=image, out=tmp_path / "out.zarr", tile=16)
    done: list[Event] = []
    for event in segment(config, lambda: not finished and sum(isinstance(each, Progress) for each in done) == 31):
        done.append(event)
    before, same = files_of(config.out), open_volume(image).fingerprint()
    array[1] = 255 - sections[1]
    assert open_volume(image).fingerprint() == same
    monkeypatch.setattr("napari_unet.segment._PATIENCE", patience)
    for _ in range(2):  # once it is complete, too
        with pytest.raises(
            Problem, match=r"Section 1 of .*image.zarr is not what it was when .*out.zarr was computed"
        ) as problem:
            finish(config)
    assert files_of(config.out) == before
    tells = [f"All of out.zarr is computed, but its last job ended so: {problem.value}"] if finished else []
    said = [event.text for event in convert(config.out, tmp_path / "out.tif") if isinstance(event, Notice)]
    assert [each for each in said if "are not computed yet" not in each] == tells
    array[1] = sections[1]
    assert finish(config).detail.startswith("already done" if finished else "40 sections segmented")


@pytest.mark.parametrize("where", ["halo", "far away"])
def test_what_was_computed_from_an_edited_image_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    sections = np.random.default_rng(0).integers(0, 255, (2, 2300, 40), np.uint8)
    image = tmp_path / "image.tif"
    tifffile.imwrite(image, sections, metadata={"axes": "ZYX"})
    first, config = (
        SegmentConfig(model=SMALL, image=image, out=tmp_path / f"{name}.zarr", tile=256) for name in ("first", "out")
    )
    finish(first)
    done: list[Event] = []
    for event in segment(config, lambda: sum(isinstance(each, Progress) for each in done) == 4):
        done.append(event)
    edited = sections.copy()
    # What chunk (1, 1) sees of chunk (1, 0), which is finished; or what only its grey values come from.
    edited[1, 1000 if where == "halo" else 100] = 255
    tifffile.imwrite(image, edited, metadata={"axes": "ZYX"})
    monkeypatch.setattr("napari_unet.segment._PATIENCE", -1.0)
    with pytest.raises(Problem, match=r"Section 1 of .* is not what it was"):
        finish(config)
    tifffile.imwrite(image, sections, metadata={"axes": "ZYX"})
    assert finish(config).detail.startswith("2 sections segmented")
    assert files_of(config.out) == files_of(first.out)


def test_nothing_is_written_any_more_when_the_log_fails_and_the_store_is_closed(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    write, close = Store.write, Store.close

    def slowly(store: Store, *given: object) -> None:
        time.sleep(0.2)
        write(store, *given)
        calls.append("written")

    def closed(store: Store) -> None:
        calls.append("closed")
        close(store)

    def fail(path: Path, event: Event) -> None:
        if isinstance(event, Progress):
            raise Problem("The disk fails.")

    monkeypatch.setattr(Store, "write", slowly)
    monkeypatch.setattr(Store, "close", closed)
    monkeypatch.setattr("napari_unet.log.append", fail)
    with pytest.raises(Problem, match="The disk fails"):
        finish(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr"))
    assert calls == ["written", "closed"]


def test_a_comparison_with_the_image_can_be_stopped(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    finish(config)
    monkeypatch.setattr("napari_unet.segment._PATIENCE", -1.0)
    said, last = list(segment(config, lambda: True))[1:]
    assert said == Notice("Comparing the image with what it was under 5 chunks that were kept.")
    assert last == Finished(str(config.out), "5 of 5 chunks are kept, but not compared with the image", True)
    assert finish(config).detail == DONE_BEFORE


def test_a_blank_section_is_said_and_a_blank_stack_refused(stack: Path, tmp_path: Path) -> None:
    sections = np.concatenate([tifffile.imread(stack), tifffile.imread(stack)])
    sections[[1, 3, 4, 6, 7, 8]] = 7
    tifffile.imwrite(stack, sections)
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "a.zarr", region="1:,:,:")
    said = [e.text for e in segment(config) if isinstance(e, Notice)]
    assert "The same grey value everywhere: sections 1, 3, 4 and 6 to 8." in said[-1]  # before it begins, and only then
    assert len(said) == 3  # and the size, and the pixels
    tifffile.imwrite(stack, np.full_like(sections, 7))
    with pytest.raises(Problem, match="same grey value everywhere"):
        finish(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "b.zarr"))


def test_a_blank_section_that_was_not_looked_at_before_is_said_at_the_end(stack: Path, tmp_path: Path) -> None:
    sections = np.random.default_rng(0).integers(0, 255, (40, 30, 30), np.uint8)
    sections[[0, 21]] = 7
    tifffile.imwrite(stack, sections)
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    *_, before, after = [e.text for e in segment(config) if isinstance(e, Notice)]
    assert "everywhere: section 0. The result will say nothing there (16 of 40 sections looked at)" in before
    assert after == "The same grey value everywhere, so the result says nothing: sections 0 and 21."


def test_a_stack_that_shows_something_in_one_section_is_segmented(stack: Path, tmp_path: Path) -> None:
    sections = np.zeros((20, 40, 50), np.uint8)
    sections[6] = tifffile.imread(stack)[0]
    tifffile.imwrite(stack, sections)
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    assert finish(config).detail.startswith("20 sections segmented")
    with pytest.raises(Problem, match="same grey value everywhere"):
        finish(config.model_copy(update={"region": "7:,:,:", "out": tmp_path / "blank.zarr"}))


def test_chunks_join_without_seams_whatever_the_region(trained: UNet, tissue: np.ndarray, tmp_path: Path) -> None:
    section = np.tile(tissue, (5, 5))[:1070, :1050]
    tifffile.imwrite(tmp_path / "large.tif", section)
    config = SegmentConfig(
        model=SMALL,
        image=tmp_path / "large.tif",
        out=tmp_path / "out.zarr",
        region=":,7:,3:",
        tile=512,
        precision="float32",
    )
    finish(config)
    result = np.asarray(open_result(config.out).classes[0][0])
    whole = logits(trained, section, measure(section, ""), Box(0, 1, 7, 1070, 3, 1050), 2048, CPU)  # in one pass
    best = whole.topk(2, dim=0).values
    differs = result != whole.argmax(0).numpy() + 1
    assert result.shape == (1063, 1047)
    assert (best[0] - best[1]).numpy()[differs].max(initial=0) < 2e-5


def test_log_and_settings_lie_beside_the_result_and_a_second_job_appends(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", region="0:2,:,:", threads=1)
    first = list(segment(config))
    assert isinstance(first[0], Started)
    assert read(config.out / LOG)[0] == first
    assert SegmentConfig.model_validate_json((config.out / "config.json").read_text()) == config
    again = list(segment(config))
    assert again[-1] == Finished(str(config.out), DONE_BEFORE)
    assert read(config.out / LOG)[0] == first + again


def test_a_resumed_job_appends_to_the_log(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", region="0:2,:,:")
    stopped = list(segment(config, lambda: True))
    assert isinstance(stopped[-1], Finished)
    assert stopped[-1].stopped
    resumed = list(segment(config))
    assert read(config.out / LOG)[0] == stopped + resumed


def runs_out(monkeypatch: pytest.MonkeyPatch, *fails: int) -> list[int]:
    """Let the given forward passes (from 0 on) lack memory; return the list of tile sides that are tried."""
    tried: list[int] = []
    real = predict.logits

    def short(net: UNet, section: Section, grey: Grey, box: Box, tile: int, *more: Any) -> torch.Tensor:
        tried.append(tile)
        if len(tried) - 1 in fails:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return real(net, section, grey, box, tile, *more)

    monkeypatch.setattr(predict, "logits", short)
    return tried


def test_where_memory_is_short_tiles_shrink_and_the_result_stays(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "short.zarr", tile=1024, precision="float32")
    finish(config.model_copy(update={"out": tmp_path / "whole.zarr"}))
    tried = runs_out(monkeypatch, 1, 3)
    events = list(segment(config))
    assert tried == [1024, 1024, 512, 512, 256, 256, 256]
    size, *notices = [event.text for event in events if isinstance(event, Notice)]
    assert size.startswith("5 sections of 40 x 50 pixels")
    assert notices == [
        f"There was not enough memory: going on in tiles of {side} pixels. "
        "They round differently, by which next to no label may change."
        for side in (512, 256)
    ]
    assert files_of(tmp_path / "short.zarr") == files_of(tmp_path / "whole.zarr")


@pytest.mark.slow
def test_other_free_memory_on_resuming_changes_no_byte(
    tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a short number format, in which other tiles round differently on some processors."""
    tifffile.imwrite(
        tmp_path / "stack.tif", np.stack([tissue[i : i + 200, :200] for i in range(3)]), photometric="minisblack"
    )
    config = SegmentConfig(
        model=SMALL, image=tmp_path / "stack.tif", out=tmp_path / "out.zarr", precision="bfloat16", probabilities=True
    )
    made = dict[str, dict[str, bytes]]()
    for name, sides in {"large": (256, 256), "changed": (256, 64), "small": (64, 64)}.items():
        resumed = config.model_copy(update={"out": tmp_path / f"{name}.zarr"})
        for side, stop in zip(sides, (True, False), strict=True):
            monkeypatch.setattr("napari_unet.segment.largest_tile", lambda *_, side=side: side)
            done: list[Event] = []
            for event in segment(resumed, lambda stop=stop, done=done: stop and bool(done)):
                done += [event] * isinstance(event, Progress)
        made[name] = files_of(resumed.out)
    assert made["changed"] == made["large"]
    assert {name for name in made["large"] if made["small"][name] != made["large"][name]} >= {"zarr.json"}


def test_a_result_that_does_not_know_its_tile_goes_on(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")
    list(segment(config, lambda: True))
    about = json.loads((config.out / "zarr.json").read_text())
    del about["attributes"]["napari-unet"]["provenance"]["tile"]
    (config.out / "zarr.json").write_text(json.dumps(about))
    assert not finish(config.model_copy(update={"tile": 16})).stopped


def test_too_little_memory_for_any_tile_is_said_and_logged(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = runs_out(monkeypatch, *range(10))
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", tile=1024)
    with pytest.raises(Problem, match=r"not enough memory. Close other programs") as problem:
        list(segment(config))
    assert tried == [1024, 512, 256, 128]
    assert read(config.out / LOG)[0][-1] == Failed(str(problem.value))


def test_too_little_memory_to_begin_is_said(stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("napari_unet.store.mend", short)
    with pytest.raises(Problem, match=r"not enough memory. Close other programs"):
        list(segment(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr")))


def test_what_is_looked_at_comes_first(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", region="1:5,:,:")
    job = segment(config, looked_at=lambda: Look(4, 0, 0))
    done = [event for event, _ in zip(job, range(3), strict=False)]
    job.close()
    assert isinstance(done[-1], Progress)
    listed = [json.loads(line)["chunk"][0] for line in (config.out / DONE).read_text().splitlines()]
    assert listed[:2] == [3, 2]


def test_a_result_of_several_tiles_is_certified(tissue: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "section.tif", tissue[:130, :120])
    last = finish(SegmentConfig(model=SMALL, image=tmp_path / "section.tif", out=tmp_path / "out.zarr", tile=64))
    assert last.detail.startswith("1 section segmented; no seam at 1 place where tiles meet: of ")
    found = json.loads((tmp_path / "out.zarr" / SEAMS).read_text())
    assert (found["windows"], found["changed"]) == (1, 0)
    assert found["between_tilings"] <= 1e-5


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (MemoryError(), ": there was not enough memory. To check it, run the same command again."),
        (
            RuntimeError("CUDA error: unspecified launch failure\nFor debugging consider ..."),
            ": the device or the disk failed (CUDA error: unspecified launch failure). To check it, run the same "
            "command again.",
        ),
        (
            OSError(errno.EIO, "Input/output error"),
            ": the device or the disk failed ([Errno 5] Input/output error). To check it, run the same command again.",
        ),
        (
            ValueError("checksum"),
            ": the device or the disk failed (checksum). To check it, run the same command again.",
        ),
    ],
)
def test_a_result_that_cannot_be_checked_is_complete_all_the_same(
    tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    tifffile.imwrite(tmp_path / "section.tif", tissue[:130, :120])
    config = SegmentConfig(model=SMALL, image=tmp_path / "section.tif", out=tmp_path / "out.zarr", tile=64)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Store, "stored", fail)
        *_, said, last = segment(config)
    assert said == Notice(f"The segmentation is complete, but it was not checked for seams{why}")
    assert last == Finished(str(config.out), "1 section segmented")
    assert not (config.out / SEAMS).exists()
    assert "no seam at 1 place" in finish(config).detail
    assert (config.out / SEAMS).exists()


def test_an_image_that_is_cut_before_the_check_for_seams_fails_the_job(tissue: np.ndarray, tmp_path: Path) -> None:
    """All is computed, but whoever looks at the exit status learns that something is missing; later it is checked."""
    image = tmp_path / "stack.tif"
    tifffile.imwrite(image, np.stack([tissue[i : i + 130, :120] for i in range(5)]))
    whole = image.read_bytes()
    config = SegmentConfig(model=SMALL, image=image, out=tmp_path / "out.zarr", tile=64)
    said = segment(config)
    while not (isinstance(event := next(said), Progress) and event.done == event.total):
        pass
    os.truncate(image, 1000)
    words = r"^The segmentation is complete, but it was not checked for seams\. Section \d of .* cannot be read"
    with pytest.raises(Problem, match=words):
        list(said)
    assert isinstance(read(config.out / LOG)[0][-1], Failed)
    image.write_bytes(whole)
    assert "no seam at 1 place" in finish(config).detail


def test_a_result_that_is_moved_while_seams_are_looked_for_is_told_to_be_moved(
    tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "section.tif", tissue[:130, :120])
    config = SegmentConfig(model=SMALL, image=tmp_path / "section.tif", out=tmp_path / "out.zarr", tile=64)
    away, stored = tmp_path / "elsewhere.zarr", Store.stored

    def moving(store: Store, box: Box) -> tuple[np.ndarray, np.ndarray | None]:
        found = stored(store, box)
        config.out.rename(away)
        return found

    with monkeypatch.context() as moved:
        moved.setattr(Store, "stored", moving)
        with pytest.raises(Problem, match=r"out\.zarr was moved or deleted while it was written"):
            finish(config)
    away.rename(config.out)
    assert "no seam" in finish(config).detail


@pytest.mark.parametrize(("fits", "sides", "checked"), [(80, [144, 80, 32], True), (32, [144, 80, 48], False)])
def test_where_memory_is_short_smaller_windows_are_checked(
    tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: int, sides: list[int], checked: bool
) -> None:
    tifffile.imwrite(tmp_path / "section.tif", tissue[:130, :120])
    config = SegmentConfig(model=SMALL, image=tmp_path / "section.tif", out=tmp_path / "out.zarr", tile=64)
    real, tried = predict.logits, list[int]()

    def short(net: UNet, section: Section, grey: Grey, box: Box, tile: int, *more: Any) -> torch.Tensor:
        tried.append(tile)
        if len(tried) > 1 and tile > fits:  # the first is the segmentation
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(net, section, grey, box, tile, *more)

    monkeypatch.setattr(predict, "logits", short)
    *_, said, last = segment(config)
    assert tried == [64, *sides]
    assert (config.out / SEAMS).exists() == checked
    assert isinstance(last, Finished)
    assert ("no seam at 1 place where tiles meet: of 4,096 pixels" in last.detail) == checked
    assert isinstance(said, Notice) != checked


def test_seams_are_looked_for_where_tiles_meet_that_became_smaller(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last of eight sections only; all others are one tile."""
    section = tifffile.imread(stack)[0]
    tifffile.imwrite(stack, np.tile(section, (8, 2, 2)))
    runs_out(monkeypatch, 7)
    looked = list[Box]()
    real = Store.stored

    def spied(store: Store, box: Box) -> Any:
        looked.append(box)
        return real(store, box)

    monkeypatch.setattr(Store, "stored", spied)
    last = finish(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", tile=128))
    assert "no seam at 1 place" in last.detail
    assert [box.z0 for box in looked] == [7]


def test_probabilities_of_a_region_are_certified_with_the_result(tissue: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "section.tif", tissue)
    config = SegmentConfig(model=SMALL, image=tmp_path / "section.tif", out=tmp_path / "out.zarr", tile=64)
    config = config.model_copy(update={"probabilities": True, "region": ":,23:220,37:211"})
    assert "no seam at 1 place" in finish(config).detail
    found = json.loads((config.out / SEAMS).read_text())
    assert found["changed"] == 0
    assert found["probabilities"] <= 1  # by rounding


def test_a_seam_in_the_result_is_told(tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Store.write

    def spoilt(
        store: Store, chunk: Chunk, classes: np.ndarray, probabilities: np.ndarray | None, seen: int | None
    ) -> None:
        classes = classes.copy()
        classes[:, 60:64] = 3 - classes[:, 60:64]
        real(store, chunk, classes, probabilities, seen)

    monkeypatch.setattr(Store, "write", spoilt)
    tifffile.imwrite(tmp_path / "section.tif", tissue[:130, :120])
    last = finish(SegmentConfig(model=SMALL, image=tmp_path / "section.tif", out=tmp_path / "out.zarr", tile=64))
    assert last.detail.startswith(
        "1 section segmented; differences at 1 place where tiles meet: of 11,760 pixels computed again, 392 "
    )
