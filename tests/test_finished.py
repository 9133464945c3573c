import json
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_store import LAYOUT, fill

from napari_unet.finished import chunks_in, finished_chunks
from napari_unet.layout import Chunk, create
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
    assert chunks_in(whole * 2).keys() == {Chunk(0, 1, 2)}
    assert not any(chunks_in(whole[:end]) for end in range(len(whole)))


INDEX = st.integers(-1, 3)
OURS = st.builds(lambda *chunk: json.dumps({"chunk": chunk}), INDEX, INDEX, INDEX)
OTHER = st.sampled_from(['{"chunk":[0,0,0]}', '{"chunk": [00, 0, 0]}', '{"chunk": [0, 0, 9999999999999]}', "", "{}"])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("finished") / "out.zarr"
    create(path, LAYOUT)
    return path


@given(st.lists(OURS | OTHER), st.integers(0, 30))
def test_the_count_is_that_of_the_chunks_a_job_would_not_compute_again(result, lines, cut) -> None:
    text = "".join(f"{line}\n" for line in lines).encode()
    text = text[: max(len(text) - cut, 0)]
    (result / "done.jsonl").write_bytes(text)
    assert finished_chunks(result) == (len(chunks_in(text).keys() & set(LAYOUT.chunks())), 6)


def test_a_big_result_is_counted_without_building_its_chunks(tmp_path, monkeypatch) -> None:
    layout = replace(LAYOUT, shape=(500, 2048, 2048), probabilities=False)
    create(tmp_path, layout)
    lines = [json.dumps({"chunk": astuple(chunk)}) + "\n" for chunk in layout.chunks()]
    (tmp_path / "done.jsonl").write_text("".join(lines[:1500] + lines[:7]) + lines[1600][:-2])
    monkeypatch.delattr("napari_unet.layout.Layout.chunks")
    assert finished_chunks(tmp_path) == (1500, 2000)


def test_what_is_no_result_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no segmentation"):
        finished_chunks(tmp_path)
