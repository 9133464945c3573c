"""Which number format a device computes fastest in: tried once, then kept in the user's folder."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from napari_unet.config import Precision
from napari_unet.disk import write_whole
from napari_unet.problem import Problem

MEASURED = "precision.json"
_GAIN = 1.2  # how many times as fast the short format has to be to be worth its rounding
_SIDE, _CHANNELS, _TIMES = 160, 64, 8


def fastest(kind: str, name: str, folder: Path) -> Precision:
    """Return bfloat16 where the device gains by it, else float32.

    Parameters
    ----------
    kind : str
        "cpu" or "cuda": a device that computes in bfloat16 natively.
    name : str
        Of the device and of all that its speed depends on: what was measured under this name is not measured again.
    folder : Path
        Holds `precision.json`. Where it cannot be written, the next job measures again.
    """
    known = _known(folder / MEASURED)
    if name not in known:
        known[name] = gain(kind)
        with contextlib.suppress(OSError, Problem):
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(known, indent=1)
            write_whole(folder / MEASURED, lambda beside: beside.write_text(text, encoding="utf-8"))
    return "bfloat16" if known[name] >= _GAIN else "float32"


def gain(kind: str) -> float:
    """Return how many times as fast a convolution like the network's is in bfloat16 as in float32.

    By the fastest of eight tries each, which take turns, on one processor thread: other programs disturb that least.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            pixels = torch.ones(1, _CHANNELS, _SIDE, _SIDE, device=kind).to(memory_format=torch.channels_last)
            weights = torch.ones(_CHANNELS, _CHANNELS, 3, 3, device=kind).to(memory_format=torch.channels_last)
            taken: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(1 + _TIMES):
                for short, seconds in taken.items():
                    began = time.perf_counter()
                    with torch.autocast(kind, torch.bfloat16, enabled=short):
                        torch.nn.functional.conv2d(pixels, weights)[0, 0, 0, 0].item()
                    seconds.append(time.perf_counter() - began)
        return min(taken[False][1:]) / min(taken[True][1:])  # the first tries pay for the choice of algorithms
    finally:
        torch.set_num_threads(threads)


def _known(file: Path) -> dict[str, float]:
    """Return what was measured before: how many times as fast bfloat16 is, by device."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        return {name: float(gain) for name, gain in known.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
