"""Goal-conditioned cloning: exact counts against all trajectories, and both stories by hand."""

import itertools

import pytest
import torch
from random_problems import random_mdp, random_policy

from rlcourse.core.seeding import generator
from rlcourse.envs.goals import ferry, ferry_commands, ferry_travellers, goal_room, wanderer
from rlcourse.equations.imitation import clone
from rlcourse.exact.goals import commanded_counts, reach_probability, relabelled_counts

HALF = torch.full((2,), 0.5, dtype=torch.float64)
QUARTER = torch.full((4,), 0.25, dtype=torch.float64)
ALWAYS = torch.ones(1, dtype=torch.float64)


def all_paths(mdp, policy, horizon):
    """Every (states, actions, probability), by the product rule alone."""
    states, actions = range(mdp.num_states), range(mdp.num_actions)
    for path in itertools.product(states, repeat=horizon + 1):
        for acts in itertools.product(actions, repeat=horizon):
            prob = float(mdp.initial[path[0]])
            for t in range(horizon):
                prob *= float(policy[path[t], acts[t]] * mdp.transition_probs[path[t], acts[t], path[t + 1]])
            if prob > 0:
                yield path, acts, prob


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_relabelled_counts_equal_those_of_all_paths(seed, final):
    mdp, horizon = random_mdp(seed), 3
    demonstrators = torch.stack([random_policy(seed, name=name) for name in ("first", "second")])
    command = torch.tensor([0.3, 0.7], dtype=torch.float64)
    expected = torch.zeros(3, 3, 2, dtype=torch.float64)
    for c in range(2):
        for path, acts, prob in all_paths(mdp, demonstrators[c], horizon):
            for t in range(horizon):
                goals = path[-1:] if final else path[t + 1:]
                for goal in goals:
                    expected[goal, path[t], acts[t]] += command[c] * prob
    counts = relabelled_counts(mdp, demonstrators, command, horizon, final=final)
    assert torch.allclose(counts, expected, atol=1e-12)
    assert counts.sum() == pytest.approx(horizon if final else horizon * (horizon + 1) / 2)


def test_reach_probability_equals_that_of_all_paths():
    mdp, horizon = random_mdp(3), 3
    goal_policy = torch.stack([random_policy(3, name=f"goal {g}") for g in range(3)])
    expected = [sum(prob for path, _, prob in all_paths(mdp, goal_policy[g], horizon) if g in path) for g in range(3)]
    assert torch.allclose(reach_probability(mdp, goal_policy, horizon), torch.tensor(expected, dtype=torch.float64))
    assert torch.equal(reach_probability(mdp, goal_policy, 0), mdp.initial)


def test_commanded_counts_clone_the_demonstrators():
    mdp = ferry()
    counts = commanded_counts(mdp, ferry_travellers(), ferry_commands(), 1)
    assert counts.sum() == pytest.approx(1.0)
    policy = clone(counts, HALF)
    assert torch.equal(policy[1:, 0], ferry_travellers()[1:, 0])


def test_the_ferry_by_hand():
    # Of those who arrive at the village, 0.2 came by road and 0.8 · 0.5 by ferry: asked for the village, the
    # clone takes the ferry with 0.4 / 0.6 and arrives with 1/3 + 2/3 · 1/2. The travellers always arrive.
    mdp, travellers, command = ferry(), ferry_travellers(), ferry_commands()
    policy = clone(relabelled_counts(mdp, travellers, command, 1), HALF)
    assert torch.allclose(policy[1, 0], torch.tensor([1 / 3, 2 / 3], dtype=torch.float64))
    assert torch.allclose(reach_probability(mdp, policy, 1)[1:], torch.tensor([2 / 3, 1 / 2], dtype=torch.float64))
    assert reach_probability(mdp, travellers, 1)[1:].tolist() == [1.0, 0.5]


def test_every_further_round_of_relabelling_is_worse():
    # g' = ½ (0.2 g + 0.8) / (½ (0.2 g + 0.8) + 0.2 (1 − g)) for the share g of ferries on the way to the village.
    mdp, policy, command, share = ferry(), ferry_travellers(), ferry_commands(), 0.0
    for _ in range(12):
        policy = clone(relabelled_counts(mdp, policy, command, 1), HALF)
        by_ferry = 0.5 * (0.2 * share + 0.8)
        share = by_ferry / (by_ferry + 0.2 * (1 - share))
        assert policy[1, 0, 1] == pytest.approx(share)
    assert reach_probability(mdp, policy, 1)[1] == pytest.approx(0.5, abs=1e-3)


def test_without_luck_relabelling_misleads_nobody():
    mdp = ferry(storm=0.0)
    policy = clone(relabelled_counts(mdp, ferry_travellers(), ferry_commands(), 1), HALF)
    assert reach_probability(mdp, policy, 1)[1:].tolist() == [1.0, 1.0]


def test_relabelled_wandering_finds_the_goals():
    room = goal_room()
    walk = wanderer(room)
    assert room.mdp.num_states == 39
    everywhere = walk.expand(39, *walk.shape)
    policy = clone(relabelled_counts(room.mdp, walk[None], ALWAYS, 20), QUARTER)
    wandering, cloned = (reach_probability(room.mdp, p, 20).mean() for p in (everywhere, policy))
    assert wandering < 0.25 and cloned > 0.9
    # Conditioning on what came out never lowers the chance of a goal here: every goal is reached more often.
    assert (reach_probability(room.mdp, policy, 20) >= reach_probability(room.mdp, everywhere, 20)).all()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="^storm: expected"):
        ferry(storm=1.5)
    with pytest.raises(ValueError, match="^island: expected"):
        ferry_commands(1.2)
    with pytest.raises(ValueError, match="^command_probs: expected"):
        relabelled_counts(ferry(), ferry_travellers(), ALWAYS, 1)
    with pytest.raises(ValueError, match="^horizon: expected"):
        relabelled_counts(ferry(), ferry_travellers(), ferry_commands(), 0)
