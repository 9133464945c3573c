"""Every call that changes the disk, each killed or failing in a run of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Bench, Forks, Tally, plainly
from job import make

CALLS = {"create", "write", "fsync", "rename", "link", "truncate", "unlink"}
ALL, FEW = pytest.param(1, marks=pytest.mark.slow), 95  # every one; so far apart, in the tests of every day


def points(bench: Bench, every: int) -> list[Any]:
    """Return the calls of the undisturbed job; folders are made by several threads at once, never the same way."""
    return [point for point in bench.points if point[0] in CALLS][::every]


@pytest.mark.parametrize("every", [ALL, FEW])
def test_killed_at_each_call(bench: Bench, tally: Tally, every: int) -> None:
    for point in points(bench, every):
        for does in ["kill", "half"] if point[0] == "write" else ["kill"]:
            with tally.tried(f"SIGKILL at each {'write, half done' if does == 'half' else point[0]}") as row:
                answer = bench.segment(at=point, does=does)
                assert (answer["code"], answer["sprung"]) == (-9, True), (point, answer)
                bench.goes_on(point)
                row["identical"] += 1
            bench.clear()


@pytest.mark.parametrize(
    ("error", "for_good", "every"),
    [
        pytest.param("ENOSPC", True, 1, marks=pytest.mark.slow),
        pytest.param("EIO", False, 1, marks=pytest.mark.slow),
        pytest.param("ENOSPC", False, 4, marks=pytest.mark.slow),
        pytest.param("EIO", True, 4, marks=pytest.mark.slow),
        ("ENOSPC", True, FEW),
    ],
)
def test_an_error_at_each_call(
    forks: Forks, tmp_path: Path, tally: Tally, error: str, for_good: bool, every: int
) -> None:
    bench = Bench(make(tmp_path / "job", sections=1), forks, batch=1)
    for point in points(bench, every):
        with tally.tried(f"{error} at each call, {'from then on' if for_good else 'once'}") as row:
            answer = bench.segment(at=point, does=error, for_good=for_good)
            assert answer["sprung"], (point, answer)
            assert plainly(answer), (point, answer)
            row["refused"] += 1
            bench.goes_on(point, in_order=False)
            row["identical"] += 1
        bench.clear()


@pytest.mark.slow
def test_killed_again_while_it_goes_on(bench: Bench, tally: Tally) -> None:
    first = ("write", "out.zarr/2/c/1/0/0.*.partial", 1)  # a section is listed; of the next, files are there
    bench.segment(at=first, does="kill")
    again = bench.segment()["points"]
    bench.clear()
    unlinked = [point for point in again if point[0] in ("unlink", "truncate")]
    assert unlinked
    others = [point for point in again if point[0] in CALLS - {"unlink", "truncate"}]
    for point in unlinked + others[::5]:
        with tally.tried("SIGKILL, and again while it goes on") as row:
            assert bench.segment(at=first, does="kill")["code"] == -9
            answer = bench.segment(at=point, does="kill")
            assert (answer["code"], answer["sprung"]) == (-9, True), (point, answer)
            bench.goes_on(point)
            row["identical"] += 1
        bench.clear()
