"""A job of a napari that died, as its log tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import QObject

from napari_unet import log
from napari_unet.config import SegmentConfig
from napari_unet.events import Event, Failed, Finished, Progress, Started
from napari_unet.widgets.pastjob import PastJob


def in_words(text: str) -> str:
    return text.replace("copies/cells-0a1b.zarr", "cells")


STARTED, HALF = Started("segment", "cpu", "1"), Progress(3, 6, "tile", 9.0)


@pytest.fixture
def past(tmp_path: Path):
    """Make the past job of a log."""
    parent = QObject()

    def past(*events: Event) -> PastJob:
        out = tmp_path / "result.zarr"
        out.mkdir()
        for event in events:
            log.append(out / log.LOG, event)
        return PastJob(parent, "segment", SegmentConfig(image=tmp_path / "a.tif", out=out), None, in_words)

    return past


def test_one_that_died_with_napari_can_be_resumed(past) -> None:
    job = past(STARTED, Finished("out", "1 of 6 tiles", stopped=True), STARTED, HALF)
    assert job.outcome == Failed("The segmentation ended with napari. Press Resume: it goes on where it was.")
    assert job.events == [STARTED, HALF, job.outcome]
    assert (job.running, job.keeps_going, job.progress, job.title) == (False, False, HALF, "result")
    assert job.image is None
    job.stop()


def test_one_that_stopped_by_itself_says_so(past) -> None:
    end = Finished("out", "3 of 6 tiles", stopped=True)
    job = past(STARTED, HALF, end)
    assert (job.events, job.outcome) == ([STARTED, HALF, end], end)


def test_what_its_log_says_is_said_in_the_words_of_the_window(past) -> None:
    job = past(Failed("copies/cells-0a1b.zarr is not there any more."))
    assert job.outcome == Failed("cells is not there any more.")
