"""Numbers in words, for the user."""

from __future__ import annotations

import re


def duration(seconds: float) -> str:
    """Return a time in words, such as "1 min 12 s"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as "1 section" or "1,200 sections"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def for_window(text: str) -> str:
    """Return a message of the core as a window says it: without the flags of the command line, `(--out)`."""
    text = text.replace("say so (--objects)", "tick Objects under Advanced")
    text = re.sub(r" \(--[^)]*\)", "", text).replace("run the same command again", "try again")
    return text.replace(
        "Choose another output name, or delete that folder first.", "Press Segment stack for a new result."
    )
