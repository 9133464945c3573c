from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_unet.omezarr import Level, Multiscale
from napari_unet.voxels import OME_CREATOR, Voxels, letters, nanometres, of_multiscale, of_tiff, of_zyx

STACK = np.zeros((3, 16, 16), np.uint8)


def voxels(path: Path, **options: Any) -> Voxels:
    tifffile.imwrite(path, STACK, photometric="minisblack", **options)
    with tifffile.TiffFile(path) as tif:
        return of_tiff(tif)


@pytest.mark.parametrize(
    ("unit", "length"),
    [
        ("nanometer", 1), ("nm", 1), ("Nanometres", 1), ("micrometer", 1000), ("µm", 1000), ("μm", 1000),
        ("um", 1000), ("microns", 1000), ("angstrom", 0.1), ("Å", 0.1), ("millimeter", 1e6), ("meter", 1e9),
        ("second", None), ("pixel", None), ("inch", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_units(unit: str | None, length: float | None) -> None:
    assert nanometres(unit) == length


def test_ome_tiff(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 4.5, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.005, "PhysicalSizeZ": 500}
    metadata = {"axes": "ZYX", "PhysicalSizeZUnit": "Å", **sizes}
    assert voxels(tmp_path / "a.tif", ome=True, metadata=metadata).step == {"Z": 50, "Y": 5, "X": 4.5}
    assert voxels(tmp_path / "a.tif", ome=True, metadata={"axes": "ZYX"}) == Voxels()


@pytest.mark.parametrize("unit", ["nm", "pixel"])
def test_the_position_in_an_ome_tiff_is_trusted_where_we_wrote_it(tmp_path: Path, unit: str) -> None:
    sizes = {f"PhysicalSize{axis}": size for axis, size in zip("XYZ", (4.6, 5, 50), strict=True)}
    units = {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}
    at = (2, 0, 17) if unit == "pixel" else (100, 0, 17 * 4.6)
    plane = {f"Position{axis}": [place] * 3 for axis, place in zip("ZYX", at, strict=True)}
    plane |= {f"Position{axis}Unit": [unit] * 3 for axis in "XYZ"}
    metadata = {"axes": "ZYX", "Plane": plane, **sizes, **units}
    foreign = voxels(tmp_path / "a.tif", ome=True, metadata=metadata)
    ours = voxels(tmp_path / "a.tif", ome=True, metadata=metadata | {"Creator": OME_CREATOR})
    assert foreign == Voxels({"Z": 50, "Y": 5, "X": 4.6})
    assert ours == Voxels(foreign.step, {"Z": 2, "Y": 0, "X": 17})
    for size in sizes:
        del metadata[size]
    ours = voxels(tmp_path / "a.tif", ome=True, metadata=metadata | {"Creator": OME_CREATOR})
    assert ours == Voxels({}, {"Z": 2, "Y": 0, "X": 17} if unit == "pixel" else {})


def test_imagej(tmp_path: Path) -> None:
    def step(resolution: tuple[float, float], **metadata: Any) -> dict[str, float]:
        info = {"axes": "ZYX", **metadata}
        return dict(voxels(tmp_path / "a.tif", imagej=True, resolution=resolution, metadata=info).step)

    assert step((250, 200), unit=r"\u00B5m", spacing=0.05) == pytest.approx({"Z": 50, "Y": 5, "X": 4})
    assert step((0.25, 0.2), unit="nm") == pytest.approx({"Z": 1, "Y": 5, "X": 4})
    assert step((72, 72), unit="pixel") == step((72, 72), unit="inch") == step((72, 72)) == {}


def test_tiff_by_tifffile(tmp_path: Path) -> None:
    found = voxels(tmp_path / "a.tif", metadata={"voxel_size": [50, 4.6, 4.6], "offset": [3, 0.25, 16]})
    assert found == Voxels({"Z": 50, "Y": 4.6, "X": 4.6}, {"Z": 3, "Y": 0.25, "X": 16})
    for nonsense in ("a lot", [1, 2], [0, float("inf"), None], {"z": 1}):
        assert voxels(tmp_path / "a.tif", metadata={"voxel_size": nonsense, "offset": nonsense}) == Voxels()


def test_print_resolution_is_no_voxel_size(tmp_path: Path) -> None:
    dots_per_cm = {"resolution": (300, 300), "resolutionunit": "CENTIMETER"}
    assert voxels(tmp_path / "a.tif", metadata=None, **dots_per_cm) == Voxels()


def test_ome_zarr() -> None:
    level = Level("0", (2.0, 1.0, 0.004, 0.004), (0.0, 30.0, 0.02, 0.041))
    units = ("second", None, "micrometer", "micrometer")
    found = of_multiscale(Multiscale(("t", "z", "y", "x"), units, (level,)))
    assert found.step == {"Y": 4, "X": 4}
    assert found.start == {"T": 0, "Z": 30, "Y": 5, "X": 10.25}


def test_a_coarse_level_of_ome_zarr() -> None:
    levels = (Level("0", (50.0, 4.0, 5.0), (100.0, 8.0, 0.0)), Level("1", (50.0, 8.0, 10.0), (100.0, 10.0, 2.5)))
    image = Multiscale(("z", "y", "x"), ("nanometer",) * 3, levels)
    assert of_multiscale(image, 1) == Voxels({"Z": 50, "Y": 8, "X": 10}, {"Z": 2, "Y": 1.25, "X": 0.25})


def test_three_numbers() -> None:
    assert of_zyx([50, 4, 5]) == Voxels({"Z": 50, "Y": 4, "X": 5})
    assert of_zyx((0.05, 0.004, 0.005), 1000.0, (0.1, 0, -0.01)) == Voxels(
        {"Z": 50, "Y": 4, "X": 5}, {"Z": 2, "Y": 0, "X": -2}
    )
    assert of_zyx([0, 4, 5], 1.0, [1, 1, 1]) == Voxels({"Y": 4, "X": 5})
    for nonsense in (None, "a lot", 3, [1, 2], [1, 2, float("nan")]):
        assert of_zyx(nonsense, 1.0, [1, 1, 1]) == Voxels()


@pytest.mark.parametrize(
    ("names", "ndim", "found"),
    [
        ("tczyx", 5, "TCZYX"), ("qzyx", 4, "QZYX"), ([None, None, "y", "x"], 4, "QQYX"), ("zyx", 4, "QQYX"),
        ("", 2, "YX"), ("", 1, "X"), ("", 5, "QQQYX"), ("zy", 2, "YX"), ("xyx", 3, "QYX"), ("xyz", 3, "XYZ"),
    ],
)  # fmt: skip
def test_letters_of_axes(names: Any, ndim: int, found: str) -> None:
    assert letters(names, ndim) == found
