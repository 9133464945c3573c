"""The painted sections that a run keeps: labels like any others, as they were when it learned from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from napari_unet.disk import disk_problems, is_there, sync, write_json
from napari_unet.marks import KINDS, create_marks
from napari_unet.newzarr import create_stack
from napari_unet.painted import Change
from napari_unet.paintedsection import PaintedSection
from napari_unet.problem import Problem
from napari_unet.volume import Volume

PAINTED, JOINED = "painted", "joined.json"
_CHUNK = 512  # pixels, side of a chunk of the labels that are kept


@dataclass(frozen=True)
class Kept:
    """Sections (of the image) of a pair that were painted on while it trained, learned after so many steps."""

    step: int
    pair: int
    sections: tuple[int, ...]

    def labels_in(self, run: Path) -> Path:
        """Return where the labels are that joined."""
        return run / PAINTED / f"{self.pair + 1}-at-{self.step}.zarr"

    def change_in(self, run: Path) -> Change:
        """Return what joined."""
        return Change(self.pair, self.labels_in(run), frozenset(self.sections))


def labels_of(run: Path, pair: int) -> Path:
    """Return where a run keeps the labels of a pair, as they were when it began."""
    return run / PAINTED / f"{pair + 1}.zarr"


def keep_labels(
    run: Path, pair: int, image: Volume, painted: Sequence[PaintedSection], extent: tuple[slice, slice]
) -> None:
    """Keep the painted sections of a pair as they are now.

    Parameters
    ----------
    run : Path
        Its folder.
    pair : int
        Its number, from 0 on.
    image : Volume
        What was painted on.
    painted : sequence of PaintedSection
        Of this pair.
    extent : (slice, slice)
        Rows and columns of the image that are kept.

    Raises
    ------
    Problem
        If the disk is full or cannot be written.
    """
    _keep(run, labels_of(run, pair), image, painted, extent)


def joined_in(run: Path) -> list[Kept]:
    """Return what joined while a run trained, in the order of the steps.

    Raises
    ------
    Problem
        If the list cannot be read.
    """
    path = run / JOINED
    if not is_there(path):
        return []
    try:
        return [Kept(each["step"], each["pair"], tuple(each["sections"])) for each in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Problem(f"{path} cannot be read. Train again into another folder (--out).") from error


@dataclass(frozen=True)
class Joining:
    """What joins a pair, the image that was painted on, and its rows and columns that are kept."""

    kept: Kept
    image: Volume
    extent: tuple[slice, slice]


def keep_joined(run: Path, joining: Sequence[Joining], painted: Sequence[PaintedSection]) -> list[Kept]:
    """Keep what joins at a step, all or nothing, so that the training can be repeated.

    What joined one of these pairs later is in it, and forgotten.

    Parameters
    ----------
    run : Path
        Its folder.
    joining : sequence of Joining
        One for each pair.
    painted : sequence of PaintedSection
        What is painted now; sections that are not in it are empty.

    Returns
    -------
    list of Kept
        What `joined_in` returns from now on.

    Raises
    ------
    Problem
        If the disk is full or cannot be written.
    """
    new = {each.kept.pair: each.kept for each in joining}
    for each in joining:
        kept = each.kept
        sections = [section for section in painted if section.pair == kept.pair and section.z in kept.sections]
        _keep(run, kept.labels_in(run), each.image, sections, each.extent)
    others = [each for each in joined_in(run) if each.pair not in new or each.step < new[each.pair].step]
    joined = sorted([*others, *new.values()], key=lambda each: each.step)
    write_json(run / JOINED, [asdict(each) for each in joined])
    return joined


def _keep(run: Path, path: Path, image: Volume, painted: Sequence[PaintedSection], extent: tuple[slice, slice]) -> None:
    rows, columns = (range(side)[part] for side, part in zip(image.shape[1:], extent, strict=True))
    shape = image.shape[0], len(rows), len(columns)
    offset = tuple(a + b for a, b in zip(image.offset or (0, 0, 0), (0, rows.start, columns.start), strict=True))
    dtype = max((each.labels.dtype for each in painted), default=np.dtype(np.uint8))
    with disk_problems(path):
        shutil.rmtree(path, ignore_errors=True)  # left by a kill
        array = create_stack(path, shape, _CHUNK, dtype, image.voxel_size, offset)
        for each in painted:
            array[each.z] = each.labels[extent]
        for kind in KINDS:
            marked = [(each, here) for each in painted if (here := getattr(each, kind)).any()]
            if marked:
                marks = create_marks(path / kind, array)
                for each, here in marked:
                    marks[each.z] = np.where(here, each.labels, 0)[extent]
        sync(run, [file for file in path.rglob("*") if file.is_file()])
