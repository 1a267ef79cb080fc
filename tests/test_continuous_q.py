"""NAF against autograd and SciPy's maximiser, TD3's target by cases, the deterministic policy gradient by hand."""

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlcourse.core.seeding import generator
from rlcourse.equations import continuous_q as cq

double = torch.float64
EXACT = dict(rtol=0, atol=1e-12)


def numbers(*values):
    return torch.tensor(values, dtype=double)


def drawn(shape, name):
    return torch.randn(shape, generator=generator(5, name), dtype=double)


def factor(shape, size, name):
    """Lower triangular, with a positive diagonal."""
    full = drawn((*shape, size, size), name)
    return full.tril(-1) + torch.diag_embed(0.3 + full.diagonal(dim1=-2, dim2=-1).abs())


def test_naf_by_hand():
    """L = [[2, 0], [1, 3]], a − μ = (1, −1): Lᵀ (a − μ) = (2 − 1, −3) = (1, −3), −½ (1 + 9) = −5."""
    lower = numbers([2.0, 0.0], [1.0, 3.0])
    got = cq.naf_advantage(numbers(1.5, 0.0), numbers(0.5, 1.0), lower)
    assert float(got) == -5.0
    # With L where Lᵀ should be: (2, 1 − 3) = (2, −2) and −4.
    assert float(cq.naf_advantage(numbers(1.5, 0.0), numbers(0.5, 1.0), lower.mT)) == -4.0
    assert float(cq.naf_advantage(numbers(0.7), numbers(0.2), numbers([2.0]))) == pytest.approx(-0.5)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_naf_is_the_quadratic_form_of_any_batch(size):
    action, mean, lower = drawn((3, 2, size), "a"), drawn((3, 2, size), "mean"), factor((3, 2), size, "lower")
    got = cq.naf_advantage(action, mean, lower)
    for i in range(3):
        for j in range(2):
            away, root = (action - mean)[i, j].numpy(), lower[i, j].numpy()
            assert float(got[i, j]) == pytest.approx(-0.5 * away @ (root @ root.T) @ away, abs=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_naf_has_its_maximum_at_the_mean_and_the_hessian_it_says(size):
    mean, lower = drawn((size,), "mean"), factor((), size, "lower")

    def minus_q(action):
        return -float(1.7 + cq.naf_advantage(torch.tensor(action, dtype=double), mean, lower))
    found = scipy.optimize.minimize(minus_q, np.zeros(size), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(found.x, mean.numpy(), atol=1e-5)
    assert -found.fun == pytest.approx(1.7, abs=1e-9)
    for at in (mean, mean + 1.0):
        hessian = torch.autograd.functional.hessian(lambda a: cq.naf_advantage(a, mean, lower), at)
        torch.testing.assert_close(hessian, -lower @ lower.mT, **EXACT)
    assert bool((torch.linalg.eigvalsh(-lower @ lower.mT) < 0).all())


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_naf_is_never_positive_and_zero_at_the_mean(seed, size):
    random = generator(seed, "naf")
    action, mean = (torch.randn(5, size, generator=random, dtype=double) for _ in range(2))
    lower = torch.randn(5, size, size, generator=random, dtype=double).tril()
    got = cq.naf_advantage(action, mean, lower)
    assert bool((got <= 0).all())
    assert cq.naf_advantage(mean, mean, lower).tolist() == [0.0] * 5
    torch.testing.assert_close(cq.naf_advantage(2 * mean - action, mean, lower), got, rtol=1e-9, atol=1e-12)


def test_naf_can_be_trained_in_all_its_parts():
    arguments = [part.requires_grad_() for part in
                 (drawn((3, 2), "a"), drawn((3, 2), "mean"), factor((3,), 2, "lower"))]
    assert torch.autograd.gradcheck(cq.naf_advantage, arguments)


def test_smoothing_by_hand():
    """σ = 0.2, c = 0.5, box ±1. Noise 1 → 0.2; 3 → 0.6, cut to 0.5; −9 → −0.5; at 0.9 the box cuts, both ways."""
    action = numbers([0.0, 0.0], [0.0, 0.9], [-0.9, 0.1])
    noise = numbers([1.0, 3.0], [-9.0, 2.0], [-9.0, 0.0])
    got = cq.smoothed_action(action, noise, noise_std=0.2, noise_clip=0.5, low=-1.0, high=1.0)
    torch.testing.assert_close(got, numbers([0.2, 0.5], [-0.5, 1.0], [-1.0, 0.1]), **EXACT)
    plain = cq.smoothed_action(numbers([2.5, -0.5, 0.3]), numbers([5.0, 5.0, 5.0]), noise_std=0.0, noise_clip=0.5,
                               low=0.0, high=2.0)
    assert plain.tolist() == [[2.0, 0.0, 0.3]]
    none = cq.smoothed_action(numbers([0.3]), numbers([5.0]), noise_std=0.7, noise_clip=0.0, low=0.0, high=2.0)
    assert none.tolist() == [[0.3]]


@given(st.floats(-3, 3), st.floats(-6, 6), st.floats(0, 3), st.floats(0, 2))
def test_smoothing_keeps_within_clip_and_box(action, noise, std, clip):
    got = float(cq.smoothed_action(numbers(action), numbers(noise), noise_std=std, noise_clip=clip, low=-2.0, high=3.0))
    assert got == pytest.approx(float(np.clip(action + np.clip(std * noise, -clip, clip), -2.0, 3.0)), abs=1e-15)
    assert -2.0 <= got <= 3.0
    if -2.0 <= action <= 3.0:
        assert abs(got - action) <= clip + 1e-12


def test_the_target_of_td3_by_hand():
    """γ = ½; the smaller of both, nothing behind an end."""
    reward, over = numbers(1.0, 2.0, 3.0), torch.tensor([False, False, True])
    first, second = numbers(4.0, 8.0, math.nan), numbers(6.0, -2.0, math.inf)
    got = cq.td3_target(reward, first, second, over, discount=0.5)
    assert got.tolist() == [1 + 2.0, 2 - 1.0, 3.0]
    ddpg = cq.td3_target(reward, second, second, over, discount=0.5)
    assert ddpg.tolist() == [1 + 3.0, 2 - 1.0, 3.0]
    first, second = drawn((2, 3), "q1").requires_grad_(), drawn((2, 3), "q2").requires_grad_()
    target = cq.td3_target(drawn((2, 3), "r"), first, second, over.expand(2, 3), discount=0.9)
    assert not target.requires_grad
    swapped = cq.td3_target(drawn((2, 3), "r"), second, first, over.expand(2, 3), discount=0.9)
    assert torch.equal(target, swapped)


def deterministic_policy(weights, states):
    """μ_θ(s) = tanh(θ s) [B, 2] of states [B, 3], θ [2, 3]."""
    return torch.tanh(states @ weights.T)


def test_the_deterministic_policy_gradient():
    """∇_θ of the loss is −∇ₐQ ∇_θ μ, by hand: Q(s, a) = w·a − ½ ‖a‖², dμᵢ/dθᵢⱼ = (1 − μᵢ²) sⱼ."""
    states, weights, w = drawn((5, 3), "s"), drawn((2, 3), "theta").requires_grad_(), drawn((5, 2), "w")

    def q(action):
        return (w * action).sum(-1) - 0.5 * action.square().sum(-1)
    loss = cq.deterministic_actor_loss(q(deterministic_policy(weights, states)))
    assert loss.shape == (5,)
    got, = torch.autograd.grad(loss.sum(), weights)
    mean = deterministic_policy(weights, states).detach()
    by_action = w - mean
    by_hand = -torch.einsum("bi,bi,bj->ij", by_action, 1 - mean.square(), states)
    torch.testing.assert_close(got, by_hand, **EXACT)
    step = 1e-3 * got
    better = q(deterministic_policy(weights - step, states)).sum()
    assert float(better.detach()) > float(q(mean).sum())  # descent on the loss climbs Q
    replayed = cq.deterministic_actor_loss(q(drawn((5, 2), "old")))
    assert not replayed.requires_grad


def test_the_actor_rests_at_the_top_of_naf():
    mean, lower = drawn((4, 2), "mean"), factor((4,), 2, "lower")
    for action, rests in ((mean, True), (mean + 0.1, False)):
        action = action.clone().requires_grad_()
        slope, = torch.autograd.grad(cq.deterministic_actor_loss(cq.naf_advantage(action, mean, lower)).sum(), action)
        assert (float(slope.abs().max()) < 1e-12) == rests


def test_arguments_that_make_no_sense_are_refused():
    one, flag, action = torch.zeros(4, dtype=double), torch.zeros(4, dtype=torch.bool), torch.zeros(4, 2, dtype=double)
    lower = torch.zeros(4, 2, 2, dtype=double)
    with pytest.raises(ValueError, match=r"action: expected shape \[..., D\], got \[\]"):
        cq.naf_advantage(one[0], one[0], lower)
    with pytest.raises(ValueError, match=r"mean: expected shape \[4, 2\], got \[2\]"):
        cq.naf_advantage(action, action[0], lower)
    with pytest.raises(ValueError, match=r"cholesky: expected shape \[4, 2, 2\], got \[2, 2\]"):
        cq.naf_advantage(action, action, lower[0])
    keywords = dict(noise_std=0.2, noise_clip=0.5, low=-1.0, high=1.0)
    with pytest.raises(ValueError, match=r"noise: expected shape \[4, 2\], got \[4, 1\]"):
        cq.smoothed_action(action, action[:, :1], **keywords)
    for name, value in (("noise_std", -0.1), ("noise_clip", -0.1), ("low", 1.0)):
        with pytest.raises(ValueError, match=f"{name}: expected a number .*, got {value}"):
            cq.smoothed_action(action, action, **{**keywords, name: value})
    with pytest.raises(ValueError, match=r"next_q_1: expected shape \[4\], got \[4, 1\]"):
        cq.td3_target(one, one[:, None], one, flag, discount=0.9)
    with pytest.raises(ValueError, match=r"next_q_2: expected shape \[4\], got \[4, 1\]"):
        cq.td3_target(one, one, one[:, None], flag, discount=0.9)
    with pytest.raises(ValueError, match="terminated: expected dtype bool"):
        cq.td3_target(one, one, one, one, discount=0.9)
