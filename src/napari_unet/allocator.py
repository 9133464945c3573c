"""Memory that one tile has freed is there for the next."""

from __future__ import annotations

import ctypes
import sys

from napari_unet.memory import address_limit

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed() -> None:
    """Let this process keep large blocks that it frees, where its C library is glibc; elsewhere nothing happens.

    By itself, glibc asks the system for each feature map and gives it back after use, and the system fills it with
    zeros page by page: a third of the time of a large tile on a processor. Nothing is kept where addresses are limited
    (`ulimit -v`, some clusters): what is kept cannot become a thread, or code that oneDNN makes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None and address_limit() is None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
