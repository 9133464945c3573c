"""check(...) on real files with a bundled model: findings, slips, what stops it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from scipy import ndimage

from napari_unet.check import check
from napari_unet.config import CheckConfig
from napari_unet.events import Event, Failed, Finding, Finished, Notice, Progress, Started
from napari_unet.log import LOG, read
from napari_unet.newzarr import create_stack
from napari_unet.predict import Predictor
from napari_unet.problem import Problem
from napari_unet.samples import IMAGE, TRUTH
from napari_unet.slips import SLIP

SIDE = 128
NAME = "em-membrane-small"


def write(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX"})
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Three sections of a corner of the sample."""
    return write(tmp_path / "image.tif", tifffile.imread(IMAGE)[10:13, :SIDE, :SIDE])


@pytest.fixture
def strokes() -> np.ndarray:
    """Labels of its middle section, as a careful hand paints them: membranes and the midst of cells."""
    truth = tifffile.imread(TRUTH)[11, :SIDE, :SIDE]
    labels = np.zeros((3, SIDE, SIDE), np.uint8)
    labels[1][ndimage.distance_transform_cdt(truth == 1) > 4] = 1
    labels[1][truth == 2] = 2
    pieces, _ = ndimage.label(labels[1], np.ones((3, 3)))
    labels[1][np.bincount(pieces.ravel())[pieces] < 30] = 0
    return labels


def config(tmp_path: Path, *inputs: Path, **changes: object) -> CheckConfig:
    fields = {"inputs": inputs, "out": tmp_path / "out", "start_from": NAME, "threads": 1, "precision": "float32"}
    return CheckConfig.model_validate(fields | changes)


def found(events: list[Event], kind: str = SLIP) -> list[Finding]:
    return [event for event in events if isinstance(event, Finding) and event.kind == kind]


