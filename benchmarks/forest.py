"""The bundled model, unpainted, against a random forest trained on one section of the same stack.

    python benchmarks/forest.py DATA [--threads N]

The forest sees multi-scale features (intensity, edges, texture; sigma 1 to 16), as ilastik-style tools do, and learns
from every pixel of one whole section; the model has seen nothing of `isbi2012`, and of `vnc` only sections 0-13. Both
are scored in one run on the same sections with the ISBI 2012 metrics. Needs the extra `bench`. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

from napari_unet.config import SegmentConfig
from napari_unet.report import report
from napari_unet.scores import best_separation, separation
from napari_unet.segment import segment

INTERIOR, MEMBRANE = 1, 2


def main() -> None:
    """Score both on both stacks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model", default="em-membrane")
    given = parser.parse_args()
    isbi = tifffile.imread(given.data / "isbi2012/raw.tif"), tifffile.imread(given.data / "isbi2012/interior.tif") > 0
    vnc = given.data / "vnc/stack1"
    stacks = {
        "isbi2012 1-9, forest learns 0": (*isbi, 0, slice(1, 10)),
        "vnc 14-19, forest learns 13": (
            tifffile.imread(vnc / "raw.tif"),
            tifffile.imread(vnc / "membranes.tif") == 0,
            13,
            slice(14, 20),
        ),
    }
    scores = {}
    for name, (raw, interior, learned, scored) in stacks.items():
        one = slice(learned, learned + 1)
        everywhere = np.ones_like(interior[one])
        membrane = forest(raw[one], ~interior[one], everywhere, raw[scored], given.threads)
        best, fixed = best_separation(membrane, interior[scored])[0], separation(membrane, interior[scored], 0.5)
        scores[name] = {
            "forest": {"best": best.v_rand, "at_0.5": fixed.v_rand},
            "em-membrane": unpainted(raw, interior, scored, given.model, given.threads),
        }
    print(json.dumps(scores, indent=1))


def forest(raw: np.ndarray, wanted: np.ndarray, painted: np.ndarray, scored: np.ndarray, threads: int) -> np.ndarray:
    """Return the forest's probability of a class on the scored sections: float32 (Z, Y, X).

    It learns from the pixels of the stack `raw` that are `painted`, where they are of the `wanted` class and where not;
    all (Z, Y, X).
    """

    def features(section: np.ndarray) -> np.ndarray:
        found = multiscale_basic_features(section, sigma_min=1, sigma_max=16, num_sigma=5)
        return found.reshape(section.size, -1)

    chosen = np.flatnonzero(painted.any((1, 2)))
    learned = np.concatenate([features(raw[z])[painted[z].ravel()] for z in chosen])
    trees = RandomForestClassifier(50, min_samples_leaf=10, max_samples=0.1, n_jobs=threads or -1, random_state=0)
    trees.fit(learned, wanted[painted])
    sections = [trees.predict_proba(features(section))[:, 1].reshape(section.shape) for section in scored]
    return np.stack(sections).astype(np.float32)


def unpainted(raw: np.ndarray, interior: np.ndarray, scored: slice, model: str, threads: int) -> dict[str, float]:
    """Return V_rand of the bundled model on the scored sections."""
    with tempfile.TemporaryDirectory() as folder:
        image, truth, out = (Path(folder) / name for name in ("image.tif", "truth.tif", "out.zarr"))
        tifffile.imwrite(image, raw, photometric="minisblack")
        classes = np.where(interior[scored], INTERIOR, MEMBRANE).astype(np.uint8)
        tifffile.imwrite(truth, classes, photometric="minisblack")
        region = f"{scored.start}:{scored.stop},:,:"
        config = SegmentConfig(image=image, out=out, model=model, region=region, probabilities=True, threads=threads)
        list(segment(config))
        scores = report(out, truth, "membrane")
    return {"best": scores["best"]["v_rand"], "at_0.5": scores["at_0.5"]["v_rand"]}


if __name__ == "__main__":
    main()
