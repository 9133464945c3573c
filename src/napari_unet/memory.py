"""How much memory this process may still take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

_MINE, _MOUNTED = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Return how many bytes the machine, the control groups of this process and its own limit leave, the least of them.

    SLURM and containers limit memory by control groups (version 1 or 2), `ulimit -v` by addresses.
    """
    left = [psutil.virtual_memory().available, *_left_in_groups()]
    if (limit := address_limit()) is not None:
        left.append(limit - psutil.Process().memory_info().vms)
    return max(0, min(left))


def address_limit() -> int | None:
    """Return how many bytes of addresses this process may have (`ulimit -v`), None for any number."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _left_in_groups() -> Iterator[int]:
    """Yield what each control group that this process is in leaves, in bytes; negative where it has more."""
    for folder, limit, used, each in _groups():
        try:
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # What is kept of files makes room when it is needed.
            cached = sum(int(stat[f"{each}{name}"]) for name in ("active_file", "inactive_file"))
            yield int((folder / limit).read_text()) - int((folder / used).read_text()) + cached
        except (OSError, ValueError, KeyError):  # it is not shown here, or "max": there is no limit
            continue


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """Yield each group: its folder, what limit and use are called, and what begins counts that include all in it."""
    try:
        lines = _MINE.read_text().splitlines()
    except OSError:  # another system
        return
    for line in lines:
        _, kinds, name = line.split(":", 2)
        inside = Path(name.lstrip("/"))
        for group in (inside, *inside.parents):
            if not kinds:
                yield _MOUNTED / group, "memory.max", "memory.current", ""
            elif "memory" in kinds.split(","):
                yield _MOUNTED / "memory" / group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
