"""DQN: values that can be written down, targets that stand still, runs that do not feel each other, bad input."""

import copy
import math
from dataclasses import dataclass, replace

import pytest
import torch

from rlcourse.algorithms import dqn
from rlcourse.core.seeding import generator
from rlcourse.core.spaces import Discrete
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.dynamics import Dynamics
from rlcourse.envs.pendulum import Pendulum
from rlcourse.envs.probes import PROBES
from rlcourse.equations import td
from rlcourse.nets.dueling import DuelingQNet
from rlcourse.nets.q_values import DiscreteQNet

F32 = torch.float32
SHORT = dqn.Config(total_steps=96, random_steps=40, horizon=2, updates=2, batch_size=16, capacity=30,
                   learning_rate=2e-3, n_step=3, follow_every=1, polyak_rate=0.5, epsilon_steps=40)


def source(env, runs=2, environments=4, seed=0):
    return DynamicsSource(env, runs, environments, random=generator(seed, "source"))


def critic(env, runs=2, seed=0, hidden=(16,), net=DiscreteQNet, activation="relu"):
    return net(env.obs_shape[0], env.action_space.n, runs=runs, seed=seed, hidden=hidden, activation=activation,
               dtype=F32)


def short(runs=2, config=SHORT, values=None, env=CartPole(), seed=0, **sockets):
    return dqn.train(source(env, runs), values or critic(env, runs), config, seed=seed, **sockets)


def after(snapshots) -> list[torch.Tensor]:
    for last in snapshots:
        pass
    return [p.detach().clone() for net in (last.critic, last.target) for p in net.parameters()] + [last.predicted]


CONFIGS = [SHORT, replace(SHORT, double=False, n_step=1, huber=None, clip_norm=None, polyak_rate=1.0, follow_every=3),
           replace(SHORT, prioritised=True)]


