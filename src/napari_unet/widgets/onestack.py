"""One stack of an image that has time points or channels: asked for, then shown as a layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unet.part import Part
from napari_unet.view import View
from napari_unet.widgets.elide import elided
from napari_unet.widgets.place import matrix
from napari_unet.widgets.rows import side_by_side
from napari_unet.widgets.sight import voxel_at
from napari_unet.widgets.wheel import only_with_focus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari import Viewer
    from napari.layers import Layer

    from napari_unet.widgets.imagechoice import ImageChoice


def is_several(layer: Layer | None) -> bool:
    """Return whether `layer` is an image with more axes than a stack has."""
    return isinstance(layer, Image) and not layer.rgb and layer.ndim > 3


def one_stack(layer: Image, held: Mapping[int, int], name: str) -> Image:
    """Return what `layer` shows at one index of some of its axes, where it lies; nothing is read or copied.

    Parameters
    ----------
    layer
    held
        The index on each axis that the new layer has not; the others are three.
    name
        Of the new layer.
    """
    kept = [axis for axis in range(layer.ndim) if axis not in held]
    square = np.ix_(kept, kept)
    data: Any
    if layer.multiscale:
        # Coarser levels have fewer pixels to a side, and may have fewer of the others, too.
        data = [Part(level, _of_level(level.shape, layer.data[0].shape, held)) for level in layer.data]
    else:
        data = View(layer.data, tuple(kept), held)
    return Image(
        data,
        name=name,
        multiscale=layer.multiscale,
        scale=layer.scale[kept],
        translate=layer.translate[kept],
        rotate=layer.rotate[square],
        shear=matrix(layer.shear)[square],
        affine=layer.affine.set_slice(kept),
        units=[layer.units[axis] for axis in kept],
        axis_labels=[layer.axis_labels[axis] for axis in kept],
        colormap=layer.colormap,
        contrast_limits=layer.contrast_limits,
        gamma=layer.gamma,
    )


class OneStack(QWidget):
    """Asks which axis the sections lie along; a button makes a layer of the stack that the sliders show.

    It is hidden unless the image that is chosen has more than three axes.
    """

    def __init__(self, viewer: Viewer, choice: ImageChoice) -> None:
        super().__init__()
        self._viewer, self._choice = viewer, choice
        self._along, self._take = QComboBox(objectName="along"), QPushButton(objectName="take")
        self._along.setToolTip("The axis on which one section follows the other.")
        self._take.setToolTip("Makes a layer of what the other sliders show; move them to choose another one.")
        only_with_focus(self._along)
        elided(self._along)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(side_by_side(QLabel("Sections along"), self._along))
        column.addWidget(self._take)
        choice.changed.connect(self._on_image)
        self._along.currentIndexChanged.connect(lambda _: self._say_which())
        self._take.clicked.connect(self._on_take)
        self._on_image()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Follow the sliders while it can be seen."""
        super().showEvent(event)
        self._viewer.dims.events.current_step.connect(self._say_which)
        self._say_which()

    def hideEvent(self, event: Any) -> None:  # noqa: N802
        """Leave the sliders alone: a closed panel is gone."""
        super().hideEvent(event)
        self._viewer.dims.events.current_step.disconnect(self._say_which)

    def _on_image(self, *_: object) -> None:
        image = self._choice.value
        self.setVisible(is_several(image))
        if not is_several(image):
            return
        names = self._names(image)[:-2]
        self._along.blockSignals(True)
        self._along.clear()
        self._along.addItems([f"{name} ({length:,})" for name, length in zip(names, _shape(image), strict=False)])
        lower = [name.lower() for name in names]
        self._along.setCurrentIndex(lower.index("z") if "z" in lower else len(names) - 1)
        self._along.blockSignals(False)
        self._say_which()

    def _say_which(self, *_: object) -> None:
        image = self._choice.value
        # When it is removed, the sliders go before the choice does.
        if is_several(image) and image in self._viewer.layers:
            self._take.setText(f"Take {self._where(image)} as a stack")

    def _where(self, image: Image) -> str:
        names = self._names(image)
        of = {axis: f"{name} at" if name.startswith("axis ") else name for axis, name in enumerate(names)}
        return ", ".join(f"{of[axis]} {at}" for axis, at in self._held(image).items())

    def _names(self, image: Image) -> list[str]:
        """Return what stands beside the sliders of the axes; napari counts those without a name from the last one."""
        labels = [str(label) for label in self._viewer.dims.axis_labels[-image.ndim :]]
        return [f"axis {i}" if label == f"{i - image.ndim - 1}" else label for i, label in enumerate(labels, start=1)]

    def _held(self, image: Image) -> dict[int, int]:
        """Return where the sliders are, for each axis that a stack has not."""
        at = voxel_at(self._viewer, image, np.array(self._viewer.dims.point))
        ends = np.array(_shape(image)) - 1
        index = np.clip(np.floor(at + 0.5), 0, ends).astype(int).tolist()
        return {axis: index[axis] for axis in range(image.ndim - 2) if axis != self._along.currentIndex()}

    def _on_take(self) -> None:
        image = self._choice.value
        taken = one_stack(image, self._held(image), f"{image.name}, {self._where(image)}")
        self._viewer.layers.insert(self._viewer.layers.index(image) + 1, taken)
        self._choice.choose(taken)


def _shape(image: Image) -> tuple[int, ...]:
    return (image.data[0] if image.multiscale else image.data).shape


def _of_level(shape: tuple[int, ...], finest: tuple[int, ...], held: Mapping[int, int]) -> tuple[int | range, ...]:
    """Return what a level shows: all of it but for the axes that are held, at the place that is meant."""
    return tuple(
        held[axis] * length // finest[axis] if axis in held else range(length) for axis, length in enumerate(shape)
    )
