"""The command line: napari-unet train, check, examples, suggest, segment, convert, score, models, doctor, demo."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnusedCliTokensError
from pydantic import TypeAdapter, ValidationError

from napari_unet import __version__
from napari_unet.config import (
    CheckConfig,
    CheckSettings,
    FullPath,
    SegmentConfig,
    SegmentSettings,
    SuggestConfig,
    SuggestSettings,
    TrainConfig,
    TrainSettings,
)
from napari_unet.console import answer, print_events, say
from napari_unet.events import Event
from napari_unet.problem import Problem

if TYPE_CHECKING:
    from napari_unet.card import Card

FAILED, WRONG_USAGE = 1, 2

app = App(
    name="napari-unet",
    help="Fine-tune a U-Net on painted labels and segment whole stacks.",
    version=__version__,
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
)
Flat = Parameter(name="*")
Pairs = Annotated[Path, Parameter(help="IMAGE LABELS [IMAGE LABELS ...]: each image with its painted labels.")]
Json = Annotated[bool, Parameter(name="--json", help="Print each event as one line of JSON.")]


@app.command(usage="Usage: napari-unet train IMAGE LABELS [IMAGE LABELS ...] --out PATH [OPTIONS]")
def train(*inputs: Pairs, settings: Annotated[TrainSettings, Flat], as_json: Json = False) -> int:
    """Fine-tune a model on painted labels; the same command again resumes."""
    from napari_unet.train import train

    config = TrainConfig(inputs=inputs, **settings.model_dump())
    return print_events(_until_interrupted(lambda stop: train(config, stop)), as_json)


@app.command(usage="Usage: napari-unet check IMAGE LABELS [IMAGE LABELS ...] [OPTIONS]")
def check(*inputs: Pairs, settings: Annotated[CheckSettings | None, Flat] = None, as_json: Json = False) -> int:
    """Look for what may be wrong with painted labels; after each finding stands its voxel [z, y, x]."""
    from napari_unet.check import check

    with tempfile.TemporaryDirectory() as folder:  # nobody needs the log
        config = CheckConfig(inputs=inputs, out=folder, **(settings or CheckSettings()).model_dump())
        return print_events(_until_interrupted(lambda stop: check(config, stop)), as_json, answered=True)


@app.command(usage="Usage: napari-unet examples IMAGE LABELS [IMAGE LABELS ...] --out FOLDER [OPTIONS]")
def examples(*inputs: Pairs, settings: Annotated[TrainSettings, Flat], as_json: Json = False) -> int:
    """Show what a training would see: augmented crops and loss weights."""
    from napari_unet.examples import examples

    return print_events(examples(TrainConfig(inputs=inputs, **settings.model_dump())), as_json)


@app.command(usage="Usage: napari-unet suggest IMAGE [LABELS ...] [OPTIONS]")
def suggest(
    image: Path, *labels: Path, settings: Annotated[SuggestSettings | None, Flat] = None, as_json: Json = False
) -> int:
    """Name places worth painting next: where the model hesitates, unlike what is painted, far from each other.

    Parameters
    ----------
    image
        The stack that is painted on.
    labels
        What is painted on it so far.
    """
    from napari_unet.suggest import suggest

    config = SuggestConfig(image=image, labels=labels, **(settings or SuggestSettings()).model_dump())
    return print_events(_until_interrupted(lambda stop: suggest(config, stop)), as_json, answered=True)


@app.command
def segment(
    image: Path, out: Path, *, settings: Annotated[SegmentSettings | None, Flat] = None, as_json: Json = False
) -> int:
    """Segment a stack, tile by tile, into an OME-Zarr; the same command again resumes.

    Parameters
    ----------
    image
        TIFF, folder of TIFF or PNG sections, Zarr, OME-Zarr or a level of it (stack.zarr/1), HDF5 (stack.h5/dataset),
        MRC.
    out
        Result to create, such as cells.zarr.
    """
    from napari_unet.segment import segment

    config = SegmentConfig(image=image, out=out, **(settings or SegmentSettings()).model_dump())
    return print_events(_until_interrupted(lambda stop: segment(config, stop)), as_json)


@app.command
def convert(result: Path, out: Path, *, probabilities: bool = False, as_json: Json = False) -> int:
    """Write a segmentation as one TIFF, for programs that do not open OME-Zarr.

    Parameters
    ----------
    result
        A segmentation, finished or not; what is not computed yet is 255.
    out
        File to create, such as cells.tif.
    probabilities
        Write the probability of each class, 0 to 255, instead of the class map.
    """
    from napari_unet.convert import convert

    return print_events(_until_interrupted(lambda stop: convert(result, out, probabilities, stop)), as_json)


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

    answer(json.dumps(report(result, truth, boundary), indent=1))
    return 0


@app.command
def models(*, as_json: Annotated[bool, Parameter(name="--json", help="Print the whole cards as JSON.")] = False) -> int:
    """List the bundled models: classes, training data, scores."""
    from napari_unet.card import bundled, find, read_card

    cards = {name: read_card(find(name)) for name in bundled()}
    if as_json:
        answer(json.dumps({name: asdict(card) for name, card in cards.items()}, indent=1))
    else:
        answer("\n\n".join(_in_words(name, card) for name, card in cards.items()))
    return 0


@app.command
def doctor() -> int:
    """Tell what this machine computes on, and how to mend it if a GPU is not used."""
    from napari_unet.doctor import findings

    for name, value in findings():
        answer(f"{name:12} {value}")
    return 0


@app.command
def demo(folder: Path = Path("napari-unet-demo"), *, show: bool = False) -> int:
    """Fine-tune on the bundled sample and segment it: about two minutes on two cores.

    Parameters
    ----------
    folder
        Where the results go.
    show
        Open them in napari afterwards.
    """
    from napari_unet.demo import demo

    folder = TypeAdapter(FullPath).validate_python(folder)
    code = print_events(_until_interrupted(lambda stop: demo(folder, stop)), as_json=False)
    if show and not code:
        from napari_unet.widgets.show import show_demo

        show_demo(folder)
    return code


def main(arguments: list[str] | None = None) -> int:
    """Run a command, by default that of the terminal; return 0 done, 1 failed or stopped, 2 wrong usage."""
    # Threads that wait without spinning: otherwise a second busy program makes torch ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or 0
    except (ValidationError, CycloptsError) as error:
        say(f"Error: {_usage(error)}", sys.stderr)
        return WRONG_USAGE
    except Problem as problem:
        say(f"Error: {problem}", sys.stderr)
        return FAILED
    except KeyboardInterrupt:  # before the job, or in a command that is none
        say("Stopped.", sys.stderr)
        return FAILED


def run() -> None:
    """Run the command of the terminal and leave at once.

    Zarr goes on reading the chunks beside a damaged one, and would complain at length of a Python that tidies up first.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # not where it was closed from the start
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may lack the letters of a file's name
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):  # nobody reads it any more; it was closed from the start
            stream.flush()
    os._exit(status)


