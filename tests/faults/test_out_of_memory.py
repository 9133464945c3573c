"""Too little memory at each of the first forward passes of the network: the same classes, to the byte.

Probabilities may differ by 1 of 255 where tiles are smaller: logits are equal within 1e-5, and rounded.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Bench, Forks, Tally, plainly
from job import OUT, make, state

SEAMS = f"{OUT}/seams.json"  # tells where tiles meet, which are others where tiles are smaller


@pytest.mark.slow
@pytest.mark.parametrize("gpu", [False, True])
def test_out_of_memory_at_each_forward(forks: Forks, tmp_path: Path, tally: Tally, gpu: bool) -> None:
    bench = Bench(make(tmp_path / "job", sections=11, probabilities=False), forks, gpu=gpu)
    assert bench.forwards >= 30
    for n in range(1, 31):
        with tally.tried(f"out of memory at forward 1 to 30{', as on a GPU' * gpu}") as row:
            answer = bench.segment(scarce=[n])
            assert (answer["code"], answer["err"]) == (0, ""), (n, answer)
            assert "There was not enough memory: going on in tiles of 256 pixels" in answer["out"]
            identical(bench)
            row["identical"] += 1
        bench.clear()


@pytest.mark.slow
def test_memory_that_stays_short(forks: Forks, tmp_path: Path, tally: Tally) -> None:
    bench = Bench(make(tmp_path / "job", sections=11, probabilities=False), forks)
    for n in range(1, 31):
        with tally.tried("out of memory from forward 1 to 30 on, for good") as row:
            answer = bench.segment(scarce=list(range(n, 1000)))
            assert plainly(answer), (n, answer)
            assert "There is not enough memory. Close other programs" in answer["err"]
            assert answer["forwards"] == n + 3  # three times smaller tiles, and no more
            row["refused"] += 1
            bench.goes_on(n)
            row["identical"] += 1
        bench.clear()


@pytest.mark.slow
def test_a_gpu_whose_memory_stays_short_gives_way(forks: Forks, tmp_path: Path, tally: Tally) -> None:
    bench = Bench(make(tmp_path / "job", sections=11, probabilities=False), forks, gpu=True)
    for n in range(1, 31):
        with tally.tried("out of memory four times from forward 1 to 30 on, as on a GPU: the processor goes on") as row:
            answer = bench.segment(scarce=list(range(n, n + 4)))
            assert (answer["code"], answer["err"]) == (0, ""), (n, answer)
            assert answer["out"].count("There was not enough memory: going on in tiles of") == 3
            assert "so the processor goes on in tiles of 64 pixels" in answer["out"]
            identical(bench)
            row["identical"] += 1
        bench.clear()


def identical(bench: Bench) -> None:
    """The result is that of the undisturbed job, but for where seams were looked for."""
    now = state(bench.job.root)
    differs = {name for name, _ in now.items() ^ bench.whole.items()} - {SEAMS}
    assert not differs, differs
