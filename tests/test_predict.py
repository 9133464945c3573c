"""What a network says of a section does not depend on the tiles it is computed in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet import predict
from napari_unet.classes import PixelClass
from napari_unet.device import Compute
from napari_unet.events import Notice
from napari_unet.grey import measure
from napari_unet.model import load
from napari_unet.predict import Predictor, logits
from napari_unet.samples import IMAGE
from napari_unet.tiles import CUT, MARGIN, Box, mirror
from napari_unet.unet import UNet, folded
from napari_unet.volume import open_volume

CPU = Compute("cpu", "processor", "float32", 1)


@pytest.fixture(scope="module")
def trained() -> UNet:
    return folded(load("em-membrane-small").net).to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def tissue() -> np.ndarray:
    return open_volume(IMAGE).section(0)


def whole_pass(net: UNet, section: np.ndarray) -> torch.Tensor:
    """One pass over the whole mirrored image, without any tile."""
    grey = measure(section, "section")
    rows, columns = (mirror(np.arange(-MARGIN, -(-n // 16) * 16 + MARGIN), n) for n in section.shape)
    image = torch.from_numpy(grey.normalise(section[np.ix_(rows, columns)]))[None, None]
    with torch.inference_mode():
        return net(image.contiguous(memory_format=torch.channels_last))[
            0, :, CUT : CUT + section.shape[0], CUT : CUT + section.shape[1]
        ]


def assert_same(tiled: torch.Tensor, whole: torch.Tensor) -> None:
    """The standard of the house: logits within 1e-5, a label differs only where the two best are within 2e-5."""
    assert tiled.shape == whole.shape
    assert float((tiled - whole).abs().max()) <= 1e-5
    best = whole.topk(2, dim=0).values
    differs = tiled.argmax(0) != whole.argmax(0)
    assert bool(((best[0] - best[1])[differs] < 2e-5).all())


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    tile=st.integers(1, 10).map(lambda n: 16 * n),
    threads=st.sampled_from([1, 2]),
)
def test_any_tile_size_gives_the_whole_image_pass(
    trained: UNet, tissue: np.ndarray, height: int, width: int, tile: int, threads: int
) -> None:
    section = tissue[:height, :width]
    torch.set_num_threads(threads)
    try:
        tiled = logits(trained, section, measure(section, ""), Box(0, 1, 0, height, 0, width), tile, CPU)
    finally:
        torch.set_num_threads(1)
    assert_same(tiled, whole_pass(trained, section))


@pytest.mark.parametrize(("tile", "side"), [(16, 100), (48, 250), (128, 250), (256, 250)])
def test_a_real_section_has_no_seams(trained: UNet, tissue: np.ndarray, tile: int, side: int) -> None:
    section, box = tissue[:side, :side], Box(0, 1, 0, side, 0, side)
    assert_same(logits(trained, section, measure(section, ""), box, tile, CPU), whole_pass(trained, section))


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_region_is_a_cut_of_the_whole(trained: UNet, tissue: np.ndarray, data: st.DataObject) -> None:
    section = tissue[:120, :90]
    y0, x0 = data.draw(st.integers(0, 119)), data.draw(st.integers(0, 89))
    y1, x1 = data.draw(st.integers(y0 + 1, 120)), data.draw(st.integers(x0 + 1, 90))
    cut = logits(trained, section, measure(section, ""), Box(0, 1, y0, y1, x0, x1), 64, CPU)
    assert_same(cut, whole_pass(trained, section)[:, y0:y1, x0:x1])


@pytest.mark.parametrize(("tile", "height", "width"), [(16, 40, 34), (48, 128, 90), (128, 128, 90)])
def test_best_quality_has_no_seams_either(
    trained: UNet, tissue: np.ndarray, tile: int, height: int, width: int
) -> None:
    section = tissue[:height, :width]
    box, grey = Box(0, 1, 0, height, 0, width), measure(section, "")
    assert_same(
        logits(trained, section, grey, box, tile, CPU, best_quality=True),
        logits(trained, section, grey, box, 256, CPU, best_quality=True),
    )


def test_best_quality_sees_all_mirrored_and_rotated_views_alike(trained: UNet, tissue: np.ndarray) -> None:
    section = tissue[:96, :96]
    box, grey = Box(0, 1, 0, 96, 0, 96), measure(section, "")
    found = logits(trained, section, grey, box, 96, CPU, best_quality=True).exp()
    assert torch.allclose(found.sum(0), torch.ones(96, 96), atol=1e-5)
    for turns, axes in ((1, (1, 2)), (2, (1, 2)), (1, (2, 1))):
        turned = np.ascontiguousarray(np.rot90(section, turns, (axes[0] - 1, axes[1] - 1)))
        again = logits(trained, turned, grey, box, 96, CPU, best_quality=True).exp()
        assert torch.allclose(again, torch.rot90(found, turns, axes), atol=1e-5)
    once = logits(trained, section, grey, box, 96, CPU).softmax(0)
    assert float((found - once).abs().max()) > 0.01


def test_folding_changes_no_label(tissue: np.ndarray, trained: UNet) -> None:
    box = Box(0, 1, 0, 100, 0, 100)
    as_trained = logits(load("em-membrane-small").net, tissue, measure(tissue, ""), box, 64, CPU)
    assert float((as_trained - logits(trained, tissue, measure(tissue, ""), box, 64, CPU)).abs().max()) < 1e-4


def test_a_network_in_training_is_left_as_it_is(tissue: np.ndarray) -> None:
    net = load("em-membrane-small").net
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = torch.get_rng_state()
    found = logits(net, tissue, measure(tissue, ""), Box(0, 1, 0, 30, 0, 30), 16, CPU)
    assert found.dtype == torch.float32
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@settings(max_examples=30, deadline=None)
@given(classes=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_class_of_the_highest_logit_is_kept_the_first_of_equal_ones(classes: int, seed: int) -> None:
    values = np.array([7, 3, 9, 1, 2], np.uint8)[:classes]
    kinds = [PixelClass(int(value), str(value), "#000000") for value in values]
    found = torch.from_numpy(np.random.default_rng(seed).integers(-2, 3, (classes, 9, 5)).astype(np.float32))
    kept, none = Predictor(UNet(classes=classes, width=2), kinds, CPU, 64, False).kept(found, False)
    assert none is None
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, values[found.numpy().argmax(0)])


def test_a_tile_that_does_not_fit_is_made_smaller_before_the_first_and_no_more(
    trained: UNet, tissue: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "fits", lambda _, width, tile: width == 16 and tile <= 96)
    cpu = Compute("cpu", "processor", "bfloat16", 1)
    predictor = Predictor(trained, load("em-membrane-small").card.classes, cpu, 256, best_quality=False)
    section, box = tissue[:100, :100], Box(0, 1, 0, 100, 0, 100)
    said = [list(predictor.logits(section, measure(section, ""), box)) for _ in range(2)]
    few = "They round differently, by which a few labels in 100,000 may change."
    assert said == [[Notice(f"There was not enough memory: going on in tiles of 64 pixels. {few}")], []]
    assert predictor.tile == 64
