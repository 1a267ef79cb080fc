"""Vanilla and natural gradient ascent from samples: estimates, steps, units and learning, against exact values."""

from dataclasses import replace
from math import exp

import pytest
import torch

from rlcourse.algorithms.natural_gradient import Config, estimates, train
from rlcourse.core.seeding import generator, uniforms
from rlcourse.data.episodes import episodes
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.linear_gain import LinearGain
from rlcourse.envs.two_rooms import HORIZON, policy_logits, two_rooms
from rlcourse.equations.natural_gradient import natural_gradient
from rlcourse.exact import linear_gain
from rlcourse.exact.policy_gradient import gradient_by_autograd
from rlcourse.nets.flat import flatten, write
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.heads_linear_gaussian import LinearGaussianHead
from rlcourse.nets.policies import Policy, one_hot

double = torch.float64


def source(env, runs=4, environments=16, seed=0, **keywords):
    return DynamicsSource(env, runs, environments, random=generator(seed, "source"), dtype=double, **keywords)


def steering(env, runs=4, gain=-0.2, log_std=-1.0, unit=1.0):
    return Policy(LinearGaussianHead(1, 1, runs=runs, gain=gain, log_std=log_std, unit=unit), env.action_space,
                  clamp=False)


def walking(runs):
    head = CategoricalHead(2, 2, runs=runs, seed=0, hidden=())
    with torch.no_grad():
        head.net.weights[0].copy_(policy_logits().expand(runs, 2, 2))
    return Policy(head, two_rooms().action_space, encode=lambda obs: one_hot(obs, 2))


def after(direction="natural", runs=4, unit=1.0, updates=3, horizon=6, touched=None, **sockets):
    """The (gain, log_std) [R, 2] of steering policies after a few steps."""
    env = LinearGain(start_low=1.0, horizon=horizon)
    policy = steering(env, runs, unit=unit)
    if touched is not None:
        with torch.no_grad():
            policy.head.theta[touched] += 0.1
    config = Config(updates=updates, direction=direction)
    for snapshot in train(source(env, runs), policy, config, seed=0, **sockets):
        last = snapshot
    assert last.update == updates and last.step == updates * horizon * 16 and len(last.curve) == updates
    return torch.cat([policy.head.gain, policy.head.log_std], 1).detach()[..., 0]


@pytest.mark.parametrize("direction", ["natural", "vanilla"])
def test_the_same_seed_gives_the_same_policy_and_runs_do_not_feel_each_other(direction):
    first, again, other = after(direction), after(direction), after(direction, touched=2)
    assert torch.equal(first, again) and not torch.equal(first[0], first[1])
    assert [torch.equal(first[run], other[run]) for run in range(4)] == [True, True, False, True]


@pytest.mark.parametrize("unit", [1.0, 10.0])
def test_the_expected_gradient_is_the_exact_one(unit):
    """6000 independent estimates from two episodes each: with a baseline that contains the episode itself they
    would be half as long. |t| < 5, which is false once in 1.7 million for each of 2 numbers."""
    env, runs = LinearGain(start_low=0.5, horizon=5), 6000
    policy = steering(env, runs, unit=unit)
    batch = episodes(source(env, runs, 2), policy, random=generator(0, "a"))
    gradient, _ = estimates(policy, batch, discount=0.8)
    gain, log_std = policy.head.gain[0, 0, 0].detach(), policy.head.log_std[0, 0, 0].detach()
    exact = linear_gain.gradient(gain, log_std, discount=0.8, horizon=5,
                                 start_second_moment=env.start_second_moment)
    exact = exact * torch.tensor([unit, 1.0])
    error, spread = gradient.mean(0) - exact, gradient.std(0) / runs ** 0.5
    assert bool((error.abs() < 5 * spread).all()) and bool((spread < 0.07 * exact.abs()).all())


def test_the_expected_gradient_of_a_table_is_the_exact_one():
    """40 estimates for the two rooms; |t| < 5 with 39 degrees of freedom, false once in 80,000 for each number."""
    policy = walking(40)
    batch = episodes(source(two_rooms(), 40, 500, time_limit=HORIZON), policy, random=generator(0, "a"))
    gradient, _ = estimates(policy, batch, discount=0.9)
    exact = gradient_by_autograd(two_rooms(), policy_logits(), HORIZON, 0.9).flatten()
    error, spread = gradient[:, :4].mean(0) - exact, gradient[:, :4].std(0) / 40 ** 0.5
    assert bool((error.abs() < 5 * spread).all()) and bool((spread < 0.1 * exact.abs()).all())


