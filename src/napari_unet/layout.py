"""What a result is on disk: chunks, pyramid levels, metadata.

A result is one OME-Zarr 0.5 folder::

    OUT.zarr/
      zarr.json             OME metadata; attribute "napari-unet": the layout
      0/ 1/ ...             class map, uint8 (Z, Y, X), and its coarse levels
      probabilities/0/ ...  uint8 (C, Z, Y, X), 255 = probability 1, when asked for
      config.json           the settings it was last asked for with
      log.jsonl             one event a line

`store.py` fills it, and keeps its own two files beside these.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import zarr

from napari_unet import __version__
from napari_unet.classes import PixelClass
from napari_unet.newzarr import create_level, describe, label_colors
from napari_unet.problem import Problem, reading

CHUNK = 1024
COARSE_CHUNK = CHUNK // 2
NOT_COMPUTED = 255
CONFIG = "config.json"


class Chunk(NamedTuple):
    """One chunk of the class map, by its indices; z is the section."""

    z: int
    y: int
    x: int

    def box(self, shape: tuple[int, int, int]) -> tuple[int, int, int, int]:
        """Return (y0, y1, x0, x1), its pixels in an array of `shape` (Z, Y, X), ends excluded."""
        y, x = self.y * CHUNK, self.x * CHUNK
        return y, min(y + CHUNK, shape[1]), x, min(x + CHUNK, shape[2])


@dataclass(frozen=True)
class Layout:
    """What is fixed when a result is created, and compared when it is resumed.

    Attributes
    ----------
    shape : tuple of int
        (Z, Y, X) of the segmented region, in voxels.
    classes : tuple of PixelClass
        In the order of the probability channels.
    voxel_size : tuple of float or None
        (Z, Y, X) in nanometres, None when unknown.
    offset : tuple of float
        (Z, Y, X) of the region's first voxel, in voxels: its place in the image after that of the image.
    probabilities : bool
        Whether probabilities are kept beside the class map.
    provenance : dict
        Which model, image and settings make the result; anything JSON can hold.
    """

    shape: tuple[int, int, int]
    classes: tuple[PixelClass, ...]
    voxel_size: tuple[float, float, float] | None
    offset: tuple[float, float, float]
    probabilities: bool
    provenance: dict[str, Any]

    @property
    def grid(self) -> tuple[int, int, int]:
        """How many chunks there are along Z, Y and X."""
        z, y, x = self.shape
        return z, math.ceil(y / CHUNK), math.ceil(x / CHUNK)

    def chunks(self) -> list[Chunk]:
        """Return all chunks in the order z, y, x."""
        return list(chunks_where(np.ones(self.grid, bool)))

    def level_shapes(self) -> list[tuple[int, int, int]]:
        """Return (Z, Y, X) of every pyramid level: Y and X halved until both are at most 512."""
        shapes = [self.shape]
        while max(shapes[-1][1:]) > COARSE_CHUNK:
            z, y, x = shapes[-1]
            shapes.append((z, (y + 1) // 2, (x + 1) // 2))
        return shapes

    def to_json(self) -> dict[str, Any]:
        """Return the layout as JSON gives it back: lists for tuples."""
        fields: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Layout:
        """Return the layout that `to_json` wrote; raise KeyError or TypeError for anything else."""
        return cls(
            shape=tuple(fields["shape"]),
            classes=tuple(PixelClass(**each) for each in fields["classes"]),
            voxel_size=fields["voxel_size"] and tuple(fields["voxel_size"]),
            offset=tuple(fields["offset"]),
            probabilities=fields["probabilities"],
            provenance=fields["provenance"],
        )


def chunks_where(these: np.ndarray) -> Iterator[Chunk]:
    """Yield chunks in the order z, y, x, a section at a time: a volume may have a million.

    Parameters
    ----------
    these : ndarray, shape `Layout.grid`, bool
        Which of them.
    """
    for z in np.flatnonzero(these.any(axis=(1, 2))).tolist():
        yield from chunks_in(z, these[z])


def chunks_in(z: int, these: np.ndarray) -> list[Chunk]:
    """Return the chunks of a section that are True in `these`: bool, rows and columns of `Layout.grid`."""
    return [Chunk(z, y, x) for y, x in np.argwhere(these).tolist()]


def create(path: Path, layout: Layout) -> None:
    """Write an empty result of `layout` into the folder `path`."""
    _create_image(path, layout, "zyx", {"napari-unet": {"version": __version__, **layout.to_json()}})
    if layout.probabilities:
        channels = [each.name for each in layout.classes]
        _create_image(path / "probabilities", layout, "czyx", {"napari-unet": {"channels": channels}})


def open_levels(path: Path, layout: Layout, mode: Literal["r", "r+"]) -> list[tuple[zarr.Array, ...]]:
    """Return the pyramid of the class map and, if the layout has them, that of the probabilities.

    A pyramid is its levels, finest first; `path / array.path` is the folder of an array.
    """
    # zarr.open_array takes no such setting, and without it a chunk of nothing but zeros gets no file.
    with zarr.config.set({"array.write_empty_chunks": True}):
        return [
            tuple(
                zarr.open_array(path, path=f"{folder}{level}", mode=mode) for level in range(len(layout.level_shapes()))
            )
            for folder in (["", "probabilities/"] if layout.probabilities else [""])
        ]


def files_of(path: Path, array: zarr.Array, chunk: tuple[int, int, int]) -> list[Path]:
    """Return the files of one chunk (Z, Y, X) of an array of the result in `path`, one a channel."""
    channels = [(c,) for c in range(array.shape[0])] if array.ndim == 4 else [()]
    return [path / array.path / array.metadata.encode_chunk_key((*c, *chunk)) for c in channels]


def read_layout(path: Path, remedy: str = "Choose another one.") -> Layout:
    """Return the layout of the result in `path`; raise Problem, with a remedy, if there is none."""
    with reading(path / "zarr.json", Problem(f"{path} is no segmentation made by napari-unet. {remedy}")):
        attributes = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        return Layout.from_json(attributes["napari-unet"])


def _create_image(path: Path, layout: Layout, axes: str, attributes: dict[str, Any]) -> None:
    """Write the arrays of one pyramid, and the group around them."""
    channels = (len(layout.classes),) if axes == "czyx" else ()
    for level, shape in enumerate(layout.level_shapes()):
        side = COARSE_CHUNK if level else CHUNK
        create_level(
            path / str(level),
            (*channels, *shape),
            (*(1 for _ in channels), 1, side, side),
            "uint8",
            axes,
            fill_value=0 if channels else NOT_COMPUTED,
        )
    ome = describe(axes, len(layout.level_shapes()), layout.voxel_size, layout.offset)
    if not channels:
        colors = {each.value: each.color for each in layout.classes}
        ome["image-label"] = label_colors({**colors, NOT_COMPUTED: "#00000000"})
    zarr.create_group(path, attributes={"ome": ome, **attributes})
