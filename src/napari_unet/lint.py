"""What the labels alone tell before a training: 0 that seems to mean something else, classes, slips of the brush."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from napari_unet.events import Finding
from napari_unet.oddities import Seen, Spot
from napari_unet.words import counted

DENSE, SPARSE = "dense", "sparse"  # findings that another meaning of 0 mends: background, not labelled

_FEW = 200  # pixels; a short stroke of a brush of 6 pixels
_MANY = 10  # values without a class, from which on they look like ids
_WHOLE, _OBJECTS = 0.9, 0.5  # a section, one of ids, looks painted whole from this share on
_STACK = 4  # sections, at least, of what counts as a stack
_NAMED = 3  # sections of a kind of slip that are named


@dataclass(frozen=True)
class Layer:
    """What there is to know of a labels layer.

    Attributes
    ----------
    sections : mapping of int to Seen
        Its painted sections, by their number in the layer.
    depth : int
        How many sections it has.
    corner : tuple of int
        The voxel (Z, Y, X) of the image on which the layer begins.
    """

    sections: Mapping[int, Seen]
    depth: int
    corner: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True)
class Rules:
    """What label values mean: the names of the classes by value, whether 0 is background, whether values are ids."""

    names: Mapping[int, str]
    zero_counts: bool
    objects: bool

    def name(self, value: int) -> str:
        """Return what to call a painted value."""
        return f"object {value}" if self.objects else self.names.get(value, f"the value {value}")


@dataclass(frozen=True)
class _Section:
    """A painted section, where it lies on its image."""

    seen: Seen
    pair: int
    z: int
    corner: tuple[int, int]

    def finding(self, kind: str, text: str, spot: Spot, *others: Spot) -> Finding:
        """Return what is found at a spot of this section, and at others."""
        (y, x), *more = ((each.y + self.corner[0], each.x + self.corner[1]) for each in (spot, *others))
        return Finding(kind, text, self.pair, self.z, y, x, others=tuple(more))


def findings(layers: Sequence[Layer], rules: Rules) -> Iterator[Finding]:
    """Yield what should be looked at before a training, what matters most first.

    Parameters
    ----------
    layers : sequence of Layer
        In the order of the pairs of images and labels.
    rules : Rules
    """
    sections = [
        _Section(seen, pair, z + layer.corner[0], layer.corner[1:])
        for pair, layer in enumerate(layers)
        for z, seen in sorted(layer.sections.items())
    ]
    if sections:
        # Tiny things look like strokes; but who marks them on every section has made a map.
        every = all(len(layer.sections) == layer.depth >= _STACK for layer in layers if layer.sections)
        yield from _zero(sections, rules, every)
        if not rules.objects:
            yield from _classes(sections, rules)
        for pair in range(len(layers)):
            yield from _slips_of_the_brush([each for each in sections if each.pair == pair], rules)


def _zero(sections: Sequence[_Section], rules: Rules, every: bool) -> Iterator[Finding]:
    """Yield one finding if most sections, perhaps of `every` one, look as if 0 meant something else than it does."""
    values = {spot.value for section in sections for spot in section.seen.values}
    alone = len(values) == 1 and not rules.objects
    if rules.zero_counts:
        odd = [each for each in sections if each.seen.like_strokes and not (alone and every)]
    elif alone:
        odd = [each for each in sections if (every or not each.seen.like_strokes) and each.seen.share < 1]
    else:
        odd = [each for each in sections if (_OBJECTS if rules.objects else _WHOLE) <= each.seen.share < 1]
    if 2 * len(odd) <= len(sections):
        return
    first = odd[0]
    share = f"{max(1, min(99, round(100 * first.seen.share)))} %"
    if rules.zero_counts:
        text = (
            f"0 means background, but only {share} of section {first.z} is painted: all the rest of it is learned as "
            "background. If you painted strokes, let 0 mean not labelled (--zero unlabelled)."
        )
    elif alone:
        text = (
            f"Only {rules.name(*values)} is painted, and 0 means not labelled, so there is nothing to tell it from. "
            f"If all else in section {first.z} is background, let 0 mean background (--zero background)."
        )
    else:
        text = (
            f"{share} of section {first.z} is painted, and 0 means not labelled. "
            "If the rest is background, let 0 mean background (--zero background)."
        )
    yield first.finding(SPARSE if rules.zero_counts else DENSE, text, first.seen.values[0])


def _classes(sections: Sequence[_Section], rules: Rules) -> Iterator[Finding]:
    """Yield the values that are no class, and the classes of which nothing or little is painted."""
    painted: dict[int, list[tuple[_Section, Spot]]] = {}
    for section in sections:
        for spot in section.seen.values:
            painted.setdefault(spot.value, []).append((section, spot))
    pixels = {value: sum(spot.size for _, spot in spots) for value, spots in painted.items()}
    most = {value: max(spots, key=lambda each: each[1].size) for value, spots in painted.items()}

    def at(value: int, kind: str, text: str) -> Finding:
        section, spot = most[value]
        return section.finding(kind, text.format(section=f"Section {section.z}"), spot)

    unknown = sorted(painted.keys() - rules.names.keys())
    if len(unknown) >= _MANY:
        text = f"{len(unknown)} values are painted that are no class. If they are ids of objects, say so (--objects)."
        yield at(unknown[0], "ids", text)
    else:
        for value in unknown:
            text = f"{{section}}: the value {value} is painted, but no class has it. Add the class, or erase it."
            yield at(value, "unknown", text)
    for value, name in rules.names.items():
        if value and value not in painted:
            text = f"Nothing is painted as {name}. Paint a few strokes of it."
            yield at(max(pixels, key=lambda each: pixels[each]), "missing", text)
        elif value and pixels[value] < _FEW:
            text = f"Only {counted(pixels[value], 'painted pixel')} of {name}. A stroke or two more will help."
            yield at(value, "few", text)


def _slips_of_the_brush(sections: Sequence[_Section], rules: Rules) -> Iterator[Finding]:
    """Yield what is odd about single pieces of one layer, where there is most of it first."""
    for kind, what, remedy in (
        ("twins", "{name} has two bodies side by side", "If they are two objects, give one of them another id."),
        ("holes", "a hole of {pixels} in {name}", "It is learned as background; fill it, if it is none."),
        ("strays", "a dot of {pixels} of {name}", "Erase it, if it is a slip of the brush."),
    ):
        if kind == "holes" and not rules.zero_counts:
            continue  # nothing is learned there
        odd = [(section, spots) for section in sections if (spots := getattr(section.seen, kind))]
        odd.sort(key=lambda each: -len(each[1]))
        for number, (section, spots) in enumerate(odd[:_NAMED], start=1):
            spot, *others = sorted(spots, key=lambda each: -each.size)
            said = what.format(name=rules.name(spot.value), pixels=counted(spot.size, "pixel"))
            more = f", and {len(others):,} more like it" if others else ""
            if number == _NAMED < len(odd):
                remedy += f" There are some in {counted(len(odd) - _NAMED, 'more section')}."
            yield section.finding(kind, f"Section {section.z}: {said}{more}. {remedy}", spot, *others)
