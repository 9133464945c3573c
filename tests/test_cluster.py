"""A real scheduler and two worker processes give the result of one process, whatever happens to a worker."""

from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import tifffile
from distributed import Client

from napari_unet import __version__
from napari_unet.config import SegmentConfig
from napari_unet.events import Event, Failed, Finished, Notice, Progress
from napari_unet.log import LOG, read
from napari_unet.problem import Problem
from napari_unet.samples import IMAGE
from napari_unet.seams import SEAMS
from napari_unet.segment import segment
from napari_unet.volume import open_volume

SMALL = "em-membrane-small"
SECONDS = 0.5  # that a block takes at least
SLOW = f"""
import time
from napari_unet.blockwise import Blockwise

def slowly(self, seen, compute=Blockwise.compute):
    time.sleep({SECONDS})
    return (yield from compute(self, seen))

Blockwise.compute = slowly
"""
BLIND = """
from napari_unet import clusterworker as here
here.Pyramids = lambda path, layout, real=here.Pyramids: real(path.with_name("elsewhere.zarr"), layout)
"""


DYING = """
import contextlib, os, signal, zarr.storage._local as local

@contextlib.contextmanager
def dies(*given, write=local._atomic_write, before=iter(range(2)), **more):
    with write(*given, **more) as file:
        yield file
        if next(before, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

local._atomic_write = dies
"""


class Cluster:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        self._folder, self._processes = folder, processes
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = self._said(self.scheduler, r"Scheduler at: +(tcp://\S+)")

    def worker(self, with_a_twist: str = "") -> subprocess.Popen[bytes]:
        """Start a worker, and wait until it has joined; `with_a_twist` is code that it runs first."""
        twist = self._folder / f"twist_{time.monotonic_ns()}.py"
        twist.write_text(with_a_twist)
        worker = self._start(
            "worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
            "--local-directory", str(self._folder), "--death-timeout", "30", "--preload", str(twist),
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
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as processes:
        yield Cluster(tmp_path_factory.mktemp("cluster"), processes)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a worker, for tests that leave both as they are."""
    with ExitStack() as processes:
        shared = Cluster(tmp_path_factory.mktemp("shared"), processes)
        shared.worker()
        yield shared


on_shared = pytest.mark.xdist_group("a cluster")  # in one process: to start another takes seconds


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small sections."""
    path = tmp_path_factory.mktemp("image") / "stack.tif"
    tissue = open_volume(IMAGE).section(0)
    tifffile.imwrite(path, np.stack([tissue[i : i + 60, :70] for i in range(12)]))
    return path


@pytest.fixture(scope="module")
def by_one_process(stack: Path) -> dict[str, bytes]:
    """What one process makes of the stack."""
    return alone(stack, stack.parent)


def files_of(path: Path) -> dict[str, bytes]:
    told = {"done.jsonl", "log.jsonl", "config.json", SEAMS}  # the order, the times, where it was computed
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file() and f.name not in told}


def alone(stack: Path, tmp_path: Path) -> dict[str, bytes]:
    """Return what one process makes of a stack."""
    list(segment(SegmentConfig(model=SMALL, image=stack, out=tmp_path / "alone.zarr", probabilities=True, threads=1)))
    return files_of(tmp_path / "alone.zarr")


def test_two_workers_give_the_same_result_and_one_killed_costs_its_chunk(
    cluster: Cluster, stack: Path, by_one_process: dict[str, bytes], tmp_path: Path
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
    assert files_of(config.out) == by_one_process


@pytest.mark.slow
def test_a_worker_that_dies_in_the_middle_of_a_file_leaves_nothing_of_it(
    cluster: Cluster, stack: Path, by_one_process: dict[str, bytes], tmp_path: Path
) -> None:
    first, _ = cluster.worker(DYING), cluster.worker()
    config = SegmentConfig(
        model=SMALL, image=stack, out=tmp_path / "out.zarr", probabilities=True, scheduler=cluster.address, threads=1
    )
    parts = set[Path]()
    told: list[Event] = []
    for event in segment(config):
        told.append(event)
        parts.update(config.out.rglob("*.partial"))
    assert isinstance(told[-1], Finished)
    assert first.wait(10) == -signal.SIGKILL
    assert parts
    assert files_of(config.out) == by_one_process


@pytest.mark.slow
@on_shared
def test_a_stopped_job_goes_on_on_the_cluster_or_without_it(
    shared: Cluster, stack: Path, by_one_process: dict[str, bytes], tmp_path: Path
) -> None:
    config = SegmentConfig(
        model=SMALL, image=stack, out=tmp_path / "out.zarr", probabilities=True, scheduler=shared.address, threads=1
    )
    done: list[Progress] = []
    for event in segment(config, lambda: len(done) >= 4):
        if isinstance(event, Progress):
            done.append(event)
    assert isinstance(event, Finished)
    assert event.stopped
    assert event.detail == f"{len(done)} of 12 chunks are kept"
    assert 4 <= len(done) <= 6  # what the worker had at hand may be done, too
    list(segment(config.model_copy(update={"scheduler": ""})))
    assert files_of(config.out) == by_one_process


@on_shared
def test_what_a_worker_cannot_do_is_said(
    shared: Cluster, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.clusterworker.__version__", "0.0.1")  # here, not there
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=shared.address)
    said = rf"On the worker tcp://\S+: There is napari-unet {__version__}, not 0.0.1. Install the same version."
    with pytest.raises(Problem, match=said) as problem:
        list(segment(config))
    assert read(config.out / LOG)[0][-1] == Failed(str(problem.value))


@pytest.mark.slow
def test_a_lost_scheduler_is_said_at_once(cluster: Cluster, stack: Path, tmp_path: Path) -> None:
    cluster.worker()
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=cluster.address)
    events = segment(config)
    assert any(isinstance(event, Progress) for event in events)  # the first
    cluster.scheduler.kill()
    began = time.monotonic()
    with pytest.raises(Problem, match=rf"scheduler at {cluster.address} was lost.* run the same command again: what"):
        list(events)
    assert time.monotonic() - began < 20  # dask itself tries for 30 s


