"""Run folders: begun once, resumed with the same settings only, one job at a time, nothing lost by a kill."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_unet.config import TrainConfig
from napari_unet.events import Event, Finished, Loss
from napari_unet.holdout import Strip
from napari_unet.kept import PAINTED
from napari_unet.log import ERROR, LOG, read
from napari_unet.problem import Problem
from napari_unet.runs import CONFIG, INPUTS, LOCK, STEPS, Run, open_run

USED = {"steps": 300, "threads": 2, "device": "cpu", "precision": "float32", "learning_rate": 0.0005}
DONE = Finished("run/model.safetensors", "300 of 300 steps")


def config(out: Path, **changes: object) -> TrainConfig:
    fields = {"inputs": ("stack.tif", "strokes.tif"), "out": out, "classes": "interior,membrane"}
    return TrainConfig.model_validate(fields | changes)


def begun(out: Path, **changes: object) -> TrainConfig:
    """Begin a run as a training does, and return the settings as used."""
    asked = config(out, **changes)
    used = asked.model_copy(update=USED)
    open_run(asked).begin(used, {})
    return used


def logged(folder: Path) -> list[Event]:
    return read(folder / LOG)[0]


# ---- opening


def test_a_new_run_gets_a_folder_and_no_settings_yet(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    assert open_run(config(out)) == Run(out, None)
    assert out.is_dir()
    assert not [*out.iterdir()]


def test_equal_settings_resume_with_those_used_before(tmp_path: Path) -> None:
    used = begun(tmp_path / "run")
    assert open_run(config(tmp_path / "run")).config == used
    assert open_run(used).config == used


@pytest.mark.parametrize(("name", "value"), USED.items())
def test_what_the_program_chose_may_be_asked_for_by_name(tmp_path: Path, name: str, value: object) -> None:
    used = begun(tmp_path / "run")
    assert open_run(config(tmp_path / "run", **{name: value})).config == used


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 301}, "steps 300, not 301"),
        ({"threads": 1}, "threads 2, not 1"),
        ({"device": "cuda"}, "device cpu, not cuda"),
        ({"precision": "bfloat16"}, "precision float32, not bfloat16"),
        ({"learning_rate": 0.1}, "learning rate 0.0005, not 0.1"),
        ({"minutes": 10}, "minutes 5.0, not 10.0"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"classes": "membrane,interior"}, "classes interior,membrane, not membrane,interior"),
        ({"channel": 1}, "channel None, not 1"),
    ],
)
def test_another_setting_is_refused_by_its_name(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    begun(tmp_path / "run")
    before = (tmp_path / "run" / CONFIG).read_bytes()
    with pytest.raises(Problem, match=f"run was begun with {words}. Give the same settings"):
        open_run(config(tmp_path / "run", **changes))
    assert (tmp_path / "run" / CONFIG).read_bytes() == before


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Problem, match="already exists and is no run of napari-unet"):
        open_run(config(tmp_path))
    with pytest.raises(Problem, match="already exists and is no run of napari-unet"):
        open_run(config(tmp_path / "thesis.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"name": "another program"}', b"\xff\xfe\x00"])
def test_settings_of_another_program_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CONFIG).write_bytes(content)
    with pytest.raises(Problem, match=r"config.json cannot be read. Choose another name"):
        open_run(config(tmp_path))


def test_a_folder_in_the_place_of_the_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / CONFIG).mkdir()
    with pytest.raises(Problem, match=r"config.json cannot be read. Choose another name"):
        open_run(config(tmp_path))


@pytest.mark.parametrize("half", [f"{INPUTS}.partial", f"{CONFIG}.partial"])
def test_a_run_killed_before_its_settings_were_written_begins_anew(tmp_path: Path, half: str) -> None:
    (tmp_path / PAINTED).mkdir()
    for name in (INPUTS, LOG, ERROR, LOCK, half):
        (tmp_path / name).touch()
    assert open_run(config(tmp_path)) == Run(tmp_path, None)


def test_a_folder_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="cannot be written"):
        open_run(config(tmp_path / "file" / "run"))


# ---- inputs


def test_changed_inputs_are_named(tmp_path: Path) -> None:
    run = Run(tmp_path, None)
    before = {"pair 1, section 3": "abc", "pair 1, section 7": "def"}
    run.begin(config(tmp_path), before)
    run.check_inputs(dict(reversed(before.items())))
    for now, words in [
        (before | {"pair 1, section 7": "xyz"}, r"\(pair 1, section 7\)"),
        (before | {"pair 2, section 0": "new"}, r"\(pair 2, section 0\)"),
        ({"pair 1, section 7": "def"}, r"\(pair 1, section 3\)"),
    ]:
        with pytest.raises(Problem, match=f"changed since .* {words}"):
            run.check_inputs(now)
    assert json.loads((tmp_path / INPUTS).read_text()) == before


@pytest.mark.parametrize("content", ["", "[1]", "7", "none"])
def test_inputs_that_cannot_be_read_are_a_problem(tmp_path: Path, content: str) -> None:
    (tmp_path / INPUTS).write_text(content)
    with pytest.raises(Problem, match=r"inputs.json cannot be read"):
        Run(tmp_path, None).check_inputs({})


# ---- finished or not


@pytest.mark.parametrize(
    ("last", "finished"),
    [(DONE, True), (Finished("m", "10 of 300 steps", stopped=True), False), (Loss(5, 1.0), False), (None, False)],
)
def test_only_a_training_that_came_to_its_end_is_finished(tmp_path: Path, last: Event | None, finished: bool) -> None:
    run = Run(tmp_path, None)
    list(run.record([] if last is None else [Loss(1, 1.0), last]))
    assert run.finished == (last if finished else None)


def test_a_run_without_a_log_is_not_finished(tmp_path: Path) -> None:
    assert Run(tmp_path, None).finished is None


def test_what_a_kill_left_of_a_line_hides_not_that_it_is_finished(tmp_path: Path) -> None:
    run = Run(tmp_path, None)
    list(run.record([DONE]))
    with (tmp_path / LOG).open("a") as log:
        log.write('{"time": 1.5, "event": "lo')
    assert run.finished == DONE


# ---- one job at a time


def test_events_pass_through_and_are_logged(tmp_path: Path) -> None:
    events = [Loss(5, 1.0), DONE]
    assert list(Run(tmp_path, None).record(events)) == events
    assert logged(tmp_path) == events


def test_a_folder_where_no_lock_can_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(Problem, match="cannot be written"):
        list(Run(tmp_path, None).record([Loss(5, 1.0)]))


HOLD = """
import sys, time
from pathlib import Path
from napari_unet.events import Loss
from napari_unet.runs import Run

