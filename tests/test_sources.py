"""Sources, rollouts and episodes against hand-written loops, with every way an episode can end."""

import itertools
from dataclasses import dataclass

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.core.spaces import Discrete
from rlcourse.data.episodes import episodes, episodes_with_states
from rlcourse.data.evaluate import episode_lengths, episode_returns, mean_return
from rlcourse.data.rollout import rollout, rollout_with_states
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.car import Car
from rlcourse.envs.dynamics import Dynamics
from rlcourse.envs.experts import car_expert
from rlcourse.envs.goals import goal_room, wanderer


@dataclass(frozen=True, eq=False)
class Countdown(Dynamics):
    """Counts up from 0; ends with the step to `end`. Observation: ten times the state."""

    end: int
    limit: int | None = None
    action_space = Discrete(2)
    obs_shape = ()
    state_shape = ()

    @property
    def max_episode_steps(self):
        return self.limit

    def initial_state(self, noise):
        return torch.zeros(noise.shape[:-1], dtype=noise.dtype)

    def transition(self, state, action, noise=None):
        return state + 1

    def reward(self, state, action, next_state, noise=None):
        return next_state + 100 * action

    def terminated(self, state, action, next_state):
        return next_state == self.end

    def observe(self, state, noise=None):
        return 10 * state


@dataclass
class Always:
    """An actor with one answer."""

    action: int
    noise_size: int = 0

    def act(self, obs, noise=None):
        return torch.full(obs.shape, self.action, dtype=torch.int64)


@dataclass
class ByNoise:
    """An actor that acts on what it is given: 1 where the uniform is above a half."""

    noise_size: int = 1

    def act(self, obs, noise=None):
        return torch.zeros(obs.shape, dtype=torch.int64) if noise is None else (noise[..., 0] > 0.5).long()


def source_of(dynamics, runs=1, environments=1, **options):
    return DynamicsSource(dynamics, runs, environments, random=generator(0, "source"), **options)


@pytest.mark.parametrize("end, limit", list(itertools.product([1, 2, 3, 99], [1, 2, 3, None])))
def test_every_placement_of_both_ends(end, limit):
    batch = rollout(source_of(Countdown(end, limit)), Always(0), 7)
    count = 0
    for t in range(7):
        assert batch.obs[t].item() == 10 * count
        count += 1
        assert batch.next_obs[t].item() == 10 * count          # the true successor, also at an end
        assert batch.reward[t].item() == count
        assert bool(batch.terminated[t]) == (count == end)
        assert bool(batch.truncated[t]) == (count == limit)
        if count in (end, limit):
            count = 0


def test_observations_continue_after_the_reset():
    source = source_of(Countdown(3))
    for _ in range(2):
        source.step(torch.zeros(1, 1, dtype=torch.int64))
    last = source.step(torch.zeros(1, 1, dtype=torch.int64))
    assert (last.next_obs.item(), last.obs.item(), source.state.item()) == (30.0, 0.0, 0.0)
    assert source.steps_taken.item() == 0 and source.obs.item() == 0.0


def test_environments_end_one_by_one():
    # The car ends in different places at different times; each environment must equal its own loop.
    car, runs, count, steps = Car(gust=0.5), 2, 3, 80
    source = DynamicsSource(car, runs, count, random=generator(4, "luck"), dtype=torch.float64, time_limit=25)
    batch, states = rollout_with_states(source, car_expert(car), steps)
    luck = generator(4, "luck")

    def draw(size):
        return uniforms((runs, count, size), luck)

    draws, first = [], draw(2)
    draw(0)
    for _ in range(steps):
        draws.append((draw(1), draw(2)))
    ends = 0
    for r, n in itertools.product(range(runs), range(count)):
        state, age = car.initial_state(first[r, n]), 0
        for t in range(steps):
            action = car_expert(car)(state)
            step = car.step(state, action, draws[t][0][r, n])
            age += 1
            assert torch.allclose(states[t, r, n], state, atol=1e-12)
            assert torch.allclose(batch.obs[t, r, n], car.observe(state), atol=1e-12)
            assert torch.allclose(batch.action[t, r, n], action, atol=1e-12)
            assert torch.allclose(batch.next_obs[t, r, n], step.next_obs, atol=1e-12)
            assert (batch.reward[t, r, n], batch.terminated[t, r, n]) == (step.reward, step.terminated)
            assert bool(batch.truncated[t, r, n]) == (age == 25)
            state, ended = step.next_state, bool(step.terminated) or age == 25
            if ended:
                ends += not age == 25
                state, age = car.initial_state(draws[t][1][r, n]), 0
    assert ends >= 5 and bool(batch.truncated.any())


