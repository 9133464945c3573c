"""Runs the command line in forks: each is a process of its own, with torch loaded before.

Reads one request a line from standard input, a JSON object, and answers with one:

- `{"command": [...], "root": ...}`: the words after `napari-unet`, in a fork; more keys are those of `Trap` (`at`,
  `does`, `for_good`); `scarce`: the forward passes that lack memory, from 1 on; `gpu`: pretend that there is one;
  `patience`, `batch`: when chunks are listed; `beside`: requests for the same moment. The answer has `code` (negative:
  the signal), `out`, `err`, `sprung`, `points`, `forwards`, `beside`.
- `{"run": [...]}`: any other command.
- `{"state": root}`: what `job.state` finds.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch
from job import state
from trap import Trap

import napari_unet.cli
import napari_unet.segment
import napari_unet.store
from napari_unet.device import Compute
from napari_unet.unet import UNet


def main() -> None:
    """Answer requests until there are no more."""
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        request = json.loads(line)
        if "state" in request:
            answer: Any = state(Path(request["state"]))
        elif "run" in request:
            answer = {"out": subprocess.run(request["run"], check=True, capture_output=True, text=True).stdout}
        else:
            answer = _together([request, *request.get("beside", [])])
        answers.write(json.dumps(answer) + "\n")


def _together(requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Run commands at the same time; the answers to all but the first are `beside` it."""
    begun = [(_forked(request), request) for request in requests]
    answers = [_answer(*files, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) for (pid, *files), _ in begun]
    return {**answers[0], "beside": answers[1:]}


def _forked(request: dict[str, Any]) -> tuple[int, Any, Any, Any]:
    out, err, told = (tempfile.TemporaryFile("w+b") for _ in range(3))  # noqa: SIM115
    pid = os.fork()
    if pid:
        return pid, out, err, told
    code = 99
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        code = _child(request, told.fileno())
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _child(request: dict[str, Any], told: int) -> int:
    """Run the command line in this process, with a trap set."""
    root = Path(request["root"])
    napari_unet.store._PATIENCE = request.get("patience", float("inf"))
    napari_unet.store._BATCH = request.get("batch", 2)
    at = tuple(request["at"]) if request.get("at") else None
    trap = Trap(
        root, at, request.get("does", ""), request.get("for_good", False), lambda: os.write(told, b'{"sprung": true}\n')
    )
    if request.get("gpu"):
        _pretend()
    forwards = _scarce(set(request.get("scarce", [])))
    trap.set()
    try:
        return napari_unet.cli.main(request["command"])
    finally:
        os.write(told, json.dumps({"points": trap.seen, "forwards": len(forwards)}).encode() + b"\n")


def _pretend() -> None:
    """Let the processor under another name pass for a GPU."""
    napari_unet.segment.choose = lambda config: Compute("cpu:0", "a GPU", "float32", 1)
    Compute.autocast = lambda compute: contextlib.nullcontext()  # type: ignore[method-assign,assignment,return-value]


def _scarce(lacking: set[int]) -> list[int]:
    """Let some forward passes of the network lack memory, as torch says it; return the list of all."""
    seen: list[int] = []
    real = UNet.forward

    def forward(net: UNet, pixels: torch.Tensor) -> torch.Tensor:
        seen.append(len(seen) + 1)
        if seen[-1] in lacking:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return real(net, pixels)

    UNet.forward = forward  # type: ignore[method-assign]
    return seen


def _answer(out: Any, err: Any, told: Any, code: int) -> dict[str, Any]:
    texts = []
    for file in (out, err, told):
        file.seek(0)
        texts.append(file.read().decode())
        file.close()
    answer: dict[str, Any] = {"code": code, "out": texts[0], "err": texts[1], "sprung": False, "points": []}
    for line in texts[2].splitlines():
        answer |= json.loads(line)
    return answer


if __name__ == "__main__":
    main()
