"""NAF: the parabola by hand, the linear–quadratic optimum without residual, learners, independent runs, bad input."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from box_probes import Aim, Drift, source

from rlcourse.algorithms import naf
from rlcourse.core.seeding import generator
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import mean_return
from rlcourse.data.replay import Replay
from rlcourse.data.rollout import Actor
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.linear_gain import LinearGain
from rlcourse.envs.pendulum import Pendulum
from rlcourse.equations import continuous_q
from rlcourse.exact import linear_gain
from rlcourse.exact.lqr_q import best_q
from rlcourse.exact.soft_lqr import LinearQuadratic
from rlcourse.nets.naf import NAFNet

F32, double = torch.float32, torch.float64


def net(env, runs=2, seed=0, hidden=(16,), dtype=F32, **settings):
    space = env.action_space
    return NAFNet(env.obs_shape[0], space.size, runs=runs, seed=seed, hidden=hidden, dtype=dtype, low=space.low,
                  high=space.high, **settings)


def points(*shape, name="points"):
    return torch.randn(shape, generator=generator(0, name), dtype=double)


def products(obs):
    """(s, all products sᵢ sⱼ with i ≤ j): what a quadratic value is linear in."""
    row, column = torch.triu_indices(obs.shape[-1], obs.shape[-1])
    return torch.cat([obs, obs[..., row] * obs[..., column]], -1)


def test_the_maximum_and_the_curvature():
    ours, obs = NAFNet(3, 2, runs=4, seed=0, low=-2.0, high=3.0, hidden=(16,)), points(4, 5, 3)
    value, mean, cholesky = ours(obs)
    assert torch.equal(cholesky.triu(1), torch.zeros_like(cholesky))
    assert bool((torch.diagonal(cholesky, dim1=-2, dim2=-1) > 0.3).all())
    assert bool(((mean > -2.0) & (mean < 3.0)).all()) and torch.equal(ours.act(obs), mean.detach())
    torch.testing.assert_close(ours.q(obs, mean), value)
    torch.testing.assert_close(ours.value(obs), value)
    aside = mean + points(4, 5, 2, name="aside")
    assert bool((ours.q(obs, aside) < value).all())
    hessian = torch.autograd.functional.hessian(lambda a: ours.run(0).q(obs[:1, :1], a).sum(), aside[:1, :1].detach())
    torch.testing.assert_close(hessian.squeeze(), -cholesky[0, 0] @ cholesky[0, 0].T)


def test_a_parabola_by_hand():
    ours = NAFNet(1, 2, runs=1, seed=0, hidden=(), squash=False, least_diagonal=0.0)
    with torch.no_grad():
        ours.net.weights[0].zero_()
        # V = 5, μ = (1, −1), L = ((2, 0), (−1, 3)): softplus(log(eˣ − 1)) = x.
        roots = math.log(math.expm1(2)), math.log(math.expm1(3))
        ours.net.biases[0][0, 0] = torch.tensor([5.0, 1.0, -1.0, *roots, -1.0], dtype=double)
    # a − μ = (1, 2): Lᵀ(1, 2) = (2 − 2, 6), and 5 − ½ (0 + 36) = −13.
    q = ours.q(torch.zeros(1, 1, 1, dtype=double), torch.tensor([[[2.0, 1.0]]], dtype=double))
    assert float(q.detach()) == pytest.approx(-13.0, abs=1e-12)


def test_it_acts_like_a_policy():
    ours, obs = NAFNet(3, 2, runs=3, seed=0, hidden=(8,)), points(3, 5, 3)
    assert isinstance(ours, Actor) and ours.noise_size == 0 and not ours.act(obs).requires_grad
    kept, before = ours.copy(), ours.q(obs, ours.act(obs)).detach()
    for r in range(3):
        torch.testing.assert_close(ours.run(r).act(obs[r:r + 1]), ours.act(obs)[r:r + 1])
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter[2] += 1.0
    after = ours.q(obs, kept.act(obs)).detach()
    assert torch.equal(before[:2], after[:2]) and not torch.equal(before[2], after[2])
    assert torch.equal(kept.q(obs, kept.act(obs)).detach(), before)


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_the_linear_quadratic_optimum_has_no_bellman_residual(discount):
    """Parameters from SciPy's Riccati solver, two state numbers and two in the action; s' and r by hand."""
    dynamics, control = np.array([[1.1, 0.3], [0.0, 0.8]]), np.array([[1.0, 0.0], [0.3, -0.6]])
    state_cost, action_cost = np.diag([1.0, 2.0]), np.array([[0.5, 0.1], [0.1, 0.9]])
    root = math.sqrt(discount)
    riccati = scipy.linalg.solve_discrete_are(root * dynamics, root * control, state_cost, action_cost)
    steepness = action_cost + discount * control.T @ riccati @ control
    gain = np.linalg.solve(steepness, discount * control.T @ riccati @ dynamics)
    lower = np.linalg.cholesky(steepness)
    ours = NAFNet(5, 2, runs=1, seed=0, hidden=(), squash=False, least_diagonal=0.0, encode=products)
    with torch.no_grad():
        weights, biases = ours.net.weights[0][0], ours.net.biases[0][0, 0]
        weights.zero_()
        biases.zero_()
        weights[2:, 0] = torch.tensor([-0.5 * riccati[0, 0], -riccati[0, 1], -0.5 * riccati[1, 1]])  # s₁², s₁s₂, s₂²
        weights[:2, 1:3] = torch.tensor(-gain.T)
        biases[3:5] = torch.tensor(np.log(np.expm1(np.diag(lower))))
        biases[5] = lower[1, 0]
    state, action = 3 * points(1, 200, 2), 3 * points(1, 200, 2, name="actions")
    following = state @ torch.tensor(dynamics).T + action @ torch.tensor(control).T
    reward = -0.5 * (((state @ torch.tensor(state_cost)) * state).sum(-1)
                     + ((action @ torch.tensor(action_cost)) * action).sum(-1))
    with torch.no_grad():
        residual = ours.q(state, action) - (reward + discount * ours.value(following))
        assert float(residual.abs().max()) < 1e-10 * float(ours.q(state, action).abs().max())
        problem = LinearQuadratic(*(torch.tensor(part) for part in (dynamics, control, state_cost, action_cost)))
        best = best_q(problem, discount=discount)
        torch.testing.assert_close(ours.q(state, action), best.q(state, action), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(ours.act(state), -state @ best.gain.T, rtol=1e-9, atol=1e-9)


LINEAR = naf.Config(total_steps=4000, random_steps=400, horizon=4, updates=16, batch_size=64, learning_rate=0.05,
                    discount=0.9, polyak_rate=0.2, reward_scale=1.0, exploration_noise=0.5)


@pytest.mark.slow
def test_q_learning_finds_the_gain_of_the_linear_problem():
    """A linear net and quadratic values on s' = s + a, −(s² + a²); time limits cut its episodes, and it goes on."""
    env, runs, limit = LinearGain(horizon=3, action_limit=1.0), 2, 1.0
    ours = NAFNet(2, 1, runs=runs, seed=0, low=-limit, high=limit, hidden=(), squash=False, encode=products)
    for snapshot in naf.train(source(env, runs, 8, dtype=double), ours, LINEAR, seed=0):
        pass
    best = best_q(LinearQuadratic(*(torch.tensor([[x]], dtype=double) for x in (1.0, 1.0, 2.0, 2.0))), discount=0.9)
    state = torch.linspace(-1.5, 1.5, 7, dtype=double).reshape(1, 7, 1).expand(runs, 7, 1)
    torch.testing.assert_close(ours.act(state), linear_gain.best_gain(0.9) * state, rtol=0, atol=2e-3)
    with torch.no_grad():
        value, _, cholesky = ours(state)
    torch.testing.assert_close(value, best.top(state), rtol=0, atol=5e-3)
    torch.testing.assert_close(cholesky.square(), best.steepness.expand(runs, 7, 1, 1), rtol=2e-3, atol=0)


