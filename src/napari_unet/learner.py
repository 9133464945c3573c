"""A network in training: one step, the running average of its weights, how it is judged, what is saved of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import BatchNorm2d, functional

from napari_unet.crops import Batch, Judged
from napari_unet.device import Compute
from napari_unet.painting import UNCOUNTED
from napari_unet.scores import overlap
from napari_unet.tiles import CUT
from napari_unet.unet import UNet, folded

_AVERAGE = 0.995  # decay of the running average, reached slowly so that the first steps do not linger
_HOLD = 1.0  # weight of being held to the start model where nothing is painted
_WARM_UP = 0.1  # share of the steps in which the learning rate rises


class Learner:
    """A network, its optimiser and the exponential moving average of its weights, which is what counts in the end.

    Where there is a start model of the same classes, its weights may count for a share: fine-tuned on little, the mean
    of both is better than either (Wortsman et al. 2022, arXiv 2109.01903).

    Parameters
    ----------
    net : UNet
    compute : Compute
    steps : int
        Steps of the whole training; the learning rate follows from it.
    peak : float
        Highest learning rate.
    seed : int
        Dropout of a step depends on it and on the step's number alone.
    fixed_norm : bool
        Keep the statistics of the batch normalisations: a few strokes are too little to measure them anew.
    held_to : UNet, optional
        A network of the same classes; where nothing is painted, `net` is held to what this one says.
    doubt : float
        Where something is painted, the share of what `held_to` says in what `net` should say: strokes slip (soft
        bootstrapping, Reed et al. 2014, arXiv 1412.6596).

    Attributes
    ----------
    learned : float
        The share of what was learned in the weights that count, beside those of `held_to`.
    """

    def __init__(
        self,
        net: UNet,
        compute: Compute,
        steps: int,
        peak: float,
        seed: int,
        fixed_norm: bool = False,
        held_to: UNet | None = None,
        doubt: float = 0.0,
    ) -> None:
        self._compute = compute
        self.doubt = doubt  # of the next steps
        self.learned = 1.0
        self._steps, self._peak, self._seed = steps, peak, seed
        self._net = net.to(compute.kind, memory_format=torch.channels_last).train()
        for module in self._net.modules():
            if isinstance(module, BatchNorm2d) and fixed_norm:
                module.train(False)
        self._held_to = at_work(held_to, compute) if held_to else None
        self._before = held_to.state_dict() if held_to else None
        self._average = copy.deepcopy(self._net).train(False).requires_grad_(False)
        self._optimizer = torch.optim.AdamW(self._net.parameters(), lr=peak, weight_decay=0.01)

    def learn(self, batch: Batch, step: int) -> float:
        """Do training step number `step` (from 0 on) and return its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step)
        devices = [torch.cuda.current_device()] if self._compute.kind == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self._seed * 1_000_003 + step)
            with self._compute.autocast():
                logits = self._net(batch.image)[..., CUT:-CUT, CUT:-CUT]
            loss = weighted_cross_entropy(logits.float(), batch.target, batch.weights)
            unpainted = batch.target == UNCOUNTED
            if self._held_to is not None and (self.doubt or unpainted.any()):
                with torch.no_grad(), self._compute.autocast():
                    before = self._held_to(batch.image)[..., CUT:-CUT, CUT:-CUT]
                loss = (1 - self.doubt) * loss + self.doubt * held_back(logits.float(), before.float(), ~unpainted)
                loss = loss + _HOLD * held_back(logits.float(), before.float(), unpainted)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        self._optimizer.step()
        self._follow(min(_AVERAGE, (1 + step) / (10 + step)))
        return loss.item()

    @property
    def average(self) -> UNet:
        """The network that counts now, in evaluation mode."""
        if self._before is None:
            return self._average
        mixed = copy.deepcopy(self._average)
        for name, tensor in mixed.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(self._before[name].to(tensor.device), 1 - self.learned)
        return mixed

    def judge(self, tiles: Sequence[Judged], net: UNet | None = None) -> float:
        """Return the mean IoU over the classes held out in `tiles`, nan if there are none.

        It is that of `net`, or of the averaged network.
        """
        return mean_iou(at_work(net, self._compute) if net else self.average, tiles, self._compute)

    def state(self) -> dict[str, Tensor]:
        """Return everything a training needs to go on exactly: weights, their average, the optimiser's moments.

        They are copies: learning on does not change them.
        """
        parts = {f"net.{k}": v for k, v in self._net.state_dict().items()}
        parts |= {f"average.{k}": v for k, v in self._average.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            parts |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
        return {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in parts.items()
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go back to what `state` returned."""
        self._net.load_state_dict(_under(state, "net."))
        self._average.load_state_dict(_under(state, "average."))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(state, "optimizer.").items():
            index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor.clone()  # the optimiser writes into it
        self._optimizer.load_state_dict(self._optimizer.state_dict() | {"state": moments})

    def _rate(self, step: int) -> float:
        """Return the learning rate: a linear rise, then half a cosine down to a hundredth of the peak."""
        rise = max(1, round(self._steps * _WARM_UP))
        if step < rise:
            return self._peak * (step + 1) / rise
        done = (step - rise) / max(1, self._steps - rise)
        return self._peak * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        """Move the average a little towards the weights; whole numbers (counters) are copied."""
        for mean, now in zip(self._average.state_dict().values(), self._net.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)


def at_work(net: UNet, compute: Compute) -> UNet:
    """Return a copy of a network that learns no more, as it is fastest, on the device."""
    return folded(net).to(compute.kind, memory_format=torch.channels_last)


@torch.inference_mode()
def mean_iou(net: UNet, tiles: Sequence[Judged], compute: Compute) -> float:
    """Return the mean IoU over the classes that `tiles` judge, nan if there are none.

    Parameters
    ----------
    net : UNet
        In evaluation mode, on the device of `compute`.
    tiles : sequence of Judged
    compute : Compute
    """
    if not tiles:
        return math.nan
    predicted, truth = [], []
    for tile in tiles:
        image = torch.from_numpy(tile.image)[None, None].to(compute.kind)
        with compute.autocast():
            logits = net(image)[0, :, CUT:-CUT, CUT:-CUT]
        predicted.append(logits.argmax(0).cpu().numpy().ravel())
        truth.append(tile.target.ravel())
    channels, targets = np.concatenate(predicted), np.concatenate(truth)
    counted = targets != UNCOUNTED
    return float(np.mean([overlap(channels, targets, c, counted).iou for c in np.unique(targets[counted])]))


def weighted_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted cross-entropy, over the sum of the weights.

    The energy of arXiv 1505.04597 (equation 1) with the minus sign that its print lacks.

    Parameters
    ----------
    logits : Tensor, shape (N, C, H, W), float32
    target : Tensor, shape (N, H, W), int64
        Channels; 255 where a pixel does not count.
    weights : Tensor, shape (N, H, W), float32
        0 where a pixel does not count.

    Returns
    -------
    Tensor, shape ()
    """
    each = functional.cross_entropy(logits, target, reduction="none", ignore_index=UNCOUNTED)
    return (weights * each).sum() / weights.sum().clamp(min=1)


def held_back(logits: Tensor, before: Tensor, where: Tensor) -> Tensor:
    """Return the cross-entropy of the predictions before, taken as the truth, over the pixels of `where`."""
    each = -(before.softmax(1) * logits.log_softmax(1)).sum(1)
    return (each * where).sum() / where.sum().clamp(min=1)


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the entries whose name starts with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
