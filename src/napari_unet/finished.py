"""What is finished of a result: `done.jsonl`, one line a chunk."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from napari_unet.disk import write_whole
from napari_unet.layout import Chunk, chunks_where, read_layout
from napari_unet.problem import unreadable

DONE = "done.jsonl"
LOCK = "segmentation.lock"  # held by the job that makes the result
NOT_FINISHED, NOT_KNOWN = -2, -1  # of a chunk; a finished one of which no checksum of its image is known
_NUMBER = rb"(?:0|[1-9]\d{0,8})"
_LINE = re.compile(rb'^\{"chunk": \[(%b(?:, %b){2})\](?:, "image": \d{1,10})?\}$' % (_NUMBER, _NUMBER), re.MULTILINE)


def finished_chunks(path: Path) -> tuple[int, int]:
    """Return how many chunks of the result in `path` are finished, and how many it has.

    Raises
    ------
    Problem
        If `path` holds no result, or what is finished cannot be read now.
    """
    grid, log = read_layout(path).grid, path / DONE
    try:
        text = log.read_bytes()
    except FileNotFoundError:
        text = b""
    except OSError as error:
        raise unreadable(log, error) from error
    text = text[: text.rfind(b"\n") + 1]
    listed = _LINE.findall(text)
    if len(listed) < text.count(b"\n"):  # a line that no job of ours wrote: read each, slowly
        return int((finished_in(io.BytesIO(text), grid) != NOT_FINISHED).sum()), math.prod(grid)
    indices = np.array(b", ".join(set(listed)).split(b", ") if listed else [], "S9").astype(np.int64).reshape(-1, 3)
    return int((indices < grid).all(axis=1).sum()), math.prod(grid)


def finished_in(lines: Iterable[bytes], grid: tuple[int, int, int]) -> np.ndarray:
    """Return what lines of `done.jsonl` say of the chunks of a grid.

    A last line that a kill left unfinished says nothing.

    Returns
    -------
    ndarray, shape `grid`, int64
        The checksum of what each chunk that is named saw of the image, NOT_KNOWN where the line has none;
        NOT_FINISHED for a chunk that is not named.
    """
    found = np.full(grid, NOT_FINISHED, np.int64)
    for line in lines:
        if not line.endswith(b"\n"):
            break
        # A line that cannot be read is a chunk computed again, no reason to stop.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            fields = json.loads(line)
            chunk, seen = fields["chunk"], fields.get("image")
            if all(type(at) is int and 0 <= at < side for at, side in zip(chunk, grid, strict=True)):
                found[tuple(chunk)] = seen if type(seen) is int and 0 <= seen < 2**32 else NOT_KNOWN
    return found


def listed_in(path: Path, grid: tuple[int, int, int]) -> np.ndarray:
    """Return what `finished_in` finds in the `done.jsonl` of a result; cut off what a kill left of a last line."""
    log = path / DONE
    try:
        with log.open("rb") as lines:
            end = sum(len(line) for line in lines if line.endswith(b"\n"))
    except FileNotFoundError:
        return finished_in((), grid)
    except OSError as error:
        raise unreadable(log, error) from error
    if end < log.stat().st_size:
        os.truncate(log, end)
    with log.open("rb") as lines:
        return finished_in(lines, grid)


def list_anew(path: Path, seen: np.ndarray) -> None:
    """Let the `done.jsonl` of a result name just the chunks that are finished in `seen`, as `finished_in` returns it.

    Raises
    ------
    Problem
        If the disk is full or cannot be written.
    """
    lines = lines_of((chunk, int(seen[chunk])) for chunk in chunks_where(seen != NOT_FINISHED))
    write_whole(path / DONE, lambda log: _write(log, lines))


def lines_of(chunks: Iterable[tuple[Chunk, int]]) -> Iterator[bytes]:
    """Yield what `done.jsonl` says of chunks, each with the checksum of what it saw of the image, or NOT_KNOWN."""
    for chunk, seen in chunks:
        image = {} if seen == NOT_KNOWN else {"image": seen}
        yield (json.dumps({"chunk": chunk} | image) + "\n").encode()


def _write(log: Path, lines: Iterable[bytes]) -> None:
    with log.open("wb") as opened:
        opened.writelines(lines)
