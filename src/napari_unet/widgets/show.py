"""Open the results of the demo in napari."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from napari_unet.problem import Problem
from napari_unet.reader import get_reader
from napari_unet.samples import fly_medulla


def show_demo(folder: Path) -> None:
    """Open the sample, its strokes and both segmentations in a napari window, until it is closed.

    Raises
    ------
    Problem
        If there is no screen to show a window on.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise Problem(f"There is no screen to open a window on. The results are in {folder}: look at demo.png.")
    import napari

    viewer = napari.Viewer(title="napari-unet demo")
    layers = fly_medulla()
    for name in ("before", "after"):
        reader = get_reader(str(folder / f"{name}.zarr"))
        assert reader is not None
        for data, options, kind in reader(str(folder / f"{name}.zarr")):
            if kind == "labels":
                layers.append((data, options | {"name": f"{name} training", "opacity": 0.4}, kind))
    for layer in layers:
        viewer.add_layer(napari.layers.Layer.create(*layer))
    viewer.layers["before training"].visible = False
    napari.run()
