"""The log of a job: every event in it before it is passed on, and read by whoever watches, whatever a kill left."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.events import Event, Failed, Finished, Loss, Notice, Started, to_json
from napari_unet.log import LOG, append, last, read, record
from napari_unet.problem import Problem

STARTED, DONE = Started("train", "processor", "1 painted layer"), Finished("run/model.safetensors", "300 of 300 steps")
LINES = [to_json(event) + "\n" for event in (STARTED, Notice("naïve 膜"), Loss(5, 1.0), DONE)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / LOG


# ---- writing


def test_events_pass_through_and_are_logged_with_their_time(log: Path) -> None:
    events = [STARTED, Notice("naïve 膜"), DONE]
    assert list(record(log, events)) == events
    assert read(log)[0] == events
    times = [json.loads(line)["time"] for line in log.read_text().splitlines()]
    assert times == sorted(times)
    assert times[0] > 1.7e9


def test_an_event_is_in_the_log_before_it_is_passed_on(log: Path) -> None:
    for number, event in enumerate(record(log, [Loss(5, 1.0), Loss(10, 0.5)]), start=1):
        assert len(read(log)[0]) == number
        assert read(log)[0][-1] == event


def test_a_problem_is_logged_and_raised(log: Path) -> None:
    def events() -> Iterator[Event]:
        yield Loss(5, 1.0)
        raise Problem("The labels are gone. Bring them back.")

    with pytest.raises(Problem, match="The labels are gone"):
        list(record(log, events()))
    assert read(log)[0] == [Loss(5, 1.0), Failed("The labels are gone. Bring them back.")]


def test_a_problem_is_raised_although_it_cannot_be_logged(log: Path) -> None:
    def events() -> Iterator[Event]:
        yield Loss(5, 1.0)
        log.unlink()
        log.mkdir()
        raise Problem("The disk is full; 3 of 8 chunks are kept.")

    with pytest.raises(Problem, match="3 of 8 chunks are kept"):
        list(record(log, events()))


@pytest.mark.parametrize("replaced", [True, False])
def test_nothing_is_written_where_another_folder_takes_the_place(tmp_path: Path, replaced: bool) -> None:
    folder = tmp_path / "run"
    folder.mkdir()

    def events() -> Iterator[Event]:
        yield Loss(5, 1.0)
        shutil.rmtree(folder)
        if replaced:
            folder.mkdir()
            (folder / "mine.txt").touch()
        yield Loss(10, 0.5)

    with pytest.raises(Problem, match=r"run was moved or deleted while it was written\. Delete what is left there"):
        list(record(folder / LOG, events()))
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "mine.txt"] * replaced


def test_a_second_job_appends(log: Path) -> None:
    list(record(log, [Loss(5, 1.0)]))
    list(record(log, [Loss(10, 0.5)]))
    append(log, DONE)
    assert read(log)[0] == [Loss(5, 1.0), Loss(10, 0.5), DONE]


@pytest.mark.parametrize("torn", [b'{"time": 1.5, "event": "lo', b"\xff\xfe\x80", bytes(64), b"{"])
def test_what_a_kill_left_of_a_line_hides_no_event(log: Path, torn: bytes) -> None:
    list(record(log, [DONE]))
    with log.open("ab") as file:
        file.write(torn)
    assert read(log)[0] == [DONE]
    list(record(log, [STARTED, Loss(5, 1.0)]))
    assert log.read_bytes().splitlines()[1] == torn
    assert read(log)[0] == [DONE, STARTED, Loss(5, 1.0)]


def test_a_log_of_one_torn_byte_hides_no_event(log: Path) -> None:
    log.write_bytes(b"{")
    list(record(log, [DONE]))
    assert read(log)[0] == [DONE]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_log_on_a_full_disk_is_a_problem(log: Path) -> None:
    log.symlink_to("/dev/full")
    with pytest.raises(Problem, match=r"The disk that holds .* is full"):
        list(record(log, [Loss(5, 1.0)]))
    with pytest.raises(Problem, match=r"The disk that holds .* is full"):
        append(log, Loss(5, 1.0))


def test_a_log_in_a_folder_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="cannot be written"):
        list(record(tmp_path / "gone" / LOG, [Loss(5, 1.0)]))


# ---- reading


def test_a_log_that_is_not_there_yet_is_empty(log: Path) -> None:
    assert read(log) == ([], 0)


def test_a_log_that_the_disk_does_not_give_is_empty(log: Path) -> None:
    log.mkdir()
    assert read(log, 7) == ([], 7)


@given(cuts=st.lists(st.integers(0, len("".join(LINES).encode())), max_size=6).map(sorted))
def test_a_growing_log_is_read_as_if_at_once(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """Whoever reads on where the last reading ended meets each event once, wherever the writing is."""
    log = tmp_path_factory.getbasetemp() / "growing.jsonl"
    whole = "".join(LINES).encode()
    found: list[Event] = []
    start = 0
    for cut in [*cuts, len(whole)]:
        log.write_bytes(whole[:cut])
        events, start = read(log, start)
        assert start <= cut
        found += events
    assert start == len(whole)
    assert found == [STARTED, Notice("naïve 膜"), Loss(5, 1.0), DONE]


@given(st.binary(max_size=200))
def test_lines_that_are_no_events_are_passed_over(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    log = tmp_path_factory.getbasetemp() / "noisy.jsonl"
    before = LINES[0].encode() + noise + b"\n"
    log.write_bytes(before + LINES[-1].encode())
    events, end = read(log)
    assert [events[0], events[-1]] == [STARTED, DONE]
    assert end == log.stat().st_size
    assert read(log, len(before)) == ([DONE], end)


def test_the_last_event_of_a_long_log_is_found(log: Path) -> None:
    assert last(log) is None
    for event in (*[Notice("a")] * 2000, DONE):
        append(log, event)
    assert last(log) == DONE
    with log.open("a") as torn:
        torn.write('{"event": "Not')
    assert last(log) == DONE
