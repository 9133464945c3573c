"""What a window shows is kept while it lives, and is left when its process dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_unet.problem import Problem
from napari_unet.session import Asked, Left, Living, Session, Shown, died, dismiss, left_in

LAYER = Shown(
    "stack", "image", "file", "/data/stack.tif", "napari", "", (5, 6, 7), "uint8", {"scale": [50.0, 4.0, 4.0]}, "a1b2"
)
SESSION = Session(
    layers=(LAYER, Shown("points", "points", "memory")),
    active=0,
    point=(3.0, 0.5, 0.5),
    center=(0.0, 1.0, 2.0),
    order=(0, 2, 1),
    zoom=2.5,
    panels={"Train": {"ticked": [1], "widgets": {"zero": "background", "minutes": 7.5}}},
    jobs=(Asked("train", {"out": "/runs/a"}, None),),
)
DIES = """
import os, signal, sys
from pathlib import Path
from napari_unet.session import Living, Session
living = Living(Path(sys.argv[1]))
living.write(Session(zoom=float(sys.argv[2])))
os.kill(os.getpid(), signal.SIGKILL)
"""


def die(folder: Path, zoom: float = 1.0) -> Path:
    """Let a process write a session and die; return the file."""
    before = set(folder.glob("*.json"))
    subprocess.run([sys.executable, "-c", DIES, str(folder), str(zoom)], check=False)
    (file,) = set(folder.glob("*.json")) - before
    return file


def test_what_a_process_that_died_showed_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    assert left_in(folder) == []
    file = die(folder, 3.0)
    assert left_in(folder) == [file]
    left = Left(file)
    assert left.session == Session(zoom=3.0)
    left.forget()
    assert list(folder.iterdir()) == []


def test_all_of_a_session_is_kept(tmp_path: Path) -> None:
    living = Living(tmp_path)
    living.write(Session())
    living.write(SESSION)
    (file,) = tmp_path.glob("*.json")
    copy = tmp_path / "copy" / file.name
    copy.parent.mkdir()
    copy.write_bytes(file.read_bytes())
    left = Left(copy)
    assert left.session == SESSION
    left.forget()
    living.end()


def test_a_window_that_lives_is_left_alone_and_leaves_nothing_when_it_is_closed(tmp_path: Path) -> None:
    living, other = Living(tmp_path), Living(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for each in (living, other):
        each.write(SESSION)
        each.beat()
    assert left_in(tmp_path) == []
    (file, _) = tmp_path.glob("*.json")
    with pytest.raises(Problem, match="Another window"):
        Left(file)
    for each in (living, other):
        each.end()
        each.write(SESSION)  # a thread that was late
        each.beat()
    assert list(tmp_path.iterdir()) == []


def test_the_latest_death_comes_first(tmp_path: Path) -> None:
    files = [die(tmp_path) for _ in range(3)]
    for file, when in zip(files, (200, 300, 100), strict=True):
        os.utime(file.with_suffix(".lock"), (when, when))
    assert left_in(tmp_path) == [files[1], files[0], files[2]]
    assert died(files[1]) == 300


def test_what_is_being_brought_back_is_nobody_elses(tmp_path: Path) -> None:
    file = die(tmp_path)
    left = Left(file)
    assert left_in(tmp_path) == []
    for again in (Left, dismiss):
        with pytest.raises(Problem, match="Another"):
            again(file)
    left.let_go()
    assert left_in(tmp_path) == [file]


def test_only_the_session_is_dismissed(tmp_path: Path) -> None:
    file, other = die(tmp_path / "sessions"), die(tmp_path / "sessions")
    (tmp_path / "labels").mkdir()
    dismiss(file)
    assert left_in(tmp_path / "sessions") == [other]
    assert {path.name for path in tmp_path.rglob("*")} == {"sessions", "labels", other.name, f"{other.stem}.lock"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"layers": [{"name": 1}]}', '{"jobs": 3}'])
def test_one_that_cannot_be_read_says_so(tmp_path: Path, text: str) -> None:
    file = die(tmp_path)
    file.write_text(text)
    with pytest.raises(Problem, match="cannot be read"):
        Left(file)
    dismiss(file)
    assert list(tmp_path.iterdir()) == []


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    file = die(tmp_path)
    file.write_text('{"zoom": 2.0, "weather": "fine"}')
    left = Left(file)
    assert left.session == Session(zoom=2.0)
    left.forget()
