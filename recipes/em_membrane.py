"""Make a bundled model: prepare the training data, then train with the project's own command.

    python recipes/em_membrane.py DATA WORK em-membrane|em-membrane-small [train options ...]

DATA holds the folders `vnc`, `flyem_medulla` and `chm`; WORK receives the prepared stacks and the run. Run it again
to resume. Weighing the classes alike makes a network see too much membrane, so when the training is done, the bias of
the last layer is shifted until the probabilities fit sections 10-13 of `vnc` best, which were trained on. Then the
model is put into the package, with what `em_membrane.json` says of its data, and with its scores on sections it never
saw.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from scipy import ndimage, optimize, special
from skimage.segmentation import find_boundaries

from napari_unet.card import WEIGHTS
from napari_unet.config import SegmentConfig
from napari_unet.model import SUMS, load, save
from napari_unet.report import report
from napari_unet.result import open_result
from napari_unet.segment import segment

INTERIOR, MEMBRANE = 1, 2
# Each pair is equally likely in a step; a pair named twice is seen twice as often.
SHOWN = ("vnc", "vnc", "vnc", "vnc", "flyem_xy", "flyem_xz", "flyem_yz", "flyem_10nm", "chm")
OPTIONS = {
    "em-membrane": ("--width", "32", "--steps", "2000"),
    "em-membrane-small": ("--width", "16", "--steps", "3500"),
}


def vnc(data: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return sections 0-13 of `stack1`; 14-19 are kept for scores."""
    raw = tifffile.imread(data / "vnc/stack1/raw.tif")[:14]
    membrane = tifffile.imread(data / "vnc/stack1/membranes.tif")[:14] > 0
    return {"vnc": (raw, np.where(membrane, MEMBRANE, INTERIOR).astype(np.uint8))}


def chm(data: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the labelled image."""
    raw = tifffile.imread(data / "chm/train_raw.tif")[None]
    membrane = tifffile.imread(data / "chm/train_labels.tif")[None] > 0
    return {"chm": (raw, np.where(membrane, MEMBRANE, INTERIOR).astype(np.uint8))}


def flyem(data: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return sections of `sample2`, z >= 110: in the three planes, enlarged twice from 10 to 5 nm, and as they are."""
    raw = tifffile.imread(data / "flyem_medulla/sample2/raw.tif")[110:]
    ids = tifffile.imread(data / "flyem_medulla/sample2/neurons.tif")[110:]
    stacks = {}
    for plane, axes in {"xy": (0, 1, 2), "xz": (1, 0, 2), "yz": (2, 0, 1)}.items():
        sections = raw.transpose(axes)[2::5], ids.transpose(axes)[2::5]
        grey = np.stack([ndimage.zoom(section, 2, order=1) for section in sections[0]])
        enlarged = sections[1].repeat(2, 1).repeat(2, 2)
        membrane = np.stack([find_boundaries(section, mode="thick") for section in enlarged])
        membrane = np.stack([ndimage.binary_dilation(section) for section in membrane])
        stacks[f"flyem_{plane}"] = (grey, np.where(membrane, MEMBRANE, INTERIOR).astype(np.uint8))
    thin = np.stack([find_boundaries(section, mode="thick") for section in ids[::2]])
    return stacks | {"flyem_10nm": (raw[::2], np.where(thin, MEMBRANE, INTERIOR).astype(np.uint8))}


def prepare(data: Path, work: Path) -> Path:
    """Write the stacks and labels to learn from into a folder of `work`, unless they are there; return it."""
    stacks = work / "stacks"
    if not stacks.exists():
        stacks.mkdir(parents=True)
        for name, (raw, labels) in (vnc(data) | flyem(data) | chm(data)).items():
            tifffile.imwrite(stacks / f"{name}_raw.tif", raw, compression="zlib")
            tifffile.imwrite(stacks / f"{name}_labels.tif", labels, compression="zlib")
    return stacks


def pairs(stacks: Path, shown: Sequence[str] = SHOWN) -> tuple[Path, ...]:
    """Return image, labels, image, labels ... of the stacks in the folder that `prepare` returned."""
    return tuple(stacks / f"{name}_{part}.tif" for name in shown for part in ("raw", "labels"))


def main() -> None:
    """Prepare what is missing, train, then publish."""
    data, work, name, *options = sys.argv[1:]
    inputs = [str(path.relative_to(work)) for path in pairs(prepare(Path(data), Path(work)))]
    command = ["napari-unet", "train", *inputs, "--out", name, "--start-from", "scratch", *OPTIONS[name]]
    command += ["--classes", "interior,membrane", "--balance", "1", "--border-weight", "5"]
    command += [
        "--augmentation",
        "wide",
        "--crop",
        "240",
        "--batch",
        "4",
        "--seed",
        "1",
        "--threads",
        "1",
        "--precision",
        "bfloat16",
        *options,
    ]
    subprocess.run(command, check=True, cwd=work)
    publish(Path(data), Path(work), name)


def publish(data: Path, work: Path, name: str) -> None:
    """Calibrate the trained model, score it, complete its card, and put it into the package in float16."""
    run, scored = load(str(work / name)), work / f"{name} scored"
    probability, membrane = found_on(work / name, data, "vnc/stack1", range(10, 14), scored)
    shift = calibration(probability, membrane)
    with torch.no_grad():
        run.net.head.bias += torch.tensor([-shift, shift]) / 2
    final = work / f"{name}.safetensors"
    save(final, run.net.half(), run.card)
    scores = {}
    for stack, sections in (("vnc/stack1", range(14, 20)), ("isbi2012", range(10))):
        found = scores_on(final, data, stack, sections, scored)
        where = f"{stack} {sections.start}-{sections.stop - 1}, V_rand"
        scores |= {f"{where} at 0.5": found["at_0.5"]["v_rand"], f"{where} best": found["best"]["v_rand"]}
    card = replace(
        run.card,
        name=name,
        command=f"python recipes/em_membrane.py DATA WORK {name}",
        scores={where: round(score, 4) for where, score in scores.items()},
        about=json.loads(Path(__file__).with_suffix(".json").read_text()),
        voxel_size=((50.0, 4.6, 4.6), (10.0, 5.0, 5.0), (10.0, 10.0, 10.0)),  # of the prepared stacks, nanometres
    )
    save(WEIGHTS / f"{name}.safetensors", run.net, card)
    files = sorted(WEIGHTS.glob("*.safetensors"))
    (WEIGHTS / SUMS).write_text("".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files))


