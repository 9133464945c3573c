import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from napari_unet.disk import disk_problem, disk_problems, lock, locked, room, sync, write_json, write_whole
from napari_unet.problem import Problem


def test_a_lock_is_held_once_until_it_is_closed(tmp_path):
    with lock(tmp_path / "lock"), pytest.raises(Problem, match="Another job is writing"):
        lock(tmp_path / "lock")
    lock(tmp_path / "lock").close()


HOLD = """
import sys
from pathlib import Path
from napari_unet.disk import lock

with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_look_tells_whether_another_process_holds_a_lock_and_makes_no_file(tmp_path):
    file = tmp_path / "lock"
    assert not locked(file)
    assert not file.exists()
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        assert locked(file)
        other.kill()
    assert not locked(file)


def test_looks_at_a_lock_are_in_nobodys_way(tmp_path):
    file, over = tmp_path / "lock", threading.Event()
    file.touch()

    def look():
        while not over.is_set():
            locked(file)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            lock(file).close()
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows shares no lock")
def test_one_that_looks_is_waited_for_and_hides_nothing_from_another(tmp_path):
    import fcntl

    file = tmp_path / "lock"
    file.touch()
    looking = file.open("rb")
    fcntl.flock(looking, fcntl.LOCK_SH)
    assert not locked(file)
    threading.Timer(0.05, looking.close).start()
    lock(file).close()


def test_sync_covers_a_file_and_its_folders_up_to_the_root(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("napari_unet.disk._fsync", lambda path, _flags: opened.append(path))
    root = tmp_path / "out"
    sync(root, [root / "0" / "c" / "1"])
    assert opened[0] == root / "0" / "c" / "1"
    assert set(opened[1:]) == {root, root / "0", root / "0" / "c"}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "The disk that holds out is full. Free some space and run"),
        (errno.EACCES, "out cannot be written .Permission denied.. Check"),
    ],
)
def test_a_failing_disk_is_said_in_plain_words(number, words):
    problem = disk_problem(Path("out"), OSError(number, os.strerror(number)), "; 1 of 2 chunks are kept")
    with pytest.raises(Problem, match=words + ".* the same command again; 1 of 2 chunks are kept.$"):
        raise problem


def test_an_error_without_a_number_is_said_in_its_own_words():
    assert "out cannot be written (the cable is loose). Check" in str(
        disk_problem(Path("out"), OSError("the cable is loose"))
    )


# ---- writing whole files


def test_a_file_is_written_whole_and_alone(tmp_path):
    path = tmp_path / "model"
    for content in (b"first", b"second, longer", b""):
        write_whole(path, lambda beside, content=content: beside.write_bytes(content))
        assert path.read_bytes() == content
        assert [*tmp_path.iterdir()] == [path]


def test_the_former_file_is_in_place_until_the_new_one_is_whole_and_safe(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"former")
    seen = []
    monkeypatch.setattr(
        "napari_unet.disk._fsync", lambda file, _flags: seen.append((file.read_bytes(), path.read_bytes()))
    )
    write_whole(path, lambda beside: beside.write_bytes(b"new"))
    assert seen == [(b"new", b"former")]
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), ValueError("no tensor"), KeyboardInterrupt()])
def test_what_fails_leaves_the_former_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "model"
    path.write_bytes(b"former")

    def fail(beside):
        beside.write_bytes(b"ha")
        raise error

    with pytest.raises(Problem if isinstance(error, OSError) else type(error)):
        write_whole(path, fail)
    assert path.read_bytes() == b"former"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_is_found_while_writing(tmp_path):
    (tmp_path / "model.partial").symlink_to("/dev/full")
    with pytest.raises(Problem, match=r"The disk that holds .*model is full"):
        write_whole(tmp_path / "model", lambda beside: beside.write_bytes(bytes(10)))
    assert not [*tmp_path.iterdir()]


KILLED = """
import os, signal, sys
from pathlib import Path
from napari_unet.disk import write_whole

def write(beside):
    beside.write_bytes(b"ne")
    os.kill(os.getpid(), signal.SIGKILL)

write_whole(Path(sys.argv[1]), write)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_leaves_the_former_file_and_the_next_writing_sweeps_up(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"former")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert path.read_bytes() == b"former"
    assert len([*tmp_path.iterdir()]) == 2
    write_whole(path, lambda beside: beside.write_bytes(b"new"))
    assert path.read_bytes() == b"new"
    assert [*tmp_path.iterdir()] == [path]


def test_disk_problems_turns_the_errors_of_the_disk_alone(tmp_path):
    with pytest.raises(Problem, match="cannot be written"), disk_problems(tmp_path):
        (tmp_path / "gone" / "file").touch()
    with pytest.raises(ValueError, match="not the disk"), disk_problems(tmp_path):
        raise ValueError("not the disk")


def test_json_is_written_whole_and_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, None]})
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text) == {"a": [1, None]}
    assert text.endswith("\n")
    assert len(text.splitlines()) > 1


def test_room_is_that_of_the_disk_also_for_a_folder_to_come(tmp_path, monkeypatch):
    assert room(tmp_path / "a" / "b") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)

    def refuse(path):
        raise OSError("not supported")

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    assert room(tmp_path) is None