@pytest.mark.parametrize("config", CONFIGS, ids=["double", "single", "prioritised"])
def test_the_seed_decides_everything(config):
    first, second, other = (after(short(config=config, seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not any(torch.equal(a, b) for a, b in zip(first, other))
    assert not any(torch.equal(a, b) for a, b in zip(first, critic(CartPole()).parameters()))


@pytest.mark.parametrize("config", CONFIGS, ids=["double", "single", "prioritised"])
def test_runs_do_not_feel_each_other(config):
    runs, touched = 4, 3
    before, changed = critic(CartPole(), runs), critic(CartPole(), runs)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter[touched] += 0.3
    for a, b in zip(*(after(short(runs, config, values)) for values in (before, changed))):
        assert [torch.equal(one, other) for one, other in zip(a, b)] == [run != touched for run in range(runs)]


@pytest.mark.parametrize("double", [True, False])
def test_a_students_functions_stand_where_the_librarys_stand(double):
    seen = set()

    def own_q_target(reward, next_q_values, terminated, *, discount):
        seen.add(("q", tuple(reward.shape), tuple(next_q_values.shape), discount))
        return reward + discount * (~terminated) * next_q_values.max(-1).values

    def own_double(reward, next_q_values, target_next_q_values, terminated, *, discount):
        seen.add(("double", tuple(reward.shape), tuple(next_q_values.shape), discount))
        chosen = target_next_q_values[torch.arange(len(reward)), next_q_values.argmax(-1)]
        return reward + discount * (~terminated) * chosen

    def own_loss(q, target, *, threshold):
        assert q.requires_grad and not target.requires_grad
        seen.add(("loss", tuple(q.shape), threshold))
        return td.td_loss(q, target, threshold=threshold)

    config = replace(SHORT, double=double, huber=10.0 if double else None)
    own = after(short(config=config, q_target=own_q_target, double_q_target=own_double, td_loss=own_loss))
    assert seen == {("double" if double else "q", (16,), (16, 2), 0.99), ("loss", (16,), config.huber or math.inf)}
    # The library clips nothing else and draws nothing else; sums in another order may round otherwise.
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(own, after(short(config=config))))


def silent(runs=2):
    """A critic that says 0 everywhere, until it has learned something."""
    values = critic(CartPole(), runs)
    with torch.no_grad():
        values.net.weights[-1].zero_()
    return values


def test_the_online_network_chooses_and_the_target_network_evaluates():
    calls = []

    def spy(reward, next_q_values, target_next_q_values, terminated, *, discount):
        calls.append((bool((next_q_values != 0).any()), bool((target_next_q_values != 0).any())))
        return td.double_q_target(reward, next_q_values, target_next_q_values, terminated, discount=discount)

    # A target that never follows says 0 for ever; the critic has learned something after its first update.
    after(short(1, replace(SHORT, follow_every=1000), silent(1), double_q_target=spy))
    assert calls == [(False, False)] + [(True, False)] * (len(calls) - 1) and len(calls) == 16


def test_without_double_only_the_target_network_is_asked():
    calls = []

    def spy(reward, next_q_values, terminated, *, discount):
        calls.append(bool((next_q_values != 0).any()))
        return td.q_target(reward, next_q_values, terminated, discount=discount)

    config = replace(SHORT, double=False, follow_every=3, polyak_rate=1.0)
    after(short(1, config, silent(1), q_target=spy))
    assert calls == [False] * 3 + [True] * 13  # the first copy comes after the third update


@pytest.mark.parametrize("follow_every, polyak_rate", [(1, 0.25), (2, 1.0), (4, 0.5), (3, 1.0)])
def test_the_target_follows_by_the_rate_every_so_many_updates(follow_every, polyak_rate):
    config = replace(SHORT, updates=1, follow_every=follow_every, polyak_rate=polyak_rate)
    values = critic(CartPole())
    behind = [p.detach().clone() for p in values.parameters()]
    for update, snapshot in enumerate(short(config=config, values=values), start=1):
        if update % follow_every == 0:
            behind = [old + polyak_rate * (new.detach() - old) for old, new in zip(behind, values.parameters())]
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(snapshot.target.parameters(), behind))
        if update % follow_every:  # in between it stands still while the critic moves
            assert not any(torch.allclose(a, b, atol=1e-6)
                           for a, b in zip(values.net.weights, snapshot.target.net.weights))


def test_steps_epsilon_and_the_prediction():
    values = critic(CartPole())
    starts = source(CartPole()).obs
    seen = []
    for snapshot in short(values=values):
        with torch.no_grad():
            assert torch.equal(snapshot.predicted, values(starts).max(-1).values.mean(-1))
        seen.append((snapshot.step, round(snapshot.policy.epsilon, 4)))
    # The random start takes 40 steps, at ε = 1/2 of two actions; then from 0.5 down to 0.02 over 40 steps.
    slope = (SHORT.epsilon_start - SHORT.epsilon_end) / 40
    assert seen == [(40, 0.5)] + [(40 + 8 * k, round(max(SHORT.epsilon_start - slope * 8 * (k - 1), 0.02), 4))
                                  for k in range(1, 8)]
    assert [step for step, _ in snapshot.curve] == [step for step, _ in seen]


def moves(config) -> list[float]:
    """The largest change of any parameter in each round, in units of the learning rate."""
    values = critic(CartPole())
    before, sizes = [p.detach().clone() for p in values.parameters()], []
    for _ in short(config=config, values=values):
        now = [p.detach().clone() for p in values.parameters()]
        sizes.append(max(float((a - b).abs().max()) for a, b in zip(now, before)) / config.learning_rate)
        before = now
    return sizes


def test_the_learning_rate_falls_to_zero_and_the_gradient_is_clipped():
    # Adam moves a parameter by about the learning rate, twice a round; in the last round 8/96 of it are left.
    sizes = moves(SHORT)
    assert sizes[0] > 1.5 and sizes[-1] < 0.25
    # Clipped to far below the 1e-8 that Adam adds to its denominator, it hardly moves anything.
    assert max(moves(replace(SHORT, clip_norm=1e-12))) < 1e-2


def test_the_random_start_takes_all_actions_alike():
    taken = []

    class Watched(DynamicsSource):
        def step(self, action):
            taken.append(action)
            return super().step(action)

    env = replace(PROBES[3].dynamics, actions=4)
    watched = Watched(env, 1, 50, random=generator(0, "source"))
    config = replace(SHORT, random_steps=8000, total_steps=8001, epsilon_start=0.0, capacity=500)
    next(dqn.train(watched, critic(env, 1), config, seed=0))
    count = torch.bincount(torch.stack(taken).flatten(), minlength=4).double()
    assert int(count.sum()) == 8000
    assert float(((count - 2000) ** 2 / 2000).sum()) < 21.1  # χ², 3 degrees of freedom: 1e-4, seed 0


PROBE = dqn.Config(total_steps=1600, random_steps=400, horizon=4, updates=8, batch_size=32, capacity=200,
                   learning_rate=1e-2, discount=0.5, n_step=1, follow_every=1, polyak_rate=0.1, epsilon_start=0.5,
                   epsilon_end=0.5)


def learned(env, config, net=DiscreteQNet, **sockets):
    """The last snapshot of two runs with 8 environments each."""
    for snapshot in dqn.train(source(env, 2, 8), critic(env, 2, net=net), config, seed=0, **sockets):
        pass
    return snapshot


@pytest.mark.slow
@pytest.mark.parametrize("probe, changes, net", [
    (PROBES[2], {}, DiscreteQNet), (PROBES[2], {"n_step": 3, "double": False}, DiscreteQNet),
    (PROBES[4], {}, DiscreteQNet), (PROBES[4], {"prioritised": True, "n_step": 2, "total_steps": 2400}, DuelingQNet)],
    ids=["delayed", "delayed, 3 steps", "by action and observation", "prioritised and dueling"])
def test_the_probes_are_solved(probe, changes, net):
    snapshot = learned(probe.dynamics, replace(PROBE, **changes), net)
    obs = probe.obs.to(F32).expand(2, *probe.obs.shape)
    with torch.no_grad():
        q = snapshot.critic(obs)
    for run in range(2):
        greedy = torch.nn.functional.one_hot(q[run].argmax(-1), probe.dynamics.actions).double()
        assert probe.check(q[run].amax(-1).double(), greedy, value_tolerance=0.1) is None
        if probe.action is not None:  # the other action loses what the right one wins
            assert q[run].amin(-1).tolist() == pytest.approx([-1.0, -1.0], abs=0.1)


@dataclass(frozen=True, eq=False)
class Cut(Dynamics):
    """Each step pays `pay`, one in ten `rarely` more; one state; cut after `limit` steps, or each step ends it."""

    limit: int = 2
    ends: bool = False
    pay: float = 1.0
    rarely: float = 0.0
    obs_shape = (1,)
    state_shape = (1,)
    initial_noise = 1
    reward_noise = 1
    action_space = Discrete(1)

    @property
    def max_episode_steps(self):
        return self.limit

    def initial_state(self, noise):
        return torch.ones_like(noise)

    def transition(self, state, action, noise=None):
        return state

    def reward(self, state, action, next_state, noise=None):
        return self.pay + self.rarely * (noise[..., 0] < 0.1).to(state.dtype)

    def terminated(self, state, action, next_state):
        return torch.full(next_state.shape[:-1], self.ends)


@pytest.mark.slow
@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("ends, right", [(False, 2.0), (True, 1.0)])
def test_truncation_bootstraps_by_as_many_steps_as_were_made_and_termination_does_not(n_step, ends, right):
    # 1 + ½ + ¼ + … = 2, wherever the time limit cuts. With 3-step targets a cut after two steps discounts by ¼, and
    # one after the first by ½: with ⅛ for both the value would settle between 1.3 and 1.5.
    snapshot = learned(Cut(1 if ends else 2, ends), replace(PROBE, n_step=n_step))
    assert snapshot.predicted.tolist() == pytest.approx([right] * 2, abs=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("correction, right", [(1.0, 0.0), (0.0, 1.5)])
def test_importance_weights_undo_the_priorities(correction, right):
    # Rewards of 9 with probability 0.1, else −1. Drawn in proportion to |δ| and not corrected, q balances
    # 0.1 · (9 − q)² = 0.9 · (q + 1)², so 9 − q = 3 (q + 1); corrected, q is the mean reward.
    config = replace(PROBE, total_steps=100_000, prioritised=True, priority_exponent=1.0, correction=correction,
                     batch_size=128, huber=None)
    env = Cut(1, True, pay=-1.0, rarely=10.0)
    for snapshot in dqn.train(source(env, 2, 8), critic(env, 2), config, seed=0):
        if snapshot.step > 1600:  # long before the correction has risen to 1
            break
    assert snapshot.predicted.tolist() == pytest.approx([right] * 2, abs=0.5)


@pytest.mark.slow
def test_cartpole_is_learned_in_every_run():
    env, runs = CartPole(), 4
    best = torch.zeros(runs)
    for snapshot in dqn.train(source(env, runs, 8), critic(env, runs, hidden=(64, 64), activation="tanh"), seed=0):
        if snapshot.step % 4096 < 64:
            best = torch.maximum(best, mean_return(episodes(source(env, runs, 10, seed=1), snapshot.policy)))
            if bool((best > 250).all()):
                break
    assert bool((best > 250).all()), best


@pytest.mark.parametrize("call, words", [
    (lambda: dqn.Config(n_step=0), "n_step: expected a whole number of at least 1, got 0"),
    (lambda: dqn.Config(polyak_rate=2.0), "polyak_rate: expected a number in"),
    (lambda: dqn.Config(epsilon_end=-0.1), "epsilon_end: expected a number in"),
    (lambda: dqn.Config(huber=0.0), "huber: expected a positive number, got 0.0"),
    (lambda: dqn.train(source(Pendulum()), critic(CartPole()), seed=0), "source: expected a finite choice of actions"),
    (lambda: short(values=critic(CartPole(), 3)), "critic: expected 2 runs, as many as the source, got 3"),
    (lambda: short(values=DiscreteQNet(4, 3, runs=2, seed=0)), "net: expected values of 2 discrete actions, got 3"),
    (lambda: short(config=dqn.Config(random_steps=40, batch_size=64)),
     "batch_size: expected at most the 40 transitions stored at the start, got 64"),
    (lambda: short(config=replace(SHORT, n_step=11)), "n_step: expected at most the 10 rows stored at the start"),
    (lambda: short(q_target=3), "q_target: expected a function, got int"),
])
def test_bad_input_is_one_line_before_training_starts(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("prioritised", [False, True])
def test_an_error_that_is_not_finite_names_its_run(prioritised):
    values = critic(CartPole(), 3)
    with torch.no_grad():
        values.net.weights[0][1] = float("inf")
    with pytest.raises(FloatingPointError, match=r"td error: not finite at step 40 in runs \[1\]"):
        next(short(3, replace(SHORT, prioritised=prioritised), values))


def test_rewards_that_are_no_numbers_stop_the_training_before_the_first_update():
    env = Cut(pay=float("nan"))
    values = critic(env)
    before = copy.deepcopy(values)
    with pytest.raises(ValueError, match="batch: expected finite rewards, got NaN or infinity"):
        next(short(values=values, env=env))
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), values.parameters()))
