"""A real scheduler and two worker processes give the result of one process, whatever happens to a worker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unet import __version__
from napari_unet.cluster import _Segmenting
from napari_unet.config import SegmentConfig
from napari_unet.events import Failed, Finished, Progress
from napari_unet.layout import read_layout
from napari_unet.log import LOG, read
from napari_unet.problem import Problem
from napari_unet.samples import IMAGE
from napari_unet.seams import SEAMS
from napari_unet.segment import segment
from napari_unet.tiles import Box
from napari_unet.volume import open_volume

SMALL = "em-membrane-small"


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        self._folder, self._processes = folder, processes
        scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = self._said(scheduler, r"Scheduler at: +(tcp://\S+)")

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it has joined."""
        worker = self._start(
            "worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
            "--local-directory", str(self._folder), "--death-timeout", "30",
        )  # fmt: skip
        self._said(worker, r"Registered to: +(tcp://\S+)")
        return worker

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self._folder / f"{words[0]}-{time.monotonic_ns()}.log").open("wb")
        process = subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]], stderr=log)
        process.log = Path(log.name)  # type: ignore[attr-defined]
        log.close()
        self._processes.callback(_end, process)
        return process

    def _said(self, process: subprocess.Popen[bytes], pattern: str) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if found := re.search(pattern, process.log.read_text()):  # type: ignore[attr-defined]
                return found[1]
            assert process.poll() is None, process.log.read_text()  # type: ignore[attr-defined]
            time.sleep(0.05)
        raise TimeoutError(pattern)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with ExitStack() as processes:
        yield Cluster(folder, processes)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Twelve small sections."""
    tissue = open_volume(IMAGE).section(0)
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([tissue[i : i + 60, :70] for i in range(12)]))
    return tmp_path / "stack.tif"


def files_of(path: Path) -> dict[str, bytes]:
    told = {"done.jsonl", "log.jsonl", "config.json", SEAMS}  # the order, the times, where it was computed
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file() and f.name not in told}


def alone(stack: Path, tmp_path: Path) -> dict[str, bytes]:
    """Return what one process makes of the stack."""
    list(segment(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "alone.zarr", probabilities=True, threads=1)))
    return files_of(tmp_path / "alone.zarr")


def test_two_workers_give_the_same_result_and_one_killed_costs_its_chunk(
    cluster: Cluster, stack: Path, tmp_path: Path
) -> None:
    first, second = cluster.worker(), cluster.worker()
    config = SegmentConfig(
        model=SMALL, image=stack, out=tmp_path / "out.zarr", probabilities=True, scheduler=cluster.address, threads=1
    )
    done = []
    for event in segment(config):
        if isinstance(event, Progress):
            done.append(event.done)
            if len(done) == 3:
                os.kill(first.pid, signal.SIGKILL)
    assert isinstance(event, Finished)
    assert not event.stopped
    assert done == list(range(1, 13))
    assert second.poll() is None
    assert files_of(config.out) == alone(stack, tmp_path)


def test_a_stopped_job_goes_on_on_the_cluster_or_without_it(cluster: Cluster, stack: Path, tmp_path: Path) -> None:
    cluster.worker()
    config = SegmentConfig(
        model=SMALL, image=stack, out=tmp_path / "out.zarr", probabilities=True, scheduler=cluster.address, threads=1
    )
    done: list[Progress] = []
    for event in segment(config, lambda: len(done) == 4):
        if isinstance(event, Progress):
            done.append(event)
    assert isinstance(event, Finished)
    assert event.stopped
    assert event.detail == "4 of 12 chunks are kept"
    list(segment(config.model_copy(update={"scheduler": ""})))
    assert files_of(config.out) == alone(stack, tmp_path)


def test_what_a_worker_cannot_do_is_said(
    cluster: Cluster, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.worker()
    monkeypatch.setattr("napari_unet.cluster.__version__", "0.0.1")  # here, not there
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=cluster.address)
    with pytest.raises(Problem, match=r"A worker has napari-unet .*, not 0.0.1. Install the same version."):
        list(segment(config))
    assert read(config.out / LOG)[0][-1] == Failed(
        f"A worker has napari-unet {__version__}, not 0.0.1. Install the same version."
    )


@pytest.mark.parametrize(("key", "what"), [("model_sha256", "model"), ("image_fingerprint", "image")])
def test_a_worker_that_sees_other_files_refuses(stack: Path, tmp_path: Path, key: str, what: str) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", precision="float32")
    list(segment(config, lambda: True))
    layout = read_layout(config.out)
    other = replace(layout, provenance=layout.provenance | {key: "another"})
    with pytest.raises(Problem, match=f"A worker finds another {what} at the same path"):
        _Segmenting(config, other, Box(0, 12, 0, 60, 0, 70)).setup(None)


def test_no_cluster_is_said(stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet.cluster._PATIENCE", 1)
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(Problem, match=r"no dask scheduler at tcp://127.0.0.1:9. Start one"):
        list(segment(config))


def test_a_cluster_without_workers_is_said(
    cluster: Cluster, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.cluster._PATIENCE", 1)
    with pytest.raises(Problem, match="No worker has joined the cluster"):
        list(segment(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=cluster.address)))
