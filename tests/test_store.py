import errno
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_unet.store
from napari_unet.classes import PixelClass
from napari_unet.finished import lines_of
from napari_unet.layout import Chunk, Layout
from napari_unet.problem import Problem
from napari_unet.pyramids import Pyramids
from napari_unet.result import open_result
from napari_unet.store import open_store

LAYOUT = Layout(
    shape=(2, 3, 2100),
    classes=(PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00")),
    voxel_size=None,
    offset=(0, 0, 0),
    probabilities=True,
    provenance={"model": "abc"},
)
# Thin sections: many chunks and a deep pyramid, few pixels.
shapes = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3300)).flatmap(
    lambda shape: st.sampled_from([shape, (shape[0], shape[2], shape[1])])
)


def truth(layout):
    """Return the whole class map and probabilities that the tests write."""
    z, y, x = np.indices(layout.shape)
    classes = ((z + 3 * y + 7 * x) % 251).astype(np.uint8)
    return classes, np.stack([classes, 255 - classes])


def fill(store, chunks):
    classes, probabilities = truth(store.layout)
    for chunk in chunks:
        y0, y1, x0, x1 = chunk.box(store.layout.shape)
        box = (chunk.z, slice(y0, y1), slice(x0, x1))
        store.write(chunk, classes[box], probabilities[:, *box] if store.layout.probabilities else None)


def abandon(store):
    """Leave the store as a kill does: nothing flushed, the lock released by the system."""
    store._lock.close()


def tree(path, but=("done.jsonl", "segmentation.lock")):
    return {f.relative_to(path): f.read_bytes() for f in path.rglob("*") if f.is_file() and f.name not in but}


@given(shapes, st.data())
@settings(max_examples=15, deadline=None)
def test_the_files_do_not_depend_on_order_or_kills(tmp_path_factory, shape, data):
    layout = replace(LAYOUT, shape=shape, probabilities=False)
    orders = st.permutations(layout.chunks())
    counts = st.integers(0, 4)
    killed = data.draw(st.lists(st.tuples(orders, counts, counts), min_size=1, max_size=3), "jobs that are killed")
    last = data.draw(orders, "order of the last job")

    folder = tmp_path_factory.mktemp("law")
    with open_store(folder / "straight.zarr", layout) as store:
        fill(store, store.pending)

    path = folder / "killed.zarr"
    for order, flushed, unflushed in killed:
        store = open_store(path, layout)
        chunks = [chunk for chunk in order if chunk in store.pending]
        fill(store, chunks[:flushed])
        store.flush()
        lost = chunks[flushed:][:unflushed]
        fill(store, lost)
        abandon(store)
        for chunk in lost:  # renamed, but never synced: a power cut may leave anything
            (path / f"0/c/{chunk.z}/{chunk.y}/{chunk.x}").write_bytes(b"")
            (path / f"0/c/{chunk.z}/{chunk.y}/{chunk.x}.0123.partial").write_bytes(b"half")
    with open_store(path, layout) as store:
        fill(store, [chunk for chunk in last if chunk in store.pending])
    assert tree(path) == tree(folder / "straight.zarr")


def test_a_killed_process_loses_only_what_was_not_listed(tmp_path):
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from test_store import LAYOUT, fill, open_store\n"
        "store = open_store(Path(sys.argv[2]), LAYOUT)\n"
        "fill(store, store.pending[:2]); store.flush(); fill(store, store.pending[:2])\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"
    )
    path = tmp_path / "out.zarr"
    killed = subprocess.run([sys.executable, "-c", script, str(Path(__file__).parent), str(path)], check=False)
    assert killed.returncode != 0
    with open_store(path, LAYOUT) as store:
        assert (store.done, store.total) == (2, 6)
        assert store.pending == LAYOUT.chunks()[2:]
        assert (open_result(path).classes[0][0, :, 2048:] == 255).all()
        fill(store, store.pending)
    np.testing.assert_array_equal(open_result(path).classes[1][...], truth(LAYOUT)[0][:, ::2, ::2])