for event in Run(Path(sys.argv[1]), None).record([Loss(5, 1.0)]):
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    run = Run(tmp_path, None)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        with pytest.raises(Problem, match="Another job is writing"):
            list(run.record([Loss(10, 0.5)]))
        assert logged(tmp_path) == [Loss(5, 1.0)]
        first.kill()
    list(run.record([Loss(10, 0.5)]))
    assert logged(tmp_path) == [Loss(5, 1.0), Loss(10, 0.5)]


def test_a_job_that_is_given_up_lets_the_next_one_write(tmp_path: Path) -> None:
    run = Run(tmp_path, None)
    events = run.record([Loss(5, 1.0), Loss(10, 0.5)])
    next(events)
    events.close()
    list(run.record([Loss(10, 0.5)]))
    assert logged(tmp_path) == [Loss(5, 1.0), Loss(10, 0.5)]


def test_what_a_run_holds_out_is_known_of_its_models_on_the_way(tmp_path: Path) -> None:
    strips = {tmp_path / "image.tif": {3: Strip(0, 5, 9)}}
    Run(tmp_path / "run", None).folder.mkdir()
    Run(tmp_path / "run", None).keep_held({}, strips)
    following = Run(tmp_path / "following", None)
    for model in ("model.safetensors", f"{STEPS}/000010.safetensors"):
        assert following.held_before(tmp_path / "run" / model) == strips
