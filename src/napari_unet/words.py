"""Numbers in words, for the user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from napari_unet.events import Compared

_NAMED = 6  # sections, or runs of them, that are named one by one


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


def size(count: int) -> str:
    """Return a number of bytes in words, such as "3.4 GB"."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if count >= unit:
            number = f"{count / unit:,.{int(count < 10 * unit)}f}"
            return f"{number.removesuffix('.0')} {name}"
    return "less than 1 MB"


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does: "2, 3 and 7"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def sections(numbers: Iterable[int]) -> str:
    """Return at least one section by its number, such as "sections 3, 5 and 8 to 14"; not too many one by one."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [part for run in runs for part in ([[run[0], run[-1]]] if len(run) > 2 else [[each] for each in run])]
    words = [" to ".join(map(str, part)) for part in parts[:_NAMED]]
    if more := sum(map(len, runs)) - sum(part[-1] - part[0] + 1 for part in parts[:_NAMED]):
        words.append(f"{more:,} more")
    return f"section{'s' * (len(parts) > 1 or len(parts[0]) > 1)} {listed(words)}"


def verdict(compared: Compared) -> str:
    """Return what a comparison says of a training, and what it cannot say."""
    where = "what you painted before" if compared.earlier else "what you painted"
    scores = f"IoU {compared.after:.2f}, was {compared.before:.2f}, on {counted(compared.pixels, 'pixel')}."
    if compared.worse:
        return f"Worse on {where}: {scores}"
    learned = "Both models" if compared.earlier else "The model"
    return f"On {where}: {scores} {learned} learned from it; of the rest of the stack, only held-out pixels tell."


def for_window(text: str) -> str:
    """Return a message of the core as a window says it: without the flags of the command line, `(--out)`."""
    text = text.replace("say so (--objects)", "tick Objects under Advanced")
    text = re.sub(r"\bchunk(s?)\b", r"tile\1", text)  # the users' word for the chunks of a result
    text = text.replace(
        "Check the order of the files: did you swap image and labels?", "Did you choose the right labels?"
    )
    text = text.replace("Choose another name (--out).", "Press Train for a new model.")
    text = text.replace(" into another folder (--out)", "")
    text = re.sub(
        r"\bGive a model file, a run folder, or one of: [^.]*\.", "Put it back, or choose another model.", text
    )
    text = re.sub(r" \(--[^)]*\)", "", text).replace("run the same command again", "try again")
    text = text.replace("start again, a segmentation under another name", "start again")
    text = text.replace("segment again under another name", "segment again")
    text = re.sub(r"([Rr])un the napari-unet segment command that made it again", r"\1esume it", text)
    press = {"C": "Press", "c": "press"}
    another = r"([Cc])hoose another output name(?:, or delete that folder first)?\."
    return re.sub(another, lambda found: f"{press[found[1]]} Segment for a new result.", text)
