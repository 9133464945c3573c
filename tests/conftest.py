"""Shared by all tests."""

from __future__ import annotations

import os

# Before torch starts its threads: on a busy machine, spinning ones make it ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from napari_unet.library import HOME

# On a busy machine an example takes as long as it takes.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Before napari is loaded: its test fixtures reset preferences, and the user's would be lost.
_preferences = tempfile.TemporaryDirectory()
os.environ["NAPARI_CONFIG"] = str(Path(_preferences.name) / "settings.yaml")


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's folder alone."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(HOME, str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Compute alike in every test, whatever the one before chose."""
    torch.set_num_threads(1)
