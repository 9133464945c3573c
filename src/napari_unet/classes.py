"""The classes of a segmentation: value, name and colour."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Interior light blue and membrane orange first: they stay apart on grey and for every kind of colour vision
# (Okabe and Ito, "Color Universal Design", 2008, without black).
_PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
_GOLDEN = 0.618034  # a step round the colour wheel that never comes back to the same hue


@dataclass(frozen=True)
class PixelClass:
    """One meaning of a pixel: its value in the class map (1 to 254, background 0), a name, a colour as `#rrggbb`."""

    value: int
    name: str
    color: str


def tint(rgb: np.ndarray, where: np.ndarray, color: str) -> None:
    """Lay `color` half transparent over the pixels `where`, bool (Y, X), of the picture `rgb` (Y, X, 3), in place."""
    rgb[where] = (rgb[where] + list(bytes.fromhex(color[1:]))) / 2


def default_colors(n: int) -> tuple[str, ...]:
    """Return `n` distinct colours as `#rrggbb`, the first for interiors, the second for membranes."""
    more = (colorsys.hsv_to_rgb(_GOLDEN * k % 1, 0.7, 0.9) for k in range(n - len(_PALETTE)))
    return (*_PALETTE[:n], *("#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in more))
