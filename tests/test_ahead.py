"""Reading ahead and writing behind: everything is done, in order, and errors come out."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.ahead import Behind, ahead


@given(st.lists(st.integers()), st.integers(0, 3), st.integers(1, 3))
def test_all_items_come_out_in_order(items: list[int], depth: int, threads: int) -> None:
    assert list(ahead(lambda item: item * 2, items, depth, threads)) == [item * 2 for item in items]


def test_the_next_item_is_made_while_one_is_used_and_no_more() -> None:
    made: list[int] = []
    coming = ahead(lambda item: made.append(item) or item, range(10))
    assert next(coming) == 0
    end = time.monotonic() + 5
    while made != [0, 1] and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(0.05)
    assert made == [0, 1]
    coming.close()
    assert made == [0, 1]


def test_an_error_comes_with_its_item() -> None:
    coming = ahead(lambda item: 1 / item, [1, 0, 1])
    assert next(coming) == 1
    with pytest.raises(ZeroDivisionError):
        next(coming)


@given(st.lists(st.integers()), st.integers(1, 3))
def test_calls_are_done_in_order(items: list[int], depth: int) -> None:
    done: list[int] = []
    with Behind(depth) as behind:
        for item in items:
            behind.do(done.append, item)
        behind.settle()
        assert done == items


def test_the_caller_waits_for_a_slow_call() -> None:
    go, done = threading.Event(), list[int]()
    with Behind(1) as behind:
        behind.do(go.wait)
        threading.Timer(0.05, go.set).start()
        behind.do(done.append, 1)
        assert go.is_set()
        behind.settle()
    assert done == [1]


def test_an_error_of_a_call_is_raised_later() -> None:
    with Behind(1) as behind:
        behind.do(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            behind.do(int, "1")
        behind.do(int, "y")
        with pytest.raises(ValueError, match="invalid literal"):
            behind.settle()
        behind.settle()
