"""Which image: a choice that follows the layers of the viewer and stays with its layer when that is renamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox

from napari_unet.widgets.elide import elided
from napari_unet.widgets.wheel import only_with_focus

if TYPE_CHECKING:
    from napari.layers import Layer


class ImageChoice(ComboBox):
    """A choice of layers; magicgui's own goes by the name.

    Parameters
    ----------
    layers : callable
        Returns the layers to choose from.
    """

    def __init__(self, layers: Callable[[], Sequence[Layer]]) -> None:
        super().__init__(choices=lambda _: [(each.name, each) for each in layers()], nullable=False)
        self.native.setObjectName("image")
        self.native.setMinimumContentsLength(8)
        self.native.setSizeAdjustPolicy(self.native.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        only_with_focus(self.native)
        elided(self.native)

    def choose(self, layer: Layer) -> None:
        """Choose a layer, if it is among the choices."""
        if layer in self.choices:
            self.value = layer

    def reset_choices(self, *_: Any) -> None:
        """Follow the layers; the one that is chosen stays so while it is there."""
        chosen = self.value
        with self.changed.blocked():
            super().reset_choices()
            if chosen in self.choices:
                self.value = chosen
        if self.value != chosen:
            self.changed.emit(self.value)
