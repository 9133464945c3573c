"""suggest(...): where to paint next, as a generator of events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from napari_unet.config import SuggestConfig
from napari_unet.device import choose as choose_device
from napari_unet.device import largest_tile, memory_problems
from napari_unet.events import Event, Finished, Progress, Started, Suggested
from napari_unet.grey import Grey
from napari_unet.model import load
from napari_unet.places import Place, choose, look_of, places_in, windows
from napari_unet.placing import corner_of
from napari_unet.predict import Predictor
from napari_unet.sections import Sections, Window
from napari_unet.tiles import Box
from napari_unet.unet import folded
from napari_unet.volume import Volume, open_volume
from napari_unet.words import counted

_CLOSE = 0.5  # the model hesitates where its two likeliest classes differ by less in probability
_TILE = 512  # pixels; a training may need the rest of the memory
_COMPARED = 32  # painted places, and sections that hold them, at most


def suggest(config: SuggestConfig, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Name places worth painting next: where the model hesitates, unlike what is painted, far from each other.

    At most eight parts of the stack, of 512 pixels a side, are looked at, whatever its size. What the model says of
    them is what a segmentation would say. See `places.choose` for the order.

    Parameters
    ----------
    config : SuggestConfig
    should_stop : callable
        Asked between two parts; when it returns True, nothing is named.

    Yields
    ------
    Event
        A `Suggested` for each place, the best first; the last is Finished.

    Raises
    ------
    Problem
        If the image, the labels or the model cannot be used.
    """
    compute = choose_device(config)
    model = load(config.model)
    image = open_volume(config.image, config.channel)
    strokes = _Strokes(image, config.labels, whole=config.zero == "background")
    yield Started("suggest", str(compute), counted(image.shape[0], "section"))
    tile = min(_TILE, largest_tile(compute, model.card.width))
    predictor = Predictor(folded(model.net), model.card.classes, compute, tile, best_quality=False)
    sections, places = Sections(image), list[Place]()
    reach = strokes.reach if config.within_labels else []
    looked_at, began = windows(image.shape, config.seed, reach), time.monotonic()
    for done, box in enumerate(looked_at, start=1):
        if should_stop():
            yield Finished(str(config.image), "no place was named", stopped=True)
            return
        window, grey = sections.read(box)
        with memory_problems("Close other programs, or choose another device (--device)."):
            logits = yield from predictor.logits(window, grey, box)
        parts = {part for each in reach if (part := box.shared(each))} if reach else {box}
        boxes = sorted({place for part in parts for place in places_in(part)})
        places += _unpainted(boxes, box, window, grey, _hesitates(logits), strokes.mask(box))
        left = (time.monotonic() - began) / done * (len(looked_at) - done)
        yield Progress(done, len(looked_at), "view", left)
    chosen = choose(places, _painted(sections, strokes), config.count)
    for rank, (place, why) in enumerate(chosen, start=1):
        z, _, y0, y1, x0, x1 = place.box
        yield Suggested(rank, z, y0, y1, x0, x1, why)
    none = "all that was looked at is blank, or something is painted on it"
    yield Finished(str(config.image), f"{counted(len(chosen), 'place')} to paint next" if chosen else none)


def _hesitates(logits: torch.Tensor) -> np.ndarray:
    """Return where the model hesitates between two classes: bool (Y, X)."""
    likeliest = logits.softmax(0).topk(2, 0).values
    return (likeliest[0] - likeliest[1] < _CLOSE).cpu().numpy()


def _unpainted(
    places: Sequence[Box], box: Box, window: Window, grey: Grey, hesitates: np.ndarray, painted: np.ndarray
) -> Iterator[Place]:
    """Yield those places of a box that are neither painted nor all of one grey value, such as the rim of a stack."""
    for place in places:
        here = slice(place.y0 - box.y0, place.y1 - box.y0), slice(place.x0 - box.x0, place.x1 - box.x0)
        pixels = _pixels(window, place)
        if not painted[here].any() and pixels.min() < pixels.max():
            yield Place(place, look_of(grey.normalise(pixels)), float(hesitates[here].mean()))


