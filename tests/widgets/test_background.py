from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_unet.problem import Problem
from napari_unet.widgets.background import in_background


class Told:
    """What came of some work, in its order, and in which thread it was told."""

    def __init__(self, work: Generator[str, None, Any]) -> None:
        self.words: list[Any] = []
        self.threads: set[threading.Thread] = set()
        self.cancel = in_background(work, "work", self._hear("said"), self._hear("done"), self._hear("failed"))

    def _hear(self, what: str):
        def hear(value: Any) -> None:
            self.words.append((what, value))
            self.threads.add(threading.current_thread())

        return hear

    def over(self) -> bool:
        return bool(self.words) and self.words[-1][0] != "said"


class Paused:
    """Work that waits in its middle until it may go on."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.cleaned = threading.Event(), threading.Event(), threading.Event()

    def work(self) -> Generator[str, None, None]:
        try:
            self.begun.set()
            self.go_on.wait(5)
            yield "half"
            yield "whole"
        finally:
            self.cleaned.set()


def test_it_says_what_it_does_and_returns_its_result_in_the_thread_of_the_window(qtbot):
    threads = []

    def work():
        threads.append(threading.current_thread())
        yield "half"
        yield "whole"
        return 7

    told = Told(work())
    qtbot.waitUntil(told.over)
    assert told.words == [("said", "half"), ("said", "whole"), ("done", 7)]
    assert told.threads == {threading.current_thread()}
    assert threads[0] is not threading.current_thread()


def test_a_problem_is_told_in_its_own_words(qtbot):
    def work():
        yield "half"
        raise Problem("The disk is full. Make room.")

    told = Told(work())
    qtbot.waitUntil(told.over)
    assert told.words[-1] == ("failed", "The disk is full. Make room.")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), MemoryError(), StopIteration(1)])
def test_a_fault_of_the_program_is_told_too_and_keeps_its_traceback(qtbot, error):
    def work():
        yield "half"
        raise error

    with qtbot.capture_exceptions() as exceptions:
        told = Told(work())
        qtbot.waitUntil(told.over)
    assert told.words[-1][0] == "failed"
    assert told.words[-1][1].startswith("Something went wrong that should not")
    assert len(exceptions) == 1


def test_what_is_cancelled_cleans_up_and_never_ends_well(qtbot):
    paused = Paused()
    told = Told(paused.work())
    qtbot.waitUntil(paused.begun.is_set)
    told.cancel()
    paused.go_on.set()
    qtbot.waitUntil(told.over)
    assert told.words == [("said", "half"), ("failed", "Cancelled.")]
    assert paused.cleaned.is_set()


def test_what_is_cancelled_at_its_end_does_not_begin_anything(qtbot):
    ended = threading.Event()

    def work():
        yield "half"
        ended.set()
        return 7

    told = Told(work())
    ended.wait(5)
    told.cancel()
    qtbot.waitUntil(told.over)
    assert told.words[-1] == ("failed", "Cancelled.")


def test_nothing_of_it_stays_in_memory_while_the_window_lives(qtbot, make_napari_viewer):
    viewer = make_napari_viewer()
    layer = Image(np.zeros((4, 4)))

    def work(layer):
        yield "half"
        return layer.name

    told = Told(work(layer))
    qtbot.waitUntil(told.over)
    qtbot.wait(50)
    left = [weakref.ref(each) for each in (told, layer)]
    del told, layer
    gc.collect()
    assert [each() for each in left] == [None, None]
    viewer.close()


def test_it_ends_without_a_word_with_its_owner(qtbot):
    paused, words = Paused(), []
    owner = QObject()
    in_background(paused.work(), "work", words.append, words.append, words.append, owner)
    qtbot.waitUntil(paused.begun.is_set)
    owner.deleteLater()
    qtbot.wait(50)
    paused.go_on.set()
    qtbot.waitUntil(paused.cleaned.is_set)
    qtbot.wait(50)
    assert words == []
