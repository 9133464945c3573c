"""Frozen dataclasses as single lines of JSON, told apart by their class name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any


def dump(tag: str, message: Any) -> str:
    """Return `message`, a dataclass, as one line of JSON without the newline; its class name stands under `tag`."""
    return json.dumps({tag: type(message).__name__.lower(), **dataclasses.asdict(message)}, allow_nan=False)


def parse(tag: str, kinds: Sequence[type], line: str) -> Any:
    """Return the message of a line that `dump` wrote, one of `kinds`; fields it does not know are dropped.

    Raises
    ------
    ValueError
        If the line is none of them.
    """
    try:
        fields = json.loads(line)
        kind = {each.__name__.lower(): each for each in kinds}[fields[tag]]
        return kind(**{f.name: fields[f.name] for f in dataclasses.fields(kind) if f.name in fields})
    except (KeyError, TypeError, RecursionError) as error:  # another kind, no object, a missing field, too deep
        raise ValueError(f"not one of our lines: {line[:80]}") from error
