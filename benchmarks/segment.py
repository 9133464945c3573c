"""How near segmenting a stack comes to the bare forward pass of its network, and what a sliding window takes.

    python benchmarks/segment.py [--sections N] [--side N] [--model NAME] [--device NAME] [--precision NAME]

A synthetic stack is segmented in one run, with the same weights, device and precision,

(a) as the bare forward pass of the largest tile, which lies ready in memory: half of it before and half after (b), so
    that a machine that slows down slows both. Its limit leaves the halo out, whose share is known and the same in (b);
(b) by `segment`, from Zarr to multiscale OME-Zarr, all levels, seams checked;
(c) by MONAI's `SlidingWindowInferer` around the same network, which mirrors each window at its own border, from Zarr to
    Zarr: windows of 512, overlaps 0.25 and 0.5, the fastest of the batches 1, 2 and 4; a few sections are enough.

Needs MONAI (`pip install monai`).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import zarr
from monai.inferers import SlidingWindowInferer
from scipy import ndimage

from napari_unet import tiles
from napari_unet.config import SegmentConfig
from napari_unet.device import Compute, choose, largest_tile
from napari_unet.grey import measure
from napari_unet.model import load
from napari_unet.segment import segment
from napari_unet.tiles import CUT, MARGIN, Tile
from napari_unet.unet import UNet, folded
from napari_unet.volume import open_volume

CHUNK = 1024  # pixels: no tile keeps more on a processor
WINDOW = 512


def write_stack(path: Path, sections: int, side: int) -> None:
    """Write a Zarr array (sections, side, side), uint8: dark closed curves, like membranes, in noise."""
    shape, chunks = (sections, side, side), (1, min(side, CHUNK), min(side, CHUNK))
    stack = zarr.create_array(path, shape=shape, chunks=chunks, dtype="uint8", dimension_names="zyx")
    rng = np.random.default_rng(0)
    for z in range(sections):
        field = ndimage.gaussian_filter(rng.standard_normal((side, side)), 12)
        membrane = np.exp(-((field / field.std() / 0.15) ** 2))  # where the smooth field crosses zero
        grey = 170 - 100 * membrane + rng.normal(0, 20, (side, side))
        stack[z] = grey.clip(0, 255).astype(np.uint8)


def forward_seconds(config: SegmentConfig, compute: Compute, tile: int, times: int) -> list[float]:
    """Time the forward pass of a whole tile of the first section, after one that does not count."""
    section = open_volume(config.image).section(0)
    pixels = measure(section, config.image.name).normalise(tiles.read(section, Tile(0, tile, 0, tile)))
    image = torch.from_numpy(pixels)[None, None].to(compute.kind).contiguous(memory_format=torch.channels_last)
    net = network(config, compute)
    seconds = []
    with torch.inference_mode(), compute.autocast():
        for _ in range(times + 1):
            began = time.perf_counter()
            net(image)[0, 0, 0, 0].item()
            seconds.append(time.perf_counter() - began)
    return seconds[1:]


def network(config: SegmentConfig, compute: Compute) -> UNet:
    """Return the network as `segment` computes with it."""
    return folded(load(config.model).net).to(compute.kind, memory_format=torch.channels_last)


def segment_seconds(config: SegmentConfig) -> float:
    """Time the whole segmentation, from opening the image to the seams that were checked."""
    began = time.perf_counter()
    for _ in segment(config):
        pass
    return time.perf_counter() - began


def peer_seconds(config: SegmentConfig, compute: Compute, overlap: float, batch: int, sections: int) -> float:
    """Time MONAI's sliding window on some sections, from Zarr to Zarr."""
    net, image = network(config, compute), open_volume(config.image)

    def padded(windows: torch.Tensor) -> torch.Tensor:
        mirrored = torch.nn.functional.pad(windows, (MARGIN,) * 4, mode="reflect")
        with compute.autocast():
            return net(mirrored.contiguous(memory_format=torch.channels_last))[..., CUT:-CUT, CUT:-CUT]

    inferer = SlidingWindowInferer((WINDOW, WINDOW), batch, overlap)
    began = time.perf_counter()
    out = zarr.create_array(
        config.out.with_name("peer.zarr"), shape=image.shape, chunks=(1, CHUNK, CHUNK), dtype="uint8", overwrite=True
    )
    with torch.inference_mode():
        for z in range(sections):
            section = image.section(z)
            grey = torch.from_numpy(measure(section, "").normalise(section))[None, None].to(compute.kind)
            out[z] = inferer(grey, padded)[0].argmax(0).to(torch.uint8).cpu().numpy() + 1
    return time.perf_counter() - began


def compare(config: SegmentConfig, given: argparse.Namespace) -> dict[str, float | str]:
    """Time all of them, the forward pass around the segmentation."""
    compute = choose(config)
    tile = min(largest_tile(compute, load(config.model).card.width), given.side, CHUNK)
    pixels = given.side**2 / 1e6
    times = max(2, math.ceil(given.sections * (given.side / tile) ** 2 / 8))
    before = forward_seconds(config, compute, tile, times)
    seconds = segment_seconds(config)
    limit = tile**2 / 1e6 / median(before + forward_seconds(config, compute, tile, times))
    result: dict[str, float | str] = {
        "device": str(compute), "torch": torch.__version__, "monai": version("monai"), "model": config.model,
        "sections": given.sections, "side": given.side, "tile": tile,
        "forward_mpx_per_s": limit, "segment_mpx_per_s": given.sections * pixels / seconds,
    }  # fmt: skip
    for overlap in (0.25, 0.5):
        peer_seconds(config, compute, overlap, 1, 1)  # pays for the choice of algorithms
        found = {batch: peer_seconds(config, compute, overlap, batch, given.peer_sections) for batch in (1, 2, 4)}
        batch = min(found, key=lambda each: found[each])
        result |= {f"monai_{overlap}_mpx_per_s": given.peer_sections * pixels / found[batch], f"batch_{overlap}": batch}
    return result


def table(r: dict[str, Any]) -> str:
    """Say the result in a few lines."""
    ours = r["segment_mpx_per_s"]
    lines = [
        f"{r['sections']} sections of {r['side']} x {r['side']}, {r['model']}, {r['device']}, torch {r['torch']}",
        f"(a) forward alone     {r['forward_mpx_per_s']:8.3f} Mpx/s kept, tiles of {r['tile']}",
        f"(b) segment           {ours:8.3f} Mpx/s   {ours / r['forward_mpx_per_s']:.2f} of (a)",
    ]
    for overlap in (0.25, 0.5):
        peer = r[f"monai_{overlap}_mpx_per_s"]
        lines.append(
            f"(c) MONAI {r['monai']}, {overlap:4} {peer:8.3f} Mpx/s   "
            f"(b) is {ours / peer:.2f} times as fast; batch {r[f'batch_{overlap}']}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the result: a table on stderr, one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", type=int, default=24)
    parser.add_argument("--peer-sections", type=int, default=2, help="of them, for the sliding window")
    parser.add_argument("--side", type=int, default=2048, help="rows and columns of a section")
    parser.add_argument("--model", default="em-membrane")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 takes all cores")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        image, out = Path(folder, "stack.zarr"), Path(folder, "result.zarr")
        write_stack(image, given.sections, given.side)
        fields = {"model": given.model, "device": given.device, "precision": given.precision, "threads": given.threads}
        result = compare(SegmentConfig.model_validate(fields | {"image": image, "out": out}), given)
    print(table(result), file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
