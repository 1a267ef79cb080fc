"""Gymnasium in both directions, judged by its own checker, its own environments, and by injected states."""

import subprocess
import sys
import warnings
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rlcourse.core.seeding import generator
from rlcourse.core.spaces import Box, Discrete
from rlcourse.data.episodes import episodes
from rlcourse.data.evaluate import episode_lengths, episode_returns
from rlcourse.data.rollout import rollout
from rlcourse.data.sources import DynamicsSource, Source
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.pendulum import Pendulum
from rlcourse.envs.pomdp import corridor
from rlcourse.gym.export import DynamicsEnv, DynamicsVectorEnv
from rlcourse.gym.register import ENVIRONMENTS, register
from rlcourse.gym.source import GymSource

IDS = register()


@dataclass
class Coin:
    """An actor that tosses for every action."""

    action_space: Discrete | Box
    noise_size: int = 1

    def act(self, obs, noise=None):
        if isinstance(self.action_space, Discrete):
            return (noise[..., 0] * self.action_space.n).long()
        low, high = self.action_space.low, self.action_space.high
        return (low + (high - low) * noise).expand(*noise.shape[:-1], self.action_space.size)


def cart_poles(limit=500):
    return lambda: gymnasium.make("CartPole-v1", max_episode_steps=limit)


# Theirs for us.

