"""Lecture 01: marginals, objectives, values and beliefs against oracles that share no code."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_problems import random_mdp, random_policy, random_pomdp, random_rows

from rlcourse.core.seeding import generator, uniforms
from rlcourse.equations.foundations import (
    bellman_backup, bellman_optimality_backup, bellman_q, belief_correct, belief_update,
    discounted_objective, expected_reward, finite_horizon_objective, next_marginal, transition_operator,
)
from rlcourse.envs.pomdp import corridor
from rlcourse.envs.tabular import TabularMDP, sample_index
from rlcourse.exact.belief import best_belief_value, policy_over_states
from rlcourse.exact.enumeration import enumerate_trajectories, final_state_posterior, sequence_posterior
from rlcourse.exact.evaluation import (
    finite_horizon_values, greedy_policy, policy_evaluation, policy_iteration, q_from_value, value_iteration,
)
from rlcourse.exact.propagation import state_marginals

SEEDS = st.integers(0, 2 ** 32 - 1)
EXACT = dict(rtol=0, atol=1e-10)
few = settings(max_examples=25, deadline=None)


def two_state_mdp():
    """Worked by hand below: stay or hop between two rooms; the second room pays 1."""
    transition_probs = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [1.0, 0.0]]], dtype=torch.float64)
    reward_table = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    return TabularMDP(transition_probs, reward_table, torch.tensor([1.0, 0.0], dtype=torch.float64))


def test_one_update_by_hand():
    mdp = two_state_mdp()
    policy = torch.tensor([[0.75, 0.25], [0.4, 0.6]], dtype=torch.float64)
    operator = transition_operator(mdp.transition_probs)
    assert float(operator[1, 0, 1]) == 0.8  # p(s' = 1 | s = 0, a = 1)
    first = next_marginal(operator, mdp.initial, policy)
    # 0.75 · 0.9 + 0.25 · 0.2 = 0.725 stays in room 0
    torch.testing.assert_close(first, torch.tensor([0.725, 0.275], dtype=torch.float64), **EXACT)
    # 0.725 · 0.725 + 0.275 · (0.4 · 0.5 + 0.6 · 1) = 0.745625
    second = next_marginal(operator, first, policy)
    torch.testing.assert_close(second, torch.tensor([0.745625, 0.254375], dtype=torch.float64), **EXACT)
    # E r = 0.275 · (0.4 · 1 + 0.6 · 2) = 0.44
    assert float(expected_reward(first, policy, mdp.reward_table)) == pytest.approx(0.44, abs=1e-12)


@few
@given(SEEDS, st.integers(0, 4))
def test_marginals_are_those_of_all_paths(seed, horizon):
    mdp, policy = random_mdp(seed), random_policy(seed)
    paths = enumerate_trajectories(mdp, policy, horizon)
    assert float(paths.prob.sum()) == pytest.approx(1.0, abs=1e-12)
    operator, marginal = transition_operator(mdp.transition_probs), mdp.initial
    propagated = state_marginals(mdp, policy, horizon)
    for t in range(horizon + 1):
        counted = [sum(float(p) for p, s in zip(paths.prob, paths.state[:, t]) if s == i) for i in range(3)]
        torch.testing.assert_close(marginal, torch.tensor(counted, dtype=torch.float64), **EXACT)
        torch.testing.assert_close(propagated[t], marginal, **EXACT)
        marginal = next_marginal(operator, marginal, policy)


@few
@given(SEEDS)
def test_enumeration_against_products_written_out(seed):
    """Every one of the 3³ · 2² products of probabilities, looked up one by one."""
    mdp, policy = random_mdp(seed), random_policy(seed)
    paths = enumerate_trajectories(mdp, policy, 2)
    found = {(*s.tolist(), *a.tolist()): (float(p), r.tolist())
             for s, a, p, r in zip(paths.state, paths.action, paths.prob, paths.reward)}
    total = 0
    for s0, s1, s2 in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist():
        for a0, a1 in torch.cartesian_prod(torch.arange(2), torch.arange(2)).tolist():
            prob = (mdp.initial[s0] * policy[s0, a0] * mdp.transition_probs[s0, a0, s1]
                    * policy[s1, a1] * mdp.transition_probs[s1, a1, s2])
            if prob == 0:
                assert (s0, s1, s2, a0, a1) not in found
                continue
            total += 1
            got, reward = found[s0, s1, s2, a0, a1]
            assert got == pytest.approx(float(prob), abs=1e-14)
            assert reward == [float(mdp.reward_table[s0, a0]), float(mdp.reward_table[s1, a1])]
    assert total == len(found)


def test_pitfall_swapped_indices_lose_mass():
    """The negative control: summing over the *next* state of T keeps no probability mass."""
    mdp, policy = two_state_mdp(), torch.tensor([[0.75, 0.25], [0.4, 0.6]], dtype=torch.float64)
    operator = transition_operator(mdp.transition_probs)
    right = next_marginal(operator, mdp.initial, policy)
    wrong = torch.einsum("ijk,i,ik->j", operator, mdp.initial, policy)
    assert float(right.sum()) == pytest.approx(1.0, abs=1e-12)
    assert float(wrong.sum()) == pytest.approx(1.35, abs=1e-12)  # 0.75 (0.9 + 0.5) + 0.25 (0.2 + 1)


def test_pitfall_actions_that_ignore_the_state():
    """The negative control: averaging the policy over states first gives other marginals."""
    mdp, policy = two_state_mdp(), torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    operator = transition_operator(mdp.transition_probs)
    marginal = torch.tensor([0.5, 0.5], dtype=torch.float64)
    blind = torch.einsum("ijk,j,k->i", operator, marginal, marginal @ policy)
    # right: ½ (0.9, 0.1) + ½ (1, 0); blind: every action half of the time in both rooms
    right = next_marginal(operator, marginal, policy)
    torch.testing.assert_close(right, torch.tensor([0.95, 0.05], dtype=torch.float64), **EXACT)
    torch.testing.assert_close(blind, torch.tensor([0.65, 0.35], dtype=torch.float64), **EXACT)


@few
@given(SEEDS, st.floats(0, 1))
def test_three_ways_to_one_objective(seed, discount):
    """Marginals forwards, values backwards, and the average over all trajectories."""
    mdp, policy, horizon = random_mdp(seed), random_policy(seed), 4
    marginals = state_marginals(mdp, policy, horizon)
    step_reward = expected_reward(marginals[:-1], policy, mdp.reward_table)
    paths = enumerate_trajectories(mdp, policy, horizon)
    for gamma, forwards in ((1.0, finite_horizon_objective(step_reward)),
                            (discount, discounted_objective(step_reward, discount=discount))):
        returns = sum(gamma ** t * paths.reward[:, t] for t in range(horizon))
        values, _ = finite_horizon_values(mdp, policy, horizon, discount=gamma)
        assert float(forwards) == pytest.approx(float(paths.prob @ returns), abs=1e-10)
        assert float(mdp.initial @ values[0]) == pytest.approx(float(paths.prob @ returns), abs=1e-10)


def test_objective_against_simulation():
    """40,000 simulated returns; a right expectation fails this with probability 6·10⁻⁷ (5 σ)."""
    mdp, policy, horizon, walkers = random_mdp(3), random_policy(3), 6, 40_000
    random = generator(11, "walkers")
    state = mdp.initial_state(uniforms((walkers, 1), random))
    returns, visits = torch.zeros(walkers, dtype=torch.float64), []
    for _ in range(horizon):
        visits.append(torch.bincount(state, minlength=3) / walkers)
        action = sample_index(policy[state], uniforms((walkers,), random))
        step = mdp.step(state, action, uniforms((walkers, 1), random))
        returns += step.reward
        state = step.next_state
    marginals = state_marginals(mdp, policy, horizon)[:-1]
    objective = finite_horizon_objective(expected_reward(marginals, policy, mdp.reward_table))
    error = float(returns.mean() - objective) / (float(returns.std()) / math.sqrt(walkers))
    assert abs(error) < 5
    # Eighteen frequencies, each within 6 standard errors: false failure below 18 · 2·10⁻⁹.
    standard_error = (marginals * (1 - marginals) / walkers).sqrt()
    assert bool(((torch.stack(visits) - marginals).abs() <= 6 * standard_error + 1e-12).all())


@few
@given(SEEDS, st.floats(0, 0.9))
def test_policy_evaluation_three_ways(seed, discount):
    """Linear solve, repeated backups, and the first terms of the sum over the future."""
    mdp, policy = random_mdp(seed), random_policy(seed)
    solved = policy_evaluation(mdp, policy, discount)
    tables = (mdp.transition_probs, mdp.reward_table)
    value = torch.zeros(3, dtype=torch.float64)
    for _ in range(300):
        value = bellman_backup(value, policy, *tables, discount=discount)
    torch.testing.assert_close(value, solved, rtol=0, atol=1e-9)
    torch.testing.assert_close(bellman_backup(solved, policy, *tables, discount=discount), solved, **EXACT)
    for start in range(3):
        from_here = torch.nn.functional.one_hot(torch.tensor(start), 3).double()
        paths = enumerate_trajectories(TabularMDP(*tables, from_here), policy, 3)
        rewards = sum(discount ** t * paths.reward[:, t] for t in range(3))
        returns = rewards + discount ** 3 * solved[paths.state[:, 3]]
        assert float(paths.prob @ returns) == pytest.approx(float(solved[start]), abs=1e-10)


def test_values_by_hand():
    """A chain s₀ → s₁ → s₁ …, reward 1 in s₁: V(s₁) = 1/(1−γ), V(s₀) = γ/(1−γ)."""
    transition_probs = torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]], dtype=torch.float64)
    mdp = TabularMDP(transition_probs, torch.tensor([[0.0], [1.0]], dtype=torch.float64),
                     torch.tensor([1.0, 0.0], dtype=torch.float64))
    value = policy_evaluation(mdp, torch.ones(2, 1, dtype=torch.float64), 0.9)
    torch.testing.assert_close(value, torch.tensor([9.0, 10.0], dtype=torch.float64), **EXACT)


@few
@given(SEEDS, st.floats(0, 0.95))
def test_both_backups_contract_by_the_discount(seed, discount):
    mdp, policy, random = random_mdp(seed), random_policy(seed), generator(seed, "values")
    first, second = torch.randn(2, 8, 3, generator=random, dtype=torch.float64)
    tables = (mdp.transition_probs, mdp.reward_table)
    before = (first - second).abs().max(-1).values
    for backup in (lambda v: bellman_backup(v, policy, *tables, discount=discount),
                   lambda v: bellman_optimality_backup(v, *tables, discount=discount)):
        after = (backup(first) - backup(second)).abs().max(-1).values
        assert bool((after <= discount * before + 1e-12).all())
    # And γ is the right factor, not merely a bound: a constant shift shrinks by exactly γ.
    shifted = bellman_optimality_backup(first + 1.0, *tables, discount=discount)
    unshifted = bellman_optimality_backup(first, *tables, discount=discount)
    torch.testing.assert_close(shifted - unshifted, torch.full_like(first, discount), **EXACT)


@few
@given(SEEDS, st.floats(0.1, 0.95))
def test_optimal_values_against_every_deterministic_policy(seed, discount):
    """2³ policies, each evaluated by a linear solve: the best of them in every state is V*."""
    mdp = random_mdp(seed)
    every = torch.cartesian_prod(*[torch.arange(2)] * 3)
    values = torch.stack([policy_evaluation(mdp, torch.nn.functional.one_hot(actions, 2).double(), discount)
                          for actions in every])
    best = values.max(0).values
    optimal, iterates = value_iteration(mdp, discount)
    torch.testing.assert_close(optimal, best, rtol=0, atol=1e-9)
    policy, _ = policy_iteration(mdp, discount)
    torch.testing.assert_close(policy_evaluation(mdp, policy, discount), best, rtol=0, atol=1e-9)
    one_step = bellman_optimality_backup(best, mdp.transition_probs, mdp.reward_table, discount=discount)
    torch.testing.assert_close(one_step, best, rtol=0, atol=1e-9)
    errors = torch.stack([(iterate - best).abs().max() for iterate in iterates])
    assert bool((errors[1:] <= discount * errors[:-1] + 1e-9).all())
    greedy = greedy_policy(bellman_q(best, mdp.transition_probs, mdp.reward_table, discount=discount))
    assert float((policy_evaluation(mdp, greedy, discount) - best).abs().max()) < 1e-9
    torch.testing.assert_close(q_from_value(mdp, best, discount).max(-1).values, best, rtol=0, atol=1e-9)


@few
@given(SEEDS)
def test_beliefs_are_the_brute_force_posterior(seed):
    """Filter along a simulated episode and compare with all 3ᵗ⁺¹ state sequences."""
    pomdp, random = random_pomdp(seed), generator(seed, "episode")
    state = pomdp.initial_state(uniforms((1,), random))
    seen, taken = [int(pomdp.observe(state, uniforms((1,), random)))], []
    belief = belief_correct(pomdp.initial, torch.tensor(seen[0]), pomdp.observation_probs)
    torch.testing.assert_close(belief, final_state_posterior(pomdp, taken, seen), **EXACT)
    for _ in range(3):
        action = torch.randint(2, (), generator=random)
        step = pomdp.step(state, action, uniforms((2,), random))
        state = step.next_state
        taken, seen = [*taken, int(action)], [*seen, int(step.next_obs)]
        belief = belief_update(belief, action, step.next_obs, pomdp.transition_probs, pomdp.observation_probs)
        torch.testing.assert_close(belief, final_state_posterior(pomdp, taken, seen), **EXACT)
        assert float(belief[state]) > 0


def test_a_belief_by_hand():
    """Two rooms, a move that works with 0.8, an observation that is right with 0.9."""
    transition_probs = torch.tensor([[[1.0, 0.0], [0.2, 0.8]], [[0.0, 1.0], [0.8, 0.2]]], dtype=torch.float64)
    observation_probs = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)
    belief = torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    action = observation = torch.tensor([0, 1])
    after = belief_update(belief, action, observation, transition_probs, observation_probs)
    # row 0: (0.5 · 0.9, 0.5 · 0.1) → (0.9, 0.1); row 1: (0.2 · 0.1, 0.8 · 0.9) = (0.02, 0.72) → (1, 36)/37
    want = torch.tensor([[0.9, 0.1], [1 / 37, 36 / 37]], dtype=torch.float64)
    torch.testing.assert_close(after, want, **EXACT)


@few
@given(SEEDS)
def test_predictions_average_to_the_truth(seed):
    """Σ_o p(o|b, a) b'(s') is the prediction without the observation: what Bayes' rule must keep."""
    pomdp = random_pomdp(seed, zeros=0.0)
    belief, action = random_rows((3,), generator(seed, "belief")), torch.tensor(1)
    prediction = belief @ pomdp.transition_probs[:, 1]
    evidence = prediction @ pomdp.observation_probs
    averaged = sum(evidence[o] * belief_update(belief, action, torch.tensor(o), pomdp.transition_probs,
                                               pomdp.observation_probs) for o in range(2))
    torch.testing.assert_close(averaged, prediction, **EXACT)


