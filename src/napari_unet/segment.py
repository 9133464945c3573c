"""segment(...): a trained model over a whole stack, tile by tile, as a generator of events."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import numpy as np

from napari_unet.ahead import Behind, ahead
from napari_unet.blocks import Block, Place, blocks, nearest_first
from napari_unet.blockwise import Blockwise
from napari_unet.config import SegmentConfig
from napari_unet.device import Compute, choose, lacks_memory, largest_tile, memory_problems
from napari_unet.disk import write_json
from napari_unet.edited import Comparison
from napari_unet.events import Event, Finished, Notice, Progress, Started
from napari_unet.finished import NOT_FINISHED
from napari_unet.formats import in_words
from napari_unet.interrupt import interruptible
from napari_unet.layout import CONFIG, Layout, read_layout
from napari_unet.log import LOG, record
from napari_unet.model import Model, load
from napari_unet.predict import Predictor
from napari_unet.preflight import notices
from napari_unet.problem import Problem
from napari_unet.region import box_of, place_of
from napari_unet.requests import Look
from napari_unet.seams import SIDES, certified, certify, places, windows
from napari_unet.sections import Sections
from napari_unet.store import Store, open_store
from napari_unet.tiles import Box
from napari_unet.unet import folded
from napari_unet.volume import Volume, open_volume
from napari_unet.words import counted, sections

_PATIENCE = 5.0  # seconds to find out, before anything is computed, whether an image is blank or was edited
_REMEDY = "Close other programs, or choose another device (--device)."
_UNCHECKED = "The segmentation is complete, but it was not checked for seams"
_REMEMBERED = 4096  # blocks, about, among which places are drawn that are checked for seams


def segment(
    config: SegmentConfig,
    should_stop: Callable[[], bool] = lambda: False,
    looked_at: Callable[[], Look | None] = lambda: None,
) -> Iterator[Event]:
    """Segment a stack into an OME-Zarr; what a stopped or killed job finished is kept, and the rest is done.

    The result does not depend on the tile size: the image is mirrored at its own border only, tiles start at
    multiples of 16, and grey values are measured over whole sections (arXiv 1505.04597, section 2 and figure 2).

    Parameters
    ----------
    config : SegmentConfig
    should_stop : callable
        Asked before each layer of the network; when it returns True, what is done is made safe and the job ends.
    looked_at : callable
        Asked before each chunk what part of the image somebody looks at, if any: what is near comes first.

    Yields
    ------
    Event
        The last is Finished.

    Raises
    ------
    Problem
        If something the user can mend is wrong; what is finished stays.
    """
    with memory_problems(_REMEDY):
        image = open_volume(config.image, config.channel)
        box = box_of(config.region, image.shape)
        _refuse_blank(image, box)
        begun = _as_begun(config)
        compute = choose(begun)  # after a whole section was read: from now on, what is freed is kept
        model = load(config.model)
        tile = begun.tile or largest_tile(compute, model.card.width)
        exact = begun.model_copy(update={"precision": compute.precision, "tile": tile})

        def events() -> Generator[Event, None, None]:
            with memory_problems(_REMEDY):  # which is logged, then
                yield from _Job(exact, model, image, box, compute, store).events(should_stop, looked_at)

        with open_store(config.out, _layout(exact, model, image, box)) as store:
            write_json(config.out / CONFIG, config.model_dump(mode="json"))
            with closing(events()) as said:  # if the log fails: nothing writes any more when the store is closed
                yield from record(config.out / LOG, said)


class _Job:
    """A segmentation in progress."""

    def __init__(
        self, config: SegmentConfig, model: Model, image: Volume, box: Box, compute: Compute, store: Store
    ) -> None:
        self._config, self._image, self._model, self._box, self._store = config, image, model, box, store
        predictor = Predictor(folded(model.net), model.card.classes, compute, config.tile, config.best_quality)
        self._blockwise = Blockwise(predictor, image, box, store.layout)
        self._compared = Comparison(store.seen, self._blockwise.seen)
        self._kept = store.seen != NOT_FINISHED  # chunks of former runs
        self._tiled: dict[Block, int] = {}  # in tiles of which side blocks were computed
        self._every = 1 + store.total // _REMEMBERED  # of so many sections, the blocks of one are remembered
        self._blank = set[int]()  # sections of the image that show nothing, as far as they were computed now

    def events(self, should_stop: Callable[[], bool], looked_at: Callable[[], Look | None]) -> Iterator[Event]:
        """Compute all chunks that are pending."""
        on = self._config.scheduler or str(self._blockwise.predictor.compute)
        yield Started("segment", on, f"{self._image.name} with {self._model.card.name}")
        end = time.monotonic() + _PATIENCE
        self._refuse_edited(lambda: time.monotonic() > end, spread=True)
        if torn := self._store.torn:
            yield Notice(f"Damaged on the disk, so written again: the coarse levels of {counted(torn, 'section')}.")
        already = not self._store.unfinished and certified(self._store.path)
        if not already:
            yield from self._computed(should_stop, looked_at)
        total = self._store.total
        if self._store.done == total and (left := self._compared.left):
            yield Notice(f"Comparing the image with what it was under {counted(left, 'chunk')} that were kept.")
            self._refuse_edited(should_stop)
        if self._store.done < total or self._compared.left:
            kept = f"{self._store.done:,} of {total:,} chunks are kept"
            lacks = "" if self._store.done < total else ", but not compared with the image"
            yield Finished(str(self._store.path), kept + lacks, True)
        elif already:
            damage = "what was damaged is mended" if torn else "nothing of it is damaged"
            yield Finished(str(self._store.path), f"already done, and {damage}")
        else:
            depth = counted(self._box.z1 - self._box.z0, "section")
            certificate = yield from self._certified(should_stop)
            if certificate is None:
                yield Finished(str(self._store.path), f"{depth} segmented, but not checked for seams", True)
            else:
                yield Finished(str(self._store.path), f"{depth} segmented{certificate}")

    def _computed(self, should_stop: Callable[[], bool], looked_at: Callable[[], Look | None]) -> Iterator[Event]:
        """Compute what is pending until it should stop; say what is worth knowing, and how far it is."""
        total, tile, layout = self._store.total, self._blockwise.predictor.tile, self._store.layout
        done = kept = self._store.done
        named = set[int]()  # sections of which it was said that they show nothing
        # Nobody noted in which tiles a former run computed what is kept: as this run would.
        for z in range(0, layout.shape[0], self._every):
            self._tiled |= dict.fromkeys(blocks(self._store.listed_in(z), tile), tile)
        if damaged := self._store.damaged:
            yield Notice(f"Damaged on the disk, so computed again: {counted(damaged, 'finished chunk')}.")
        if kept:
            yield Notice(f"{kept:,} of {total:,} chunks were finished before and are kept.")
        else:
            named = yield from notices(self._config, self._image, self._box, self._model.card, layout)
        order = nearest_first(
            self._store.unfinished,
            lambda z: blocks(self._store.pending_in(z), tile),
            lambda: _on_result(looked_at(), self._box),
        )
        began, said = time.monotonic(), set[Notice]()
        work = self._there if self._config.scheduler and kept < total else self._here
        for what in work(order, should_stop):
            if isinstance(what, Block):
                done += len(what.chunks)
                pace = (time.monotonic() - began) / (done - kept)
                yield Progress(done, total, "chunk", pace * (total - done))
            elif what not in said:  # once is enough
                said.add(what)
                yield what
        self._store.flush()
        if self._blank - named:
            yield Notice(f"The same grey value everywhere, so the result says nothing: {sections(self._blank)}.")

    def _refuse_edited(self, enough: Callable[[], bool], spread: bool = False) -> None:
        """Raise a Problem if the image is found not to be what finished chunks were computed from."""
        if (z := self._compared.edited(enough, spread)) is not None:
            new = (self._store.seen != NOT_FINISHED) & ~self._kept
            if new.any():  # computed from an image that may be another one everywhere
                self._store.forget(new)
            raise Problem(
                f"Section {self._box.z0 + z} of {self._image.name} is not what it was when {self._store.path} was "
                "computed. Put the former image back, or segment the present one into another result."
            )

    def _certified(self, should_stop: Callable[[], bool]) -> Generator[Notice, None, str | None]:
        """Look for seams; return what is found, in words, None if it should stop.

        All is computed: only an image that is lost is a Problem.
        """
        layout, work = self._store.layout, self._blockwise
        at = places(layout, self._box, self._tiled)
        for side in SIDES:
            certificate = None
            try:
                boxes, half = windows(layout, at, side), self._config.precision != "float32"
                with interruptible(work.predictor.net, should_stop):
                    certificate = certify(work.logits, work.kept, self._store.stored, boxes, side, half)
            except Problem as problem:
                raise Problem(f"{_UNCHECKED}. {problem}") from problem
            except (MemoryError, RuntimeError, OSError, ValueError) as error:  # of device, disk, Zarr
                why = _why_not(error)
                if not lacks_memory(error):
                    break
            else:
                if certificate is None:
                    return None
                self._store.refuse_gone()
                certificate.save(self._store.path)
                return f"; {certificate}"
        self._store.refuse_gone()
        yield Notice(f"{_UNCHECKED}: {why}. To check it, run the same command again.")
        return ""

    def _here(self, order: Iterator[Block], should_stop: Callable[[], bool]) -> Iterator[Notice | Block]:
        """Compute blocks in this process; one thread reads ahead, one writes behind."""
        with Behind() as writer:
            with interruptible(self._blockwise.predictor.net, should_stop):
                for seen in ahead(self._blockwise.read, order):
                    for each in (yield from self._blockwise.compute(seen)):
                        writer.do(self._store.write, each.chunk, each.classes, each.probabilities, each.seen)
                    self._note(seen.block, self._blockwise.predictor.tile, seen.blank)
                    yield seen.block
            writer.settle()

    def _there(self, order: Iterator[Block], should_stop: Callable[[], bool]) -> Iterator[Notice | Block]:
        """Let a cluster compute blocks."""
        try:
            from napari_unet.cluster import computed
        except ImportError as error:
            raise Problem('A cluster needs the package distributed: pip install "napari-unet[distributed]".') from error
        with closing(computed(self._config, self._store.layout, self._box, order, should_stop)) as said:
            for what in said:
                if isinstance(what, Notice):
                    yield what
                    continue
                for chunk, seen in what.seen.items():
                    self._store.written(chunk, seen)
                self._note(what.block, what.tile, what.blank)
                yield what.block
        self._store.sweep()  # a worker that was killed may have left half a chunk

    def _note(self, block: Block, tile: int, blank: bool) -> None:
        """Remember in which tiles a block was computed, if there is room: more than enough to find some seams."""
        if block.z % self._every == 0 or len(self._tiled) < _REMEMBERED:
            self._tiled[block] = tile
        if blank:
            self._blank.add(self._box.z0 + block.z)


def _on_result(look: Look | None, box: Box) -> Place | None:
    """Return where a voxel of the image lies on the result of a box of it."""
    return Place(look.z - box.z0, look.y - box.y0, look.x - box.x0) if look else None


def _why_not(error: Exception) -> str:
    """Return why a result could not be checked."""
    first = str(error).partition("\n")[0] or type(error).__name__  # CUDA goes on about how to debug it
    return "there was not enough memory" if lacks_memory(error) else f"the device or the disk failed ({first})"


def _as_begun(config: SegmentConfig) -> SegmentConfig:
    """Take number format and tile of a result that was begun, unless others are asked for: they are chosen once."""
    try:
        begun = read_layout(config.out).provenance
    except Problem:  # there is none yet, or it is refused later
        return config
    left_open = [name for name, chosen in (("precision", "auto"), ("tile", 0)) if getattr(config, name) == chosen]
    return config.model_copy(update={name: begun[name] for name in left_open if name in begun})


def _layout(config: SegmentConfig, model: Model, image: Volume, box: Box) -> Layout:
    """Say what the result will be and what makes it: all that changes a pixel, and nothing else."""
    z, y, x = place_of(config.place) or image.offset or (0, 0, 0)
    provenance: dict[str, Any] = {
        "model": model.card.name,
        "model_sha256": model.sha256,
        "image": in_words(config.image),
        "image_fingerprint": image.fingerprint(),
        "channel": config.channel,
        "precision": config.precision,
        "tile": config.tile,
        "best_quality": config.best_quality,
        "place": [z, y, x],
    }
    return Layout(
        shape=(box.z1 - box.z0, box.y1 - box.y0, box.x1 - box.x0),
        classes=model.card.classes,
        voxel_size=image.voxel_size,
        offset=(z + box.z0, y + box.y0, x + box.x0),
        probabilities=config.probabilities,
        provenance=provenance,
    )


def _refuse_blank(image: Volume, box: Box) -> None:
    """Raise a Problem if all sections show nothing at all; what cannot be read in a few seconds gets the benefit."""
    sections, end = Sections(image), time.monotonic() + _PATIENCE
    # To and fro: a stack may begin, or end, with many black sections.
    for z in (box.z0 + np.random.default_rng(0).permutation(box.z1 - box.z0)).tolist():
        if time.monotonic() > end or sections.read(Box(z, z + 1, box.y0, box.y0 + 1, box.x0, box.x0 + 1))[1].std:
            return
    raise Problem(f"{image.name} has the same grey value everywhere. Choose the image that shows the tissue.")
