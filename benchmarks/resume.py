"""How much memory it takes to know what is done of a very large volume, when a job begins and when it goes on.

    python benchmarks/resume.py [--gigabytes N]

Sections of 4096 x 4096 pixels, one byte each. The job that goes on finds all chunks listed, but none of their files: it
looks for each and has all to do again. No network and no image is loaded; what these take does not depend on the size
of the volume (see `memory.py`).
"""

from __future__ import annotations

import argparse
import resource
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from napari_unet.blocks import blocks, nearest_first
from napari_unet.classes import PixelClass
from napari_unet.finished import DONE, lines_of
from napari_unet.layout import Layout, chunks_where
from napari_unet.store import open_store

SIDE = 4096


def opened(path: Path, layout: Layout) -> str:
    """Open a result as a job does, take its first blocks, and return what memory that took at most."""
    with open_store(path, layout) as store:
        order = nearest_first(store.unfinished, lambda z: blocks(store.pending_in(z), 1024), lambda: None)
        first = len(list(islice(order, 100)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return f"{store.total:,} chunks, {store.damaged:,} of them lost, {first} begun: {peak:,.0f} MB"


def main() -> None:
    """Open a new result, then one of which all is listed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1000)
    sections = max(1, int(parser.parse_args().gigabytes * 1e9 / SIDE**2))
    classes = PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00")
    layout = Layout((sections, SIDE, SIDE), classes, None, (0, 0, 0), False, {})
    with TemporaryDirectory() as folder:
        path = Path(folder, "out.zarr")
        print("begins:", opened(path, layout), flush=True)
        with (path / DONE).open("wb") as done:
            done.writelines(lines_of((chunk, 123) for chunk in chunks_where(np.ones(layout.grid, bool))))
        print("goes on:", opened(path, layout))


if __name__ == "__main__":
    main()
