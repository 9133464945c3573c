"""Numbers are said as people say them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.events import Compared
from napari_unet.words import counted, duration, for_window, sections, size, verdict


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (72, "1 min 12 s"), (3599.4, "59 min 59 s"),
        (3599.7, "1 h 00 min"), (3661, "1 h 01 min"), (86_400, "24 h 00 min"), (360_000, "100 h 00 min"),
    ],
)  # fmt: skip
def test_a_duration_in_words(seconds, words):
    assert duration(seconds) == words


@given(st.integers(0, 10**6))
def test_a_duration_is_right_to_the_second_or_minute(seconds):
    numbers = [int(part) for part in duration(seconds).split() if part.isdigit()]
    units = [{"s": 1, "min": 60, "h": 3600}[part] for part in duration(seconds).split() if part.isalpha()]
    exact = seconds if seconds < 3600 else seconds // 60 * 60
    assert sum(n * unit for n, unit in zip(numbers, units, strict=True)) == exact


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 sections"), (1, "1 section"), (2, "2 sections"), (1200, "1,200 sections")]
)
def test_a_number_of_things(number, words):
    assert counted(number, "section") == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (999_999, "less than 1 MB"),
        (1_000_000, "1 MB"),
        (3_355_443_200, "3.4 GB"),
        (12_000_000, "12 MB"),
        (2_500_000_000_000, "2.5 TB"),
    ],
)
def test_bytes_in_words(count, words):
    assert size(count) == words


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([3], "section 3"), ([4, 3], "sections 3 and 4"), ([3, 4, 5], "sections 3 to 5"),
        ([3, 5, 8, 9, 10, 5], "sections 3, 5 and 8 to 10"),
        (range(0, 20, 2), "sections 0, 2, 4, 6, 8, 10 and 4 more"),
        ([*range(0, 10, 2), *range(20, 2020), *range(3000, 3002)], "sections 0, 2, 4, 6, 8, 20 to 2019 and 2 more"),
    ],
)  # fmt: skip
def test_sections_are_named_but_not_too_many(numbers, words):
    assert sections(numbers) == words


@given(st.sets(st.integers(0, 60), min_size=1))
def test_each_section_is_named_or_counted(numbers):
    named, more = 0, 0
    for part in re.split(", | and ", sections(numbers).split(" ", 1)[1]):
        if part.endswith(" more"):
            more = int(part.split()[0])
        else:
            first, last = part.split(" to ") if " to " in part else (part, part)
            assert set(range(int(first), int(last) + 1)) <= numbers
            named += int(last) - int(first) + 1
    assert named + more == len(numbers)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("It cannot be read. Choose another name (--out).", "It cannot be read. Press Train for a new model."),
        ("Train again into another folder (--out), from another model.", "Train again, from another model."),
        ("Train on from it (--start-from a b --out ...), or not.", "Train on from it, or not."),
        ("Free some space and run the same command again.", "Free some space and try again."),
        (
            "It is another image. Put the former image back, or choose another output name.",
            "It is another image. Put the former image back, or press Segment for a new result.",
        ),
        (
            "It was made before. Choose another output name, or delete that folder first.",
            "It was made before. Press Segment for a new result.",
        ),
        (
            "To go on with it, ask for the same as before; otherwise choose another output name, or delete that folder "
            "first.",
            "To go on with it, ask for the same as before; otherwise press Segment for a new result.",
        ),
        ("It was stopped. Run the napari-unet segment command that made it again.", "It was stopped. Resume it."),
        ("Replace them, and start again, a segmentation under another name.", "Replace them, and start again."),
        (
            "It is damaged. Copy it again, or segment again under another name.",
            "It is damaged. Copy it again, or segment again.",
        ),
        (
            "There is no model a.b. Give a model file, a run folder, or one of: em-membrane, em-membrane-small.",
            "There is no model a.b. Put it back, or choose another model.",
        ),
        ("It lies 3 (of 4) sections deep.", "It lies 3 (of 4) sections deep."),
    ],
)
def test_a_window_names_no_flags(said, shown):
    assert for_window(said) == shown


def test_a_window_has_a_box_to_tick_instead_of_a_flag() -> None:
    text = "If the values are ids of objects, say so (--objects). Or run the same command again (--out)."
    assert for_window(text) == "If the values are ids of objects, tick Objects under Advanced. Or try again."


LITTLE = "of the rest of the stack, only held-out pixels tell."


@pytest.mark.parametrize(
    ("before", "after", "earlier", "words"),
    [
        (0.871, 0.832, True, "Worse on what you painted before: IoU 0.83, was 0.87, on 4,210 pixels."),
        (0.871, 0.832, False, "Worse on what you painted: IoU 0.83, was 0.87, on 4,210 pixels."),
        (
            0.871,
            0.862,
            True,
            f"On what you painted before: IoU 0.86, was 0.87, on 4,210 pixels. Both models learned from it; {LITTLE}",
        ),
        (
            0.7,
            0.9,
            False,
            f"On what you painted: IoU 0.90, was 0.70, on 4,210 pixels. The model learned from it; {LITTLE}",
        ),
    ],
)
def test_a_training_is_said_to_be_worse_or_what_its_score_says(before, after, earlier, words):
    assert verdict(Compared(before, after, 4210, earlier)) == words


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_loss_that_chance_explains_is_none(before, after):
    assert Compared(before, after, 1, True).worse == (before - after > 0.02) or abs(before - after - 0.02) < 1e-9
