"""A message and its line of JSON are the same, whatever dataclass it is."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.jsonline import dump, parse


@dataclass(frozen=True)
class Word:
    text: str
    loud: bool = False


@dataclass(frozen=True)
class Box:
    sides: list[int]
    inside: dict[str, float]


KINDS = (Word, Box)
messages = st.builds(Word, st.text(), st.booleans()) | st.builds(
    Box,
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
)


@given(messages, st.text(min_size=1).filter(lambda tag: tag not in {"text", "loud", "sides", "inside"}))
def test_a_message_comes_back_from_its_line(message: Word | Box, tag: str) -> None:
    line = dump(tag, message)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert parse(tag, KINDS, line) == message


def test_the_kind_stands_first_under_its_tag() -> None:
    assert dump("said", Word("a")) == '{"said": "word", "text": "a", "loud": false}'


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump("said", Box([], {"a": float("nan")}))


def test_unknown_fields_are_dropped_and_defaults_filled_in() -> None:
    assert parse("said", KINDS, '{"said": "word", "text": "a", "mood": 1}') == Word("a")


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["said", "text"]), inner | st.just("word"), max_size=2)
        ),
        max_leaves=5,
    ).map(json.dumps)
)
def test_any_line_is_a_message_or_a_value_error(line: str) -> None:
    try:
        message = parse("said", KINDS, line)
    except ValueError:
        return
    assert json.loads(line)["said"] == type(message).__name__.lower()
    assert all(json.loads(line).get(name, False) == value for name, value in dataclasses.asdict(message).items())


@pytest.mark.parametrize(
    "line",
    [
        '{"said": "word"}',
        '{"said": "Word", "text": "a"}',
        '{"told": "word", "text": "a"}',
        '{"said": ["word"], "text": "a"}',
        '"said"',
        "3",
        "[" * 100_000,
    ],
)
def test_anything_else_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match="not one of our lines: ") as wrong:
        parse("said", KINDS, line)
    assert len(str(wrong.value)) < 120
