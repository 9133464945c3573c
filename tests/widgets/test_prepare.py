from __future__ import annotations

import errno
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels

from napari_unet.config import TrainConfig
from napari_unet.layout import Layout, create
from napari_unet.problem import Problem
from napari_unet.tiles import Box
from napari_unet.volume import open_volume
from napari_unet.widgets.prepare import Prepared, prepare, prepare_section, to_go_on
from napari_unet.widgets.strokes import new_strokes

PIXELS = np.random.default_rng(1).integers(0, 255, (4, 20, 30)).astype(np.uint8)
PAINTED = (PIXELS > 200).astype(np.int32)


def run(work):
    """Return what `work` says and what it returns."""
    said = []
    while True:
        try:
            said.append(next(work))
        except StopIteration as end:
            return said, end.value


def test_a_file_that_holds_the_image_is_taken_as_it_is(tmp_path, home):
    tifffile.imwrite(tmp_path / "stack.tif", PIXELS, photometric="minisblack")
    image = Image(tifffile.memmap(tmp_path / "stack.tif", mode="r"), name="stack")
    assert run(prepare(image, (), home)) == (["Looking for the image on disk ..."], Prepared(tmp_path / "stack.tif"))
    assert run(prepare_section(image, 2, home.copies))[1] == (tmp_path / "stack.tif", 2)
    assert not home.root.exists()
    image.translate = (1, 0, 0)
    assert run(prepare(image, (), home))[1].place == "1,0,0"


def test_an_image_in_memory_is_copied_once_and_says_how_far_it_is(home, monkeypatch):
    monkeypatch.setattr("napari_unet.widgets.prepare.room", lambda _: 3_355_443_200)
    image = Image(PIXELS, name="stack")
    said, files = run(prepare(image, (), home))
    copying = "Copying stack, less than 1 MB (3.4 GB free)"
    assert said == ["Looking for the image on disk ...", f"{copying} ..."] + [
        f"{copying}: {n} % ..." for n in (12, 25, 37, 50, 62, 75, 87, 100)
    ]
    assert files.image.parent == home.copies
    np.testing.assert_array_equal(open_volume(files.image).array[:], PIXELS)
    assert run(prepare(image, (), home))[1] == files
    path, z = run(prepare_section(image, 2, home.copies))[1]
    np.testing.assert_array_equal(open_volume(path).section(z), PIXELS[2])


def test_a_long_copy_says_the_time_left(home, monkeypatch):
    clock = SimpleNamespace(monotonic=iter(range(0, 1000, 30)).__next__)
    monkeypatch.setattr("napari_unet.widgets.prepare.time", clock)
    monkeypatch.setattr("napari_unet.widgets.prepare.room", lambda _: None)
    said, _ = run(prepare(Image(PIXELS, name="stack"), (), home))
    assert said[2:4] == [
        "Copying stack, less than 1 MB: 12 %, more than 3 min 30 s left ...",
        "Copying stack, less than 1 MB: 25 %, more than 3 min 00 s left ...",
    ]
    assert said[-1] == "Copying stack, less than 1 MB: 100 %, 0 s left ..."


def test_a_copy_that_another_panel_makes_is_waited_for_and_taken(home):
    first, second = (prepare(Image(PIXELS, name="stack"), (), home) for _ in range(2))
    while "62 %" not in next(first):  # reads all, and begins to write
        pass
    said = [next(second) for _ in range(2 + len(PIXELS) + 2)]
    assert said[-2:] == ["Waiting for the copy that another panel makes ..."] * 2
    _, files = run(first)
    told, same = run(second)
    assert (told, same) == ([], files)


def test_labels_in_memory_are_saved_and_those_on_disk_are_not(home):
    image = Image(PIXELS, name="stack")
    strokes, mine = new_strokes(image, home.labels, "strokes"), Labels(PAINTED, name="mine")
    said, files = run(prepare(image, (mine, strokes), home))
    assert said[-1] == "Saving mine: 100 % ..."
    assert files.labels == (home.labels / "mine.zarr", home.labels / "strokes.zarr")
    assert files.moved == ((mine, home.labels / "mine.zarr"),)
    np.testing.assert_array_equal(open_volume(files.labels[0], labels=True).array[:], PAINTED)


def test_labels_whose_folder_is_gone_are_not_replaced_by_empty_ones(home):
    image = Image(PIXELS, name="stack")
    layer = new_strokes(image, home.labels, "mine")
    (home.labels / "mine.zarr").rename(home.root / "elsewhere")
    with pytest.raises(Problem, match=r"mine is not kept on disk any more: .*mine\.zarr is gone\. Put its folder back"):
        run(prepare(image, [layer], home))
    assert not list(home.labels.glob("*.zarr"))
    (home.root / "elsewhere").rename(home.labels / "mine.zarr")
    assert run(prepare(image, [layer], home))[1].labels == (home.labels / "mine.zarr",)


