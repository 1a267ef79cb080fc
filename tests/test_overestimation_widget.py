"""The overestimation widget against order statistics, its own draws, and what its texts promise."""

import math

import numpy as np
import pytest

from rlcourse.plots import overestimation as plot
from rlcourse.widgets.app.overestimation import describe
from rlcourse.widgets.models import overestimation as model
from rlcourse.widgets.models.controls import starting_values
from rlcourse.widgets.models.overestimation import ACTIONS, REPETITIONS, compute

START = starting_values(model.CONTROLS)
LARGEST = {1: 0.0, 2: 0.5641895835, 3: 0.8462843753, 5: 1.1629644736, 10: 1.5387527308, 30: 2.0427608442}


def frame(**changed):
    return compute(**{**START, **changed})


@pytest.mark.parametrize("actions", ACTIONS)
def test_equal_actions_against_the_tables_of_order_statistics(actions):
    shown = frame(actions=actions, noise=0.5, samples=9)  # Harter 1961 and later tables of normal order statistics
    assert shown.exact[0] == pytest.approx(0.5 / 3 * LARGEST[actions], abs=1e-9)
    assert shown.exact[1] == pytest.approx(0, abs=1e-12) and shown.right == pytest.approx(1 / actions)
    assert shown.doubled == pytest.approx(shown.exact[0] / math.sqrt(2), abs=1e-12)
    assert np.allclose(shown.by_actions[0], [0.5 / 3 * LARGEST[count] for count in ACTIONS], atol=1e-9)
    assert np.array_equal(shown.by_actions[:, ACTIONS.index(actions)], shown.exact)


@pytest.mark.parametrize("gap, shared", [(0.0, 0.0), (0.5, 0.5), (1.0, 0.9)])
def test_what_is_drawn_agrees_with_what_is_exact(gap, shared):
    shown = frame(gap=gap, shared=shared, samples=1)
    off = shown.drawn.mean(1) - shown.exact
    assert (np.abs(off) < 4 * shown.drawn.std(1) / math.sqrt(REPETITIONS)).all()
    first, second = model.estimates(10, 1.0, gap, shared)
    correlation = np.corrcoef((first - shown.true).ravel(), (second - shown.true).ravel())[0, 1]
    assert correlation == pytest.approx(shared, abs=0.015)  # 40,000 pairs: three standard errors
    assert shown.first[shown.chosen] == shown.first.max() == shown.drawn[0, 0]
    assert shown.drawn[1, 0] == shown.second[shown.chosen]
    assert np.array_equal(shown.drawn[2], shown.drawn[:2].min(0))


def test_the_luck_stays_while_a_control_moves():
    one, two = frame(noise=0.25), frame(noise=0.5)
    assert np.allclose(2 * one.first, two.first) and np.allclose(2 * one.drawn, two.drawn)


def test_the_texts_keep_their_promises():
    assert frame().exact[0] == pytest.approx(0.77, abs=0.005)  # the answer to the prediction
    ahead = frame(gap=0.5, samples=1)
    assert ahead.exact[1] < -0.2 and ahead.exact[0] > 1  # double too low, single too high
    assert frame(gap=0.5, samples=100).exact[1] > -1e-3  # it stops to matter
    assert frame(shared=0.9).exact[1] > 0.89 * frame().exact[0]  # nine tenths of the bias are left
    assert frame(shared=1.0).exact[1] == pytest.approx(frame().exact[0])
    alone = frame(actions=1)
    assert alone.exact[0] == pytest.approx(0, abs=1e-12) and alone.exact[2] < -0.2  # only clipping is biased
    two = frame(actions=2, samples=4)
    assert frame(actions=30, samples=36).exact[0] > two.exact[0] > frame(actions=30, samples=100).exact[0]


def test_limits_hold_nearly_everything():
    for gap in (0.0, 1.0):
        shown = frame(noise=1.0, samples=1, actions=30, gap=gap)
        inside = (shown.drawn > plot.LOW) & (shown.drawn < plot.HIGH)
        assert inside.mean() > 0.97
        assert -1.35 < shown.by_actions.min() and shown.by_actions.max() < 2.6


def test_the_words_hold_the_numbers():
    words = describe(frame())
    assert "single estimator says +0.769" in words and "double one 0.000" in words and "10 actions" in words
    assert "1 action, all worth 0" in describe(frame(actions=1, gap=1.0))
    assert plot.signed(-0.00001) == "0.000" and plot.signed(-0.25) == "−0.250"
