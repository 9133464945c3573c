"""The output folder: claimed by two, deleted, moved, made read-only, or holding what is not ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zarr
from conftest import Bench, Tally, plainly
from test_each_call import points

BUSY = "Another job is writing"


@pytest.mark.parametrize("trials", [pytest.param(50, marks=pytest.mark.slow), 1])
def test_two_jobs_at_once(bench: Bench, tally: Tally, trials: int) -> None:
    rival = {"command": bench.job.command(), "root": str(bench.job.root)}
    for _ in range(trials):
        with tally.tried("two jobs at once, forked at the same moment") as row:
            first = bench.segment(beside=[rival])
            both = sorted([first, *first["beside"]], key=lambda answer: answer["code"])
            assert (both[0]["code"], both[0]["err"]) == (0, ""), both
            if both[1]["code"]:
                assert plainly(both[1]), both
                assert BUSY in both[1]["err"], both
                row["refused"] += 1
            bench.goes_on("two")
            row["identical"] += 1
        bench.clear()


@pytest.mark.parametrize(
    ("does", "every"),
    [
        pytest.param("remove", 5, marks=pytest.mark.slow),
        pytest.param("move", 5, marks=pytest.mark.slow),
        ("remove", 200),
    ],
)
def test_the_folder_is_removed_meanwhile(bench: Bench, tally: Tally, does: str, every: int) -> None:
    for point in points(bench, every):
        with tally.tried(f"the output folder is {does.removesuffix('e')}ed meanwhile") as row:
            answer = bench.segment(at=point, does=does)
            assert answer["sprung"], (point, answer)
            assert plainly(answer) or (answer["code"] == 0 and point == bench.points[-1]), (point, answer)
            row["refused"] += answer["code"]
            if bench.job.out.exists():  # a chunk was on its way to the disk, or what is being written cannot be deleted
                again = bench.segment()
                if again["code"]:
                    assert plainly(again), (point, again)
                    words = ["no segmentation made by napari-unet", "is damaged"]
                    assert any(each in again["err"] for each in words), (point, again)
                    row["refused again, until what is left is deleted"] += 1
                    subprocess.run(["rm", "-rf", bench.job.out], check=True)
            aside = bench.job.root / "aside.zarr"
            if bench.job.out.exists():
                row["made anew by the same command"] += 1
                subprocess.run(["rm", "-rf", aside], check=True)
            elif aside.exists():
                aside.rename(bench.job.out)
            bench.goes_on(point, in_order=False)
            row["identical"] += 1
        subprocess.run(["rm", "-rf", bench.job.root / "aside.zarr"], check=True)
        bench.clear()


@pytest.mark.parametrize("every", [pytest.param(5, marks=pytest.mark.slow), 200])
def test_the_folder_becomes_read_only_meanwhile(bench: Bench, tally: Tally, every: int) -> None:
    for point in points(bench, every):
        with tally.tried("the output folder becomes read-only meanwhile") as row:
            answer = bench.segment(at=point, does="protect")
            assert answer["sprung"], (point, answer)
            assert plainly(answer) or (answer["code"] == 0 and point == bench.points[-1]), (point, answer)
            assert "cannot be written" in answer["err"] or not answer["code"]
            row["refused"] += answer["code"]
            writable(bench.job.out)
            bench.goes_on(point, in_order=False)
            row["identical"] += 1
        bench.clear()


@pytest.mark.slow
def test_a_folder_that_is_read_only(bench: Bench, tally: Tally) -> None:
    bench.segment(at=("write", "out.zarr/2/c/1/0/0.*.partial", 1), does="kill")
    for what in (bench.job.out, bench.job.root):
        with tally.tried("the output folder is read-only from the start") as row:
            for folder in (what, *what.rglob("*")):
                folder.chmod(0o555 if folder.is_dir() else 0o444)
            if what == bench.job.root:
                what.chmod(0o755)
                subprocess.run(["rm", "-rf", bench.job.out], check=True)
                what.chmod(0o555)
            answer = bench.segment()
            writable(bench.job.root)
            assert plainly(answer), answer
            assert "cannot be written (Permission denied)" in answer["err"]
            row["refused"] += 1
            bench.goes_on(what)
            row["identical"] += 1
    bench.clear()


def foreign_group(path: Path) -> None:
    zarr.create_array(path / "0", shape=(2,), dtype="uint8")
    zarr.create_group(path, attributes={"ome": {"version": "0.5"}})


def foreign_array(path: Path) -> None:
    zarr.create_array(path, shape=(2, 2), dtype="uint8")[:] = 1


def foreign_folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("months of work")


def foreign_file(path: Path) -> None:
    path.write_text("months of work")


@pytest.mark.slow
@pytest.mark.parametrize("make", [foreign_group, foreign_array, foreign_folder, foreign_file])
def test_what_is_not_ours_is_refused_and_not_touched(bench: Bench, tally: Tally, make: Callable[[Path], None]) -> None:
    make(bench.job.out)
    before = traces(bench.job.root)
    with tally.tried("the output holds something foreign") as row:
        answer = bench.segment()
        assert plainly(answer), answer
        assert "is no segmentation made by napari-unet. Choose another output name." in answer["err"]
        row["refused"] += 1
        assert traces(bench.job.root) == before
        row["identical"] += 1


def traces(root: Path) -> dict[Path, tuple[int, int, int]]:
    """Return what a change of any file below would change."""
    found = {path: path.stat() for path in (root, *root.rglob("*"))}
    return {path: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}


def writable(root: Path) -> None:
    """Give back what was taken."""
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            Path(folder, name).chmod(0o644)
