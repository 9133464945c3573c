"""The command line as a user meets it: real processes, real files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_unet import cli
from napari_unet.events import Finished, Progress, Started, from_json
from napari_unet.samples import IMAGE, STROKES, TRUTH

COMMAND = [sys.executable, "-m", "napari_unet.cli"]
QUICK = ["--threads", "1"]


def test_help_of_every_command_names_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    flags = {
        "train": "--out --start-from --classes --zero --objects --steps --minutes --seed --threads --device --json",
        "segment": "--model --region --tile --threads --device --precision --probabilities --json",
        "score": "--boundary",
        "demo": "--show",
        "models": "",
        "doctor": "",
    }
    for command, names in flags.items():
        assert cli.main([command, "--help"]) == 0
        printed = capsys.readouterr().out
        assert all(name in printed for name in names.split()), command


def test_train_segment_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = str(tmp_path / "run"), str(tmp_path / "out.zarr")
    train = ["train", str(IMAGE), str(STROKES), "--out", run, "--steps", "2", "--crop", "16", "--batch", "1", *QUICK]
    assert cli.main(train) == 0
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


def test_models_prints_the_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models"]) == 0
    card = json.loads(capsys.readouterr().out)["em-membrane"]
    assert [c["name"] for c in card["classes"]] == ["interior", "membrane"]
    assert "10.6084/m9.figshare.856713" in json.dumps(card["about"])
    assert card["scores"]
    assert card["command"].startswith("napari-unet train")


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


def test_ctrl_c_stops_in_good_order_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    command = [*COMMAND, "segment", str(IMAGE), str(out), "--tile", "32", "--region", "0:6,:,:", *QUICK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list((out / "0").glob("c/0/*/*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, complaint = process.communicate()
    assert process.returncode == 1
    assert "stopped" in printed
    assert complaint == ""
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "were finished before and are kept" in again.stdout