def test_the_fisher_matrix_is_the_closed_form_at_the_states_of_the_batch():
    env = LinearGain(horizon=5)
    policy = steering(env, 2, unit=10.0)
    batch = episodes(source(env, 2), policy, random=generator(0, "a"))
    _, fisher = estimates(policy, batch, discount=0.8)
    weight = 0.8 ** torch.arange(5, dtype=double)
    for run in range(2):
        square = float((weight @ batch.obs[:, run, :, 0].square()).sum() / (weight.sum() * 16))
        expected = torch.diag(torch.tensor([100 * square / torch.exp(torch.tensor(-2.0)), 2.0], dtype=double))
        torch.testing.assert_close(fisher[run], expected, rtol=1e-6, atol=1e-9)


def test_the_fisher_matrix_of_a_table_counts_the_visits():
    policy = walking(2)
    batch = episodes(source(two_rooms(), 2, time_limit=HORIZON), policy, random=generator(0, "a"))
    _, fisher = estimates(policy, batch, discount=0.9)
    probs = torch.softmax(policy_logits(), -1)
    for run in range(2):
        visits = torch.zeros(2, dtype=double)
        for t in range(HORIZON):
            for state in batch.obs[t, run].tolist():
                visits[state] += 0.9 ** t
        blocks = [share * (torch.diag(p) - torch.outer(p, p)) for share, p in zip(visits / visits.sum(), probs)]
        torch.testing.assert_close(fisher[run, :4, :4], torch.block_diag(*blocks), rtol=1e-9, atol=1e-12)


def test_padding_behind_the_end_changes_nothing():
    env = CartPole()
    policy = Policy(CategoricalHead(4, 2, runs=2, seed=0, hidden=()), env.action_space)
    batch = episodes(source(env, 2, 4), policy, random=generator(0, "a"))
    assert not bool(batch.valid.all())

    def longer(value):
        return torch.cat([value, value[-2:]]) if value.dtype != torch.bool else torch.cat(
            [value, torch.zeros_like(value[-2:])])

    padded = replace(batch, **{name: longer(getattr(batch, name)) for name in
                               ("obs", "action", "next_obs", "terminated", "truncated", "valid")},
                     reward=torch.cat([batch.reward, torch.zeros_like(batch.reward[-2:])]))
    for one, two in zip(estimates(policy, batch, discount=0.9), estimates(policy, padded, discount=0.9)):
        assert bool(torch.isfinite(one).all()) and float(one.abs().max()) > 1e-3
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("direction", ["natural", "vanilla"])
def test_both_kinds_of_steps_are_as_long_in_nats(direction):
    """The true KL of a small step over the states of its batch; the next order is a tenth of it at δ = 10⁻³."""
    env = LinearGain(start_low=1.0, horizon=5)
    policy = steering(env, 2)
    before = policy.copy()
    batch = episodes(source(env, 2), before, random=generator(3, "natural gradient actions"))
    list(train(source(env, 2), policy, Config(updates=1, direction=direction, max_kl=1e-3, discount=0.8), seed=3))
    for run in range(2):
        kl, total = 0.0, 0.0
        for t in range(5):
            old, new = (torch.distributions.Normal(head.gain[run, 0, 0].detach() * batch.obs[t, run, :, 0],
                                                   head.log_std[run, 0, 0].detach().exp())
                        for head in (before.head, policy.head))
            kl += 0.8 ** t * float(torch.distributions.kl_divergence(old, new).mean())
            total += 0.8 ** t
        assert kl / total == pytest.approx(1e-3, rel=0.1)


def test_other_units_change_the_vanilla_steps_and_not_the_natural_ones():
    natural, vanilla = ([after(direction, unit=unit, updates=10) for unit in (1.0, 10.0)]
                        for direction in ("natural", "vanilla"))
    torch.testing.assert_close(*natural, rtol=0, atol=1e-9)
    assert float((vanilla[0] - vanilla[1]).abs().min(0).values.max()) > 0.1


