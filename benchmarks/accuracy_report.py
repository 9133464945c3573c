"""The results of `accuracy.py` as a table and as a curve: score against painted pixels."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

Results = Sequence[dict[str, Any]]
WAYS = {"tuned": "bundled model, fine-tuned", "scratch": "the same network from scratch", "forest": "random forest"}
_COLORS = {"tuned": "#0072b2", "scratch": "#d55e00", "forest": "#009e73"}
_KEYS = {"isbi": "best v_rand", "lucchi": "iou"}  # what the curve shows
_SCORES = {  # the columns of the table, and where a result keeps them
    "isbi": [
        ("V_rand at 0.5", "v_rand"),
        ("best", "best v_rand"),
        ("V_info at 0.5", "v_info"),
        ("best", "best v_info"),
        ("8 views: V_rand at 0.5", "8 views, v_rand"),
        ("best", "8 views, best v_rand"),
    ],
    "lucchi": [("IoU", "iou"), ("8 views", "8 views, iou")],
}
_KNOWN = {"isbi": {"human, about 0.998": 0.998, "U-Net paper (30 sections, secret test): 0.973": 0.9728}, "lucchi": {}}
_TITLES = {
    "isbi": ("Membranes (ISBI 2012)", "V_rand at the best threshold, sections 10-19"),
    "lucchi": ("Mitochondria (Lucchi)", "IoU, test stack"),
}


def table(results: Results) -> Iterator[str]:
    """Yield the lines of a table for each data set: median and range of the seeds."""
    for data, scores in _SCORES.items():
        columns = ["painted", "pixels", "learned by", *(name for name, _ in scores), "seeds"]
        yield f"| {' | '.join(columns)} |"
        yield f"|{'---|' * len(columns)}"
        for (_, painting, way), group in _groups([each for each in results if each["data"] == data]).items():
            cells = [_spread([each[key] for each in group]) if key in group[0] else "" for _, key in scores]
            yield f"| {' | '.join((painting, f'{_pixels(group):,.0f}', WAYS[way], *cells, str(len(group))))} |"
        yield ""


def plot(results: Results, path: Path) -> None:
    """Draw the curve of each data set into an image file."""
    data_sets = list(dict.fromkeys(each["data"] for each in results))
    figure, axes = pyplot.subplots(1, len(data_sets), figsize=(6.4 * len(data_sets), 4.4), squeeze=False)
    for ax, data in zip(axes[0], data_sets, strict=True):
        _draw(ax, data, [each for each in results if each["data"] == data])
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw(ax: Axes, data: str, results: Results) -> None:
    """Draw one data set: a line a way with the range of the seeds, and what is known from elsewhere."""
    groups, key = _groups(results), _KEYS[data]
    for way, name in WAYS.items():
        points = sorted((_pixels(group), [e[key] for e in group]) for (_, _, w), group in groups.items() if w == way)
        points = [(x, scores) for x, scores in points if x]
        if points:
            middles = [statistics.median(scores) for _, scores in points]
            low = [m - min(scores) for m, (_, scores) in zip(middles, points, strict=True)]
            high = [max(scores) - m for m, (_, scores) in zip(middles, points, strict=True)]
            ax.errorbar(
                [x for x, _ in points], middles, (low, high), marker="o", ms=4, capsize=3, label=name, c=_COLORS[way]
            )
    if nothing := groups.get((data, "nothing", "tuned")):
        ax.axhline(nothing[0][key], ls=":", c=_COLORS["tuned"], label=f"nothing painted: {nothing[0][key]:.3f}")
    for (name, score), style in zip(_KNOWN[data].items(), ("-.", "--"), strict=False):
        ax.axhline(score, ls=style, lw=1, c="0.4", label=name)
    title, score = _TITLES[data]
    ax.set(title=title, xlabel="painted pixels", ylabel=score, xscale="log")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="lower right")


def _groups(results: Results) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Put the seeds of a stage together."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for each in results:
        groups.setdefault((each["data"], each["painting"], each["way"]), []).append(each)
    return groups


def _pixels(group: Results) -> float:
    return statistics.median(each.get("painted", 0) for each in group)


def _spread(values: Sequence[float]) -> str:
    middle = f"{statistics.median(values):.3f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.3f}-{max(values):.3f})"
