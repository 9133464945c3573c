"""Layers of a session from their files: read in a thread, shown in the window."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import npe2
import numpy as np
from napari.layers import Layer
from napari.layers._source import layer_source  # there is no public way to say where a layer comes from

from napari_unet import reader
from napari_unet.disk import seen
from napari_unet.problem import Problem
from napari_unet.reader import OURS, LayerData
from napari_unet.session import Shown
from napari_unet.view import View
from napari_unet.volume import open_volume
from napari_unet.widgets.salvage import salvage
from napari_unet.widgets.snapshot import PLACE, kind_of
from napari_unet.widgets.strokes import is_strokes
from napari_unet.widgets.which import which

PLUGIN = "napari-unet"
_AT_ONCE = (*PLACE, "name", "contrast_limits")  # what napari would draw from the pixels, or refuse later


@dataclass(frozen=True)
class Found:
    """What came of the layers of a session.

    Attributes
    ----------
    layers : dict
        Number of a layer to what napari makes it of.
    said : tuple of str
        A sentence for each that did not come back, or not as it was.
    """

    layers: Mapping[int, LayerData]
    said: tuple[str, ...]


def read_again(layers: Sequence[Shown]) -> Generator[str, None, Found]:
    """Read the layers of a session from where they came from; for a thread.

    Yields
    ------
    str
        What it is doing, in words.
    """
    found: dict[int, LayerData] = {}
    said: list[str] = []
    read: dict[tuple[str, ...], list[LayerData]] = {}  # what came from each file and is not taken yet
    for number, shown in enumerate(layers):
        yield f"Opening {shown.name} ..."
        if shown.origin == "memory":
            said.append(f"{shown.name} is not back: it was only in memory.")
            continue
        source = shown.origin, shown.path, shown.plugin, shown.sample
        try:
            if not any(_is(shown, each) for each in read.get(source, ())):  # it may have been open twice
                read[source] = _read(shown, said)
            found[number] = _taken(shown, read[source], said)
        except Problem as problem:
            said.append(f"{shown.name} is not back: {problem}")
            continue
        painted = shown.kind == "labels" and shown.origin in ("file", "sample")
        if painted and isinstance(_finest(*found[number][:2]), np.ndarray):  # lazy ones are read-only, or on disk
            said.append(f"{shown.name} is as in its file: what was painted on it since was only in memory.")
    return Found(found, tuple(said))


def layer_of(shown: Shown, data: LayerData) -> Layer:
    """Return a layer as it looked; call it in the window's thread."""
    pixels, fields, kind = data
    at_once = {name: shown.look[name] for name in _AT_ONCE if name in shown.look}
    with layer_source(**_source(shown)):
        layer = Layer.create(pixels, {**fields, **at_once}, kind)
    dress(layer, shown)
    if shown.origin == "ours" and not is_strokes(layer):
        layer.editable = False
    return layer


def dress(layer: Layer, shown: Shown) -> None:
    """Give a layer its place and its look; the tool in hand is for the one that is selected."""
    for name, value in shown.look.items():
        # What this napari does not know stays as it is.
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            if name != "mode":
                setattr(layer, name, value)


def shows(layer: Layer, shown: Shown, data: LayerData) -> bool:
    """Tell whether a layer in the viewer is that of a session, opened anew: the user may have been faster."""
    if shown.origin == "ours":
        return kind_of(layer) == shown.kind and layer.metadata.get(OURS) == data[1]["metadata"][OURS]
    source = _source(shown)
    same = bool(source) and all(getattr(layer.source, name) == value for name, value in source.items())
    fields = {"multiscale": getattr(layer, "multiscale", False), "metadata": layer.metadata}
    if not (same and _could_be(shown, layer.data, fields, kind_of(layer))):
        return False
    return shown.kind != "image" or _which(layer.data, fields) == _which(data[0], data[1])


def _source(shown: Shown) -> dict[str, Any]:
    if shown.origin == "sample":
        return {"sample": (shown.plugin, shown.sample)}
    if shown.origin == "file":
        return {"path": shown.path, "reader_plugin": shown.plugin or None}
    return {}


