"""REINFORCE, PPO and TRPO: they learn, runs do not feel each other, and wrong equations and input are noticed."""

import pytest
import torch

from rlcourse.algorithms import ppo, reinforce, trpo
from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.progress import EpisodeReturns
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.pendulum import Pendulum
from rlcourse.envs.probes import PROBES
from rlcourse.equations import policy_gradient, returns
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.heads_gaussian import GaussianHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet

F32 = torch.float32


def source(env, runs=2, environments=4, seed=0):
    return DynamicsSource(env, runs, environments, random=generator(seed, "source"))


def policy(env, runs=2, seed=0):
    size = env.obs_shape[0]
    head = (CategoricalHead(size, env.action_space.n, runs=runs, seed=seed, hidden=(16,), dtype=F32)
            if hasattr(env.action_space, "n") else
            GaussianHead(size, env.action_space.size, runs=runs, seed=seed, hidden=(16,), dtype=F32))
    return Policy(head, env.action_space, clamp=False)


def critic(env, runs=2, seed=0):
    return ValueNet(env.obs_shape[0], runs=runs, seed=seed, hidden=(16,), dtype=F32)


def short_ppo(env, actor, runs=2, **sockets):
    config = ppo.Config(total_steps=256, horizon=16, minibatch_size=16)
    return ppo.train(source(env, runs), actor, critic(env, runs), config, seed=0, **sockets)


def short_trpo(env, actor, runs=2, **sockets):
    config = trpo.Config(total_steps=192, horizon=16)
    return trpo.train(source(env, runs), actor, critic(env, runs), config, seed=0, **sockets)


def short_reinforce(env, actor, runs=2, **sockets):
    return reinforce.train(source(env, runs), actor, reinforce.Config(updates=3), seed=0, **sockets)


LEARNERS = {"ppo": short_ppo, "trpo": short_trpo, "reinforce": short_reinforce}
every_learner = pytest.mark.parametrize("learn", LEARNERS.values(), ids=LEARNERS)


def after(snapshots) -> list[torch.Tensor]:
    for snapshot in snapshots:
        last = snapshot
    return [parameter.detach().clone() for parameter in last.policy.parameters()]


@every_learner
def test_the_same_seed_gives_the_same_policy(learn):
    env = CartPole()
    first, second = after(learn(env, policy(env))), after(learn(env, policy(env)))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not all(torch.equal(a, b) for a, b in zip(first, policy(env).parameters()))  # and it has learned something


@every_learner
def test_runs_do_not_feel_each_other(learn):
    env, runs, touched = CartPole(), 4, 2
    plain, other = policy(env, runs), policy(env, runs)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter[touched] += 0.1
    before, later = after(learn(env, plain, runs)), after(learn(env, other, runs))
    for a, b in zip(before, later):
        for run in range(runs):
            assert torch.equal(a[run], b[run]) == (run != touched)


@every_learner
def test_box_actions_are_learned_as_they_were_drawn(learn):
    env = Pendulum()
    with pytest.raises(ValueError, match="keeps its actions as drawn"):
        learn(env, Policy(policy(env).head, env.action_space))
    assert all(bool(torch.isfinite(part).all()) for part in after(learn(env, policy(env))))
    wide = policy(env)
    wide.head.net.biases[-1].data[..., 1] = 5.0  # a deviation of 5, far beyond the box of ±2
    batch = rollout(source(env), wide, 20, random=generator(0, "a"))
    assert float(batch.action.abs().max()) > 2


def test_episode_returns_are_those_of_whole_episodes():
    env = CartPole()
    there, again = source(env), source(env)
    tracker = EpisodeReturns(2, 4)
    batch = rollout(there, policy(env), 40, random=generator(0, "a"))
    latest = tracker.add(batch)
    whole = episodes(again, policy(env), random=generator(0, "a"))
    ended = batch.terminated | batch.truncated
    expected = []
    for run in range(2):
        lengths = []
        for environment in range(4):
            ends = ended[:, run, environment].nonzero().flatten().tolist()
            lengths += [b - a for a, b in zip([-1, *ends], ends)]
        expected.append(sum(lengths) / len(lengths))
    assert latest.tolist() == pytest.approx(expected)
    assert whole.valid.any()


