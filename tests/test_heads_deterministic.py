"""The deterministic head and its exploring actor: values by hand, gradients in closed form, bounds, runs, bad input."""

import math

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.core.spaces import Box
from rlcourse.data.rollout import Actor, rollout
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.pendulum import Pendulum
from rlcourse.equations.continuous_q import deterministic_actor_loss
from rlcourse.exact.lqr_q import best_q, gain_gradient, policy_q, state_moment
from rlcourse.exact.soft_lqr import LinearQuadratic
from rlcourse.nets.heads_deterministic import DeterministicHead, NoisyActor
from rlcourse.nets.policies import Policy

double = torch.float64
SPACE = Box(-2.0, 3.0, 2)


def noise(*shape, name="noise", dtype=double):
    return uniforms(shape, generator(0, name), dtype)


def policy(runs=4, dtype=double, space=SPACE, obs_size=3):
    return Policy(DeterministicHead(obs_size, space.size, runs=runs, seed=0, low=space.low, high=space.high,
                                    hidden=(16,), dtype=dtype), space)


def obs_for(runs=4, count=7, dtype=double):
    return torch.randn((runs, count, 3), generator=generator(0, "obs"), dtype=dtype)


@pytest.mark.parametrize("dtype", [double, torch.float32])
def test_the_action_is_the_output_pressed_into_the_box(dtype):
    actor, obs = policy(dtype=dtype), obs_for(dtype=dtype)
    raw = actor.head.net(obs).detach()
    right = -2.0 + 5.0 / (1.0 + torch.exp(-2.0 * raw))  # (1 + tanh x)/2 is the logistic function of 2x
    torch.testing.assert_close(actor.act(obs), right)
    assert actor.act(obs).dtype == dtype and actor.noise_size == 0
    assert torch.equal(actor.distribution(obs).mode.detach(), actor.act(obs))
    with torch.no_grad():
        actor.head.net.biases[-1][..., 0], actor.head.net.biases[-1][..., 1] = -40.0, 40.0
    assert actor.act(obs)[..., 0].max() == -2.0 and actor.act(obs)[..., 1].min() == 3.0
    plain = DeterministicHead(3, 2, runs=4, seed=0, hidden=(16,), squash=False, dtype=dtype)
    assert torch.equal(plain.sample(obs), plain.net(obs))


def test_the_gradient_reaches_every_parameter_of_the_actor_and_act_has_none():
    actor, obs = policy(), obs_for()
    assert not actor.act(obs).requires_grad
    actor.distribution(obs).mode.sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in actor.parameters())


def test_the_loss_of_the_actor_has_the_deterministic_policy_gradient():
    """μ(s) = W s by the head itself, the exact critic of that very policy, and states that stand for all it visits."""
    def matrix(*rows):
        return torch.tensor(rows, dtype=double)

    problem = LinearQuadratic(matrix([1.0, 0.1], [-0.2, 0.9]), matrix([1.0, 0.0], [0.3, -0.6]),
                              matrix([1.0, 0.2], [0.2, 0.5]), matrix([0.5, 0.1], [0.1, 0.9]))
    gain, start = 0.6 * best_q(problem, discount=0.9).gain, matrix([0.8, 0.1], [0.1, 0.5])
    head = DeterministicHead(2, 2, runs=1, seed=0, hidden=(), squash=False)
    actor = Policy(head, Box(-1e6, 1e6, 2))
    with torch.no_grad():
        head.net.weights[0][0] = -gain.T
    states = torch.linalg.cholesky(state_moment(problem, gain, start, discount=0.9)).T[None]  # Σ s sᵀ = M
    q = policy_q(problem, gain, discount=0.9).q(states, actor.distribution(states).mode)
    (slope,) = torch.autograd.grad(deterministic_actor_loss(q).sum(), head.net.weights[0])
    # The weights are −Kᵀ and the loss is −J: ∂loss/∂weights = (∂J/∂K)ᵀ.
    torch.testing.assert_close(slope[0].T, gain_gradient(problem, gain, start, discount=0.9), rtol=1e-10, atol=1e-12)


def test_the_noise_has_its_deviation_and_is_clipped_to_the_box():
    runs, count = 2, 4000
    actor = policy(runs)
    obs = obs_for(runs, 1).expand(runs, count, 3)
    explorer = NoisyActor(actor, SPACE, 0.3)
    assert isinstance(explorer, Actor) and explorer.noise_size == 2
    even = ((torch.arange(count, dtype=double) + 0.5) / count)[None, :, None].expand(runs, count, 2)
    aside = explorer.act(obs, even) - actor.act(obs)
    assert aside.mean(1).flatten().tolist() == pytest.approx([0.0] * 4, abs=1e-12)
    assert aside.std(1).flatten().tolist() == pytest.approx([0.3] * 4, rel=2e-3)
    # The normal distribution, by its cdf: 97.5 % of the noise is below 1.96 deviations.
    assert float((aside < 0.3 * 1.959964).to(double).mean()) == pytest.approx(0.975, abs=1 / count)
    wild = NoisyActor(actor, SPACE, 50.0).act(obs, noise(runs, count, 2))
    assert SPACE.contains(wild) and float((wild == SPACE.low).double().mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(explorer.act(obs), actor.act(obs))  # greedy without noise
    assert torch.equal(NoisyActor(actor, SPACE, 0.0).act(obs, even), actor.act(obs))


def test_it_drives_a_rollout_and_stays_live():
    env = Pendulum()
    actor = policy(2, torch.float32, env.action_space)
    explorer = NoisyActor(actor, env.action_space, 0.5)
    source = DynamicsSource(env, 2, 4, random=generator(0, "source"))
    batch = rollout(source, explorer, 5, random=generator(0, "actions"))
    assert batch.action.shape == (5, 2, 4, 1) and env.action_space.contains(batch.action)
    obs, kept = obs_for(2, dtype=torch.float32), explorer.copy()
    before = explorer.act(obs)
    with torch.no_grad():
        actor.head.net.biases[-1][1] += 1.0
    after = explorer.act(obs)
    assert torch.equal(after[0], before[0]) and not torch.equal(after[1], before[1])
    assert torch.equal(kept.act(obs), before)
    for r in range(2):
        draws = noise(2, 7, 1, dtype=torch.float32)
        torch.testing.assert_close(explorer.run(r).act(obs[r:r + 1], draws[r:r + 1]),
                                   explorer.act(obs, draws)[r:r + 1])


def test_a_copy_can_be_saved_and_loaded(tmp_path):
    actor, obs = policy(), obs_for()
    actor.save(tmp_path / "actor.pt")
    other = policy()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    middle = 0.5 * (SPACE.low + SPACE.high)
    assert bool((other.act(obs) == middle).all()) and math.isclose(middle, 0.5)
    assert torch.equal(other.load(tmp_path / "actor.pt").act(obs), actor.act(obs))


@pytest.mark.parametrize("call, words", [
    (lambda: DeterministicHead(3, 2, runs=1, seed=0, low=1.0), "low: expected a number below high = 1.0, got 1.0"),
    (lambda: NoisyActor(policy(), SPACE, -0.1), "noise_std: expected a number of at least 0, got -0.1"),
    (lambda: NoisyActor(policy(), SPACE, 0.1).act(obs_for(), noise(4, 7, 1)),
     r"noise: expected shape \[4, 7, 2\], got \[4, 7, 1\]"),
    (lambda: Policy(DeterministicHead(3, 1, runs=1, seed=0), SPACE), "head: expected one for actions of size 2, got 1"),
])
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call()
