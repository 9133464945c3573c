"""What labels look like."""

import numpy as np

from napari_unet.colours import class_look


def test_the_background_of_a_result_does_not_darken_the_image() -> None:
    classes = [{"value": 0, "name": "background", "color": "#000000"}, {"value": 1, "name": "cell", "color": "#ff0000"}]
    look = class_look(classes)
    np.testing.assert_array_equal(look["colormap"].map(np.array([0, 1], np.uint8))[:, 3], [0, 1])
    assert look["features"] == {"index": [0, 1, 255], "class": ["background", "cell", "not computed yet"]}
