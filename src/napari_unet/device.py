"""What a job computes on: device, number format, threads."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from napari_unet.allocator import keep_freed
from napari_unet.config import Precision, Settings
from napari_unet.library import library
from napari_unet.memory import free_memory
from napari_unet.precision import fastest
from napari_unet.problem import Problem
from napari_unet.tiles import MARGIN
from napari_unet.words import counted

if TYPE_CHECKING:
    import torch

_MAPS = 8  # maps of the first level in memory at once: a processor has 2.4 to 5.5; the rest is for a GPU's workspaces
_MOST_MAPS = 5.5
_NO_MEMORY = (
    *("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED"),  # in the words of torch and CUDA
    # oneDNN gives no reason: it lacks memory, or a system refuses it memory for the code that it makes.
    *("could not create a primitive", "could not execute a primitive", "could not create a memory"),
    *("bad_alloc", "can't start new thread"),  # C++, Python
)


@dataclass(frozen=True)
class Compute:
    """A device that was found and tried.

    Parameters
    ----------
    kind : str
        "cpu", "cuda" or "mps".
    name : str
        What to call it in front of the user.
    precision : str
        "float32", "bfloat16" or "float16".
    threads : int
        Processor threads.
    """

    kind: str
    name: str
    precision: Precision
    threads: int

    def __str__(self) -> str:
        return f"{self.name}, {counted(self.threads, 'thread')}, {self.precision}"

    def autocast(self) -> torch.autocast:
        """Return the context that computes in this precision."""
        import torch

        return torch.autocast(self.kind, dtype=getattr(torch, self.precision), enabled=self.precision != "float32")


def choose(settings: Settings) -> Compute:
    """Return what to compute on, and set torch's thread count and this process's memory to it.

    Raises
    ------
    Problem
        If the wanted device is not there.
    """
    import torch

    threads = settings.threads or _cores()
    torch.set_num_threads(threads)
    kind = settings.device if settings.device != "auto" else _best_kind()
    if kind == "cuda" and not torch.cuda.is_available():
        raise Problem(f"No NVIDIA GPU can be used: {why_no_gpu()} Choose another device (--device auto).")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise Problem("This machine has no Apple GPU that torch can use. Choose another device (--device auto).")
    name = {"cuda": torch.cuda.get_device_name, "mps": lambda: "Apple GPU", "cpu": lambda: "processor"}[kind]()
    if kind == "cpu":
        keep_freed()
    precision = settings.precision if settings.precision != "auto" else _fastest_precision(kind, name)
    return Compute(kind, name, precision, threads)


def why_no_gpu() -> str:
    """Say in one or two sentences why no NVIDIA GPU is used, and the command that mends it if one is present."""
    import shutil

    import torch

    if torch.version.cuda is None and shutil.which("nvidia-smi"):
        return (
            "an NVIDIA driver is installed, but this torch was built without CUDA. "
            f"Mend it with: {sys.executable} -m pip install --force-reinstall torch "
            "--index-url https://download.pytorch.org/whl/cu130"
        )
    if torch.version.cuda is None:
        return "no NVIDIA GPU was found."
    return "torch finds no working NVIDIA driver. Install or update the driver, then start again."


def _cores() -> int:
    """Return how many processor cores this job may use; a cluster often allows fewer than there are."""
    cores = psutil.cpu_count(logical=False) or 1
    return min(cores, len(os.sched_getaffinity(0))) if sys.platform == "linux" else cores


def _best_kind() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _fastest_precision(kind: str, name: str) -> Precision:
    """Return what is fastest; where bfloat16 is emulated, that is known without a trial."""
    import torch

    if kind == "cuda":
        native = torch.cuda.get_device_capability() >= (8, 0)
    else:
        native = kind == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if not native:
        return "float32"
    if kind == "cpu":
        name = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return fastest(kind, f"{name}, torch {torch.__version__}", library().root)


def largest_tile(compute: Compute, width: int) -> int:
    """Return the side of the largest tile for which there is memory: a power of two from 64 to 2048, in pixels.

    Parameters
    ----------
    compute : Compute
    width : int
        Channels of the network's first level, whose feature maps take most of the memory.
    """
    import torch

    free = torch.cuda.mem_get_info()[0] if compute.kind == "cuda" else free_memory()
    # The processor shares its memory with the rest, and gains nothing by tiles larger than a chunk.
    share, largest = (0.8, 2048) if compute.kind == "cuda" else (0.25, 1024)
    sides = [side for side in (2048, 1024, 512, 256, 128) if side <= largest]
    return next((side for side in sides if _MAPS * _map(compute, width, side) <= share * free), 64)


def fits(compute: Compute, width: int, tile: int) -> bool:
    """Tell whether a tile fits into memory, as far as that must be known: a GPU says so, but a system kills programs.

    Parameters
    ----------
    compute : Compute
    width : int
        Channels of the network's first level.
    tile : int
        Its side, in pixels.
    """
    return compute.kind == "cuda" or _MOST_MAPS * _map(compute, width, tile) <= free_memory()


def _map(compute: Compute, width: int, tile: int) -> int:
    """Return how many bytes the first feature map of a tile takes."""
    return int((tile + 2 * MARGIN) ** 2 * width * (4 if compute.precision == "float32" else 2))


@contextlib.contextmanager
def memory_problems(remedy: str) -> Iterator[None]:
    """Turn an out-of-memory error, of the device or of the machine, into a sentence.

    Raises
    ------
    Problem
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not lacks_memory(error):
            raise
        raise Problem(f"There is not enough memory. {remedy}") from error


def lacks_memory(error: Exception) -> bool:
    """Tell whether the device or the machine ran out of memory."""
    import torch

    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch has no class of its own for the processor's memory, nor for all that a GPU runs out of.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in _NO_MEMORY)
