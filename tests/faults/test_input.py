"""The image becomes shorter while it is segmented: said in one sentence; when it is whole again, the job goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr
from conftest import Bench, Forks, Tally, plainly
from job import make


def plain_tiff(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path.with_suffix(".tif"), stack, metadata={"axes": "ZYX"})
    return path.with_suffix(".tif")


def packed_tiff(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path.with_suffix(".tif"), stack, metadata={"axes": "ZYX"}, compression="zlib", rowsperstrip=64)
    return path.with_suffix(".tif")


def tiled_tiff(path: Path, stack: np.ndarray) -> Path:
    tifffile.imwrite(path.with_suffix(".tif"), stack, metadata={"axes": "ZYX"}, tile=(64, 64))
    return path.with_suffix(".tif")


def folder_of_tiff(path: Path, stack: np.ndarray) -> Path:
    path.mkdir()
    for z, section in enumerate(stack):
        tifffile.imwrite(path / f"{z}.tif", section)
    return path / f"{len(stack) - 1}.tif"


def folder_of_png(path: Path, stack: np.ndarray) -> Path:
    from PIL import Image

    path.mkdir()
    for z, section in enumerate(stack):
        Image.fromarray(section).save(path / f"{z}.png")
    return path / f"{len(stack) - 1}.png"


def packed_zarr(path: Path, stack: np.ndarray) -> Path:
    zarr.create_array(path, data=stack, chunks=(1, 520, 40))
    return path / f"c/{len(stack) - 1}/0/0"


def plain_zarr(path: Path, stack: np.ndarray) -> Path:
    zarr.create_array(path, data=stack, chunks=(1, 520, 40), compressors=None)
    return path / f"c/{len(stack) - 1}/0/0"


def hdf5(path: Path, stack: np.ndarray) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("raw", data=stack)  # not in chunks, of which the library would keep those of a small file
    return path.with_suffix(".h5")


def mrc(path: Path, stack: np.ndarray) -> Path:
    mrcfile.write(path.with_suffix(".mrc"), (stack // 2).astype(np.int8))
    return path.with_suffix(".mrc")


FORMATS = [plain_tiff, packed_tiff, tiled_tiff, folder_of_tiff, folder_of_png, plain_zarr, packed_zarr, hdf5, mrc]


@pytest.mark.slow
@pytest.mark.parametrize("save", FORMATS)
def test_the_image_is_cut_meanwhile(
    forks: Forks, tmp_path: Path, tally: Tally, save: Callable[[Path, np.ndarray], Path]
) -> None:
    job = make(tmp_path / "job", sections=8)
    stack = tifffile.imread(job.root / "stack.tif")
    (job.root / "stack.tif").unlink()
    cut = save(job.root / "image", stack)
    inside = job.root / "image"
    image = inside if inside.is_dir() else cut
    bench = Bench(replace(job, image=image.name), forks)
    whole, fault = cut.read_bytes(), f"the image is cut meanwhile: {save.__name__.replace('_', ' ')}"
    chunks = [point for point in bench.points if point[:2] == ("create", "out.zarr/log.jsonl")]
    # Before each of the first chunks that are told of, so that sections are left to be read.
    for point in chunks[3:11]:
        with tally.tried(fault) as row:
            answer = bench.segment(at=point, does=f"cut:{cut.relative_to(job.root)}")
            assert answer["sprung"], (point, answer)
            assert plainly(answer), (point, answer)
            row["refused"] += 1
            refused = bench.segment()  # it is still short
            assert plainly(refused), (point, refused)
            cut.write_bytes(whole)
            bench.goes_on(point, in_order=False)
            row["identical"] += 1
        cut.write_bytes(whole)
        shutil.rmtree(job.out)
