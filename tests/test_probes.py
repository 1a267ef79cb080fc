"""The probes hold what they promise (enumerated by hand), and `check` tells every known bug from a sound agent."""

import itertools
from dataclasses import fields

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.data.episodes import episodes
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.linear_gain import LinearGain
from rlcourse.envs.probes import PROBES, Probe, ProbeDynamics
from rlcourse.exact import linear_gain

NAMES = [probe.name for probe in PROBES]


def value_of(probe, start, plan):
    """The discounted return of an episode, step by step."""
    state, total, weight = torch.tensor(start, dtype=torch.float64), 0.0, 1.0
    for t in range(10):
        step = probe.dynamics.step(state, torch.tensor(plan[t % len(plan)]))
        total, weight, state = total + weight * step.reward.item(), weight * probe.discount, step.next_state
        if step.terminated:
            return total, t + 1
    raise AssertionError("no end")


@pytest.mark.parametrize("probe", PROBES, ids=NAMES)
def test_the_values_written_down_are_the_best_that_can_be_had(probe):
    # By enumeration of all plans from every start (coin, clock) with the observation coin + clock.
    coins = (-1.0, 1.0) if probe.dynamics.coin else (0.0,)
    starts = [(coin, float(clock)) for clock in range(probe.dynamics.steps) for coin in coins]
    assert [sum(start) for start in starts] == probe.obs[:, 0].tolist()
    for k, start in enumerate(starts):
        plans = list(itertools.product(range(probe.dynamics.actions), repeat=probe.dynamics.steps))
        values = {plan: value_of(probe, start, plan)[0] for plan in plans}
        assert max(values.values()) == probe.value[k].item()
        if probe.action is not None:
            assert max(values, key=values.get)[0] == probe.action[k].item()
            assert len(set(values.values())) == len(plans)  # there is a best one


@pytest.mark.parametrize("probe", PROBES, ids=NAMES)
def test_episodes_of_random_actions(probe):
    # 400 episodes; that one of two equally likely returns never comes has probability 2⁻³⁹⁹.
    source = DynamicsSource(probe.dynamics, 1, 400, random=generator(0, "probe"))
    tosses = generator(0, "actions")
    batch = episodes(source, lambda state: torch.randint(probe.dynamics.actions, (1, 400), generator=tosses))
    returns = {1.0} if probe.name in ("constant reward", "delayed reward") else {-1.0, 1.0}
    assert set((batch.reward * batch.valid).sum(0).flatten().tolist()) == returns
    assert batch.reward.shape[0] == probe.dynamics.steps
    assert not batch.truncated.any() and batch.terminated.any(0).all()
    assert set(batch.obs[batch.valid][:, 0].tolist()) == set(probe.obs[:, 0].tolist())


def test_the_coin_is_fair():
    # 10,000 tosses; a mean beyond ± 0.06 has probability 2e-9. Seed 0.
    state = PROBES[1].dynamics.initial_state(uniforms((10_000, 1), generator(0, "coin")))
    assert state[:, 0].abs().unique().tolist() == [1.0] and abs(state[:, 0].mean()) < 0.06


def sound(probe):
    """Values and policy of an agent that has learned everything, with a little noise left."""
    probs = torch.full((len(probe.obs), probe.dynamics.actions), 0.05, dtype=torch.float64)
    best = torch.zeros(len(probe.obs), dtype=torch.int64) if probe.action is None else probe.action
    probs[torch.arange(len(probe.obs)), best] = 1.0 - 0.05 * (probe.dynamics.actions - 1)
    return probe.value * 0.95, probs


def test_a_sound_agent_passes_all():
    for probe in PROBES:
        assert probe.check(*sound(probe)) is None and probe.check(probe.value) is None


# What a critic converges to with each bug, and the probes that must catch it: worked out by hand with γ = 0.5.
@pytest.mark.parametrize("bug, values, caught_by", [
    ("the critic learns nothing", [[0.0], [0.0, 0.0], [0.0, 0.0], [0.0], [0.0, 0.0]], [0, 1, 2, 3, 4]),
    # V = r + γV(first observation of the next episode), whose mean is V̄: V̄ = 1/(1 − γ) = 2 for a reward of 1.
    ("termination ignored", [[2.0], [-1.0, 1.0], [2 / 3, 4 / 3], [2.0], [2.0, 2.0]], [0, 2, 3, 4]),
    ("observations ignored", [[1.0], [0.0, 0.0], [0.75, 0.75], [1.0], [1.0, 1.0]], [1, 2]),
    ("no discount", [[1.0], [-1.0, 1.0], [1.0, 1.0], [1.0], [1.0, 1.0]], [2]),
    ("the reward of the step before", [[1.0], [-1.0, 1.0], [0.0, 0.0], [1.0], [1.0, 1.0]], [2]),
])
def test_each_bug_of_a_critic_is_caught(bug, values, caught_by):
    messages = [probe.check(torch.tensor(value)) for probe, value in zip(PROBES, values)]
    assert [k for k, message in enumerate(messages) if message is not None] == caught_by
    assert all(PROBES[k].look_at in messages[k] and messages[k].startswith(NAMES[k]) for k in caught_by)


