"""The imitation equations, their worlds and the tabular learners, against independent oracles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from rlcourse.algorithms.dagger import dagger
from rlcourse.algorithms.tabular_imitation import Config, count_labels, drive, train
from rlcourse.core.seeding import generator
from rlcourse.envs import lane, tightrope
from rlcourse.envs.random_problems import random_deterministic_policy, random_mdp
from rlcourse.envs.tabular import TabularMDP
from rlcourse.equations.imitation import (clone, cloning_loss, dagger_bound, distribution_shift_bound,
                                          expectation_bound, imperfect, most_frequent_action, no_recovery_cost,
                                          noisy_expert)
from rlcourse.exact.evaluation import finite_horizon_values
from rlcourse.exact.propagation import exact_cost, state_marginals, total_variation

double = torch.float64
rates = st.floats(1e-4, 1.0)


def test_the_clone_is_what_an_optimiser_finds():
    counts = torch.tensor([[3.0, 1.0, 0.5], [0.2, 5.0, 2.0]], dtype=double)

    def loss(logits):
        return float(cloning_loss(torch.softmax(torch.tensor(logits.reshape(2, 3)), -1), counts))

    found = minimize(loss, np.zeros(6), tol=1e-12)
    best = torch.softmax(torch.tensor(found.x.reshape(2, 3)), -1)
    cloned = clone(counts, torch.tensor([1.0, 0.0, 0.0], dtype=double))
    assert torch.allclose(cloned, best, atol=1e-5)
    assert float(cloning_loss(cloned, counts)) <= found.fun + 1e-12


def test_where_the_data_are_silent():
    counts = torch.tensor([[0.0, 0.0], [1.0, 3.0]], dtype=double)
    fallback = most_frequent_action(counts)
    assert fallback.tolist() == [0.0, 1.0]
    assert clone(counts, fallback).tolist() == [[0.0, 1.0], [0.25, 0.75]]
    assert float(cloning_loss(torch.tensor([[0.5, 0.5], [1.0, 0.0]], dtype=double), counts)) == float("inf")


@settings(max_examples=50, deadline=None)
@given(rates, st.integers(1, 300))
def test_no_recovery_cost_equals_the_sum_by_first_mistake(epsilon, horizon):
    by_first_mistake = sum((1 - epsilon) ** k * epsilon * (horizon - k) for k in range(horizon))
    got = no_recovery_cost(torch.tensor(epsilon, dtype=double), torch.tensor(horizon))
    assert float(got) == pytest.approx(by_first_mistake, rel=1e-9, abs=1e-12)


def test_no_recovery_cost_by_hand():
    # ε = 1/2, T = 2: ½·2 + ½·½·1 = 1.25
    assert float(no_recovery_cost(torch.tensor(0.5, dtype=double), torch.tensor(2))) == pytest.approx(1.25)
    assert float(no_recovery_cost(torch.tensor(0.0, dtype=double), torch.tensor(9))) == 0.0
    assert float(no_recovery_cost(torch.tensor(1.0, dtype=double), torch.tensor(9))) == 9.0


@settings(max_examples=30, deadline=None)
@given(rates, st.integers(1, 60))
def test_the_final_rope_costs_exactly_what_proof_a_allows(epsilon, horizon):
    walks = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=double)
    learner = imperfect(walks, torch.tensor([True, False]), epsilon)
    marginals = state_marginals(tightrope.tightrope(False), learner, horizon)
    total = exact_cost(marginals, learner, tightrope.mistake_cost(False)).sum()
    bound = no_recovery_cost(torch.tensor(epsilon, dtype=double), torch.tensor(horizon))
    assert float(total) == pytest.approx(float(bound), rel=1e-9)


def test_slope_two_where_it_should_be_and_one_beyond():
    def slope(epsilon, horizon):
        pair = no_recovery_cost(torch.tensor(epsilon, dtype=double), torch.tensor([horizon, 2 * horizon]))
        return float(torch.log2(pair[1] / pair[0]))

    assert slope(1e-5, 1000) == pytest.approx(2.0, abs=0.01)  # εT = 0.01
    assert slope(0.1, 1000) == pytest.approx(1.0, abs=0.02)  # εT = 100


def off_path_fool(seed, states=100, horizon=6):
    """A problem, its expert, and a learner that errs a little where the expert goes and always elsewhere.

    Odd seeds err at rates that differ from state to state, even ones at one rate.
    """
    mdp = random_mdp(states, 3, seed=seed, successors=2)
    teacher = random_deterministic_policy(states, 3, seed=seed)
    expected = state_marginals(mdp, teacher, horizon)
    on_path = expected[:-1].sum(0) > 0
    rates = 0.2 * torch.rand(states, generator=generator(seed, "rates"), dtype=double)
    error = torch.where(on_path, rates if seed % 2 else rates[0], 1.0)
    learner = (1 - error)[:, None] * teacher + error[:, None] * (1 - teacher) / 2
    return mdp, teacher, learner, expected, error[on_path].max()


def test_both_bounds_hold_on_random_problems_and_are_nearly_reached():
    """The learner knows nothing off the expert's path: without that, any bound above εT would pass."""
    horizon, ratios = 6, []
    for seed in range(100):
        mdp, teacher, learner, expected, largest = off_path_fool(seed)
        own = state_marginals(mdp, learner, horizon)
        mistakes = exact_cost(own, learner, 1 - teacher).sum()
        in_expectation = exact_cost(expected, learner, 1 - teacher).max()
        steps = torch.tensor(horizon)
        allowed = distribution_shift_bound(in_expectation, torch.arange(horizon + 1))
        ratios.append([float(mistakes / no_recovery_cost(largest, steps)),
                       float(mistakes / expectation_bound(in_expectation, steps)),
                       float((total_variation(own, expected)[1:] / allowed[1:]).max())])
    largest_ratios = torch.tensor(ratios).max(0).values
    assert bool((largest_ratios <= 1 + 1e-9).all())
    assert bool((largest_ratios > torch.tensor([0.7, 0.6, 0.99])).all())


