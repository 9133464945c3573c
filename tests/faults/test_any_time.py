"""The real command, killed at any time: `kill -9` of its process group, then the same command again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Tally
from job import ORDER, Job, ended, kept, make, state

from napari_unet.events import Started
from napari_unet.finished import finished_chunks
from napari_unet.log import LOG, read
from napari_unet.problem import Problem

COMMAND = [sys.executable, "-m", "napari_unet.cli"]
WAIT = 300  # seconds, at most, for anything
SECTIONS = 40
STARTING, WRITING = 10, 90  # kills drawn over the start of the command; from there to its end


def start(job: Job) -> subprocess.Popen[str]:
    """Start the command of a job in a process group of its own; what it leaves among temporary files is seen."""
    return subprocess.Popen(
        [*COMMAND, *job.command()], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "TMPDIR": str(job.root), "OMP_WAIT_POLICY": "PASSIVE"},
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait until it ends; return its exit status and its complaint."""
    complaint = process.communicate(timeout=WAIT)[1]
    return process.returncode, complaint


def under_way(job: Job, process: subprocess.Popen[str]) -> None:
    """Wait until the job says that it has started."""
    while not any(isinstance(event, Started) for event in read(job.out / LOG)[0]):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)


def measured(job: Job) -> tuple[float, float]:
    """Return how long the undisturbed command takes to start, and from there to its end, in seconds."""
    began = time.monotonic()
    process = start(job)
    under_way(job, process)
    started = time.monotonic()
    assert end(process) == (0, "")
    return started - began, time.monotonic() - started


def done(job: Job) -> tuple[int, int]:
    """Return how many chunks are there, listed or not, and how many are listed."""
    try:
        listed = finished_chunks(job.out)[0]
    except Problem:
        return 0, 0
    return len(list((job.out / "0" / "c").glob("*/*/[0-9]"))), listed


def clear(job: Job) -> None:
    """Remove the result."""
    shutil.rmtree(job.out, ignore_errors=True)
    assert {path.name for path in job.root.iterdir()} == {job.image, "model.safetensors"}


@pytest.mark.slow
def test_killed_at_any_time(tmp_path: Path, tally: Tally) -> None:
    job = make(tmp_path / "job", SECTIONS)
    to_start, to_end = measured(job)
    whole = state(job.root)
    draw = random.Random(0).random
    shares = [(False, draw()) for _ in range(STARTING)] + [(True, draw()) for _ in range(WRITING)]
    seen: list[int] = []
    while shares:
        after_start, share = shares.pop()
        clear(job)
        process = start(job)
        if after_start:
            under_way(job, process)
        time.sleep(share * (to_end if after_start else to_start))
        if process.poll() is not None:  # a less busy machine is faster
            shares.append((after_start, share))
            end(process)
            clear(job)
            to_start, to_end = measured(job)
            continue
        os.killpg(process.pid, signal.SIGKILL)
        ended_as = end(process)
        if ended_as == (0, ""):  # in between
            shares.append((after_start, share))
            continue
        with tally.tried("SIGKILL of the command at any time") as row:
            assert ended_as == (-signal.SIGKILL, "")
            at = done(job)
            if after_start and at[1] < 2 * SECTIONS:
                row["while chunks were being written"] += 1
                seen.append(at[0])
            there = kept(job.root)
            assert end(start(job)) == (0, ""), at
            assert {name for name, _ in state(job.root).items() ^ whole.items()} <= {ORDER}, at
            assert kept(job.root).items() >= there.items(), at
            assert ended(job.root), at
            row["identical"] += 1
            print(f"{share:.2f} of {'the job' if after_start else 'the start'}: {at[0]} chunks there, {at[1]} listed")
    print(f"start {to_start:.1f} s, then {to_end:.1f} s; chunks there while they were being written: {sorted(seen)}")
    row = tally.rows["SIGKILL of the command at any time"]
    assert row["tried"] == STARTING + WRITING
    assert row["while chunks were being written"] >= 80


@pytest.mark.slow
def test_two_at_once(tmp_path: Path, tally: Tally) -> None:
    job = make(tmp_path / "job", sections=6)
    measured(job)
    whole = state(job.root)
    clear(job)
    with tally.tried("two commands at once, real processes") as row:
        first, second = start(job), start(job)
        codes = sorted([end(first), end(second)])
        assert codes[0] == (0, "")
        assert codes[1][0] == 0 or codes[1] == (
            1, f"Error: Another job is writing {job.out}. Wait until it ends, or stop it.\n"
        )  # fmt: skip
        row["refused"] += codes[1][0]
        assert state(job.root) == whole
        row["identical"] += 1
