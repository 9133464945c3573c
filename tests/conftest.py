"""Shared by all tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Compute alike in every test, whatever the one before chose."""
    torch.set_num_threads(1)
