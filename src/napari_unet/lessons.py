"""What was painted for a model, and for the models that it was made from."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unet.card import MODEL_FILE, bundled, find, read_card
from napari_unet.kept import joined_in
from napari_unet.painting import Meaning
from napari_unet.problem import Problem
from napari_unet.runs import INPUTS, Run, as_begun, begun_in, run_behind

Place = tuple[Path, int]  # an image, by its resolved path, and the number of a section


@dataclass(frozen=True)
class Lesson:
    """A section as it was painted for a model.

    Parameters
    ----------
    image : Path
    channel : int or None
        Of the image.
    z : int
    labels : Path
        What its run keeps of them, as large as the image.
    meaning : Meaning
        Of their values.
    """

    image: Path
    channel: int | None
    z: int
    labels: Path
    meaning: Meaning


def lessons_of(model: Path, classes: Sequence[str]) -> Mapping[Place, Sequence[Lesson]]:
    """Return the sections that were painted for a model and for those that it was made from.

    A section that was painted for several of them is as it was painted last. Models of other classes, and what cannot
    be read any more, are passed over.

    Parameters
    ----------
    model : Path
        A model file.
    classes : sequence of str
        Names of the classes, in the order of their channels.
    """
    found: dict[Place, list[Lesson]] = {}
    for run in _runs_behind(model):
        with contextlib.suppress(Problem):
            found = _of_run(run, classes) | found
    return found


def _runs_behind(model: Path) -> Iterator[Path]:
    """Yield the run that made a model, then the one that made the model which that began with, and so on."""
    seen: set[Path] = set()
    with contextlib.suppress(Problem):  # no run, or it is gone
        while (run := run_behind(model)) not in seen:
            seen.add(run)
            start = begun_in(run).start_from
            yield run
            if start == "scratch" or start in bundled():
                return
            model = find(start)


def _of_run(run: Path, classes: Sequence[str]) -> dict[Place, list[Lesson]]:
    """Return what was painted for a run, if it has these classes."""
    config, card = begun_in(run).model_copy(update={"out": run}), read_card(run / MODEL_FILE)
    names = [each.name for each in card.classes]
    if names != list(classes):
        return {}
    separator = names.index(card.separator) if card.separator in names else None
    meaning = Meaning(tuple(c.value for c in card.classes), separator, config.objects, config.zero == "background")
    found: dict[Place, list[Lesson]] = {}
    for (pair, z), labels in sorted(_labels_of(Run(run, config)).items()):
        image = config.pairs[pair][0]
        found.setdefault((image.resolve(), z), []).append(Lesson(image, config.channel, z, labels, meaning))
    return found


def _labels_of(run: Run) -> dict[tuple[int, int], Path]:
    """Return where the labels are kept of each pair and section that was painted, with what joined."""
    assert run.config is not None
    path = run.folder / INPUTS
    try:
        names = [re.fullmatch(r"pair (\d+), section (\d+)", name) for name in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError) as error:
        raise Problem(f"{path} cannot be read. Start from another model.") from error
    pairs = as_begun(run.config).pairs
    kept = {(pair, int(name[2])): pairs[pair][1] for name in names if name and (pair := int(name[1]) - 1) < len(pairs)}
    for joined in joined_in(run.folder):
        kept |= {(joined.pair, z): joined.labels_in(run.folder) for z in joined.sections}
    return kept
