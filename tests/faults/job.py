"""A small segmentation to disturb: its image, its model, its command, and what it leaves on the disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

OUT = "out.zarr"
TIMES = f"{OUT}/log.jsonl"  # the one file of a result that holds times: its lines are looked at, not its bytes
DONE = f"{OUT}/done.jsonl"
ORDER = f"{DONE}, in order"


@dataclass(frozen=True)
class Job:
    """A folder with an image and a model in it, where a result will be, and nothing else.

    Parameters
    ----------
    root : Path
    image : str
        Its name in the folder.
    probabilities : bool
        Whether the result holds them.
    """

    root: Path
    image: str = "stack.tif"
    probabilities: bool = True

    @property
    def out(self) -> Path:
        """Where the result will be."""
        return self.root / OUT

    def command(self) -> list[str]:
        """Return the words after `napari-unet`."""
        words = ["segment", str(self.root / self.image), str(self.out), "--model", str(self.root / "model.safetensors")]
        words += ["--threads", "1", "--device", "cpu", "--precision", "float32", "--tile", "512"]
        return words + ["--probabilities"] * self.probabilities


def make(root: Path, sections: int, probabilities: bool = True) -> Job:
    """Draw sections of 1040 x 40 pixels (2 chunks each, 3 levels) and a network of random weights."""
    import numpy as np
    import tifffile
    import torch

    from napari_unet.card import Card
    from napari_unet.classes import PixelClass
    from napari_unet.model import save
    from napari_unet.unet import UNet

    root.mkdir()
    coarse = np.random.default_rng(0).integers(0, 256, (sections, 130, 5))
    stack = coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8)
    tifffile.imwrite(root / "stack.tif", stack, metadata={"axes": "ZYX"})
    torch.manual_seed(0)
    classes = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))
    save(root / "model.safetensors", UNet(width=2), Card("random", classes, width=2, batch_norm=False))
    return Job(root, probabilities=probabilities)


def state(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below `root`, and "folder" for every folder; the times are left out.

    The list of finished chunks is there twice: sorted, and in the order in which they were finished.
    """
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name != TIMES:
            found[name] = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
    if DONE in found:
        found[ORDER] = found[DONE]
        lines = sorted((root / DONE).read_bytes().splitlines(keepends=True))
        found[DONE] = hashlib.sha256(b"".join(lines)).hexdigest()
    return found


def kept(root: Path) -> dict[str, tuple[int, int]]:
    """Return when and as which file each chunk that is listed as done was written, at full resolution."""
    try:
        text = (root / DONE).read_text()
    except OSError:
        return {}
    found = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        key = "/".join(map(str, json.loads(line)["chunk"]))
        for file in [root / OUT / "0" / "c" / key, *(root / OUT).glob(f"probabilities/0/c/*/{key}")]:
            found[str(file.relative_to(root))] = (file.stat().st_ino, file.stat().st_mtime_ns)
    return found


def ended(root: Path) -> bool:
    """Tell whether the log of the result is whole lines but for some that a kill tore, and ends as it should."""
    from napari_unet.events import Finished
    from napari_unet.log import read

    events, at = read(root / TIMES)
    last = events[-1]
    return isinstance(last, Finished) and not last.stopped and at == (root / TIMES).stat().st_size
