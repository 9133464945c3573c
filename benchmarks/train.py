"""How near training comes to the bare forward and backward pass of its network.

    python benchmarks/train.py [--steps N] [--threads N]

A training on the bundled sample and its strokes runs as the command line would run it, on the processor and
in float32: each step draws and deforms its crops, updates the weights and their average; between steps the
network is judged, logged and saved. The forward and backward pass alone is timed with the same network on one
batch of the same shape that lies ready in memory: as often as there are steps, half of it before and half
after the training, so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from napari_unet.augment import CHANGES
from napari_unet.config import TrainConfig
from napari_unet.crops import Batch, Crops
from napari_unet.device import Compute, choose
from napari_unet.events import Score
from napari_unet.learner import weighted_cross_entropy
from napari_unet.model import load
from napari_unet.painted import read_painted
from napari_unet.plan import first_network, plan_classes, rules_of
from napari_unet.samples import IMAGE, STROKES
from napari_unet.tiles import CUT
from napari_unet.train import train
from napari_unet.unet import UNet


def ready(config: TrainConfig) -> tuple[UNet, Batch]:
    """Return the network as it is trained, and the batch of the first step."""
    start = load(config.start_from)
    classes, meaning = plan_classes(config, start)
    sections = read_painted(config.pairs, rules_of(config, meaning)).sections
    batch = Crops(sections, len(classes), config.crop, config.seed, "cpu", CHANGES[config.augmentation]).batch(
        0, config.batch
    )
    net = first_network(config, start, classes).to(memory_format=torch.channels_last).train()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # fine-tuning keeps the statistics of the start model
    return net, batch


def pass_seconds(net: UNet, batch: Batch, compute: Compute, times: int) -> list[float]:
    """Time the forward and backward pass of one batch, after one that does not count."""
    seconds = []
    for _ in range(times + 1):
        net.zero_grad(set_to_none=True)
        began = time.perf_counter()
        with compute.autocast():
            logits = net(batch.image)[..., CUT:-CUT, CUT:-CUT]
        weighted_cross_entropy(logits.float(), batch.target, batch.weights).backward()
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def train_seconds(config: TrainConfig) -> float:
    """Time all steps of the training, from the end of the first judgement to the last checkpoint."""
    timed = [(time.perf_counter(), event) for event in train(config)]
    judged = next(at for at, event in timed if isinstance(event, Score))
    return timed[-1][0] - judged


def compare(config: TrainConfig) -> dict[str, float | str]:
    """Time both sides, the bare passes around the training."""
    compute = choose(config)
    net, batch = ready(config)
    half = math.ceil(config.steps / 2)
    before = pass_seconds(net, batch, compute, half)
    seconds = train_seconds(config)
    after = pass_seconds(net, batch, compute, half)
    trained, bare = config.steps / seconds, 1 / median(before + after)
    return {
        "benchmark": "train",
        "device": str(compute),
        "torch": torch.__version__,
        "steps": config.steps,
        "batch": " x ".join(map(str, batch.image.shape)),
        "pass_per_s": bare,
        "train_steps_per_s": trained,
        "ratio": trained / bare,
        "overhead": 1 - trained / bare,
        "pass_s_before": median(before),
        "pass_s_after": median(after),
        "train_s": seconds,
    }


def table(r: dict[str, float | str]) -> str:
    """Say the result in a few lines."""
    lines = [
        f"{r['steps']} steps of {r['batch']}, {r['device']}, torch {r['torch']}",
        f"forward and backward alone {r['pass_per_s']:8.3f} a second"
        f"   {r['pass_s_before']:.2f} s each before, {r['pass_s_after']:.2f} s after",
        f"training steps             {r['train_steps_per_s']:8.3f} a second   {r['train_s']:.1f} s in all",
        f"ratio                      {r['ratio']:8.3f}            the rest is crops, update, judging, saving",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the result: a table on stderr, one JSON object on stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60, help="training steps")
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 takes all cores")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        config = TrainConfig(
            inputs=(IMAGE, STROKES),
            out=Path(folder, "run"),
            steps=options.steps,
            device="cpu",
            precision="float32",
            threads=options.threads,
        )
        result = compare(config)
    print(table(result), file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
