"""What each choice behind fine-tuning is worth: short trainings from the bundled model that differ in one thing.

    python benchmarks/tuning.py DATA WORK [--only NAME ...] [--steps N] [--seeds N] [--threads N] [--model NAME]

Painted and scored as `accuracy.py --develop` does, so that the sections of its final figure stay out of it. Each
result is a JSON file in WORK: run it again to go on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from accuracy import Bench, Stage

from napari_unet import learner, train
from napari_unet.learner import Learner

PAINTINGS = {
    "isbi": ("20 strokes on 1 section", "100 strokes on 2 sections", "1 section", "5 sections"),
    "lucchi": ("2 sections",),
}


@dataclass(frozen=True)
class Variant:
    """One change: settings of the training, constants of the program."""

    settings: dict[str, Any] = field(default_factory=dict)
    constants: tuple[tuple[object, str, Any], ...] = ()


class _EncoderFrozen(Learner):
    """Learns in the expanding path alone."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._net.down.requires_grad_(False)


def _peak(rate: float) -> Variant:
    return Variant({"learning_rate": rate})


VARIANTS = {
    "baseline": Variant(),
    "2 crops of 240": Variant({"crop": 240, "batch": 2}),
    "learning rate 1e-4": _peak(1e-4),
    "learning rate 2e-4": _peak(2e-4),
    "learning rate 1e-3": _peak(1e-3),
    "learning rate 2e-3": _peak(2e-3),
    "wide augmentation": Variant({"augmentation": "wide"}),
    "not held to the start": Variant(constants=((learner, "_HOLD", 0.0),)),
    "encoder frozen": Variant(constants=((train, "Learner", _EncoderFrozen),)),
    "border weight 0": Variant({"border_weight": 0.0}),
    "classes half balanced": Variant({"balance": 0.5}),
    "classes balanced": Variant({"balance": 1.0}),
}


def main() -> None:
    """Train and score what has no result yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--paintings", nargs="+", default=[""], help="paintings whose names contain one of these")
    parser.add_argument("--steps", type=int, default=430)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model", default="em-membrane-small")
    given = parser.parse_args()
    stages = [
        Stage(data, painting, "tuned", seed)
        for data, paintings in PAINTINGS.items()
        for painting in paintings
        for seed in range(given.seeds)
        if any(text in f"{data}, {painting}" for text in given.paintings)
    ]
    for name in given.only:
        for stage in stages:
            bench = Bench(
                argparse.Namespace(**vars(given) | {"develop": True, "work": given.work / name, "results": None}),
                VARIANTS[name].settings,
            )
            if not bench.known(stage):
                for change in VARIANTS[name].constants:
                    patch.object(*change).start()
                scores = bench.keep(stage)
                patch.stopall()
                print(name, scores, file=sys.stderr, flush=True)
    print(table(given.work))


def table(work: Path) -> str:
    """Return the medians over the seeds: a line a variant, a column a painting."""
    columns = [(data, painting) for data, paintings in PAINTINGS.items() for painting in paintings]
    lines = ["| variant | " + " | ".join(map(", ".join, columns)) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in VARIANTS:
        cells = [name]
        for data, painted in columns:
            files = sorted((work / name / "develop/results").glob(f"{data}, {painted}, tuned, *.json"))
            results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
            key = "v_rand" if data == "isbi" else "iou"
            cells.append(f"{statistics.median(each[key] for each in results):.3f}" if results else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
