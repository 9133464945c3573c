"""Make `em-membrane`: prepare the training data, then train with the project's own command.

    python recipes/em_membrane.py DATA WORK [train options ...]

DATA holds the folders `vnc`, `flyem_medulla` and `chm`; WORK receives the prepared stacks and the run. Run it again
to resume. Everything that `em-membrane.json` states about data and split is decided here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage
from skimage.segmentation import find_boundaries

INTERIOR, MEMBRANE = 1, 2


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
    """Return every fifth section of `sample2`, z >= 110, in the three planes, enlarged twice from 10 to 5 nm."""
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
    return stacks


def main() -> None:
    """Prepare what is missing, then train."""
    data, work, *options = sys.argv[1:]
    stacks = Path(work) / "stacks"
    if not stacks.exists():
        stacks.mkdir(parents=True)
        for name, (raw, labels) in (vnc(Path(data)) | flyem(Path(data)) | chm(Path(data))).items():
            tifffile.imwrite(stacks / f"{name}_raw.tif", raw, compression="zlib")
            tifffile.imwrite(stacks / f"{name}_labels.tif", labels, compression="zlib")
    # Each pair is equally likely in a step; a pair named twice is seen twice as often.
    shown = ["vnc", "vnc", "vnc", "flyem_xy", "flyem_xz", "flyem_yz", "chm"]
    pairs = [f"stacks/{name}_{part}.tif" for name in shown for part in ("raw", "labels")]
    command = ["napari-unet", "train", *pairs, "--out", "em-membrane", "--start-from", "scratch"]
    command += ["--classes", "interior,membrane", "--border-weight", "0", *options]
    subprocess.run(command, check=True, cwd=work)


if __name__ == "__main__":
    main()
