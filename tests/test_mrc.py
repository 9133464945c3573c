import builtins
import struct
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from napari_unet.problem import Problem
from napari_unet.volume import open_volume

STACK = np.random.default_rng(0).integers(-100, 100, (5, 64, 80), dtype=np.int8)


def save(path: Path, pixels: np.ndarray = STACK, **header: Any) -> Path:
    with mrcfile.new(path, pixels, overwrite=True) as file:
        for name, value in header.items():
            if name == "voxel_size":
                file.voxel_size = value
            else:
                setattr(file.header, name, value)
    return path


def poke(path: Path, at: int, values: bytes) -> Path:
    raw = bytearray(path.read_bytes())
    raw[at : at + len(values)] = values
    path.write_bytes(raw)
    return path


def problem(path: Path) -> str:
    with pytest.raises(Problem, match=r"^.*[^.]\. [A-Z].*\.$") as caught:
        open_volume(path)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4", "f2", ">i2", ">f4"])
@pytest.mark.parametrize("suffix", ["mrc", "mrcs", "map", "rec", "ST"])
def test_a_stack(tmp_path: Path, suffix: str, dtype: str) -> None:
    pixels = (np.abs(STACK) if dtype == "u2" else STACK).astype(dtype)
    volume = open_volume(save(tmp_path / f"a.{suffix}", pixels))
    assert (volume.shape, volume.dtype) == (STACK.shape, np.dtype(dtype).newbyteorder("="))
    assert (volume.voxel_size, volume.offset) == (None, None)
    for z in range(5):
        np.testing.assert_array_equal(volume.section(z), pixels[z])


def test_it_is_for_reading_only(tmp_path: Path) -> None:
    volume = open_volume(save(tmp_path / "a.mrc"))
    volume.section(0)[:] = 0
    np.testing.assert_array_equal(volume.section(0), STACK[0])


def test_one_image_and_a_stack_of_images(tmp_path: Path) -> None:
    volume = open_volume(save(tmp_path / "a.mrc", STACK[0], voxel_size=12.5))
    assert (volume.shape, volume.voxel_size) == ((1, 64, 80), pytest.approx((1.25, 1.25, 1.25)))
    save(tmp_path / "b.mrcs", voxel_size=(8, 9, 0))
    with mrcfile.open(tmp_path / "b.mrcs", "r+") as file:
        file.set_image_stack()
    volume = open_volume(tmp_path / "b.mrcs")
    assert (volume.shape, volume.voxel_size) == (STACK.shape, None)


def test_several_volumes_are_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mrc", np.stack([STACK, STACK // 2]))
    assert "has 2 stacks, its axes are unnamed 2, Z 5, Y 64, X 80. Say which one" in problem(path)
    np.testing.assert_array_equal(open_volume(path, channel=1).section(3), STACK[3] // 2)


def test_voxel_size_is_in_angstrom(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mrc", voxel_size=(40, 50, 500))
    assert open_volume(path).voxel_size == pytest.approx((50, 5, 4))
    poke(path, 28, struct.pack("<3i", 0, 0, 0))  # mx, my, mz
    assert open_volume(path).voxel_size is None


def test_the_order_of_the_axes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mrc", STACK.transpose(1, 0, 2), mapc=1, mapr=3, maps=2)
    with mrcfile.open(path, "r+") as file:
        file.header.mx, file.header.my, file.header.mz = 80, 64, 5
        file.header.cella = (80 * 40, 64 * 50, 5 * 500)
    volume = open_volume(path)
    assert volume.voxel_size == pytest.approx((50, 5, 4))
    np.testing.assert_array_equal(volume.section(3), STACK[3])
    for nonsense in ((0, 0, 0), (1, 1, 2), (1, 2, 9)):
        assert open_volume(poke(path, 64, struct.pack("<3i", *nonsense))).shape == (64, 5, 80)


@pytest.mark.parametrize("order", "<>")
def test_signed_and_unsigned_bytes(tmp_path: Path, order: str) -> None:
    path = tmp_path / "a.mrc"
    with mrcfile.new(path, STACK, overwrite=True) as file:
        if order == ">":
            file.header.dtype = file.header.dtype.newbyteorder(">")  # single bytes need no swapping
    path = save(path, STACK.astype(np.int16 if order == "<" else ">i2"))
    raw = path.read_bytes()
    path.write_bytes(raw[:1024] + STACK.tobytes())
    poke(path, 12, struct.pack(f"{order}i", 0))  # the mode
    assert open_volume(path).dtype == np.int8
    for flags, dtype in ((0, np.uint8), (1, np.int8), (6, np.uint8), (7, np.int8)):
        poke(path, 152, struct.pack(f"{order}2i", 1146047817, flags))
        volume = open_volume(path)
        assert volume.dtype == dtype
        np.testing.assert_array_equal(volume.section(2), STACK[2].view(dtype))
    poke(path, 152, bytes(8))
    poke(path, 80, struct.pack(f"{order}f", 200.0))  # the greatest value
    assert open_volume(path).dtype == np.uint8
    poke(path, 80, struct.pack(f"{order}f", float("nan")))
    assert open_volume(path).dtype == np.int8


def test_what_programs_get_wrong_and_does_no_harm(tmp_path: Path) -> None:
    path = poke(save(tmp_path / "a.mrc", STACK.astype("f4")), 212, b"\x44\x20\x20\x20")  # the byte-order stamp
    path.write_bytes(path.read_bytes() + b"more")
    np.testing.assert_array_equal(open_volume(path).section(4), STACK[4])


@pytest.mark.parametrize(
    ("at", "values"),
    [
        (208, b"PAM "),  # the name of the format
        (0, struct.pack("<i", -80)),
        (0, struct.pack("<i", 0)),
        (4, struct.pack("<i", 65)),
        (8, struct.pack("<i", 2**30)),
        (92, struct.pack("<i", 2**30)),  # bytes of the extended header
        (92, struct.pack("<i", -1)),
        (88, struct.pack("<i", 401)),  # a stack of volumes that do not divide it
    ],
)
def test_a_damaged_header(tmp_path: Path, at: int, values: bytes) -> None:
    path = save(tmp_path / "a.mrc")
    poke(path, 36, struct.pack("<i", 3))  # mz, of which a stack of volumes would need a multiple
    assert "a.mrc" in problem(poke(path, at, values))


@pytest.mark.parametrize("mode", [3, 4, 101, 99])
def test_modes_that_are_not_supported(tmp_path: Path, mode: int) -> None:
    assert f"is an MRC of mode {mode}" in problem(poke(save(tmp_path / "a.mrc"), 12, struct.pack("<i", mode)))


@pytest.mark.parametrize("size", [0, 100, 1023, 1024, 1025, 9000])
def test_a_truncated_file(tmp_path: Path, size: int) -> None:
    path = save(tmp_path / "a.mrc")
    path.write_bytes(path.read_bytes()[:size])
    assert problem(path).startswith(f"{path} cannot be read: it is damaged")


def test_text(tmp_path: Path) -> None:
    (tmp_path / "a.st").write_text("some text that is no image at all " * 99)
    assert "cannot be read" in problem(tmp_path / "a.st")


def test_without_mrcfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, imported = save(tmp_path / "a.mrc"), builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "mrcfile":
            raise ImportError
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert problem(path).endswith("Install it into the same environment: pip install mrcfile.")
