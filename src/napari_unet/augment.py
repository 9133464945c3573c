"""Augmentation: one warp (elastic, rotation, mirroring, scale) and changes of the grey values, on the device.

All draws come from a generator on the processor, so that a step gives the same crop on every device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

_PLAIN = 0.2  # share of crops that are only turned by right angles and mirrored, so that no pixel is resampled
_ELASTIC = 10.0  # pixels, standard deviation of the displacements (section 3.1 of arXiv 1505.04597)


@dataclass(frozen=True)
class Changes:
    """How far crops are changed.

    Parameters
    ----------
    scale : tuple of float
        Smallest and largest factor.
    grey : float
        How much gain, offset, gamma and their slow changes vary; 1 is much.
    blur : tuple of float
        Standard deviations in pixels, of every second crop.
    noise : tuple of float
        Standard deviations, in those of the section, of every second crop.
    """

    scale: tuple[float, float]
    grey: float
    blur: tuple[float, float]
    noise: tuple[float, float]


CHANGES = {
    # What one microscope does to one kind of tissue, for a model of that.
    "near": Changes(scale=(0.87, 1.15), grey=0.5, blur=(0.3, 1.0), noise=(0.0, 0.3)),
    # What differs between microscopes, for a model that is to travel.
    "wide": Changes(scale=(0.7, 1.5), grey=1.0, blur=(0.3, 2.5), noise=(0.0, 1.0)),
}


def coordinates(side: int, centre: tuple[float, float], scales: tuple[float, float], generator: Generator) -> Tensor:
    """Draw where each pixel of a warped crop comes from.

    Random displacements on a coarse 3 x 3 grid, made smooth by bicubic interpolation (section 3.1 of
    arXiv 1505.04597), after any rotation, mirroring and a scale.

    Parameters
    ----------
    side : int
        Side of the crop, in pixels.
    centre : tuple of float
        Row and column of the section that the middle of the crop shows.
    scales : tuple of float
        Smallest and largest scale.
    generator : Generator

    Returns
    -------
    Tensor, shape (2, side, side), float32
        Row and column in the section, which may lie outside it.
    """
    plain = _uniform(generator) < _PLAIN
    angle = _uniform(generator) * 2 * math.pi
    scale = math.exp(_uniform(generator, *map(math.log, scales)))
    mirrored = -1.0 if _uniform(generator) < 0.5 else 1.0
    coarse = torch.randn(1, 2, 3, 3, generator=generator) * _ELASTIC
    if plain:
        angle, scale, centre = angle // (math.pi / 2) * (math.pi / 2), 1.0, (round(centre[0]), round(centre[1]))
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    # Whole numbers keep a plain crop on whole pixels.
    along = torch.arange(side, dtype=torch.float32) - side // 2
    y, x = torch.meshgrid(along, along * mirrored, indexing="ij")
    grid = torch.stack([cosine * y + sine * x, cosine * x - sine * y])
    if plain:
        grid = grid.round()
    else:
        grid = grid + functional.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)[0]
    return grid + torch.tensor(centre, dtype=torch.float32)[:, None, None]


def warp(window: Tensor, corner: tuple[int, int], grid: Tensor, mode: str) -> Tensor:
    """Take the pixels at `grid` out of a window of a section.

    Parameters
    ----------
    window : Tensor, shape (C, H, W), float32
    corner : tuple of int
        Row and column of the window's first pixel in the section.
    grid : Tensor, shape (2, h, w), float32
        Row and column in the section, inside the window.
    mode : str
        "bilinear" for images, "nearest" for labels.

    Returns
    -------
    Tensor, shape (C, h, w), float32
    """
    size = torch.tensor(window.shape[1:], device=grid.device)
    place = (grid - torch.tensor(corner, device=grid.device)[:, None, None]) * 2
    unit = place / (size - 1).clamp(min=1)[:, None, None] - 1
    # grid_sample wants the column first.
    return functional.grid_sample(
        window[None], unit.flip(0).permute(1, 2, 0)[None], mode=mode, padding_mode="border", align_corners=True
    )[0]


def grey_values(image: Tensor, changes: Changes, generator: Generator) -> Tensor:
    """Change the grey values of a normalised crop as microscopes and preparations do.

    Gain, offset, gamma, slow changes of contrast and brightness, a band without contrast, blur, noise.

    Parameters
    ----------
    image : Tensor, shape (1, H, W), float32
        Normalised to mean 0 and standard deviation 1 over its section.
    changes : Changes
    generator : Generator

    Returns
    -------
    Tensor, shape (1, H, W), float32
    """
    much = changes.grey
    gain, gamma = (math.exp(much * _uniform(generator, -most, most)) for most in (0.4, 0.5))
    slow_gain, slow_offset = (0.3 * much * _slow_field(image, generator) for _ in range(2))
    unit = ((image + 3) / 6).clamp(0, 1) ** gamma
    image = (unit * 6 - 3) * gain * slow_gain.exp() + slow_offset + much * _uniform(generator, -0.4, 0.4)
    if _uniform(generator) < 0.1:
        image = image * _band(image, generator)
    if _uniform(generator) < 0.5:
        image = _blur(image, _uniform(generator, *changes.blur))
    if _uniform(generator) < 0.5:
        noise = torch.randn(image.shape, generator=generator).to(image.device)
        image = image + _uniform(generator, *changes.noise) * noise
    return image


def _uniform(generator: Generator, low: float = 0.0, high: float = 1.0) -> float:
    """Draw one number in [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def _slow_field(image: Tensor, generator: Generator) -> Tensor:
    """Draw a smooth field of about standard normal values, of the image's shape."""
    coarse = torch.randn(1, 1, 4, 4, generator=generator).to(image.device)
    return functional.interpolate(coarse, size=image.shape[1:], mode="bicubic", align_corners=True)[0]


def _band(image: Tensor, generator: Generator) -> Tensor:
    """Draw a factor that takes the contrast away along a soft band in any direction."""
    angle, width = _uniform(generator, 0, math.pi), _uniform(generator, 5, 30)
    y, x = (torch.arange(n, device=image.device, dtype=torch.float32) - n / 2 for n in image.shape[1:])
    distance = math.sin(angle) * y[:, None] + math.cos(angle) * x + _uniform(generator, -0.3, 0.3) * len(y)
    return 1 - _uniform(generator, 0.5, 0.9) * torch.exp(-((distance / width) ** 4))


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Blur with a Gaussian of `sigma` pixels, mirrored at the border."""
    reach = math.ceil(3 * sigma)
    offsets = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma**2), 0)
    padded = functional.pad(image[None], (reach,) * 4, mode="reflect")
    rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1))
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1))[0]
