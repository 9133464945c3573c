"""An image compared with what finished chunks saw of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unet.edited import Comparison
from napari_unet.layout import Chunk

SEEN = arrays(np.int64, st.tuples(*[st.integers(1, 4)] * 3), elements=st.integers(-1, 3))


@given(SEEN, st.data(), st.booleans())
def test_a_section_is_named_where_one_chunk_differs_and_none_where_all_are_equal(seen, data, spread):
    now = seen.copy()
    at = tuple(data.draw(st.integers(0, side - 1)) for side in seen.shape)
    now[at] = data.draw(st.integers(0, 3))
    comparison = Comparison(seen, lambda chunk: now[chunk.z, chunk.y, chunk.x])
    found = comparison.edited(lambda: False, spread)
    assert found == (at[0] if seen[at] >= 0 and now[at] != seen[at] else None)
    assert found is not None or comparison.left == 0


@given(SEEN, st.integers(0, 20))
def test_it_goes_on_where_it_was_enough(seen, enough):
    asked: list[Chunk] = []

    def now(chunk: Chunk) -> int:
        asked.append(chunk)
        return seen[chunk.z, chunk.y, chunk.x]

    comparison = Comparison(seen, now)
    known = [Chunk(*at) for at in np.argwhere(seen >= 0).tolist()]
    assert comparison.edited(lambda: len(asked) == enough, spread=True) is None
    assert comparison.left == max(len(known) - enough, 0)
    assert comparison.edited(lambda: False) is None
    assert comparison.left == 0
    assert sorted(asked) == known