def lost(parameters, horizon):
    """J* − J [R] with γ = 0.9 and s₀ = 1."""
    gains = torch.linspace(-0.9, -0.3, 601, dtype=double)
    best = linear_gain.objective(gains, torch.full_like(gains, -30.0), discount=0.9, horizon=horizon).max()
    return best - linear_gain.objective(*parameters.unbind(-1), discount=0.9, horizon=horizon)


def test_natural_steps_lose_less_than_vanilla_ones_with_an_unlucky_unit():
    """Eight runs of 20 steps, all of them; at the start 2.7 is lost."""
    natural, vanilla = (lost(after(direction, runs=8, unit=10.0, updates=20, horizon=8), 8)
                        for direction in ("natural", "vanilla"))
    assert float(natural.max()) < 0.05 and float(vanilla.min()) > 0.5


def test_the_wrong_sign_unlearns():
    def upside_down(fisher, gradient, *, damping):
        assert fisher.shape == (2, 2) and gradient.shape == (2,)
        return -natural_gradient(fisher, gradient, damping=damping)

    start = lost(torch.tensor([[-0.2, -1.0]], dtype=double), 6)
    assert float(lost(after(updates=6), 6).max()) < 0.5 * float(start)
    assert float(lost(after(updates=6, natural=upside_down), 6).min()) > 1.5 * float(start)


def test_a_run_is_a_row_of_numbers_and_back():
    policy = walking(3)
    parameters = list(policy.parameters())
    flat = flatten(parameters).detach()
    assert flat.shape == (3, 6) and flat[1, :4].tolist() == policy_logits().flatten().tolist()
    write(parameters, flat + torch.arange(3.0)[:, None])
    assert torch.equal(flatten(parameters).detach(), flat + torch.arange(3.0)[:, None])


def test_the_linear_head_is_a_gaussian_in_any_unit():
    obs, noise = torch.tensor([[[0.5, -2.0]]]).double(), uniforms((1, 1, 1), generator(0, "noise"))
    for unit in (1.0, 10.0):
        head = LinearGaussianHead(2, 1, runs=1, gain=0.3, log_std=-0.7, unit=unit)
        normal = torch.distributions.Normal(*torch.tensor([0.3 * -1.5, exp(-0.7)], dtype=double))
        action = head.sample(obs, noise).detach()
        assert float(action) == pytest.approx(float(normal.icdf(noise.squeeze())), abs=1e-12)
        log_prob = float(normal.log_prob(action.squeeze()))
        assert float(head.log_prob(obs, action).detach()) == pytest.approx(log_prob, abs=1e-12)
        assert float(head.sample(obs).detach()) == pytest.approx(-0.45)
        assert head.theta[0, :, 0].tolist() == [0.3 / unit] * 2


def wrong(env=None, policy=None, **keywords):
    env = LinearGain() if env is None else env
    return train(source(env, **keywords), steering(env) if policy is None else policy, seed=0)


@pytest.mark.parametrize("call, words", [
    (lambda: Config(updates=0), "updates: expected a whole number of at least 1"),
    (lambda: Config(direction="steepest"), "direction: expected one of"),
    (lambda: Config(max_kl=0.0), "max_kl: expected a positive number"),
    (lambda: Config(damping=-1.0), "damping: expected a number of at least 0"),
    (lambda: Config(discount=2.0), "discount: expected a number in"),
    (lambda: wrong(runs=3), "policy: expected 3 runs"),
    (lambda: wrong(policy=walking(4)), "policy: expected actions in Box"),
    (lambda: wrong(environments=1), "source: expected at least two environments"),
    (lambda: wrong(two_rooms(), walking(4)), "source: expected a time limit"),
    (lambda: wrong(policy=Policy(steering(LinearGain()).head, LinearGain().action_space)), "keeps its actions"),
    (lambda: LinearGaussianHead(1, 1, runs=1, unit=0.0), "unit: expected a positive number"),
])
def test_bad_input_is_one_line_before_training_starts(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_step_that_is_not_finite_names_the_runs():
    calls = []

    def breaks_later(fisher, gradient, *, damping):
        calls.append(len(calls))
        return gradient / 0 if len(calls) == 6 else gradient  # in run 1 of the second update

    with pytest.raises(FloatingPointError, match=r"step: not finite at update 1 in runs \[1\]"):
        after(natural=breaks_later)
