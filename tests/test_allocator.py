import subprocess
import sys

import pytest

# Feature maps of 96 MB, one after another; prints how many pages the system had to bring for the last ten.
MAPS = """
import resource
import torch
from napari_unet.allocator import keep_freed
{first}
for _ in range(20):
    torch.ones(24, 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(24, 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(first: str) -> int:
    found = subprocess.run([sys.executable, "-c", MAPS.format(first=first)], capture_output=True, text=True, check=True)
    return int(found.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc gives large blocks back at once")
def test_what_is_freed_is_used_again():
    assert pages("keep_freed()") * 10 < pages("")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only there memory is kept")
def test_nothing_is_kept_where_addresses_are_limited():
    limited = "resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))"
    assert pages("keep_freed()") * 10 < pages(f"{limited}; keep_freed()")
