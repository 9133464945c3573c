"""Each row of docs/bad-input.md, through the command line."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import torch
import zarr
from PIL import Image
from safetensors.torch import save_file

from napari_unet import cli, disk, learner, omezarr, store
from napari_unet.card import find
from napari_unet.newzarr import create_stack
from napari_unet.predict import Predictor

TABLE = Path(__file__).parents[1] / "docs" / "bad-input.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in TABLE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| input")
]
EXIT = {"works": 0, "exit 0": 0, "refused": 1, "wrong usage": 2}
QUICK = ["--threads", "1"]
TRAIN = ["--steps", "1", "--crop", "16", "--batch", "1", *QUICK]


class Case:
    """A small image with strokes, and the commands on them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        rng = np.random.default_rng(0)
        self.pixels = rng.integers(1, 250, (2, 40, 50)).astype(np.uint8)
        self.painted = np.zeros(self.pixels.shape, np.uint8)
        self.painted[0, ::3], self.painted[0, 1::3] = 1, 2

    def save(self, name: str, stack: np.ndarray, **options: object) -> str:
        metadata = {"axes": "ZYX"} | options.pop("metadata", {})  # type: ignore[operator]
        path = self.folder / name
        tifffile.imwrite(path, stack, **({"photometric": "minisblack", "metadata": metadata} | options))
        return str(path)

    def train(self, pixels: np.ndarray | None = None, painted: np.ndarray | None = None, *options: str) -> int:
        image = self.save("image.tif", self.pixels if pixels is None else pixels)
        labels = self.save("labels.tif", self.painted if painted is None else painted)
        return cli.main(["train", image, labels, "--out", str(self.folder / "run"), *TRAIN, *options])

    def segment(self, image: np.ndarray | str | None = None, *options: str) -> int:
        pixels = self.pixels if image is None else image
        path = pixels if isinstance(pixels, str) else self.save("image.tif", pixels)
        return cli.main(["segment", path, str(self.folder / "out.zarr"), *QUICK, *options])

    def fail(self, place: object, name: str, error: Exception) -> None:
        """Let a function raise `error`."""

        def raising(*_: object, **__: object) -> None:
            raise error

        self.monkeypatch.setattr(place, name, raising)


CASES: dict[str, Callable[[Case], int]] = {}


def case(name: str) -> Callable[[Callable[[Case], int]], Callable[[Case], int]]:
    def register(run: Callable[[Case], int]) -> Callable[[Case], int]:
        CASES[name] = run
        return run

    return register


def of_dtype(dtype: str) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        bool_or_wide = c.pixels > 100 if dtype == "?" else c.pixels.astype(float) * 257 - 3000
        return c.segment(bool_or_wide.astype(dtype))

    return run


def with_value(value: float) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        pixels = c.pixels.astype(np.float32)
        pixels[1, 5, 5] = value
        return c.segment(pixels)

    return run


def colours(equal: bool, *options: str) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        rgb = np.repeat(c.pixels[0][..., None], 3, axis=2).copy()
        if not equal:
            rgb[..., 1] //= 2
        Image.fromarray(rgb).save(c.folder / "rgb.png")
        return c.segment(str(c.folder / "rgb.png"), *options)

    return run


def four_axes(*options: str) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        stack = np.stack([c.pixels, c.pixels])
        return c.segment(c.save("four.tif", stack, metadata={"axes": "CZYX"}), *options)

    return run


def hdf5(inside: str, *names: str) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        with h5py.File(c.folder / "image.h5", "w") as file:
            for name in names:
                file[name] = c.pixels
        return c.segment(str(c.folder / "image.h5" / inside))

    return run


def mrc(cut: int = 0) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        path = c.folder / "image.mrc"
        with mrcfile.new(path, c.pixels.astype(np.int16)) as file:
            file.voxel_size = 40
        path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
        return c.segment(str(path))

    return run


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


@case("no painted pixel")
def _(c: Case) -> int:
    return c.train(None, np.zeros_like(c.painted))


@case("one class only")
def _(c: Case) -> int:
    return c.train(None, np.minimum(c.painted, 1))


@case("labels beside the image")
def _(c: Case) -> int:
    image = c.save("image.tif", c.pixels)
    labels = c.save("labels.tif", c.painted, metadata={"axes": "ZYX", "offset": [0, 0, 400]})
    return cli.main(["train", image, labels, "--out", str(c.folder / "run"), *TRAIN])


