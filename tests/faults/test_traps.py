"""The traps see all that reaches the disk: what they count is what strace counts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import SINGLE, Bench
from test_each_call import CALLS

NAMES = {
    "write": "write", "pwrite64": "write", "writev": "write", "pwritev": "write", "sendfile": "write",
    "copy_file_range": "write", "fallocate": "write", "fsync": "fsync", "fdatasync": "fsync", "rename": "rename",
    "renameat": "rename", "renameat2": "rename", "link": "link", "linkat": "link", "symlink": "link",
    "symlinkat": "link", "unlink": "unlink", "unlinkat": "unlink", "truncate": "truncate", "ftruncate": "truncate",
    "open": "create", "openat": "create", "creat": "create",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_traps_see_what_strace_sees(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "strace.txt"
    subprocess.run(
        ["strace", "-f", "-y", "-s", "0", "-o", log, "-e", "trace=" + ",".join(NAMES),
         sys.executable, Path(__file__).with_name("server.py")],
        input=json.dumps({"command": bench.job.command(), "root": str(bench.job.root)}) + "\n",
        env={**os.environ, **SINGLE}, text=True, check=True, capture_output=True,
    )  # fmt: skip
    bench.goes_on("strace")
    root = re.escape(str(bench.job.root))
    seen: Counter[tuple[str, str]] = Counter()
    for line in log.read_text().splitlines():
        call = re.match(rf"\d+ +(\w+)\(.*?[<\"]{root}/([^>\"]+)[>\"](.*)", line)
        if call and not (NAMES[call[1]] == "create" and "O_CREAT" not in call[3]):
            seen[NAMES[call[1]], re.sub(r"\.[0-9a-f]{32}\.", ".*.", call[2])] += 1
    counted = Counter((name, file) for name, file, _ in bench.points if name in CALLS)
    assert sum(counted.values()) > 200
    assert seen == counted
