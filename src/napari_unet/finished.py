"""What is finished of a result: `done.jsonl`, one line a chunk."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path

import numpy as np

from napari_unet.layout import CHUNK, Chunk, read_layout

DONE = "done.jsonl"
LOCK = "segmentation.lock"  # held by the job that makes the result
_LINE = re.compile(rb'^\{"chunk": \[((?:0|[1-9]\d{0,8})(?:, (?:0|[1-9]\d{0,8})){2})\]\}$', re.MULTILINE)


def finished_chunks(path: Path) -> tuple[int, int]:
    """Return how many chunks of the result in `path` are finished, and how many it has.

    Raises
    ------
    Problem
        If `path` holds no result.
    """
    layout = read_layout(path)
    grid = (layout.shape[0], *(math.ceil(side / CHUNK) for side in layout.shape[1:]))
    log = path / DONE
    text = log.read_bytes() if log.exists() else b""
    text = text[: text.rfind(b"\n") + 1]
    listed = _LINE.findall(text)
    if len(listed) < text.count(b"\n"):  # a line that no job of ours wrote: read each, slowly
        return len(chunks_in(text).intersection(layout.chunks())), math.prod(grid)
    indices = np.array(b", ".join(set(listed)).split(b", ") if listed else [], "S9").astype(np.int64).reshape(-1, 3)
    return int((indices < grid).all(axis=1).sum()), math.prod(grid)


def chunks_in(text: bytes) -> set[Chunk]:
    """Return the chunks that `done.jsonl` names; a last line that a kill left unfinished names none."""
    chunks = set()
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        # A line that cannot be read is a chunk computed again, no reason to stop.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            chunks.add(Chunk(*json.loads(line)["chunk"]))
    return chunks
