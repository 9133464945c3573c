"""Whether it pays to paint where `napari-unet suggest` says, rather than at random or at evenly spaced places.

    python benchmarks/suggest.py DATA WORK [--seeds N] [--rounds N] [--steps N] [--threads N]

Sections 0-4 of `isbi2012` are painted, sections 5-9 scored; the bundled small model is fine-tuned. In each round,
strokes as a person paints them (`strokes.py`) are painted at the next two places of 128 x 128 pixels, and a training
starts from the bundled model with all that is painted so far. The three ways differ in the places alone: the first ones
that `suggest` names for the model of the round before; drawn at random; of a sequence that fills the stack evenly. What
has a result in WORK is not computed again. Prints a table; writes suggest.png. Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import tifffile
from matplotlib import pyplot
from strokes import paint

from napari_unet.config import SegmentConfig, SuggestConfig, TrainConfig
from napari_unet.events import Suggested
from napari_unet.places import SIDE
from napari_unet.result import open_result
from napari_unet.scores import separation
from napari_unet.segment import segment
from napari_unet.suggest import suggest
from napari_unet.train import train

MODEL = "em-membrane-small"
SECTIONS = 5  # are painted, as many are scored
PLACES, STROKES = 2, 6  # in a round, at a place
WAYS = {"suggested": "where it is suggested", "random": "at random", "even": "evenly spaced"}
_COLORS = {"suggested": "#d55e00", "random": "#009e73", "even": "#0072b2"}

Corner = tuple[int, int, int]  # the first voxel of a place: section, row, column
Results = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Stage:
    """One point of a curve; round 0 is the bundled model, before anything is painted."""

    seed: int
    way: str
    round: int

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.way}, round {self.round}"


NOTHING = Stage(0, "nothing", 0)


def _before(stage: Stage) -> Stage:
    """Return the stage of the round before, which is the same one for all before the first."""
    return Stage(stage.seed, stage.way, stage.round - 1) if stage.round > 1 else NOTHING


def places_at_random(shape: Corner, seed: int) -> Iterator[Corner]:
    """Yield all places of a stack in random order."""
    cells = list(np.ndindex(*_cells(shape)))
    for number in np.random.default_rng(seed).permutation(len(cells)):
        z, y, x = cells[number]
        yield z, y * SIDE, x * SIDE


def evenly_spaced(shape: Corner, seed: int) -> Iterator[Corner]:
    """Yield places of which any number of first ones fill the stack evenly, for ever.

    The additive recurrence of M. Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences" (2018): steps of
    1/g, 1/g^2, 1/g^3 with g^4 = g + 1, from a start that the seed draws.
    """
    step = 1.2207440846057596 ** -np.arange(1.0, 4.0)
    at = np.random.default_rng(seed).random(3)
    while True:
        at = (at + step) % 1
        z, y, x = (at * _cells(shape)).astype(int)
        yield int(z), int(y) * SIDE, int(x) * SIDE


def _cells(shape: Corner) -> Corner:
    return shape[0], shape[1] // SIDE, shape[2] // SIDE


class Bench:
    """The data, and the folder in which everything is kept."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._work, self._steps, self._threads = given.work, given.steps, given.threads
        (self._work / "results").mkdir(parents=True, exist_ok=True)
        images = tifffile.imread(given.data / "isbi2012/raw.tif")[: 2 * SECTIONS]
        self._interior = tifffile.imread(given.data / "isbi2012/interior.tif")[: 2 * SECTIONS] > 0
        self._painted, self._scored = self._work / "painted.tif", self._work / "scored.tif"
        self._shape = (SECTIONS, *images.shape[1:])
        for path, stack in ((self._painted, images[:SECTIONS]), (self._scored, images[SECTIONS:])):
            tifffile.imwrite(path, stack, photometric="minisblack")

    def result(self, stage: Stage) -> dict[str, Any]:
        """Return the result of a stage, computed unless it is there, and those before it."""
        file = self._work / "results" / f"{stage}.json"
        if not file.exists():
            result = asdict(stage) | self._measure(stage)
            file.write_text(json.dumps(result, indent=1), encoding="utf-8")
            print(stage, result, file=sys.stderr, flush=True)
        return json.loads(file.read_text(encoding="utf-8"))

    def _measure(self, stage: Stage) -> dict[str, Any]:
        if stage.round == 0:
            return {"places": [], "pixels": 0, "steps": 0} | self._score(MODEL)
        before = self.result(_before(stage))["places"]
        places = [*before, *self._next(stage, before)]
        labels = self._labels(stage.seed, places)
        tifffile.imwrite(self._file(stage), labels, photometric="minisblack", compression="zlib")
        config = TrainConfig(
            inputs=(self._painted, self._file(stage)),
            out=self._run(stage),
            start_from=MODEL,
            steps=self._steps,
            seed=stage.seed,
            threads=self._threads,
        )
        list(train(config))
        about = {"places": places, "pixels": int(np.count_nonzero(labels)), "steps": self._steps}
        return about | self._score(str(config.out))

    def _next(self, stage: Stage, before: Sequence[Corner]) -> list[Corner]:
        """Return where to paint in this round."""
        if stage.way == "suggested":
            return list(self._suggested(stage))
        order = {"random": places_at_random, "even": evenly_spaced}[stage.way](self._shape, stage.seed)
        taken = list(map(tuple, before))
        while len(taken) < len(before) + PLACES:
            place = next(order)
            if place not in taken:
                taken.append(place)
        return taken[len(before) :]

    def _suggested(self, stage: Stage) -> Iterator[Corner]:
        former, painted = _before(stage), stage.round > 1
        config = SuggestConfig(
            image=self._painted,
            labels=(self._file(former),) if painted else (),
            model=str(self._run(former)) if painted else MODEL,
            count=PLACES,
            seed=stage.seed,
            threads=self._threads,
        )
        for event in suggest(config):
            if isinstance(event, Suggested):
                yield event.z, event.y0, event.x0

    def _labels(self, seed: int, places: Sequence[Corner]) -> np.ndarray:
        """Paint strokes at all places: uint8 (Z, Y, X)."""
        labels = np.zeros(self._shape, np.uint8)
        for z, y, x in places:
            here = z, slice(y, y + SIDE), slice(x, x + SIDE)
            labels[here] = paint(self._interior[here], STROKES, np.random.default_rng([seed, z, y, x]))
        return labels

    def _file(self, stage: Stage) -> Path:
        return self._work / f"{stage}.tif"

    def _run(self, stage: Stage) -> Path:
        return self._work / "runs" / str(stage)

    def _score(self, model: str) -> dict[str, float]:
        """Segment the sections that nobody painted, and score them at the threshold 0.5."""
        out = self._work / "scored.zarr"
        shutil.rmtree(out, ignore_errors=True)
        list(
            segment(SegmentConfig(image=self._scored, out=out, model=model, probabilities=True, threads=self._threads))
        )
        result = open_result(out)
        channel = [each.name for each in result.layout.classes].index("membrane")
        found = result.probabilities[0][channel].astype(np.float32) / 255
        score = separation(found, self._interior[SECTIONS:], 0.5)
        return {"v_rand": score.v_rand, "v_info": score.v_info}


