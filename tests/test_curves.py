"""Bands over curves against SciPy, and crossings by hand."""

import numpy as np
import pytest
from scipy import stats

from rlcourse.core.seeding import generator
from rlcourse.results.curves import first_crossing, interquartile_band, mean_band

CURVES = np.random.default_rng(0).normal(size=(8, 3)) + np.array([0.0, 5.0, 10.0])


def test_mean_band_equals_scipy_column_by_column():
    band = mean_band(CURVES)
    low, high = stats.t.interval(0.95, 7, loc=CURVES.mean(0), scale=stats.sem(CURVES, axis=0))
    assert np.allclose(band.centre, CURVES.mean(0)) and np.allclose(band.low, low) and np.allclose(band.high, high)
    assert band.label == "mean of 8 runs, 95% Student interval"


def test_interquartile_band_agrees_with_scipys_bootstrap():
    # Both are Monte Carlo with 4,000 resamples of eight values, whose means are few and lie apart: the ends
    # agree to a quarter of a standard deviation (seeds fixed), an eighth of the interval's width.
    band = interquartile_band(CURVES, generator(0, "bootstrap"), resamples=4000)
    assert np.allclose(band.centre, stats.trim_mean(CURVES, 0.25, axis=0))
    for column, low, high in zip(CURVES.T, band.low, band.high):
        other = stats.bootstrap((column,), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=4000,
                                method="percentile", rng=np.random.default_rng(1)).confidence_interval
        assert abs(low - other.low) < 0.25 and abs(high - other.high) < 0.25
    again = interquartile_band(CURVES, generator(0, "bootstrap"), resamples=4000)
    assert np.array_equal(band.low, again.low) and "8 runs" in band.label
    assert not np.array_equal(band.low, interquartile_band(CURVES, generator(1, "bootstrap"), resamples=4000).low)


def test_a_checkpoints_interval_does_not_depend_on_the_others():
    whole = interquartile_band(CURVES, generator(0, "bootstrap"))
    for k in range(3):
        alone = interquartile_band(CURVES[:, k:k + 1], generator(0, "bootstrap"))
        assert (alone.low[0], alone.high[0]) == pytest.approx((whole.low[k], whole.high[k]), rel=1e-14)


def test_first_crossing_by_hand():
    values = np.array([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.9]])
    assert first_crossing(values, 2.0).tolist() == [2, 0, -1]


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((1, 3)), np.full((2, 2), np.nan)])
def test_bad_curves_are_refused(values):
    with pytest.raises(ValueError, match="^values: expected"):
        mean_band(values)