def test_a_rollout_through_gymnasium_equals_ours_step_by_step():
    runs, count, limit = 2, 4, 18
    theirs = GymSource(cart_poles(limit), runs, count, seed=0, dtype=torch.float64)
    ours = DynamicsSource(CartPole(), runs, count, random=generator(1, "luck"), time_limit=limit,
                          dtype=torch.float64)
    assert isinstance(theirs, Source) and theirs.time_limit == limit == ours.time_limit
    assert (theirs.action_space, theirs.obs_shape) == (ours.action_space, ours.obs_shape)
    tosses = torch.randint(2, (120, runs, count), generator=generator(2, "actions"))
    inner = [env.unwrapped for env in theirs.vector.envs]
    seen = {"terminated": 0, "truncated": 0, "both": 0, "neither": 0}
    for t, action in enumerate(tosses):
        if t % limit == limit - 1:  # the poles that are still up fall in the very step of the time limit
            inner[0].state = np.array([0.0, 0.0, 0.2, 3.0])
        ours.state = torch.as_tensor(np.stack([env.state for env in inner])).reshape(runs, count, 4)
        before = ours.steps_taken.clone()
        a, b = theirs.step(action), ours.step(action)
        for name in ("reward", "terminated", "truncated"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name
        torch.testing.assert_close(a.next_obs.float(), b.next_obs.float(), rtol=1.2e-7, atol=1e-9)
        ended = a.terminated | a.truncated
        assert torch.equal(a.obs[~ended], a.next_obs[~ended])
        if ended.any():
            assert (a.obs[ended].abs() <= 0.05).all()          # a start, not the end
            assert (a.next_obs[ended] != a.obs[ended]).any()
        assert torch.equal(ours.steps_taken, torch.where(ended, 0, before + 1))
        for name, flags in (("terminated", a.terminated & ~a.truncated),
                            ("truncated", a.truncated & ~a.terminated), ("both", a.terminated & a.truncated),
                            ("neither", ~ended)):
            seen[name] += int(flags.sum())
    assert all(seen.values()), seen


def test_no_step_of_the_batch_is_a_mere_reset():
    # The negative control: in Gymnasium's default mode the step after an end takes no action and pays nothing.
    source = GymSource(cart_poles(), 1, 3, seed=0)
    batch = rollout(source, Coin(source.action_space), 60, random=generator(0, "coins"))
    assert (batch.reward == 1).all() and batch.terminated.any()
    default = SyncVectorEnv([cart_poles()] * 3)
    default.reset(seed=0)
    paid = [default.step(np.ones(3, dtype=np.int64))[1] for _ in range(60)]
    assert (np.array(paid) == 0).any()


def test_whole_episodes_through_gymnasium():
    source = GymSource(cart_poles(30), 2, 3, seed=4)
    batch = episodes(source, Coin(source.action_space), random=generator(0, "coins"))
    assert torch.equal(episode_returns(batch), episode_lengths(batch).float())
    assert (episode_lengths(batch) <= 30).all() and (batch.terminated.sum(0) + batch.truncated.sum(0) >= 1).all()


def first_obs(seed, resets=0):
    source = GymSource(cart_poles(), 2, 5, seed=seed)
    for _ in range(resets):
        source.reset()
    return source.obs.reshape(10, 4)


def test_seeds_suffice_matter_and_share_nothing():
    assert torch.equal(first_obs(0), first_obs(0)) and torch.equal(first_obs(0, 3), first_obs(0, 3))
    assert len({tuple(row) for row in torch.cat((first_obs(0), first_obs(1), first_obs(0, 1))).tolist()}) == 30
    # What Gymnasium does with one number: environment i of seed 0 is environment i − 1 of seed 1.
    plain = SyncVectorEnv([cart_poles()] * 3)
    assert np.array_equal(plain.reset(seed=0)[0][1:], plain.reset(seed=1)[0][:2])


def test_runs_do_not_touch_each_other():
    def actions(flip):
        tosses = torch.randint(2, (40, 2, 3), generator=generator(0, "actions"))
        tosses[:, 0] = tosses[:, 0] ^ flip
        return tosses

    def steps(flip):
        source = GymSource(cart_poles(), 2, 3, seed=0)
        return torch.stack([source.step(action).next_obs for action in actions(flip)])

    one, other = steps(0), steps(1)
    assert torch.equal(one[:, 1], other[:, 1]) and not torch.equal(one[:, 0], other[:, 0])


class Shifted(gymnasium.Env):
    """Counts from 5 on in both spaces, and remembers what it was given."""

    observation_space = gymnasium.spaces.Discrete(3, start=5)
    action_space = gymnasium.spaces.Discrete(2, start=7)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 5, {}

    def step(self, action):
        return action - 1, 0.5, False, False, {}


def test_discrete_spaces_count_from_nought():
    source = GymSource(Shifted, 1, 2, seed=0)
    assert source.obs.tolist() == [[0, 0]] and source.obs.dtype == torch.int64 and source.obs_shape == ()
    assert source.time_limit is None and source.action_space == Discrete(2)
    step = source.step(torch.tensor([[0, 1]]))
    assert step.next_obs.tolist() == [[1, 2]] and step.reward.tolist() == [[0.5, 0.5]]


def test_continuous_actions_reach_gymnasium():
    source = GymSource(lambda: gymnasium.make("Pendulum-v1"), 1, 2, seed=0, dtype=torch.float64)
    assert source.action_space == Box(-2.0, 2.0, 1) and source.time_limit == 200
    state = torch.as_tensor(np.stack([env.unwrapped.state for env in source.vector.envs]))
    action = torch.tensor([[[1.5], [-0.3]]])
    step, ours = source.step(action), Pendulum().step(state, action[0].double())
    torch.testing.assert_close(step.reward[0], ours.reward, rtol=0.0, atol=1e-6)
    torch.testing.assert_close(step.next_obs[0], ours.next_obs, rtol=0.0, atol=1e-6)


def test_the_tightest_time_limit_counts():
    def make():
        return gymnasium.wrappers.TimeLimit(gymnasium.make("CartPole-v1"), 7)

    assert GymSource(make, 1, 1, seed=0).time_limit == 7
    assert GymSource(lambda: gymnasium.wrappers.FlattenObservation(make()), 1, 1, seed=0).time_limit == 7


class Odd(gymnasium.Env):
    """An environment with the spaces it is given."""

    def __init__(self, obs, action):
        self.observation_space, self.action_space = obs, action

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}


BOX = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)


@pytest.mark.parametrize("make, message", [
    ("CartPole-v1", "make: expected a function"),
    (lambda: Odd(gymnasium.spaces.Dict(x=BOX), BOX), "observation_space: expected Box or Discrete"),
    (lambda: Odd(BOX, gymnasium.spaces.MultiDiscrete([2, 3])), "action_space: expected Discrete, or a Box"),
    (lambda: Odd(BOX, gymnasium.spaces.Box(-1.0, 1.0, (2, 2), np.float32)), "action_space: expected Discrete, or"),
    (lambda: Odd(BOX, gymnasium.spaces.Box(np.float32([-1, -2]), np.float32([1, 2]))),
     "action_space: expected the same limits"),
    (lambda env=Odd(BOX, BOX): env, "make: expected a new environment at every call, got 1 different ones in 2"),
])
def test_what_cannot_become_a_source_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        GymSource(make, 1, 2, seed=0)


def test_wrong_actions_are_refused():
    source = GymSource(cart_poles(), 1, 2, seed=0)
    with pytest.raises(ValueError, match=r"action: expected shape \[1, 2\], got \[2\]"):
        source.step(torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="action: expected dtype int64"):
        source.step(torch.zeros(1, 2))


