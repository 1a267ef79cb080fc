"""Soft actor-critic: problems with an answer in closed form, Pendulum, runs that do not feel each other, bad input."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from box_probes import Aim

from rlcourse.algorithms import sac
from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.pendulum import Pendulum
from rlcourse.equations import soft_actor_critic
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.heads_gaussian import GaussianHead
from rlcourse.nets.heads_squashed import SquashedGaussianHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.q_values import QNet

F32 = torch.float32


def source(env, runs=2, environments=4, seed=0):
    return DynamicsSource(env, runs, environments, random=generator(seed, "source"))


def policy(env, runs=2, seed=0, hidden=(16,)):
    space = env.action_space
    return Policy(SquashedGaussianHead(env.obs_shape[0], space.size, runs=runs, seed=seed, hidden=hidden, dtype=F32,
                                       low=space.low, high=space.high), space)


def critic(env, runs=2, seed=0, hidden=(16,)):
    return QNet(env.obs_shape[0], env.action_space.size, runs=runs, seed=seed, hidden=hidden, dtype=F32)


SHORT = sac.Config(total_steps=96, random_steps=40, horizon=2, updates=2, batch_size=16)


def short(env, actor, runs=2, config=SHORT, values=None, **sockets):
    return sac.train(source(env, runs), actor, values or critic(env, runs), config, seed=0, **sockets)


def after(snapshots) -> list[torch.Tensor]:
    for snapshot in snapshots:
        last = snapshot
    return [p.detach().clone() for p in [*last.policy.parameters(), *last.critic.parameters()]] + [last.temperature]


def test_the_same_seed_gives_the_same_policy_critics_and_temperature():
    env = Pendulum()
    first, second = after(short(env, policy(env))), after(short(env, policy(env)))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not any(torch.equal(a, b) for a, b in zip(first, policy(env).parameters()))  # and it has learned something
    assert not torch.equal(first[-1][0], first[-1][1])  # each run tunes a temperature of its own


@pytest.mark.parametrize("what", ["policy", "critic"])
def test_runs_do_not_feel_each_other(what):
    env, runs, touched = Pendulum(), 4, 2
    networks = [(policy(env, runs), critic(env, runs)) for _ in range(2)]
    with torch.no_grad():
        for parameter in networks[1][what == "critic"].parameters():
            per_run = parameter.shape[0] // runs
            parameter[touched * per_run:(touched + 1) * per_run] += 0.1
    before, later = (after(short(env, actor, runs, values=values)) for actor, values in networks)
    for a, b in zip(before, later):
        for one, other, run in zip(a.chunk(runs), b.chunk(runs), range(runs)):
            assert torch.equal(one, other) == (run != touched)


def test_the_replay_keeps_what_the_random_start_and_the_policy_did():
    seen = []

    def own_target(reward, next_q, next_log_prob, terminated, *, discount, temperature):
        seen.append((tuple(reward.shape), tuple(next_q.shape), tuple(temperature.shape)))
        assert not next_q.requires_grad and bool((reward <= 0).all()) and bool((reward > -1.7).all())  # scaled by 0.1
        return soft_actor_critic.sac_target(reward, next_q, next_log_prob, terminated, discount=discount,
                                            temperature=temperature)

    def own_loss(log_prob, q, *, temperature):
        assert log_prob.requires_grad and q.requires_grad
        return soft_actor_critic.actor_loss(log_prob, q, temperature=temperature)

    env = Pendulum()
    own = after(short(env, policy(env), sac_target=own_target, actor_loss=own_loss))
    assert set(seen) == {((16,), (16,), (1,))}  # a student's function sees one run
    assert all(torch.equal(a, b) for a, b in zip(own, after(short(env, policy(env)))))


@dataclass(frozen=True, eq=False)
class Halving(Aim):
    """Shows c, pays c, and shows c/2 next: from a stored reward follow both observations of its transition."""

    def transition(self, state, action, noise=None):
        return state / 2

    def reward(self, state, action, next_state, noise=None):
        return state[..., 0]


def by_hand():
    """A policy that plays 4 tanh(o), to within 1e-7, and the twins Q = o ± 3a, in two runs."""
    env, runs = Halving(reach=4.0, ends=False), 2
    head = SquashedGaussianHead(1, 1, runs=runs, seed=0, hidden=(), low=-4.0, high=4.0, least_log_std=-20.0, dtype=F32)
    twins = QNet(1, 1, runs=runs, seed=0, hidden=(), dtype=F32)
    with torch.no_grad():
        head.net.weights[0].copy_(torch.tensor([[1.0, 0.0]]).expand(runs, 1, 2))  # the mean, and log σ
        head.net.biases[0].copy_(torch.tensor([[0.0, -20.0]]).expand(runs, 1, 2))
        twins.net.weights[0].copy_(torch.tensor([[[1.0], [3.0]], [[1.0], [-3.0]]]).repeat(runs, 1, 1))
        twins.net.biases[0].zero_()
    return env, Policy(head, env.action_space), twins


def smaller_twin(obs):
    return obs - 12 * torch.tanh(obs).abs()


def test_one_update_takes_the_smaller_twin_at_the_policys_own_actions():
    targets, losses = [], []

    def own_target(reward, next_q, next_log_prob, terminated, *, discount, temperature):
        targets.append((reward, next_q))
        return reward + 0 * next_q

    def own_loss(log_prob, q, *, temperature):
        losses.append(q.detach())
        return soft_actor_critic.actor_loss(log_prob, q, temperature=temperature)

    env, actor, twins = by_hand()
    config = replace(SHORT, total_steps=40, updates=1, learning_rate=1e-9, reward_scale=1.0)  # moves no weight yet
    next(short(env, actor, config=config, values=twins, sac_target=own_target, actor_loss=own_loss))
    assert len(targets) == len(losses) == 2  # one call for each run
    for (obs, next_q), q in zip(targets, losses):
        assert float(obs.abs().max()) > 0.5
        torch.testing.assert_close(next_q, smaller_twin(obs / 2), atol=1e-5, rtol=0)
        torch.testing.assert_close(q, smaller_twin(obs), atol=1e-5, rtol=0)


@pytest.mark.parametrize("polyak_rate, stays", [(0.0, True), (0.5, False)])
def test_the_target_is_of_critics_that_follow_at_the_polyak_rate(polyak_rate, stays):
    differences = []

    def own_target(reward, next_q, next_log_prob, terminated, *, discount, temperature):
        differences.append(float((next_q - smaller_twin(reward / 2)).abs().max()))
        return reward + 0 * next_q

    def still(log_prob, q, *, temperature):
        return 0 * (log_prob + q)

    env, actor, twins = by_hand()
    config = replace(SHORT, total_steps=40, updates=4, learning_rate=0.1, polyak_rate=polyak_rate, reward_scale=1.0)
    next(short(env, actor, config=config, values=twins, sac_target=own_target, actor_loss=still))
    assert max(differences[:2]) < 1e-5 and (max(differences) < 1e-5) == stays
    assert abs(float(twins.net.weights[0].detach()[0, 1]) - 3) > 0.1  # the critics themselves have moved


def test_steps_are_counted_and_the_random_start_is_uniform():
    env = Pendulum()
    steps = [snapshot.step for snapshot in short(env, policy(env))]
    assert steps == [40, 48, 56, 64, 72, 80, 88, 96]
    actions = rollout(source(env, 2, 50), sac.UniformActions(env.action_space), 20, random=generator(0, "u")).action
    assert actions.shape == (20, 2, 50, 1) and env.action_space.contains(actions)
    count = torch.histc(actions, 10, -2.0, 2.0)
    assert float(((count - 200) ** 2 / 200).sum()) < 33.7  # χ², 9 degrees of freedom: 1e-4, seed 0


AIM = sac.Config(total_steps=6400, random_steps=400, horizon=4, updates=8, batch_size=64, discount=0.5, capacity=500,
                 reward_scale=1.0)


def aimed(env, config, **sockets):
    runs = 2
    for snapshot in sac.train(source(env, runs, 8), policy(env, runs, hidden=(32,)), critic(env, runs, hidden=(32, 32)),
                              config, seed=0, **sockets):
        pass
    return snapshot


@pytest.mark.slow
def test_at_a_fixed_temperature_the_policy_is_the_soft_optimum():
    # One step of reward −(a − c)²: π ∝ exp(−(a − c)²/α), so the mean is c and the deviation √(α/2).
    temperature = 0.18
    snapshot = aimed(Aim(reach=4.0), replace(AIM, temperature=temperature, tune_temperature=False))
    obs = torch.linspace(-0.8, 0.8, 5, dtype=F32).reshape(1, 5, 1).expand(2, 5, 1)
    noise = torch.linspace(0.005, 0.995, 199, dtype=F32).reshape(1, 199, 1).expand(2, 199, 1)
    for index in range(5):
        with torch.no_grad():
            drawn = snapshot.policy.distribution(obs[:, index:index + 1].expand(2, 199, 1)).sample(noise)[..., 0]
        assert drawn.mean(1).tolist() == pytest.approx([float(obs[0, index, 0])] * 2, abs=0.1)
        assert drawn.std(1).tolist() == pytest.approx([math.sqrt(temperature / 2)] * 2, rel=0.2)
    assert snapshot.temperature.tolist() == pytest.approx([temperature] * 2)


@pytest.mark.slow
@pytest.mark.parametrize("ends, right", [(True, 1.0), (False, 2.0)])
def test_the_critics_bootstrap_behind_a_time_limit_and_not_behind_an_end(ends, right):
    # The best action pays 1; ended there, it is worth 1, cut by the time limit 1 + ½ + ¼ + … = 2.
    snapshot = aimed(Aim(reach=4.0, ends=ends, pay=1.0), replace(AIM, temperature=1e-3, tune_temperature=False))
    obs = torch.linspace(-0.8, 0.8, 5, dtype=F32).reshape(1, 5, 1).expand(2, 5, 1)
    with torch.no_grad():
        q = snapshot.critic(obs, obs)
    assert q.flatten().tolist() == pytest.approx([right] * 20, abs=0.15)


@pytest.mark.slow
def test_the_tuned_temperature_holds_the_entropy_at_its_target():
    snapshot = aimed(Aim(reach=4.0), replace(AIM, target_entropy=-0.5))
    obs = torch.linspace(-0.8, 0.8, 200, dtype=F32).reshape(1, 200, 1).expand(2, 200, 1)
    noise = torch.rand(2, 200, 1, generator=generator(0, "entropy"))
    with torch.no_grad():
        _, log_prob = snapshot.policy.distribution(obs).sample_with_log_prob(noise)
    # The standard error of the entropy from 200 draws is about 0.05.
    assert (-log_prob).mean(1).tolist() == pytest.approx([-0.5] * 2, abs=0.25)
    # At the optimum H = ½ log(2πe·α/2): α follows from the entropy alone.
    assert snapshot.temperature.tolist() == pytest.approx([math.exp(-1.0) / (math.pi * math.e)] * 2, rel=0.3)


def pendulum(config=sac.Config(), runs=8, seed=3, **sockets):
    """The mean greedy returns [R] after training, and whether each run was at −200 or above at some checkpoint."""
    env, reached = Pendulum(), torch.zeros(runs, dtype=torch.bool)
    training = sac.train(source(env, runs, 8, seed), policy(env, runs, seed, (64, 64)),
                         critic(env, runs, seed, (64, 64)), config, seed=seed, **sockets)
    for number, snapshot in enumerate(training):
        if number % 12 == 11:
            score = mean_return(episodes(source(env, runs, 20, seed=number), snapshot.policy))
            reached |= score >= -200
            if bool(reached.all()):
                break
    return score, reached


@pytest.mark.slow
def test_the_pendulum_is_swung_up_in_every_run():
    # Ten seeds of eight runs tried: every run reached −200 before 11,000 of its 15,000 steps.
    score, reached = pendulum()
    assert bool(reached.all()), score


def inverted(log_prob, q, *, temperature):
    return -soft_actor_critic.actor_loss(log_prob, q, temperature=temperature)


def pessimist(log_prob, q, *, temperature):
    return temperature * log_prob + q


def without_future(reward, next_q, next_log_prob, terminated, *, discount, temperature):
    return reward + 0 * next_q


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [{"actor_loss": inverted}, {"actor_loss": pessimist}, {"sac_target": without_future}],
                         ids=["sign of the loss", "sign of Q", "no bootstrapping"])
def test_a_wrong_equation_does_not_learn_the_pendulum(wrong):
    # The right equations reach −200 by then in nine of ten runs, and −700 in all.
    score, reached = pendulum(sac.Config(total_steps=9000), runs=2, **wrong)
    assert not bool(reached.any()) and bool((score < -700).all()), score


@pytest.mark.parametrize("call, words", [
    (lambda: sac.Config(updates=0), "updates: expected a whole number of at least 1, got 0"),
    (lambda: sac.Config(polyak_rate=2.0), "polyak_rate: expected a number in"),
    (lambda: sac.Config(temperature=0.0), "temperature: expected a positive number, got 0.0"),
    (lambda: source(Pendulum(), runs=0), "runs: expected a whole number of at least 1, got 0"),
    (lambda: sac.train(source(CartPole()), Policy(CategoricalHead(4, 2, runs=2, seed=0), CartPole().action_space),
                       critic(Pendulum()), seed=0), r"source: expected actions in a Box, got Discrete\(n=2\)"),
    (lambda: short(Pendulum(), policy(Pendulum(), runs=3)), "policy: expected 2 runs, as many as the source, got 3"),
    (lambda: short(Pendulum(), policy(Pendulum()), values=critic(Pendulum(), 3)), "critic: expected 2 runs"),
    (lambda: short(Pendulum(), policy(Aim(reach=4.0))), "policy: expected actions in Box"),
    (lambda: short(Pendulum(), Policy(GaussianHead(3, 1, runs=2, seed=0), Pendulum().action_space)),
     "policy: expected a head whose samples carry a gradient, such as SquashedGaussianHead, got GaussianHead"),
    (lambda: short(Pendulum(), Policy(SquashedGaussianHead(3, 1, runs=2, seed=0), Pendulum().action_space)),
     r"policy: expected a head that squashes into \[-2.0, 2.0\], got \[-1.0, 1.0\]"),
    (lambda: short(Pendulum(), policy(Pendulum()), config=sac.Config(random_steps=40)),
     "batch_size: expected at most the 40 transitions stored at the start, got 128"),
    (lambda: short(Pendulum(), policy(Pendulum()), config=sac.Config(random_steps=400, capacity=20)),
     "batch_size: expected at most the 80 transitions stored at the start, got 128"),
    (lambda: short(Pendulum(), policy(Pendulum()), sac_target=3), "sac_target: expected a function, got int"),
    (lambda: short(Pendulum(), policy(Pendulum()), config=sac.Config(target_entropy=float("nan"))),
     "target_entropy: expected a finite number"),
])
def test_bad_input_is_one_line_before_training_starts(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_rewards_that_are_no_numbers_stop_the_training_before_the_first_update():
    env = Aim(reach=4.0, pay=float("nan"))
    actor = policy(env)
    before = [p.detach().clone() for p in actor.parameters()]
    with pytest.raises(ValueError, match="batch: expected finite rewards, got NaN or infinity"):
        next(short(env, actor))
    assert all(torch.equal(a, b) for a, b in zip(before, actor.parameters()))


def test_a_loss_that_is_not_finite_names_its_run():
    env = Pendulum()
    values = critic(env, 3)
    with torch.no_grad():
        values.net.weights[0][2:4] = float("inf")  # the twins of run 1
    with pytest.raises(FloatingPointError, match=r"critic loss: not finite at step 40 in runs \[1\]"):
        next(short(env, policy(env, 3), 3, values=values))
