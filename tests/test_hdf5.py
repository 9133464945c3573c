import builtins
import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_unet.problem import Problem
from napari_unet.volume import open_volume

STACK = np.random.default_rng(0).integers(0, 60000, (5, 64, 80), dtype=np.uint16)


def save(path: Path, **datasets: Any) -> Path:
    """Write datasets by name; `__` goes one group down."""
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name.replace("__", "/")] = data
    return path


def problem(path: Path) -> str:
    with pytest.raises(Problem, match=r"^.*[^.]\. [A-Z].*\.$") as caught:
        open_volume(path)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5", "a.HDF"])
@pytest.mark.parametrize("inside", ["", "volumes", "volumes/raw"])
def test_the_only_image_and_by_its_path(tmp_path: Path, name: str, inside: str) -> None:
    others = {"words": "text", "line": np.zeros(9), "volumes__six": np.zeros((1,) * 6), "names": np.array([[b"a"]])}
    path = save(tmp_path / name, volumes__raw=STACK, empty=h5py.Empty("f4"), **others)
    volume = open_volume(path / inside)
    assert (volume.shape, volume.dtype, volume.voxel_size, volume.offset) == (STACK.shape, STACK.dtype, None, None)
    for z in range(5):
        np.testing.assert_array_equal(volume.section(z), STACK[z])
    np.testing.assert_array_equal(volume.section(4, slice(3, 50), slice(20, 70)), STACK[4, 3:50, 20:70])


def test_several_images_are_listed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", volumes__raw=STACK, volumes__labels=STACK[:2], line=np.zeros(3))
    listed = "Name one, as in a.h5/volumes/labels: there is volumes/labels (2 x 64 x 80), volumes/raw (5 x 64 x 80)."
    assert problem(path) == f"{path} holds 2 datasets that may be the image. {listed}"
    assert problem(path / "volumes") == f"volumes in {path} holds 2 datasets that may be the image. {listed}"
    assert problem(path / "rw") == f"{path} holds no rw. {listed}"
    assert problem(path / "volumes" / "raw" / "deeper").startswith(f"{path} holds no volumes/raw/deeper. ")
    assert problem(path / ".." / "b").startswith(f"{path} holds no ../b. ")
    np.testing.assert_array_equal(open_volume(path / "volumes" / "labels").section(1), STACK[1])
    many = save(tmp_path / "many.h5", **{f"d{i:02}": STACK[:1, :2, :2] for i in range(12)})
    assert problem(many).endswith("d07 (1 x 2 x 2) and 4 more.")


