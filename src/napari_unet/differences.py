"""Whether what is asked for is what a result was begun with, and if not, in words where they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from napari_unet.layout import Layout, read_layout
from napari_unet.problem import Problem, reading
from napari_unet.words import counted, listed

_REMEDY = "Choose another output name, or delete that folder first."
_GO_ON = (
    "To go on with it, ask for the same as before; otherwise choose another output name, or delete that folder first."
)
# Files may move, checksums tell nobody anything, and the offset of a result tells the place of its image.
_NOT_NAMED = {"image", "image_fingerprint", "model_sha256", "place"}
_IN_WORDS: dict[str, Callable[[Any], str]] = {
    "shape": lambda size: f"of {counted(size[0], 'section')} of {size[1]} x {size[2]} pixels",
    "offset": lambda first: "from section {:.9g}, row {:.9g} and column {:.9g} on".format(*first),
    "voxel_size": lambda nm: (
        f"with voxels of {' x '.join(f'{n:g}' for n in nm)} nm" if nm else "with voxels of unknown size"
    ),
    "classes": lambda all: "with the classes " + listed(["{value} {name} ({color})".format(**each) for each in all]),
    "probabilities": lambda kept: f"{'with' if kept else 'without'} probabilities",
    "model": lambda name: f"with the model {name}",
    "channel": lambda number: "from no single channel" if number is None else f"from channel {number}",
    "precision": lambda name: f"in {name}",
    "tile": lambda side: f"in tiles of {side} pixels",
    "best_quality": lambda wanted: f"{'with' if wanted else 'without'} best quality",
}


def refuse_another(path: Path, layout: Layout) -> None:
    """Raise Problem unless `path` holds a whole result of just this layout; it says in words where they differ."""
    there, now = (_all_of(each) for each in (read_layout(path, "Choose another output name."), layout))
    for key in ("tile", "place"):  # results have not always known them
        there.setdefault(key, now.get(key))
    differ = [key for key in {**there, **now} if there.get(key) != now.get(key)]
    if "model_sha256" in differ and "model" not in differ:
        raise Problem(f"{path} was made with {now['model']} before that was trained further. {_REMEDY}")
    if {"image_fingerprint", "image"} <= {*differ}:
        what = f"{path} was made from {there['image']}, and {now['image']} is another image"
        raise Problem(f"{what}. Take the former one to go on, or choose another output name.")
    if "image_fingerprint" in differ and "channel" not in differ:
        raise Problem(
            f"{path} was made from another image than {now['image']}, or from that before it was edited. "
            "Put the former image back, or choose another output name."
        )
    if named := [key for key in differ if key not in _NOT_NAMED]:
        before, asked = (listed([_phrase(key, each.get(key)) for key in named]) for each in (there, now))
        what = f"{path} was made {before}; now it is to be made {asked}"
        raise Problem(f"{what}. {_GO_ON}")
    for folder, kind, shape in _nodes(path, layout):
        file = folder / "zarr.json"
        damaged = Problem(f"{path} is damaged: {file} is missing or cannot be read. {_REMEDY}")
        with reading(file, damaged):
            node = json.loads(file.read_text(encoding="utf-8"))
            if (node["node_type"], node.get("shape")) != (kind, shape):
                raise damaged


def _nodes(path: Path, layout: Layout) -> Iterator[tuple[Path, str, list[int] | None]]:
    """Yield all groups and arrays of a result, with the kind and the shape that their metadata must tell."""
    for image, channels in ((".", []), ("probabilities", [len(layout.classes)]))[: 1 + layout.probabilities]:
        yield path / image, "group", None
        for level, shape in enumerate(layout.level_shapes()):
            yield path / image / str(level), "array", [*channels, *shape]


def _all_of(layout: Layout) -> dict[str, Any]:
    """Return all that must be the same, as JSON gives it back."""
    fields = layout.to_json()
    return {**fields.pop("provenance"), **fields}


def _phrase(key: str, value: Any) -> str:
    """Say one of them, as it goes on after "was made"."""
    return _IN_WORDS[key](value) if key in _IN_WORDS else f"with {key.replace('_', ' ')} {value}"
