"""Goal-conditioned cloning by samples, against the exact counts of `exact.goals`."""

import pytest
import torch

from rlcourse.algorithms.goal_cloning import Config, count_triples, pursue, train
from rlcourse.core.seeding import generator
from rlcourse.envs.goals import ferry, ferry_commands, ferry_travellers, goal_room, wanderer
from rlcourse.equations.imitation_goals import relabel
from rlcourse.exact.goals import reach_probability, relabelled_counts

ALWAYS = torch.ones(1, dtype=torch.float64)


def test_triples_are_counted_in_their_own_run():
    state = torch.tensor([[[0, 1], [1, 1]]])  # [M = 1, R = 2, N = 2]
    goal, action = torch.tensor([[[1, 1], [0, 0]]]), torch.tensor([[[0, 1], [1, 1]]])
    counts = count_triples((state, goal, action), num_states=2, num_actions=2)
    assert counts[0].tolist() == [[[0, 0], [0, 0]], [[1, 0], [0, 1]]]
    assert counts[1].tolist() == [[[0, 0], [0, 2]], [[0, 0], [0, 0]]]


def test_counts_agree_with_the_exact_ones():
    # One run of 20,000 wandering drives of 4 steps. Per drive a cell counts at most 4 + 3 + 2 + 1 = 10
    # triples, so its standard error is at most 10/√20000 = 0.07, and in fact far less; 0.1 is a safe
    # threshold for a right program, while a drive that is one step short is off by more than 0.2.
    room, horizon = goal_room(), 4
    snapshot, = train(room.mdp, wanderer(room), Config(rounds=1, drives=20_000, horizon=horizon), seed=0, runs=1)
    exact = relabelled_counts(room.mdp, wanderer(room)[None], ALWAYS, horizon)
    assert (snapshot.counts[0] / 20_000 - exact).abs().max() < 0.1
    late = relabelled_counts(room.mdp, wanderer(room)[None], ALWAYS, horizon - 1)
    assert (late - exact).abs().max() > 0.2


def test_drives_pursue_their_goal():
    told = torch.tensor([[1, 2, 1, 2]])
    states, actions = pursue(ferry(storm=0.0), ferry_travellers()[None], told, 1, generator(0, "drives"))
    assert actions.tolist() == [[[0, 1, 0, 1]]] and torch.equal(states[-1], told)


def test_eight_wanderers_learn_to_reach_goals_and_a_second_round_helps():
    room = goal_room()
    reached = [[float(reach_probability(room.mdp, policy, 20).mean()) for policy in snapshot.policy]
               for snapshot in train(room.mdp, wanderer(room), Config(), seed=0)]
    wandering = float(reach_probability(room.mdp, wanderer(room).expand(39, -1, -1), 20).mean())
    assert wandering < 0.25 and min(reached[0]) > 0.7 and min(reached[1]) > max(reached[0])


def test_luck_misleads_every_learner():
    # The ferry's clone takes the ferry to the village with probability 2/3: eight runs of 3,000 drives, of
    # which about 1,800 arrive there, have a standard error of 0.011; five of them are 0.056.
    snapshot, = train(ferry(), ferry_travellers(), Config(rounds=1, drives=3000, horizon=1), seed=0,
                      goal_probs=ferry_commands(0.8))
    assert torch.allclose(snapshot.policy[:, 1, 0, 1], torch.full((8,), 2 / 3, dtype=torch.float64), atol=0.056)


def test_a_students_relabelling_fits_the_socket():
    def last_state_only(states, actions):
        return states[:-1], states[-1:].expand_as(actions), actions

    config = Config(rounds=1, drives=10, horizon=5)
    all_pairs, = train(goal_room().mdp, wanderer(goal_room()), config, seed=0)
    fewer, = train(goal_room().mdp, wanderer(goal_room()), config, seed=0, relabel=last_state_only)
    assert all_pairs.counts[0].sum() == 10 * 15 and fewer.counts[0].sum() == 10 * 5


def test_wrong_input_gets_one_clear_line():
    room = goal_room()
    for call, message in ((lambda: Config(drives=0), "drives: expected a whole number"),
                          (lambda: train(room.mdp, wanderer(room)[:3], Config(), seed=0), "demonstrator: expected"),
                          (lambda: train(room.mdp, wanderer(room), Config(), seed=0, relabel=None), "relabel: expected"),
                          (lambda: train(room.mdp, wanderer(room), Config(), seed=0, goal_probs=ALWAYS),
                           "goal_probs: expected")):
        with pytest.raises(ValueError, match=message):
            call()


def test_relabel_and_counts_by_hand():
    # One drive 0 → 1 → 1 with actions 1, 0: triples (0, 1, 1) twice and (1, 1, 0).
    triples = relabel(torch.tensor([0, 1, 1]), torch.tensor([1, 0]))
    assert [part.tolist() for part in triples] == [[0, 0, 1], [1, 1, 1], [1, 1, 0]]