# Ours for them.

@pytest.mark.parametrize("name", IDS)
def test_gymnasiums_checker_has_nothing_to_say(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(name, render_mode="rgb_array")
        check_env(env.unwrapped)
        vector = gymnasium.make_vec(name, num_envs=3)
    assert type(vector) is DynamicsVectorEnv
    assert env.spec.max_episode_steps == ENVIRONMENTS[name.split("/")[1].removesuffix("-v0")]().max_episode_steps


def test_the_checker_does_see_a_fault():
    class Forgetful(DynamicsEnv):
        def reset(self, *, seed=None, options=None):
            return super().reset(options=options)  # the seed is lost

    env = Forgetful(CartPole())
    env.spec = gymnasium.spec("rlcourse/CartPole-v0")
    with pytest.raises(AssertionError):
        check_env(env)


def test_registering_twice_changes_nothing():
    before = {name: gymnasium.spec(name) for name in IDS}
    assert register() == IDS and {name: gymnasium.spec(name) for name in IDS} == before


@pytest.mark.slow
def test_importing_registers_nothing():
    code = ("import gymnasium\nbefore = set(gymnasium.registry)\n"
            "import rlcourse.gym.register, rlcourse.gym.source\n"
            "print(set(gymnasium.registry) == before, len(rlcourse.gym.register.register()) > 10)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr[-2000:]


def test_our_cartpole_equals_gymnasiums_through_gymnasium():
    ours, theirs = gymnasium.make("rlcourse/CartPole-v0"), gymnasium.make("CartPole-v1")
    ours.reset(seed=0)
    theirs.reset(seed=0)
    ours.unwrapped.state = torch.as_tensor(theirs.unwrapped.state)
    for t in range(200):
        action = int(theirs.unwrapped.state[2] + 0.3 * theirs.unwrapped.state[3] > 0) if t < 150 else 1
        a, b = ours.step(action), theirs.step(action)
        np.testing.assert_allclose(a[0], b[0], rtol=1e-6, atol=1e-9)
        assert a[0].dtype == b[0].dtype and a[1:4] == b[1:4]
        if a[2]:
            break
    assert 150 < t < 199


def test_a_normalised_action_is_stretched_onto_the_box():
    raw, unit = DynamicsEnv(Pendulum()), DynamicsEnv(Pendulum(), normalised=True)
    assert (raw.action_space.high[0], unit.action_space.high[0]) == (2.0, 1.0)
    for env in (raw, unit):
        env.reset(seed=0)
    a, b = raw.step(np.float32([-1.0])), unit.step(np.float32([-0.5]))
    assert np.array_equal(a[0], b[0]) and a[1] == b[1]
    uneven = DynamicsEnv(CartPole())
    uneven.reset(seed=0)
    assert uneven.action_space == gymnasium.spaces.Discrete(2)


def test_constants_and_time_limit_can_be_given_to_make():
    env = gymnasium.make("rlcourse/CartPole-v0", half_length=1.0, max_episode_steps=9)
    assert env.unwrapped.dynamics.half_length == 1.0 and env.spec.max_episode_steps == 9
    vector = gymnasium.make_vec("rlcourse/CartPole-v0", num_envs=2, half_length=1.0, max_episode_steps=3)
    vector.reset(seed=0)
    flags = [vector.step(np.array([0, 1]))[3].tolist() for _ in range(4)]
    assert flags == [[False, False], [False, False], [True, True], [False, False]]


def test_the_vector_environment_equals_its_source():
    count, steps = 5, 60
    vector = DynamicsVectorEnv(CartPole(), count, max_episode_steps=25)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    obs, info = vector.reset(seed=3)
    assert obs in vector.observation_space and info == {} and len({tuple(row) for row in obs}) == count
    source = DynamicsSource(CartPole(), 1, count, random=generator(0, "other luck"), time_limit=25)
    source.state = source.obs = torch.as_tensor(obs)[None]
    ends = 0
    for action in torch.randint(2, (steps, count), generator=generator(0, "actions")).numpy():
        obs, reward, terminated, truncated, info = vector.step(action)
        ours = source.step(torch.as_tensor(action)[None])
        ended = terminated | truncated
        for theirs, mine in ((reward, ours.reward), (terminated, ours.terminated), (truncated, ours.truncated)):
            assert np.array_equal(theirs, mine[0].numpy())
        assert np.array_equal(obs[~ended], ours.next_obs[0, ~ended].numpy())
        assert ("final_obs" in info) == bool(ended.any())
        for place in np.flatnonzero(ended):
            assert np.array_equal(info["final_obs"][place], ours.next_obs[0, place].numpy())
            assert info["_final_obs"][place] and (np.abs(obs[place]) <= 0.05).all()
        ends += int(ended.sum())
        source.state = torch.as_tensor(obs)[None]
    assert ends > count


def test_seeds_of_the_exported_environments():
    def run(make, seed):
        env = make()
        env.action_space.seed(0)
        out = [env.reset(seed=seed)[0]]
        for _ in range(30):
            out.append(env.step(env.action_space.sample())[0])
        return np.stack([*out, env.reset()[0]])

    for make in (lambda: DynamicsEnv(corridor(time_limit=20)), lambda: DynamicsVectorEnv(CartPole(), 4),
                 lambda: DynamicsVectorEnv(corridor(time_limit=20), 4)):
        assert np.array_equal(run(make, 5), run(make, 5)) and not np.array_equal(run(make, 5), run(make, 6))


def test_a_vector_environment_starts_anew_from_a_seed_and_goes_on_without_one():
    vector = DynamicsVectorEnv(CartPole(), 3)
    first = vector.reset(seed=1)[0]
    vector.step(np.array([0, 1, 0]))
    second, again = vector.reset()[0], vector.reset(seed=1)[0]
    assert np.array_equal(first, again) and not np.array_equal(first, second)


def test_what_the_caller_does_to_observations_stays_with_the_caller():
    def run(spoil):
        vector, out = DynamicsVectorEnv(CartPole(), 3), []
        obs = vector.reset(seed=1)[0]
        for _ in range(5):
            obs *= spoil
            obs, *_ = vector.step(np.array([0, 1, 0]))
            out.append(obs.copy())
        return np.stack(out)

    assert np.array_equal(run(1.0), run(0.0))


def test_gymnasiums_wrappers_work_on_the_vector_environment():
    vector = DynamicsVectorEnv(CartPole(), 2, max_episode_steps=5)
    vector = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)
    vector.reset(seed=0)
    for _ in range(5):
        *_, info = vector.step(np.array([0, 1]))
    assert info["episode"]["l"].tolist() == [5, 5] and info["episode"]["r"].tolist() == [5.0, 5.0]


def test_there_and_back_again():
    # A Dynamics exported to Gymnasium and taken in as a source: with injected states it is the Dynamics itself.
    source = GymSource(lambda: gymnasium.make("rlcourse/Acrobot-v0"), 1, 3, seed=0, dtype=torch.float64)
    acrobot = ENVIRONMENTS["Acrobot"]()
    for action in torch.randint(3, (10, 1, 3), generator=generator(0, "actions")):
        state = torch.stack([env.unwrapped.state for env in source.vector.envs])
        direct, through = acrobot.step(state, action[0]), source.step(action)
        torch.testing.assert_close(through.next_obs[0], direct.next_obs, rtol=1e-6, atol=1e-7)
        assert torch.equal(through.reward[0], direct.reward)


def test_rendering():
    env = gymnasium.make("rlcourse/CartPole-v0", render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    env.step(1)
    for _ in range(8):
        env.step(1)
    assert frame.shape == (200, 300, 3) and frame.dtype == np.uint8 and not np.array_equal(frame, env.render())
    vector = DynamicsVectorEnv(Pendulum(), 2, render_mode="rgb_array")
    vector.reset(seed=0)
    assert [picture.shape for picture in vector.render()] == [(200, 300, 3)] * 2
    silent = DynamicsEnv(CartPole())
    silent.reset(seed=0)
    assert silent.render() is None
    with pytest.raises(ValueError, match="render_mode: expected None or 'rgb_array', got 'human'"):
        DynamicsEnv(CartPole(), render_mode="human")


@pytest.mark.parametrize("make", [lambda: DynamicsEnv(CartPole()), lambda: DynamicsVectorEnv(CartPole(), 1)])
def test_misuse_is_said_in_one_line(make):
    env = make()
    with pytest.raises(ValueError, match="step: expected a reset before it"):
        env.step(np.array([0]))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action: expected whole numbers from 0 to 1, got"):
        env.step(np.array([2]))
    with pytest.raises(ValueError, match="action: expected whole numbers"):
        env.step(np.array([0.5]))
