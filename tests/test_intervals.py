"""Intervals against SciPy, and whether they cover what they say."""

import numpy as np
import pytest
from scipy import stats

from rlcourse.core.seeding import generator
from rlcourse.results.intervals import bootstrap_interval, interquartile_mean, mean_interval, student_quantile


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("degrees", [1, 2, 3, 7, 30])
def test_students_quantile(level, degrees):
    assert student_quantile(level, degrees) == pytest.approx(stats.t.ppf((1 + level) / 2, degrees), rel=1e-6)


def test_mean_interval_equals_scipy():
    values = np.array([1.0, 2.0, 4.0, 8.0])
    mean, low, high = mean_interval(values)
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert mean == 3.75 and (low, high) == pytest.approx(expected, rel=1e-6)


def test_mean_interval_covers_19_of_20():
    # 4,000 samples of eight normal numbers: the share of intervals that contain 0 is 0.95 with a standard
    # error of 0.0034; five of them are 0.017, crossed by a right interval less than once in a million.
    draws = np.random.default_rng(0).normal(size=(4000, 8))
    inside = np.mean([low <= 0 <= high for _, low, high in map(mean_interval, draws)])
    assert abs(inside - 0.95) < 0.017


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 4.0], [5.0, 1.0, 2.0, 8.0, 3.0, 4.0, 9.0, 100.0]])
def test_interquartile_mean_equals_the_trimmed_mean(values):
    assert interquartile_mean(np.array(values)) == pytest.approx(stats.trim_mean(values, 0.25))


def test_interquartile_mean_counts_edges_in_part():
    # Five values: a quarter is 1.25 of them. Left: 3/4 of the second, the third, 3/4 of the fourth.
    assert interquartile_mean(np.array([0.0, 1.0, 2.0, 4.0, 100.0])) == pytest.approx((0.75 + 2 + 3) / 2.5)


def test_interquartile_mean_along_either_axis():
    table = np.random.default_rng(0).normal(size=(8, 12))
    for axis in (0, 1):
        assert np.allclose(interquartile_mean(table, axis), stats.trim_mean(table, 0.25, axis=axis))


def test_bootstrap_equals_scipy_up_to_luck():
    values = np.random.default_rng(1).normal(size=40)
    _, low, high = bootstrap_interval(values, generator(0, "bootstrap"), statistic=np.mean, resamples=4000)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, random_state=2)
    # Both ends are quantiles of 4,000 draws: standard error about 0.006 here; 0.05 is eight of them.
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.05)
    assert bootstrap_interval(values, generator(0, "a")) == bootstrap_interval(values, generator(0, "a"))
    assert bootstrap_interval(values, generator(0, "a")) != bootstrap_interval(values, generator(0, "b"))


@pytest.mark.parametrize("call, message", [
    (lambda: mean_interval(np.array([1.0])), "values: expected at least two numbers"),
    (lambda: mean_interval(np.array([1.0, np.nan])), "values: expected finite numbers"),
    (lambda: student_quantile(1.0, 3), r"level: expected a number in \(0, 1\)"),
    (lambda: interquartile_mean(np.array([])), "values: expected at least one number")])
def test_wrong_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
