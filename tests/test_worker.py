"""One job in a process of its own: what is asked on standard input, what is said on standard output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tifffile
import torch

from napari_unet import worker
from napari_unet.alone import ALONE, alone_in, end_alone
from napari_unet.config import SuggestJob, TrainConfig
from napari_unet.disk import lock
from napari_unet.events import (
    Event,
    Failed,
    Finished,
    Loss,
    Notice,
    Previewed,
    Progress,
    Ready,
    Started,
    Suggested,
    from_json,
)
from napari_unet.log import ERROR, LOG, read
from napari_unet.loop import CHECKPOINT
from napari_unet.model import load
from napari_unet.preview import load_preview
from napari_unet.requests import Begin, KeepGoing, Look, Preview, Request, Stop, to_json
from napari_unet.runs import LOCK
from napari_unet.samples import IMAGE, STROKES
from napari_unet.train import train

ENDLESS = 100_000  # steps


class Child:
    """A worker process that was started, and is ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.ready = from_json(self.listen())

    def listen(self) -> str:
        return self.process.stdout.readline().rstrip("\n")

    def ask(self, *requests: Request | str) -> None:
        for request in requests:
            self.process.stdin.write((request if isinstance(request, str) else to_json(request)) + "\n")
        self.process.stdin.flush()

    def end_of_input(self) -> None:
        self.process.stdin.close()

    def wait_for(self, log: Path, kind: type[Event], after: int = 0) -> Event:
        """Return the first event of a kind in the log, from event number `after` on."""
        while True:
            for event in read(log)[0][after:]:
                if isinstance(event, kind):
                    return event
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)

    def end(self) -> tuple[int, list[Event]]:
        """Wait until the process is gone; return its code and what it said on the way, but for the doorbell."""
        said = [from_json(line) for line in self.process.stdout.read().split("\n") if line]
        assert self.process.stderr.read() == ""
        return self.process.wait(), said


@contextmanager
def child(*preferred: str) -> Iterator[Child]:
    command = [sys.executable, "-m", "napari_unet.worker", *preferred]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, **pipes, text=True) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


MISSING = "cuda" if torch.backends.mps.is_available() else "mps"


@pytest.mark.parametrize(
    ("preferred", "device"),
    [({"device": "cpu", "precision": "bfloat16"}, "processor, .*, bfloat16"), ({"device": MISSING}, "")],
)
def test_it_is_ready_for_what_is_preferred(preferred: dict[str, str], device: str) -> None:
    with child(json.dumps(preferred)) as waiting:
        waiting.end_of_input()
        assert waiting.end() == (0, [])
    assert isinstance(waiting.ready, Ready)
    assert re.fullmatch(device, waiting.ready.device)
    assert bool(device) or "Choose another device" in waiting.ready.advice


def training(out: Path, steps: int, **changes: object) -> dict[str, Any]:
    """The fields of a training of the bundled model on the bundled sample, as JSON has them."""
    fields = {"inputs": [IMAGE, STROKES], "out": out, "steps": steps, "crop": 16, "batch": 1, "threads": 1}
    fields |= {"precision": "float32", "start_from": "em-membrane-small"}
    return TrainConfig.model_validate(fields | changes).model_dump(mode="json")


# ---- a process


def test_where_to_paint_next_is_told_in_the_log(tmp_path: Path) -> None:
    image, out = tmp_path / "image.tif", tmp_path / "places"
    tifffile.imwrite(image, tifffile.imread(IMAGE)[:1, :64, :64])
    fields = {"image": image, "model": "em-membrane-small", "threads": 1, "out": out}
    with child() as asked:
        asked.ask(Begin("suggest", SuggestJob.model_validate(fields).model_dump(mode="json")))
        code, said = asked.end()
    assert (code, said) == (0, [])
    started, progress, place, finished = read(out / LOG)[0]
    assert isinstance(started, Started)
    assert isinstance(progress, Progress)
    assert isinstance(place, Suggested)
    assert (place.rank, place.z, place.y0, place.y1, place.x0, place.x1) == (1, 0, 0, 64, 0, 64)
    assert isinstance(finished, Finished)