def swapped(labels: np.ndarray) -> tuple[int, int]:
    """Paint a dot of membrane in the midst of the largest cell; return where."""
    depth = ndimage.distance_transform_cdt(np.pad(labels[1] == 1, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    labels[1, y - 5 : y + 6, x - 5 : x + 6] = 2
    return int(y), int(x)


def test_a_slip_is_found_where_it_is_and_good_labels_have_none(image: Path, strokes: np.ndarray, tmp_path) -> None:
    asked = config(tmp_path, image, write(tmp_path / "labels.tif", strokes))
    events = list(check(asked))
    assert isinstance(events[0], Started)
    assert found(events) == []
    assert events[-1] == Finished(str(asked.inputs[1]), "nothing found")
    assert read(asked.out / LOG)[0] == events

    y, x = swapped(strokes)
    events = list(check(config(tmp_path, image, write(tmp_path / "labels.tif", strokes))))
    (slip,) = found(events)
    assert (slip.pair, slip.z) == (0, 1)
    assert max(abs(slip.y - y), abs(slip.x - x)) <= 5
    assert slip.text.startswith(f"Section 1: painted membrane, but {NAME} is 9")
    assert slip.text.endswith(" % sure of interior. A slip?")
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [(1, 1)]
    assert events[-1].detail == "1 finding"


def test_places_are_those_of_the_image(image: Path, strokes: np.ndarray, tmp_path: Path) -> None:
    y, x = swapped(strokes)
    top, left = max(y - 30, 0), max(x - 30, 0)
    part = strokes[1:2, top : y + 30, left : x + 30]
    create_stack(tmp_path / "part.zarr", part.shape, 64, "uint8", None, (1, top, left))[:] = part
    stack = np.asarray(tifffile.imread(image))
    create_stack(tmp_path / "image.zarr", stack.shape, 64, "uint8", None, (0, 0, 0))[:] = stack
    (slip,) = found(list(check(config(tmp_path, tmp_path / "image.zarr", tmp_path / "part.zarr"))))
    assert slip.z == 1
    assert max(abs(slip.y - y), abs(slip.x - x)) <= 5


def test_a_model_that_does_not_know_the_classes_is_not_asked(image: Path, strokes: np.ndarray, tmp_path) -> None:
    swapped(strokes)
    labels = write(tmp_path / "labels.tif", strokes)
    for changes, why in (
        ({"classes": "interior,vesicle"}, f"{NAME} does not know all classes"),
        ({"start_from": "scratch", "classes": "interior,membrane"}, "there is no model to start from"),
    ):
        events = list(check(config(tmp_path, image, labels, **changes)))
        assert Notice(f"Slips cannot be looked for: {why}.") in events
        assert found(events) == []
        assert isinstance(events[-1], Finished)


def test_what_the_labels_alone_tell_is_said_first_and_of_which_layer(
    image: Path, strokes: np.ndarray, tmp_path
) -> None:
    dotted = strokes.copy()
    dotted[2, 5, 7] = 3
    swapped(strokes)
    one, other = write(tmp_path / "one.tif", strokes), write(tmp_path / "other.tif", dotted)
    events = list(check(config(tmp_path, image, one, image, other)))
    kinds = [event.kind for event in events if isinstance(event, Finding)]
    assert kinds == ["unknown", "strays", SLIP]
    assert [(event.pair, event.z) for event in events if isinstance(event, Finding)] == [(1, 2), (1, 2), (0, 1)]
    assert found(events, "unknown")[0].text.startswith(f"{other}: Section 2: the value 3 is painted,")
    (slip,) = found(events)
    assert slip.text.startswith(f"{one}: Section 1:")
    assert slip.painted == strokes[slip.z, slip.y, slip.x] != 0


def test_a_check_stops_between_two_sections(image: Path, strokes: np.ndarray, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.tif", strokes)
    for calls in (1, 4):
        asked = iter([False] * (calls - 1) + [True] * 9)
        last = list(check(config(tmp_path, image, labels), lambda asked=asked: next(asked)))[-1]
        assert isinstance(last, Finished)
        assert last.stopped


def test_labels_that_cannot_be_checked_are_a_problem(image: Path, strokes: np.ndarray, tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.tif", np.zeros_like(strokes))
    with pytest.raises(Problem, match="has no painted pixel") as problem:
        list(check(config(tmp_path, image, empty)))
    assert read(tmp_path / "out" / LOG)[0][-1] == Failed(str(problem.value))
    grey = write(tmp_path / "grey.tif", strokes.astype(np.float32))
    with pytest.raises(Problem, match="holds float32 values, not labels"):
        list(check(config(tmp_path, image, grey)))


def test_memory_stays_flat_on_a_large_stack_that_is_mostly_empty(image: Path, tmp_path: Path, monkeypatch) -> None:
    """Sections are read one at a time, and the network sees only where something is painted."""
    asked = []
    shape = (9, 3000, 3000)
    for name in ("stack", "labels"):
        create_stack(tmp_path / f"{name}.zarr", shape, 512, "uint8", None, (0, 0, 0))
    stack = zarr.open_array(tmp_path / "stack.zarr" / "0")
    stack[4, 1000:1128, 2000:2128] = tifffile.imread(image)[1]
    labels = zarr.open_array(tmp_path / "labels.zarr" / "0")
    labels[4, 1020:1026, 2020:2100], labels[4, 1060:1066, 2020:2100] = 1, 2
    logits = Predictor.logits

    def watched(self, section, grey, box):
        asked.append((box.z0, box.y0, box.y1, box.x0, box.x1))
        return logits(self, section, grey, box)

    monkeypatch.setattr(Predictor, "logits", watched)
    events = list(check(config(tmp_path, tmp_path / "stack.zarr", tmp_path / "labels.zarr")))
    assert isinstance(events[-1], Finished)
    assert asked == [(4, 1020, 1024, 2020, 2048), (4, 1020, 1024, 2048, 2100), (4, 1024, 1066, 2020, 2048),
                     (4, 1024, 1066, 2048, 2100)]  # fmt: skip
