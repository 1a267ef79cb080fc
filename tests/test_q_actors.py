"""Actors of action values: how often they take which action, greedy without noise, and the dueling network below."""

import math

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.core.spaces import Box, Discrete
from rlcourse.data.episodes import episodes, one_episode
from rlcourse.data.rollout import Actor, rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.nets.dueling import DuelingQNet
from rlcourse.nets.policies import one_hot
from rlcourse.nets.q_actors import Boltzmann, EpsilonGreedy
from rlcourse.nets.q_values import DiscreteQNet, follow


def with_values(values):
    """A network whose values are the rows [R, A] of `values` for every observation."""
    values = torch.tensor(values, dtype=torch.float64)
    net = DiscreteQNet(1, values.shape[1], runs=values.shape[0], seed=0, hidden=())
    with torch.no_grad():
        net.net.weights[0].zero_()
        net.net.biases[0].copy_(values[:, None])
    return net


def frequencies(actor, draws=30_000):
    """How often each action is taken [R, A]."""
    noise = uniforms((actor.runs, draws, actor.noise_size), generator(0, "frequencies"))
    action = actor.act(torch.zeros(actor.runs, draws, 1, dtype=torch.float64), noise)
    assert action.dtype == torch.int64 and action.shape == (actor.runs, draws)
    return torch.stack([torch.bincount(one, minlength=actor.action_space.n) for one in action]).double()


def chi_square(count, probs):
    expected = torch.tensor(probs, dtype=torch.float64) * count.sum()
    assert bool((count[expected == 0] == 0).all())
    some = expected > 0
    return float(((count - expected)[some] ** 2 / expected[some]).sum())


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 2 / 3, 1.0])
def test_epsilon_is_shared_by_the_actions_that_are_not_greedy(epsilon):
    # χ² with 2 degrees of freedom exceeds 18.4 with probability 1e-4. Seed 0, two runs, four values of ε.
    actor = EpsilonGreedy(with_values([[0.0, 2.0, 1.0], [5.0, 5.0, 5.0]]), Discrete(3), epsilon)
    count = frequencies(actor)
    other = epsilon / 2
    assert chi_square(count[0], [other, 1 - epsilon, other]) < 18.4
    assert chi_square(count[1], [1 - epsilon, other, other]) < 18.4  # of equal values the first is greedy


def test_five_actions_and_one():
    # χ² with 4 degrees of freedom: 23.5.
    count = frequencies(EpsilonGreedy(with_values([[0.0, 1.0, 2.0, 3.0, -1.0]]), Discrete(5), 0.5))
    assert chi_square(count[0], [0.125, 0.125, 0.125, 0.5, 0.125]) < 23.5
    assert bool((frequencies(EpsilonGreedy(with_values([[3.0]]), Discrete(1), 0.9)) == 30_000).all())


@pytest.mark.parametrize("temperature", [0.5, 4.0])
def test_boltzmann_weighs_by_the_exponential_of_the_values(temperature):
    values = [[0.0, 1.0, -2.0], [300.0, 300.0, 301.0]]
    count = frequencies(Boltzmann(with_values(values), Discrete(3), temperature))
    for run, row in enumerate(values):
        mass = [math.exp((value - max(row)) / temperature) for value in row]
        assert chi_square(count[run], [m / sum(mass) for m in mass]) < 18.4


def test_extreme_uniforms_stay_within_the_actions():
    obs = torch.zeros(1, 2, 1)
    ends = torch.tensor([2.0 ** -25, 1 - 2.0 ** -24])
    for actions in (2, 3, 7):
        net = DiscreteQNet(1, actions, runs=1, seed=0, dtype=torch.float32)
        for actor in (EpsilonGreedy(net, Discrete(actions), 1.0), Boltzmann(net, Discrete(actions), 1.0)):
            action = actor.act(obs, ends[None, :, None].expand(1, 2, actor.noise_size) * torch.tensor(
                [0.0, 1.0][-actor.noise_size:]))
            assert Discrete(actions).contains(action)


def test_probabilities_that_round_to_less_than_one_leave_the_last_action():
    for actions in range(2, 120):
        if float(torch.full((actions,), 0.0).softmax(-1).cumsum(-1)[-1]) <= 1 - 2.0 ** -24:  # in float32
            break
    net = with_values([[0.0] * actions]).float()
    action = Boltzmann(net, Discrete(actions)).act(torch.zeros(1, 1, 1), torch.full((1, 1, 1), 1 - 2.0 ** -24))
    assert action.tolist() == [[actions - 1]]


@pytest.mark.parametrize("make", [EpsilonGreedy, Boltzmann])
def test_without_noise_the_greedy_action_and_in_all_kinds_of_rollouts(make):
    env = CartPole()
    net = DiscreteQNet(4, 2, runs=2, seed=0, dtype=torch.float32)
    actor = make(net, env.action_space, 0.4)
    assert isinstance(actor, Actor) and actor.runs == 2
    source = DynamicsSource(env, 2, 3, random=generator(0, "source"))
    batch = rollout(source, actor, 20)
    with torch.no_grad():
        assert all(torch.equal(action, net(obs).argmax(-1)) for obs, action in zip(batch.obs, batch.action))
    noisy = rollout(source, actor, 20, random=generator(0, "noise"))
    with torch.no_grad():
        assert not all(torch.equal(action, net(obs).argmax(-1)) for obs, action in zip(noisy.obs, noisy.action))
    assert bool(episodes(source, actor).valid.any())
    assert one_episode(env, actor, run=1, seed=0).shape[1] == 4
    assert not actor.act(source.obs).requires_grad