def test_same_seed_same_bits_another_seed_others():
    car = Car()

    def roll(seed):
        source = DynamicsSource(car, 2, 3, random=generator(seed, "luck"))
        return rollout(source, car_expert(car), 20).obs
    assert torch.equal(roll(1), roll(1)) and not torch.equal(roll(1), roll(2))


def test_a_crash_in_one_environment_changes_no_other_ones_luck():
    car = Car()

    def roll(reckless):
        def driver(state):
            steering = car_expert(car)(state)
            steering[0, 0] = 1.0 if reckless else steering[0, 0]
            return steering
        return rollout(DynamicsSource(car, 2, 3, random=generator(0, "luck")), driver, 40)

    careful, reckless = roll(False), roll(True)
    assert bool(reckless.terminated[:, 0, 0].any()) and not bool(careful.terminated.any())
    others = torch.ones(2, 3, dtype=torch.bool)
    others[0, 0] = False
    assert torch.equal(careful.obs[:, others], reckless.obs[:, others])


def test_actors_get_noise_only_from_a_generator():
    greedy = rollout(source_of(Countdown(99), 2, 50), ByNoise(), 10)
    drawn = rollout(source_of(Countdown(99), 2, 50), ByNoise(), 10, random=generator(0, "acts"))
    again = rollout(source_of(Countdown(99), 2, 50), ByNoise(), 10, random=generator(0, "acts"))
    assert greedy.action.sum() == 0 and torch.equal(drawn.action, again.action)
    # 1,000 fair draws: five standard errors are 0.08.
    assert abs(drawn.action.double().mean() - 0.5) < 0.08


def test_whole_episodes():
    batch, states = episodes_with_states(source_of(Countdown(3, 5), 2, 2), Always(1))
    assert batch.reward.shape == (3, 2, 2) and bool(batch.valid.all())
    assert batch.terminated[:, 0, 0].tolist() == [False, False, True]
    assert states[:, 1, 1].tolist() == [0.0, 1.0, 2.0]
    assert episode_returns(batch).unique().tolist() == [306.0]
    assert episode_returns(batch, 0.5)[0, 0] == 101 + 0.5 * 102 + 0.25 * 103
    cut = episodes(source_of(Countdown(99, 4)), Always(0))
    assert cut.truncated[:, 0, 0].tolist() == [False, False, False, True] and not bool(cut.terminated.any())


def test_episodes_of_different_length_are_masked():
    car = Car(gust=0.3)
    source = DynamicsSource(car, 2, 8, random=generator(0, "luck"), time_limit=60)
    batch = episodes(source, car_expert(car))
    lengths = episode_lengths(batch)
    assert lengths.unique().numel() > 3 and lengths.max() == batch.reward.shape[0]
    for r, n in itertools.product(range(2), range(8)):
        length = int(lengths[r, n])
        assert batch.valid[:length, r, n].all() and not batch.valid[length:, r, n].any()
        ends = batch.terminated[:, r, n] | batch.truncated[:, r, n]
        assert ends.nonzero().flatten().tolist() == [length - 1]
        assert batch.reward[length:, r, n].abs().sum() == 0
        # Each step on the road pays 1, the one that leaves it 0.
        assert episode_returns(batch)[r, n] == length - int(batch.terminated[:, r, n].any())
    assert torch.allclose(mean_return(batch), episode_returns(batch).sum(-1) / 8)
    assert bool((source.steps_taken == 0).all())


def test_tables_are_sources_too():
    room = goal_room()
    source = DynamicsSource(room.mdp, 2, 3, random=generator(0, "room"))
    random = generator(0, "acts")

    def wander(state):
        rows = wanderer(room)[state].flatten(0, 1)
        return torch.multinomial(rows, 1, generator=random).reshape(state.shape)
    batch = rollout(source, wander, 45)
    assert batch.obs.dtype == torch.int64 and batch.reward.dtype == torch.float32
    assert batch.truncated.nonzero()[:, 0].unique().tolist() == [19, 39]
    assert (batch.obs[20] == 0).all()


def test_bad_arguments_are_refused():
    source = source_of(Countdown(3), 2, 2)
    with pytest.raises(ValueError, match=r"^action: expected shape \[2, 2\], got \[2\]"):
        source.step(torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="^source: expected a time limit"):
        episodes(source, Always(0))
    with pytest.raises(ValueError, match="^steps: expected"):
        rollout(source, Always(0), 0)
    with pytest.raises(ValueError, match="^batch: expected whole episodes"):
        episode_returns(rollout(source, Always(0), 2))

    class Stateless:
        obs = torch.zeros(1, 1)
    with pytest.raises(ValueError, match="^source: expected one with states"):
        rollout(Stateless(), lambda state: state, 1)
