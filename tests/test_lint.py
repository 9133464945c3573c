"""What is said of labels before a training: each finding, its words and its place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import disk

from napari_unet.events import Finding, from_json, to_json
from napari_unet.lint import DENSE, SPARSE, Layer, Rules, findings
from napari_unet.oddities import Seen, Spot, look

SHAPE = 200, 240
NAMES = {1: "interior", 2: "membrane"}
STROKES = Rules(NAMES, zero_counts=False, objects=False)
BACKGROUND = Rules(NAMES, zero_counts=True, objects=False)
IDS = Rules({1: "object"}, zero_counts=False, objects=True)


def strokes() -> np.ndarray:
    """Some strokes of both classes."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[40:46, 20:120] = 1
    labels[100:106, 20:120] = 2
    return labels


def cells(values: tuple[int, ...] = (1,)) -> np.ndarray:
    """Large round things on nothing."""
    labels = np.zeros(SHAPE, np.uint16)
    for i, (y, x) in enumerate((y, x) for y in (50, 150) for x in (50, 120, 190)):
        labels[disk((y, x), 30)] = values[i % len(values)]
    return labels


def layer(*sections: tuple[int, np.ndarray], objects: bool = False, corner=(0, 0, 0)) -> Layer:
    return Layer({z: look(labels, objects) for z, labels in sections}, 50, corner)


def said(rules: Rules, *layers: Layer) -> list[Finding]:
    return list(findings(layers, rules))


def kinds(rules: Rules, *layers: Layer) -> list[str]:
    return [each.kind for each in said(rules, *layers)]


def test_good_strokes_and_good_maps_have_no_findings() -> None:
    assert said(STROKES, layer((3, strokes()), (9, strokes()))) == []
    both = cells() + (cells() == 0) * 2
    assert said(STROKES, layer((3, both))) == []
    assert said(Rules({0: "background", 1: "cell"}, True, False), layer((3, cells()))) == []
    assert said(Rules({1: "object"}, True, True), layer((0, cells((1, 2, 3, 4, 5, 6))), objects=True)) == []
    assert said(STROKES, Layer({}, 5), Layer({}, 5)) == []


# ---- what 0 means


def test_strokes_on_background_are_said_first() -> None:
    labels = strokes()
    labels[150, 200] = 1
    found = said(BACKGROUND, layer((3, labels), (7, strokes())))
    assert [each.kind for each in found] == [SPARSE, "strays"]
    assert found[0].text == (
        "0 means background, but only 3 % of section 3 is painted: all the rest of it is learned as background. "
        "If you painted strokes, let 0 mean not labelled (--zero unlabelled)."
    )
    assert (found[0].z, labels[found[0].y, found[0].x]) == (3, 1)


def test_a_map_of_one_class_without_background_is_said() -> None:
    found = said(STROKES, layer((0, cells()), (1, cells())))
    assert [each.kind for each in found] == [DENSE, "missing"]
    assert found[0].text.startswith("Only interior is painted, and 0 means not labelled, so there is nothing to tell ")
    assert found[1].text == "Nothing is painted as membrane. Paint a few strokes of it."
    assert cells()[found[1].y, found[1].x] == 1


def test_sections_that_are_nearly_all_painted_are_said() -> None:
    both = cells() + (cells() == 0) * 2
    both[100:110, :] = 0
    (found,) = said(STROKES, layer((4, both)))
    assert found.kind == DENSE
    assert found.text.startswith("95 % of section 4 is painted, and 0 means not labelled. If the rest is background,")


def test_ids_without_background_are_said() -> None:
    labels = np.kron(np.arange(1, 31).reshape(5, 6), np.ones((40, 40), int)).astype(np.uint16)
    assert said(IDS, layer((0, labels), objects=True)) == []  # nothing is left for 0
    labels[::40] = labels[:, ::40] = 0
    assert kinds(IDS, layer((0, labels), objects=True)) == [DENSE]
    assert kinds(Rules({1: "object"}, True, True), layer((0, labels), objects=True)) == []


@given(st.lists(st.booleans(), min_size=1, max_size=7))
def test_what_0_means_is_doubted_when_most_sections_look_so(whole) -> None:
    both = look(np.where(np.arange(240) < 230, 1 + (np.arange(240) % 2), 0) * np.ones(SHAPE, np.uint8), False)
    few = look(strokes(), False)
    sections = Layer({z: both if each else few for z, each in enumerate(whole)}, 50)
    assert (DENSE in kinds(STROKES, sections)) == (2 * sum(whole) > len(whole))
    assert (SPARSE in kinds(BACKGROUND, sections)) == (2 * sum(whole) < len(whole))


