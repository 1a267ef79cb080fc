"""TD3 and DDPG: every update against plain PyTorch, closed forms, Pendulum, independent runs, bad input."""

import copy
from dataclasses import replace

import pytest
import torch
from box_probes import Aim, Drift, source

from rlcourse.algorithms import td3
from rlcourse.core.spaces import Box
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.replay import Replay
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.pendulum import Pendulum
from rlcourse.equations import continuous_q
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.heads_deterministic import DeterministicHead
from rlcourse.nets.heads_squashed import SquashedGaussianHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.q_values import QNet

F32, double = torch.float32, torch.float64
KINDS = pytest.mark.parametrize("kind", [True, False], ids=["TD3", "DDPG"])


def policy(env, runs=2, seed=0, hidden=(16,), dtype=F32):
    space = env.action_space
    return Policy(DeterministicHead(env.obs_shape[0], space.size, runs=runs, seed=seed, hidden=hidden, dtype=dtype,
                                    low=space.low, high=space.high), space)


def critic(env, runs=2, seed=0, hidden=(16,), dtype=F32, critics=2):
    return QNet(env.obs_shape[0], env.action_space.size, runs=runs, seed=seed, hidden=hidden, dtype=dtype,
                critics=critics)


SHORT = td3.Config(total_steps=96, random_steps=40, horizon=2, updates=3, batch_size=16)


def short(env, actor, runs=2, config=SHORT, values=None, **sockets):
    values = values or critic(env, runs, critics=2 if config.td3 else 1)
    return td3.train(source(env, runs), actor, values, config, seed=0, **sockets)


def after(snapshots) -> list[torch.Tensor]:
    for snapshot in snapshots:
        last = snapshot
    return [p.detach().clone() for p in [*last.policy.parameters(), *last.critic.parameters()]] + [last.predicted]


class Recorded(Replay):
    """Keeps every batch that was drawn."""

    drawn = []

    def sample(self, batch_size, random):
        self.drawn.append(super().sample(batch_size, random))
        return self.drawn[-1]


def network(parameters, inputs):
    """A plain network of one run: parameters w₁, …, b₁, … as the stack has them."""
    layers = len(parameters) // 2
    for layer, (weight, bias) in enumerate(zip(parameters[:layers], parameters[layers:])):
        inputs = inputs @ weight + bias
        if layer < layers - 1:
            inputs = inputs.clamp(min=0)
    return inputs


def by_hand(actor, values, config, batches, noises, r):
    """The first round of updates of run r, with torch.optim and a loop; the parameters it ends with."""
    count = 2 if config.td3 else 1
    box = Box(-2.0, 2.0, 1)
    online_actor = [p.detach()[r].clone().requires_grad_() for p in actor.parameters()]
    online = [[p.detach()[r * count + c].clone().requires_grad_() for p in values.parameters()] for c in range(count)]
    lagging_actor, lagging = copy.deepcopy(online_actor), copy.deepcopy(online)

    def mu(parameters, obs):
        return 2.0 * torch.tanh(network(parameters, obs))

    def q(parameters, obs, action):
        return network(parameters, torch.cat([obs, action], 1))[:, 0]

    # The learning rate falls with the steps; the first round still has all of it.
    step_actor = torch.optim.Adam(online_actor, lr=config.learning_rate)
    step_critics = torch.optim.Adam([p for one in online for p in one], lr=config.learning_rate)
    for number, batch in enumerate(batches, start=1):
        obs, action, next_obs = batch.obs[r], batch.action[r], batch.next_obs[r]
        goes_on = (~batch.terminated[r]).to(double)
        with torch.no_grad():
            next_action = mu(lagging_actor, next_obs)
            if config.td3:
                shift = torch.minimum(torch.maximum(2.0 * config.smoothing_noise * noises[number - 1][r],
                                                    torch.tensor(-2.0 * config.smoothing_clip)),
                                      torch.tensor(2.0 * config.smoothing_clip))
                next_action = torch.minimum(torch.maximum(next_action + shift, torch.tensor(box.low)),
                                            torch.tensor(box.high))
            worth = torch.stack([q(one, next_obs, next_action) for one in lagging]).min(0).values
            goal = config.reward_scale * batch.reward[r] + config.discount * goes_on * worth
        loss = sum(((q(one, obs, action) - goal) ** 2).mean() for one in online)
        step_critics.zero_grad()
        loss.backward()
        step_critics.step()
        if config.td3 and number % config.actor_delay:
            continue
        step_actor.zero_grad()
        (-q(online[0], obs, mu(online_actor, obs)).mean()).backward()
        step_actor.step()
        with torch.no_grad():
            for behind, ahead in zip([lagging_actor, *lagging], [online_actor, *online]):
                for old, new in zip(behind, ahead):
                    old.copy_((1 - config.polyak_rate) * old + config.polyak_rate * new)
    return online_actor, online


