"""How much memory a segmentation takes at most, of a small and of a large volume.

    python benchmarks/memory.py [--gigabytes N ...] [--model NAME]

Sections of 4096 x 4096 pixels, uint8, from Zarr to OME-Zarr with all levels, each volume in a process of its own. Only
16 sections are drawn; the files of the others are hard links to theirs, which are read like any other. The network is
narrow, of random weights, so that 16 GB take half an hour and not seven: what a network takes depends on its tile,
not on the volume. With --model it is a real one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import zarr
from segment import write_stack

from napari_unet.card import Card
from napari_unet.classes import PixelClass
from napari_unet.model import save
from napari_unet.unet import UNet

SIDE, DRAWN = 4096, 16
WIDTH = 2  # of the narrow network


def narrow(path: Path) -> Path:
    """Write a model of random weights."""
    torch.manual_seed(0)
    classes = PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00")
    save(path, UNet(width=WIDTH, batch_norm=True), Card(name=path.stem, classes=classes, width=WIDTH))
    return path


def lengthen(stack: Path, sections: int) -> None:
    """Let a Zarr array have so many sections, which repeat those that it has."""
    array = zarr.open_array(stack, mode="r+")
    drawn = array.shape[0]
    array.resize((sections, *array.shape[1:]))
    for z in range(drawn, sections):
        for row in (stack / "c" / str(z % drawn)).iterdir():
            copy = stack / "c" / str(z) / row.name
            copy.mkdir(parents=True)
            for chunk in row.iterdir():
                os.link(chunk, copy / chunk.name)


def peak_megabytes(command: list[str]) -> float:
    """Return the resident memory that a command takes at most."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_maxrss * (1024 if sys.platform == "linux" else 1) / 1e6


def main() -> None:
    """Print the result: a table on stderr, one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--model", default="", help="instead of the narrow network")
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 takes all cores")
    given = parser.parse_args()
    peaks = {}
    for gigabytes in given.gigabytes:
        with TemporaryDirectory() as folder:
            stack = Path(folder, "stack.zarr")
            write_stack(stack, DRAWN, SIDE)
            lengthen(stack, round(gigabytes * 1e9 / SIDE**2))
            model = given.model or str(narrow(Path(folder, "narrow.safetensors")))
            command = [sys.executable, "-m", "napari_unet.cli", "segment", str(stack), str(Path(folder, "out.zarr"))]
            peaks[gigabytes] = peak_megabytes([*command, "--model", model, "--threads", str(given.threads)])
        print(f"{gigabytes:4} GB   {peaks[gigabytes]:8.0f} MB at most", file=sys.stderr, flush=True)
    print(json.dumps({"peak_mb": peaks, "ratio": max(peaks.values()) / min(peaks.values()), "model": given.model}))


if __name__ == "__main__":
    main()
