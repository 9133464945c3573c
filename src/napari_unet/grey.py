"""Grey values of a section: measured once over the whole section, so that no tile has its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_unet.problem import Problem

_SAMPLE = 1_000_000  # about so many pixels are looked at, at most
_LEAST = 0.01  # what is left beside black padding must be this share of the section, else nothing is left out


@dataclass(frozen=True)
class Grey:
    """Mean and standard deviation of the grey values of a section; `std` is 0 where all are the same."""

    mean: float
    std: float

    def normalise(self, pixels: np.ndarray) -> np.ndarray:
        """Return (pixels - mean) / std as float32, any shape; 0 where the section is constant."""
        wide: np.ndarray = pixels.astype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
        wide -= self.mean
        wide /= self.std or np.inf
        return wide.astype(np.float32, copy=False)


def measure(section: np.ndarray, name: str) -> Grey:
    """Measure the grey values of a section, without the black padding around aligned sections.

    Parameters
    ----------
    section : ndarray, shape (Y, X), integer or float
    name : str
        What to call it in a message.

    Returns
    -------
    Grey
        From a fixed, evenly spaced subset of about a million pixels, or all of a smaller section.

    Raises
    ------
    Problem
        If a grey value is not a number or infinite, or so large that their spread is.
    """
    refuse_no_numbers(section, name)
    sample = measured(section)
    seen = sample[~_padding(sample)]
    if seen.size < _LEAST * sample.size:
        seen = sample.ravel()
    # Constant sections must give exactly 0, which rounding in the standard deviation would not.
    with np.errstate(over="ignore", invalid="ignore"):
        std = float(seen.std(dtype=np.float64)) if seen.min() < seen.max() else 0.0
        mean = float(seen.mean(dtype=np.float64))
    if not math.isfinite(mean + std):
        raise Problem(
            f"{name} holds grey values too large to compute with, up to {seen.max():.1g}. "
            "Divide the stack by a large number, or save it as whole numbers of 8 or 16 bit."
        )
    return Grey(mean, std)


def measured(section: np.ndarray) -> np.ndarray:
    """Return the pixels of a section, (Y, X), that `measure` looks at: some rows and columns of it."""
    step = max(1, math.ceil(math.sqrt(section.size / _SAMPLE)))
    return section[::step, ::step]


def refuse_no_numbers(pixels: np.ndarray, name: str) -> None:
    """Raise a Problem if a grey value of `pixels`, any shape, is not a number or infinite."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise Problem(
            f"{name} holds grey values that are not numbers or are infinite. "
            "Replace them, for example with 0, and start again, a segmentation under another name."
        )


def _padding(sample: np.ndarray) -> np.ndarray:
    """Return where the section is exactly 0 in one piece with its border."""
    black = sample == 0
    if not (black[0].any() or black[-1].any() or black[:, 0].any() or black[:, -1].any()):
        return np.zeros(sample.shape, bool)
    pieces = ndimage.label(black)[0]
    border = np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
    return np.isin(pieces, border[border > 0])
