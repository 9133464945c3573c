"""What is finished of a result: `done.jsonl`, one line a chunk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from napari_unet.layout import Chunk, read_layout

DONE = "done.jsonl"
LOCK = "segmentation.lock"  # held by the job that makes the result
_NUMBER = rb"(?:0|[1-9]\d{0,8})"
_LINE = re.compile(rb'^\{"chunk": \[(%b(?:, %b){2})\](?:, "image": \d{1,10})?\}$' % (_NUMBER, _NUMBER), re.MULTILINE)


def finished_chunks(path: Path) -> tuple[int, int]:
    """Return how many chunks of the result in `path` are finished, and how many it has.

    Raises
    ------
    Problem
        If `path` holds no result.
    """
    layout = read_layout(path)
    grid = layout.grid
    log = path / DONE
    text = log.read_bytes() if log.exists() else b""
    text = text[: text.rfind(b"\n") + 1]
    listed = _LINE.findall(text)
    if len(listed) < text.count(b"\n"):  # a line that no job of ours wrote: read each, slowly
        return len(chunks_in(text).keys() & set(layout.chunks())), math.prod(grid)
    indices = np.array(b", ".join(set(listed)).split(b", ") if listed else [], "S9").astype(np.int64).reshape(-1, 3)
    return int((indices < grid).all(axis=1).sum()), math.prod(grid)


def chunks_in(text: bytes) -> dict[Chunk, int | None]:
    """Return the chunks that `done.jsonl` names, and the checksum of the image under each, None where it has none.

    A last line that a kill left unfinished names none.
    """
    chunks: dict[Chunk, int | None] = {}
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        # A line that cannot be read is a chunk computed again, no reason to stop.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            fields = json.loads(line)
            chunk = Chunk(*fields["chunk"])
            chunks[chunk] = fields.get("image")
    return chunks


def listed_in(path: Path) -> dict[Chunk, int | None]:
    """Return what `chunks_in` finds in the `done.jsonl` of a result, and cut off what a kill left of a last line."""
    log = path / DONE
    if not log.exists():
        return {}
    text = log.read_bytes()
    end = text.rfind(b"\n") + 1
    if end < len(text):
        os.truncate(log, end)
    return chunks_in(text)


def lines_of(chunks: Iterable[Chunk], seen: Mapping[Chunk, int | None]) -> bytes:
    """Return what `done.jsonl` says of chunks."""
    lines = []
    for chunk in chunks:
        image = {} if seen.get(chunk) is None else {"image": seen[chunk]}
        lines.append(json.dumps({"chunk": dataclasses.astuple(chunk)} | image) + "\n")
    return "".join(lines).encode()