SHORT = naf.Config(total_steps=96, random_steps=40, horizon=2, updates=3, batch_size=16)


def short(env, ours, runs=2, config=SHORT, **sockets):
    return naf.train(source(env, runs), ours, config, seed=0, **sockets)


def after(snapshots):
    for snapshot in snapshots:
        last = snapshot
    return [p.detach().clone() for p in last.policy.parameters()] + [last.predicted]


class Recorded(Replay):
    """Keeps every batch that was drawn."""

    drawn = []

    def sample(self, batch_size, random):
        self.drawn.append(super().sample(batch_size, random))
        return self.drawn[-1]


def test_a_round_of_updates_is_that_of_plain_pytorch(monkeypatch):
    """One run by hand: D = 1, so that Q = V − ½ (l (a − 2 tanh u))², with torch.optim."""
    env, config = Drift(), replace(SHORT, random_steps=160, total_steps=200, updates=5, learning_rate=0.02,
                                   polyak_rate=0.3, batch_size=32)
    ours = net(env, dtype=double)
    before = copy.deepcopy(ours)
    monkeypatch.setattr(naf, "Replay", Recorded)
    monkeypatch.setattr(Recorded, "drawn", [])
    next(naf.train(source(env, dtype=double), ours, config, seed=0))
    assert len(Recorded.drawn) == 5
    for flag in ("terminated", "truncated"):
        assert 0.05 < float(getattr(Recorded.drawn[0], flag).to(double).mean()) < 0.9
    for r in range(2):
        online = [p.detach()[r].clone().requires_grad_() for p in before.parameters()]
        lagging = [p.detach().clone() for p in online]
        optimiser = torch.optim.Adam(online, lr=0.02)
        for batch in Recorded.drawn:
            def outputs(parameters, obs):
                first, second, bias, last = parameters
                return ((obs @ first + bias).clamp(min=0) @ second + last).unbind(-1)

            value, raw, diagonal = outputs(online, batch.obs[r])
            length = 0.3 + torch.log1p(diagonal.exp())
            q = value - 0.5 * (length * (batch.action[r][:, 0] - 2.0 * torch.tanh(raw))) ** 2
            ahead = torch.where(batch.terminated[r], 0.0, outputs(lagging, batch.next_obs[r])[0])
            optimiser.zero_grad()
            ((q - 0.1 * batch.reward[r] - 0.97 * ahead) ** 2).mean().backward()
            optimiser.step()
            lagging = [0.7 * old + 0.3 * new.detach() for old, new in zip(lagging, online)]
        for found, right in zip(ours.parameters(), online):
            torch.testing.assert_close(found.detach()[r], right.detach(), rtol=1e-8, atol=1e-9)


