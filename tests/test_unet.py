"""The network is the paper's, valid throughout, and the same after folding."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from napari_unet import tiles
from napari_unet.unet import DEPTH, HALO, UNet, folded

CONVOLUTIONS = nn.Conv2d | nn.ConvTranspose2d


def on_meta(side: int, **options: int | bool) -> tuple[UNet, Tensor]:
    """A network without memory, and what it makes of an input without memory."""
    with torch.device("meta"):
        net = UNet(**options)
        return net, net(torch.empty(1, options.get("channels", 1), side, side))


def small(seed: int = 0, **options: float) -> UNet:
    torch.manual_seed(seed)
    return UNet(width=2, **options)


def image(side: int, seed: int = 0, channels: int = 1) -> Tensor:
    return torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(seed))


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_it_is_the_network_of_the_paper():
    net, output = on_meta(572)
    assert parameters(net) == 31_030_658
    assert output.shape == (1, 2, 388, 388)
    assert sum(isinstance(module, CONVOLUTIONS) for module in net.modules()) == 23
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.modules())


@pytest.mark.parametrize(("width", "millions"), [(16, 1.94), (32, 7.76)])
def test_narrower_ones(width: int, millions: float):
    net, _ = on_meta(188, width=width)
    assert round(parameters(net) / 1e6, 2) == millions


@pytest.mark.parametrize(("kept", "percent"), [(512, 28), (1024, 13), (2048, 6)])
def test_what_the_halo_costs(kept: int, percent: int):
    """As docs/benchmarks.md says, against a tile so large that it does not count."""

    def work(side: int) -> float:
        with FlopCounterMode(display=False) as counted:
            on_meta(side + 2 * (HALO + 2), width=32)
        return counted.get_total_flops() / side**2

    assert round(100 * (work(kept) / work(2**17) - 1)) == percent


@given(st.integers(1, 5), st.integers(1, 254), st.booleans())
@settings(max_examples=10)
def test_any_number_of_channels_and_classes(channels: int, classes: int, batch_norm: bool):
    net, output = on_meta(188, channels=channels, classes=classes, width=2, batch_norm=batch_norm)
    assert output.shape == (1, classes, 4, 4)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.modules()) == 18 * batch_norm


@given(st.integers(1, 128))
@settings(max_examples=10)
def test_what_is_kept_of_a_read_box_is_the_tile(steps: int):
    tile = tiles.Tile(0, steps * tiles.STRIDE, 0, steps * tiles.STRIDE)
    _, output = on_meta(len(tile.rows), width=1)
    assert output.shape[-1] == len(tile.rows) - 2 * HALO
    assert output[..., tiles.CUT : -tiles.CUT, tiles.CUT : -tiles.CUT].shape[-1] == tile.y1 - tile.y0


def test_the_geometry_of_the_tiles_is_that_of_the_network():
    assert tiles.STRIDE == 2**DEPTH
    assert tiles.MARGIN == HALO + tiles.CUT


@torch.inference_mode()
def test_a_shift_of_the_input_shifts_the_output_only_at_multiples_of_16():
    net = small().eval()
    x = image(220)
    whole = net(x)
    shifted = {by: net(x[..., by : by + 204, by : by + 204]) - whole[..., by : by + 20, by : by + 20] for by in (8, 16)}
    assert shifted[16].abs().max() <= 1e-5 * whole.abs().max()
    assert shifted[8].abs().max() > 1e-2 * whole.std()


@torch.inference_mode()
def test_the_skips_are_cropped_in_the_middle():
    net = small().eval()
    for module in net.modules():
        if isinstance(module, CONVOLUTIONS):
            module.weight += module.weight.flip(-2, -1)  # a turned image then gives the turned result
    x = image(204)
    expected = net(x).flip(-2, -1)
    assert (net(x.flip(-2, -1)) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_weights_are_drawn_as_in_the_paper():
    torch.manual_seed(0)
    for module in UNet(width=16, batch_norm=True).modules():
        if isinstance(module, CONVOLUTIONS):
            inputs = module.in_channels * (9 if module.kernel_size == (3, 3) else 1)
            assert not module.bias.any()
            if module.weight.numel() >= 2000:
                assert module.weight.std().item() == pytest.approx((2 / inputs) ** 0.5, rel=0.06)
                assert abs(module.weight.mean().item()) < 0.1 * (2 / inputs) ** 0.5


@torch.no_grad()
def randomise_norms(net: UNet) -> None:
    """Statistics and affine parameters as after a training, some of them negative."""
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.2, 3)
            norm.weight.normal_()
            norm.bias.normal_()


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=5)
@torch.inference_mode()
def test_folding_changes_nothing_but_the_batch_normalisations(seed: int, batch_norm: bool):
    net = small(seed, classes=3, batch_norm=batch_norm)
    randomise_norms(net)
    before = copy.deepcopy(net.state_dict())
    fast = folded(net)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert not fast.training
    assert not fast.dropout.training
    assert not any(p.requires_grad for p in fast.parameters())
    x = image(204, seed)
    expected = net.eval()(x)
    assert (fast(x) - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_folding_leaves_the_network_in_training():
    net = small(batch_norm=True)
    folded(net)
    assert all(module.training for module in net.modules())
    assert all(p.requires_grad for p in net.parameters())


@torch.inference_mode()
def test_dropout_acts_in_training_only():
    net, without, x = small(), small(dropout=0), image(188)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), without(x))