def test_what_is_no_image(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", words="text", line=np.zeros(9), empty=h5py.Empty("f4"))
    assert problem(path) == f"{path} holds no dataset of 2 to 5 dimensions. Choose another file."
    assert "empty in" in problem(path / "empty")
    assert "holds no image: its shape is (9,)" in problem(path / "line")
    gc.collect()  # the traceback of that problem holds the file
    with h5py.File(path, "a") as file:
        file["type"] = np.dtype("u1")
        file["far"] = h5py.ExternalLink("gone.h5", "/a")
        file["table"] = np.zeros((2, 3), [("a", "u1")])
    assert "type in" in problem(path / "type")
    assert "holds no far" in problem(path / "far")
    assert "not grey values" in problem(path / "table")
    assert "holds no dataset" in problem(path)


@pytest.mark.parametrize("part", [0.0, 0.05, 0.5, 0.9])
def test_a_truncated_file(tmp_path: Path, part: float) -> None:
    path = save(tmp_path / "a.h5", raw=STACK)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert problem(path).startswith(f"{path} cannot be read: it is damaged")
    assert problem(path / "raw").startswith(f"{path} cannot be read: it is damaged")


def test_no_file_and_a_folder_of_that_name(tmp_path: Path) -> None:
    assert "does not exist" in problem(tmp_path / "gone.h5" / "raw")
    (tmp_path / "a.h5").mkdir()
    assert "holds no sections" in problem(tmp_path / "a.h5")


def test_a_damaged_chunk_is_a_section_that_cannot_be_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("raw", data=STACK, chunks=(1, 64, 80), fletcher32=True)
        start = data.id.get_chunk_info(3).byte_offset
    raw = bytearray((tmp_path / "a.h5").read_bytes())
    raw[start : start + 9] = bytes(9)
    (tmp_path / "a.h5").write_bytes(raw)
    volume = open_volume(tmp_path / "a.h5")
    np.testing.assert_array_equal(volume.section(2), STACK[2])
    with pytest.raises(Problem, match=r"^Section 3 of .*a\.h5 cannot be read"):
        volume.section(3)


def test_a_compression_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((1, 64, 80))
        made.set_filter(32999, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, b"raw", h5py.h5t.NATIVE_UINT16, h5py.h5s.create_simple(STACK.shape), made)
    assert problem(path).startswith(f"raw in {path} is compressed by ")


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, imported = save(tmp_path / "a.h5", raw=STACK), builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "h5py":
            raise ImportError
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert problem(path / "raw").endswith("Install it into the same environment: pip install h5py.")


def test_voxel_sizes(tmp_path: Path) -> None:
    def place(**attributes: Any) -> tuple:
        path = save(tmp_path / "a.h5", raw=STACK)
        with h5py.File(path, "a") as file:
            file["raw"].attrs.update(attributes)
        volume = open_volume(path)
        return volume.voxel_size, volume.offset

    assert place(element_size_um=[0.05, 0.005, 0.004]) == (pytest.approx((50, 5, 4)), None)
    assert place(element_size_um=np.float32([0.05, 0.005, 0.004]), resolution=[1, 1, 1])[0] == pytest.approx((50, 5, 4))
    assert place(resolution=[40, 4, 4]) == ((40, 4, 4), None)
    assert place(resolution=[40, 4, 4], offset=[80.0, 0, 12]) == ((40, 4, 4), (2, 0, 3))
    for nonsense in ("a lot", [1, 2], [0, 0, 0], [np.nan, 1, 1], b"abc", 7):
        assert place(resolution=nonsense, offset=[1, 2, 3]) == (None, None)
    assert place(resolution=[40, 4, 4], offset="here") == ((40, 4, 4), None)
    assert place(offset=[1, 2, 3]) == (None, None)


@pytest.mark.parametrize("how", ["labels", "axistags"])
def test_axes_that_are_told(tmp_path: Path, how: str) -> None:
    path = save(tmp_path / "a.h5", raw=np.stack([STACK, STACK + 1], -1))
    with h5py.File(path, "a") as file:
        if how == "labels":
            for axis, name in zip(file["raw"].dims, "zyxc", strict=True):
                axis.label = name
        else:  # as ilastik does
            axes = [{"key": name, "typeFlags": 2, "resolution": 0} for name in "zyxc"]
            file["raw"].attrs["axistags"] = json.dumps({"axes": axes})
    assert "has 2 channels, its axes are Z 5, Y 64, X 80, C 2. Say which one to use (--channel): 0 to 1." in problem(
        path
    )
    np.testing.assert_array_equal(open_volume(path, channel=1).section(2), STACK[2] + 1)


@pytest.mark.parametrize("tags", ["", "{}", "[]", '{"axes": [1]}', '{"axes": [{"key": "q"}]}'])
def test_axis_tags_that_tell_nothing(tmp_path: Path, tags: str) -> None:
    path = save(tmp_path / "a.h5", raw=STACK)
    with h5py.File(path, "a") as file:
        file["raw"].attrs["axistags"] = tags
    assert open_volume(path).shape == STACK.shape


def test_axes_that_are_not_told_are_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", raw=np.stack([STACK, STACK + 1]))
    assert "has 2 stacks, its axes are unnamed 2, unnamed 5 (the sections), Y 64, X 80. Say which" in problem(path)
    np.testing.assert_array_equal(open_volume(path / "raw", channel=1).section(2), STACK[2] + 1)


def test_one_section_is_read_alone_and_chunks_are_decoded_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", (64, 512, 512), "u1", compression="gzip", chunks=(64, 64, 64))
    tracemalloc.start()
    volume = open_volume(tmp_path / "a.h5")
    volume.section(40)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20
    _, size, _ = volume.array.dataset.id.get_access_plist().get_chunk_cache()
    assert size >= 2**24


def test_the_file_is_open_as_long_as_its_volume(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", raw=STACK)
    volume = open_volume(path)
    gc.collect()
    np.testing.assert_array_equal(volume.section(1), STACK[1])
    with pytest.raises(OSError, match="already open"):
        h5py.File(path, "r+")
    del volume
    gc.collect()
    h5py.File(path, "r+").close()


def test_a_file_that_is_open_elsewhere(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", raw=STACK)
    with h5py.File(path, "r"):
        np.testing.assert_array_equal(open_volume(path).section(1), STACK[1])


def test_a_problem_closes_its_own_file_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", raw=STACK, labels=STACK)
    volume = open_volume(path / "raw")
    assert "holds 2 datasets" in problem(path)
    np.testing.assert_array_equal(volume.section(1), STACK[1])
    del volume
    assert "holds 2 datasets" in problem(path)
    h5py.File(path, "r+").close()


def test_a_file_that_becomes_shorter_is_a_problem_not_black(tmp_path: Path) -> None:
    pixels = np.full((4, 64, 80), 9, np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = pixels
    volume = open_volume(tmp_path / "a.h5")
    with (tmp_path / "a.h5").open("r+b") as file:
        file.truncate((tmp_path / "a.h5").stat().st_size // 2)
    with pytest.raises(Problem, match=r"Section 3 of .* cannot be read: the file is damaged or incomplete"):
        volume.section(3)


def test_how_deep_chunks_are_is_known(tmp_path: Path) -> None:
    """So that those who read section by section decode each once."""
    path = save(tmp_path / "a.h5", contiguous=STACK)
    with h5py.File(path, "a") as file:
        file.create_dataset("deep", data=STACK, chunks=(4, 16, 16))
    assert [open_volume(path / name).chunk_depth for name in ("contiguous", "deep")] == [1, 4]
