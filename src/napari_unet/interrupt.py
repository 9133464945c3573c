"""Leave a network in the middle of its work: one pass may take seconds, and who pressed Stop waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import nn


class _Interrupted(Exception):
    """Somebody wants the network to stop."""


@contextmanager
def interruptible(net: nn.Module, should_stop: Callable[[], bool]) -> Iterator[None]:
    """Leave the block before the next layer of `net` if it should stop by then, as if the block had ended there.

    Parameters
    ----------
    net : Module
        It changes nothing as it works: half a pass leaves no trace.
    should_stop : callable
        Asked before each layer.
    """

    def look(*_: object) -> None:
        if should_stop():
            raise _Interrupted

    with ExitStack() as hooks:
        for layer in net.modules():
            if not list(layer.children()):
                hooks.callback(layer.register_forward_pre_hook(look).remove)
        try:
            yield
        except _Interrupted:
            return