def test_sequence_posterior_by_hand():
    pomdp = corridor("ab", slip=0.0, blur=0.25)
    # seen a, go right, seen b: (0, 1) ∝ ½·¾·¾, (1, 1) ∝ ½·¼·¾
    assert sequence_posterior(pomdp, [1], [0, 1]) == pytest.approx({(0, 1): 0.75, (1, 1): 0.25}, abs=1e-12)


@pytest.mark.parametrize("call, message", [
    (lambda: transition_operator(torch.ones(2, 3)),
     r"transition_probs: expected shape \[S, A, S\], got \[2, 3\]"),
    (lambda: next_marginal(torch.ones(2, 2, 1), torch.ones(3), torch.ones(2, 1)), "marginal: expected shape"),
    (lambda: next_marginal(torch.ones(2, 2, 2), torch.ones(2), torch.ones(2, 2)), "sum to 1.*a sum of 2"),
    (lambda: belief_correct(torch.tensor([1.0, 0.0]), torch.tensor(1), torch.eye(2)),
     "observation: expected one that the belief allows, got probability 0"),
    (lambda: enumerate_trajectories(random_mdp(0), random_policy(0), 6, max_trajectories=50),
     "horizon: expected at most 50 trajectories"),
    (lambda: sequence_posterior(corridor("ab", blur=0.0), [0], [0]),
     "observation: expected 2 observations, got 1"),
    (lambda: discounted_objective(torch.ones(3), discount=1.5),
     r"discount: expected a number in \[0, 1\], got 1.5"),
])
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_memoryless_policies_are_policies_over_states():
    """0.9 · 1 + 0.1 · 0.25 = 0.925 and 0.2 · 1 + 0.8 · 0.25 = 0.4; then against simulation."""
    sight = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64)
    pomdp = replace(random_pomdp(2, states=2), observation_probs=sight)
    by_observation = torch.tensor([[1.0, 0.0], [0.25, 0.75]], dtype=torch.float64)
    want = torch.tensor([[0.925, 0.075], [0.4, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(policy_over_states(pomdp, by_observation), want, **EXACT)
    random, count = generator(2, "choices"), 60_000
    state = torch.arange(2)[:, None].expand(2, count)
    seen = pomdp.observe(state, uniforms((2, count, 1), random))
    chosen = sample_index(by_observation[seen], uniforms((2, count), random))
    shares = torch.nn.functional.one_hot(chosen, 2).double().mean(1)
    # Six standard errors of two frequencies: false failure below 10⁻⁸.
    assert float((shares - want).abs().max()) < 6 * math.sqrt(0.25 / count)


@few
@given(SEEDS, st.floats(0, 1))
def test_the_best_policy_with_memory_is_the_best_of_all(seed, discount):
    """All 2² · 2⁴ deterministic policies of two steps, a₀(o₀) and a₁(o₀, o₁), simulated exactly."""
    pomdp = random_pomdp(seed)
    best = -math.inf
    for first in product(range(2), repeat=2):
        for second in product(range(2), repeat=4):
            total = 0.0
            for s, o, t, p in product(range(3), range(2), range(3), range(2)):
                action, later = first[o], second[2 * o + p]
                prob = float(pomdp.initial[s] * pomdp.observation_probs[s, o]
                             * pomdp.transition_probs[s, action, t] * pomdp.observation_probs[t, p])
                total += prob * float(pomdp.reward_table[s, action] + discount * pomdp.reward_table[t, later])
            best = max(best, total)
    assert best_belief_value(pomdp, 2, discount) == pytest.approx(best, abs=1e-10)


def test_memory_is_worth_something_in_a_corridor():
    """lcGcr without chance, by hand. Full sight: from l, r two steps, from c one: (2·γ + 2·1)/4.

    With memory the first c is a guess: right half of the time, else two steps more (out and back).
    """
    pomdp, gamma = corridor("lcGcr", slip=0.0, blur=0.0), 0.9
    by_hand = (gamma + gamma + 1 + gamma ** 2) / 4
    assert best_belief_value(pomdp, 8, gamma) == pytest.approx(by_hand, abs=1e-10)
    seeing, _ = value_iteration(pomdp, gamma)
    assert float(pomdp.initial @ seeing) == pytest.approx((2 * gamma + 2) / 4, abs=1e-10)
