"""Long-run distributions and the two lemmas of F7, on random problems and on cases by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_problems import random_mdp, random_policy, random_rows

from rlcourse.core.seeding import generator
from rlcourse.envs.maps import four_rooms
from rlcourse.envs.tabular import TabularMDP
from rlcourse.equations.foundations import expected_reward
from rlcourse.exact.enumeration import enumerate_trajectories
from rlcourse.exact.evaluation import finite_horizon_values, policy_evaluation, policy_iteration, q_from_value
from rlcourse.exact.lemmas import (
    expected_advantage, finite_expected_advantage, mixed_model, performance_gap, simulation_bound,
    simulation_gap, simulation_identity,
)
from rlcourse.exact.propagation import state_marginals, total_variation
from rlcourse.exact.stationary import discounted_occupancy, stationary_distribution

SEEDS = st.integers(0, 2 ** 32 - 1)
EXACT = dict(rtol=0, atol=1e-10)
few = settings(max_examples=25, deadline=None)
ONE_ACTION = torch.ones(2, 1, dtype=torch.float64)


def chain_of_two(p: float, q: float) -> TabularMDP:
    """0 → 1 with probability p, 1 → 0 with probability q; state 1 pays 1."""
    probs = torch.tensor([[[1 - p, p]], [[q, 1 - q]]], dtype=torch.float64)
    return TabularMDP(probs, torch.tensor([[0.0], [1.0]], dtype=torch.float64),
                      torch.tensor([1.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize("p, q", [(0.3, 0.1), (0.5, 0.5), (1.0, 1.0), (0.2, 0.0)])
def test_stationary_distribution_by_hand(p, q):
    """(q, p)/(p + q): also for the chain of period two, and for one that ends in state 1."""
    found = stationary_distribution(chain_of_two(p, q), ONE_ACTION)
    torch.testing.assert_close(found, torch.tensor([q, p], dtype=torch.float64) / (p + q), **EXACT)


def test_a_periodic_chain_has_an_average_but_no_limit():
    mdp = chain_of_two(1.0, 1.0)
    marginals = state_marginals(mdp, ONE_ACTION, 101)
    assert float((marginals[-1] - marginals[-2]).abs().max()) == 1.0
    torch.testing.assert_close(marginals.mean(0), stationary_distribution(mdp, ONE_ACTION), **EXACT)


@few
@given(SEEDS)
def test_stationary_distribution_is_the_limit(seed):
    mdp, policy = random_mdp(seed, zeros=0.0), random_policy(seed)
    stationary = stationary_distribution(mdp, policy)
    marginals = state_marginals(mdp, policy, 2000)
    torch.testing.assert_close(marginals[-1], stationary, rtol=0, atol=1e-9)
    step_reward = expected_reward(marginals, policy, mdp.reward_table)
    average = float(expected_reward(stationary, policy, mdp.reward_table))
    assert float(step_reward[-1]) == pytest.approx(average, abs=1e-8)


def test_two_recurrent_classes_are_refused():
    with pytest.raises(ValueError, match="policy: expected a chain with one recurrent class"):
        stationary_distribution(chain_of_two(0.0, 0.0), ONE_ACTION)


@few
@given(SEEDS, st.floats(0, 0.9))
def test_occupancy_is_the_sum_over_time(seed, discount):
    mdp, policy = random_mdp(seed), random_policy(seed)
    occupancy = discounted_occupancy(mdp, policy, discount)
    marginals = state_marginals(mdp, policy, 400)
    weights = (1 - discount) * discount ** torch.arange(401, dtype=torch.float64)
    torch.testing.assert_close(occupancy, weights @ marginals, **EXACT)
    assert float(occupancy.sum()) == pytest.approx(1.0, abs=1e-10)
    objective = float(mdp.initial @ policy_evaluation(mdp, policy, discount))
    reward = float(expected_reward(occupancy, policy, mdp.reward_table))
    assert reward == pytest.approx((1 - discount) * objective, abs=1e-10)


@pytest.mark.parametrize("seed", range(50))
def test_performance_difference_on_random_problems(seed):
    mdp = random_mdp(seed, states=5, actions=3)
    new, old = (random_policy(seed, 5, 3, name, zeros=0.2) for name in ("new", "old"))
    for discount in (0.0, 0.5, 0.95):
        left, right = (side(mdp, new, old, discount) for side in (performance_gap, expected_advantage))
        assert left == pytest.approx(right, abs=1e-10)


def test_pitfall_advantages_where_the_old_policy_goes():
    """The negative control: weighting by the *old* occupancy is only right to first order."""
    mdp, old, new = random_mdp(1, zeros=0.0), random_policy(1, name="old"), random_policy(1, name="new")

    def wrong(new):
        value = policy_evaluation(mdp, old, 0.9)
        by_state = (new * (q_from_value(mdp, value, 0.9) - value[:, None])).sum(-1)
        return float(discounted_occupancy(mdp, old, 0.9) @ by_state) / 0.1

    errors = []
    for share in (1.0, 0.1, 0.01):
        mixed = (1 - share) * old + share * new
        errors.append(abs(wrong(mixed) - performance_gap(mdp, mixed, old, 0.9)))
    assert errors[0] > 1e-2
    assert errors[1] / errors[2] == pytest.approx(100, rel=0.2)


@few
@given(SEEDS, st.integers(1, 4))
def test_finite_horizon_performance_difference(seed, horizon):
    """Against the average over all trajectories of both policies."""
    mdp = random_mdp(seed)
    new, old = (random_policy(seed, name=name) for name in ("new", "old"))
    returns = []
    for policy in (new, old):
        paths = enumerate_trajectories(mdp, policy, horizon)
        returns.append(float(paths.prob @ paths.reward.sum(-1)))
    gap = finite_expected_advantage(mdp, new, old, horizon)
    assert gap == pytest.approx(returns[0] - returns[1], abs=1e-10)
    by_step = torch.stack([random_policy(seed, name=f"step {t}") for t in range(horizon)])
    difference = mdp.initial @ (finite_horizon_values(mdp, by_step, horizon)[0][0]
                                - finite_horizon_values(mdp, old, horizon)[0][0])
    gap = finite_expected_advantage(mdp, by_step, old, horizon)
    assert gap == pytest.approx(float(difference), abs=1e-10)


def wrong_model(mdp, seed, share):
    states, actions = mdp.num_states, mdp.num_actions
    return mixed_model(mdp, random_rows((states, actions, states), generator(seed, "model"), 0.3), share)


@pytest.mark.parametrize("seed", range(50))
def test_simulation_lemma_on_random_problems(seed):
    mdp, policy = random_mdp(seed, states=5, actions=3), random_policy(seed, 5, 3)
    random = generator(seed, "reward error")
    for share in (0.02, 0.3):
        blurred = wrong_model(mdp, seed, share)
        noise = share * torch.randn(5, 3, generator=random, dtype=torch.float64)
        model = TabularMDP(blurred.transition_probs, mdp.reward_table + noise, mdp.initial)
        for discount in (0.0, 0.5, 0.95):
            gap = simulation_gap(mdp, model, policy, discount)
            torch.testing.assert_close(simulation_identity(mdp, model, policy, discount), gap, **EXACT)
            assert float(gap.abs().max()) <= simulation_bound(mdp, model, discount) + 1e-12


def test_simulation_bound_is_nearly_reached():
    """State 1 pays 1 for ever; the model leaks out of it with probability ε. The exact gap by hand.

    True V(1) = 1/(1−γ). In the model state 0 absorbs and pays 0, so V̂(1) = 1/(1 − γ(1−ε)), and
    the gap is γε / ((1−γ)(1−γ+γε)): the bound γε/(1−γ)² up to the factor 1/(1 + γε/(1−γ)).
    """
    truth, discount, leak = chain_of_two(0.0, 0.0), 0.9, 0.001
    model = chain_of_two(0.0, leak)
    gap = float(-simulation_gap(truth, model, ONE_ACTION, discount)[1])
    by_hand = discount * leak / ((1 - discount) * (1 - discount + discount * leak))
    assert gap == pytest.approx(by_hand, rel=1e-9)
    bound = simulation_bound(truth, model, discount)
    assert bound == pytest.approx(discount * leak / (1 - discount) ** 2, rel=1e-9)
    assert gap / bound == pytest.approx(1 / (1 + discount * leak / (1 - discount)), rel=1e-9)


def test_mixed_model_is_off_by_its_share_at_most():
    mdp = four_rooms(slip=0.2).mdp
    other = torch.full_like(mdp.transition_probs, 1 / mdp.num_states)
    model = mixed_model(mdp, other, 0.05)
    error = total_variation(model.transition_probs, mdp.transition_probs)
    assert 0.04 < float(error.max()) <= 0.05
    assert float(error[mdp.terminal].abs().max()) == 0.0


def test_a_policy_that_is_best_in_the_model_loses_at_most_twice_the_gap():
    """J(π*) − J(π̂) ≤ 2 max_π ‖V̂^π − V^π‖∞, and planning in the truth's own model loses nothing."""
    mdp = random_mdp(7, states=6, actions=3)
    model, discount = wrong_model(mdp, 7, 0.2), 0.9
    best, planned = (policy_iteration(problem, discount)[0] for problem in (mdp, model))
    loss = (policy_evaluation(mdp, best, discount) - policy_evaluation(mdp, planned, discount)).max()
    assert -1e-10 <= float(loss) <= 2 * simulation_bound(mdp, model, discount)
    with pytest.raises(ValueError, match="model: expected 6 states and 3 actions, got \\(3, 2\\)"):
        simulation_bound(mdp, random_mdp(0), discount)
