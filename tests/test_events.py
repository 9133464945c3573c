"""An event and its line of JSON are the same."""

import dataclasses
import json
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.events import Event, Finished, Loss, Notice, Progress, from_json, to_json

KINDS = get_args(Event)
numbers = st.floats(allow_nan=False, allow_infinity=False)  # JSON has neither


def of_kind(kind):
    """Return a strategy for one kind of event, its numbers finite."""
    types = {f.name: t for f, t in zip(dataclasses.fields(kind), get_type_hints(kind).values(), strict=True)}
    fields = {
        name: numbers if t is float else st.none() | numbers if t == float | None else st.from_type(t)
        for name, t in types.items()
    }
    return st.builds(kind, **fields)


events = st.one_of(list(map(of_kind, KINDS)))


def test_there_are_events_of_every_kind():
    names = {"Ready", "Started", "Progress", "Loss", "Score", "Previewed", "Joined", "NotJoined", "Compared", "Finding"}
    names |= {"Suggested", "Notice", "Finished", "Failed"}
    assert names == {k.__name__ for k in KINDS}


@given(events)
def test_an_event_comes_back_from_its_line(event):
    line = to_json(event)
    assert "\n" not in line
    found = from_json(line)
    assert type(found) is type(event)
    assert found == event


@given(events)
def test_an_event_is_frozen(event):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, dataclasses.fields(event)[0].name, None)


def test_a_line_names_its_kind_first():
    assert to_json(Loss(3, 0.5)) == '{"event": "loss", "step": 3, "loss": 0.5}'


@given(events, st.dictionaries(st.text().map("later {}".format), st.integers()))
def test_fields_of_a_later_version_are_dropped(event, more):
    line = json.dumps(json.loads(to_json(event)) | {"time": 1.5} | more)
    assert repr(from_json(line)) == repr(event)


def test_a_field_with_a_default_may_be_missing():
    assert from_json('{"event": "finished", "path": "a", "detail": "b"}') == Finished("a", "b", stopped=False)


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "null", "3", '"loss"', "[]", '["event"]', "{}", '{"step": 1}', '{"event": null}',
        '{"event": ["loss"]}',
        '{"event": "lost", "step": 1, "loss": 2}', '{"event": "Loss", "step": 1, "loss": 2}', '{"event": "loss"}',
        to_json(Progress(1, 2, "step", None))[:-9], to_json(Notice("a"))[:-1],
    ],
)  # fmt: skip
def test_anything_else_is_no_event(line):
    with pytest.raises(ValueError, match=r".+"):
        from_json(line)
