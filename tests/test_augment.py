"""Crops are warped and changed as the design says, and alike from the same generator."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from napari_unet import augment
from napari_unet.augment import CHANGES, coordinates, grey_values, warp

seeds = st.integers(0, 2**40)
CENTRE = (300.0, 310.0)
SCALES = (0.7, 1.5)
kinds = st.sampled_from(sorted(CHANGES))


def draws(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def section(seed: int = 0, side: int = 600) -> Tensor:
    return torch.randn(1, side, side, generator=draws(seed))


def is_whole(grid: Tensor) -> bool:
    return torch.equal(grid, grid.round())


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "_PLAIN", 1.0)


@pytest.fixture
def rigid(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plain crop, no elastic deformation: rotation, mirroring and scale alone."""
    monkeypatch.setattr(augment, "_PLAIN", 0.0)
    monkeypatch.setattr(augment, "_ELASTIC", 0.0)


# ---- where pixels come from


@given(seeds)
@settings(max_examples=10)
def test_the_same_generator_gives_the_same_place(seed):
    first = coordinates(20, CENTRE, SCALES, draws(seed))
    torch.manual_seed(seed)  # the global generator plays no part
    assert torch.equal(coordinates(20, CENTRE, SCALES, draws(seed)), first)
    assert first.shape == (2, 20, 20)
    assert first.dtype == torch.float32


