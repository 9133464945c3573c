"""A request and its line of JSON are the same, and a job that runs never meets a wrong one."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.requests import Begin, Join, KeepGoing, Look, Preview, Request, Stop, from_json, to_json

KINDS = get_args(Request)
plain = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
requests = st.one_of(
    st.builds(Begin, st.text(), st.dictionaries(st.text(), plain)),
    st.builds(Preview, *[st.integers()] * 5),
    st.builds(Join, st.integers(), st.text(), st.lists(st.integers()).map(tuple)),
    st.builds(Look, *[st.integers()] * 3),
    st.just(Stop()),
    st.just(KeepGoing()),
)


def test_there_are_requests_of_every_kind() -> None:
    assert {kind.__name__ for kind in KINDS} == {"Begin", "Preview", "Join", "Look", "Stop", "KeepGoing"}


@given(requests)
def test_a_request_comes_back_from_its_line(request_: Request) -> None:
    line = to_json(request_)
    assert "\n" not in line
    found = from_json(line)
    assert type(found) is type(request_)
    assert found == request_


@given(requests.filter(lambda request: dataclasses.fields(request)))
def test_a_request_is_frozen(request_: Request) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(request_, dataclasses.fields(request_)[0].name, None)


def test_a_line_names_its_kind_first() -> None:
    assert to_json(Stop()) == '{"request": "stop"}'
    assert to_json(Preview(1, 2, 3, 4, 5)) == '{"request": "preview", "z": 1, "y0": 2, "y1": 3, "x0": 4, "x1": 5}'


@given(requests)
def test_fields_of_a_later_version_are_dropped(request_: Request) -> None:
    assert from_json(json.dumps(json.loads(to_json(request_)) | {"later": 1})) == request_


@pytest.mark.parametrize(
    "line",
    [
        "", "{", "null", "3", "[]", '"stop"', "{}", '{"request": "halt"}', '{"event": "stop"}', '{"request": "begin"}',
        '{"request": "preview", "z": 1, "y0": 2, "y1": 3, "x0": 4}',
        '{"request": "preview", "z": 1.5, "y0": 2, "y1": 3, "x0": 4, "x1": 5}',
        '{"request": "preview", "z": "a", "y0": 2, "y1": 3, "x0": 4, "x1": 5}',
        '{"request": "begin", "verb": 3, "config": {}}', '{"request": "begin", "verb": "train", "config": []}',
    ],
)  # fmt: skip
def test_anything_else_is_no_request(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(line)
