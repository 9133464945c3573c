"""A real disk that fills: a small tmpfs as the result, mounted in a namespace of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Forks, Tally, plainly
from job import ORDER, make

ALONE = ["unshare", "--map-root-user", "--mount"]  # whoever may do that sees the mounts, nobody else
PAGE, TRIALS = 4096, 40


@pytest.fixture(scope="module")
def alone() -> Iterator[Forks]:
    if subprocess.run([*ALONE, "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True).returncode:
        pytest.fail("No tmpfs can be mounted here. Run this test as root, or allow user namespaces.")
    process = Forks(*ALONE)
    yield process
    process.end()


@pytest.mark.slow
def test_a_disk_that_fills(alone: Forks, tmp_path: Path, tally: Tally) -> None:
    job = make(tmp_path / "job", sections=2)
    job.out.mkdir()

    def mount(options: str) -> None:
        alone.ask(run=["mount", "-t", "tmpfs", "-o", options, "none", str(job.out)])

    mount("size=64m")
    assert alone.segment(job)["code"] == 0
    whole = alone.ask(state=str(job.root))
    used = int(alone.ask(run=["df", "--output=used", "-B1", str(job.out)])["out"].split()[-1])
    alone.ask(run=["umount", str(job.out)])
    sizes = [f"size={PAGE * max(1, used * i // TRIALS // PAGE)}" for i in range(TRIALS)]
    inodes = [f"nr_inodes={count},size=64m" for count in range(2, 100, 10)]
    for options in sizes + inodes:
        with tally.tried(f"a tmpfs that is full of {'bytes' if options.startswith('size') else 'files'}") as row:
            mount(options)
            answer = alone.segment(job)
            assert plainly(answer), (options, answer)
            assert "is full. Free some space" in answer["err"], answer
            row["refused"] += 1
            alone.ask(run=["mount", "-o", "remount,size=64m,nr_inodes=10000", str(job.out)])
            again = alone.segment(job)
            assert (again["code"], again["err"]) == (0, ""), (options, again)
            now = alone.ask(state=str(job.root))
            assert {name for name, _ in now.items() ^ whole.items()} <= {ORDER}, options
            row["identical"] += 1
        alone.ask(run=["umount", str(job.out)])
