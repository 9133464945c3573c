"""What each choice behind the bundled model is worth: short trainings that differ in one thing.

    python benchmarks/ablation.py DATA WORK [--only NAME ...] [--steps N] [--threads N] [--list]

Width 16, seed 1, otherwise as `recipes/em_membrane.py`; scored unpainted on `isbi2012` 0-9 (another microscope) and on
`vnc` 14-19 (the same one). Each variant is a run folder in WORK and a JSON file beside it: run it again to go on.
Self-training also learns from stacks that nobody labelled, as `em-membrane` sees them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import tifffile

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from em_membrane import INTERIOR, MEMBRANE, SHOWN, pairs, prepare, scores_on

from napari_unet import augment, learner
from napari_unet.config import SegmentConfig, TrainConfig
from napari_unet.result import open_result
from napari_unet.segment import segment
from napari_unet.train import train

UNLABELLED = {"vnc2": "vnc/stack2"}
SURE = 0.85  # of a class; pixels less sure are not learned


@dataclass(frozen=True)
class Variant:
    """One change: settings of the training, pairs shown, constants of the program, changes of the crops."""

    options: dict[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] = SHOWN
    constants: tuple[tuple[object, str, Any], ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)


VARIANTS = {
    "baseline": Variant(),
    "4 crops of 112": Variant({"crop": 112, "batch": 4}),
    "border weights 0": Variant({"border_weight": 0.0}),
    "border weights 10": Variant({"border_weight": 10.0}),
    "classes weighed alike": Variant({"balance": 0.0}),
    "vnc alone": Variant(shown=("vnc",)),
    "all pairs alike": Variant(shown=tuple(dict.fromkeys(SHOWN))),
    "no grey-value augmentation": Variant(constants=((augment, "grey_values", lambda image, *_: image),)),
    "milder blur and noise": Variant(changes={"blur": (0.3, 1.5), "noise": (0.0, 0.5)}),
    "no scale": Variant(changes={"scale": (1.0, 1.0)}),
    "scale 0.5-2": Variant(changes={"scale": (0.5, 2.0)}),
    "no elastic": Variant(constants=((augment, "_ELASTIC", 0.0),)),
    "learning rate 1e-3": Variant({"learning_rate": 1e-3}),
    "learning rate 1e-2": Variant({"learning_rate": 1e-2}),
    "average over 50 steps": Variant(constants=((learner, "_AVERAGE", 0.98),)),
    "self-training": Variant(shown=SHOWN + ("vnc2",) * 4),
}


def main() -> None:
    """Train and score what has no result yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    stacks = prepare(given.data, given.work)
    for name in given.only:
        result = given.work / f"{name}.json"
        if not result.exists():
            scores = trained(name, stacks, given)
            result.write_text(json.dumps(scores, indent=1), encoding="utf-8")
            print(name, scores, file=sys.stderr)
    print("| variant | isbi2012 0-9, at 0.5 | best | vnc 14-19, at 0.5 | best |\n|---|---|---|---|---|")
    for name in VARIANTS:
        if (result := given.work / f"{name}.json").exists():
            scores = json.loads(result.read_text(encoding="utf-8"))
            print(f"| {name} | " + " | ".join(f"{scores[key]:.3f}" for key in scores if key != "seconds") + " |")


def trained(name: str, stacks: Path, given: argparse.Namespace) -> dict[str, float]:
    """Train a variant and return its V_rand."""
    variant = VARIANTS[name]
    for unlabelled in set(UNLABELLED) & set(variant.shown):
        label(unlabelled, stacks, given)
    began = time.perf_counter()
    settings = {
        "crop": 240,
        "batch": 2,
        "balance": 1.0,
        "border_weight": 5.0,
        "augmentation": "wide",
        "seed": 1,
        "steps": given.steps,
        "threads": given.threads,
    } | variant.options
    config = TrainConfig(
        inputs=pairs(stacks, variant.shown),
        out=given.work / name,
        start_from="scratch",
        classes=("interior", "membrane"),
        width=16,
        **settings,
    )
    changes = [patch.object(*change) for change in variant.constants]
    changes.append(patch.dict(augment.CHANGES, wide=replace(augment.CHANGES["wide"], **variant.changes)))
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(change)
        list(train(config))
    seconds = time.perf_counter() - began
    scores = {}
    for stack, sections in (("isbi2012", range(10)), ("vnc/stack1", range(14, 20))):
        found = scores_on(config.out, given.data, stack, sections, given.work / f"{name} scored")
        scores |= {f"{stack} {kind}": found[kind]["v_rand"] for kind in ("at_0.5", "best")}
    return scores | {"seconds": seconds}


def label(name: str, stacks: Path, given: argparse.Namespace) -> None:
    """Write an unlabelled stack and where `em-membrane`, over 8 views, is sure of a class, unless they are there."""
    raw, labels = pairs(stacks, (name,))
    if labels.exists():
        return
    tifffile.imwrite(raw, tifffile.imread(given.data / UNLABELLED[name] / "raw.tif"), compression="zlib")
    out = given.work / f"{name}.zarr"
    config = SegmentConfig(
        image=raw, out=out, model="em-membrane", probabilities=True, best_quality=True, threads=given.threads
    )
    list(segment(config))
    membrane = np.asarray(open_result(out).probabilities[0][MEMBRANE - 1]) / 255
    sure = np.select([membrane >= SURE, membrane <= 1 - SURE], [MEMBRANE, INTERIOR])
    tifffile.imwrite(labels, sure.astype(np.uint8), compression="zlib")


if __name__ == "__main__":
    main()
