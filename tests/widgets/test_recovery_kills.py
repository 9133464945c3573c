"""`kill -9` of a real napari while somebody paints in it; then the next one recovers. See `docs/reliability.md`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tifffile
import zarr

from napari_unet.library import HOME, Library

from .painter import CELL_WALL, MINUTES, MODEL, SETTLED, SHAPE

KILLS = 50
WAIT = 120  # seconds, at most, for a napari


class Napari:
    """A napari in a process of its own; see `painter.py`."""

    def __init__(self, folder: Path, verb: str, life: int) -> None:
        self._notes = folder / f"notes-{life}.jsonl"
        self._complaints = folder / f"complaints-{life}.txt"
        with self._complaints.open("w") as complaints:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.painter", verb, str(folder), str(life)],
                cwd=Path(__file__).parents[1], stdout=complaints, stderr=complaints,
                env={**os.environ, HOME: str(folder / "home")},
            )  # fmt: skip

    def notes(self) -> list[dict[str, Any]]:
        """Return what was noted so far; a line that a kill cut off is none."""
        text = self._notes.read_text() if self._notes.exists() else ""
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def noted(self, what: str) -> dict[str, Any]:
        """Wait for a note."""
        end = time.monotonic() + WAIT
        while time.monotonic() < end and self.process.poll() is None:
            if found := [note for note in self.notes() if note["what"] == what]:
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"no {what!r}: {self._complaints.read_text()[-2000:]}")

    def kill(self) -> float:
        """Kill it; return when that was. Its workers end by themselves."""
        workers = psutil.Process(self.process.pid).children()
        self.process.send_signal(signal.SIGKILL)
        when = time.time()
        self.process.wait()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive, "a worker outlived its napari"
        return when


def check_pixels(now: np.ndarray, before: np.ndarray, notes: list[dict[str, Any]]) -> int:
    """Compare labels with all strokes that were noted, and return their number; one under way may be there in part."""
    expected = before.copy()
    begun, strokes = ([note for note in notes if note["what"] == what] for what in ("begins", "painted"))
    for each in strokes:
        expected[each["section"]].ravel()[each["pixels"]] = each["value"]
    differs = now != expected
    if len(begun) > len(strokes):
        assert set(now[differs].tolist()) <= {begun[-1]["value"]}
        assert set(np.argwhere(differs)[:, 0].tolist()) <= {begun[-1]["section"]}
    else:
        assert not differs.any()
    return len(strokes)


def check_state(found: dict[str, Any], notes: list[dict[str, Any]], when: float) -> None:
    """Compare what is shown again with what was shown."""
    ready = next(note for note in notes if note["what"] == "ready")
    for name in ("layers", "paths", "active", "brush", "mode", "zero"):
        assert found[name] == ready[name], name
    assert (found["classes"][1], found["model"], found["minutes"]) == (CELL_WALL, MODEL, MINUTES)
    begun = [note for note in notes if note["what"] == "begins"]
    first = max((i for i, note in enumerate(begun) if note["time"] < when - SETTLED), default=0)
    assert found["section"] in {note["section"] for note in begun[first:]}
    assert found["value"] in {note["value"] for note in begun[first:]}
    assert found["said"].startswith("Back: 2 layers, the training "), found["said"]
    assert found["progress"].startswith("Stopped: "), found["progress"]
    assert found["goes_on"]


def run(folder: Path, kills: int, longest: float = 6.0) -> None:
    """Let somebody paint, kill napari within so many seconds, recover in the next one, paint on there, and so on."""
    tifffile.imwrite(folder / "stack.tif", np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8))
    home, draw = Library(folder / "home"), random.Random(0)
    pixels, seen = np.zeros(SHAPE, np.uint8), Counter[str]()
    halves = set[Path]()
    napari = Napari(folder, "new", 0)
    for life in range(1, kills + 1):
        napari.noted("ready")
        time.sleep(draw.uniform(0, longest))
        when, notes = napari.kill(), napari.notes()
        (path,) = home.painted()
        before, pixels = pixels, zarr.open_array(path / "0", mode="r")[:]
        seen["strokes"] += check_pixels(pixels, before, notes)
        seen["kills in the middle of a stroke"] += notes[-1]["what"] == "begins"
        left = set(path.rglob("*.partial"))
        seen["kills that left a half-written file"] += bool(left - halves)
        halves |= left
        napari = Napari(folder, "again" if life < kills else "close", life)
        found = napari.noted("recovered")
        np.testing.assert_array_equal(np.array(found["pixels"], np.uint8), pixels)
        check_state(found, notes, when)
        print(f"{life} kills: {dict(seen)}", flush=True)
    assert napari.process.wait(WAIT) == 0
    assert list(home.sessions.iterdir()) == []


def test_nothing_painted_is_lost_in_a_kill(tmp_path: Path) -> None:
    run(tmp_path, 1, longest=2.0)


@pytest.mark.slow
def test_nothing_painted_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    run(tmp_path, KILLS)
