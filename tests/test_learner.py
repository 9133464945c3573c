"""The learner: it learns, goes on exactly where it stopped, and is judged by the average of its weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_unet.crops import Batch, Judged
from napari_unet.device import Compute
from napari_unet.learner import Learner, held_back, weighted_cross_entropy
from napari_unet.painting import UNCOUNTED
from napari_unet.tiles import MARGIN
from napari_unet.unet import UNet

CPU = Compute("cpu", "processor", "float32", 1)
SIDE = 16 + 2 * MARGIN


def learner(steps: int = 20, seed: int = 0, fixed: bool = False, batch_norm: bool = True) -> Learner:
    torch.manual_seed(0)
    net = UNet(classes=2, width=16, batch_norm=batch_norm)
    return Learner(net, CPU, steps, 3e-3, seed, fixed, copy.deepcopy(net) if fixed else None)


def toy(step: int) -> Batch:
    """A crop of bright and dark blocks, to be told apart; a part of it is not labelled."""
    draws = np.random.default_rng(step)
    blocks = np.kron(draws.integers(0, 2, (SIDE // 4, SIDE // 4)), np.ones((4, 4)))
    target = torch.from_numpy(blocks[MARGIN:-MARGIN, MARGIN:-MARGIN]).long()[None]
    target[:, :4] = UNCOUNTED
    noise = draws.normal(0, 0.3, blocks.shape)
    image = torch.from_numpy((2 * blocks - 1 + noise).astype(np.float32))[None, None]
    return Batch(image, target, (target != UNCOUNTED).float())


def tile(step: int) -> Judged:
    batch = toy(step)
    return Judged(batch.image[0, 0].numpy(), batch.target[0].numpy().astype(np.uint8))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def trained() -> tuple[Learner, list[float]]:
    torch.set_num_threads(1)
    one = learner(steps=32)
    return one, [one.learn(toy(step), step) for step in range(32)]


# ---- learning


def test_the_loss_falls_and_the_score_rises(trained: tuple[Learner, list[float]]) -> None:
    one, losses = trained
    assert np.mean(losses[-4:]) < 0.2 * np.mean(losses[:4])
    assert one.judge([tile(100)]) > 0.3 + learner().judge([tile(100)])


def test_the_average_follows_the_weights_slowly(trained: tuple[Learner, list[float]]) -> None:
    one, _ = trained
    state, start = one.state(), learner().state()
    for name in ("head.weight", "down.0.0.weight", "down.0.1.running_mean"):
        now, mean, before = state[f"net.{name}"], state[f"average.{name}"], start[f"net.{name}"]
        assert not torch.equal(now, mean)
        assert (mean - now).norm() < (before - now).norm()
    assert state["average.down.0.1.num_batches_tracked"] == state["net.down.0.1.num_batches_tracked"] == 32
    assert not one.average.training
    assert not any(weights.requires_grad for weights in one.average.parameters())


def test_the_first_average_is_mostly_the_new_weights() -> None:
    one = learner()
    before, _ = one.state(), one.learn(toy(0), 0)
    after = one.state()
    expected = torch.lerp(before["average.head.weight"], after["net.head.weight"], 0.9)
    torch.testing.assert_close(after["average.head.weight"], expected)


def test_what_was_learned_counts_for_a_share_beside_the_start_model() -> None:
    one = learner(fixed=True)
    start = copy.deepcopy(one.average.state_dict())
    for step in range(3):
        one.learn(toy(step), step)
    whole = one.average.state_dict()
    one.learned = 0.25
    for name, tensor in one.average.state_dict().items():
        torch.testing.assert_close(tensor, whole[name] if "num" in name else 0.75 * start[name] + 0.25 * whole[name])
    one.learned = 0.0
    assert same(one.average.state_dict(), start)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_start_model_keeps_the_running_statistics(fixed: bool) -> None:
    one = learner(fixed=fixed)
    before = one.state()
    one.learn(toy(0), 0)
    after = one.state()
    statistics = [name for name in before if "running_" in name]
    assert statistics
    assert all(torch.equal(before[name], after[name]) == fixed for name in statistics)
    assert not torch.equal(before["net.down.0.1.weight"], after["net.down.0.1.weight"])  # scale and shift do learn


def test_learning_leaves_the_random_state_alone() -> None:
    one = learner()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one.learn(toy(0), 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", [1, 2**32 - 1])
def test_dropout_follows_from_seed_and_step(seed: int) -> None:
    def loss(seed: int, step: int) -> float:
        one = learner(seed=seed, batch_norm=False)
        torch.rand(3)  # what others draw does not matter
        return one.learn(toy(0), step)

    first = loss(seed, 0)
    assert loss(seed, 0) == first
    assert loss(seed, 1) != first
    assert loss(0, 0) != first


def test_a_crop_without_counted_pixels_is_no_trouble() -> None:
    batch = toy(0)
    nothing = Batch(batch.image, torch.full_like(batch.target, UNCOUNTED), torch.zeros_like(batch.weights))
    one = learner()
    assert one.learn(nothing, 0) == 0
    assert all(tensor.isfinite().all() for tensor in one.state().values())


# ---- going on


@pytest.mark.parametrize(("doubt", "heeded"), [(1.0, False), (0.3, True)])
def test_doubt_mixes_what_is_painted_with_what_the_start_model_says(doubt: float, heeded: bool) -> None:
    torch.manual_seed(0)
    net = UNet(classes=2, width=16, batch_norm=True)
    batch = toy(0)
    found = []
    for target in (batch.target, torch.where(batch.target == UNCOUNTED, UNCOUNTED, 1 - batch.target)):
        one = Learner(copy.deepcopy(net), CPU, 20, 3e-3, 0, True, copy.deepcopy(net), doubt)
        one.learn(replace(batch, target=target), 0)
        found.append(one.average.head.weight)
    assert torch.equal(*found) != heeded


@pytest.mark.parametrize("fixed", [True, False])
def test_a_restored_training_goes_on_bit_for_bit(tmp_path: Path, fixed: bool) -> None:
    whole = learner(fixed=fixed)
    for step in range(2):
        whole.learn(toy(step), step)
    save_file(whole.state(), tmp_path / "checkpoint")
    torch.manual_seed(1)
    resumed = learner(fixed=fixed)
    resumed.restore(load_file(tmp_path / "checkpoint"))
    assert same(resumed.state(), whole.state())
    losses = [[one.learn(toy(step), step) for step in range(2, 4)] for one in (whole, resumed)]
    assert losses[0] == losses[1]
    assert same(resumed.state(), whole.state())
    assert resumed.judge([tile(9)]) == whole.judge([tile(9)])


def test_one_state_can_be_gone_back_to_again_and_again() -> None:
    one = learner()
    one.learn(toy(0), 0)
    state, losses = one.state(), []
    for _ in range(2):
        losses.append(one.learn(toy(1), 1))
        assert not same(one.state(), state)
        one.restore(state)
        assert same(one.state(), state)
    assert losses[0] == losses[1]


def test_a_training_can_be_restored_before_its_first_step() -> None:
    one, other = learner(), learner()
    one.restore(one.state())
    assert one.learn(toy(0), 0) == other.learn(toy(0), 0)
    assert same(one.state(), other.state())


# ---- the learning rate


@pytest.fixture(scope="module")
def rate() -> Callable[[int, int], float]:
    """The learning rate of a step, by the number of all steps; peak 1."""
    one = Learner(UNet(width=16), CPU, 1, 1.0, 0)

    def of(steps: int, step: int) -> float:
        one._steps = steps
        return one._rate(step)

    return of


@given(st.integers(1, 5000))
@settings(max_examples=50)
def test_the_learning_rate_rises_to_its_peak_then_falls(rate: Callable[[int, int], float], steps: int) -> None:
    rates = [rate(steps, step) for step in range(steps)]
    top = int(np.argmax(rates))
    assert max(rates) == pytest.approx(1)
    assert min(rates) > 0
    assert all(a < b for a, b in pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in pairwise(rates[top:]))
    assert top <= max(1, 0.1 * steps + 1)
    if steps >= 100:
        assert rates[-1] < 0.02
        assert rates[0] < 0.11


# ---- judging


def test_without_tiles_there_is_no_score() -> None:
    assert math.isnan(learner().judge([]))


def test_the_score_is_the_mean_iou_of_the_classes_held_out() -> None:
    """A network of zeros with a bias says channel 1 everywhere."""
    one = learner()
    for weights in one.average.parameters():
        weights.zero_()
    one.average.head.bias.copy_(torch.tensor([0.0, 1.0]))
    both, none = tile(0), tile(0)
    shares = [float((both.target == c).sum()) / float((both.target != UNCOUNTED).sum()) for c in (0, 1)]
    assert one.judge([both]) == pytest.approx((0 + shares[1]) / 2)
    only = Judged(none.image, np.where(none.target == 0, UNCOUNTED, none.target).astype(np.uint8))
    assert one.judge([only]) == 1


def test_judging_changes_nothing(trained: tuple[Learner, list[float]]) -> None:
    one, _ = trained
    before = one.state()
    random = torch.get_rng_state()
    one.judge([tile(0)])
    assert same(one.state(), before)
    assert torch.equal(torch.get_rng_state(), random)


# ---- the loss


def test_the_loss_is_the_weighted_mean_of_minus_log_softmax() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0]]).reshape(1, 2, 1, 3)
    target = torch.tensor([[[0, 1, 0]]])
    weights = torch.tensor([[[1.0, 4.0, 0.5]]])
    each = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), math.log(1 + math.exp(4))]
    expected = (1 * each[0] + 4 * each[1] + 0.5 * each[2]) / 5.5
    assert float(weighted_cross_entropy(logits, target, weights)) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 2**32), st.integers(2, 4))
@settings(max_examples=30)
def test_uncounted_pixels_change_neither_loss_nor_gradient(seed: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 3, 4, generator=generator)
    target = torch.randint(classes, (2, 3, 4), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.4] = UNCOUNTED
    counted = target != UNCOUNTED
    weights = 3 * torch.rand(target.shape, generator=generator) * counted
    changed = torch.where(counted[:, None], logits, 100 * torch.randn(logits.shape, generator=generator))
    losses = []
    for each in (logits, changed):
        each.requires_grad_()
        loss = weighted_cross_entropy(each, target, weights)
        loss.backward()
        losses.append(loss.item())
        assert each.grad is not None
        assert not each.grad.masked_select(~counted[:, None]).any()
    assert losses[0] == losses[1]


def test_weights_count_by_their_ratio() -> None:
    logits, target = torch.randn(1, 2, 4, 4), torch.randint(2, (1, 4, 4))
    weights = torch.rand(1, 4, 4) + 1
    torch.testing.assert_close(
        weighted_cross_entropy(logits, target, weights), weighted_cross_entropy(logits, target, 7 * weights)
    )


def test_held_back_is_least_where_nothing_changed() -> None:
    before = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    where = torch.ones(1, 4, 4, dtype=torch.bool)
    same = held_back(before, before, where)
    assert same < held_back(before + torch.tensor([1.0, -1.0])[:, None, None], before, where)
    entropy = torch.distributions.Categorical(logits=before.permute(0, 2, 3, 1)).entropy().mean()
    torch.testing.assert_close(same, entropy)
    assert held_back(before, before, ~where) == 0
