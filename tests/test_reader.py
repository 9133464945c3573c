import errno
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import notification_manager

from napari_unet.classes import PixelClass
from napari_unet.layout import Layout, create
from napari_unet.problem import Problem
from napari_unet.reader import READ, class_look, get_reader, read

STACK = np.random.default_rng(0).integers(0, 255, (3, 16, 24), dtype=np.uint8)
CLASSES = (PixelClass(1, "interior", "#56b4e9"), PixelClass(2, "membrane", "#e69f00"))


def write(
    path: Path, *levels: np.ndarray, axes: str = "zyx", version: Any = 3, unit: str = "nanometer", **more: Any
) -> zarr.Group:
    """Write an OME-Zarr image: 50 x 4 x 4 units, moved by 100 units along z."""
    described = [{"name": name, "type": "space", "unit": unit} if name in "zyx" else {"name": name} for name in axes]
    steps = {"t": 2.0, "c": 1.0, "z": 50.0, "y": 4.0, "x": 4.0}
    datasets = [
        {
            "path": str(i),
            "coordinateTransformations": [
                {"type": "scale", "scale": [steps[n] * (2**i if n in "yx" else 1) for n in axes]},
                {"type": "translation", "translation": [100 if n == "z" else 0 for n in axes]},
            ],
        }
        for i in range(len(levels))
    ]
    ome = {"multiscales": [{"axes": described, "datasets": datasets}], **more}
    group = zarr.create_group(path, zarr_format=version, overwrite=True)
    group.attrs.update(ome if version == 2 else {"ome": {"version": "0.5", **ome}})
    for i, level in enumerate(levels):
        group.create_array(str(i), data=level)
    return group


def layers(path: Path) -> list[Layer]:
    """Open `path` as napari does."""
    reader = get_reader(str(path))
    assert reader is not None
    return [Layer.create(*each) for each in reader([str(path)])]


@pytest.mark.parametrize("version", [2, 3])
def test_an_image(tmp_path: Path, version: Any) -> None:
    write(tmp_path / "cell.ome.zarr", STACK, version=version)
    (data, _, kind), = read(str(tmp_path / "cell.ome.zarr"))  # fmt: skip
    assert isinstance(data, zarr.Array)
    assert kind == "image"
    (layer,) = layers(tmp_path / "cell.ome.zarr")
    assert isinstance(layer, Image)
    assert layer.name == "cell"
    assert not layer.multiscale
    np.testing.assert_array_equal(layer.scale, [50, 4, 4])
    np.testing.assert_array_equal(layer.translate, [100, 0, 0])
    assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert layer.contrast_limits == [0, 255]
    np.testing.assert_array_equal(layer.data, STACK)


def test_images_and_labels_are_known_as_opened_by_the_reader(tmp_path: Path) -> None:
    """So that large ones are kept out of 3-D."""
    write(tmp_path / "cell.zarr", STACK)
    write(tmp_path / "ids.zarr", STACK, **{"image-label": {}})
    for name in ("cell", "ids"):
        (layer,) = layers(tmp_path / f"{name}.zarr")
        assert layer.metadata == {READ: str(tmp_path / f"{name}.zarr")}


def test_several_levels(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", STACK, STACK[:, ::2, ::2])
    (layer,) = layers(tmp_path / "a.zarr")
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(3, 16, 24), (3, 8, 12)]
    np.testing.assert_array_equal(layer.scale, [50, 4, 4])


def test_channels_are_layers(tmp_path: Path) -> None:
    pixels = np.stack([STACK, 255 - STACK], 1).astype(np.uint16)
    red = {"label": "EM", "color": "FF0000", "window": {"start": 3, "end": 700}}
    omero = {"channels": [red, {"color": "red", "window": {"start": 9, "end": 2}}]}
    write(tmp_path / "a.zarr", pixels, pixels[..., ::2, ::2], axes="tcyx", omero=omero)
    em, other = layers(tmp_path / "a.zarr")
    assert (em.name, other.name) == ("EM", "a 1")
    assert (em.blending, other.blending) == ("additive", "translucent")
    np.testing.assert_array_equal(em.colormap.map([1.0]), [[1, 0, 0, 1]])
    assert em.contrast_limits == [3, 700]
    assert other.colormap.name == "gray"
    assert other.axis_labels == ("t", "y", "x")
    np.testing.assert_array_equal(other.scale, [2, 4, 4])
    for level, step in enumerate((1, 2)):
        np.testing.assert_array_equal(other.data[level], 255 - STACK[:, ::step, ::step])


