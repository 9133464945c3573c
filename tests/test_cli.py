"""The command line as a user meets it: real processes, real files."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_unet import cli
from napari_unet.config import SegmentConfig
from napari_unet.events import Event, Failed, Finding, Finished, Notice, Progress, Started, from_json
from napari_unet.result import open_result
from napari_unet.samples import IMAGE, STROKES, TRUTH
from napari_unet.volume import open_volume

COMMAND = [sys.executable, "-m", "napari_unet.cli"]
SMALL = "em-membrane-small"
QUICK = ["--threads", "1"]
STOPPING = "Stopping after this step; press Ctrl-C again to end at once.\n"


def test_help_of_every_command_names_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    flags = {
        "train": "--out --start-from --classes --zero --objects --steps --minutes --seed --threads --device --json",
        "check": "--start-from --classes --zero --objects --device --json",
        "examples": "--out --classes --colors --crop --seed --json",
        "suggest": "--model --count --zero --seed --threads --device --json",
        "segment": "--model --region --tile --threads --device --precision --probabilities --json",
        "convert": "--probabilities --json",
        "score": "--boundary",
        "demo": "--show",
        "models": "--json",
        "doctor": "",
    }
    for command, names in flags.items():
        assert cli.main([command, "--help"]) == 0
        printed = capsys.readouterr().out
        assert all(name in printed for name in names.split()), command


def test_help_has_no_flags_that_say_no_and_names_what_train_needs(capsys: pytest.CaptureFixture[str]) -> None:
    needs = {"train": "PATH", "examples": "FOLDER"}
    for command in (*needs, "suggest", "segment", "convert", "models", "demo"):
        assert cli.main([command, "--help"]) == 0
        printed = capsys.readouterr().out
        assert "--no-" not in printed
        assert "--empty-" not in printed
        if command in needs:
            usage = f" {command} IMAGE LABELS [IMAGE LABELS ...] --out {needs[command]} [OPTIONS] "
            assert usage in " ".join(printed.split())
            assert "IMAGE LABELS [IMAGE LABELS ...]: each image with its painted labels." in printed


def test_suggest_prints_places_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "image.tif"
    tifffile.imwrite(image, tifffile.imread(IMAGE)[:1])
    command = ["suggest", str(image), "--model", SMALL, "--count", "2", *QUICK]
    assert cli.main(command) == 0
    first, second = (line for line in capsys.readouterr().out.splitlines() if line[:2] in ("1.", "2."))
    assert first.startswith("1. Section 0, rows ")
    assert first != second
    assert cli.main([*command, str(tmp_path / "nothing.tif")]) == cli.FAILED


def test_train_segment_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = str(tmp_path / "run"), str(tmp_path / "out.zarr")
    train = ["train", str(IMAGE), str(STROKES), "--out", run, "--steps", "2", "--crop", "16", "--batch", "1", *QUICK]
    assert cli.main([*train, "--start-from", SMALL]) == 0
    assert "2 of 2 steps" in capsys.readouterr().out
    segment = ["segment", str(IMAGE), out, "--model", run, "--region", "3:5,:,:", "--probabilities", *QUICK]
    assert cli.main([*segment, "--json"]) == 0
    events = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert [e.done for e in events if isinstance(e, Progress)] == [1, 2]
    assert cli.main(["score", out, str(TRUTH), "--boundary", "membrane"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["sections"] == 2
    assert set(scores["classes"]) == {"interior", "membrane"}
    assert 0 < scores["at_0.5"]["v_rand"] <= scores["best"]["v_rand"] <= 1
    assert cli.main(["convert", out, str(tmp_path / "a.tif")]) == 0
    assert capsys.readouterr().out.endswith(f" pixels written\n{tmp_path / 'a.tif'}\n")
    assert cli.main(["convert", out, str(tmp_path / "p.tif"), "--probabilities", "--json"]) == 0
    events = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert [type(event) for event in events] == [Started, Progress, Progress, Finished]
    assert open_volume(tmp_path / "a.tif").fingerprint() == open_volume(out).fingerprint()
    assert open_volume(tmp_path / "p.tif", channel=1).voxel_size == open_volume(out).voxel_size
    assert cli.main(["convert", out, str(tmp_path / "a.tif")]) == 1
    assert (
        capsys.readouterr().err
        == f"Error: {tmp_path / 'a.tif'} already exists. Choose another name, or delete it first.\n"
    )


def test_check_prints_findings_with_their_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.zeros(open_volume(IMAGE).shape, np.uint8)
    labels[3, 40, 50] = 1
    tifffile.imwrite(tmp_path / "labels.tif", labels, metadata={"axes": "ZYX"})
    command = ["check", str(IMAGE), str(tmp_path / "labels.tif"), "--start-from", SMALL, *QUICK]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "Section 3: a dot of 1 pixel of interior. Erase it, if it is a slip of the brush. [3, 40, 50]" in printed
    assert "3 findings" in printed
    assert cli.main([*command[:3], "--json", "--start-from", "scratch", "--classes", "cell"]) == 0
    events = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert [event.kind for event in events if isinstance(event, Finding)] == ["few", "strays"]


def test_examples_show_what_a_training_would_see(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["examples", str(IMAGE), str(STROKES), "--out", str(tmp_path / "seen"), "--crop", "16"]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("examples: 1 painted layer, on processor\n")
    assert printed.endswith(f"2 painted sections\n{tmp_path / 'seen'}\n")
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {"examples.tif", "weights.zarr", "log.jsonl"}
    assert cli.main([*command, "--json"]) == 0
    started, finished = [from_json(line) for line in capsys.readouterr().out.splitlines()]
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)


def test_models_prints_the_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--json"]) == 0
    card = json.loads(capsys.readouterr().out)["em-membrane"]
    assert [c["name"] for c in card["classes"]] == ["interior", "membrane"]
    assert "10.6084/m9.figshare.856713" in json.dumps(card["about"])
    assert card["scores"]
    assert card["command"] == "python recipes/em_membrane.py DATA WORK em-membrane"


def test_models_tells_of_each_model_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models"]) == 0
    name, what, classes, *rest = capsys.readouterr().out.splitlines()
    assert name == "em-membrane"
    assert what.startswith("  Interior and membrane in electron micrographs")
    assert classes == "  classes: interior, membrane"
    assert "  trained on flyem_medulla: FlyEM medulla, sample 2 (CC BY 3.0 US)" in rest
    assert any(line.startswith("  vnc/stack1 14-19, V_rand at 0.5: 0.") for line in rest)


def test_doctor_names_device_and_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for word in ("torch", "napari", "computes on", "GPU", "em-membrane"):
        assert word in printed


@pytest.mark.parametrize(
    "arguments", [["segment"], ["train", "a", "b"], ["paint"], ["segment", "a", "b", "--tile", "x"]]
)
def test_wrong_usage_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith("Error: ")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train a b", "--out is missing: napari-unet train --help tells what it is."),
        ("train a b --steps 3", "--out is missing: napari-unet train --help tells what it is."),
        ("train a b --out", "--out needs a value."),
        ("convert o4.zarr", "OUT is missing: napari-unet convert --help tells what it is."),
        ("score o4.zarr", "TRUTH is missing: napari-unet score --help tells what it is."),
        ("segment a b --device x", "--device must be one of auto, cpu, cuda, mps"),
        ("train a b --out c --width 5", "--width must be one of 16, 32, 64"),
        ("segment a b --tile -4", "--tile must be greater than or equal to 0"),
        ("segment a b --tile 17", "--tile must be a multiple of 16, such as 16"),
        (
            "segment a b.tif",
            "--out is a folder, so b.tif is no name for it: call it b.zarr; napari-unet convert makes a TIFF",
        ),
        ("segment a b some more", "nothing is known to do with some more. Leave it out."),
        ("examples a --out c", "give images and labels in pairs: IMAGE LABELS [IMAGE LABELS ...]"),
        ("examples a b", "--out is missing: napari-unet examples --help tells what it is."),
        ("train a --out c", "give images and labels in pairs: IMAGE LABELS [IMAGE LABELS ...]"),
    ],
)
def test_wrong_usage_is_said_in_plain_words(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command.split()) == 2
    assert capsys.readouterr().err == f"Error: {words}\n"


def test_a_problem_is_an_event_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["segment", str(tmp_path / "no.tif"), str(tmp_path / "out.zarr"), "--json", *QUICK]) == 1
    out, err = capsys.readouterr()
    failed = from_json(out.splitlines()[-1])
    assert isinstance(failed, Failed)
    assert err == f"Error: {failed.text}\n"


def test_demo_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def demo(folder: Path, stop: object) -> list[Event]:
        folders.append(folder)
        return []

    folders: list[Path] = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr("napari_unet.demo.demo", demo)
    assert cli.main(["demo", "~/demo"]) == 0
    assert folders == [tmp_path / "demo"]


def test_a_list_that_nobody_reads_leaves_no_traceback() -> None:
    with subprocess.Popen([*COMMAND, "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_command_of_a_place_below_zero_is_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = SegmentConfig(model=SMALL, image=IMAGE, out=tmp_path / "out.zarr", region="3:4,:,:", place="-0.5,0,3")
    assert cli.main([*shlex.split(config.command())[1:], *QUICK]) == 0
    assert open_result(config.out).layout.offset == (2.5, 0, 3)


def test_a_terminal_that_cannot_write_a_name_shows_it_in_ascii(tmp_path: Path) -> None:
    image = tmp_path / "神经.tif"
    tifffile.imwrite(image, tifffile.imread(IMAGE)[:1, :32])
    command = [*COMMAND, "segment", str(image), str(tmp_path / "out.zarr"), "--model", SMALL, *QUICK]
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=ascii_only, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u795e\u7ecf.tif with em-membrane-small" in done.stdout


@pytest.mark.skipif(not Path("/bin/sh").exists(), reason="needs a shell that can close standard output")
def test_a_command_without_standard_output_ends_as_any() -> None:
    closed = ["/bin/sh", "-c", '"$0" -m napari_unet.cli models >&-', sys.executable]
    done = subprocess.run(closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_of_a_damaged_chunk_among_many_one_line_is_said(tmp_path: Path) -> None:
    stack = zarr.create_array(tmp_path / "a.zarr", shape=(2, 512, 512), chunks=(1, 16, 16), dtype="uint8")
    stack[:] = np.random.default_rng(0).integers(0, 256, stack.shape, np.uint8)
    chunk = tmp_path / "a.zarr" / "c" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    command = [*COMMAND, "segment", str(tmp_path / "a.zarr"), str(tmp_path / "out.zarr"), "--model", SMALL, *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith(f"Error: Section 0 of {tmp_path / 'a.zarr'} cannot be read")


def test_a_job_goes_on_when_its_reader_has_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment = ["segment", str(IMAGE), str(tmp_path / "out.zarr"), "--region", "3:5,:,:", "--model", SMALL, *QUICK]
    command = [*COMMAND, *segment, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert isinstance(from_json(process.stdout.readline()), Started)
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert cli.main(segment) == 0
    assert "already done" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_job_goes_on_when_what_it_prints_finds_a_full_disk(tmp_path: Path) -> None:
    command = [*COMMAND, "segment", str(IMAGE), str(tmp_path / "out.zarr"), "--region", "3:4,:,:"]
    command += ["--model", SMALL, *QUICK]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "asked",
    [
        ["models"],
        ["check", str(IMAGE), str(STROKES), "--start-from", SMALL, *QUICK],
        ["suggest", str(IMAGE), "--model", SMALL, *QUICK],
        ["suggest", str(IMAGE), "--model", SMALL, *QUICK, "--json"],
    ],
)
def test_an_answer_that_a_full_disk_refuses_is_a_failure(asked: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *asked], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    told = "Error: The answer cannot be written (No space left on device). Write it to another place.\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_ctrl_c_before_a_job_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_unet.doctor.findings", interrupted)
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().err == "Stopped.\n"


def test_ctrl_c_is_answered_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    def job(stop: Callable[[], bool]) -> Iterator[Event]:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert capfd.readouterr().err == STOPPING
        assert stop()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        yield Notice("stopped")

    before = signal.getsignal(signal.SIGINT)
    assert list(cli._until_interrupted(job)) == [Notice("stopped")]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_stops_in_good_order_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    command = [*COMMAND, "segment", str(IMAGE), str(out), "--tile", "32", "--region", "0:5,:,:"]
    command += ["--model", SMALL, *QUICK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list((out / "0").glob("c/0/*/*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, complaint = process.communicate()
    assert process.returncode == 1
    assert "Stopped" in printed
    assert complaint == STOPPING
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "were finished before and are kept" in again.stdout