def test_a_plain_crop_is_an_exact_copy_turned_and_mirrored(plain):
    pixels, side = section(), 8
    found = set()
    for seed in range(100):
        grid = coordinates(side, (300.4, 309.8), SCALES, draws(seed))
        (y0, x0), (y1, x1) = grid.amin((1, 2)).int().tolist(), grid.amax((1, 2)).int().tolist()
        assert is_whole(grid)
        assert (y1 - y0 + 1, x1 - x0 + 1) == (side, side)
        assert grid[:, side // 2, side // 2].tolist() == [300, 310]
        crop = warp(pixels, (0, 0), grid, "nearest")
        np.testing.assert_allclose(warp(pixels, (0, 0), grid, "bilinear"), crop, atol=1e-3)
        box = pixels[0, y0 : y1 + 1, x0 : x1 + 1]
        views = [torch.rot90(view, turns) for view in (box, box.flip(1)) for turns in range(4)]
        found.add([torch.equal(crop[0], view) for view in views].index(True))
    assert found == set(range(8))


@pytest.mark.parametrize("seed", range(8))
def test_a_plain_crop_lies_on_whole_pixels_at_the_origin_too(seed, plain):
    assert is_whole(coordinates(8, (0.0, 0.3), SCALES, draws(seed)))


def test_a_fifth_of_the_crops_is_plain():
    assert sum(is_whole(coordinates(4, CENTRE, SCALES, draws(seed))) for seed in range(400)) == pytest.approx(
        80, abs=25
    )


def test_elastic_displacements_are_10_pixels_at_the_nodes(monkeypatch):
    monkeypatch.setattr(augment, "_PLAIN", 0.0)
    # The middle node is the centre, which no rotation and no scale moves.
    moved = torch.stack([coordinates(3, CENTRE, SCALES, draws(seed))[:, 1, 1] for seed in range(500)]) - torch.tensor(
        CENTRE
    )
    assert moved.std().item() == pytest.approx(10, rel=0.1)
    assert moved.mean().abs() < 1


def test_elastic_deformation_is_smooth(monkeypatch):
    monkeypatch.setattr(augment, "_PLAIN", 0.0)
    for seed in range(10):
        grid = coordinates(300, CENTRE, (1.0, 1.0), draws(seed))
        steps = grid.diff(dim=1).norm(dim=0)
        assert steps.diff(dim=0).abs().max() < 0.05


def test_rotation_scale_and_mirroring_have_their_range(rigid):
    angles, scales, mirrored = [], [], []
    for seed in range(300):
        grid = coordinates(3, CENTRE, SCALES, draws(seed))
        assert grid[:, 1, 1].tolist() == pytest.approx(CENTRE)
        down, right = grid[:, 2, 1] - grid[:, 1, 1], grid[:, 1, 2] - grid[:, 1, 1]
        assert down.norm().item() == pytest.approx(right.norm().item(), rel=1e-3)
        assert (down @ right).item() == pytest.approx(0, abs=1e-3)
        angles.append(math.atan2(down[1], down[0]))
        scales.append(1 / down.norm().item())
        mirrored.append((down[0] * right[1] - down[1] * right[0]).item() < 0)
    assert min(scales) == pytest.approx(0.7, abs=0.02)
    assert max(scales) == pytest.approx(1.5, abs=0.02)
    assert np.mean(np.log(scales)) == pytest.approx(math.log(0.7 * 1.5) / 2, abs=0.05)
    assert np.mean(mirrored) == pytest.approx(0.5, abs=0.1)
    assert np.histogram(angles, 8, (-math.pi, math.pi))[0].min() > 15


# ---- taking them


@given(st.integers(1, 9), st.integers(1, 9), st.integers(-50, 50), st.sampled_from(["bilinear", "nearest"]))
@settings(max_examples=30)
def test_the_window_itself_comes_back(height, width, corner, mode):
    window = torch.randn(3, height, width, generator=draws(height))
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid = torch.stack([y + corner, x - corner]).float()
    torch.testing.assert_close(warp(window, (corner, -corner), grid, mode), window, atol=1e-4, rtol=0)


def test_bilinear_lies_between_its_neighbours():
    window = torch.tensor([[[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]])
    grid = torch.tensor([[[5.5, 5.0]], [[7.0, 8.25]]])
    torch.testing.assert_close(warp(window, (5, 7), grid, "bilinear"), torch.tensor([[[5.0, 1.25]]]))


@given(seeds)
@settings(max_examples=10)
def test_labels_are_never_invented(seed):
    target = np.random.default_rng(seed).choice([0.0, 1.0, 255.0], (600, 600))
    weights = np.where(target == 255, 0, target + 0.125)
    planes = torch.from_numpy(np.stack([target, weights])).float()
    found = warp(planes, (0, 0), coordinates(64, CENTRE, SCALES, draws(seed)), "nearest")
    assert set(found[0].unique().tolist()) <= {0, 1, 255}
    # A weight stays with its label.
    assert torch.equal(found[1], torch.where(found[0] == 255, 0, found[0] + 0.125))


def test_image_and_labels_are_warped_together(rigid):
    y, x = np.mgrid[:600, :600]
    smooth = torch.from_numpy(np.stack([y, x])).float()
    grid = coordinates(64, CENTRE, SCALES, draws(3))
    torch.testing.assert_close(warp(smooth, (0, 0), grid, "bilinear"), grid, atol=1e-3, rtol=0)
    assert (warp(smooth, (0, 0), grid, "nearest") - grid).abs().max() <= 0.501


# ---- grey values


@given(seeds, st.sampled_from([0.0, 1.0, 1e4]), kinds)
@settings(max_examples=40)
def test_grey_values_stay_numbers(seed, outlier, kind):
    image = section(seed, 40)[:, :32]
    image[0, 3, 3] += outlier
    before = image.clone()
    found = grey_values(image, CHANGES[kind], draws(seed))
    assert found.shape == image.shape
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert found.abs().max() < 100
    assert torch.equal(image, before)


@given(seeds, kinds)
@settings(max_examples=10)
def test_the_same_generator_gives_the_same_grey_values(seed, kind):
    image = section(side=32)
    first = grey_values(image, CHANGES[kind], draws(seed))
    torch.manual_seed(seed)
    assert torch.equal(grey_values(image, CHANGES[kind], draws(seed)), first)
    assert not torch.equal(grey_values(image, CHANGES[kind], draws(seed + 1)), first)


@pytest.mark.parametrize(("kind", "least", "usual"), [("near", 0.6, 0.9), ("wide", 0.2, 0.7)])
def test_grey_values_change_but_still_show_the_same(kind, least, usual):
    image = torch.nn.functional.avg_pool2d(section(side=68), 5, stride=1)
    image = (image - image.mean()) / image.std()
    likeness, means, deviations = [], [], []
    for seed in range(100):
        changed = grey_values(image, CHANGES[kind], draws(seed))
        likeness.append(torch.corrcoef(torch.stack([image.ravel(), changed.ravel()]))[0, 1].item())
        means.append(changed.mean().item())
        deviations.append(changed.std().item())
    assert min(likeness) > least
    assert np.median(likeness) > usual
    assert np.std(means) > 0.1
    assert np.std(deviations) > 0.08