@case("labels larger than the image")
def _(c: Case) -> int:
    return c.train(None, np.pad(c.painted, ((0, 0), (0, 9), (0, 0))))


@case("labels of another voxel size")
def _(c: Case) -> int:
    image = c.save("image.tif", c.pixels, metadata={"voxel_size": [50, 4, 4]})
    labels = c.save("labels.tif", c.painted, metadata={"voxel_size": [50, 8, 8]})
    return cli.main(["train", image, labels, "--out", str(c.folder / "run"), *TRAIN])


def smaller(**place: object) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        image = c.save("image.tif", c.pixels)
        labels = c.save("labels.tif", c.painted[:1, :30, :40], metadata=place)
        return cli.main(["train", image, labels, "--out", str(c.folder / "run"), *TRAIN])

    return run


def png_labels(mode: str) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        palette = Image.fromarray(c.painted[0], "P")
        palette.putpalette([0, 0, 0, 230, 159, 0, 86, 180, 233])
        palette.convert(mode).save(c.folder / "labels.png")
        image = c.save("image.tif", c.pixels[:1])
        return cli.main(["train", image, str(c.folder / "labels.png"), "--out", str(c.folder / "run"), *TRAIN])

    return run


@case("a truth with values that are no class")
def _(c: Case) -> int:
    truth = c.save("truth.tif", np.where(c.painted == 1, 255, 0).astype(np.uint8))
    return c.segment() or cli.main(["score", str(c.folder / "out.zarr"), truth])


@case("labels of fractions")
def _(c: Case) -> int:
    return c.train(None, c.painted * np.float32(0.5))


@case("a label value without a class")
def _(c: Case) -> int:
    return c.train(None, c.painted * 2)


@case("a painted section of one grey value")
def _(c: Case) -> int:
    return c.train(np.full_like(c.pixels, 9))


@case("black padding around aligned sections")
def _(c: Case) -> int:
    return c.train(np.pad(c.pixels, ((0, 0), (30, 30), (30, 30))), np.pad(c.painted, ((0, 0), (30, 30), (30, 30))))


@case("a missing image")
def _(c: Case) -> int:
    return c.segment(str(c.folder / "nowhere.tif"))


@case("a truncated image")
def _(c: Case) -> int:
    path = Path(c.save("cut.tif", c.pixels))
    path.write_bytes(path.read_bytes()[:-100])
    return c.segment(str(path))


@case("an image that may not be read")
def _(c: Case) -> int:
    c.fail(tifffile, "TiffFile", PermissionError(errno.EACCES, "Permission denied"))  # root may read all
    return c.segment()


@case("a folder that may not be read")
def _(c: Case) -> int:
    c.fail(omezarr, "is_zarr", PermissionError(errno.EACCES, "Permission denied"))
    return c.segment(str(c.folder))


@case("an unknown image format")
def _(c: Case) -> int:
    (c.folder / "image.doc").write_text("cells")
    return c.segment(str(c.folder / "image.doc"))


@case("an HDF5 file that is none")
def _(c: Case) -> int:
    (c.folder / "image.h5").write_text("cells")
    return c.segment(str(c.folder / "image.h5"))


@case("HDF5 without h5py")
def _(c: Case) -> int:
    c.monkeypatch.setitem(sys.modules, "h5py", None)
    (c.folder / "image.h5").write_text("cells")
    return c.segment(str(c.folder / "image.h5"))


@case("a level of an OME-Zarr")
def _(c: Case) -> int:
    level = {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [50, 8, 8]}]}
    multiscales = [{"axes": ["z", "y", "x"], "datasets": [level]}]
    group = zarr.create_group(c.folder / "image.zarr", attributes={"ome": {"multiscales": multiscales}})
    group.create_array("1", data=c.pixels)
    return c.segment(str(c.folder / "image.zarr" / "1"))


@case("5-D image")
def _(c: Case) -> int:
    stack = np.stack([np.stack([c.pixels, c.pixels])] * 2)
    return c.segment(c.save("five.tif", stack, metadata={"axes": "TCZYX"}), "--channel", "1")


@case("a large section with a value that is no number")
def _(c: Case) -> int:
    c.monkeypatch.setattr("napari_unet.sections.WHOLE", 1000)
    pixels = np.tile(c.pixels.astype(np.float32), (1, 1, 30))
    pixels[0, 20, 150] = np.nan  # where the sample of its grey values does not look
    return c.segment(pixels)