@pytest.mark.slow
def test_previews_are_shown_while_it_trains_and_stop_ends_it_in_good_order(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with child() as asked:
        assert isinstance(asked.ready, Ready)
        assert "threads" in asked.ready.device
        asked.ask(Begin("train", training(run, ENDLESS)))
        asked.wait_for(run / LOG, Loss)
        asked.ask(Preview(3, 200, 999, -7, 40))
        shown = asked.wait_for(run / LOG, Previewed)
        assert shown.step > 0
        preview = load_preview(Path(shown.path))
        assert (preview.z, preview.y, preview.x) == (3, 200, 0)
        assert preview.classes.shape == (50, 40)
        assert set(preview.classes.flat) == {1, 2}
        seen = len(read(run / LOG)[0])
        asked.ask(Preview(24, 0, 9, 0, 9), Preview(0, 9, 9, 0, 9), "no request", '{"request": "preview", "z": "a"}')
        asked.wait_for(run / LOG, Loss, after=seen)
        asked.ask(Stop())
        code, said = asked.end()
    assert code == 0
    assert [type(event) for event in said] == [Notice, Notice]
    assert all(event.text.startswith("A request was passed over: ") for event in said)
    events = read(run / LOG)[0]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert events[-1].stopped
    assert len([event for event in events if isinstance(event, Previewed)]) == 1
    assert (run / CHECKPOINT).exists()


@pytest.mark.slow
def test_a_kill_costs_nothing_and_the_end_of_input_stops_in_good_order(tmp_path: Path) -> None:
    run, steps = tmp_path / "run", 12
    with child() as killed:
        killed.ask(Begin("train", training(run, steps)))
        killed.wait_for(run / LOG, Loss)
        killed.process.kill()
    before = len(read(run / LOG)[0])
    with child() as left:
        left.ask(Begin("train", training(run, steps)))
        left.wait_for(run / LOG, Loss, after=before)
        left.end_of_input()
        assert left.end() == (0, [])
    last = read(run / LOG)[0][-1]
    assert isinstance(last, Finished)
    assert last.stopped
    for folder in (run, tmp_path / "whole"):
        *_, last = train(TrainConfig(**training(folder, steps)))
        assert isinstance(last, Finished)
        assert not last.stopped
    weights = [load(str(folder)).net.state_dict() for folder in (run, tmp_path / "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_a_job_whose_window_is_gone_is_stopped_by_deleting_a_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with child() as left:
        left.ask(Begin("train", training(run, ENDLESS)), KeepGoing())
        left.end_of_input()
        left.wait_for(run / LOG, Loss)
        until = time.monotonic() + 10
        while not (run / ALONE).exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        assert alone_in(tmp_path, LOCK) == [run]
        end_alone(run)
        assert left.end() == (0, [])
    assert read(run / LOG)[0][-1].stopped
    (run / ALONE).write_text(str(left.process.pid))  # left by a kill
    assert alone_in(tmp_path, LOCK) == []
    with lock(run / LOCK):  # of another job, which knows nothing of that file
        assert alone_in(tmp_path, LOCK) == []
        (run / ALONE).write_text(str(os.getpid()))
        assert alone_in(tmp_path, LOCK) == [run]


# ---- the same without a process, which takes seconds to start


@pytest.fixture
def doing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[Any]]:
    """Ask a worker all this at once; return its code, and what it says after it is ready."""
    asked = tmp_path_factory.mktemp("asked") / "requests.jsonl"

    def do(*requests: Request | bytes) -> list[Any]:
        lines = [line if isinstance(line, bytes) else to_json(line).encode() for line in requests]
        asked.write_bytes(b"".join(line + b"\n" for line in lines))
        with asked.open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            code = worker.main()
            for thread in threading.enumerate():
                if thread.name == "requests":
                    thread.join()
        ready, *said = [from_json(line) for line in capsys.readouterr().out.split("\n") if line]
        assert isinstance(ready, Ready)
        return [code, *said]

    return do


@pytest.mark.parametrize("noise", [b"", b"hello", b"\xff\xfe", b"[" * 100_000, b'{"request": "begin", "verb": 1}'])
def test_a_line_that_is_no_request_is_passed_over(
    doing: Callable[..., list[Any]], tmp_path: Path, noise: bytes
) -> None:
    code, said = doing(noise, KeepGoing(), Begin("examples", training(tmp_path / "out", 1)))
    assert code == 0
    assert isinstance(said, Notice)
    assert isinstance(read(tmp_path / "out" / LOG)[0][-1], Finished)


def test_a_spare_that_nobody_needs_ends(doing: Callable[..., list[Any]]) -> None:
    assert doing() == [0]


def test_the_end_of_input_stops_a_training_unless_it_was_told_to_keep_going(
    doing: Callable[..., list[Any]], tmp_path: Path
) -> None:
    begin = Begin("train", training(tmp_path / "run", 2))
    for requests, stopped in (([begin], True), ([begin, KeepGoing()], False)):
        assert doing(*requests) == [0]
        last = read(tmp_path / "run" / LOG)[0][-1]
        assert isinstance(last, Finished)
        assert last.stopped == stopped
        assert not (tmp_path / "run" / ALONE).exists()


def test_a_segmentation_is_logged_beside_its_result_and_goes_on_there(
    doing: Callable[..., list[Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out.zarr"
    config = {"image": str(IMAGE), "out": str(out), "region": "0:2,0:30,0:30", "threads": 1}
    assert doing(Begin("segment", config)) == [0]  # the end of input stops it before its first chunk
    first = read(out / LOG)[0]
    assert first[-1].stopped
    assert doing(KeepGoing(), Begin("segment", config)) == [0]
    events = read(out / LOG)[0]
    assert events[: len(first)] == first
    assert events[-1] == Finished(str(out), "2 sections segmented; not checked for seams: each section is one tile")


def test_a_job_that_cannot_begin_says_so(doing: Callable[..., list[Any]], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    code, failed = doing(Begin("train", training(tmp_path, 6)))
    assert (code, type(failed)) == (1, Failed)
    assert "already exists and is no run" in failed.text
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_problem_is_said_and_logged(doing: Callable[..., list[Any]], tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, failed = doing(Begin("train", training(run, 6, inputs=[IMAGE, tmp_path / "gone.tif"])))
    assert (code, type(failed)) == (1, Failed)
    assert "gone.tif" in failed.text
    assert read(run / LOG)[0][-1] == failed
    assert not (run / ERROR).exists()


@pytest.mark.parametrize(
    ("verb", "more", "words"), [("paint", {}, "KeyError"), ("train", {"mood": 1}, "ValidationError")]
)
def test_what_should_not_happen_is_a_sentence_with_details_beside_it(
    doing: Callable[..., list[Any]], tmp_path: Path, verb: str, more: dict[str, Any], words: str
) -> None:
    run = tmp_path / "run"
    begin = Begin(verb, training(run, 6) | more)
    code, failed = doing(begin)
    assert (code, type(failed)) == (1, Failed)
    assert failed.text.startswith(f"Something went wrong that should not ({words}: ")
    assert failed.text.endswith("What is finished is kept.")
    assert not run.exists()
    run.mkdir()
    (run / LOG).touch()
    _, failed = doing(begin)
    assert failed.text.endswith(f"Details for a report are in {run / ERROR}.")
    assert "Traceback" in (run / ERROR).read_text()
    assert read(run / LOG)[0] == [failed]
    # It stands in the way of no later training.
    assert doing(Begin("train", training(run, 1))) == [0]


def test_a_check_is_logged_and_stops_when_asked(doing: Callable[..., list[Any]], tmp_path: Path) -> None:
    fields = {"inputs": [str(IMAGE), str(STROKES)], "out": str(tmp_path / "check"), "start_from": "em-membrane-small"}
    assert doing(KeepGoing(), Begin("check", fields | {"threads": 1})) == [0]
    events = read(tmp_path / "check" / LOG)[0]
    assert (type(events[0]), type(events[-1]), events[-1].stopped) == (Started, Finished, False)
    assert doing(Stop(), Begin("check", fields | {"threads": 1})) == [0]
    assert read(tmp_path / "check" / LOG)[0][-1].stopped


def test_a_job_without_a_folder_is_refused(doing: Callable[..., list[Any]]) -> None:
    for config in ({}, {"out": 3}):
        code, failed = doing(Begin("train", config))
        assert (code, type(failed)) == (1, Failed)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_what_should_not_happen_is_said_on_a_full_disk_too(doing: Callable[..., list[Any]], tmp_path: Path) -> None:
    for name in (LOG, f"{ERROR}.partial"):
        (tmp_path / name).symlink_to("/dev/full")
    code, failed = doing(Begin("paint", {"out": str(tmp_path)}))
    assert (code, type(failed)) == (1, Failed)
    assert json.dumps(failed.text).startswith('"Something went wrong')


def test_of_several_previews_only_the_latest_counts_and_only_once() -> None:
    inbox = worker.Inbox()
    assert inbox.asked() is None
    for z in range(3):
        inbox._take(Preview(z, 0, 1, 0, 1))
    assert inbox.asked() == Preview(2, 0, 1, 0, 1)
    assert inbox.asked() is None


def test_a_segmentation_is_told_what_was_looked_at_last() -> None:
    inbox = worker.Inbox()
    assert inbox.looked_at() is None
    for z in (1, 2):
        inbox._take(Look(z, 10, 20))
    assert inbox.looked_at() == inbox.looked_at() == Look(2, 10, 20)
