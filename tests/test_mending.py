"""What a job that died left of a result: what is finished stays, all else is removed."""

import errno
from pathlib import Path

import pytest
from test_store import LAYOUT, abandon, fill, tree

from napari_unet.layout import Chunk
from napari_unet.problem import Problem
from napari_unet.store import open_store


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-1])


def turn_a_bit(file):
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [Path.unlink, cut_off, turn_a_bit])
@pytest.mark.parametrize("file", ["0/c/0/0/1", "probabilities/0/c/1/1/0/2"])
def test_a_listed_chunk_that_is_damaged_is_computed_again(tmp_path, file, damage):
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        fill(store, store.pending)
    whole = tree(path, but=())
    damage(path / file)
    with open_store(path, LAYOUT) as store:
        assert (store.damaged, len(store.pending)) == (1, 1)
        assert len((path / "done.jsonl").read_bytes().splitlines()) == 5
        fill(store, store.pending)
    now = tree(path, but=())
    assert sorted(now.pop(Path("done.jsonl")).splitlines()) == sorted(whole.pop(Path("done.jsonl")).splitlines())
    assert now == whole
    with open_store(path, LAYOUT) as store:
        assert (store.damaged, store.pending) == (0, [])


@pytest.mark.parametrize("damage", [Path.unlink, cut_off, turn_a_bit])
def test_a_coarse_file_that_is_damaged_is_written_again(tmp_path, damage):
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        fill(store, store.pending)
    whole = tree(path, but=())
    damage(path / "probabilities/2/c/0/1/0/1")
    with open_store(path, LAYOUT) as store:
        assert (store.damaged, store.pending) == (0, [])
    assert tree(path, but=()) == whole


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), PermissionError(errno.EACCES, "no")])
@pytest.mark.parametrize("file", ["0/c/0/0/1", "probabilities/2/c/0/1/0/1"])
def test_nothing_is_thrown_away_because_it_cannot_be_read_now(tmp_path, monkeypatch, file, error):
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        fill(store, store.pending)
    whole, read = tree(path, but=()), Path.read_bytes

    def failing(self):
        if self == path / file:
            raise error
        return read(self)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", failing)
        said = rf"{file} (cannot be read \(Input/output error\)\. .* delete it: |may not be read\. )"
        with pytest.raises(Problem, match=said):
            open_store(path, LAYOUT)
    assert tree(path, but=()) == whole
    with open_store(path, LAYOUT) as store:
        assert (store.damaged, store.pending) == (0, [])


PARTS = ["0/c/0/0/1", "2/c/1/0/0", "probabilities/0/c/1/1/0/2"]


@pytest.mark.parametrize("finished", [0, 3, 6])
def test_half_a_file_is_removed_wherever_it_is(tmp_path, finished):
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        fill(store, store.pending[:finished])
    whole = tree(path)

    def strew():
        for part in PARTS:
            (path / part).parent.mkdir(parents=True, exist_ok=True)
            (path / f"{part}.0123.partial").write_bytes(b"half")

    strew()
    with open_store(path, LAYOUT) as store:
        assert tree(path) == whole
        strew()
        store.sweep()
        assert tree(path) == whole


def test_a_done_chunk_keeps_its_coarse_pixels_through_a_kill_between_them(tmp_path):
    path = tmp_path / "out.zarr"
    store = open_store(path, LAYOUT)
    fill(store, [Chunk(0, 0, 0)])
    store.flush()
    abandon(store)
    coarse = path / "2/c/0/0/0"  # shared with Chunk(0, 0, 1), in whose flush the power went
    before = coarse.read_bytes()
    coarse.write_bytes(b"")
    abandon(open_store(path, LAYOUT))
    assert coarse.read_bytes() == before
