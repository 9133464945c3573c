"""A classifier that slides over an image, one patch a pixel, against the U-Net, which shares its work between pixels.

    python benchmarks/sliding_window.py [--side 512] [--share 1.0] [--threads N]

The classifier is network N4 of Ciresan, Giusti, Gambardella and Schmidhuber, "Deep neural networks segment neuronal
membranes in electron microscopy images" (NIPS 2012), the winner before the U-Net: 95 x 95 patches, four stages of
convolution and pooling, a hidden layer of 200. Both have drawn, untrained weights: only the time is measured, in
one run, in the same number format. Prints JSON; with --share, the classifier sees that share of the pixels, and
its time is multiplied.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from napari_unet.config import SegmentConfig
from napari_unet.device import choose
from napari_unet.grey import measure
from napari_unet.predict import logits
from napari_unet.tiles import Box
from napari_unet.unet import UNet, folded

_PATCH = 95
_AT_ONCE = 256  # patches


def n4() -> nn.Sequential:
    """Return the network N4, two classes."""
    layers: list[nn.Module] = []
    for channels, kernel in ((1, 4), (48, 5), (48, 4), (48, 4)):
        layers += [nn.Conv2d(channels, 48, kernel), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * 3 * 3, 200), nn.ReLU(), nn.Linear(200, 2))


def slide(net: nn.Module, image: Tensor, count: int) -> None:
    """Classify the first `count` pixels of an image (Y, X), each from the patch around it."""
    half = _PATCH // 2
    padded = nn.functional.pad(image[None, None], (half,) * 4, mode="reflect")[0, 0]
    patches = padded.unfold(0, _PATCH, 1).unfold(1, _PATCH, 1)
    for first in range(0, count, _AT_ONCE):
        places = torch.arange(first, min(first + _AT_ONCE, count))
        net(patches[places // image.shape[1], places % image.shape[1]][:, None])


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Time both on the same image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    compute = choose(SegmentConfig(image=".", out=".", threads=given.threads, device="cpu"))
    section = np.random.default_rng(0).integers(0, 255, (given.side, given.side), np.uint8)
    grey, box = measure(section, ""), Box(0, 1, 0, given.side, 0, given.side)
    image, count = torch.from_numpy(grey.normalise(section)), round(section.size * given.share)
    result: dict[str, object] = {"computed on": str(compute), "side": given.side}
    torch.manual_seed(0)
    with torch.inference_mode(), compute.autocast():
        classifier = n4()
        slide(classifier, image, _AT_ONCE)
        result["sliding window, seconds"] = seconds(lambda: slide(classifier, image, count)) / given.share
        for width in (16, 32, 64):
            net = folded(UNet(width=width, batch_norm=True)).to(memory_format=torch.channels_last)
            once = lambda net=net: logits(net, section, grey, box, 1024, compute)  # noqa: E731
            once()
            result[f"U-Net of width {width}, seconds"] = min(seconds(once) for _ in range(3))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
