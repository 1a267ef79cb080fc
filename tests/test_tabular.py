"""TabularMDP, exact propagation and exact values, against enumeration and simulation."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.random_problems import random_deterministic_policy, random_mdp, random_policy
from rlcourse.envs.tabular import TabularMDP, sample_index
from rlcourse.exact.evaluation import (finite_horizon_values, policy_evaluation, policy_iteration, q_from_value,
                                       value_iteration)
from rlcourse.exact.propagation import exact_cost, state_marginals, total_variation

seeds = st.integers(0, 10_000)


def enumerate_paths(mdp, policy, horizon):
    """Every (s₀, a₀, …, s_T) with its probability, one product at a time."""
    states, actions = range(mdp.num_states), range(mdp.num_actions)
    for path in itertools.product(states, *([actions, states] * horizon)):
        probability = float(mdp.initial[path[0]])
        for t in range(horizon):
            s, a, s_next = path[2 * t:2 * t + 3]
            probability *= float(policy[s, a]) * float(mdp.transition_probs[s, a, s_next])
        yield path, probability


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_marginals_and_cost_equal_enumeration(seed):
    mdp, policy, horizon = random_mdp(3, 2, seed=seed), random_policy(3, 2, seed=seed), 3
    by_hand = torch.zeros(horizon + 1, 3, dtype=torch.float64)
    cost_by_hand = torch.zeros(horizon, dtype=torch.float64)
    for path, probability in enumerate_paths(mdp, policy, horizon):
        for t in range(horizon + 1):
            by_hand[t, path[2 * t]] += probability
        for t in range(horizon):
            cost_by_hand[t] += probability * mdp.reward_table[path[2 * t], path[2 * t + 1]]
    marginals = state_marginals(mdp, policy, horizon)
    assert torch.allclose(marginals, by_hand, atol=1e-13)
    assert torch.allclose(exact_cost(marginals, policy, mdp.reward_table), cost_by_hand, atol=1e-13)
    values, _ = finite_horizon_values(mdp, policy, horizon)
    assert torch.allclose((mdp.initial * values[0]).sum(), cost_by_hand.sum(), atol=1e-13)


def test_a_policy_that_changes_with_time():
    mdp = random_mdp(4, 3, seed=1)
    first, second = random_policy(4, 3, seed=1), random_policy(4, 3, seed=2)
    both = state_marginals(mdp, torch.stack([first, second]), 2)
    after_one = state_marginals(mdp, first, 1)[-1]
    restarted = TabularMDP(mdp.transition_probs, mdp.reward_table, after_one)
    assert torch.allclose(both[2], state_marginals(restarted, second, 1)[-1])
    forwards = exact_cost(both, torch.stack([first, second]), mdp.reward_table).sum()
    backwards, _ = finite_horizon_values(mdp, torch.stack([first, second]), 2)
    assert torch.allclose((mdp.initial * backwards[0]).sum(), forwards, atol=1e-14)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_total_variation_is_the_largest_difference_of_any_event(seed):
    p, q = (random_mdp(5, 1, seed=seed + i).initial for i in (0, 1))
    events = [list(event) for size in range(6) for event in itertools.combinations(range(5), size)]
    largest = max(float(p[event].sum() - q[event].sum()) for event in events)
    assert float(total_variation(p, q)) == pytest.approx(largest, abs=1e-14)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_linear_solve_equals_the_long_sum_and_policy_iteration_equals_value_iteration(seed):
    mdp, policy = random_mdp(4, 3, seed=seed), random_policy(4, 3, seed=seed)
    long_run, _ = finite_horizon_values(mdp, policy, 400, discount=0.9)
    assert torch.allclose(policy_evaluation(mdp, policy, 0.9), long_run[0], atol=1e-12)
    best, iterates = value_iteration(mdp, 0.9)
    optimal, policies = policy_iteration(mdp, 0.9)
    assert torch.allclose(policy_evaluation(mdp, optimal, 0.9), best, atol=1e-10)
    brute = torch.stack([policy_evaluation(mdp, torch.nn.functional.one_hot(torch.tensor(a), 3).double(), 0.9)
                         for a in itertools.product(range(3), repeat=4)]).max(0).values
    assert torch.allclose(best, brute, atol=1e-10)
    errors = [(v - best).abs().max() for v in iterates[:30]]
    assert all(after <= 0.9 * before + 1e-11 for before, after in zip(errors, errors[1:]))
    values = [policy_evaluation(mdp, p, 0.9) for p in policies]
    assert all(bool((after >= before - 1e-10).all()) for before, after in zip(values, values[1:]))


def test_policy_iteration_stops_at_ties():
    twins = TabularMDP(torch.ones(1, 3, 1).double(), torch.ones(1, 3).double(), torch.ones(1).double())
    _, policies = policy_iteration(twins, 0.9)
    assert len(policies) == 1


def test_policy_iteration_takes_the_first_of_equally_good_actions():
    # Action 0 pays most at once; 1 and 2 lead to where every step pays 1, and differ by less than rounding.
    to_pay = torch.tensor([[[1, 0], [0, 1], [0, 1]], [[0, 1]] * 3], dtype=torch.float64)
    reward = torch.tensor([[0.5, 0.1, 0.1 + 1e-14], [1, 1, 1]], dtype=torch.float64)
    policy, policies = policy_iteration(TabularMDP(to_pay, reward, torch.tensor([1.0, 0.0]).double()), 0.9)
    assert len(policies) == 2 and policies[0][0].tolist() == [1, 0, 0] and policy[0].tolist() == [0, 1, 0]


def test_sampling_follows_the_probabilities():
    # 200,000 draws: five standard errors of a frequency are at most 5·√(0.25/200000) = 0.0056, so a
    # correct sampler fails less than once in a million.
    probs = torch.tensor([0.1, 0.0, 0.6, 0.3, 0.0], dtype=torch.float64)
    draws = sample_index(probs, uniforms((200_000,), generator(0, "draws")))
    share = torch.bincount(draws, minlength=5) / 200_000
    assert torch.allclose(share.double(), probs, atol=0.0056)
    assert share[1] == 0 and share[4] == 0


def test_sampling_at_the_ends_never_draws_the_impossible():
    probs = torch.tensor([0.0, 0.5, 0.5, 0.0], dtype=torch.float64)
    assert sample_index(probs, torch.tensor([1e-300, 0.5, 1 - 2e-16], dtype=torch.float64)).tolist() == [1, 2, 2]
    short = torch.tensor([0.3, 0.7 - 1e-7, 0.0], dtype=torch.float64)  # a cdf that ends below 1
    assert int(sample_index(short, torch.tensor(1 - 1e-9, dtype=torch.float64))) == 1


def test_simulation_agrees_with_propagation():
    # 8 standard errors of 40,000 draws: 8·√(0.25/40000) = 0.02; false failure rate below 1e-13 per entry.
    mdp, policy = random_mdp(5, 2, seed=3), random_policy(5, 2, seed=3)
    random = generator(0, "simulation")
    state = mdp.initial_state(uniforms((40_000, 1), random))
    for _ in range(4):
        action = sample_index(policy[state], uniforms((40_000,), random))
        state, obs, reward, terminated = mdp.step(state, action, uniforms((40_000, 1), random))
    assert torch.equal(state, obs) and not bool(terminated.any())
    share = torch.bincount(state, minlength=5).double() / 40_000
    assert torch.allclose(share, state_marginals(mdp, policy, 4)[-1], atol=0.02)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_any_batch_shape(shape):
    mdp = random_mdp(4, 2, seed=0)
    state = mdp.initial_state(torch.full((*shape, 1), 0.5, dtype=torch.float64))
    step = mdp.step(state, torch.zeros(shape, dtype=torch.int64), torch.full((*shape, 1), 0.5, dtype=torch.float64))
    assert step.next_state.shape == step.reward.shape == step.terminated.shape == torch.Size(shape)


def test_wrong_tables_are_refused():
    good = random_mdp(3, 2, seed=0)
    with pytest.raises(ValueError, match=r"reward_table: expected shape \[3, 2\]"):
        TabularMDP(good.transition_probs, torch.zeros(3, 3).double(), good.initial)
    with pytest.raises(ValueError, match="transition_probs: expected probabilities that sum to 1"):
        TabularMDP(good.transition_probs * 0.9, good.reward_table, good.initial)
    with pytest.raises(ValueError, match="terminal: expected states that lead only to themselves"):
        TabularMDP(good.transition_probs, good.reward_table, good.initial,
                   terminal=torch.tensor([True, False, False]))
    with pytest.raises(ValueError, match="discount: expected a number in"):
        policy_evaluation(good, random_policy(3, 2, seed=0), 1.0)
    with pytest.raises(ValueError, match="horizon: expected a whole number"):
        state_marginals(good, random_policy(3, 2, seed=0), -1)
    with pytest.raises(ValueError, match=r"policy: expected shape \[4, 3, 2\], got \[1, 3, 2\]"):
        exact_cost(state_marginals(good, random_policy(3, 2, seed=0), 4), random_policy(3, 2, seed=0)[None],
                   good.reward_table)


def test_the_wrong_contraction_shows():
    """Negative control: without the discount, values of a rewarding loop do not settle."""
    loop = TabularMDP(torch.ones(1, 1, 1).double(), torch.ones(1, 1).double(), torch.ones(1).double())
    assert float(q_from_value(loop, torch.tensor([10.0]).double(), 1.0)) == 11.0
    assert float(value_iteration(loop, 0.9)[0]) == pytest.approx(10.0, abs=1e-11)


def test_deterministic_policies_differ_with_the_seed():
    policies = [random_deterministic_policy(6, 3, seed=s) for s in range(2)]
    assert all(bool((p.sum(-1) == 1).all()) and bool((p.max(-1).values == 1).all()) for p in policies)
    assert not torch.equal(*policies)