@on_shared
def test_two_jobs_share_a_worker_and_leave_nothing_there(shared: Cluster, stack: Path, tmp_path: Path) -> None:
    pixels = tifffile.imread(stack)[:6]
    jobs = []
    for name, image in (("bright", pixels), ("dark", 255 - pixels)):
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
        config = SegmentConfig(model=SMALL, image=tmp_path / f"{name}.tif", out=tmp_path / f"{name}.zarr", threads=1)
        jobs.append(config.model_copy(update={"scheduler": shared.address, "probabilities": True}))
    assert all(map(all, zip_longest(*map(segment, jobs), fillvalue=True)))  # by turns
    for job in jobs:
        assert files_of(job.out) == alone(job.image, tmp_path)
        shutil.rmtree(tmp_path / "alone.zarr")
    with Client(shared.address, set_as_default=False) as client:
        kept = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
        (there,) = client.run(lambda dask_worker: list(dask_worker.plugins)).values()
    assert not [each for each in (*kept, *there) if "unet" in each]


@pytest.mark.slow
def test_whatever_ends_a_job_is_said_and_no_worker_writes_after_it(
    cluster: Cluster, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = cluster.worker(SLOW)
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=cluster.address, threads=1)
    told: list[Event] = []

    def went_on(then: Callable[[], object]) -> None:
        told.clear()
        for event in segment(config):
            told.append(event)
            if isinstance(event, Progress):
                then()

    for event in segment(config, lambda: any(isinstance(each, Progress) for each in told)):
        told.append(event)
    assert event == Finished(str(config.out), "2 of 12 chunks are kept", True)
    assert Notice("Waiting for 1 tile that the workers are computing.") in told
    assert len((config.out / "done.jsonl").read_text().splitlines()) == 2
    written = sorted((config.out / "0" / "c").glob("*/*/*"))
    time.sleep(2 * SECONDS)
    assert sorted((config.out / "0" / "c").glob("*/*/*")) == written
    assert len(written) == 2

    blind: list[subprocess.Popen[bytes]] = []
    with pytest.raises(Problem, match=rf"On the worker tcp://\S+: {config.out} cannot be opened. Give all the same"):
        went_on(lambda: blind or blind.append(cluster.worker(BLIND)))
    blind[0].kill()

    monkeypatch.setattr("napari_unet.cluster._LONG_PATIENCE", 1)
    with pytest.raises(Problem, match=r"No worker is left on the cluster. Start some .* what is finished is kept"):
        went_on(worker.kill)
    assert Notice("No worker is left on the cluster. Start some (dask worker ADDRESS) within 1 s.") in told


@on_shared
def test_all_workers_take_the_tile_of_the_result(
    shared: Cluster, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.segment.largest_tile", lambda *_: 64)  # they have room for all of a section
    *_, event = segment(
        SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=shared.address, threads=1)
    )
    assert isinstance(event, Finished)
    assert "no seam at 1 place where tiles meet" in event.detail


def test_a_complete_result_needs_no_cluster(stack: Path, tmp_path: Path) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", threads=1)
    list(segment(config))
    (config.out / SEAMS).unlink()
    *_, event = segment(config.model_copy(update={"scheduler": "tcp://127.0.0.1:9"}))
    assert isinstance(event, Finished)
    assert not event.stopped
    assert (config.out / SEAMS).exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tcp://127.0.0.1:port", "nope://x:8786", "tls://127.0.0.1:9"])
def test_no_cluster_is_said(stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("napari_unet.cluster._PATIENCE", 1)
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=address)
    with pytest.raises(Problem, match=rf"no dask scheduler at {address}. Start one") as problem:
        list(segment(config))
    clients = [each for each in gc.get_objects() if issubclass(type(each), Client)]
    assert {each.status for each in clients} <= {"closed"}  # else their deletion at exit shows a traceback
    del problem


def test_a_cluster_without_workers_is_said(
    cluster: Cluster, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SegmentConfig(model=SMALL, image=stack, out=tmp_path / "out.zarr", scheduler=cluster.address)
    asked = time.monotonic() + 1
    assert list(segment(config, lambda: time.monotonic() > asked))[-1] == Finished(
        str(config.out), "0 of 12 chunks are kept", True
    )
    monkeypatch.setattr("napari_unet.cluster._PATIENCE", 1)
    with pytest.raises(Problem, match="No worker has joined the cluster"):
        list(segment(config))
