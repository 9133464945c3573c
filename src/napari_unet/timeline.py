"""The models that a training kept on its way: to look back, to take an earlier one, to undo all of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from napari_unet.card import MODEL_FILE
from napari_unet.disk import disk_problems, found_in, sync, write_json
from napari_unet.library import free
from napari_unet.runs import HELD, ORIGIN, STEPS

MOST = 6  # models on the way; more would fill the disk
_SUFFIX = ".safetensors"


def passes(step: int, every: int, steps: int) -> bool:
    """Tell whether a model is kept at `step`, of those judged `every` so many of all `steps`."""
    return step > 0 and step * MOST // steps > (step - every) * MOST // steps


def file_of(run: Path, step: int) -> Path:
    """Return where the model of a step is kept."""
    return run / STEPS / f"{step:06d}{_SUFFIX}"


def kept(run: Path) -> list[tuple[int, Path]]:
    """Return the steps whose models are kept in a run folder, and their files; the earliest first."""
    files = sorted(found_in(run / STEPS, f"*{_SUFFIX}"))
    return [(int(file.stem), file) for file in files if file.stem.isdigit()]


def adopt(run: Path, step: int, folder: Path) -> Path:
    """Make the model of a step one of its own in the library, as it is; return its folder.

    Parameters
    ----------
    run : Path
        A run folder.
    step : int
        One of those that `kept` returns.
    folder : Path
        Of all trainings.

    Raises
    ------
    Problem
        If the disk is full or cannot be written.
    """
    model = free(folder, run.name, ending=f"step-{step}")
    with disk_problems(model):
        model.mkdir(parents=True, exist_ok=True)
        for source, name in ((run / HELD, HELD), (file_of(run, step), MODEL_FILE)):
            if source.exists():
                shutil.copyfile(source, model / name)
        write_json(model / ORIGIN, {"run": str(run.absolute())})
        sync(folder, list(model.iterdir()))
    return model
