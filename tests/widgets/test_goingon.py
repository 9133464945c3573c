from pathlib import Path

import pytest
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unet.config import SegmentConfig
from napari_unet.widgets.choices import choices_in, choose
from napari_unet.widgets.form import Form
from napari_unet.widgets.goingon import GoingOn


def begun(name: str, **where: object) -> SegmentConfig:
    return SegmentConfig(image=Path("stack.tif"), out=Path(f"{name}.zarr"), **where)


@pytest.fixture
def form(qtbot) -> Form:
    form = Form(SegmentConfig, ("device", "threads", "scheduler"))
    qtbot.addWidget(form)
    return form


def test_where_a_segmentation_computes_is_shown_until_it_is_done(form: Form) -> None:
    going = GoingOn(None, None, form, None, None)
    going.compute_as(begun("a", scheduler="tcp://one:1", threads=1))
    assert form.chosen() == {"scheduler": "tcp://one:1", "threads": 1}
    assert going.others() == form.defaults()
    assert form.brought == form.chosen()
    going.done()
    assert form.chosen() == {}


def test_what_was_chosen_stays_and_what_was_cleared_is_so_for_that_one_alone(form: Form) -> None:
    going = GoingOn(None, None, form, None, None)
    for name in ("a", "a"):
        going.compute_as(begun(name, scheduler="tcp://one:1"))
        form.set({"scheduler": "", "threads": 2})
    going.compute_as(begun("a", scheduler="tcp://one:1", threads=1))
    assert form.chosen() == {"threads": 2}
    going.compute_as(begun("b", scheduler="tcp://two:2", threads=1))
    assert form.chosen() == {"scheduler": "tcp://two:2", "threads": 2}


def test_what_was_brought_and_what_was_changed_of_it_outlive_the_panel(qtbot, form: Form) -> None:
    later = Form(SegmentConfig, ("device", "threads", "scheduler"))
    panels = []
    for each in (form, later):
        panels.append(QWidget())
        qtbot.addWidget(panels[-1])
        QVBoxLayout(panels[-1]).addWidget(each)
    form.bring({"threads": 1, "scheduler": "tcp://one:1"})
    form.set({"threads": 2})
    choose(panels[1], choices_in(panels[0], lambda layer: layer), {})
    assert later.chosen() == {"threads": 2, "scheduler": "tcp://one:1"}
    assert later.for_others() == {"device": "auto", "threads": 2, "scheduler": ""}
    form.setParent(None)  # both who added it may delete it
