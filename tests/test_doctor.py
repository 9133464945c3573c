"""The doctor names what a question needs: versions, device, models."""

from __future__ import annotations

import sys

import torch

from napari_unet import __version__, doctor
from napari_unet.card import bundled
from napari_unet.device import Compute
from napari_unet.doctor import findings


def test_it_finds_versions_device_and_models() -> None:
    found = dict(findings())
    assert found["napari-unet"] == __version__
    assert found["torch"] == torch.__version__
    assert found["models"] == ", ".join(bundled())
    assert "threads" in found["computes on"]
    assert all(isinstance(value, str) and value for value in found.values())


def test_it_says_why_no_gpu_is_used(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "choose", lambda _: Compute("cpu", "processor", "float32", 1))
    monkeypatch.setattr(doctor, "why_no_gpu", lambda: "it is asleep. Wake it.")
    assert dict(findings())["GPU"] == "not used: it is asleep. Wake it."


def test_the_remedy_mends_the_python_that_runs(monkeypatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(doctor, "choose", lambda _: Compute("cpu", "processor", "float32", 1))
    assert f"Mend it with: {sys.executable} -m pip install --force-reinstall torch " in dict(findings())["GPU"]


def test_it_names_the_gpu_that_is_used(monkeypatch) -> None:
    monkeypatch.setattr(doctor, "choose", lambda _: Compute("cuda", "NVIDIA T4", "float32", 1))
    assert dict(findings())["GPU"] == "NVIDIA T4 is used"