def test_each_bug_of_a_policy_is_caught():
    wrong_sign = [1 - sound(PROBES[k])[1] for k in (3, 4)]
    assert "π(1|0) is 0.05 and should be nearly 1" in PROBES[3].check(None, wrong_sign[0])
    assert PROBES[4].check(None, wrong_sign[1]) is not None
    blind = torch.tensor([[0.05, 0.95], [0.05, 0.95]])      # right on average, wrong for one observation
    assert PROBES[4].check(PROBES[4].value, blind).count("should be") == 1
    assert PROBES[3].check(None, torch.tensor([[0.5, 0.5]])) is not None


def test_check_refuses_what_it_cannot_judge():
    with pytest.raises(ValueError, match="value: expected values or action_probs, got neither"):
        PROBES[0].check()
    with pytest.raises(ValueError, match=r"value: expected shape \[2\], got \[2, 1\]"):
        PROBES[1].check(torch.zeros(2, 1))
    with pytest.raises(ValueError, match="value: expected finite numbers"):
        PROBES[0].check(torch.tensor([float("nan")]))
    with pytest.raises(ValueError, match=r"action_probs: expected shape \[2, 2\]"):
        PROBES[4].check(None, torch.ones(2, 1))
    with pytest.raises(ValueError, match="action_probs: expected probabilities that sum to 1"):
        PROBES[3].check(None, torch.ones(1, 2))


def test_every_probe_is_complete_and_no_two_are_alike():
    assert {field.name for field in fields(Probe)} >= {"name", "look_at"} and len(set(NAMES)) == 5
    settings = {tuple(getattr(probe.dynamics, f.name) for f in fields(ProbeDynamics)) for probe in PROBES}
    assert len(settings) == 5 and len({probe.look_at for probe in PROBES}) == 5


# The linear problem of P9, against its closed form.

@pytest.mark.parametrize("gain, discount, horizon", [
    (-0.6, 0.9, 20), (0.3, 0.5, 6), (-1.0, 1.0, 3), (-2.1, 0.7, 10)])
def test_the_linear_problem_has_the_objective_of_the_closed_form(gain, discount, horizon):
    # Without noise in the actions the objective of a fixed start is one episode's discounted return.
    problem = LinearGain(start_low=1.5, start_high=1.5, horizon=horizon)
    source = DynamicsSource(problem, 1, 1, random=generator(0, "start"), dtype=torch.float64)
    batch = episodes(source, lambda state: gain * state)
    returned = sum(discount**t * batch.reward[t, 0, 0].item() for t in range(horizon))
    assert batch.reward.shape[0] == horizon and batch.truncated[-1].all() and not batch.terminated.any()
    assert problem.start_second_moment == pytest.approx(2.25, abs=1e-15)
    parameters = torch.tensor([gain, -40.0], dtype=torch.float64)
    right = linear_gain.objective(*parameters, discount=discount, horizon=horizon,
                                  start_second_moment=problem.start_second_moment)
    assert returned == pytest.approx(right.item(), rel=1e-12)


def test_the_linear_problems_start_is_uniform():
    problem = LinearGain(start_low=-0.5, start_high=2.0)
    # The mean of s² over a fine grid of uniforms is its integral to O(1/n²).
    grid = (torch.arange(2000, dtype=torch.float64)[:, None] + 0.5) / 2000
    start = problem.initial_state(grid)
    assert (start.min().item(), start.max().item()) == pytest.approx((-0.5, 2.0), abs=1e-3)
    assert start.square().mean().item() == pytest.approx(problem.start_second_moment, abs=1e-6)
    with pytest.raises(ValueError, match="start_low: expected at most start_high = 0.0, got 1.0"):
        LinearGain(start_low=1.0, start_high=0.0)
    with pytest.raises(ValueError, match="horizon: expected a whole number of at least 1, got 0"):
        LinearGain(horizon=0)
