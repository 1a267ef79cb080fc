"""The numbers of the gradient-cloud widget, against enumeration and against what its texts promise."""

from functools import cache

import numpy as np
import pytest
import torch

from rlcourse.envs.two_rooms import policy_logits, two_rooms
from rlcourse.equations.policy_gradient import batch_mean, gradient_estimate, leave_one_out
from rlcourse.equations.returns import discounted_return, reward_to_go
from rlcourse.exact.policy_gradient import every_batch, gradient_by_autograd, moments
from rlcourse.plots import gradient_cloud as plot
from rlcourse.widgets.app import gradient_cloud as app
from rlcourse.widgets.models import gradient_cloud as model
from rlcourse.widgets.models.gradient_cloud import ADVANTAGE, AVERAGE, ESTIMATORS, OTHERS, TO_GO, TOTAL, VALUE

ROOMS, LOGITS = two_rooms(), policy_logits()


@cache
def shown(estimator: str, batch_size: int, horizon: int) -> tuple[model.Frame, float, float, int]:
    """(frame, standard deviation, bias, number uphill) of the estimator."""
    frame = model.compute(estimator, batch_size, horizon)
    return frame, frame.spread[frame.chosen], frame.bias[frame.chosen], round(frame.uphill * model.ESTIMATES)


def test_the_picture_names_the_estimators_in_the_models_order():
    assert plot.NAMES == ESTIMATORS


@pytest.mark.parametrize("horizon", (1, 2, 3))
def test_mean_covariance_and_bias_against_all_batches_of_two(horizon):
    every = every_batch(ROOMS, LOGITS, horizon, 2)
    gradient = gradient_by_autograd(ROOMS, LOGITS, horizon)
    assert torch.allclose(gradient[:, 0], -gradient[:, 1], atol=1e-14)  # two numbers are the whole gradient
    exact = gradient[:, 1]
    later = reward_to_go(every.reward, every.terminated, every.truncated)
    total = discounted_return(every.reward, every.terminated, every.truncated)
    for estimator, weight in ((TOTAL, total), (TO_GO, later), (AVERAGE, later - batch_mean(later)),
                              (OTHERS, later - leave_one_out(later))):
        mean, covariance = moments(every.prob, gradient_estimate(every.score, weight)[:, 1::2])
        frame, spread, bias, _ = shown(estimator, 2, horizon)
        length = float(exact.norm())
        assert frame.length == pytest.approx(length, abs=1e-12) and np.allclose(frame.exact * length, exact)
        assert np.allclose(frame.mean * length, mean, atol=1e-10)
        assert spread * length == pytest.approx(float(covariance.trace().sqrt()), abs=1e-10)
        assert bias * length == pytest.approx(float((mean - exact).norm()), abs=1e-10)
        # In the direction u the ellipse reaches √(uᵀ Cov u) on either side.
        for direction in (torch.tensor([1.0, 0.0]), torch.tensor([0.6, -0.8])):
            along = frame.outline @ direction.numpy() * length
            reach = float((direction.double() @ covariance @ direction.double()).sqrt())
            assert (along.max() - along.min()) / 2 == pytest.approx(reach, rel=2e-3)


def test_state_baselines_against_all_trajectories():
    """V and Q from conditional averages over the list of trajectories, not from the backward recursion."""
    every = every_batch(ROOMS, LOGITS, 3)
    later = reward_to_go(every.reward, every.terminated, every.truncated)[:, :, 0]
    state, action = every.state[:-1, :, 0], every.action[:, :, 0]

    def average(group):  # E[Rₜ | group] of every trajectory
        return torch.stack([torch.stack([(every.prob * row)[g == k].sum() / every.prob[g == k].sum() for k in g])
                            for row, g in zip(later, group)])

    value, q_value = average(state), average(2 * state + action)
    for estimator, weight in ((VALUE, later - value), (ADVANTAGE, q_value - value)):
        mean, covariance = moments(every.prob, gradient_estimate(every.score, weight[..., None])[:, 1::2])
        frame, spread, bias, _ = shown(estimator, 16, 3)
        assert spread * frame.length == pytest.approx(float((covariance.trace() / 16).sqrt()), abs=1e-10)
        assert bias < 1e-12 and np.allclose(frame.mean * frame.length, mean, atol=1e-10)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_cloud_has_the_exact_mean_and_spread(estimator):
    """400 estimates, luck fixed (seed 0): within 4.5 standard errors, a right formula fails with < 1e-3."""
    for batch_size, horizon in ((2, 3), (8, 1), (8, 30), (128, 12)):
        frame, spread, _, _ = shown(estimator, batch_size, horizon)
        assert np.abs(frame.estimates.mean(0) - frame.mean).max() < 4.5 * spread / model.ESTIMATES ** 0.5
        squares = np.square(frame.estimates - frame.mean).sum(1)
        assert abs(squares.mean() - spread ** 2) < 4.5 * squares.std() / model.ESTIMATES ** 0.5
        assert frame.sampled_spread == pytest.approx(spread, rel=0.15)