def _until_interrupted(job: Callable[[Callable[[], bool]], Iterator[Event]]) -> Iterator[Event]:
    """Run a job that stops in good order at Ctrl-C or when the system asks it to end."""
    asked = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    line = "\n" if sys.stderr.isatty() else ""  # below the line of progress

    def stop(*_: object) -> None:
        asked.set()
        # Past the buffer of sys.stderr, which the signal may have interrupted in the middle of a write.
        with contextlib.suppress(OSError):
            os.write(2, f"{line}Stopping after this step; press Ctrl-C again to end at once.\n".encode())
        # A second Ctrl-C ends the program at once: what is finished is on disk anyway.
        for each in signals:
            signal.signal(each, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield from job(asked.is_set)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _usage(error: ValidationError | CycloptsError) -> str:
    """Say in one line what is wrong with the command."""
    if isinstance(error, UnusedCliTokensError):
        return f"nothing is known to do with {' '.join(error.unused_tokens or ())}. Leave it out."
    if isinstance(error, MissingArgumentError) and error.argument:
        if error.keyword:
            return f"{error.keyword} needs a value."
        name, positional = error.argument.name, error.argument.field_info.is_positional
        name = name.removeprefix("--").upper() if positional else name
        return f"{name} is missing: napari-unet {' '.join(error.command_chain or ())} --help tells what it is."
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if not isinstance(cause, ValidationError):
        return str(error)
    first = cause.errors()[0]
    flag = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else ""
    if first["type"] == "literal_error":
        choices = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        return f"{flag} must be one of {choices}"
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{flag} {message}".strip()


def _in_words(name: str, card: Card) -> str:
    """Describe a model in a few lines."""
    lines = [name, f"  {card.about.get('what', '')}", f"  classes: {', '.join(c.name for c in card.classes)}"]
    lines += [f"  trained on {data['name']} ({data['license']})" for data in card.about.get("data", ())]
    lines += [f"  {score}: {value:.3f}" for score, value in card.scores.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    run()