def test_the_bounds_are_tight_on_two_ropes_and_the_mixture_is_wrong():
    epsilon = 0.2
    errs = torch.tensor([[2 * epsilon, 0.0, 0.0], [0.0, 2 * epsilon, 0.0]], dtype=double)
    learner = torch.stack([1 - errs, errs], -1)
    teacher = torch.tensor([[1.0, 0.0]] * 3, dtype=double)
    shift = total_variation(state_marginals(tightrope.two_ropes(), learner, 2),
                            state_marginals(tightrope.two_ropes(), teacher, 2))
    assert shift.tolist() == pytest.approx([0.0, epsilon, 2 * epsilon], abs=1e-14)  # equality in proof B
    assert float(shift[2]) > 1 - (1 - epsilon) ** 2 + 0.01  # what the mixture would allow
    cost = -tightrope.two_ropes().reward_table
    total = exact_cost(state_marginals(tightrope.two_ropes(), learner, 2), learner, cost).sum()
    bound = expectation_bound(torch.tensor(epsilon, dtype=double), torch.tensor(2))
    assert float(total) == pytest.approx(3 * epsilon) == float(bound)  # ε, then ε + ε: equality here too


def test_cost_is_at_most_recoverability_times_own_error():
    """For costs that are not the mistake itself; random rewards serve as costs."""
    horizon, ratios = 6, []
    for seed in range(100):
        mdp, teacher, learner, _, _ = off_path_fool(seed)
        cost = mdp.reward_table
        values, q_values = finite_horizon_values(mdp, teacher, horizon, reward_table=cost)
        u = float((q_values - values[:-1, :, None]).max())
        own = state_marginals(mdp, learner, horizon)
        own_error = exact_cost(own, learner, 1 - teacher).mean()
        gap = exact_cost(own, learner, cost).sum() - (mdp.initial * values[0]).sum()
        ratios.append(float(gap / dagger_bound(own_error, torch.tensor(horizon), u)))
    assert max(ratios) <= 1 and max(ratios) > 0.1


def test_the_dagger_bound_is_met_where_every_mistake_costs_the_same():
    """One state, two actions, a mistake costs 5: J = 5 · 0.3 · 10 = 15 by hand, and u = 5."""
    world = TabularMDP(torch.ones(1, 2, 1, dtype=double), torch.zeros(1, 2, dtype=double), torch.ones(1, dtype=double))
    cost, teacher = torch.tensor([[0.0, 5.0]], dtype=double), torch.tensor([[1.0, 0.0]], dtype=double)
    learner = imperfect(teacher, torch.tensor([True]), 0.3)
    values, q_values = finite_horizon_values(world, teacher, 10, reward_table=cost)
    u = float((q_values - values[:-1, :, None]).max())
    total = float(exact_cost(state_marginals(world, learner, 10), learner, cost).sum())
    bound = float(dagger_bound(torch.tensor(0.3, dtype=double), torch.tensor(10), u))
    assert u == 5.0 and total == pytest.approx(15.0) == bound


def test_noise_reaches_further_and_keeps_the_distribution_whole():
    noisy = noisy_expert(lane.expert_policy(), 0.3)
    assert torch.allclose(noisy.sum(-1), torch.ones(13, dtype=double))
    assert float(noisy[0, lane.LEFT]) == pytest.approx(0.1)
    support = [int((state_marginals(lane.lane(), p, 50)[-1] > 0).sum()) for p in (lane.expert_policy(), noisy)]
    assert support == [3, 13]


def test_the_lane_is_symmetric_and_its_expert_never_leaves_the_crown_far():
    world = lane.lane()
    mirrored = world.transition_probs.flip(0, 1, 2)
    assert torch.allclose(world.transition_probs, mirrored)
    # One cell right of the crown, steering left: the gust decides. By hand with wind 0.3:
    row = world.transition_probs[6 + 1, lane.LEFT]
    assert [float(row[i]) for i in (5, 6, 7)] == pytest.approx([0.15, 0.7, 0.15])
    # Three cells right, straight: camber 0.5 rolls out, gusts of 0.15 each side.
    row = world.transition_probs[6 + 3, lane.STRAIGHT]
    assert [float(row[i]) for i in (8, 9, 10, 11)] == pytest.approx([0.075, 0.425, 0.425, 0.075])


