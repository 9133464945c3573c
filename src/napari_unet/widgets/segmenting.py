"""A segmentation of the window begins, or goes on: its layers belong to its job, not to a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_unet.config import SegmentConfig
from napari_unet.widgets.follow import Follow
from napari_unet.widgets.job import Job
from napari_unet.widgets.jobs import Jobs
from napari_unet.widgets.result import hide_preview, show_growing

if TYPE_CHECKING:
    from napari import Viewer


def begin_segmentation(viewer: Viewer, jobs: Jobs, config: SegmentConfig, image: Image) -> Job:
    """Start a segmentation, or go on with one, and show it over its image as it grows.

    Raises
    ------
    Problem
        If the system starts no more processes.
    """
    job = jobs.start("segment", config, config.out.stem, image)
    hide_preview(viewer)  # it would shine through the result
    show_growing(viewer, image, job)
    Follow(viewer, image, job)
    return job
