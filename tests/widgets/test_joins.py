from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_unet.requests import Join
from napari_unet.widgets import joins
from napari_unet.widgets.joins import Joins
from napari_unet.widgets.strokes import new_strokes, path_of


class Watch(QObject):
    painted = Signal(object, object)
    painted_in_memory = Signal(str)


class AJob(QObject):
    running = True

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def ask(self, request) -> None:
        self.asked.append(request)


@pytest.fixture
def heard(monkeypatch) -> list[str]:
    said = []
    monkeypatch.setattr(joins, "show_info", said.append)
    return said


def test_only_the_labels_that_it_began_with_join_a_training(tmp_path, heard):
    image = Image(np.zeros((3, 40, 50), np.uint8), name="stack")
    mine, others = (path_of(new_strokes(image, tmp_path, name)) for name in ("mine", "others"))
    watch, job = Watch(), AJob()
    joining = Joins(watch, job, [mine])
    watch.painted.emit(mine, {2, 1})
    assert job.asked == [Join(0, str(mine), (1, 2))]
    assert heard == []
    mine.rename(tmp_path / "away")
    others.rename(mine)
    watch.painted.emit(mine, {1})
    assert len(job.asked) == 1
    assert heard == ["The training that runs does not learn mine: it was not ticked when that began."]
    assert joining.parent() is job
