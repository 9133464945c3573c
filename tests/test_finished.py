import errno
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_store import LAYOUT, fill

from napari_unet.finished import NOT_FINISHED, NOT_KNOWN, finished_chunks, finished_in, lines_of
from napari_unet.layout import Chunk, chunks_where, create
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


def test_a_list_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "out.zarr"
    with open_store(path, LAYOUT):
        pass

    def failing(_: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.raises(Problem, match=r"done\.jsonl cannot be read \(Input/output error\)"):
        finished_chunks(path)


def named(text: bytes, grid: tuple[int, int, int] = (2, 2, 3)) -> list[Chunk]:
    return list(chunks_where(finished_in(io.BytesIO(text), grid) != NOT_FINISHED))


def test_a_line_cut_off_anywhere_names_no_chunk() -> None:
    whole = b'{"chunk": [0, 1, 2]}\n'
    assert named(whole * 2) == [Chunk(0, 1, 2)]
    assert not any(named(whole[:end]) for end in range(len(whole)))


@given(st.dictionaries(st.builds(Chunk, *[st.integers(0, 2)] * 3), st.integers(NOT_KNOWN, 2**32 - 1)))
def test_what_is_listed_is_read_back(seen) -> None:
    found = finished_in(lines_of(seen.items()), (3, 3, 3))
    assert {chunk: found[chunk] for chunk in chunks_where(found != NOT_FINISHED)} == seen


@pytest.mark.parametrize("chunk", ["[0, 0, -1]", "[0, 0, 3]", "[0, 0]", "[0, 0, 0, 0]", "[0, 0, 1.0]", '"000"', "7"])
def test_a_line_of_no_chunk_names_none(chunk) -> None:
    assert not named(f'{{"chunk": {chunk}}}\n'.encode())


@pytest.mark.parametrize("image", ["-1", "4294967296", "1.5", '"x"', "null", "[]"])
def test_a_checksum_that_is_none_is_not_known(image) -> None:
    found = finished_in([f'{{"chunk": [0, 0, 0], "image": {image}}}\n'.encode()], (1, 1, 1))
    assert found.item() == NOT_KNOWN


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
    assert finished_chunks(result) == (len(named(text, LAYOUT.grid)), 6)


def test_a_big_result_is_counted_without_building_its_chunks(tmp_path, monkeypatch) -> None:
    layout = replace(LAYOUT, shape=(500, 2048, 2048), probabilities=False)
    create(tmp_path, layout)
    lines = [json.dumps({"chunk": chunk}) + "\n" for chunk in layout.chunks()]
    (tmp_path / "done.jsonl").write_text("".join(lines[:1500] + lines[:7]) + lines[1600][:-2])
    monkeypatch.delattr("napari_unet.layout.Layout.chunks")
    assert finished_chunks(tmp_path) == (1500, 2000)


def test_what_is_no_result_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no segmentation"):
        finished_chunks(tmp_path)
