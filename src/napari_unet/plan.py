"""What a training will be: its classes, its first weights, its number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from napari_unet.augment import CHANGES
from napari_unet.classes import PixelClass, default_colors
from napari_unet.config import TrainConfig
from napari_unet.crops import Crops, Judged
from napari_unet.learner import Learner
from napari_unet.model import Model
from napari_unet.painted import Painted, Rules
from napari_unet.painting import Meaning
from napari_unet.problem import Problem
from napari_unet.unet import UNet

_WIDTH = 16  # from scratch, unless asked otherwise: learns fast on a processor
JUDGEMENTS = 25  # in a whole training
_FROM_SCRATCH, _NEW_CLASSES, _KNOWN_CLASSES = 3e-3, 2e-3, 5e-4  # learning rates, see docs/accuracy.md
_SEPARATORS = ("membrane", "boundary", "border", "background")  # the first that there is separates


def plan_classes(config: TrainConfig, start: Model | None) -> tuple[tuple[PixelClass, ...], Meaning]:
    """Return the classes of the output channels, and what the label values mean.

    The first name is label value 1. Where 0 means background, or objects are given without a class between them,
    a class of value 0 comes first. With objects, the first name is the objects, the second what separates them.

    Raises
    ------
    Problem
        If there are no names, too many for objects, or two classes would be the background.
    """
    names = config.classes
    if not names and config.objects:
        names = ("object",)
    elif not names and start is not None:
        names = tuple(c.name for c in start.card.classes if c.value)
    if not names:
        raise Problem("A training from scratch needs class names. Give them (--classes interior,membrane).")
    if config.objects and len(names) > 2:
        raise Problem("Objects take one or two class names: the objects, and what separates them (--classes).")
    between = config.objects and len(names) == 2
    with_zero = not between and (config.objects or config.zero == "background")
    known = {c.name: c.color for c in start.card.classes if c.name in names} if start else {}
    if config.colors:
        if len(config.colors) != len(names):
            raise Problem(
                f"There are {len(names)} classes and {len(config.colors)} colours. Give one a class (--colors)."
            )
        known = dict(zip(names, config.colors, strict=True))
    new = (color for color in default_colors(len(names)) if color not in known.values())
    classes = tuple(PixelClass(i, name, known.get(name) or next(new)) for i, name in enumerate(names, start=1))
    if with_zero:
        if "background" in [name.lower() for name in names]:
            raise Problem("The background is the class of value 0 here. Give the class names without it (--classes).")
        classes = (PixelClass(0, "background", "#000000"), *classes)
    separator = int(between) if config.objects else _separator(classes)
    meaning = Meaning(tuple(c.value for c in classes), separator, config.objects, config.zero == "background")
    return classes, meaning


def rules_of(config: TrainConfig, meaning: Meaning) -> Rules:
    """Return how what is painted is read and weighed."""
    return Rules(meaning, config.balance, config.border_weight, config.channel)


def _separator(classes: tuple[PixelClass, ...]) -> int | None:
    names = [c.name.lower() for c in classes]
    return next((names.index(name) for name in _SEPARATORS if name in names), None)


def first_network(config: TrainConfig, start: Model | None, classes: tuple[PixelClass, ...]) -> UNet:
    """Return the network to train: the start model's, its last layer new for classes that it does not know."""
    # The weights are drawn on the processor: no GPU's random state is touched.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        if start is None:
            return UNet(classes=len(classes), width=config.width or _WIDTH, batch_norm=True)
        if config.width not in (None, start.card.width):
            raise Problem(
                f"{start.card.name} has width {start.card.width}, which cannot be changed to {config.width}. "
                "Leave the width out, or train from scratch (--start-from scratch)."
            )
        net = UNet(classes=len(classes), width=start.card.width, batch_norm=start.card.batch_norm)
    weights = net.state_dict()
    body = {name: tensor for name, tensor in start.net.state_dict().items() if not name.startswith("head.")}
    net.load_state_dict(weights | body)
    known = [c.name for c in start.card.classes]
    with torch.no_grad():
        for channel, name in enumerate(c.name for c in classes):
            if name in known:
                net.head.weight[channel] = start.net.head.weight[known.index(name)]
                net.head.bias[channel] = start.net.head.bias[known.index(name)]
    return net


def peak_rate(start: Model | None, known: bool) -> float:
    """Return the highest learning rate: the more there is to learn, the higher.

    Parameters
    ----------
    start : Model, optional
    known : bool
        Whether the start model has just the classes to learn.
    """
    if start is None:
        return _FROM_SCRATCH
    return _KNOWN_CLASSES if known else _NEW_CLASSES


def crops_of(config: TrainConfig, painted: Painted, channels: int, device: str) -> Crops:
    """Return the training crops of what is painted, made on a kind of torch device."""
    return Crops(painted.sections, channels, config.crop, config.seed, device, CHANGES[config.augmentation])


def steps_in(
    minutes: float,
    learner: Learner,
    crops: Crops,
    judged: list[Judged],
    config: TrainConfig,
    should_stop: Callable[[], bool],
) -> int:
    """Return how many steps fit into `minutes` on this machine, judging included; 0 if it was stopped meanwhile.

    The trial steps change `learner` and nothing else: give one that is not used afterwards.
    """

    def seconds_of_step(number: int) -> float:
        start = time.perf_counter()
        learner.learn(crops.batch(number, config.batch), number)
        return time.perf_counter() - start

    took = []
    for number in range(4):  # the first one pays for memory and the choice of algorithms
        if should_stop():
            return 0
        took.append(seconds_of_step(number))
    step = sorted(took[1:])[1]
    start = time.perf_counter()
    learner.judge(judged)
    judging = time.perf_counter() - start
    return max(1, round((minutes * 60 - JUDGEMENTS * judging) / step), round(minutes * 30 / step))
