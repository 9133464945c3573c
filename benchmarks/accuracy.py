"""How well membranes and mitochondria are found, against how much was painted.

    python benchmarks/accuracy.py DATA WORK [--results FOLDER] [--only TEXT ...] [--seeds N] [--steps N] [--develop]
                                            [--list]

`isbi2012`: painted from sections 0-9, scored on 10-19 (with --develop: 0-4 and 5-9). `lucchi`: painted from its
training stack, scored on its test stack (with --develop: the first and the last 8 sections of the training stack).
Three ways learn from the same pixels: the bundled model fine-tuned, the same network from scratch in as many steps,
and a random forest. The steps are those of five minutes on this machine, measured once; ten whole sections take six
times as many. Each stage is one JSON file in FOLDER (else in WORK) and is not computed again, unless the bundled model
is another one now; a training that was interrupted goes on. Prints a table; draws accuracy.png in WORK. Needs the
extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tifffile
from accuracy_report import WAYS, plot, table
from forest import forest
from strokes import INTERIOR, MEMBRANE, paint

from napari_unet.config import SegmentConfig, TrainConfig
from napari_unet.model import load
from napari_unet.result import open_result
from napari_unet.scores import best_separation, overlap, separation
from napari_unet.segment import segment
from napari_unet.train import train

STROKES = {"20 strokes on 1 section": (20, 1), "100 strokes on 2 sections": (100, 2)}
SECTIONS = {f"{n} section{'s' * (n > 1)}": n for n in (1, 2, 5, 10)}
PAINTINGS = {"isbi": ["nothing", *STROKES, *SECTIONS], "lucchi": ["1 section", "2 sections", "5 sections"]}
MODELS = {"isbi": "em-membrane", "lucchi": "em-membrane-small"}  # a new class is learned faster by the small one
MINUTES = 5.0


@dataclass(frozen=True)
class Stage:
    """One point of the curve."""

    data: str
    painting: str
    way: str
    seed: int

    def __str__(self) -> str:
        return f"{self.data}, {self.painting}, {self.way}, seed {self.seed}"


@dataclass(frozen=True)
class Stack:
    """What is painted and what is scored: images uint8 and truths (1 and 2, or 0 and 1), each (Z, Y, X)."""

    image: np.ndarray
    truth: np.ndarray
    scored_image: np.ndarray
    scored_truth: np.ndarray


def stages(seeds: int) -> Iterator[Stage]:
    """Yield all stages in the order of the table; with nothing painted there is one way and one seed."""
    for data, paintings in PAINTINGS.items():
        for painting, way, seed in product(paintings, WAYS, range(seeds)):
            if painting != "nothing" or (way, seed) == ("tuned", 0):
                yield Stage(data, painting, way, seed)


def stack_of(data: str, folder: Path, develop: bool) -> Stack:
    """Read one of the two data sets."""
    if data == "lucchi":
        names = ("train_raw", "train_mitochondria", "test_raw", "test_mitochondria")
        raw, truth, *other = (tifffile.imread(folder / "lucchi" / f"{name}.tif") for name in names)
        if develop:
            other = [raw[8:], truth[8:]]
            raw, truth = raw[:8], truth[:8]
        return Stack(raw, (truth > 0).astype(np.uint8), other[0], (other[1] > 0).astype(np.uint8))
    raw = tifffile.imread(folder / "isbi2012/raw.tif")
    interior = tifffile.imread(folder / "isbi2012/interior.tif") > 0
    truth = np.where(interior, INTERIOR, MEMBRANE).astype(np.uint8)
    half = 5 if develop else 10
    return Stack(raw[:half], truth[:half], raw[half : 2 * half], truth[half : 2 * half])


def painted(stage: Stage, truth: np.ndarray) -> np.ndarray:
    """Return the painted labels (Z, Y, X); 0 is unlabelled for `isbi` and background for `lucchi`."""
    rng = np.random.default_rng(stage.seed)
    order, labels = rng.permutation(len(truth)), np.zeros_like(truth)
    if stage.painting in STROKES:
        count, sections = STROKES[stage.painting]
        for z in order[:sections]:
            labels[z] = paint(truth[z] == INTERIOR, count // sections, rng)
    else:
        chosen = order[: SECTIONS[stage.painting]]
        labels[chosen] = truth[chosen]
    return labels


def where_painted(stage: Stage, labels: np.ndarray) -> np.ndarray:
    """Return which pixels mean something: bool (Z, Y, X)."""
    if stage.data == "isbi":
        return labels > 0
    return np.broadcast_to(labels.any((1, 2), keepdims=True), labels.shape)


class Bench:
    """The folder in which everything is kept; `settings` of the trainings come on top of those of the stage."""

    def __init__(self, given: argparse.Namespace, settings: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.given, self._settings = given, settings
        self._load = cache(load)  # asked for at each stage
        self.work: Path = given.work / ("develop" if given.develop else "final")
        self._results: Path = given.results or self.work / "results"
        for folder in (self.work, self._results):
            folder.mkdir(parents=True, exist_ok=True)

    def known(self, stage: Stage) -> dict[str, Any] | None:
        """Return the result of a stage, None if there is none of the model of now."""
        file = self._results / f"{stage}.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return found if found and found.get("model") == self._sha256(stage) else None

    def keep(self, stage: Stage) -> dict[str, Any]:
        """Measure a stage and keep its result."""
        found = asdict(stage) | {"model": self._sha256(stage)} | self.measure(stage)
        (self._results / f"{stage}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        return found

    def _sha256(self, stage: Stage) -> str | None:
        """Return which weights a stage began with, None where these do not matter."""
        return self._load(self._model(stage)).sha256 if stage.way == "tuned" else None

    def measure(self, stage: Stage) -> dict[str, float]:
        """Train, segment and score."""
        stack = stack_of(stage.data, self.given.data, self.given.develop)
        if stage.painting == "nothing":
            return self._scores(stage, stack, self._model(stage))
        labels = painted(stage, stack.truth)
        here = where_painted(stage, labels)
        about = {"painted": int(here.sum()), "wrong": float(np.mean(labels[here] != stack.truth[here]))}
        if stage.way == "forest":
            wanted = labels == (MEMBRANE if stage.data == "isbi" else 1)
            found = forest(stack.image, wanted, here, stack.scored_image, self.given.threads)
            return about | self._score(stage, stack, found)
        steps = self._steps(stage) * (6 if stage.painting == "10 sections" else 1)
        config = self._config(stage, self._file(f"{stage} labels", labels), stack, steps)
        list(train(config))
        return about | {"steps": steps} | self._scores(stage, stack, str(config.out))

    def _config(self, stage: Stage, labels: Path, stack: Stack, steps: int) -> TrainConfig:
        image = self._file(f"{stage.data} painted", stack.image)
        scratch = {"start_from": "scratch", "width": self._load(self._model(stage)).card.width}
        return TrainConfig(
            inputs=(image, labels),
            out=self.work / "runs" / f"{stage}, {(self._sha256(stage) or 'scratch')[:8]}",
            classes=("interior", "membrane") if stage.data == "isbi" else ("mitochondrion",),
            zero="unlabelled" if stage.data == "isbi" else "background",
            steps=steps,
            minutes=MINUTES,
            seed=stage.seed,
            threads=self.given.threads,
            **(scratch if stage.way == "scratch" else {"start_from": self._model(stage)}),
            **self._settings,
        )

    def _model(self, stage: Stage) -> str:
        return self.given.model or MODELS[stage.data]

    def _steps(self, stage: Stage) -> int:
        """Return how many steps five minutes are on this machine, measured once for each model."""
        if self.given.steps:
            return self.given.steps
        file = self.given.work / f"steps {self._model(stage)}.json"
        if not file.exists():
            stage = Stage(stage.data, "1 section", "tuned", 0)
            stack = stack_of(stage.data, self.given.data, self.given.develop)
            labels = self._file(f"{stage} labels", painted(stage, stack.truth))
            out = self.work / f"calibration {self._model(stage)}"
            config = self._config(stage, labels, stack, 0).model_copy(update={"out": out})
            list(train(config, lambda: True))
            steps = json.loads((config.out / "config.json").read_text())["steps"]
            file.write_text(json.dumps({"steps": steps, "minutes": MINUTES}), encoding="utf-8")
        return json.loads(file.read_text())["steps"]

    def _file(self, name: str, pixels: np.ndarray) -> Path:
        """Write a stack, unless it is there."""
        path = self.work / "stacks" / f"{name}.tif"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            tifffile.imwrite(path, pixels, photometric="minisblack", compression="zlib")
        return path

    def _scores(self, stage: Stage, stack: Stack, model: str) -> dict[str, float]:
        """Score a model, and for what is not from scratch its average over the eight views, too."""
        scores = self._score(stage, stack, self._segmented(stage, stack, model, best_quality=False))
        if stage.way == "scratch":
            return scores
        views = self._score(stage, stack, self._segmented(stage, stack, model, best_quality=True))
        return scores | {f"8 views, {key}": score for key, score in views.items()}

    def _segmented(self, stage: Stage, stack: Stack, model: str, best_quality: bool) -> np.ndarray:
        """Return the probability of the class that is scored: float32 (Z, Y, X)."""
        out = self.work / f"{stage}.zarr"
        shutil.rmtree(out, ignore_errors=True)
        image = self._file(f"{stage.data} scored", stack.scored_image)
        options = {"probabilities": True, "threads": self.given.threads, "best_quality": best_quality}
        list(segment(SegmentConfig(image=image, out=out, model=model, **options)))
        result = open_result(out)
        names = [each.name for each in result.layout.classes]
        channel = names.index("membrane" if stage.data == "isbi" else "mitochondrion")
        found = result.probabilities[0][channel].astype(np.float32) / 255
        shutil.rmtree(out)
        return found

    def _score(self, stage: Stage, stack: Stack, found: np.ndarray) -> dict[str, float]:
        if stage.data == "lucchi":
            return {"iou": overlap((found > 0.5).astype(np.uint8), stack.scored_truth, 1).iou}
        interior = stack.scored_truth == INTERIOR
        fixed, (best_rand, best_info) = separation(found, interior, 0.5), best_separation(found, interior)
        return {
            "v_rand": fixed.v_rand,
            "v_info": fixed.v_info,
            "best v_rand": best_rand.v_rand,
            "best v_info": best_info.v_info,
        }


def main() -> None:
    """Measure what has no result yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--results", type=Path, help="where the results of the stages are kept")
    parser.add_argument("--only", nargs="+", default=[""], help="stages whose names contain one of these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="instead of those of five minutes")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--develop", action="store_true", help="keep the sections of the final figure out of it")
    parser.add_argument("--model", default="", help="instead of the one for each data set")
    parser.add_argument("--list", action="store_true", help="say what would be measured")
    given = parser.parse_args()
    bench, results = Bench(given), []
    for stage in stages(given.seeds):
        wanted = any(text in str(stage) for text in given.only)
        found = bench.known(stage)
        if given.list:
            print(stage, "(done)" if found else "" if wanted else "(left out)")
            continue
        if wanted and not found:
            found = bench.keep(stage)
            print(found, file=sys.stderr, flush=True)
        if found:
            results.append(found)
    if not given.list:
        plot(results, bench.work / "accuracy.png")
        print("\n".join(table(results)))


if __name__ == "__main__":
    main()