@pytest.mark.parametrize(
    ("active", "visible"),
    [([False, True], [False, True, True]), ([False] * 3, [True] * 3), ([True, "no", False], [True, True, False])],
)
def test_channels_that_are_switched_off_are_hidden(tmp_path: Path, active: list[Any], visible: list[bool]) -> None:
    omero = {"channels": [{"active": each} for each in active]}
    write(tmp_path / "a.zarr", np.stack([STACK[0]] * 3), axes="cyx", omero=omero)
    assert [layer.visible for layer in layers(tmp_path / "a.zarr")] == visible


@pytest.mark.parametrize("channels", [1, 2])
def test_axes_of_length_one_are_left_out(tmp_path: Path, channels: int) -> None:
    pixels = np.stack([STACK, 255 - STACK][:channels])[None]
    write(tmp_path / "a.zarr", pixels, pixels[..., ::2, ::2], axes="tczyx")
    found = layers(tmp_path / "a.zarr")
    assert len(found) == channels
    for layer, shown in zip(found, pixels[0], strict=True):
        assert layer.axis_labels == ("z", "y", "x")
        np.testing.assert_array_equal(layer.scale, [50, 4, 4])
        np.testing.assert_array_equal(layer.translate, [100, 0, 0])
        np.testing.assert_array_equal(layer.data[0], shown)
    one = write(tmp_path / "one.zarr", STACK[:1], axes="zyx")
    np.testing.assert_array_equal(layers(tmp_path / "one.zarr")[0].data, one["0"][:])


