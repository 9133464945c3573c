"""Devices: what is found is used, what is missing is said with its remedy."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from napari_unet.config import Settings
from napari_unet.device import Compute, choose, memory_problems, why_no_gpu
from napari_unet.problem import Problem
from napari_unet.words import counted

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without NVIDIA GPU")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with an NVIDIA GPU, as far as torch tells."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA T4")


@pytest.fixture
def gains(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All devices gain by bfloat16; those that were asked for."""
    asked: list[str] = []

    def fastest(kind: str, name: str, folder: Path) -> str:
        asked.append(f"{kind} {name}")
        return "bfloat16"

    monkeypatch.setattr("napari_unet.device.fastest", fastest)
    return asked


@pytest.mark.parametrize("threads", [1, 2])
def test_the_wanted_threads_are_used(threads: int) -> None:
    compute = choose(Settings(threads=threads, device="cpu", precision="float32"))
    assert torch.get_num_threads() == threads
    assert compute == Compute("cpu", "processor", "float32", threads)
    assert str(compute) == f"processor, {counted(threads, 'thread')}, float32"


def test_all_cores_are_used_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((2, 2), (None, 1)):
        monkeypatch.setattr("psutil.cpu_count", lambda logical, cores=cores: cores)
        assert choose(Settings(device="cpu", precision="float32")).threads == threads


@no_gpu
def test_a_missing_gpu_is_a_problem_with_a_way_on() -> None:
    with pytest.raises(Problem, match=r"No NVIDIA GPU can be used: .* Choose another device .--device auto"):
        choose(Settings(device="cuda", precision="float32", threads=1))


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="needs a machine without Apple GPU")
def test_a_missing_apple_gpu_is_a_problem_with_a_way_on() -> None:
    with pytest.raises(Problem, match=r"no Apple GPU .* Choose another device .--device auto"):
        choose(Settings(device="mps", precision="float32", threads=1))


@pytest.mark.parametrize(
    ("cuda", "tool", "words"),
    [
        (None, "/usr/bin/nvidia-smi", "built without CUDA. Mend it with: "),
        (None, None, "no NVIDIA GPU was found"),
        ("13.0", None, "no working NVIDIA driver. Install or update"),
    ],
)
def test_the_reason_for_no_gpu_fits(monkeypatch: pytest.MonkeyPatch, cuda: str, tool: str, words: str) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr("shutil.which", lambda _: tool)
    assert words in why_no_gpu()


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0)])
def test_auto_takes_the_gpu_and_tries_what_it_computes_natively(gpu: None, gains: list[str], monkeypatch, capability):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    precision = "bfloat16" if capability >= (8, 0) else "float32"
    assert choose(Settings(threads=1)) == Compute("cuda", "NVIDIA T4", precision, 1)
    assert gains == ([f"cuda NVIDIA T4, torch {torch.__version__}"] if precision == "bfloat16" else [])


def test_auto_takes_an_apple_gpu_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose(Settings(threads=1)) == Compute("mps", "Apple GPU", "float32", 1)


@pytest.mark.parametrize("has", [(), ("_is_avx512_bf16_supported",), ("_is_amx_tile_supported",)])
def test_auto_tries_what_the_processor_computes_natively(gains: list[str], monkeypatch, has: tuple[str, ...]) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in has)
    taken = {choose(Settings(threads=1, device="cpu")).precision for _ in range(3)}
    assert taken == {"bfloat16" if has else "float32"}
    assert len(set(gains)) == bool(has)


def test_choosing_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    choose(Settings(threads=1, device="cpu"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_autocast_computes_in_the_precision(precision: str) -> None:
    one = torch.ones(2, 2)
    with Compute("cpu", "processor", precision, 1).autocast():
        assert (one @ one).dtype == getattr(torch, precision)
    assert (one @ one).dtype == torch.float32


# ---- memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:72] data. DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("could not create a primitive"),
        RuntimeError("could not create a primitive descriptor for the convolution forward propagation primitive. Run"),
        RuntimeError("could not execute a primitive"),
        RuntimeError("could not create a memory object"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_said_with_the_remedy(error: Exception) -> None:
    with (
        pytest.raises(Problem, match=r"There is not enough memory. Choose smaller tiles."),
        memory_problems("Choose smaller tiles."),
    ):
        raise error


def test_a_real_shortage_of_memory_is_recognised() -> None:
    with pytest.raises(Problem, match="not enough memory"), memory_problems("Choose smaller tiles."):
        torch.empty(10**15)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), memory_problems("Choose smaller tiles."):
        raise RuntimeError("size mismatch")
    with pytest.raises(OSError, match="No space left"), memory_problems("Choose smaller tiles."):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Problem, match="as it was"), memory_problems("Choose smaller tiles."):
        raise Problem("as it was")