def table(results: Results) -> Iterator[str]:
    """Yield the lines of a table: the mean of the seeds, and each of them."""
    yield "| round | places | painted pixels | painted | V_rand | V_info | V_rand of each seed |"
    yield "|---|---|---|---|---|---|---|"
    for (turn, way), group in _groups(results).items():
        pixels, rand, info = (statistics.mean(each[key] for each in group) for key in ("pixels", "v_rand", "v_info"))
        each = ", ".join(f"{one['v_rand']:.3f}" for one in group)
        yield f"| {turn} | {turn * PLACES} | {pixels:,.0f} | {WAYS.get(way, way)} | {rand:.3f} | {info:.3f} | {each} |"


def plot(results: Results, path: Path) -> None:
    """Draw the curves into an image file: the mean of the seeds, and a dot for each."""
    figure, ax = pyplot.subplots(figsize=(6.4, 4.2))
    groups = _groups(results)
    (nothing,) = groups[0, NOTHING.way]
    for way, name in WAYS.items():
        curve = [(0, [nothing["v_rand"]])] + [
            (statistics.mean(each["pixels"] for each in group), [each["v_rand"] for each in group])
            for (turn, one), group in sorted(groups.items())
            if one == way and turn
        ]
        ax.plot([x for x, _ in curve], [statistics.mean(y) for _, y in curve], c=_COLORS[way], label=name)
        for x, scores in curve:
            ax.plot([x] * len(scores), scores, "o", ms=4, c=_COLORS[way], alpha=0.5)
    ax.set(xlabel="painted pixels", ylabel="V_rand at 0.5, sections 5-9 of isbi2012")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _groups(results: Results) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """Put the seeds of a round and a way together, the rounds in their order."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for each in sorted(results, key=lambda each: each["round"]):
        groups.setdefault((each["round"], each["way"]), []).append(each)
    return groups


def main() -> None:
    """Measure what has no result yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    bench = Bench(given)
    results = [bench.result(NOTHING)]
    for seed, turn, way in product(range(given.seeds), range(1, given.rounds + 1), WAYS):
        results.append(bench.result(Stage(seed, way, turn)))
        plot(results, given.work / "suggest.png")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
