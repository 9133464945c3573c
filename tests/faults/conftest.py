"""What the tests under faults share: a process that forks, and how a disturbed job is judged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from job import ORDER, Job, ended, kept, make, state

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]

SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # no thread before a fork


class Forks:
    """A process with torch loaded that runs the command line in forks; see `server.py`.

    Root is no hero here: permissions hold for it, as for anybody.
    """

    def __init__(self, *before: str) -> None:
        self._process = subprocess.Popen(
            [*before, sys.executable, str(Path(__file__).with_name("server.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **SINGLE},
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request, wait for its answer."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return json.loads(line)

    def segment(self, job: Job, **more: Any) -> dict[str, Any]:
        """Run the command of a job."""
        return self.ask(command=job.command(), root=str(job.root), **more)

    def end(self) -> None:
        """Let it end."""
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def humble() -> list[str]:
    """Return what to put before a command so that permissions hold for root, too."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    process = Forks(*humble())
    yield process
    process.end()


class Tally:
    """How often which fault was tried, and what came of it; told at the end of the tests."""

    def __init__(self) -> None:
        self.rows: dict[str, Counter[str]] = {}
        self.losses: list[str] = []

    @contextmanager
    def tried(self, fault: str) -> Iterator[Counter[str]]:
        """Count one trial of a fault; an error in it is a loss, and the next one is tried."""
        row = self.rows.setdefault(fault, Counter())
        row["tried"] += 1
        try:
            yield row
        except Exception as loss:
            row["lost"] += 1
            self.losses.append(f"{fault}: {loss!r}")

    def end(self) -> None:
        """Fail if anything was lost."""
        losses, self.losses = self.losses, []
        assert not losses, "\n".join(losses[:5])


TALLY = Tally()


@pytest.fixture
def tally() -> Iterator[Tally]:
    yield TALLY
    TALLY.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests in one process: they share the one that forks."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("faults"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was tried."""
    columns = ["tried", "identical", "refused", "lost"]
    if TALLY.rows:
        terminalreporter.section("faults: " + ", ".join(columns))
    for fault, row in TALLY.rows.items():
        extra = {name: count for name, count in row.items() if name not in columns}
        terminalreporter.line(f"{fault}: {', '.join(str(row[name]) for name in columns)} {extra or ''}")


class Bench:
    """A job, what it leaves undisturbed, and how often it was disturbed."""

    def __init__(self, job: Job, forks: Forks, **how: Any) -> None:
        self.job, self.forks = job, forks
        self.before = state(job.root)
        self.how = how
        whole = self.segment()
        assert (whole["code"], whole["err"]) == (0, ""), whole
        self.whole, self.points = state(job.root), [tuple(point) for point in whole["points"]]
        self.forwards = whole["forwards"]
        self.clear()

    def segment(self, **more: Any) -> dict[str, Any]:
        """Run the command, disturbed or not."""
        return self.forks.segment(self.job, **self.how | more)

    def clear(self) -> None:
        """Remove the result."""
        shutil.rmtree(self.job.out, ignore_errors=True)
        assert state(self.job.root) == self.before

    def goes_on(self, what: object, in_order: bool = True, **more: Any) -> None:
        """Run the command undisturbed; the result is that of the undisturbed job, and what was listed is kept.

        Where one chunk could not be written and the next could, the list of them is in another order.
        """
        there = kept(self.job.root)
        again = self.segment(**more)
        assert (again["code"], again["err"]) == (0, ""), (what, again)
        now = state(self.job.root)
        differs = {name for name, _ in now.items() ^ self.whole.items()} - (set() if in_order else {ORDER})
        assert not differs, (what, sorted(differs))
        assert kept(self.job.root).items() >= there.items(), what
        assert ended(self.job.root), what


@pytest.fixture
def bench(forks: Forks, tmp_path: Path) -> Bench:
    return Bench(make(tmp_path / "job", sections=2), forks)


def plainly(answer: dict[str, Any]) -> bool:
    """Tell whether a command was refused in one plain sentence or two, without a traceback."""
    return answer["code"] == 1 and answer["err"].count("\n") == 1 and answer["err"].startswith("Error: ")
