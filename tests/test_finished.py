from pathlib import Path

import pytest
from test_store import LAYOUT, fill

from napari_unet.finished import chunks_in, finished_chunks
from napari_unet.layout import Chunk
from napari_unet.problem import Problem
from napari_unet.store import open_store


def test_it_counts_what_is_listed_while_a_job_writes(tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT) as store:
        assert finished_chunks(path) == (0, 6)
        fill(store, store.pending[:2])
        store.flush()
        assert finished_chunks(path) == (2, 6)
        before = (path / "done.jsonl").read_bytes()
    with (path / "done.jsonl").open("ab") as log:
        log.write(b'{"chunk": [9, 9, 9]}\n[]\n{"chunk": [0, 0, 2]}')  # of no section, of no sense, half a line
    assert finished_chunks(path) == (2, 6)
    assert (path / "done.jsonl").read_bytes().startswith(before)
    (path / "done.jsonl").unlink()
    assert finished_chunks(path) == (0, 6)


def test_a_line_cut_off_anywhere_names_no_chunk() -> None:
    whole = b'{"chunk": [0, 1, 2]}\n'
    assert chunks_in(whole * 2) == {Chunk(0, 1, 2)}
    assert not any(chunks_in(whole[:end]) for end in range(len(whole)))


def test_what_is_no_result_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no segmentation"):
        finished_chunks(tmp_path)
