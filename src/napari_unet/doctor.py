"""What this machine computes on, in a few lines a user can send along with a question."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

from napari_unet import __version__
from napari_unet.card import bundled
from napari_unet.config import Settings
from napari_unet.device import choose, why_no_gpu


def findings() -> Iterator[tuple[str, str]]:
    """Yield what was found, as name and value; the device is tried, which takes about a second."""
    yield "napari-unet", __version__
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in ("torch", "napari", "zarr", "numpy"):
        yield package, version(package)
    compute = choose(Settings())
    yield "computes on", str(compute)
    yield "GPU", f"{compute.name} is used" if compute.kind != "cpu" else f"not used: {why_no_gpu()}"
    yield "models", ", ".join(bundled())