def test_a_chunk_of_zeros_has_its_files(tmp_path):
    layout = replace(LAYOUT, shape=(1, 1, 1))
    with open_store(tmp_path / "out.zarr", layout) as store:
        store.write(Chunk(0, 0, 0), np.zeros((1, 1), np.uint8), np.zeros((2, 1, 1), np.uint8))
    assert (tmp_path / "out.zarr/probabilities/0/c/1/0/0/0").is_file()


def test_chunks_are_listed_after_16_or_after_a_while(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    layout = replace(LAYOUT, shape=(18, 1, 1), probabilities=False)
    with open_store(tmp_path / "out.zarr", layout) as store:
        chunks = store.pending
        fill(store, chunks[:15])
        assert (store.done, len(store.pending)) == (0, 3)
        fill(store, chunks[15:16])
        assert store.done == 16
        fill(store, chunks[16:17])
        assert store.done == 16
        now = 2.0
        fill(store, chunks[17:])
        assert (store.done, store.pending) == (18, [])


def test_a_slow_chunk_is_listed_at_once(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with open_store(tmp_path / "out.zarr", replace(LAYOUT, shape=(3, 1, 1), probabilities=False)) as store:
        for number, chunk in enumerate(store.pending, start=1):
            now += 12.0
            fill(store, [chunk])
            assert store.done == number


def test_a_chunk_is_listed_only_when_all_its_files_are_synced(tmp_path, monkeypatch):
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        synced = []

        def sync(_root, files):
            assert not (path / "done.jsonl").read_text()
            synced.extend(file.relative_to(path) for file in files)

        monkeypatch.setattr(napari_unet.store, "sync", sync)
        fill(store, [Chunk(1, 0, 2)])
    chunks = ["0/c/1/0/2", "1/c/1/0/2", "2/c/1/0/1", "3/c/1/0/0"]
    images = [Path(each) for each in chunks]
    images += [Path("probabilities", each.replace("c", f"c/{c}")) for each in chunks for c in (0, 1)]
    assert sorted(synced) == sorted(images)
    assert json.loads((path / "done.jsonl").read_text()) == {"chunk": [1, 0, 2]}


def test_a_torn_last_line_is_cut_off(tmp_path):
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        fill(store, store.pending[:1])
    log = path / "done.jsonl"
    whole = log.read_bytes()
    for torn in (b'{"chu', b'{"chunk": [0, 0, 1]}', b"\0\0\0"):
        log.write_bytes(whole + torn)
        with open_store(path, LAYOUT) as store:
            assert store.pending == LAYOUT.chunks()[1:]
        assert log.read_bytes() == whole


@pytest.mark.parametrize("wrong", [b"[]", b"{}", b"null", b'{"node_type": "array", "shape": [1, 1]}'])
@pytest.mark.parametrize("file", ["zarr.json", "2/zarr.json", "probabilities/zarr.json", "probabilities/0/zarr.json"])
def test_a_result_of_which_metadata_tell_something_else_is_refused(tmp_path, file, wrong):
    path = tmp_path / "out.zarr"
    open_store(path, LAYOUT).close()
    (path / file).write_bytes(wrong)
    before = state(path)
    with pytest.raises(Problem, match=r"cannot be read|is no segmentation"):
        open_store(path, LAYOUT)
    assert state(path) == before


@pytest.mark.parametrize("left", [None, 0, 5, 50])
@pytest.mark.parametrize("file", ["probabilities/zarr.json", "2/zarr.json"])
def test_a_result_of_which_metadata_are_missing_or_cut_is_refused(tmp_path, file, left):
    path = tmp_path / "out.zarr"
    open_store(path, LAYOUT).close()
    whole = (path / file).read_bytes()
    (path / file).unlink()
    if left is not None:
        (path / file).write_bytes(whole[:left])
    before = state(path)
    with pytest.raises(Problem, match=f"is damaged: .*{file} is missing or cannot be read"):
        open_store(path, LAYOUT)
    assert state(path) == before


@pytest.mark.parametrize("moved", [True, False])
def test_a_result_that_is_moved_or_deleted_meanwhile_is_not_begun_again(tmp_path, moved):
    path = tmp_path / "out.zarr"
    store = open_store(path, LAYOUT)
    fill(store, store.pending[:1])
    path.rename(tmp_path / "elsewhere.zarr") if moved else shutil.rmtree(path)
    with pytest.raises(Problem, match="was moved or deleted while it was written"), store:
        fill(store, store.pending[:1])
    assert not path.exists()
    if moved:
        (tmp_path / "elsewhere.zarr").rename(path)
        with open_store(path, LAYOUT) as store:
            assert store.pending == LAYOUT.chunks()


def test_a_line_that_makes_no_sense_is_a_chunk_computed_again(tmp_path):
    path = tmp_path / "out.zarr"
    open_store(path, LAYOUT).close()
    (path / "done.jsonl").write_text('{"chu{"chunk": [0, 0, 1]}\n{"chunk": [9, 9, 9]}\n{"chunk": 3}\n[]\n')
    with open_store(path, LAYOUT) as store:
        assert store.pending == LAYOUT.chunks()


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "is full. Free"), (errno.EROFS, "cannot be written")])
def test_a_failing_disk_is_a_problem_and_the_job_resumes(tmp_path, number, words):
    path = tmp_path / "out.zarr"

    async def fail(*_args):
        raise OSError(number, os.strerror(number))

    store = open_store(path, LAYOUT)
    chunks = store.pending
    fill(store, chunks[:2])
    store.flush()
    fill(store, chunks[2:3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zarr.storage.LocalStore, "set", fail)
        with pytest.raises(Problem, match=words + ".*; 2 of 6 chunks are kept."), store:
            fill(store, chunks[3:])
    with open_store(path, LAYOUT) as store:
        assert store.pending == chunks[2:]
        fill(store, store.pending)
    np.testing.assert_array_equal(open_result(path).classes[1][...], truth(LAYOUT)[0][:, ::2, ::2])


def test_after_a_failure_nothing_more_is_listed(tmp_path, monkeypatch):
    path = tmp_path / "out.zarr"
    store = open_store(path, LAYOUT)
    chunks = store.pending
    fill(store, chunks[:2])
    with monkeypatch.context() as patch:

        def fail(_file):
            (path / "done.jsonl").write_text('{"chu')  # as much as there was room for
            raise OSError(errno.ENOSPC, "full")

        patch.setattr(os, "fsync", fail)
        with pytest.raises(Problem, match="; 0 of 6 chunks are kept"):
            store.flush()
    with pytest.raises(Problem, match="; 0 of 6 chunks are kept"):
        fill(store, chunks[2:3])
    store.close()
    with open_store(path, LAYOUT) as store:
        assert store.pending == chunks
        fill(store, chunks)
    assert len((path / "done.jsonl").read_text().splitlines()) == 6


def test_a_disk_that_fails_in_a_flush_leaves_nothing_listed(tmp_path, monkeypatch):
    store = open_store(tmp_path / "out.zarr", LAYOUT)
    fill(store, store.pending[:2])

    def fail(_file):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Problem, match="; 0 of 6 chunks are kept"):
        store.close()
    assert store.pending == LAYOUT.chunks()
    assert (tmp_path / "out.zarr/done.jsonl").read_text() == ""