def test_luck_stays_while_a_control_moves():
    """A larger batch keeps the episodes of the smaller one; a longer horizon goes on with the same ones."""
    place, reward, score = model.episodes()
    first = gradient_estimate(score[:5, :, :4], reward[:5, :, :4].flip(0).cumsum(0).flip(0))
    frame = shown(TO_GO, 4, 5)[0]
    assert np.allclose(frame.estimates * frame.length, first)
    assert int(place.max()) == model.HORIZONS[-1] * 4 - 1 and torch.equal(place[:, 0, 0] // 4, torch.arange(30))


def test_what_the_prediction_says():
    """21 times the gradient, 35 times the standard deviation: in absolute lengths, from T = 3 to T = 30."""
    (short, before, _, _), (long, after, _, _) = shown(TOTAL, 8, 3), shown(TOTAL, 8, 30)
    assert long.length / short.length == pytest.approx(21, abs=0.5)
    assert after * long.length / (before * short.length) == pytest.approx(35, abs=0.5)


def test_what_the_first_suggestion_promises():
    """Eight episodes with leave-one-out point uphill at least as often as 128 of the total return; two do not."""
    plain, few, fewest = (shown(*setting)[3] for setting in ((TOTAL, 128, 30), (OTHERS, 8, 30), (OTHERS, 2, 30)))
    assert few >= plain > 390 and fewest < 365


def test_what_the_second_suggestion_promises():
    """At T = 3 the baseline hurts with two episodes and helps from four on; at T = 1 it hurts at every N."""
    for batch_size in model.BATCHES:
        helps = [shown(OTHERS, batch_size, horizon)[1] < shown(TO_GO, batch_size, horizon)[1]
                 for horizon in (1, 3)]
        assert helps == [False, batch_size > 2]


def test_what_the_third_suggestion_promises():
    """The batch average halves the estimate of leave-one-out at N = 2: bias and spread, not direction."""
    average, others = shown(AVERAGE, 2, 3), shown(OTHERS, 2, 3)
    assert average[2] == pytest.approx(0.5) and others[2] < 1e-12
    assert average[1] == pytest.approx(others[1] / 2) and average[3] == others[3]
    assert "its mean is 0.5 of the gradient" in app.describe(average[0])
    words = app.describe(others[0])
    assert "its mean is the gradient" in words and f"{others[3]} point uphill" in words


def test_what_the_fourth_suggestion_promises():
    grows, stays, shrinks = ([shown(name, 8, horizon)[1] for horizon in (3, 8, 30)]
                             for name in (TOTAL, VALUE, ADVANTAGE))
    assert grows[2] > 1.6 * grows[0] and shrinks[2] < shrinks[0] / 4
    assert stays[2] == pytest.approx(stays[1], rel=0.02)


def test_at_one_step_the_names_fall_together():
    assert shown(TOTAL, 8, 1)[1] == pytest.approx(shown(TO_GO, 8, 1)[1])
    assert shown(VALUE, 8, 1)[1] == pytest.approx(shown(ADVANTAGE, 8, 1)[1])


def test_the_axes_fit_every_setting():
    """At every N and T the dots stand inside the right axis, left of the numbers; ellipses in the window."""
    for horizon in model.HORIZONS:
        for batch_size in model.BATCHES:
            frame = shown(TOTAL, batch_size, horizon)[0]
            assert plot.LEAST < frame.spread.min() and frame.spread.max() < 6
            assert plot.LEAST < frame.bias[ESTIMATORS.index(AVERAGE)] < 0.51
            assert np.abs(frame.outline).max() < plot.REACH
