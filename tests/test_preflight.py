"""Before a long run: what is said, and that nothing is said without a reason."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_unet import preflight
from napari_unet.card import Card, find, read_card
from napari_unet.config import SegmentConfig
from napari_unet.events import Notice
from napari_unet.layout import Layout, create
from napari_unet.newzarr import create_level, describe
from napari_unet.preflight import contrast, needed, notices
from napari_unet.problem import Problem
from napari_unet.samples import IMAGE
from napari_unet.tiles import Box
from napari_unet.volume import Volume, open_volume

SHARED = Path(__file__).parents[2] / "shared"
SMALL = "em-membrane-small"
CARD = read_card(find(SMALL))
STACKS = [
    "vnc/stack1/raw", "vnc/stack2/raw", "isbi2012/raw", "lucchi/train_raw", "lucchi/test_raw",
    "flyem_medulla/sample1/raw", "flyem_medulla/sample2/raw", "chm/train_raw", "chm/test_raw",
]  # fmt: skip


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    return np.asarray(open_volume(IMAGE).array[:])


def told(
    volume: Volume, out: Path, box: Box | None = None, card: Card = CARD, probabilities: bool = False, **more: Any
) -> list[str]:
    """Return what is said of a stack, the first notice being its size."""
    z, y, x = volume.shape
    box = box or Box(0, z, 0, y, 0, x)
    shape = (box.z1 - box.z0, box.y1 - box.y0, box.x1 - box.x0)
    layout = Layout(shape, card.classes, volume.voxel_size, (0, 0, 0), probabilities, {})
    config = SegmentConfig(**{"image": Path(volume.name), "out": out, "model": SMALL, **more})
    said = list(notices(config, volume, box, card, layout))
    assert all(type(each) is Notice for each in said)
    return [each.text for each in said]


def stack(sections: np.ndarray, voxel_size: tuple[float, float, float] | None = (10, 10, 10)) -> Volume:
    return Volume(sections, "stack.tif", voxel_size)


# ---- size and disk


def test_a_good_stack_gets_its_size_and_nothing_else(tissue: np.ndarray, tmp_path: Path) -> None:
    (size,) = told(stack(tissue), tmp_path)
    assert size.startswith("24 sections of 250 x 250 pixels (1.5 MB), 24 chunks. The result takes at most 1.5 MB; ")
    assert size.endswith(" are free.")


def test_best_quality_says_why_the_first_tile_takes_long(tissue: np.ndarray, tmp_path: Path) -> None:
    (size,) = told(stack(tissue), tmp_path, best_quality=True)
    assert "24 chunks. Each is computed 8 times; the time left is known when the first one is done. " in size


def test_a_part_counts_as_the_part(tissue: np.ndarray, tmp_path: Path) -> None:
    (size,) = told(stack(tissue), tmp_path, Box(3, 4, 0, 200, 10, 210))
    assert size.startswith("1 section of 200 x 200 pixels (less than 1 MB), 1 chunk. The result takes at most 1 MB; ")


def test_a_result_of_noise_takes_no_more_than_is_said(tmp_path: Path) -> None:
    layout = Layout((2, 1100, 700), CARD.classes, None, (0, 0, 0), True, {})
    assert needed(layout) == 3 * 2 * (1100 * 700 + 550 * 350 + 275 * 175)
    create(tmp_path, layout)
    random = np.random.default_rng(0)
    for folder in ("", "probabilities/"):
        for level in range(3):
            array = zarr.open_array(tmp_path, path=f"{folder}{level}", mode="r+")
            array[...] = random.integers(0, 255, array.shape, np.uint8)
    chunks = [file.stat().st_size for file in tmp_path.rglob("c/**/*") if file.is_file()]
    assert 0.9 * needed(layout) < sum(chunks) < 1.01 * needed(layout)  # chunks at the edge are padded


def test_a_disk_without_room_is_said_with_a_remedy(
    tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4_100_000))
    (size,) = told(stack(tissue), tmp_path, probabilities=True)
    assert "takes up to 4.5 MB, less where it can be compressed, and 4.1 MB are free. Free some space, or" in size
    assert "without probabilities" not in told(stack(np.tile(tissue, (1, 2, 2))), tmp_path)[0]


def test_a_disk_that_does_not_tell_is_no_trouble(
    tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    assert told(stack(tissue), tmp_path)[0].endswith("The result takes at most 1.5 MB.")


# ---- pixel size


def levels(folder: Path, tissue: np.ndarray, size: float, count: int) -> Path:
    """Write an OME-Zarr image whose first level has pixels of `size` nm."""
    for level in range(count):
        pixels = tissue[:2, :: 2**level, :: 2**level]
        create_level(folder / str(level), pixels.shape, (1, 64, 64), "uint8", "zyx")[...] = pixels
    zarr.create_group(folder, attributes={"ome": describe("zyx", count, (40, size, size), (0, 0, 0))})
    return folder


def test_an_unknown_voxel_size_names_what_the_model_knows(tissue: np.ndarray, tmp_path: Path) -> None:
    sentence = "The voxel size of this image is not known; em-membrane-small was trained on pixels of 4.6, 5 and 10 nm."
    assert told(stack(tissue, None), tmp_path)[1:] == [sentence]


def test_a_model_of_unknown_pixels_says_nothing_of_them(tissue: np.ndarray, tmp_path: Path) -> None:
    for size in (None, (40.0, 1.0, 1.0)):
        assert not told(stack(tissue, size), tmp_path, card=replace(CARD, voxel_size=()))[1:]


@pytest.mark.parametrize("size", [3.3, 4.6, 6.8, 7.1, 14.9])
def test_pixels_like_those_of_the_training_are_fine(tissue: np.ndarray, tmp_path: Path, size: float) -> None:
    assert not told(stack(tissue, (40, size, size)), tmp_path)[1:]


@pytest.mark.parametrize(
    ("size", "words"),
    [(2, "Shrink its rows and columns 2.3 times first."), (32, "Enlarge its rows and columns 3.2 times first.")],
)
def test_other_pixels_get_a_factor(tissue: np.ndarray, tmp_path: Path, size: float, words: str) -> None:
    (said,) = told(stack(tissue, (40, size, size)), tmp_path)[1:]
    assert said.startswith(f"Pixels are {size} nm here, but em-membrane-small was trained on pixels of 4.6, 5 and 10 ")
    assert said.endswith(words)


@pytest.mark.parametrize(("size", "opened", "fitting", "of"), [(1.2, "", "2", "4.8"), (4, "3", "0", "4")])
def test_other_pixels_get_the_level_that_fits(
    tissue: np.ndarray, tmp_path: Path, size: float, opened: str, fitting: str, of: str
) -> None:
    folder = levels(tmp_path / "image.zarr", tissue, size, 4)
    volume = open_volume(folder / opened)
    (said,) = told(volume, tmp_path)[1:]
    assert said.endswith(f"Segment {folder / fitting} instead: it is the same image with pixels of {of} nm.")
    assert not told(open_volume(folder / fitting), tmp_path)[1:]


def test_a_level_of_the_only_image_in_a_folder_is_offered(tissue: np.ndarray, tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "image.zarr").attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    levels(tmp_path / "image.zarr" / "0", tissue, 1.2, 4)
    (said,) = told(open_volume(tmp_path / "image.zarr"), tmp_path)[1:]
    assert said.endswith(f"Segment {tmp_path / 'image.zarr/0/2'} instead: it is the same image with pixels of 4.8 nm.")


def test_levels_that_do_not_fit_are_not_offered(tissue: np.ndarray, tmp_path: Path) -> None:
    (said,) = told(open_volume(levels(tmp_path / "image.zarr", tissue, 0.5, 2)), tmp_path)[1:]
    assert said.endswith("Shrink its rows and columns 9.2 times first.")


# ---- sections


def test_black_and_constant_sections_are_named_in_one_notice(tissue: np.ndarray, tmp_path: Path) -> None:
    sections = tissue[:12].copy()
    sections[[2, 3, 7]] = 0
    sections[5] = 90
    (said,) = told(stack(sections), tmp_path)[1:]
    assert said.startswith(
        "Black: sections 2, 3 and 7. The same grey value everywhere: section 5. The result will say nothing there "
        "(12 of 12 sections looked at). "
    )


def test_sections_are_numbered_as_in_the_stack(tissue: np.ndarray, tmp_path: Path) -> None:
    sections = tissue[:8].copy()
    sections[5] = 0
    (said,) = told(stack(sections), tmp_path, Box(4, 8, 0, 250, 0, 250))[1:]
    assert said.startswith("Black: section 5. ")
    assert "(4 of 4 sections looked at)" in said


def test_repeated_sections_are_named(tissue: np.ndarray, tmp_path: Path) -> None:
    sections = tissue[:9].copy()
    sections[4], sections[8] = sections[3], sections[7]
    (said,) = told(stack(sections), tmp_path)[1:]
    assert said.startswith("Equal to the next section, pixel by pixel: sections 3 and 7 (9 of 9 sections looked at). ")
    assert not told(stack(sections), tmp_path, Box(4, 8, 0, 250, 0, 250))[1:]  # what follows is not in the part


def test_many_sections_are_not_all_named(tissue: np.ndarray, tmp_path: Path) -> None:
    (said,) = told(stack(np.repeat(tissue[:1], 40, axis=0)), tmp_path)[1:]
    assert "sections 0, 2, 5, 7, 10, 13 and 9 more (16 of 40 sections looked at)" in said


def test_a_section_with_one_bright_pixel_in_a_corner_is_not_black(tissue: np.ndarray, tmp_path: Path) -> None:
    sections = np.zeros((2, 2500, 2100), np.uint8)
    sections[:, -1, 0] = 1, 2
    assert not told(stack(sections), tmp_path)[1:]


def test_sections_that_differ_in_one_corner_are_not_repeated(tissue: np.ndarray, tmp_path: Path) -> None:
    sections = np.tile(tissue[:1], (2, 10, 9))
    sections[1, -1, 0] += 1
    assert not told(stack(sections), tmp_path)[1:]


def test_what_cannot_be_read_ends_the_job_before_it_computes(tissue: np.ndarray, tmp_path: Path) -> None:
    sections = tissue[:4].astype(np.float32)
    sections[2, 100, 100] = np.nan
    with pytest.raises(Problem, match=r"Section 2 of stack.tif holds grey values that are not numbers"):
        told(stack(sections), tmp_path)


@dataclass
class Counted:
    """A huge black stack that counts the pixels that are read."""

    shape: tuple[int, int, int] = (500, 200_000, 200_000)
    dtype: str = "uint8"
    largest: int = 0
    read: int = 0
    tissue: bool = False

    def __getitem__(self, key: tuple[int, slice, slice]) -> np.ndarray:
        z, rows, columns = key
        shape = rows.stop - rows.start, columns.stop - columns.start
        self.largest, self.read = max(self.largest, shape[0] * shape[1]), self.read + shape[0] * shape[1]
        return np.random.default_rng(z).integers(0, 9, shape) if self.tissue else np.zeros(shape)


@pytest.mark.parametrize(("has_tissue", "most"), [(True, 2 * 16 * 512**2), (False, 16 * (512**2 + 9 * 2048**2))])
def test_a_huge_stack_is_looked_at_in_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_tissue: bool, most: int
) -> None:
    monkeypatch.setattr(preflight, "_PATIENCE", 1e9)
    array = Counted(tissue=has_tissue)
    said = told(Volume(array, "huge.zarr", (10, 10, 10)), tmp_path)
    assert len(said) == 1 + (not has_tissue)
    assert array.largest <= 2048**2
    assert array.read <= most


def test_a_slow_disk_is_not_waited_for(tissue: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_PATIENCE", -1.0)
    assert len(told(stack(np.zeros_like(tissue)), tmp_path)) == 1


# ---- contrast


def test_inverted_contrast_is_said_with_a_remedy_and_only_of_bundled_models(tissue: np.ndarray, tmp_path: Path) -> None:
    (said,) = told(stack(255 - tissue), tmp_path)[1:]
    assert said.startswith("Membranes look bright here, but em-membrane-small was trained on dark ones")
    assert "Fiji: Edit > Invert" in said
    assert not told(stack(255 - tissue), tmp_path, model="my-own")[1:]  # may have been trained on just this


@pytest.mark.parametrize("scale", [1, 1000, 1e-6])
def test_contrast_does_not_depend_on_the_grey_scale(tissue: np.ndarray, tmp_path: Path, scale: float) -> None:
    dtype = np.uint16 if scale == 1000 else np.float64
    bright, dark = ((pixels * (scale / 4)).astype(dtype) for pixels in (255 - tissue.astype(float), tissue))
    assert len(told(stack(bright), tmp_path)) == 2
    assert len(told(stack(dark), tmp_path)) == 1


def test_dark_and_bright_lines_have_opposite_signs() -> None:
    y, x = np.mgrid[:128, :128]
    line = (np.abs(y - x) < 3).astype(np.float32)
    assert contrast(-line) > 0.6
    assert contrast(line) == -contrast(-line)
    assert contrast(0 * line) == 0


def test_noise_and_small_pieces_are_not_judged(tissue: np.ndarray, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (4, 300, 300), np.uint8)
    assert not told(stack(noise), tmp_path)[1:]
    assert not told(stack(255 - tissue[:, :100]), tmp_path)[1:]


@pytest.mark.skipif(not SHARED.is_dir(), reason="the stacks are not in `shared` beside the checkout")
@pytest.mark.parametrize("name", STACKS)
def test_real_stacks_are_told_from_inverted_ones(name: str, tmp_path: Path) -> None:
    raw = tifffile.imread(SHARED / f"data/{name}.tif")
    raw = raw if raw.ndim == 3 else raw[None]
    whole = Box(0, *[n for size in raw.shape for n in (size, 0)][:-1])
    for sign, pixels in ((1, raw), (-1, 255 - raw)):
        found = sign * np.array(preflight._look(stack(pixels), whole).contrast)
        assert np.median(found) > 0.14
        assert found.min() > 0.06
    assert len(told(stack(raw), tmp_path)) == 1
    assert "Membranes look bright" in told(stack(255 - raw), tmp_path)[1]
