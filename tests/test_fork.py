"""The fork: both sides pass, the mean of both does not."""

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.experts import fork_expert
from rlcourse.envs.fork import Fork

FORK = Fork()


def drive(action_of, count=400, fork=FORK):
    state = fork.initial_state(uniforms((count, 1), generator(0, "start")))
    paths, total = [state], 0.0
    for t in range(fork.steps_to_tree):
        step = fork.step(paths[-1], action_of(paths[-1]))
        assert bool(step.terminated.all()) == (t == fork.steps_to_tree - 1)
        total = total + step.reward
        paths.append(step.next_state)
    return torch.stack(paths), total


def test_straight_on_hits_the_tree_and_either_side_passes():
    assert drive(lambda s: torch.zeros(len(s), 1, dtype=s.dtype))[1].sum() == 0
    for side in (-1.0, 1.0):
        assert drive(lambda s: torch.full((len(s), 1), side, dtype=s.dtype))[1].min() == 1


def test_expert_passes_on_both_sides_and_its_mean_does_not():
    # 400 tosses of a fair coin: the share of left turns is 0.5 with a standard error of 0.025; five of them
    # are 0.125, crossed less than once in a million by a fair coin.
    expert = fork_expert(FORK, generator(1, "tosses"))
    paths, total = drive(expert)
    assert total.min() == 1
    assert abs((paths[-1, :, 1] > 0).double().mean() - 0.5) < 0.125
    assert (paths[1:, :, 1].sign() == paths[-1, :, 1].sign()).all()      # one toss decides
    mean = torch.stack([expert(paths[0]) for _ in range(400)]).mean(0)
    assert mean.abs().max() < 0.25                                       # between full left and full right
    assert drive(lambda s: mean if s[0, 0] == 0 else torch.zeros_like(mean))[1].sum() == 0


def test_expert_is_markov_off_the_middle():
    state = torch.tensor([[3.0, 0.3], [3.0, -0.3], [5.0, 1.5], [0.0, 0.102]], dtype=torch.float64)
    expert = fork_expert(FORK, generator(2, "tosses"))
    for _ in range(20):
        action = expert(state)[:, 0]
        assert torch.allclose(action, torch.tensor([1.0, -1.0, 0.0, 1.0], dtype=torch.float64))


def test_one_step_by_hand():
    state, action = torch.tensor([7.0, 0.6], dtype=torch.float64), torch.tensor([0.8], dtype=torch.float64)
    step = FORK.step(state, action)
    assert torch.equal(step.next_state, torch.tensor([8.0, 1.0], dtype=torch.float64))
    assert step.reward == 1 and bool(step.terminated)
    near_miss = FORK.step(state, action - 0.01)
    assert near_miss.reward == 0 and bool(near_miss.terminated)
    assert FORK.transition(torch.tensor([0.0, 2.9]), torch.tensor([5.0])).tolist() == [1.0, 3.0]


@pytest.mark.parametrize("wrong, message", [({"tree_radius": 4.0}, "tree_radius"), ({"side_speed": 0.1}, "side_speed")])
def test_impossible_forks_are_refused(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}: expected"):
        Fork(**wrong)
