"""Blocks: every chunk once, in squares, what is looked at first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from napari_unet.blocks import Block, Place, blocks, nearest_first
from napari_unet.layout import CHUNK, Chunk

chunks = st.sets(st.builds(Chunk, st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)), max_size=40)
tiles = st.sampled_from([16, 1024, 1536, 2048, 4096])


def in_order(made: list[Block], looked_at: Callable[[], Place | None]) -> Iterator[Block]:
    """Hand out blocks that are asked for section by section."""

    def of(z: int) -> list[Block]:
        return [block for block in made if block.z == z]

    return nearest_first(dict.fromkeys(block.z for block in made), of, looked_at)


@given(chunks, tiles)
def test_every_chunk_is_in_one_block_of_its_section_no_larger_than_a_tile(pending: set[Chunk], tile: int) -> None:
    made = blocks(sorted(pending), tile)
    assert sorted(chunk for block in made for chunk in block.chunks) == sorted(pending)
    for block in made:
        assert {chunk.z for chunk in block.chunks} == {block.z}
        y0, y1, x0, x1 = block.box((4, 5000, 4900))
        assert (y0 % (block.side * CHUNK), x0 % (block.side * CHUNK)) == (0, 0)
        assert max(y1 - y0, x1 - x0) <= max(tile, CHUNK)
        assert all(y0 <= top < bottom <= y1 for top, bottom, *_ in (c.box((4, 5000, 4900)) for c in block.chunks))


@given(chunks.filter(bool), tiles, st.data())
def test_a_block_is_computed_alike_whatever_of_it_is_asked_for(
    pending: set[Chunk], tile: int, data: st.DataObject
) -> None:
    shape = 4, 5000, 4900
    whole = {chunk: block.box(shape) for block in blocks(sorted(pending), tile) for chunk in block.chunks}
    some = data.draw(st.sets(st.sampled_from(sorted(pending)), min_size=1))
    assert all(whole[chunk] == block.box(shape) for block in blocks(sorted(some), tile) for chunk in block.chunks)


@given(chunks, tiles)
def test_without_a_place_the_order_stays(pending: set[Chunk], tile: int) -> None:
    made = blocks(sorted(pending), tile)
    assert list(in_order(made, lambda: None)) == made


@given(chunks, st.builds(Place, st.integers(0, 3), st.integers(0, 5000), st.integers(0, 5000)))
def test_all_blocks_come_and_nearer_sections_first(pending: set[Chunk], at: Place) -> None:
    made = blocks(sorted(pending), 1024)
    order = list(in_order(made, lambda: at))
    assert set(order) == set(made)
    assert len(order) == len(made)
    away = [abs(block.z - at.z) for block in order]
    assert away == sorted(away)


def test_in_a_section_the_nearest_block_comes_first_and_the_place_may_move() -> None:
    made = blocks([Chunk(0, 0, x) for x in range(4)] + [Chunk(1, 0, x) for x in range(4)], 1024)
    places = iter([Place(0, 500, 2600), Place(0, 500, 2600), Place(1, 500, 4000), None, Place(0, 0, 0)])
    order = in_order(made, lambda: next(places, None))
    assert [next(order) for _ in range(5)] == [
        Block((Chunk(*at),)) for at in [(0, 0, 2), (0, 0, 3), (1, 0, 3), (0, 0, 0), (0, 0, 1)]
    ]


def test_the_blocks_of_a_section_are_asked_for_once_and_as_late_as_can_be() -> None:
    asked: list[int] = []

    def of(z: int) -> list[Block]:
        asked.append(z)
        return blocks([Chunk(z, 0, 0), Chunk(z, 0, 1)], 1024)

    order = nearest_first(range(10**9, 10**9 + 5), of, lambda: None)
    assert [next(order).z - 10**9 for _ in range(3)] == [0, 0, 1]
    assert asked == [10**9, 10**9 + 1]