def _painted(sections: Sections, strokes: _Strokes) -> list[Place]:
    """Return places that are painted, spread over all of them."""
    result = []
    for box in strokes.places():
        window, grey = sections.read(box)
        result.append(Place(box, look_of(grey.normalise(_pixels(window, box)))))
    return result


def _pixels(window: Window, box: Box) -> np.ndarray:
    return window[np.arange(box.y0, box.y1)[:, None], np.arange(box.x0, box.x1)]


class _Strokes:
    """What is painted on an image, in several files.

    Parameters
    ----------
    image : Volume
    files : sequence of Path
    whole : bool
        Whether a section on which something is painted is painted everywhere.
    """

    def __init__(self, image: Volume, files: Sequence[Path], whole: bool) -> None:
        volumes = [open_volume(path, labels=True) for path in files]
        self._shape = image.shape
        self._layers = [(labels, corner_of(image, labels)) for labels in volumes]
        found = {
            z + corner[0]
            for path, (labels, corner) in zip(files, self._layers, strict=True)
            for z in _may_hold_something(path, labels)
            if labels.section(z).any()
        }
        self._sections = sorted(z for z in found if 0 <= z < image.shape[0])
        self._whole = whole

    @property
    def reach(self) -> list[Box]:
        """The parts of the image that the files cover."""
        depth, height, width = self._shape
        image = Box(0, depth, 0, height, 0, width)
        return [box for layer in self._layers if (box := image.shared(_covered(*layer)))]

    def mask(self, box: Box) -> np.ndarray:
        """Return where a box of one section is painted: bool (Y, X)."""
        if self._whole and box.z0 in self._sections:
            return np.ones((box.y1 - box.y0, box.x1 - box.x0), bool)
        result = np.zeros((box.y1 - box.y0, box.x1 - box.x0), bool)
        for labels, (dz, dy, dx) in self._layers:
            if part := box.shared(_covered(labels, (dz, dy, dx))):
                _, _, y0, y1, x0, x1 = part
                here = labels.section(box.z0 - dz, slice(y0 - dy, y1 - dy), slice(x0 - dx, x1 - dx))
                result[y0 - box.y0 : y1 - box.y0, x0 - box.x0 : x1 - box.x0] |= here > 0
        return result

    def places(self) -> list[Box]:
        """Return at most 32 painted places, spread over all that are painted."""
        _, height, width = self._shape
        found = []
        for z in _spread(self._sections, _COMPARED):
            section = Box(z, z + 1, 0, height, 0, width)
            mask = self.mask(section)
            found += [box for box in places_in(section) if mask[box.y0 : box.y1, box.x0 : box.x1].any()]
        return _spread(found, _COMPARED)


def _covered(labels: Volume, corner: tuple[int, int, int]) -> Box:
    """Return the part of an image that labels cover, also beyond its ends."""
    (z, y, x), (depth, height, width) = corner, labels.shape
    return Box(z, z + depth, y, y + height, x, x + width)


def _spread(things: list, count: int) -> list:
    """Return at most `count` of some things, evenly spread over them."""
    return [things[i * len(things) // count] for i in range(count)] if len(things) > count else things


def _may_hold_something(path: Path, labels: Volume) -> list[int]:
    """Return the sections of labels that are worth reading: an empty chunk of a Zarr array has no file."""
    array, chunks = labels.array, path / "0" / "c"
    by_section = getattr(array, "chunks", (0,))[0] == 1 and getattr(array, "shards", None) is None
    if by_section and chunks.is_dir() and array.fill_value == 0:
        return sorted(int(each.name) for each in chunks.iterdir() if each.name.isdigit())
    return list(range(labels.shape[0]))
