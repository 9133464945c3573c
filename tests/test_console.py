"""Events in a terminal: sentences, or lines of JSON."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from napari_unet import console
from napari_unet.console import print_events
from napari_unet.events import (
    Compared,
    Event,
    Failed,
    Finding,
    Finished,
    Loss,
    Notice,
    Progress,
    Score,
    Started,
    Suggested,
    from_json,
)
from napari_unet.problem import Problem

TRAINING = [
    Started("train", "the processor", "1 labels layer(s)"),
    Notice("2 painted sections."),
    Progress(0, 3000, "step", None),
    Loss(1200, 0.34567),
    Score(1200, 0.81234, 0.8261, True),
    Progress(1200, 3000, "step", 72.2),
    Finished("run/model.safetensors", "3,000 of 3,000 steps"),
]


def pretend_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_sentences_without_a_terminal(capsys):
    assert print_events(TRAINING, as_json=False) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "train: 1 labels layer(s), on the processor",
        "2 painted sections.",
        "3,000 of 3,000 steps",
        "run/model.safetensors",
    ]
    assert err == ""


def test_a_finding_is_a_sentence_with_its_voxel(capsys):
    print_events([Finding("strays", "Section 3: a dot.", 0, 3, 40, 50)], as_json=False)
    assert capsys.readouterr().out == "Section 3: a dot. [3, 40, 50]\n"


def test_a_place_to_paint_is_a_sentence(capsys):
    print_events([Suggested(3, 7, 128, 256, 0, 120, "This looks unlike the rest.")], as_json=False)
    expected = "3. Section 7, rows 128 to 255, columns 0 to 119. This looks unlike the rest.\n"
    assert capsys.readouterr().out == expected


def test_without_a_terminal_there_is_a_line_of_progress_every_half_minute(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 29.9, 30.5, 30.5, 60.0, 61.0, 61.0])
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    print_events([Progress(done, 9, "step", 72.2) for done in range(1, 6)], as_json=False)
    out, err = capsys.readouterr()
    assert err.splitlines() == ["step 3 of 9, 1 min 12 s left", "step 5 of 9, 1 min 12 s left"]
    assert out == ""


def test_a_terminal_shows_progress_in_one_line(capsys, monkeypatch):
    pretend_terminal(monkeypatch)
    assert print_events(TRAINING, as_json=False) == 0
    _, err = capsys.readouterr()
    assert err.endswith("\n")
    first, last = err[:-1].removeprefix("\r").split("\r")
    assert first == "step 0 of 3,000"
    assert last == "step 1,200 of 3,000, 1 min 12 s left, loss 0.346, IoU 0.812, kept 0.826"


def test_a_shorter_line_wipes_out_the_longer_one(capsys, monkeypatch):
    pretend_terminal(monkeypatch)
    print_events([Progress(1, 2, "step", 5000), Progress(2, 2, "step", None)], as_json=False)
    long, short = capsys.readouterr().err.removeprefix("\r").removesuffix("\n").split("\r")
    assert len(short) == len(long)
    assert short.rstrip() == "step 2 of 2"


def test_a_score_that_cannot_be_trusted_is_not_shown(capsys, monkeypatch):
    pretend_terminal(monkeypatch)
    print_events([Score(1, 0.5, 0.6, False), Progress(1, 2, "step", None)], as_json=False)
    assert "IoU" not in capsys.readouterr().err


def test_a_training_that_made_it_worse_is_told(capsys):
    print_events([Compared(0.9, 0.8, 1000, earlier=True)], as_json=False)
    assert capsys.readouterr().out == "Worse on what you painted before: IoU 0.80, was 0.90, on 1,000 pixels.\n"


def test_a_failure_is_told(capsys):
    print_events([Failed("The disk is full. Free some space.")], as_json=False)
    assert capsys.readouterr().out == "The disk is full. Free some space.\n"


def test_json_is_one_event_a_line(capsys):
    assert print_events(TRAINING, as_json=True) == 0
    out, err = capsys.readouterr()
    assert [from_json(line) for line in out.splitlines()] == TRAINING
    assert err == ""


def test_a_problem_is_the_last_line_of_json(capsys):
    def job() -> Iterator[Event]:
        yield TRAINING[0]
        raise Problem("The disk is full.")

    with pytest.raises(Problem):
        print_events(job(), as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert [from_json(line) for line in lines] == [TRAINING[0], Failed("The disk is full.")]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("events", "code"), [([Finished("a", "b")], 0), ([Finished("a", "b", True)], 1), ([], 0)])
def test_the_exit_code_says_whether_it_came_to_its_end(events, code, as_json):
    assert print_events([Started("train", "a", "b"), *events], as_json) == code


def test_events_are_shown_as_they_come(capsys):
    def job() -> Iterator[Event]:
        yield Notice("one")
        assert capsys.readouterr().out == "one\n"
        yield Notice("two")

    print_events(job(), as_json=False)
    assert capsys.readouterr().out == "two\n"


def test_a_problem_begins_a_line_of_its_own(capsys, monkeypatch):
    pretend_terminal(monkeypatch)

    def job() -> Iterator[Event]:
        yield Progress(1, 2, "step", None)
        raise Problem("The disk is full.")

    with pytest.raises(Problem):
        print_events(job(), as_json=False)
    assert capsys.readouterr().err == "\rstep 1 of 2\n"