@pytest.mark.parametrize("make", [EpsilonGreedy, Boltzmann])
def test_the_network_is_held_and_copies_are_copies(make):
    net = DiscreteQNet(3, 4, runs=3, seed=0)
    actor = make(net, Discrete(4), 0.25)
    obs = torch.randn(3, 50, 3, generator=generator(0, "obs"), dtype=torch.float64)
    noise = uniforms((3, 50, actor.noise_size), generator(0, "noise"))
    before, kept, alone = actor.act(obs, noise), actor.copy(), actor.run(2)
    assert torch.equal(alone.act(obs[2:], noise[2:]), before[2:]) and alone.runs == 1
    follow(net, DiscreteQNet(3, 4, runs=3, seed=1), 1.0)
    assert not torch.equal(actor.act(obs, noise), before)
    assert torch.equal(kept.act(obs, noise), before) and torch.equal(alone.act(obs[2:], noise[2:]), before[2:])


@pytest.mark.parametrize("make", [EpsilonGreedy, Boltzmann])
def test_observations_that_the_network_encodes(make):
    net = DiscreteQNet(5, 2, runs=1, seed=0, encode=lambda obs: one_hot(obs, 5))
    actor = make(net, Discrete(2), 0.5)
    obs = torch.tensor([[0, 4, 2]])
    noise = uniforms((1, 3, actor.noise_size), generator(0, "noise"))
    assert actor.act(obs).shape == actor.act(obs, noise).shape == (1, 3)


@pytest.mark.parametrize("call, words", [
    (lambda net: EpsilonGreedy(net, Discrete(2), 1.5), "epsilon: expected a number in"),
    (lambda net: EpsilonGreedy(net, Discrete(3), 0.5), "net: expected values of 3 discrete actions, got 2"),
    (lambda net: EpsilonGreedy(net, Box(-1.0, 1.0, 2), 0.5), "action_space: expected a finite choice of actions"),
    (lambda net: Boltzmann(net, Discrete(2), 0.0), "temperature: expected a positive number, got 0.0"),
    (lambda net: Boltzmann(net, Discrete(3), 1.0), "net: expected values of 3 discrete actions, got 2"),
    (lambda net: EpsilonGreedy(net, Discrete(2), 0.5).act(
        torch.zeros(1, 4, 1, dtype=torch.float64), torch.zeros(1, 4, 1)),
     r"noise: expected shape \[1, 4, 2\]"),
    (lambda net: EpsilonGreedy(net, Discrete(2), 0.5).run(1), "r: expected a run from 0 to 0, got 1"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call(DiscreteQNet(1, 2, runs=1, seed=0))


def test_dueling_values_are_a_value_and_advantages_of_mean_zero():
    net = DuelingQNet(3, 4, runs=2, seed=0, hidden=(7,))
    obs = torch.randn(2, 5, 3, generator=generator(0, "obs"), dtype=torch.float64)
    q = net(obs)
    assert q.shape == (2, 5, 4) and net.runs == 2 and net.actions == 4
    for run in range(2):
        trunk = torch.relu(obs[run] @ net.net.weights[0][run] + net.net.biases[0][run])
        raw = trunk @ net.net.weights[1][run] + net.net.biases[1][run]
        assert torch.allclose(q[run].mean(-1), raw[:, 0], atol=1e-12)  # the mean of Q over the actions is V
        for action in range(4):
            advantage = raw[:, 1 + action] - (raw[:, 1] + raw[:, 2] + raw[:, 3] + raw[:, 4]) / 4
            assert torch.allclose(q[run, :, action], raw[:, 0] + advantage, atol=1e-12)


def test_dueling_one_action_teaches_the_value_of_all():
    # dQ(o, 0) / dV = 1 and dQ(o, 0) / dA(o, a) = δ − 1/4: a step on one action moves all the others by 1 − 1/4.
    net = DuelingQNet(1, 4, runs=1, seed=0, hidden=())
    net(torch.zeros(1, 1, 1, dtype=torch.float64))[0, 0, 0].backward()
    assert net.net.biases[0].grad[0, 0].tolist() == pytest.approx([1, 0.75, -0.25, -0.25, -0.25])


def test_dueling_has_the_interface_of_the_plain_network():
    net = DuelingQNet(5, 2, runs=3, seed=0, encode=lambda obs: one_hot(obs, 5))
    obs = torch.tensor([[0, 4], [1, 2], [3, 3]])
    alone = net.run(1)
    assert torch.equal(alone(obs[1:2]), net(obs)[1:2]) and alone.runs == 1
    actor = EpsilonGreedy(net, Discrete(2), 0.1)
    assert torch.equal(actor.act(obs), net(obs).argmax(-1))
    first = DuelingQNet(5, 2, runs=1, seed=0, encode=net.encode)
    assert torch.equal(first(obs[:1]), net(obs)[:1])  # the first runs are the same however many there are