@KINDS
def test_a_round_of_updates_is_that_of_plain_pytorch(kind, monkeypatch):
    env, runs, noises = Drift(), 2, []
    config = td3.Config(td3=kind, total_steps=200, random_steps=160, updates=7, batch_size=32, learning_rate=0.02,
                        polyak_rate=0.3, smoothing_noise=0.4, smoothing_clip=0.5, actor_delay=3)
    actor, values = policy(env, runs, dtype=double), critic(env, runs, dtype=double, critics=2 if kind else 1)
    with torch.no_grad():
        actor.head.net.biases[-1].fill_(1.0)  # 2 tanh 1 = 1.52: near enough to the edge for the noise to cross it
    before = copy.deepcopy((actor, values))
    smoothed = continuous_q.smoothed_action
    monkeypatch.setattr(continuous_q, "smoothed_action",
                        lambda action, noise, **settings: noises.append(noise) or smoothed(action, noise, **settings))
    monkeypatch.setattr(td3, "Replay", Recorded)
    monkeypatch.setattr(Recorded, "drawn", [])
    next(td3.train(source(env, runs, dtype=double), actor, values, config, seed=0))
    batches = Recorded.drawn
    assert len(batches) == 7 and len(noises) == (7 if kind else 0)
    for flag in ("terminated", "truncated"):  # both kinds of end, and neither, are in the data
        assert 0.1 < float(getattr(batches[0], flag).to(double).mean()) < 0.9
    assert not kind or bool((2.0 * 0.4 * noises[0].abs() > 2.0 * 0.5).any())  # the clip bites
    for r in range(runs):
        online_actor, online = by_hand(*before, config, batches, noises, r)
        for found, right in zip(actor.parameters(), online_actor):
            torch.testing.assert_close(found.detach()[r], right.detach(), rtol=1e-8, atol=1e-9)
        for c, one in enumerate(online):
            for found, right in zip(values.parameters(), one):
                torch.testing.assert_close(found.detach()[r * len(online) + c], right.detach(), rtol=1e-8, atol=1e-9)


@KINDS
def test_the_same_seed_gives_the_same_actor_and_critics(kind):
    env, config = Pendulum(), replace(SHORT, td3=kind)
    first, second = after(short(env, policy(env), config=config)), after(short(env, policy(env), config=config))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not any(torch.equal(a, b) for a, b in zip(first, policy(env).parameters()))  # and it has learned something
    other = after(td3.train(source(env), policy(env), critic(env, critics=2 if kind else 1), config, seed=1))
    assert not any(torch.equal(a, b) for a, b in zip(first, other))


@KINDS
@pytest.mark.parametrize("what", ["policy", "critic"])
def test_runs_do_not_feel_each_other(what, kind):
    env, runs, touched, config = Pendulum(), 4, 3, replace(SHORT, td3=kind)
    networks = [(policy(env, runs), critic(env, runs, critics=2 if kind else 1)) for _ in range(2)]
    with torch.no_grad():
        for parameter in networks[1][what == "critic"].parameters():
            per_run = parameter.shape[0] // runs
            parameter[touched * per_run:(touched + 1) * per_run] += 0.1
    before, later = (after(short(env, actor, runs, config, values)) for actor, values in networks)
    for a, b in zip(before, later):
        for one, other, run in zip(a.chunk(runs), b.chunk(runs), range(runs)):
            assert torch.equal(one, other) == (run != touched)


