"""What is finished of a result: `done.jsonl`, one line a chunk."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from napari_unet.layout import Chunk, read_layout

DONE = "done.jsonl"


def finished_chunks(path: Path) -> tuple[int, int]:
    """Return how many chunks of the result in `path` are finished, and how many it has.

    Raises
    ------
    Problem
        If `path` holds no result.
    """
    chunks = read_layout(path).chunks()
    log = path / DONE
    return len(chunks_in(log.read_bytes() if log.exists() else b"").intersection(chunks)), len(chunks)


def chunks_in(text: bytes) -> set[Chunk]:
    """Return the chunks that `done.jsonl` names; a last line that a kill left unfinished names none."""
    chunks = set()
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        # A line that cannot be read is a chunk computed again, no reason to stop.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            chunks.add(Chunk(*json.loads(line)["chunk"]))
    return chunks
