import errno
import os
from pathlib import Path

import pytest

from napari_unet.disk import disk_problem, lock, sync
from napari_unet.problem import Problem


def test_a_lock_is_held_once_until_it_is_closed(tmp_path):
    with lock(tmp_path / "lock"), pytest.raises(Problem, match="Another job is writing"):
        lock(tmp_path / "lock")
    lock(tmp_path / "lock").close()


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