def test_tiny_things_on_every_section_are_a_map() -> None:
    tiny = np.zeros(SHAPE, np.uint8)
    tiny[40:50, 20:60] = tiny[100:108, 120:170] = 1
    one = {"zero_counts": True, "objects": False}
    every = Layer({z: look(tiny, False) for z in range(8)}, 8)
    some = Layer(every.sections, 12)
    assert kinds(Rules({1: "synapse"}, **one), every) == []
    assert kinds(Rules({1: "synapse"}, **one), some) == [SPARSE]
    assert kinds(Rules({1: "synapse"}, zero_counts=False, objects=False), every) == [DENSE]
    assert kinds(Rules({1: "synapse"}, zero_counts=False, objects=False), some) == []
    both = Layer({z: look(strokes(), False) for z in range(8)}, 8)
    assert kinds(BACKGROUND, both) == [SPARSE]


# ---- classes


def test_classes_with_few_pixels_are_said_over_all_layers() -> None:
    few = np.zeros(SHAPE, np.uint8)
    few[60:66, 30:46] = 2
    one = strokes()
    one[one == 2] = 0
    (found,) = said(STROKES, layer((3, one)), layer((5, few), corner=(10, 100, 200)))
    assert found.text == "Only 96 painted pixels of membrane. A stroke or two more will help."
    assert (found.kind, found.pair, found.z) == ("few", 1, 15)
    assert few[found.y - 100, found.x - 200] == 2
    assert said(STROKES, layer((3, strokes())), layer((5, few))) == []


def test_values_without_a_class_are_said() -> None:
    labels = strokes()
    labels[150:160, 40:90] = 7
    (found,) = said(STROKES, layer((2, labels)))
    assert found.kind == "unknown"
    assert found.text == "Section 2: the value 7 is painted, but no class has it. Add the class, or erase it."
    assert labels[found.y, found.x] == 7


def test_many_values_without_a_class_look_like_ids() -> None:
    labels = np.kron(np.arange(1, 31).reshape(5, 6), np.ones((40, 40), int)).astype(np.uint16)
    (found,) = said(STROKES, layer((2, labels)))
    assert found.kind == "ids"
    assert found.text == "28 values are painted that are no class. If they are ids of objects, say so (--objects)."


# ---- single pieces


@pytest.mark.parametrize(("zero_counts", "expected"), [(True, ["holes", "strays"]), (False, ["strays"])])
def test_holes_are_said_where_they_are_learned(zero_counts, expected) -> None:
    labels = cells((1, 2))
    labels[48:52, 48:52] = 0
    labels[152, 52] = labels[148, 122] = 0
    labels[99, 3] = 2
    found = said(Rules(NAMES, zero_counts, False), layer((6, labels)))
    assert [each.kind for each in found] == expected
    assert found[-1] == Finding(
        "strays", "Section 6: a dot of 1 pixel of membrane. Erase it, if it is a slip of the brush.", 0, 6, 99, 3
    )
    if zero_counts:
        assert found[0].text == (
            "Section 6: a hole of 16 pixels in interior, and 2 more like it. "
            "It is learned as background; fill it, if it is none."
        )
        assert (found[0].y, found[0].x, found[0].others) == (48, 48, ((148, 122), (152, 52)))
        assert from_json(to_json(found[0])) == found[0]


def test_sections_with_the_most_come_first_and_the_rest_is_counted() -> None:
    sections = {}
    for z in range(6):
        labels = strokes()
        labels[150, 10 : 10 + 4 * (z + 1) : 4] = 2
        sections[z] = look(labels, False)
    found = said(STROKES, Layer(sections, 50))
    assert [each.z for each in found] == [5, 4, 3]
    assert found[0].text.startswith("Section 5: a dot of 1 pixel of membrane, and 5 more like it.")
    assert found[2].text.endswith("Erase it, if it is a slip of the brush. There are some in 3 more sections.")
    assert "more section" not in found[1].text


def test_an_id_in_two_objects_is_said() -> None:
    seen = Seen(1000, (Spot(5, 5, 17, 800),), 30.0, twins=(Spot(5, 5, 17, 800),))
    (found,) = said(Rules({1: "object"}, True, True), Layer({3: seen}, 50))
    assert found.text == (
        "Section 3: object 17 has two bodies side by side. If they are two objects, give one of them another id."
    )
