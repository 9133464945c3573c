"""How near segmenting a stack comes to the bare forward pass of its network.

    python benchmarks/segment.py [--sections N] [--threads N]

A synthetic stack, 1024 x 1024 pixels a section, is segmented with the bundled em-membrane, on the processor
and in float32. The forward pass alone is timed on one tile that lies ready in memory: as often as the stack
has tiles, half of it before and half after the segmentation, so that a machine that slows down slows both.

A section is one chunk and one tile here (1024 pixels kept, 1212 read), so both sides compute the same halo:
what keeps the ratio below 1 is opening, reading, normalising, choosing classes and writing, nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
import zarr
from scipy import ndimage

from napari_unet import tiles
from napari_unet.config import SegmentConfig
from napari_unet.device import Compute, choose
from napari_unet.grey import measure
from napari_unet.model import load
from napari_unet.segment import segment
from napari_unet.unet import folded
from napari_unet.volume import open_volume

SIDE = 1024  # pixels: a section, a chunk and the largest tile
MEGAPIXELS = SIDE**2 / 1e6


def write_stack(path: Path, sections: int) -> None:
    """Write a Zarr array (sections, 1024, 1024), uint8: dark closed curves, like membranes, in noise."""
    shape = (sections, SIDE, SIDE)
    stack = zarr.create_array(path, shape=shape, chunks=(1, SIDE, SIDE), dtype="uint8", dimension_names="zyx")
    rng = np.random.default_rng(0)
    for z in range(sections):
        field = ndimage.gaussian_filter(rng.standard_normal((SIDE, SIDE)), 12)
        membrane = np.exp(-((field / field.std() / 0.15) ** 2))  # where the smooth field crosses zero
        grey = 170 - 100 * membrane + rng.normal(0, 20, (SIDE, SIDE))
        stack[z] = grey.clip(0, 255).astype(np.uint8)


def forward_seconds(config: SegmentConfig, compute: Compute, times: int) -> list[float]:
    """Time the forward pass of the largest tile of the first section, after one that does not count."""
    section = open_volume(config.image).section(0)
    (tile,) = tiles.cover(0, SIDE, 0, SIDE, config.tile)
    pixels = measure(section, config.image.name).normalise(tiles.read(section, tile))
    image = torch.from_numpy(pixels)[None, None].contiguous(memory_format=torch.channels_last)
    net = folded(load(config.model).net).to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode(), compute.autocast():
        net(image)
        for _ in range(times):
            began = time.perf_counter()
            net(image)
            seconds.append(time.perf_counter() - began)
    return seconds


def segment_seconds(config: SegmentConfig) -> float:
    """Time the whole segmentation, from opening the image to the last chunk on the disk."""
    began = time.perf_counter()
    for _ in segment(config):
        pass
    return time.perf_counter() - began


def peak_memory() -> float:
    """Return the most memory this process has held so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def compare(config: SegmentConfig, sections: int) -> dict[str, float | str]:
    """Time both sides, the forward pass around the segmentation."""
    compute = choose(config)
    half = math.ceil(sections / 2)
    loaded = peak_memory()
    before = forward_seconds(config, compute, half)
    forward_peak = peak_memory()
    seconds = segment_seconds(config)
    segment_peak = peak_memory()
    after = forward_seconds(config, compute, half)
    segmented = sections * MEGAPIXELS / seconds
    forward = MEGAPIXELS / median(before + after)
    return {
        "benchmark": "segment",
        "device": str(compute),
        "torch": torch.__version__,
        "sections": sections,
        "forward_mpx_per_s": forward,
        "segment_mpx_per_s": segmented,
        "ratio": segmented / forward,
        "overhead": 1 - segmented / forward,
        "forward_s_before": median(before),
        "forward_s_after": median(after),
        "segment_s": seconds,
        "peak_mb_loaded": loaded,
        "peak_mb_before_segment": forward_peak,
        "peak_mb_after_segment": segment_peak,
    }


def table(r: dict[str, float | str]) -> str:
    """Say the result in a few lines."""
    lines = [
        f"{r['sections']} sections of {SIDE} x {SIDE}, {r['device']}, torch {r['torch']}",
        f"forward alone {r['forward_mpx_per_s']:8.3f} Mpx/s"
        f"   {r['forward_s_before']:.2f} s a tile before, {r['forward_s_after']:.2f} s after",
        f"segment       {r['segment_mpx_per_s']:8.3f} Mpx/s   {r['segment_s']:.1f} s in all",
        f"ratio         {r['ratio']:8.3f}         the same halo is in both",
        f"peak memory   {r['peak_mb_after_segment']:8.0f} MB      "
        f"{r['peak_mb_before_segment']:.0f} MB before it, {r['peak_mb_loaded']:.0f} MB before any pass",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the result: a table on stderr, one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", type=int, default=20, help="sections of the stack")
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 takes all cores")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        image, out = Path(folder, "stack.zarr"), Path(folder, "result.zarr")
        write_stack(image, options.sections)
        config = SegmentConfig(
            image=image,
            out=out,
            device="cpu",
            precision="float32",
            threads=options.threads,
        )
        result = compare(config, options.sections)
    print(table(result), file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
