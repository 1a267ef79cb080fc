"""One greedy episode of a policy that was trained, saved and loaded: its states, and its film."""

from dataclasses import dataclass
from io import BytesIO

import gymnasium
import pytest
import torch
from PIL import Image

from rlcourse.algorithms import ppo
from rlcourse.core.seeding import generator, uniforms
from rlcourse.data.episodes import one_episode
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.pendulum import Pendulum
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.policies import Policy
from rlcourse.nets.values import ValueNet
from rlcourse.plots.control import film


def policy(seed=0, runs=2):
    return Policy(CategoricalHead(4, 2, runs=runs, seed=seed), CartPole().action_space)


@pytest.fixture(scope="module")
def trained():
    """Two runs of PPO after 4,096 steps each: better than nothing, and unlike each other."""
    source = DynamicsSource(CartPole(), 2, 8, random=generator(0, "source"), dtype=torch.float64)
    for snapshot in ppo.train(source, policy(), ValueNet(4, runs=2, seed=0), ppo.Config(total_steps=4096), seed=0):
        pass
    return snapshot.policy


def after_one_step_in_gymnasium(actor, run, states):
    """Where Gymnasium's physics leads from each of `states` [T, 4] with the run's greedy action, and the ends [T]."""
    env = gymnasium.make("CartPole-v1")
    following, ends = [], []
    for state in states:
        env.reset(seed=0)
        env.unwrapped.state = state.tolist()
        obs = torch.stack([state] * actor.runs)[:, None]
        _, _, terminated, _, _ = env.step(int(actor.act(obs)[run, 0]))
        following.append(torch.tensor(env.unwrapped.state, dtype=torch.float64))
        ends.append(terminated)
    return torch.stack(following), ends


@pytest.mark.parametrize("run", [0, 1])
def test_every_step_of_the_episode_is_gymnasiums_and_it_ends_where_that_ends(trained, run):
    """Step by step: over a whole episode a balanced pole magnifies rounding without bound."""
    states = one_episode(CartPole(), trained, run=run, seed=3)
    assert states.shape[1:] == (4,) and states[0].abs().max() <= 0.05
    following, ends = after_one_step_in_gymnasium(trained, run, states[:-1])
    torch.testing.assert_close(states[1:], following, rtol=0, atol=1e-9)
    assert not any(ends[:-1]) and (ends[-1] or len(states) == 501)


def test_seed_and_run_decide(trained):
    first = one_episode(CartPole(), trained, run=0, seed=3)
    assert torch.equal(first, one_episode(CartPole(), trained, seed=3))
    assert not torch.equal(first[0], one_episode(CartPole(), trained, seed=4)[0])
    other = one_episode(CartPole(), trained, run=1, seed=3)  # the same start, another policy
    assert torch.equal(first[0], other[0]) and not torch.equal(first[:40], other[:40])


def test_a_problem_that_does_not_end_is_cut_at_its_limit():
    class Still:
        action_space, runs = Pendulum().action_space, 1

        def run(self, r):
            return self

        def cpu(self):
            return self

        def parameters(self):
            return iter([torch.zeros(1, dtype=torch.float64)])

        def act(self, obs, noise=None):
            return torch.zeros(*obs.shape[:-1], 1, dtype=torch.float64)

    states = one_episode(Pendulum(), Still(), seed=0)
    assert states.shape == (201, 2) and not torch.equal(states[0], states[-1])


def test_a_trained_policy_is_saved_and_loaded(trained, tmp_path):
    trained.save(tmp_path / "policy.pt")
    other = policy(seed=9)
    obs = uniforms((2, 500, 4), generator(0, "observations")) - 0.5
    assert not torch.equal(other.act(obs), trained.act(obs))
    other.load(tmp_path / "policy.pt")
    assert torch.equal(other.distribution(obs).log_prob(torch.zeros(2, 500, dtype=torch.int64)),
                       trained.distribution(obs).log_prob(torch.zeros(2, 500, dtype=torch.int64)))
    for run in (0, 1):
        states = one_episode(CartPole(), other, run=run, seed=3)
        assert torch.equal(states, one_episode(CartPole(), trained, run=run, seed=3))


def test_its_film_moves(trained):
    states = one_episode(CartPole(), trained, seed=3)
    moving = Image.open(BytesIO(film(CartPole(), states, most=30).png))
    assert len(states) > 30 and moving.n_frames > 20


def test_wrong_input_is_named(trained):
    @dataclass(frozen=True, eq=False)
    class Endless(CartPole):
        max_episode_steps = None

    with pytest.raises(ValueError, match="dynamics: expected a time limit, so that the episode ends, got None"):
        one_episode(Endless(), trained, seed=0)
    with pytest.raises(ValueError, match="policy: expected actions in Box.*, got Discrete"):
        one_episode(Pendulum(), trained, seed=0)
    with pytest.raises(ValueError, match="run: expected a run from 0 to 1, got 2"):
        one_episode(CartPole(), trained, run=2, seed=0)
