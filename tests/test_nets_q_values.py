"""Networks for action values: twins that share nothing, runs that share nothing, and targets that follow."""

import copy

import pytest
import torch

from rlcourse.nets.mlp import MLP
from rlcourse.nets.optim import Adam, descend
from rlcourse.nets.q_values import DiscreteQNet, QNet, follow


def inputs(runs, batch=5):
    random = torch.Generator().manual_seed(0)
    return (torch.randn(runs, batch, 3, generator=random, dtype=torch.float64),
            torch.randn(runs, batch, 2, generator=random, dtype=torch.float64))


def test_each_critic_is_a_network_of_its_own_on_the_run_s_own_pairs():
    critic = QNet(3, 2, runs=3, seed=1, hidden=(7,))
    obs, action = inputs(3)
    q = critic(obs, action)
    assert q.shape == (3, 2, 5)
    weights, biases = critic.net.weights, critic.net.biases
    for run in range(3):
        for twin in range(2):
            row = 2 * run + twin
            hidden = torch.relu(torch.cat([obs[run], action[run]], -1) @ weights[0][row] + biases[0][row])
            assert torch.allclose(q[run, twin], (hidden @ weights[1][row] + biases[1][row])[:, 0], atol=1e-12)
    assert not torch.allclose(q[:, 0], q[:, 1])  # the twins begin differently


def test_the_first_runs_are_the_same_however_many_there_are_and_can_be_taken_out():
    obs, action = inputs(4)
    four, two = QNet(3, 2, runs=4, seed=1), QNet(3, 2, runs=2, seed=1)
    assert torch.equal(four(obs, action)[:2], two(obs[:2], action[:2]))
    alone = four.run(2)
    assert alone.runs == 1 and torch.allclose(alone(obs[2:3], action[2:3]), four(obs, action)[2:3])
    with torch.no_grad():
        alone.net.weights[0].zero_()
    assert float(four.net.weights[0][4].detach().abs().min()) > 0
    discrete = DiscreteQNet(3, 6, runs=4, seed=1)
    assert discrete(obs).shape == (4, 5, 6)
    assert torch.allclose(discrete.run(3)(obs[3:]), discrete(obs)[3:])


def test_the_values_are_differentiable_in_the_action():
    critic = QNet(3, 2, runs=2, seed=0, hidden=(4,), activation="tanh")
    obs, action = inputs(2)
    assert torch.autograd.gradcheck(lambda a: critic(obs, a), action.requires_grad_())


def test_a_target_follows_by_the_rate():
    target, source = DiscreteQNet(3, 2, runs=2, seed=0), DiscreteQNet(3, 2, runs=2, seed=1)
    before = [p.detach().clone() for p in target.parameters()]
    follow(target, source, 0.25)
    for old, new, ahead in zip(before, target.parameters(), source.parameters()):
        assert torch.allclose(new, 0.75 * old + 0.25 * ahead)
    follow(target, source, 1.0)
    assert all(torch.allclose(a, b) for a, b in zip(target.parameters(), source.parameters()))


def test_a_loss_through_another_network_moves_only_the_optimiser_s_own_parameters():
    actor = MLP((3, 2), runs=2, seed=0)
    critic = QNet(3, 2, runs=2, seed=0)
    obs, _ = inputs(2)
    before, kept = copy.deepcopy(actor), copy.deepcopy(critic)
    optimiser = Adam(actor.parameters(), 0.1)
    descend(optimiser, -critic(obs, actor(obs)).amin(1))
    assert all(p.grad is None for p in critic.parameters())
    assert all(torch.equal(a, b) for a, b in zip(critic.parameters(), kept.parameters()))
    assert all(not torch.equal(a, b) for a, b in zip(actor.parameters(), before.parameters()))
    with torch.no_grad():
        assert bool((critic(obs, actor(obs)).amin(1).mean(-1) > critic(obs, before(obs)).amin(1).mean(-1)).all())


@pytest.mark.parametrize("call, words", [
    (lambda: QNet(3, 2, runs=0, seed=0), "runs: expected a whole number of at least 1, got 0"),
    (lambda: QNet(3, 2, runs=1, critics=0, seed=0), "critics: expected a whole number of at least 1"),
    (lambda: QNet(3, 2, runs=2, seed=0)(*inputs(3)), r"obs: expected shape \[2, B, 3\]"),
    (lambda: QNet(3, 2, runs=2, seed=0).run(2), "r: expected a run from 0 to 1, got 2"),
    (lambda: follow(MLP((1, 1), runs=1, seed=0), MLP((1, 1), runs=1, seed=1), 1.5), "polyak_rate: expected a number"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call()
