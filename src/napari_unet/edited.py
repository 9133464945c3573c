"""Whether an image still is what the finished chunks of a result were computed from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_unet.layout import Chunk


class Comparison:
    """Compares an image with what finished chunks saw of it, each chunk once.

    Parameters
    ----------
    seen : ndarray, shape (sections, rows, columns), integer
        The checksum of what each finished chunk saw of the image; negative where there is none.
    now : callable
        The checksum of what a chunk would see of the image now.
    """

    def __init__(self, seen: np.ndarray, now: Callable[[Chunk], int]) -> None:
        self._left, self._now = seen.copy(), now

    @property
    def left(self) -> int:
        """How many chunks are still to be compared."""
        return int((self._left >= 0).sum())

    def edited(self, enough: Callable[[], bool], spread: bool = False) -> int | None:
        """Compare until nothing is left, or until it is enough; return a section that is not what it was, if any.

        Parameters
        ----------
        enough : callable
            Asked before each chunk.
        spread : bool
            Jump to and fro among the sections, always in the same order: what was edited in many of them is found soon.

        Raises
        ------
        Problem
            If the image cannot be read.
        """
        sections = np.flatnonzero((self._left >= 0).any(axis=(1, 2)))
        for z in (np.random.default_rng(0).permutation(sections) if spread else sections).tolist():
            for y, x in np.argwhere(self._left[z] >= 0).tolist():
                if enough():
                    return None
                if self._now(Chunk(z, y, x)) != self._left[z, y, x]:
                    return int(z)
                self._left[z, y, x] = -1
        return None