def test_the_sockets_see_one_run_and_are_used():
    seen = []

    def own_target(reward, next_q_1, next_q_2, terminated, *, discount):
        seen.append((tuple(reward.shape), tuple(next_q_1.shape), tuple(next_q_2.shape)))
        assert not next_q_1.requires_grad and not torch.equal(next_q_1, next_q_2)
        assert bool((reward <= 0).all()) and bool((reward > -1.7).all())  # scaled by 0.1
        return continuous_q.td3_target(reward, next_q_1, next_q_2, terminated, discount=discount)

    def own_loss(q):
        assert q.requires_grad and q.shape == (16,)
        return continuous_q.deterministic_actor_loss(q)

    env = Pendulum()
    own = after(short(env, policy(env), td3_target=own_target, actor_loss=own_loss))
    assert set(seen) == {((16,), (16,), (16,))}
    assert all(torch.equal(a, b) for a, b in zip(own, after(short(env, policy(env)))))
    ddpg = replace(SHORT, td3=False)  # has no use for the target, and one for the loss
    seen.clear()
    own = after(short(env, policy(env), config=ddpg, td3_target=own_target, actor_loss=own_loss))
    assert not seen and all(torch.equal(a, b) for a, b in zip(own, after(short(env, policy(env), config=ddpg))))
    wrong = after(short(env, policy(env), config=ddpg, actor_loss=lambda q: -own_loss(q)))
    assert not torch.equal(own[0], wrong[0])


def test_steps_are_counted_and_the_actor_explores_with_its_noise(monkeypatch):
    env, actions = Pendulum(), []
    real = td3.rollout
    monkeypatch.setattr(td3, "rollout", lambda *args, **kw: actions.append(real(*args, **kw)) or actions[-1])
    actor = policy(env)
    with torch.no_grad():
        for parameter in actor.parameters():
            parameter.zero_()
    still = replace(SHORT, learning_rate=1e-30, exploration_noise=0.25, horizon=50, total_steps=2000)
    assert [s.step for s in short(env, actor, config=still)] == [40, *range(240, 2041, 200)]
    drawn = torch.cat([batch.action.flatten() for batch in actions[1:]])  # 4000 of them around 0
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.05) and abs(float(drawn.mean())) < 0.04
    assert float(actions[0].action.std()) == pytest.approx(4 / 12**0.5, rel=0.15)  # uniform on (−2, 2)


AIM = td3.Config(total_steps=4000, random_steps=400, horizon=4, updates=8, batch_size=64, discount=0.5, capacity=500,
                 reward_scale=1.0)


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("ends, right", [(True, 1.0), (False, 2.0)])
def test_the_best_action_and_its_worth(kind, ends, right):
    """The best action pays 1; ended there, it is worth 1, cut by the time limit 1 + ½ + ¼ + … = 2."""
    # Smoothing makes the future worth less by E noise² = (0.05 · 2)², and half of that for each step.
    env, runs = Aim(ends=ends, pay=1.0), 2
    config = replace(AIM, td3=kind, smoothing_noise=0.05)
    for snapshot in td3.train(source(env, runs, 8), policy(env, runs, hidden=(32,)),
                              critic(env, runs, hidden=(32, 32), critics=2 if kind else 1), config, seed=0):
        pass
    obs = torch.linspace(-0.8, 0.8, 5, dtype=F32).reshape(1, 5, 1).expand(2, 5, 1)
    torch.testing.assert_close(snapshot.policy.act(obs), obs, rtol=0, atol=0.3)  # it costs at most 0.09
    assert snapshot.predicted.tolist() == pytest.approx([right] * 2, abs=0.12)


