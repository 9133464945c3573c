"""Where to paint next: what the model says of a bounded part of the stack, without what is painted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unet import suggest as room
from napari_unet.config import SegmentConfig, SuggestConfig
from napari_unet.events import Event, Finished, Progress, Started, Suggested
from napari_unet.newzarr import create_stack
from napari_unet.places import Place
from napari_unet.problem import Problem
from napari_unet.result import open_result
from napari_unet.samples import IMAGE
from napari_unet.segment import segment
from napari_unet.suggest import suggest

MODEL = "em-membrane-small"
SHAPE = 2, 160, 250  # two rows and two columns of places on each section


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A small part of the sample."""
    return write(tmp_path / "image.tif", tifffile.imread(IMAGE)[:2, :160])


def write(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX"})
    return path


def painted(path: Path, *spots: tuple[int, int, int]) -> Path:
    """Labels with a dot at each spot."""
    labels = np.zeros(SHAPE, np.uint8)
    for z, y, x in spots:
        labels[z, y : y + 5, x : x + 5] = 1
    return write(path, labels)


def asked(image: Path, *labels: Path, **changes: object) -> list[Event]:
    fields = {"image": image, "labels": labels, "model": MODEL, "threads": 1, "precision": "float32"}
    return list(suggest(SuggestConfig.model_validate(fields | changes)))


def suggested(events: list[Event]) -> list[Suggested]:
    return [event for event in events if isinstance(event, Suggested)]


def spot(event: Suggested) -> tuple[int, int, int]:
    return event.z, event.y0, event.x0


def test_places_are_named_in_order_and_the_same_ones_again(image):
    events = asked(image)
    assert isinstance(events[0], Started)
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [(1, 2), (2, 2)]
    assert events[-1] == Finished(str(image), "8 places to paint next")
    places = suggested(events)
    assert [event.rank for event in places] == list(range(1, 9))
    assert {spot(event) for event in places} == {(z, y, x) for z in (0, 1) for y in (0, 80) for x in (0, 128)}
    assert {(event.y1, event.x1) for event in places if spot(event) == (1, 80, 128)} == {(160, 250)}
    assert suggested(asked(image)) == places
    assert suggested(asked(image, count=3)) == places[:3]


def test_the_doubt_is_that_of_the_segmentation(image, tmp_path, monkeypatch):
    seen: list[Place] = []
    monkeypatch.setattr(room, "choose", lambda places, painted, count: seen.extend(places) or [])
    asked(image)
    out = tmp_path / "out.zarr"
    config = SegmentConfig(image=image, out=out, model=MODEL, probabilities=True, threads=1, precision="float32")
    list(segment(config))
    first, second = np.asarray(open_result(out).probabilities[0][:]) / 255
    for each in seen:
        z, _, y0, y1, x0, x1 = each.box
        close = np.abs(first - second)[z, y0:y1, x0:x1] < 0.5
        assert abs(each.doubt - close.mean()) < 0.01  # the result rounds to 255ths
    assert max(each.doubt for each in seen) > 0.02


def test_painted_places_are_left_out_and_compared_with(image, tmp_path):
    labels = painted(tmp_path / "labels.tif", (0, 10, 10), (1, 100, 200))
    more = painted(tmp_path / "more.tif", (0, 78, 10))  # on both sides of a border
    places = {spot(event) for event in suggested(asked(image, labels, more))}
    assert places == {(0, 0, 128), (0, 80, 128), (1, 0, 0), (1, 0, 128), (1, 80, 0)}


def test_where_zero_is_background_the_whole_section_is_painted(image, tmp_path):
    labels = painted(tmp_path / "labels.tif", (0, 10, 10))
    assert {event.z for event in suggested(asked(image, labels))} == {0, 1}
    assert {event.z for event in suggested(asked(image, labels, zero="background"))} == {1}
    both = painted(tmp_path / "both.tif", (0, 10, 10), (1, 10, 10))
    events = asked(image, both, zero="background")
    assert events[-1] == Finished(str(image), "all that was looked at is blank, or something is painted on it")


def test_labels_of_a_part_of_the_image_lie_where_they_say(image, tmp_path):
    labels = create_stack(tmp_path / "labels.zarr", (1, 40, 60), 16, "uint8", None, (1, 100, 150))
    labels[0, 5, 5] = 2
    places = {spot(event) for event in suggested(asked(image, tmp_path / "labels.zarr"))}
    assert len(places) == 7
    assert (1, 80, 128) not in places
    assert not suggested(asked(image, tmp_path / "labels.zarr", within_labels=True))
    create_stack(tmp_path / "small.zarr", (1, 30, 40), 16, "uint8", None, (1, 20, 150))
    found = suggested(asked(image, tmp_path / "labels.zarr", tmp_path / "small.zarr", within_labels=True))
    assert [(event.z, event.y0, event.y1, event.x0, event.x1) for event in found] == [(1, 20, 50, 150, 190)]
    more = tmp_path / "more.zarr"
    create_stack(more, (1, 100, 250), 16, "uint8", None, (0, 0, 0))
    found = suggested(asked(image, tmp_path / "labels.zarr", more, within_labels=True))
    assert {spot(event) for event in found} == {(0, 0, 0), (0, 0, 128)}


def test_a_blank_rim_is_no_place_to_paint(image, tmp_path):
    stack = tifffile.imread(image)
    stack[:, :, 110:] = 0
    stack[1] = 7
    places = {spot(event) for event in suggested(asked(write(tmp_path / "rim.tif", stack)))}
    assert places == {(0, 0, 0), (0, 80, 0)}


def test_a_large_stack_is_read_in_part(tmp_path, monkeypatch):
    path = write(tmp_path / "deep.tif", np.tile(tifffile.imread(IMAGE)[:1, :32, :32], (40, 1, 1)))
    read = set()
    real = room.open_volume

    def opened(*args, **options):
        volume = real(*args, **options)

        class Watched:
            shape, dtype = volume.array.shape, volume.array.dtype

            def __getitem__(self, key):
                read.add(key[0])
                return volume.array[key]

        return type(volume)(Watched(), volume.name, volume.voxel_size, volume.offset)

    monkeypatch.setattr(room, "open_volume", opened)
    events = asked(path)
    assert len(suggested(events)) == 8
    assert len(read) == 8
    assert {spot(event) for event in suggested(asked(path, seed=1))} != {spot(event) for event in suggested(events)}


def test_stop_names_nothing(image):
    config = SuggestConfig(image=image, model=MODEL, threads=1)
    stops = iter([False, True])
    events = list(suggest(config, lambda: next(stops)))
    assert [type(event) for event in events] == [Started, Progress, Finished]
    assert events[-1].stopped


def test_what_cannot_be_used_is_a_problem(image, tmp_path):
    with pytest.raises(Problem, match=r"nothing\.tif"):
        asked(tmp_path / "nothing.tif")
    with pytest.raises(Problem):
        asked(image, write(tmp_path / "labels.tif", np.zeros((2, 9, 9), np.uint8)))
    with pytest.raises(Problem):
        asked(image, model="no-such-model")
