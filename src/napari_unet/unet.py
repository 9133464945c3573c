"""The U-Net of Ronneberger, Fischer and Brox (arXiv 1505.04597): valid convolutions, cropped skips."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

DEPTH = 4  # poolings, as in figure 1 of the paper
HALO = 92  # context the valid convolutions eat on each side, in pixels


class DoubleConv(nn.Sequential):
    """Two valid 3x3 convolutions, each with an optional batch normalisation and a ReLU."""

    def __init__(self, channels_in: int, channels_out: int, batch_norm: bool) -> None:
        layers: list[nn.Module] = []
        for n in (channels_in, channels_out):
            layers.append(nn.Conv2d(n, channels_out, 3))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels_out))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class UNet(nn.Module):
    """The paper's network.

    Parameters
    ----------
    channels : int
        Image channels.
    classes : int
        Output channels, one a class.
    width : int
        Channels of the first level; the paper's is 64.
    batch_norm : bool
        Normalise after each 3x3 convolution. In evaluation this is a fixed affine map, see `folded`.
    dropout : float
        Probability of dropping a feature map at the end of the contracting path.
    """

    def __init__(
        self, channels: int = 1, classes: int = 2, width: int = 64, batch_norm: bool = False, dropout: float = 0.5
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(DEPTH + 1)]
        self.down = nn.ModuleList(
            DoubleConv(n, m, batch_norm) for n, m in zip([channels, *widths], widths, strict=False)
        )
        self.dropout = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * n, n, 2, stride=2) for n in reversed(widths[:-1]))
        self.merge = nn.ModuleList(DoubleConv(2 * n, n, batch_norm) for n in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 1)
        self.apply(_draw_weights)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor, shape (N, channels, H, W), float
            H and W are 12 (mod 16) and at least 188.

        Returns
        -------
        Tensor, shape (N, classes, H - 184, W - 184)
        """
        skips: list[Tensor] = []
        for level, convolve in enumerate(self.down):
            x = convolve(x)
            if level < DEPTH:
                skips.append(x)
                x = nn.functional.max_pool2d(x, 2)
        x = self.dropout(x)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)
            x = merge(torch.cat([_crop(skips.pop(), x), x], dim=1))
        return self.head(x)


def folded(net: UNet) -> UNet:
    """Return a copy of `net` for inference, each batch normalisation folded into its convolution.

    A normalisation in evaluation is y = g (x - m) / sqrt(v + eps) + b, so the convolution's weights take the
    factor g / sqrt(v + eps) and its bias the rest. The logits are the same up to rounding.
    """
    net = copy.deepcopy(net).train(False).requires_grad_(False)
    for block in [*net.down, *net.merge]:
        for i, norm in enumerate(block):
            if isinstance(norm, nn.BatchNorm2d):
                _fold(block[i - 1], norm)
                block[i] = nn.Identity()
    return net


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Multiply the normalisation into the convolution, in float64 so that only one rounding remains."""
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    conv.weight.copy_(conv.weight.double() * factor[:, None, None, None])
    conv.bias.copy_((conv.bias.double() - norm.running_mean.double()) * factor + norm.bias.double())


def _crop(skip: Tensor, like: Tensor) -> Tensor:
    """Cut the centre of `skip` to the side lengths of `like`."""
    dy, dx = (skip.shape[-2] - like.shape[-2]) // 2, (skip.shape[-1] - like.shape[-1]) // 2
    return skip[..., dy : dy + like.shape[-2], dx : dx + like.shape[-1]]


def _draw_weights(module: nn.Module) -> None:
    """Gaussian with standard deviation sqrt(2 / N), N the inputs of one neuron (section 3 of the paper)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        # In an up-convolution each output pixel sees one pixel of every input channel.
        n = module.in_channels if isinstance(module, nn.ConvTranspose2d) else module.weight[0].numel()
        nn.init.normal_(module.weight, std=(2 / n) ** 0.5)
        nn.init.zeros_(module.bias)