def pendulum(config=td3.Config(), runs=8, seed=3, **sockets):
    """The mean greedy returns [R] after training, and whether each run was at −200 or above at some checkpoint."""
    env, reached = Pendulum(), torch.zeros(runs, dtype=torch.bool)
    values = critic(env, runs, seed, (64, 64), critics=2 if config.td3 else 1)
    training = td3.train(source(env, runs, 8, seed), policy(env, runs, seed, (64, 64)), values, config, seed=seed,
                         **sockets)
    for number, snapshot in enumerate(training):
        if number % 12 == 11:
            score = mean_return(episodes(source(env, runs, 20, seed=number), snapshot.policy))
            reached |= score >= -200
            if bool(reached.all()):
                break
    return score, reached


@pytest.mark.slow
@KINDS
def test_the_pendulum_is_swung_up_in_nearly_every_run(kind):
    # Ten seeds of eight runs tried with TD3: all 80 runs reached −200.
    score, reached = pendulum(td3.Config(td3=kind), runs=4)
    assert int(reached.sum()) >= 3, score


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [
    {"actor_loss": lambda q: q},
    {"td3_target": lambda reward, next_q_1, next_q_2, terminated, *, discount: reward + 0 * next_q_1},
], ids=["sign of the loss", "no bootstrapping"])
def test_a_wrong_equation_does_not_learn_the_pendulum(wrong):
    score, reached = pendulum(td3.Config(total_steps=6000), runs=2, **wrong)
    assert not bool(reached.any()) and bool((score < -700).all()), score


@pytest.mark.parametrize("call, words", [
    (lambda: td3.Config(actor_delay=0), "actor_delay: expected a whole number of at least 1, got 0"),
    (lambda: td3.Config(polyak_rate=2.0), "polyak_rate: expected a number in"),
    (lambda: td3.Config(learning_rate=0.0), "learning_rate: expected a positive number, got 0.0"),
    (lambda: td3.Config(smoothing_clip=-1.0), "smoothing_clip: expected a number of at least 0, got -1.0"),
    (lambda: td3.train(source(CartPole()), Policy(CategoricalHead(4, 2, runs=2, seed=0), CartPole().action_space),
                       critic(Pendulum()), seed=0), r"source: expected actions in a Box, got Discrete\(n=2\)"),
    (lambda: short(Pendulum(), policy(Pendulum(), runs=3)), "policy: expected 2 runs, as many as the source, got 3"),
    (lambda: short(Pendulum(), policy(Pendulum()), values=critic(Pendulum(), 3)), "critic: expected 2 runs"),
    (lambda: short(Pendulum(), policy(Pendulum()), values=critic(Pendulum(), critics=1)),
     "critic: expected 2 for each run with td3 = True, got 1"),
    (lambda: short(Pendulum(), policy(Pendulum()), config=replace(SHORT, td3=False), values=critic(Pendulum())),
     "critic: expected 1 for each run with td3 = False, got 2"),
    (lambda: short(Pendulum(), policy(Aim(reach=1.0))), "policy: expected actions in Box"),
    (lambda: short(Pendulum(), Policy(SquashedGaussianHead(3, 1, runs=2, seed=0, low=-2.0, high=2.0),
                                      Pendulum().action_space)),
     "policy: expected a DeterministicHead, got SquashedGaussianHead"),
    (lambda: short(Pendulum(), Policy(DeterministicHead(3, 1, runs=2, seed=0), Pendulum().action_space)),
     r"policy: expected a head that squashes into \[-2.0, 2.0\], got \[-1.0, 1.0\]"),
    (lambda: short(Pendulum(), policy(Pendulum()), config=td3.Config(random_steps=40)),
     "batch_size: expected at most the 40 transitions stored at the start, got 128"),
    (lambda: short(Pendulum(), policy(Pendulum()), td3_target=3), "td3_target: expected a function, got int"),
])
def test_bad_input_is_one_line_before_training_starts(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_rewards_that_are_no_numbers_stop_the_training_before_the_first_update():
    env = Aim(pay=float("nan"))
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