def _read(shown: Shown, said: list[str]) -> list[LayerData]:
    """Return all layers that come from where `shown` came from.

    Raises
    ------
    Problem
        If it is gone, or cannot be read.
    """
    if shown.path and "://" not in shown.path and not seen(Path(shown.path)):
        raise Problem(f"{shown.path} is gone.")
    try:
        if shown.origin == "ours":
            said += salvage(Path(shown.path))
            return reader.read(shown.path)
        if shown.origin == "array":
            return _array(shown)
        if shown.origin == "sample":
            return _complete(_sample(shown))
        if shown.plugin == PLUGIN:  # not by way of napari: its command belongs into the window's thread
            return reader.read(shown.path)
        return _complete(npe2.read([shown.path], stack=False, plugin_name=shown.plugin or None))
    except Problem:
        raise
    except Exception as error:  # readers of others
        raise Problem(f"it cannot be read ({type(error).__name__}: {error}).") from error


def _array(shown: Shown) -> list[LayerData]:
    """Return an array as the layer that it was."""
    if reader.get_reader(shown.path):
        layers = reader.read(shown.path)
        if any(_could_be(shown, *each) for each in layers):
            return layers
    array = open_volume(Path(shown.path), labels=shown.kind == "labels").array
    flat = len(shown.shape) == 2 and array.shape[0] == 1  # the copy of an image of two axes has three
    return [(View(array, (1, 2)) if flat else array, {}, shown.kind)]


def _sample(shown: Shown) -> list[Any]:
    manifest = npe2.PluginManager.instance().get_manifest(shown.plugin)
    samples = [each for each in manifest.contributions.sample_data or () if each.key == shown.sample]
    if not samples:
        raise Problem(f"{shown.plugin} has no sample {shown.sample} any more.")
    return samples[0].open()


def _complete(layers: Sequence[Any]) -> list[LayerData]:
    """Return what a reader returned with all three parts."""
    parts = [tuple(each) for each in layers if each[0] is not None]
    return [(each[0], dict(each[1]) if len(each) > 1 else {}, each[2] if len(each) > 2 else "image") for each in parts]


def _taken(shown: Shown, there: list[LayerData], said: list[str]) -> LayerData:
    """Take out of `there` what has the pixels of a layer, the one of its name if nothing else tells several apart.

    Raises
    ------
    Problem
        If nothing has.
    """
    same = [each for each in there if _could_be(shown, *each)]
    if not same:
        size = " x ".join(map(str, shown.shape))
        raise Problem(f"{shown.path or shown.sample} no longer holds what was shown: {size} of {shown.dtype}.")
    told = [each for each in same if shown.which and _is(shown, each)]
    if shown.origin == "ours" and shown.which and not told:
        raise Problem(f"{shown.path} holds something else now.")
    named = [each for each in told or same if each[1].get("name") == shown.name]
    one = (named or told or same)[0]
    if len(told) > 1 or (len(same) > 1 and not (told or named)):
        said.append(f"{shown.name} may be another of the layers that {shown.path or shown.sample} holds: look at it.")
    there[:] = [each for each in there if each is not one]
    return one


def _could_be(shown: Shown, pixels: Any, fields: Mapping[str, Any], kind: str) -> bool:
    """Tell whether something read has the kind, shape and values of a layer."""
    if kind != shown.kind or kind not in ("image", "labels"):
        return kind == shown.kind
    finest = _finest(pixels, fields)
    return tuple(finest.shape) == shown.shape and str(np.dtype(finest.dtype)) == shown.dtype


def _is(shown: Shown, data: LayerData) -> bool:
    """Tell whether something read is a layer, as far as it is known what tells that from others of its file."""
    return _could_be(shown, *data) and (not shown.which or shown.which == _which(data[0], data[1]))


def _which(pixels: Any, fields: Mapping[str, Any]) -> str:
    return which(_finest(pixels, fields), fields.get("metadata", {}))


def _finest(pixels: Any, fields: Mapping[str, Any]) -> Any:
    return pixels[0] if fields.get("multiscale", isinstance(pixels, list | tuple)) else pixels
