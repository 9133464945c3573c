"""Grey values are measured once a section, without its black padding."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, floating_dtypes, from_dtype, integer_dtypes

from napari_unet import grey
from napari_unet.grey import Grey, measure
from napari_unet.problem import Problem

shapes = array_shapes(min_dims=2, max_dims=2, max_side=12)
any_dtype = st.one_of(integer_dtypes(endianness="?"), floating_dtypes(endianness="?"), st.just(np.dtype(bool)))


def tissue(shape: tuple[int, int] = (60, 70), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, shape).astype(np.uint8)


def padded(section: np.ndarray, width: int) -> np.ndarray:
    return np.pad(section, width)


def grey_values(dtype: np.dtype) -> st.SearchStrategy:
    """Finite ones; the squares of float64 values beyond these are no numbers any more."""
    if dtype.kind != "f":
        return from_dtype(dtype)
    bounds = {"min_value": -1e100, "max_value": 1e100} if dtype.itemsize == 8 else {}
    return from_dtype(dtype, allow_nan=False, allow_infinity=False, **bounds)


@given(st.data(), any_dtype, shapes)
def test_any_section_becomes_finite_float32(data, dtype, shape):
    section = data.draw(arrays(dtype, shape, elements=grey_values(dtype)))
    found = measure(section, "it").normalise(section)
    assert found.dtype == np.float32
    assert found.shape == section.shape
    assert np.isfinite(found).all()


@given(st.data(), any_dtype, shapes)
def test_a_constant_section_becomes_exactly_0(data, dtype, shape):
    section = np.full(shape, data.draw(grey_values(dtype)), dtype)
    measured = measure(section, "it")
    assert measured.std == 0
    assert not measured.normalise(section).any()


def test_mean_and_deviation_are_those_of_the_tissue():
    section = tissue()
    assert measure(section, "it") == Grey(section.mean(), section.std())
    normal = measure(section, "it").normalise(section)
    assert normal.mean() == pytest.approx(0, abs=1e-5)
    assert normal.std() == pytest.approx(1, abs=1e-5)


@given(st.sampled_from([">u2", "<u2", ">i4", "<i8", ">f4", "<f8", np.float16, np.uint64]))
def test_the_number_format_does_not_matter(dtype):
    section = tissue()
    assert measure(section.astype(dtype), "it") == measure(section, "it")
    expected = measure(section, "it").normalise(section)
    np.testing.assert_allclose(measure(section, "it").normalise(section.astype(dtype)), expected, atol=1e-6)


@given(st.integers(-5, 5), st.integers(1, 9))
def test_gain_and_offset_of_the_detector_do_not_matter(offset, gain):
    section = tissue().astype(np.int32)
    changed = section * gain + 1000 * offset
    assume((changed != 0).all())
    expected = measure(section, "it").normalise(section)
    np.testing.assert_allclose(measure(changed, "it").normalise(changed), expected, atol=1e-4)


@given(arrays(np.uint8, (9, 11)), st.slices(9), st.slices(11))
def test_a_tile_has_no_statistics_of_its_own(section, rows, columns):
    measured = measure(section, "it")
    np.testing.assert_array_equal(
        measured.normalise(section[rows, columns]), measured.normalise(section)[rows, columns]
    )


# ---- black padding


@given(st.integers(1, 30))
@settings(max_examples=10)
def test_black_padding_is_not_measured(width):
    assert measure(padded(tissue(), width), "it") == measure(tissue(), "it")


@pytest.mark.parametrize("turns", range(4))
def test_a_notch_in_any_side_is_not_measured(turns):
    section = tissue()
    section[20:30, :5] = 0
    found = measure(np.rot90(section, turns), "it")
    seen = section[section > 0]
    assert (found.mean, found.std) == pytest.approx((seen.mean(), seen.std()), rel=1e-12)


def test_a_wedge_of_padding_is_not_measured():
    section = tissue((60, 60))
    wedge = np.add.outer(np.arange(60), np.arange(60)) < 40
    expected = section[~wedge]
    section[wedge] = 0
    assert measure(section, "it") == Grey(expected.mean(), expected.std())


def test_black_inside_the_tissue_is_measured():
    section = tissue()
    section[20:30, 20:30] = 0
    assert measure(section, "it") == Grey(section.mean(), section.std())
    assert measure(padded(section, 5), "it") == measure(section, "it")


def test_an_all_black_section_is_constant():
    assert measure(np.zeros((30, 40), np.uint8), "it") == Grey(0, 0)


def test_hardly_anything_beside_black_is_not_taken_for_padding():
    section = padded(tissue((5, 5)), 50)
    assert measure(section, "it") == Grey(section.mean(), section.std())


# ---- what is looked at


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", np.float16])
def test_a_value_that_is_no_number_is_a_problem_wherever_it_is(value, dtype, monkeypatch):
    monkeypatch.setattr(grey, "_SAMPLE", 10)
    section = tissue().astype(dtype)
    section[7, 11] = value
    with pytest.raises(Problem, match=r"Section 3 of a\.tif holds grey values that are not numbers"):
        measure(section, "Section 3 of a.tif")


@pytest.mark.parametrize(("pixels", "step"), [(100 * 120, 1), (100 * 120 - 1, 2), (3000, 2), (2999, 3), (120, 10)])
def test_a_large_section_is_measured_at_every_nth_pixel(pixels, step, monkeypatch):
    monkeypatch.setattr(grey, "_SAMPLE", pixels)
    section = tissue((100, 120))
    seen = section[::step, ::step]
    assert seen.size <= pixels
    assert measure(section, "it") == measure(section.copy(), "it") == Grey(seen.mean(), seen.std())