def test_labels_are_counted_in_their_own_run():
    states = torch.tensor([[[0, 1], [2, 2]], [[0, 0], [1, 2]]])  # [T = 2, R = 2, N = 2]
    labels = torch.tensor([[[1, 0], [0, 1]], [[1, 0], [0, 0]]])
    counts = count_labels(states, labels, num_states=3, num_actions=2)
    assert counts[0].tolist() == [[1, 2], [1, 0], [0, 0]]
    assert counts[1].tolist() == [[0, 0], [1, 0], [2, 1]]


def test_drives_visit_what_propagation_says():
    # 20,000 drives: 8 standard errors are 8·√(0.25/20000) = 0.028; a right simulator does not fail.
    policy = imperfect(lane.expert_policy(), torch.ones(13, dtype=torch.bool), 0.2)
    states = drive(lane.lane(), policy[None], 20_000, 6, generator(0, "drives"))
    share = torch.bincount(states[-1, 0], minlength=13).double() / 20_000
    assert torch.allclose(share, state_marginals(lane.lane(), policy, 5)[-1], atol=0.028)


def learn(problem, teacher, cost, **settings):
    config = Config(rounds=8, **settings)
    return [[float(exact_cost(state_marginals(problem, p, 100), p, cost).sum()) for p in snapshot.policy]
            for snapshot in train(problem, teacher, config, seed=0)]


def test_dagger_reaches_the_linear_cost_on_the_rope_with_a_way_back_and_nothing_helps_on_the_other():
    teacher, worst = tightrope.expert_policy(), float(no_recovery_cost(torch.tensor(0.01, dtype=double), torch.tensor(100)))
    climbs = learn(tightrope.tightrope(True), teacher, tightrope.mistake_cost(True))
    assert climbs[0] == pytest.approx([worst] * 8) and climbs[-1] == pytest.approx([1.0] * 8)
    final = learn(tightrope.tightrope(False), teacher, tightrope.mistake_cost(False))
    assert final[-1] == pytest.approx([worst] * 8)
    cloned = learn(tightrope.tightrope(True), teacher, tightrope.mistake_cost(True), learner_drives=False)
    assert cloned[-1] == pytest.approx([worst] * 8)


def test_dagger_beats_cloning_on_the_lane_for_every_learner():
    costs = learn(lane.lane(), lane.expert_policy(), lane.mistake_cost())
    cloned = learn(lane.lane(), lane.expert_policy(), lane.mistake_cost(), learner_drives=False)
    assert max(costs[-1]) < 1.2 < 10 < min(cloned[-1])


def test_the_same_seed_the_same_learners_and_another_seed_others():
    def last(seed):
        return list(train(lane.lane(), lane.expert_policy(), Config(rounds=2), seed=seed))[-1].counts

    assert torch.equal(last(0), last(0)) and not torch.equal(last(0), last(1))


def test_the_loop_hands_everything_to_fit_and_the_learner_to_collect():
    seen = []

    def collect(policy):
        seen.append(policy)
        return f"states of {policy}"

    policies = list(dagger(2, collect, lambda states: f"labels of {states}", lambda data: tuple(data)))
    assert seen == [None, policies[0], policies[1]]
    assert [len(p) for p in policies] == [1, 2, 3] and policies[2][:2] == policies[1]
    assert all(labels == f"labels of {states}" for states, labels in policies[2])


def test_a_students_loop_fits_the_socket():
    def forgetful(rounds, collect, label, fit):  # drops the earlier rounds
        policy = None
        for _ in range(rounds + 1):
            states = collect(policy)
            policy = fit([(states, label(states))])
            yield policy

    config = Config(rounds=3)
    kept = list(train(lane.lane(), lane.expert_policy(), config, seed=0))[-1].counts.sum()
    lost = list(train(lane.lane(), lane.expert_policy(), config, seed=0, dagger=forgetful))[-1].counts.sum()
    assert float(kept) == 4 * float(lost)


@pytest.mark.parametrize("call, message", [
    (lambda: clone(torch.tensor([[-1.0, 2.0]]), torch.tensor([1.0, 0.0])), "counts: expected numbers of at least 0"),
    (lambda: clone(torch.ones(2, 3), torch.ones(2)), r"fallback: expected shape \[..., 3\]"),
    (lambda: imperfect(torch.ones(2, 1), torch.ones(2).bool(), 0.1), "policy: expected at least two actions"),
    (lambda: noisy_expert(lane.expert_policy(), 1.5), r"noise: expected a number in \[0, 1\], got 1.5"),
    (lambda: lane.lane(half_width=1), "half_width: expected a whole number of at least 3"),
    (lambda: dagger(-1, print, print, print), "rounds: expected a whole number of at least 0"),
    (lambda: dagger(1, None, print, print), "collect: expected a function, got NoneType"),
    (lambda: Config(episodes=0), "episodes: expected a whole number of at least 1"),
    (lambda: train(lane.lane(), torch.ones(13, 3), Config(), seed=0), "expert_policy: expected probabilities"),
])
def test_wrong_input_gets_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
