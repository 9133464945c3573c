"""A segmentation of the window gets its name and begins, or goes on: its layers belong to its job, not to a panel."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari.layers import Image

from napari_unet.config import SegmentConfig
from napari_unet.library import file_name, free
from napari_unet.widgets.follow import Follow
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.prepare import Prepared
from napari_unet.widgets.result import show_growing

if TYPE_CHECKING:
    from napari import Viewer


_LONG = 40  # characters; longer names are shortened for what is appended to them


class Settings(Protocol):
    """Makes the configuration that segments an image."""

    def __call__(self, image: Image, files: Prepared) -> SegmentConfig:
        """Return it, with a free folder for the result."""


def named(settings: partial[SegmentConfig], folder: Path, region: str) -> Settings:
    """Return what names a result in `folder` after its image and model, and is otherwise as `settings` are."""
    model = Path(settings.keywords["model"]).stem

    def configured(image: Image, files: Prepared) -> SegmentConfig:
        # As models trained on it are by themselves, in full or shortened.
        named_after = model.startswith(file_name(image.name)[:_LONG])
        out = free(folder, image.name, ".zarr", "segmented" if named_after else model)
        return settings(image=files.image, out=out, region=region, place=files.place)

    return configured


def begin_segmentation(viewer: Viewer, jobs: Jobs, config: SegmentConfig, image: Image) -> Job:
    """Start a segmentation, or go on with one, and show it over its image as it grows.

    Raises
    ------
    Problem
        If the system starts no more processes.
    """
    job = jobs.start("segment", config, config.out.stem, image)
    show_growing(viewer, image, job)
    Follow(viewer, image, job)
    return job