def test_a_folder_that_cannot_be_made_is_a_problem(tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(Problem, match="Permission denied"):
        open_store(tmp_path / "out.zarr", LAYOUT)


def make_file(path):
    path.write_text("mine")


def make_folder(path):
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def make_foreign_zarr(path):
    zarr.create_array(path / "0", shape=(2,), dtype="uint8")
    zarr.create_group(path, attributes={"ome": {"version": "0.5"}})


def make_other_layout(path):
    with open_store(path, replace(LAYOUT, provenance={"model": "xyz"})) as store:
        fill(store, store.pending[:1])


def make_damaged(path):
    make_other_layout(path)
    (path / "zarr.json").unlink()
    (path / "done.jsonl").unlink()


def state(path):
    return {each: (each.stat().st_mtime_ns, each.stat().st_size) for each in (path, *path.rglob("*"))}


@pytest.mark.parametrize("make", [make_file, make_folder, make_foreign_zarr, make_other_layout, make_damaged])
def test_what_is_there_already_is_refused_and_not_touched(tmp_path, make):
    path = tmp_path / "out.zarr"
    make(path)
    before = state(path)
    words = "with the model xyz; now it is to be made with" if make is make_other_layout else "is no segmentation"
    with pytest.raises(Problem, match=words):
        open_store(path, LAYOUT)
    assert state(path) == before


def test_an_empty_folder_is_taken(tmp_path):
    with open_store(tmp_path, LAYOUT) as store:
        assert (store.done, store.total) == (0, 6)


def test_a_creation_that_was_killed_starts_over(tmp_path, monkeypatch):
    def killed(path, layout):
        zarr.create_array(path / "0", shape=(1,), dtype="uint8")
        (path / "zarr.0123.partial").write_text("half")
        raise KeyboardInterrupt

    path = tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        patch.setattr(napari_unet.store, "create", killed)
        with pytest.raises(KeyboardInterrupt):
            open_store(path, replace(LAYOUT, provenance={"model": "xyz"}))
    open_store(path, LAYOUT).close()
    open_store(tmp_path / "straight.zarr", LAYOUT).close()
    assert tree(path, but=()) == tree(tmp_path / "straight.zarr", but=())


def test_two_jobs_cannot_fill_one_result(tmp_path):
    with open_store(tmp_path, LAYOUT), pytest.raises(Problem, match="Another job is writing"):
        open_store(tmp_path, LAYOUT)
    open_store(tmp_path, LAYOUT).close()


@pytest.mark.parametrize(
    ("classes", "probabilities"),
    [
        (np.zeros((3, 1023), np.uint8), np.zeros((2, 3, 1023), np.uint8)),
        (np.zeros((3, 1024), int), np.zeros((2, 3, 1024), np.uint8)),
        (np.zeros((3, 1024), np.uint8), None),
        (np.full((3, 1024), 255, np.uint8), np.zeros((2, 3, 1024), np.uint8)),
    ],
)
def test_pixels_that_do_not_fit_are_refused(tmp_path, classes, probabilities):
    with open_store(tmp_path, LAYOUT) as store:
        with pytest.raises(ValueError, match=r"uint8|not computed"):
            store.write(Chunk(0, 0, 0), classes, probabilities)
        assert store.pending == LAYOUT.chunks()


def test_a_chunk_is_written_once(tmp_path):
    with open_store(tmp_path, LAYOUT) as store:
        fill(store, [Chunk(0, 0, 0)])
        with pytest.raises(ValueError, match="before"):
            fill(store, [Chunk(0, 0, 0)])


@pytest.mark.parametrize("others", [["notes.txt"], ["training.lock", "config.json", "model.safetensors"]])
def test_a_folder_with_a_lock_and_files_of_others_is_left_alone(tmp_path: Path, others: list[str]) -> None:
    folder = tmp_path / "out.zarr"
    folder.mkdir()
    for name in ["segmentation.lock", *others]:
        (folder / name).write_text("months of work")
    with pytest.raises(Problem, match="no segmentation made by napari-unet"):
        open_store(folder, LAYOUT)
    assert {path.name for path in folder.iterdir()} == {"segmentation.lock", *others}


@pytest.mark.slow
def test_what_is_known_of_a_chunk_takes_a_few_bytes(tmp_path: Path) -> None:
    """Also while a job goes on that lost all of them."""
    layout, path = replace(LAYOUT, shape=(20_000, 1, 1), probabilities=False), tmp_path / "out.zarr"
    open_store(path, layout).close()
    (path / "done.jsonl").write_bytes(b"".join(lines_of((chunk, 7) for chunk in layout.chunks())))
    tracemalloc.start()
    try:
        with open_store(path, layout) as store:
            assert (store.damaged, store.done, len(store.unfinished)) == (20_000, 0, 20_000)
        assert tracemalloc.get_traced_memory()[1] < 200 * store.total
    finally:
        tracemalloc.stop()


def test_files_are_looked_at_a_few_ahead(tmp_path: Path) -> None:
    asked = count()
    open_store(tmp_path, LAYOUT).close()
    assert next(Pyramids(tmp_path, LAYOUT).broken(Chunk(next(asked), 0, 0) for _ in range(1000))) == Chunk(0, 0, 0)
    assert next(asked) < 50