def test_axes_in_another_order(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", STACK.T, axes="xyz")
    (layer,) = layers(tmp_path / "a.zarr")
    assert layer.axis_labels == ("z", "y", "x")
    np.testing.assert_array_equal(layer.scale, [50, 4, 4])
    np.testing.assert_array_equal(layer.data, STACK)


def test_a_short_last_axis_is_no_colour(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", STACK[..., :3])
    (layer,) = layers(tmp_path / "a.zarr")
    assert (layer.ndim, layer.rgb) == (3, False)  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", [2, 3])
def test_a_level_by_itself(tmp_path: Path, version: Any) -> None:
    write(tmp_path / "a.ome.zarr", STACK[None], STACK[None, :, ::2, ::2], axes="tzyx", version=version)
    (layer,) = layers(tmp_path / "a.ome.zarr/1")
    assert layer.name == "a 1"
    np.testing.assert_array_equal(layer.scale, [50, 8, 8])
    assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
    np.testing.assert_array_equal(layer.data, STACK[:, ::2, ::2])


@pytest.mark.parametrize("version", [2, 3])
def test_a_level_of_labels_is_labels_in_their_colours(tmp_path: Path, version: Any) -> None:
    colors = [{"label-value": 1, "rgba": [255, 0, 0, 255]}]
    write(tmp_path / "a.zarr", STACK, STACK[:, ::2, ::2], version=version, **{"image-label": {"colors": colors}})
    (layer,) = layers(tmp_path / "a.zarr/1")
    assert isinstance(layer, Labels)
    np.testing.assert_array_equal(layer.data, STACK[:, ::2, ::2])
    np.testing.assert_array_equal(layer.get_color(1), [1, 0, 0, 1])


@pytest.mark.parametrize("count", [1, 2])
def test_images_inside_a_folder(tmp_path: Path, count: int) -> None:
    zarr.create_group(tmp_path / "a.zarr").attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    for number in range(count):
        write(tmp_path / "a.zarr" / str(number), STACK + number)
    found = layers(tmp_path / "a.zarr")
    assert [each.name for each in found] == (["a"] if count == 1 else ["a 0", "a 1"])
    for number, each in enumerate(found):
        np.testing.assert_array_equal(each.data, STACK + number)


@pytest.mark.parametrize(("unit", "known"), [("angstrom", "angstrom"), ("micrometer", "micrometer"), ("ell?", "pixel")])
def test_units(tmp_path: Path, unit: str, known: str) -> None:
    write(tmp_path / "a.zarr", STACK, unit=unit)
    assert {str(each) for each in layers(tmp_path / "a.zarr")[0].units} == {known}


def test_labels_lie_above_the_image(tmp_path: Path) -> None:
    group = write(tmp_path / "a.zarr", STACK)
    group.create_group("labels").attrs["ome"] = {"labels": ["cells", "plain"]}
    colors = [{"label-value": 3, "rgba": [255, 0, 51, 255]}, {"label-value": 4}, {"rgba": [1, 2, 3, 4]}, "red"]
    write(tmp_path / "a.zarr/labels/cells", STACK[None], axes="czyx", **{"image-label": {"colors": colors}})
    write(tmp_path / "a.zarr/labels/plain", STACK % 5, unit="", **{"image-label": {}})
    image, cells, plain = layers(tmp_path / "a.zarr")
    assert isinstance(image, Image)
    assert isinstance(cells, Labels)
    assert isinstance(plain, Labels)
    assert (cells.name, plain.name) == ("cells", "plain")
    np.testing.assert_array_equal(cells.data, STACK)
    np.testing.assert_allclose(cells.get_color(3), [1, 0, 0.2, 1])
    assert cells.get_color(4)[3] == plain.get_color(1)[3] == 1
    np.testing.assert_array_equal(cells.scale, image.scale)
    assert plain.units == image.units


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What napari is asked to tell."""
    with notification_manager:
        told: list[str] = []
        hear = notification_manager.notification_ready.connect(lambda note: told.append(note.message))
        yield told
        notification_manager.notification_ready.disconnect(hear)


def test_labels_that_cannot_be_shown_are_told(tmp_path: Path, heard: list[str]) -> None:
    group = write(tmp_path / "a.zarr", STACK)
    group.create_group("labels").attrs["ome"] = {"labels": ["gone", "mask", "plain"]}
    write(tmp_path / "a.zarr/labels/mask", STACK > 9, **{"image-label": {}})
    write(tmp_path / "a.zarr/labels/plain", STACK, **{"image-label": {"colors": 3}})
    assert [each.name for each in layers(tmp_path / "a.zarr")] == ["a", "plain"]
    assert re.fullmatch(r"The labels gone are not shown\. .* is not an OME-Zarr image\. .*", heard[0])
    assert re.fullmatch(r"The labels mask are not shown\. .* holds bool values, which are not labels\. .*", heard[1])


@pytest.mark.parametrize("names", [[5, "cells"], 7, "cells", None])
def test_names_of_labels_that_make_no_sense(tmp_path: Path, heard: list[str], names: Any) -> None:
    group = write(tmp_path / "a.zarr", STACK)
    group.create_group("labels").attrs["ome"] = {"labels": names}
    write(tmp_path / "a.zarr/labels/cells", STACK, **{"image-label": {}})
    assert [each.name for each in layers(tmp_path / "a.zarr")] == ["a", "cells"][: 1 + isinstance(names, list)]
    (tmp_path / "a.zarr/labels/zarr.json").write_text("{")
    assert not heard
    assert [each.name for each in layers(tmp_path / "a.zarr")] == ["a"]
    assert re.fullmatch(r"The labels are not shown\. .* is damaged\. .*", heard[0])


@pytest.mark.parametrize("omero", [[], "red", {"channels": 5}, {"channels": [3]}])
@pytest.mark.parametrize("steps", ["none", {}, [None], [{"type": "scale", "scale": [0, 0, 0, 0]}]])
def test_metadata_beside_the_pixels_that_make_no_sense(tmp_path: Path, omero: Any, steps: Any) -> None:
    group = write(tmp_path / "a.zarr", np.stack([STACK, STACK]), axes="czyx", omero=omero)
    described = group.attrs.asdict()["ome"]
    described["multiscales"][0]["datasets"][0]["coordinateTransformations"] = steps  # type: ignore[call-overload,index]
    group.attrs["ome"] = described
    found = layers(tmp_path / "a.zarr")
    assert [each.name for each in found] == ["a 0", "a 1"]
    np.testing.assert_array_equal(found[0].scale, [1, 1, 1])


@pytest.mark.parametrize("ours", [5, {"classes": 5}, {"classes": [{"value": 1}]}])
def test_a_result_of_which_the_description_makes_no_sense(tmp_path: Path, ours: Any) -> None:
    write(tmp_path / "a.zarr", STACK).attrs["napari-unet"] = ours
    with pytest.raises(Problem, match=r"The metadata of .*a\.zarr make no sense\. Copy"):
        layers(tmp_path / "a.zarr")


def test_labels_of_another_byte_order(tmp_path: Path) -> None:
    colors = [{"label-value": 3, "rgba": [300, -4, 51, 255]}]
    write(tmp_path / "a.zarr", STACK.astype(">u2"), **{"image-label": {"colors": colors}})
    (layer,) = layers(tmp_path / "a.zarr")
    assert isinstance(layer, Labels)
    np.testing.assert_array_equal(layer.data, STACK)
    np.testing.assert_allclose(layer.get_color(3), [1, 0, 0.2, 1])


def test_one_of_several_images_is_damaged(tmp_path: Path, heard: list[str]) -> None:
    zarr.create_group(tmp_path / "a.zarr").attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    for number in range(3):
        write(tmp_path / "a.zarr" / str(number), STACK)
    (tmp_path / "a.zarr/1/zarr.json").write_text("{")
    (tmp_path / "a.zarr/2/0/zarr.json").write_text("{")
    assert [each.name for each in layers(tmp_path / "a.zarr")] == ["a 0"]
    assert [re.sub(r" /.*?a\.zarr/", " ", each) for each in heard] == [
        "One of the images is not shown. 1/zarr.json is damaged. Copy the whole folder again from its source.",
        "One of the images is not shown. 2/0 is not a Zarr array that can be read. "
        "Check that it was copied whole, or save it anew with a common codec.",
    ]
    (tmp_path / "a.zarr/0/zarr.json").write_text("{")
    with pytest.raises(Problem, match=r"0/zarr\.json is damaged"):
        layers(tmp_path / "a.zarr")


def test_a_label_image_by_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", STACK, **{"image-label": {"version": "0.5"}})
    (layer,) = layers(tmp_path / "a.zarr")
    assert isinstance(layer, Labels)


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_segmentation(tmp_path: Path, probabilities: bool) -> None:
    layout = Layout((2, 700, 30), CLASSES, (50.0, 4.0, 4.0), (0, 8, 0), probabilities, {"model": "m"})
    create(tmp_path / "result.zarr", layout)
    *hidden, layer = layers(tmp_path / "result.zarr")
    assert isinstance(layer, Labels)
    assert layer.name == "result"
    assert layer.multiscale
    np.testing.assert_array_equal(layer.translate, [0, 32, 0])
    np.testing.assert_allclose(layer.get_color(2), [0xE6 / 255, 0x9F / 255, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(layer.colormap.map(np.array([[0, 1, 2, 255]], np.uint8))[..., 3], [[0, 1, 1, 0]])
    assert layer.metadata["napari-unet"]["provenance"] == {"model": "m"}
    assert list(layer.features["class"]) == ["interior", "membrane", "not computed yet"]
    assert list(layer.features["index"]) == [1, 2, 255]
    assert [each.name for each in hidden] == ["interior probability", "membrane probability"] * probabilities
    for each in hidden:
        assert isinstance(each, Image)
        assert not each.visible
        assert each.contrast_limits == [0, 255]
        assert each.data[0].shape == (2, 700, 30)
    if probabilities:
        alone = layers(tmp_path / "result.zarr/probabilities")
        assert [(type(each), each.name) for each in alone] == [(Image, each.name) for each in hidden]
        level = layers(tmp_path / "result.zarr/probabilities/0")
        assert [each.name for each in level] == [each.name for each in hidden]


def test_a_segmentation_shows_new_chunks(tmp_path: Path) -> None:
    create(tmp_path / "a.zarr", Layout((1, 20, 30), CLASSES, None, (0, 0, 0), True, {}))
    interior, membrane, classes = layers(tmp_path / "a.zarr")
    assert np.all(np.asarray(classes.data) == 255)
    zarr.open_array(tmp_path / "a.zarr/0", mode="r+")[:] = 2
    zarr.open_array(tmp_path / "a.zarr/probabilities/0", mode="r+")[1] = 200
    assert np.all(np.asarray(classes.data) == 2)
    assert np.all(np.asarray(membrane.data) == 200)
    assert np.all(np.asarray(interior.data) == 0)


@pytest.mark.parametrize("shape", [(1, 20, 30), (1, 700, 30)])  # of one level, and of several
@pytest.mark.parametrize("array", ["0", "probabilities/0"])
def test_a_segmentation_that_is_damaged_says_so_and_shows_the_rest(
    tmp_path: Path, heard: list[str], shape: tuple[int, int, int], array: str
) -> None:
    path = tmp_path / "cells.zarr"
    create(path, Layout(shape, CLASSES, None, (0, 0, 0), True, {}))
    zarr.open_array(path / array, mode="r+")[:] = 2
    for chunk in (path / array / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:-5])
    for layer in layers(path):
        shown = np.asarray(layer.data[0] if layer.multiscale else layer.data)
        never_written = 255 if layer.name == "cells" else 0
        assert np.unique(shown).tolist() == [never_written]
    (told,) = heard
    assert re.match(r"Damaged here: cells\. .* Earlier results > Check for damage", told)


def test_each_damaged_section_is_said_once(tmp_path: Path, heard: list[str]) -> None:
    path = tmp_path / "cells.zarr"
    create(path, Layout((3, 20, 30), CLASSES, None, (0, 0, 0), False, {}))
    zarr.open_array(path / "0", mode="r+")[:] = 2
    for z in (0, 2):
        (path / f"0/c/{z}/0/0").write_bytes(b"no chunk")
    (classes,) = layers(path)
    for z, count in ((0, 1), (1, 1), (2, 2), (2, 2)):
        assert np.unique(np.asarray(classes.data[z])).tolist() == [2 if z == 1 else 255]
        assert len(heard) == count


def test_a_segmentation_that_cannot_be_read_now_is_not_called_damaged(tmp_path, heard, monkeypatch) -> None:
    path = tmp_path / "cells.zarr"
    create(path, Layout((1, 20, 30), CLASSES, None, (0, 0, 0), False, {}))
    (classes,) = layers(path)

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(zarr.Array, "__getitem__", failing)
    assert np.unique(np.asarray(classes.data[0])).tolist() == [255]
    (told,) = heard
    assert told.startswith("Section 0 of cells cannot be read (Input/output error). Check the disk and the network")


@pytest.mark.parametrize("content", ["", '{"attributes": {}, "node_type": "group"}'])
def test_probabilities_that_cannot_be_read_hide_no_classes(tmp_path: Path, heard: list[str], content: str) -> None:
    path = tmp_path / "cells.zarr"
    create(path, Layout((1, 20, 30), CLASSES, None, (0, 0, 0), True, {}))
    (path / "probabilities" / "zarr.json").write_text(content)
    assert [layer.name for layer in layers(path)] == ["cells"]
    assert heard[0].startswith("The probabilities are not shown. ")


def test_what_is_left_to_other_readers(tmp_path: Path) -> None:
    for name in ("image.ome", "group.zarr", "array.zarr", "damaged.zarr", "folder.zarr"):
        (tmp_path / name).mkdir()
    write(tmp_path / "image.ome", STACK)
    write(tmp_path / "image.zarr", STACK)
    zarr.create_group(tmp_path / "group.zarr")
    zarr.create_array(tmp_path / "array.zarr", data=STACK)
    (tmp_path / "damaged.zarr" / "zarr.json").write_text("{")
    (tmp_path / "file.zarr").write_text("")
    image = str(tmp_path / "image.zarr")
    assert get_reader(image) is get_reader([image]) is get_reader(image + "/") is not None
    assert get_reader([image, image]) is None
    for path in tmp_path.iterdir():
        assert (get_reader(str(path)) is not None) == (path.name in ("image.zarr", "damaged.zarr"))
    with pytest.raises(Problem, match=r"damaged\. Copy the whole folder again"):
        layers(tmp_path / "damaged.zarr")
    assert get_reader(str(tmp_path / "gone.zarr")) is None


def test_a_missing_level_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", STACK)
    described = json.loads((tmp_path / "a.zarr/zarr.json").read_text())
    described["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "gone"
    (tmp_path / "a.zarr/zarr.json").write_text(json.dumps(described))
    with pytest.raises(Problem, match="gone"):
        read(str(tmp_path / "a.zarr"))


def test_missing_levels_below_the_finest_are_left_out_and_told(tmp_path: Path, heard: list[str]) -> None:
    write(tmp_path / "a.zarr", *(STACK[:, ::step, ::step] for step in (1, 2, 4, 8)))
    shutil.rmtree(tmp_path / "a.zarr/1")
    (layer,) = layers(tmp_path / "a.zarr")
    assert [level.shape for level in layer.data] == [(3, 16, 24), (3, 4, 6), (3, 2, 3)]
    assert heard == [
        "a.zarr is shown without level 1, which cannot be read; zoomed out, it may be slow. "
        "Copy the folder again from its source."
    ]
    shutil.rmtree(tmp_path / "a.zarr/2")
    (tmp_path / "a.zarr/3/zarr.json").write_text("{")
    (layer,) = layers(tmp_path / "a.zarr")
    assert not layer.multiscale
    assert "without levels 1, 2 and 3, which" in heard[-1]


def test_labels_of_ours_can_be_painted_on(tmp_path: Path) -> None:
    classes = [{"value": each.value, "name": each.name, "color": each.color} for each in CLASSES]
    for name in ("ours", "other"):
        group = write(tmp_path / f"{name}.zarr", np.zeros_like(STACK), **{"image-label": {}})
        group.attrs.update({"napari-unet-labels": {"classes": classes, "id": "7"}} if name == "ours" else {})
    ours, other = (layers(tmp_path / f"{name}.zarr")[0] for name in ("ours", "other"))
    assert isinstance(ours, Labels)
    assert ours.metadata["napari-unet"] == {"path": str(tmp_path / "ours.zarr"), "id": "7"}
    assert list(ours.features["class"]) == ["interior", "membrane"]
    np.testing.assert_allclose(ours.get_color(2), [0xE6 / 255, 0x9F / 255, 0, 1], atol=1e-6)
    ours.paint((1, 8, 12), 2)
    assert zarr.open_array(tmp_path / "ours.zarr/0", mode="r")[1, 8, 12] == 2
    with pytest.raises(ValueError, match="read-only"):
        other.paint((1, 8, 12), 2)


def test_labels_of_ours_on_a_disk_for_reading_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = write(tmp_path / "a.zarr", STACK, **{"image-label": {}})
    group.attrs["napari-unet-labels"] = {"classes": []}
    monkeypatch.setattr("os.access", lambda *_: False)
    ((data, _, _),) = read(str(tmp_path / "a.zarr"))
    assert data.read_only


def test_the_background_of_a_result_does_not_darken_the_image() -> None:
    classes = [{"value": 0, "name": "background", "color": "#000000"}, {"value": 1, "name": "cell", "color": "#ff0000"}]
    look = class_look(classes)
    np.testing.assert_array_equal(look["colormap"].map(np.array([0, 1], np.uint8))[:, 3], [0, 1])
    assert look["features"] == {"index": [0, 1, 255], "class": ["background", "cell", "not computed yet"]}