def test_the_same_seed_gives_the_same_network_and_the_socket_sees_one_run():
    def own(action, mean, cholesky):
        assert action.shape == mean.shape == (16, 1) and cholesky.shape == (16, 1, 1) and mean.requires_grad
        return -0.5 * (cholesky[:, 0, 0] * (action - mean)[:, 0]) ** 2

    env = Pendulum()
    first, second = after(short(env, net(env))), after(short(env, net(env)))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert not any(torch.equal(a, b) for a, b in zip(first, net(env).parameters()))
    for a, b in zip(first, after(short(env, net(env), naf_advantage=own))):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    assert not torch.equal(first[0], after(naf.train(source(env), net(env), SHORT, seed=1))[0])


def test_runs_do_not_feel_each_other():
    env, runs, touched = Pendulum(), 4, 3
    networks = [net(env, runs) for _ in range(2)]
    with torch.no_grad():
        for parameter in networks[1].parameters():
            parameter[touched] += 0.1
    clipped = replace(SHORT, clip_norm=0.5)
    before, later = (after(short(env, ours, runs, clipped)) for ours in networks)
    for a, b in zip(before, later):
        assert torch.equal(a[:touched], b[:touched]) and not torch.equal(a[touched], b[touched])


AIM = naf.Config(total_steps=3000, random_steps=400, horizon=4, updates=8, batch_size=64, discount=0.5, capacity=500,
                 reward_scale=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("ends, right", [(True, 1.0), (False, 2.0)])
def test_the_best_action_and_its_worth(ends, right):
    """Q = 1 − (a − c)² is a parabola: μ = c, L² = 2, and V is 1, or 1 + ½ + ¼ + … where only the time limit cuts."""
    env, runs = Aim(ends=ends, pay=1.0), 2
    for snapshot in naf.train(source(env, runs, 8), net(env, runs, hidden=(32, 32)), AIM, seed=0):
        pass
    obs = torch.linspace(-0.8, 0.8, 5, dtype=F32).reshape(1, 5, 1).expand(2, 5, 1)
    with torch.no_grad():
        value, mean, cholesky = snapshot.policy(obs)
    torch.testing.assert_close(mean, obs, rtol=0, atol=0.05)
    assert value.flatten().tolist() == pytest.approx([right] * 10, abs=0.05)
    assert cholesky.square().flatten().tolist() == pytest.approx([2.0] * 10, rel=0.1)
    assert snapshot.predicted.tolist() == pytest.approx([right] * 2, abs=0.05)


@pytest.mark.slow
def test_the_pendulum_is_swung_up_in_nearly_every_run():
    # Four seeds of eight runs tried: all 32 runs reached −200 before 8,200 of the 10,000 steps.
    env, runs = Pendulum(), 4
    reached = torch.zeros(runs, dtype=torch.bool)
    training = naf.train(source(env, runs, 8, 3), net(env, runs, 3, (64, 64)), seed=3)
    for number, snapshot in enumerate(training):
        if number % 12 == 11:
            score = mean_return(episodes(source(env, runs, 20, seed=number), snapshot.policy))
            reached |= score >= -200
            if bool(reached.all()):
                break
    assert int(reached.sum()) >= 3, score


@pytest.mark.parametrize("call, words", [
    (lambda: naf.Config(updates=0), "updates: expected a whole number of at least 1, got 0"),
    (lambda: naf.Config(discount=1.5), "discount: expected a number in"),
    (lambda: naf.Config(clip_norm=0.0), "clip_norm: expected a positive number, got 0.0"),
    (lambda: naf.Config(exploration_noise=-0.1), "exploration_noise: expected a number of at least 0, got -0.1"),
    (lambda: NAFNet(1, 1, runs=1, seed=0, low=2.0), "low: expected a number below high = 1.0, got 2.0"),
    (lambda: NAFNet(1, 1, runs=1, seed=0, least_diagonal=-1.0), "least_diagonal: expected a number of at least 0"),
    (lambda: naf.train(source(CartPole()), net(Pendulum()), seed=0),
     r"source: expected actions in a Box, got Discrete"),
    (lambda: short(Pendulum(), net(Pendulum(), runs=3)), "net: expected 2 runs, as many as the source, got 3"),
    (lambda: short(Pendulum(), NAFNet(3, 2, runs=2, seed=0)), "net: expected actions of size 1, got 2"),
    (lambda: short(Pendulum(), NAFNet(3, 1, runs=2, seed=0)),
     r"net: expected one that squashes into \[-2.0, 2.0\], got \[-1.0, 1.0\]"),
    (lambda: short(Pendulum(), net(Pendulum()), config=naf.Config(random_steps=40)),
     "batch_size: expected at most the 40 transitions stored at the start, got 128"),
    (lambda: short(Pendulum(), net(Pendulum()), naf_advantage=3), "naf_advantage: expected a function, got int"),
    (lambda: net(Pendulum()).q(torch.zeros(2, 5, 3), torch.zeros(2, 5, 2)), r"action: expected shape \[2, 5, 1\]"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_loss_that_is_not_finite_names_its_run():
    env = Pendulum()
    ours = net(env, 3)
    with torch.no_grad():
        ours.net.weights[0][1] = float("inf")
    with pytest.raises(FloatingPointError, match=r"loss: not finite at step 40 in runs \[1\]"):
        next(short(env, ours, 3))


def test_the_advantage_is_the_librarys_equation():
    ours, obs, action = NAFNet(2, 2, runs=2, seed=0, hidden=(8,)), points(2, 4, 2), points(2, 4, 2, name="action")
    value, mean, cholesky = ours(obs)
    torch.testing.assert_close(ours.q(obs, action) - value, continuous_q.naf_advantage(action, mean, cholesky))
