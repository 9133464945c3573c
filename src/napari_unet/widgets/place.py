"""Where things lie: from the voxels of an image layer to a layer over it, and to another layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

from napari_unet.voxels import nanometres

if TYPE_CHECKING:
    from napari.layers import Layer


def placed(layer: Layer, offset: tuple[int, int, int] = (0, 0, 0)) -> dict[str, Any]:
    """Return where a new 3-D layer over `layer` lies, as keyword arguments for it.

    Parameters
    ----------
    layer
        An image or labels of 2 or 3 dimensions; over a 2-D one, the new layer has a z axis of scale 1.
    offset
        The voxel (Z, Y, X) of `layer`, at its finest level, on which voxel (0, 0, 0) of the new layer lies.

    Returns
    -------
    dict
        scale, translate, rotate, shear, affine, units and axis_labels.
    """
    more = 3 - layer.ndim
    affine = np.eye(4)
    affine[more:, more:] = layer.affine.affine_matrix
    scale, rotate, shear = np.ones(3), np.eye(3), np.eye(3)
    scale[more:], rotate[more:, more:], shear[more:, more:] = layer.scale, layer.rotate, matrix(layer.shear)
    # A layer is translated after it is scaled, sheared and rotated: so must be the offset.
    moved = Affine(scale=scale, rotate=rotate, shear=shear).linear_matrix @ offset
    labels = tuple(layer.axis_labels)
    if more:
        labels = ("-3" if labels == ("-2", "-1") else "z", *labels)
    return {
        "scale": scale,
        "translate": np.concatenate([np.zeros(more), layer.translate]) + moved,
        "rotate": rotate,
        "shear": shear,
        "affine": affine,
        "units": (*layer.units[:more], *layer.units),
        "axis_labels": labels,
    }


def voxel_size(layer: Layer) -> tuple[float, float, float] | None:
    """Return the edges of a voxel of `layer` in nanometres (Z, Y, X), None unless all its units are lengths.

    A 2-D image is as thick as its pixels are high: the thickness of a single section does not matter.
    """
    units = [nanometres(str(unit)) for unit in layer.units]
    if None in units:
        return None
    place = placed(layer)
    edges = np.diag([*units[: 3 - layer.ndim], *units]) @ _edges(place)
    z, y, x = (float(edge) for edge in np.linalg.norm(edges, axis=0))
    return (y if layer.ndim == 2 else z), y, x


def first_voxel(layer: Layer) -> str:
    """Return where the first voxel of `layer` lies in the world, in its voxels, as `SegmentConfig.place` has it.

    It is empty at the origin.
    """
    place = placed(layer)
    start = place["affine"] @ (*place["translate"], 1)
    steps = np.linalg.norm(_edges(place), axis=0)
    z, y, x = (f"{at:.6f}".rstrip("0").rstrip(".") for at in np.round(start[:3] / steps, 6) + 0.0)
    return "" if (z, y, x) == ("0", "0", "0") else f"{z},{y},{x}"


def onto(layer: Layer, other: Layer) -> np.ndarray:
    """Return the matrix (4, 4) from voxels (Z, Y, X, 1) of a layer to voxels of another one, at their finest levels."""
    known = None not in [nanometres(str(unit)) for each in (layer, other) for unit in each.units]
    there, here = (_to_world(each, known) for each in (layer, other))
    return np.linalg.inv(here) @ there


def matrix(shear: np.ndarray) -> np.ndarray:
    """Return shear as a matrix; layers give the upper triangle alone, in a row."""
    if shear.ndim == 2:
        return shear
    size = math.isqrt(2 * shear.size) + 1  # n axes have n (n - 1) / 2 numbers in the triangle
    full = np.eye(size)
    full[np.triu_indices(size, 1)] = shear
    return full


def _edges(place: dict[str, Any]) -> np.ndarray:
    """Return the edges of a voxel in the world, a column each (3, 3), of what `placed` returned."""
    local = Affine(scale=place["scale"], rotate=place["rotate"], shear=place["shear"]).linear_matrix
    edges: np.ndarray = place["affine"][:3, :3] @ local
    return edges


def _to_world(layer: Layer, known: bool) -> np.ndarray:
    """Return the matrix (4, 4) from voxels to the world, in nanometres if that is `known` of all units, else as is."""
    place = placed(layer)
    units = [nanometres(str(unit)) if known else 1 for unit in place["units"]]
    parts = {name: place[name] for name in ("scale", "translate", "rotate", "shear")}
    whole: np.ndarray = np.diag([*units, 1]) @ place["affine"] @ Affine(**parts).affine_matrix
    return whole