def calibration(probability: np.ndarray, membrane: np.ndarray) -> float:
    """Return what to add to the logits of membrane for the smallest cross-entropy.

    Parameters
    ----------
    probability : ndarray, uint8
        Of membrane; 255 is 1.
    membrane : ndarray of bool, same shape
    """
    odds = special.logit((probability.astype(np.float32) + 0.5) / 256)
    sign = np.where(membrane, -1, 1)
    return float(optimize.minimize_scalar(lambda shift: np.logaddexp(0, sign * (odds + shift)).mean(), (-2, 0)).x)


def scores_on(model: Path, data: Path, stack: str, sections: range, work: Path) -> dict[str, Any]:
    """Score a model on sections of `vnc/stack1` or `isbi2012`; `work` is a folder for this alone."""
    found_on(model, data, stack, sections, work)
    return report(work / "scored.zarr", work / "truth.tif", "membrane")


def found_on(model: Path, data: Path, stack: str, sections: range, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Segment sections into `scored.zarr`, write `truth.tif` beside it; return both for membrane: uint8 and bool."""
    names = {"vnc/stack1": "membranes.tif", "isbi2012": "interior.tif"}
    truth = tifffile.imread(data / stack / names[stack])[sections.start : sections.stop]
    membrane = truth > 0 if stack == "vnc/stack1" else truth == 0
    work.mkdir(exist_ok=True)
    out = work / "scored.zarr"
    tifffile.imwrite(
        work / "truth.tif", np.where(membrane, MEMBRANE, INTERIOR).astype(np.uint8), photometric="minisblack"
    )
    shutil.rmtree(out, ignore_errors=True)
    options = {"region": f"{sections.start}:{sections.stop},:,:", "probabilities": True}
    list(segment(SegmentConfig(image=data / stack / "raw.tif", out=out, model=str(model), **options)))
    return open_result(out).probabilities[0][MEMBRANE - 1], membrane


if __name__ == "__main__":
    main()