@case("grey values as large as float64 can be")
def _(c: Case) -> int:
    return c.segment(c.pixels.astype(np.float64) * 1e300)


@case("a grey stack in colour with one section in real colour")
def _(c: Case) -> int:
    stack = np.repeat(np.concatenate([c.pixels, c.pixels])[..., None], 3, axis=3)
    stack[3, :, :, 1] //= 2
    tifffile.imwrite(c.folder / "rgb.tif", stack, photometric="rgb")
    return c.segment(str(c.folder / "rgb.tif"))


@case("a packed file")
def _(c: Case) -> int:
    (c.folder / "stack.mrc.gz").write_bytes(b"\x1f\x8b")
    return c.segment(str(c.folder / "stack.mrc.gz"))


@case("a level of a TIFF pyramid")
def _(c: Case) -> int:
    pyramid(c)
    return c.segment(str(c.folder / "pyramid.tif" / "1"))


@case("a level that a TIFF has not")
def _(c: Case) -> int:
    pyramid(c)
    return c.segment(str(c.folder / "pyramid.tif" / "5"))


def pyramid(c: Case) -> None:
    with tifffile.TiffWriter(c.folder / "pyramid.tif", ome=True) as tif:
        tif.write(c.pixels, subifds=1, metadata={"axes": "ZYX"}, photometric="minisblack")
        tif.write(np.ascontiguousarray(c.pixels[:, ::2, ::2]), subfiletype=1, photometric="minisblack")