@pytest.mark.slow
@pytest.mark.parametrize("probe", PROBES, ids=[probe.name for probe in PROBES])
def test_ppo_passes_the_probes(probe):
    runs = 2
    space = probe.dynamics.action_space
    actor = Policy(CategoricalHead(1, space.n, runs=runs, seed=0, hidden=(16,), dtype=F32), space)
    values = ValueNet(1, runs=runs, seed=0, hidden=(16,), dtype=F32)
    config = ppo.Config(total_steps=4000, horizon=8, minibatch_size=32, learning_rate=0.01,
                        discount=probe.discount, gae_lambda=0.9)
    for _ in ppo.train(source(probe.dynamics, runs, 8), actor, values, config, seed=0):
        pass
    obs = probe.obs.to(F32).expand(runs, -1, 1)
    with torch.no_grad():
        value, probs = values(obs), actor.distribution(obs).probs
    for run in range(runs):
        assert probe.check(value=value[run], action_probs=probs[run]) is None


@pytest.mark.slow
def test_ppo_balances_the_pole_in_every_run():
    # Eight runs of 60,000 steps each; a run that has not reached 475 at some checkpoint fails the test.
    env, runs = CartPole(), 8
    actor = Policy(CategoricalHead(4, 2, runs=runs, seed=1, dtype=F32), env.action_space)
    reached = torch.zeros(runs, dtype=torch.bool)
    for number, snapshot in enumerate(ppo.train(source(env, runs, 16), actor, ValueNet(4, runs=runs, seed=1, dtype=F32),
                                                seed=1)):
        if number % 10 == 9:
            reached |= mean_return(episodes(source(env, runs, 20, seed=2), snapshot.policy)) >= 475
            if bool(reached.all()):
                break
    assert bool(reached.all()), reached


@pytest.mark.slow
def test_a_surrogate_of_the_wrong_sign_unlearns():
    env, runs = CartPole(), 4

    def upside_down(log_prob, behaviour_log_prob, advantage, *, clip_range):
        return -policy_gradient.clipped_surrogate(log_prob, behaviour_log_prob, advantage, clip_range=clip_range)

    scores = {}
    for name, surrogate in (("right", policy_gradient.clipped_surrogate), ("wrong", upside_down)):
        actor = Policy(CategoricalHead(4, 2, runs=runs, seed=0, dtype=F32), env.action_space)
        for snapshot in ppo.train(source(env, runs, 16), actor, ValueNet(4, runs=runs, seed=0, dtype=F32),
                                  ppo.Config(total_steps=12_000), seed=0, surrogate=surrogate):
            pass
        scores[name] = snapshot.episode_return
    assert bool((scores["right"] > 60).all()) and bool((scores["wrong"] < 15).all()), scores


def test_a_students_functions_take_the_place_of_the_librarys():
    env = CartPole()
    seen = []

    def own_gae(reward, value, next_value, terminated, truncated, *, discount, gae_lambda):
        seen.append(tuple(reward.shape))
        return returns.gae(reward, value, next_value, terminated, truncated, discount=discount, gae_lambda=gae_lambda)

    own = after(short_ppo(env, policy(env), gae=own_gae))
    assert set(seen) == {(16, 4)} and all(torch.equal(a, b) for a, b in zip(own, after(short_ppo(env, policy(env)))))


@pytest.mark.parametrize("call, words", [
    (lambda: ppo.Config(horizon=0), "horizon: expected a whole number of at least 1"),
    (lambda: ppo.Config(discount=1.5), "discount: expected a number in"),
    (lambda: reinforce.Config(baseline="mean"), "baseline: expected one of"),
    (lambda: trpo.Config(max_kl=0.0), "max_kl: expected a positive number"),
    (lambda: short_ppo(CartPole(), policy(CartPole(), runs=3)), "policy: expected 2 runs"),
    (lambda: short_ppo(CartPole(), policy(Pendulum())), "policy: expected actions in Discrete"),
    (lambda: short_trpo(Pendulum(), policy(CartPole())), "policy: expected actions in Box"),
    (lambda: reinforce.train(source(CartPole(), 2, 1), policy(CartPole()), seed=0), "source: expected at least two"),
    (lambda: ppo.train(source(CartPole()), policy(CartPole()), critic(CartPole()), ppo.Config(horizon=8), seed=0),
     "minibatch_size: expected at most the 32 samples"),
    (lambda: short_reinforce(CartPole(), policy(CartPole()), surrogate=3), "surrogate: expected a function"),
])
def test_bad_input_is_one_line_before_training_starts(call, words):
    with pytest.raises(ValueError, match=words):
        call()