def test_labels_of_a_file_are_painted_on_in_a_copy(tmp_path, home):
    tifffile.imwrite(tmp_path / "mine.tif", PAINTED.astype(np.uint8), photometric="minisblack")
    mine = Labels(tifffile.memmap(tmp_path / "mine.tif", mode="r"), name="mine")
    _, files = run(prepare(Image(PIXELS, name="stack"), (mine,), home))
    assert files.moved == ((mine, home.labels / "mine.zarr"),)


def test_a_training_goes_on_with_whichever_layer_shows_its_image(tmp_path, home):
    tifffile.imwrite(tmp_path / "stack.tif", PIXELS, photometric="minisblack")
    config = TrainConfig(inputs=(tmp_path / "stack.tif", tmp_path / "labels.zarr"), out=tmp_path / "run")
    other, same = Image(PIXELS[::-1], name="other"), Image(PIXELS.copy(), name="same")
    said, (found, layer) = run(to_go_on(config, None, [other, same], home))
    assert said == [f"Looking whether {name} is the image ..." for name in ("other", "same")]
    assert (found, layer) == (config, same)
    assert run(to_go_on(config, other, [], home))[1] == (config, other)
    with pytest.raises(Problem, match=r"The image of run is no longer open. Open .*stack.tif first; then press Cont"):
        run(to_go_on(config, None, [other], home))
    copy = config.model_copy(update={"inputs": (home.copies / "my-stack-0123456789ab.zarr", config.inputs[1])})
    with pytest.raises(Problem, match=r"no longer open\. Open my-stack first; then press Continue\."):
        run(to_go_on(copy, None, [other], home))
    (tmp_path / "stack.tif").unlink()
    with pytest.raises(Problem, match="The image of run is no longer open"):
        run(to_go_on(config, None, [same], home))


def test_strokes_are_for_the_image_that_they_lie_on(tmp_path, home):
    image = Image(PIXELS, name="stack", scale=(40, 4, 4))
    whole, part = (new_strokes(image, home.labels, "strokes", box) for box in (None, Box(1, 3, 5, 15, 10, 30)))
    assert run(prepare(image, (whole, part), home))[1].labels == (
        home.labels / "strokes.zarr",
        home.labels / "strokes-2.zarr",
    )
    for other in (Image(PIXELS[::-1], translate=(0, 0, 400), scale=(40, 4, 4)), Image(PIXELS[::-1])):
        for strokes in (whole, part):
            with pytest.raises(Problem, match="does not lie on the voxels of"):
                run(prepare(other, (strokes,), home))
    assert len(list(home.copies.iterdir())) == 1


def test_strokes_on_a_file_that_knows_where_it_lies(tmp_path, home):
    create(tmp_path / "part.zarr", Layout((2, 60, 70), (), (40.0, 4.0, 4.0), (3, 20, 30), False, {}))
    image = Image(zarr.open_array(tmp_path / "part.zarr/0", mode="r"))
    strokes = new_strokes(image, home.labels, "strokes", Box(1, 2, 5, 15, 10, 30))
    assert run(prepare(image, (strokes,), home))[1] == Prepared(tmp_path / "part.zarr", (home.labels / "strokes.zarr",))


def test_an_image_is_not_its_own_labels(tmp_path, home):
    array = zarr.create_array(tmp_path / "a.zarr", data=PAINTED.astype(np.uint8))
    with pytest.raises(Problem, match="are the same file"):
        run(prepare(Image(array), (Labels(array),), home))


@pytest.mark.parametrize(
    "work", [lambda image, home: prepare(image, (), home), lambda i, home: prepare_section(i, 0, home.copies)]
)
def test_what_cannot_be_done_is_a_problem_and_leaves_nothing(home, monkeypatch, work):
    with pytest.raises(Problem, match="Split RGB"):
        run(work(Image(np.zeros((4, 8, 8, 3), np.uint8), rgb=True), home))

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("napari_unet.widgets.handover._created", full)
    with pytest.raises(Problem, match="is full"):
        run(work(Image(PIXELS), home))
    assert list(home.copies.iterdir()) == []


def test_a_copy_that_is_given_up_leaves_nothing(home):
    work = prepare(Image(PIXELS), (), home)
    for _ in range(7):
        next(work)
    assert len(list(home.copies.iterdir())) == 2
    work.close()
    assert list(home.copies.iterdir()) == []
