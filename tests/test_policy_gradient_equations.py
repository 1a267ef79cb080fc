"""Weights, baselines and surrogates, element by element, against autograd, NumPy and hand computation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcourse.core.seeding import generator
from rlcourse.equations import policy_gradient as pg

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)
few = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2 ** 32 - 1)


def numbers(shape, seed, name="numbers"):
    return torch.randn(shape, generator=generator(seed, name), dtype=double)


def test_the_estimate_sums_over_time_and_averages_over_episodes():
    score = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[3.0, 1.0], [1.0, 1.0]]], dtype=double)  # [T, N, P]
    weight = torch.tensor([[10.0, 20.0], [1.0, 2.0]], dtype=double)
    assert pg.gradient_estimate(score, weight).tolist() == [(13.0 + 2.0) / 2, (1.0 + 42.0) / 2]
    with pytest.raises(ValueError, match=r"weight: expected shape \[2, 2\], got \[2, 2, 1\]"):
        pg.gradient_estimate(score, weight[..., None])


def test_baselines_by_hand():
    weight = torch.tensor([[1.0, 2.0, 6.0]], dtype=double)
    assert pg.batch_mean(weight).tolist() == [[3.0, 3.0, 3.0]]
    assert pg.leave_one_out(weight).tolist() == [[4.0, 3.5, 1.5]]
    running = torch.tensor([[True, False, True]])
    assert pg.batch_mean(weight, running).tolist() == [[3.5, 0.0, 3.5]]
    assert pg.leave_one_out(weight, running).tolist() == [[6.0, 0.0, 1.0]]
    alone = torch.tensor([[False, True, False]])
    assert pg.batch_mean(weight, alone).tolist() == [[0.0, 2.0, 0.0]]
    assert pg.leave_one_out(weight, alone).tolist() == [[0.0, 0.0, 0.0]]
    nobody = torch.zeros(1, 3, dtype=torch.bool)
    assert pg.batch_mean(weight, nobody).tolist() == pg.leave_one_out(weight, nobody).tolist() == [[0.0] * 3]
    with pytest.raises(ValueError, match="weight: expected at least two episodes on the last axis, got 1"):
        pg.leave_one_out(weight[:, :1])


@few
@given(SEEDS, st.integers(2, 6))
def test_leave_one_out_is_the_batch_mean_stretched(seed, size):
    weight = numbers((3, size), seed)
    left = weight - pg.leave_one_out(weight)
    torch.testing.assert_close(left, size / (size - 1) * (weight - pg.batch_mean(weight)), **EXACT)


@few
@given(SEEDS)
def test_optimal_baselines_against_weighted_least_squares(seed):
    """b minimises Σᵢ (g Rᵢ − b g)², a regression through the origin; NumPy solves it."""
    score, later = numbers((3, 5, 2), seed, "score"), numbers((3, 5), seed, "return")
    total, gradient = score.sum(0), (score * later[..., None]).sum(0)
    got = pg.optimal_reward_to_go_baseline(score, later)
    one = pg.optimal_baseline(total, later[0])
    for p in range(2):
        found = np.linalg.lstsq(total[:, p:p + 1].numpy(), gradient[:, p].numpy(), rcond=None)[0]
        assert float(got[p]) == pytest.approx(float(found[0]), abs=1e-9)
        found = np.linalg.lstsq(total[:, p:p + 1].numpy(), (total[:, p] * later[0]).numpy(), rcond=None)[0]
        assert float(one[p]) == pytest.approx(float(found[0]), abs=1e-9)
    both = np.linalg.lstsq(total.flatten()[:, None].numpy(), gradient.flatten().numpy(), rcond=None)[0]
    shared = pg.optimal_reward_to_go_baseline(score, later, per_component=False)
    assert shared.tolist() == pytest.approx([float(both[0])] * 2, abs=1e-9)


def test_optimal_baselines_with_probabilities_runs_and_silent_components():
    score, later = numbers((4, 2, 3, 2), 0), numbers((4, 2, 3), 1)
    score[..., 1] = 0.0
    prob = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]], dtype=double)
    got = pg.optimal_reward_to_go_baseline(score, later, prob)
    repeated = [0, 0, 1, 2]  # the first row of probabilities as repetitions
    alike = pg.optimal_reward_to_go_baseline(score[:, 0, repeated], later[:, 0, repeated])
    torch.testing.assert_close(got[0], alike, **EXACT)
    assert got[:, 1].tolist() == [0.0, 0.0]


def test_discount_options_by_hand():
    reward = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=double)
    never, cut = torch.zeros(4, dtype=torch.bool), torch.tensor([False, True, False, False])
    one = pg.discount_weight(reward, never, cut, discount=0.5, option=1)
    two = pg.discount_weight(reward, never, cut, discount=0.5, option=2)
    assert one.tolist() == [2.0, 2.0, 8.0, 8.0]
    assert two.tolist() == [2.0, 1.0, 8.0, 4.0]  # the power starts again with the episode
    with pytest.raises(ValueError, match="option: expected 1 or 2, got 0"):
        pg.discount_weight(reward, never, cut, discount=0.5, option=0)


@few
@given(SEEDS, st.floats(0.1, 100.0), st.floats(-5.0, 5.0))
def test_normalised_has_mean_zero_deviation_one_and_forgets_scale(seed, scale, shift):
    advantage = numbers((2, 7), seed)
    got = pg.normalised(advantage).numpy()
    assert got.mean(-1) == pytest.approx([0, 0], abs=1e-12) and got.std(-1) == pytest.approx([1, 1], abs=1e-6)
    assert pg.normalised(scale * advantage + shift).numpy() == pytest.approx(got, abs=1e-5)
    valid = torch.ones(2, 9, dtype=torch.bool)
    valid[:, 7:] = False
    padded = torch.cat([advantage, torch.full((2, 2), 1e3, dtype=double)], 1)
    expected = torch.cat([pg.normalised(advantage), torch.zeros(2, 2, dtype=double)], 1)
    torch.testing.assert_close(pg.normalised(padded, valid), expected, **EXACT)


def test_normalised_without_spread_is_zero_and_not_nan():
    assert pg.normalised(torch.tensor([[3.0], [4.0]])).tolist() == [[0.0], [0.0]]
    assert pg.normalised(torch.full((1, 4), 2.0)).tolist() == [[0.0] * 4]
    with pytest.raises(ValueError, match="advantage: expected at least one element"):
        pg.normalised(torch.zeros(2, 0))


def test_the_gradient_of_the_surrogate_loss():
    log_prob = numbers((3, 4), 0).requires_grad_()
    weight = numbers((3, 4), 1).requires_grad_()
    loss = pg.surrogate_loss(log_prob, weight)
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), log_prob)[0], -weight.detach(), **EXACT)
    assert loss.grad_fn is not None and torch.autograd.grad(
        pg.surrogate_loss(log_prob, weight).sum(), weight, allow_unused=True)[0] is None


def test_one_column_too_many_is_refused_where_broadcasting_would_train_and_be_wrong():
    log_prob, weight = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([3.0, 0.0, 0.0])
    assert float((log_prob * weight).mean()) == 0.0 and float((log_prob * weight[:, None]).mean()) == 1.0
    for call in (pg.surrogate_loss, lambda a, b: pg.clipped_surrogate(a, a, b, clip_range=0.2),
                 lambda a, b: pg.clipped_surrogate(a, b, a, clip_range=0.2)):
        with pytest.raises(ValueError, match=r"expected shape \[3\], got \[3, 1\]"):
            call(log_prob, weight[:, None])
    with pytest.raises(ValueError, match="clip_range: expected a positive number, got 0"):
        pg.clipped_surrogate(log_prob, log_prob, weight, clip_range=0)


def test_where_the_clip_binds_and_where_not():
    """Value and gradient (in ρ) over a grid of ratios and both signs, from the paper's figure 1."""
    ratio = torch.tensor([0.3, 0.79, 0.81, 1.0, 1.19, 1.21, 3.0], dtype=double)
    for sign in (2.0, -2.0):
        log_prob = ratio.log().requires_grad_()
        advantage = torch.full((7,), sign, dtype=double)
        gain = pg.clipped_surrogate(log_prob, torch.zeros(7, dtype=double), advantage, clip_range=0.2)
        slope = torch.autograd.grad(gain.sum(), log_prob)[0] / ratio  # d/dρ = d/d(log ρ) / ρ
        if sign > 0:
            assert gain.tolist() == pytest.approx([0.6, 1.58, 1.62, 2.0, 2.38, 2.4, 2.4])
            assert slope.tolist() == pytest.approx([2, 2, 2, 2, 2, 0, 0]) and not slope[5:].any()
        else:
            assert gain.tolist() == pytest.approx([-1.6, -1.6, -1.62, -2.0, -2.38, -2.42, -6.0])
            assert slope.tolist() == pytest.approx([0, 0, -2, -2, -2, -2, -2]) and not slope[:2].any()


@few
@given(SEEDS, st.floats(0.05, 0.5))
def test_the_clipped_surrogate_never_promises_more_than_the_plain_one(seed, clip_range):
    log_prob, behaviour, advantage = (numbers(20, seed, name) for name in ("new", "old", "advantage"))
    plain = (log_prob - behaviour).exp() * advantage
    clipped = pg.clipped_surrogate(log_prob, behaviour, advantage, clip_range=clip_range)
    assert bool((clipped <= plain).all()) and bool((clipped < plain).any())
    same = pg.clipped_surrogate(behaviour, behaviour, advantage, clip_range=clip_range)
    torch.testing.assert_close(same, advantage, **EXACT)


def test_the_old_policy_and_the_advantage_are_data():
    log_prob, behaviour, advantage = (numbers(5, 0, name).requires_grad_() for name in ("new", "old", "advantage"))
    gain = pg.clipped_surrogate(log_prob, behaviour, advantage, clip_range=10.0).sum()
    flows = torch.autograd.grad(gain, (log_prob, behaviour, advantage), allow_unused=True)
    assert flows[0] is not None and flows[1] is flows[2] is None
