"""The command line: napari-unet train | segment | score | models | doctor | demo."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from napari_unet import __version__
from napari_unet.config import SegmentConfig, SegmentSettings, TrainConfig, TrainSettings
from napari_unet.console import print_events
from napari_unet.events import Event
from napari_unet.problem import Problem

FAILED, WRONG_USAGE = 1, 2

app = App(name="napari-unet", help="Fine-tune a U-Net on painted labels and segment whole stacks.", version=__version__)
Flat = Parameter(name="*")
Json = Annotated[bool, Parameter(name="--json", help="Print each event as one line of JSON.", negative=())]


@app.command
def train(*inputs: Path, settings: Annotated[TrainSettings, Flat], as_json: Json = False) -> int:
    """Fine-tune a model on painted labels; the same command again resumes.

    Parameters
    ----------
    inputs
        IMAGE LABELS [IMAGE LABELS ...]: each image with its painted labels.
    """
    from napari_unet.train import train

    config = TrainConfig(inputs=inputs, **settings.model_dump())
    return print_events(_until_interrupted(lambda stop: train(config, stop)), as_json)


@app.command
def segment(
    image: Path, out: Path, *, settings: Annotated[SegmentSettings | None, Flat] = None, as_json: Json = False
) -> int:
    """Segment a stack, tile by tile, into an OME-Zarr; the same command again resumes.

    Parameters
    ----------
    image
        TIFF, folder of TIFF or PNG sections, Zarr or OME-Zarr.
    out
        Result to create, such as cells.zarr.
    """
    from napari_unet.segment import segment

    config = SegmentConfig(image=image, out=out, **(settings or SegmentSettings()).model_dump())
    return print_events(_until_interrupted(lambda stop: segment(config, stop)), as_json)


@app.command
def score(result: Path, truth: Path, *, boundary: str = "") -> int:
    """Score a segmentation against a class map with the same values; prints JSON.

    Parameters
    ----------
    result
        A finished segmentation.
    truth
        The true classes; 0 is not scored.
    boundary
        The class that separates cells: scores how well it does (V_rand and V_info of the ISBI 2012 challenge).
    """
    from napari_unet.report import report

    print(json.dumps(report(result, truth, boundary), indent=1))
    return 0


@app.command
def models() -> int:
    """List the bundled models with their cards, as JSON."""
    from napari_unet.model import bundled, find, read_card

    print(json.dumps({name: asdict(read_card(find(name))) for name in bundled()}, indent=1))
    return 0


@app.command
def doctor() -> int:
    """Tell what this machine computes on, and how to mend it if a GPU is not used."""
    from napari_unet.doctor import findings

    for name, value in findings():
        print(f"{name:12} {value}")
    return 0


@app.command
def demo(folder: Path = Path("napari-unet-demo"), *, show: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Fine-tune on the bundled sample and segment it: about two minutes on two cores.

    Parameters
    ----------
    folder
        Where the results go.
    show
        Open them in napari afterwards.
    """
    from napari_unet.demo import demo

    code = print_events(_until_interrupted(lambda stop: demo(folder, stop)), as_json=False)
    if show and not code:
        from napari_unet.widgets.show import show_demo

        show_demo(folder)
    return code


def main(arguments: list[str] | None = None) -> int:
    """Run a command, by default that of the terminal; return 0 done, 1 failed or stopped, 2 wrong usage."""
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except (ValidationError, CycloptsError) as error:
        print(f"Error: {_usage(error)}", file=sys.stderr)
        return WRONG_USAGE
    except Problem as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return FAILED


def _until_interrupted(job: Callable[[Callable[[], bool]], Iterator[Event]]) -> Iterator[Event]:
    """Run a job that stops in good order at Ctrl-C or when the system asks it to end."""
    asked = threading.Event()

    def stop(number: int, _: object) -> None:
        asked.set()
        # A second Ctrl-C ends the program at once: what is finished is on disk anyway.
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield from job(asked.is_set)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _usage(error: ValidationError | CycloptsError) -> str:
    """Say in one line what is wrong with the command."""
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if not isinstance(cause, ValidationError):
        return str(error)
    first = cause.errors()[0]
    flag = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else ""
    return f"{flag} {first['msg'].removeprefix('Value error, ')}".strip()


if __name__ == "__main__":
    sys.exit(main())
