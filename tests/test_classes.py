import re

import pytest

from napari_unet.classes import default_colors


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 254])
def test_default_colors_are_as_many_as_asked_and_all_different(n):
    colors = default_colors(n)
    assert len(set(colors)) == len(colors) == n
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors)


def test_a_further_class_leaves_the_colours_of_the_others():
    assert default_colors(9)[:2] == default_colors(2)
