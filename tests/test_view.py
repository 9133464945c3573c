"""A view is what numpy would show, read late."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.view import View


@given(st.data())
def test_a_view_is_what_numpy_would_show(data: st.DataObject) -> None:
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    order = data.draw(st.permutations(range(4)))
    count = data.draw(st.integers(1, 4))
    shown, hidden = order[:count], order[count:]
    held = {axis: data.draw(st.integers(0, array.shape[axis] - 1)) for axis in hidden}
    expected = array[tuple(slice(None) if i in shown else held[i] for i in range(4))]
    expected = expected.transpose([sorted(shown).index(axis) for axis in shown])
    new = data.draw(st.integers(0, count))
    expected = np.expand_dims(expected, new)
    view = View(array, (*shown[:new], None, *shown[new:]), held)
    assert (view.shape, view.dtype, view.ndim, view.size) == (
        expected.shape,
        expected.dtype,
        expected.ndim,
        expected.size,
    )
    np.testing.assert_array_equal(np.asarray(view), expected)
    key = data.draw(hnp.basic_indices(view.shape, allow_ellipsis=True, max_dims=view.ndim))
    np.testing.assert_array_equal(view[key], expected[key])


def test_a_view_has_bounds() -> None:
    with pytest.raises(IndexError):
        View(np.zeros((5, 2, 2)), (0, 1, 2))[5]
