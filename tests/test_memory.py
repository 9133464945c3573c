"""The memory that is left: the least of what the machine, control groups and an address limit leave."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import napari_unet.memory
from napari_unet.device import Compute, fits, largest_tile
from napari_unet.memory import free_memory

MEGA = 2**20
LIMITED = """
import resource, psutil
from napari_unet.memory import address_limit, free_memory
limit = psutil.Process().memory_info().vms + 100 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert address_limit() == limit
print(free_memory())
"""


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where control groups are mounted: none yet, on a machine with 1000 MB left."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000 * MEGA))
    monkeypatch.setattr(napari_unet.memory, "address_limit", lambda: None)
    monkeypatch.setattr(napari_unet.memory, "_MINE", tmp_path / "mine")
    monkeypatch.setattr(napari_unet.memory, "_MOUNTED", tmp_path)
    return tmp_path


def second(folder: Path, limit: str, used: int, cached: int = 0) -> None:
    """Make a group of version 2; sizes in MB."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(limit + "\n")
    (folder / "memory.current").write_text(f"{used * MEGA}\n")
    (folder / "memory.stat").write_text(f"anon 5\nactive_file {cached * MEGA}\ninactive_file {cached * MEGA}\n")


def first(folder: Path, limit: int, used: int, cached: int = 0) -> None:
    """Make a group of version 1; sizes in MB."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit * MEGA}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used * MEGA}\n")
    names = f"total_active_file {cached * MEGA}\ntotal_inactive_file {cached * MEGA}\n"
    (folder / "memory.stat").write_text(f"active_file 0\ninactive_file 0\n{names}")


def test_without_groups_it_is_what_the_machine_leaves(groups: Path) -> None:
    assert free_memory() == 1000 * MEGA
    (groups / "mine").write_text("0::/job\n4:memory:/job\n3:cpu:/job\n")  # none of them is shown
    assert free_memory() == 1000 * MEGA


@pytest.mark.parametrize(("job", "above", "left"), [("300", "max", 200), ("max", "700", 400), ("max", "max", 1000)])
def test_a_group_of_version_2_or_one_around_it_leaves_less(groups: Path, job: str, above: str, left: int) -> None:
    (groups / "mine").write_text("0::/user/job\n")
    in_bytes = {"max": "max", "300": str(300 * MEGA), "700": str(700 * MEGA)}
    second(groups / "user" / "job", in_bytes[job], used=150, cached=25)
    second(groups / "user", in_bytes[above], used=300)
    assert free_memory() == left * MEGA


def test_a_container_sees_its_group_as_the_root(groups: Path) -> None:
    (groups / "mine").write_text("0::/\n")
    second(groups, str(300 * MEGA), used=100)
    assert free_memory() == 200 * MEGA


@pytest.mark.parametrize("limit", [300, 2**43])
def test_a_group_of_version_1_leaves_less(groups: Path, limit: int) -> None:
    (groups / "mine").write_text("9:name=systemd:/\n4:cpu,memory:/slurm/job\n0::/\n")
    first(groups / "memory" / "slurm" / "job", limit, used=150, cached=25)
    assert free_memory() == min(limit - 100, 1000) * MEGA


def test_a_group_that_has_more_than_it_may_leaves_nothing(groups: Path) -> None:
    (groups / "mine").write_text("0::/\n")
    second(groups, str(300 * MEGA), used=400)
    assert free_memory() == 0


def test_tiles_are_smaller_where_a_group_leaves_little(groups: Path) -> None:
    (groups / "mine").write_text("0::/\n")
    cpu = Compute("cpu", "processor", "float32", 1)
    sides = []
    for limit in (100_000, 500, 1):
        second(groups, str(limit * MEGA), used=0)
        sides.append(largest_tile(cpu, width=16))
    assert sides == [512, 256, 64]


def test_a_tile_fits_unless_it_would_take_all_of_the_machine(groups: Path) -> None:
    (groups / "mine").write_text("0::/\n")
    second(groups, str(400 * MEGA), used=0)
    cpu, gpu = (Compute(kind, "", "float32", 1) for kind in ("cpu", "cuda"))
    assert [fits(cpu, 16, side) for side in (64, 512, 1024, 2048)] == [True, True, False, False]
    assert fits(gpu, 16, 2048)  # a GPU says itself that its memory is full


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_limited_addresses_leave_less() -> None:
    told = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert 90 * MEGA < int(told.stdout) <= 100 * MEGA
