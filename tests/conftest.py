"""Shared by all tests."""

from __future__ import annotations

import os

# Before torch starts its threads: on a busy machine, spinning ones make it ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from hypothesis import settings

# On a busy machine an example takes as long as it takes.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Compute alike in every test, whatever the one before chose."""
    torch.set_num_threads(1)