def bioformats2raw(count: int) -> Callable[[Case], int]:
    def run(c: Case) -> int:
        group = c.folder / "raw.zarr"
        zarr.create_group(group, attributes={"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
        for i in range(count):
            create_stack(group / str(i), c.pixels.shape, 64, c.pixels.dtype, None, (0, 0, 0))[:] = c.pixels
        return c.segment(str(group))

    return run


@case("an output inside a Zarr")
def _(c: Case) -> int:
    zarr.create_group(c.folder / "other.zarr")
    image = c.save("image.tif", c.pixels)
    return cli.main(["segment", image, str(c.folder / "other.zarr" / "out.zarr"), *QUICK])


@case("a TIFF inside a Zarr")
def _(c: Case) -> int:
    c.segment(None)
    return cli.main(["convert", str(c.folder / "out.zarr"), str(c.folder / "out.zarr" / "out.tif")])


@case("a damaged result converted to TIFF")
def _(c: Case) -> int:
    c.segment(None)
    (c.folder / "out.zarr/0/c/1/0/0").write_bytes(b"nonsense")
    return cli.main(["convert", str(c.folder / "out.zarr"), str(c.folder / "out.tif")])


@case("a result converted to TIFF")
def _(c: Case) -> int:
    return c.segment() or cli.main(["convert", str(c.folder / "out.zarr"), str(c.folder / "out.tif")])


@case("a TIFF that is there already")
def _(c: Case) -> int:
    path = c.save("out.tif", c.pixels)
    code = c.segment() or cli.main(["convert", str(c.folder / "out.zarr"), path])
    np.testing.assert_array_equal(tifffile.imread(path), c.pixels)
    return code


@case("an image converted to TIFF")
def _(c: Case) -> int:
    return cli.main(["convert", c.save("image.tif", c.pixels), str(c.folder / "out.tif")])


@case("probabilities that were not kept")
def _(c: Case) -> int:
    convert = ["convert", str(c.folder / "out.zarr"), str(c.folder / "out.tif"), "--probabilities"]
    return c.segment() or cli.main(convert)


@case("a truncated model")
def _(c: Case) -> int:
    (c.folder / "cut.safetensors").write_bytes(find("em-membrane").read_bytes()[:5000])
    return c.segment(None, "--model", str(c.folder / "cut.safetensors"))


@case("a foreign model")
def _(c: Case) -> int:
    save_file({"weight": torch.zeros(3)}, c.folder / "foreign.safetensors")
    return c.segment(None, "--model", str(c.folder / "foreign.safetensors"))


@case("a result that is finished")
def _(c: Case) -> int:
    return c.segment() or c.segment()


@case("a result of other settings")
def _(c: Case) -> int:
    return c.segment() or c.segment(None, "--probabilities")


@case("an output that is something else")
def _(c: Case) -> int:
    (c.folder / "out.zarr").mkdir()
    (c.folder / "out.zarr" / "thesis.txt").write_text("months of work")
    code = c.segment()
    assert (c.folder / "out.zarr" / "thesis.txt").read_text() == "months of work"
    return code


@case("a run that is finished")
def _(c: Case) -> int:
    return c.train() or c.train()


@case("a run of other settings")
def _(c: Case) -> int:
    return c.train() or c.train(None, None, "--seed", "5")


@case("a run folder that is something else")
def _(c: Case) -> int:
    (c.folder / "run").mkdir()
    (c.folder / "run" / "thesis.txt").write_text("months of work")
    code = c.train()
    assert [path.name for path in (c.folder / "run").iterdir()] == ["thesis.txt"]
    return code


@case("a full disk while segmenting")
def _(c: Case) -> int:
    c.fail(store, "sync", full())
    code = c.segment()
    c.monkeypatch.undo()
    assert c.segment() == 0, "goes on once there is space"
    return code


@case("a full disk while training")
def _(c: Case) -> int:
    c.fail(disk, "_fsync", full())
    return c.train()


@case("out of memory while segmenting")
def _(c: Case) -> int:
    c.fail(Predictor, "logits", torch.OutOfMemoryError("CUDA out of memory"))
    return c.segment()


@case("out of memory while training")
def _(c: Case) -> int:
    c.fail(learner.Learner, "learn", RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."))
    return c.train()


@case("an odd number of paths")
def _(c: Case) -> int:
    return cli.main(["train", c.save("image.tif", c.pixels), "--out", str(c.folder / "run")])


CASES |= {
    "labels smaller than the image, without a place": smaller(),
    "labels smaller than the image, with a place": smaller(offset=[1, 5, 6]),
    "labels with a palette": png_labels("P"),
    "labels in colour": png_labels("RGB"),
    "objects only, 0 without a meaning": lambda c: c.train(None, np.minimum(c.painted, 1), "--objects"),
    "image and labels swapped": lambda c: c.train(c.painted, c.pixels),
    "a stack of one grey value": lambda c: c.segment(np.full_like(c.pixels, 9)),
    "grey values that are no numbers": with_value(np.nan),
    "infinite grey values": with_value(np.inf),
    "int32 image": of_dtype("<i4"),
    "float64 image": of_dtype("<f8"),
    "big-endian image": of_dtype(">i2"),
    "bool image": of_dtype("?"),
    "RGB with equal channels": colours(True),
    "real RGB": colours(False),
    "real RGB with a channel named": colours(False, "--channel", "1"),
    "4-D image": four_axes(),
    "4-D image with a channel named": four_axes("--channel", "1"),
    "a dataset in HDF5": hdf5("volumes/raw", "volumes/raw", "volumes/labels"),
    "the only dataset of HDF5": hdf5("", "volumes/raw"),
    "HDF5 with several datasets": hdf5("", "volumes/raw", "volumes/labels"),
    "HDF5 without that dataset": hdf5("rw", "volumes/raw"),
    "a folder of one OME-Zarr": bioformats2raw(1),
    "a folder of several OME-Zarr": bioformats2raw(2),
    "MRC": mrc(),
    "a truncated MRC": mrc(100),
    "a missing model": lambda c: c.segment(None, "--model", "no-such-model"),
    "a GPU that is not there": lambda c: c.segment(None, "--device", "cuda"),
    "a region outside the stack": lambda c: c.segment(None, "--region", "0:9,:,:"),
    "a region that cannot be read": lambda c: c.segment(None, "--region", "first ten"),
    "a tile that is no multiple of 16": lambda c: c.segment(None, "--tile", "100"),
    "scratch without classes": lambda c: c.train(None, None, "--start-from", "scratch"),
}


def test_every_row_has_a_case_and_every_case_a_row() -> None:
    assert {row[0] for row in ROWS} == set(CASES)


@pytest.mark.parametrize(("name", "outcome", "words"), ROWS, ids=[row[0] for row in ROWS])
def test_bad_input(
    name: str,
    outcome: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "GPU" in name:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code = CASES[name](Case(tmp_path, monkeypatch))
    printed = capsys.readouterr()
    assert code == EXIT[outcome], printed.err
    assert words in printed.out + printed.err
    assert "Traceback" not in printed.err
    if outcome == "refused":
        assert re.fullmatch(r"Error: .+\. [A-Z].+\n", printed.err), "one sentence what is wrong, one what to do"
