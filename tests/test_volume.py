import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.problem import Problem
from napari_unet.volume import Volume, open_volume

STACK = np.random.default_rng(0).integers(0, 255, (5, 70, 30), dtype=np.uint8)


def save(folder: Path, pixels: np.ndarray, names: list[str] | None = None) -> Path:
    zarr.create_array(folder / "a.zarr", data=pixels, dimension_names=names)
    return folder / "a.zarr"


DTYPES = ["b1", "i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">u4", "<i8", ">u8", "<f2", ">f4", "<f8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_section_is_native_and_its_own(dtype: str) -> None:
    stack = (STACK % 2 if dtype == "b1" else STACK // 2).astype(dtype)
    stack.flags.writeable = False
    volume = Volume(stack, "stack")
    section = volume.section(3, slice(10, 20), slice(5, 9))
    np.testing.assert_array_equal(section, stack[3, 10:20, 5:9])
    assert section.dtype == volume.dtype
    assert volume.dtype.isnative
    assert volume.dtype.kind == ("u" if dtype == "b1" else stack.dtype.kind)
    section[:] = 0


@pytest.mark.parametrize("z", [-1, 5])
def test_a_section_that_is_not_there(z: int) -> None:
    with pytest.raises(IndexError):
        Volume(STACK, "stack").section(z)


def test_a_section_that_fails_is_named() -> None:
    class Broken:
        shape, dtype = (9, 4, 4), np.dtype("u1")

        def __getitem__(self, key: object) -> np.ndarray:
            raise OSError("disk on fire")

    with pytest.raises(Problem, match=r"^Section 7 of my layer cannot be read.*\. Copy .*\.$"):
        Volume(Broken(), "my layer").section(7)


def test_a_file_that_may_not_be_read_is_named() -> None:
    class Forbidden(np.ndarray):
        def __getitem__(self, _: object) -> np.ndarray:
            raise PermissionError(13, "Permission denied", "a.zarr/c/1")

    with pytest.raises(Problem, match=r"a\.zarr/c/1 may not be read. Ask its owner"):
        Volume(np.zeros((2, 3, 4)).view(Forbidden), "a.zarr").section(1)


def test_the_fingerprint_is_of_the_pixels(tmp_path: Path) -> None:
    expected = Volume(STACK.astype(">u2"), "memory").fingerprint()
    assert open_volume(save(tmp_path, STACK.astype("<u2"))).fingerprint() == expected
    tifffile.imwrite(tmp_path / "a.tif", STACK.astype("<u2"), compression="zlib", photometric="minisblack")
    assert open_volume(tmp_path / "a.tif").fingerprint() == expected
    assert Volume(STACK, "other dtype").fingerprint() != expected
    assert Volume(STACK.reshape(5, 30, 70), "other shape").fingerprint() != Volume(STACK, "").fingerprint()


@given(st.integers(0, 4), st.integers(0, 29))
def test_the_fingerprint_sees_any_change_in_a_small_stack(y: int, x: int) -> None:
    changed = STACK[:1].copy()
    changed[0, y, x] += 1
    assert Volume(changed, "").fingerprint() != Volume(STACK[:1], "").fingerprint()


def test_one_image_is_a_stack_of_one_section(tmp_path: Path) -> None:
    volume = open_volume(save(tmp_path, STACK[0]))
    assert volume.shape == (1, 70, 30)
    np.testing.assert_array_equal(volume.section(0), STACK[0])


@pytest.mark.parametrize(
    ("shape", "names", "stack"),
    [
        ((1, 1, 5, 70, 30), "tczyx", (5, 70, 30)),
        ((5, 1, 1, 70, 30), "tczyx", (5, 70, 30)),
        ((1, 5, 70, 30), None, (5, 70, 30)),
        ((70, 30, 5), "yxz", (5, 70, 30)),
        ((5, 70, 30), "cyx", (5, 70, 30)),
    ],
)
def test_axes_find_their_place(tmp_path: Path, shape: tuple, names: str | None, stack: tuple) -> None:
    pixels = STACK.transpose(1, 2, 0) if names == "yxz" else STACK.reshape(shape)
    volume = open_volume(save(tmp_path, pixels, list(names) if names else None))
    assert volume.shape == stack
    np.testing.assert_array_equal(volume.section(2), STACK[2])
    np.testing.assert_array_equal(volume.array[1:3, 4, ::7], STACK[1:3, 4, ::7])


@pytest.mark.parametrize(
    ("names", "axis", "word", "axes"),
    [
        ("czyx", 0, "2 channels", "C 2, Z 5"),
        ("tzyx", 0, "2 time points", "T 2, Z 5"),
        (None, 0, "2 stacks", "unnamed 2, unnamed 5 (the sections)"),
        ("qzyx", 0, "2 stacks", "unnamed 2, Z 5"),
        ("zqyx", 1, "2 stacks", "Z 5, unnamed 2"),
        ("zcyx", 1, "2 channels", "Z 5, C 2"),
        ("cqyx", 0, "2 channels", "C 2, unnamed 5 (the sections)"),
        ("tqyx", 0, "2 time points", "T 2, unnamed 5 (the sections)"),
        ("tcyx", 1, "2 channels", "T 5 (the sections), C 2"),
    ],
)
def test_one_of_several_must_be_chosen(tmp_path: Path, names: str | None, axis: int, word: str, axes: str) -> None:
    path = save(tmp_path, np.stack([STACK, 255 - STACK], axis), list(names) if names else None)
    with pytest.raises(Problem) as caught:
        open_volume(path)
    asked = "Say which one to use (--channel): 0 to 1."
    assert str(caught.value) == f"{path} has {word}, its axes are {axes}, Y 70, X 30. {asked}"
    np.testing.assert_array_equal(open_volume(path, channel=1).section(2), 255 - STACK[2])
    for channel in (2, -1):
        with pytest.raises(Problem, match=f"has no channel {channel}"):
            open_volume(path, channel=channel)


@pytest.mark.filterwarnings("ignore:.*photometric:DeprecationWarning")
@pytest.mark.parametrize("sections", [3, 4])
def test_labels_of_a_few_sections_that_were_saved_as_colours_are_sections(tmp_path: Path, sections: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[:sections])
    labels = open_volume(tmp_path / "a.tif", labels=True)
    assert labels.shape == (sections, 70, 30)
    np.testing.assert_array_equal(labels.section(2), STACK[2])


def test_labels_are_told_nothing_of_channels_of_the_image(tmp_path: Path) -> None:
    path = save(tmp_path, np.stack([STACK, STACK]), list("czyx"))
    with pytest.raises(Problem, match=r"a\.zarr has 2 channels, but labels have one\. Save the labels as one stack"):
        open_volume(path, labels=True)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([STACK, STACK // 2, STACK], -1), photometric="rgb")
    with pytest.raises(Problem, match=r"a\.tif is a colour image, not labels\. Save the labels as one stack"):
        open_volume(tmp_path / "a.tif", labels=True)


def test_few_channels_are_no_stack(tmp_path: Path) -> None:
    path = save(tmp_path, STACK[:4], ["c", "y", "x"])
    with pytest.raises(Problem, match="4 channels"):
        open_volume(path)
    np.testing.assert_array_equal(open_volume(path, channel=3).section(0), STACK[3])


@pytest.mark.parametrize(("names", "word"), [("czyx", "5 channels"), ("qzyx", "5 stacks")])
def test_what_lies_beside_an_axis_z_is_no_section(tmp_path: Path, names: str, word: str) -> None:
    path = save(tmp_path, STACK[:, None], list(names))
    with pytest.raises(Problem, match=rf"has {word}, its axes are \w+ 5, Z 1, Y 70, X 30\. Say which one"):
        open_volume(path)
    np.testing.assert_array_equal(open_volume(path, channel=3).section(0), STACK[3])


def test_a_stack_without_channels_has_channel_0(tmp_path: Path) -> None:
    path = save(tmp_path, STACK)
    assert open_volume(path, channel=0).shape == STACK.shape
    with pytest.raises(Problem, match="has no channel 1"):
        open_volume(path, channel=1)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("tczyx", "3 time points and 2 channels, its axes are T 3, C 2, Z 5, Y 8, X 8"),
        (None, "3 x 2 stacks, its axes are unnamed 3, unnamed 2, unnamed 5 (the sections), Y 8, X 8"),
    ],
)
def test_two_axes_too_many(tmp_path: Path, names: str | None, words: str) -> None:
    path = save(tmp_path, np.zeros((3, 2, 5, 8, 8), "u1"), list(names) if names else None)
    for channel in (None, 1):
        with pytest.raises(Problem, match=re.escape(f"has {words}. Save the one you need as a stack of its own.")):
            open_volume(path, channel=channel)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour(tmp_path: Path, planar: str) -> None:
    path = tmp_path / "a.tif"
    colours = np.stack([STACK, STACK, STACK], -1 if planar == "contig" else 1)
    options = {"photometric": "rgb", "planarconfig": planar, "compression": "zlib"}
    tifffile.imwrite(path, colours, **options)
    grey = open_volume(path)
    assert grey.shape == STACK.shape
    np.testing.assert_array_equal(grey.section(4), STACK[4])

    colours.reshape(5, -1)[2, -1] += 1
    tifffile.imwrite(path, colours, **options)
    with pytest.raises(Problem) as caught:
        open_volume(path)
    assert str(caught.value) == (
        f"{path} is a colour image. Say which channel holds the signal (--channel): 0 is red, 1 is green, 2 is blue."
    )
    blue = colours[2, ..., 2] if planar == "contig" else colours[2, 2]
    np.testing.assert_array_equal(open_volume(path, channel=2).section(2), blue)
    with pytest.raises(Problem, match="no channel 3"):
        open_volume(path, channel=3)


@pytest.mark.filterwarnings("ignore:.*photometric:DeprecationWarning")
def test_a_few_sections_that_were_saved_as_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[:4])
    with pytest.raises(Problem) as caught:
        open_volume(path)
    assert str(caught.value) == (
        f"{path} is a colour image. Say which channel holds the signal (--channel): 0 is red, 1 is green, 2 is blue, "
        "3 is transparency. If these are sections, save them anew as grey values (photometric='minisblack')."
    )


@pytest.mark.parametrize("pixels", [np.zeros(9, "u1"), np.zeros((0, 4, 4), "u1"), np.zeros((2, 3, 3), "c8")])
def test_what_is_no_stack_of_grey_values(tmp_path: Path, pixels: np.ndarray) -> None:
    with pytest.raises(Problem, match=r"(holds no image|are not grey values).*\. \w+ .*\.$"):
        open_volume(save(tmp_path, pixels))


def test_the_thickness_of_one_section_may_be_unknown(tmp_path: Path) -> None:
    path, metadata = tmp_path / "a.ome.tif", {"PhysicalSizeX": 4.0, "PhysicalSizeY": 5.0}
    units = {"PhysicalSizeXUnit": "nm", "PhysicalSizeYUnit": "nm"}
    for count, size in ((1, (5.0, 5.0, 4.0)), (2, None)):
        tifffile.imwrite(path, STACK[:count], ome=True, metadata={"axes": "ZYX", **metadata, **units})
        assert open_volume(path).voxel_size == size
