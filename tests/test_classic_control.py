"""CartPole, Pendulum, both mountain cars and Acrobot against Gymnasium, step by step from the same states.

The oracle is Gymnasium's own scalar environment with its state written in, called in a Python loop; ours answers
all states in one batch. Everything is float64 and equal to 1e-12, but for what Gymnasium itself rounds to float32:
observations, and the state of the continuous mountain car. There ours is rounded likewise.
"""

import math

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlcourse.core.seeding import generator, uniforms
from rlcourse.core.spaces import Box, Discrete
from rlcourse.envs.acrobot import Acrobot
from rlcourse.envs.cartpole import CartPole
from rlcourse.envs.mountain_car import ContinuousMountainCar, MountainCar
from rlcourse.envs.pendulum import Pendulum

COUNT = 3000
# The ranges of random states reach beyond every limit, wall and clamp, so that each of them is met.
CASES = {
    "CartPole-v1": (CartPole(), [2.6, 5.0, 0.25, 5.0]),
    "Pendulum-v1": (Pendulum(), [4 * math.pi, 8.0]),
    "MountainCar-v0": (MountainCar(), [1.2, 0.07]),
    "MountainCarContinuous-v0": (ContinuousMountainCar(), [1.2, 0.07]),
    "Acrobot-v1": (Acrobot(), [math.pi, math.pi, 4 * math.pi, 9 * math.pi]),
}
CONTINUOUS_CAR = "MountainCarContinuous-v0"


def states_and_actions(name, seed=0, count=COUNT):
    dynamics, reach = CASES[name]
    random = generator(seed, f"states of {name}")
    state = (2 * uniforms((count, len(reach)), random) - 1) * torch.tensor(reach, dtype=torch.float64)
    if "MountainCar" in name:  # not symmetric, and the interesting places are the ends
        state[:, 0] = 1.8 * uniforms((count,), random) - 1.2
        state[::10, 0] = -1.2 + 0.07 * uniforms((len(state[::10]),), random)
        state[1::10, 0] = 0.4 + 0.2 * uniforms((len(state[1::10]),), random)
    if isinstance(dynamics.action_space, Discrete):
        return state, torch.randint(dynamics.action_space.n, (count,), generator=random)
    reach = 1.5 * dynamics.action_space.high  # outside the box as well: both clamp
    return state, reach * (2 * uniforms((count, 1), random) - 1)


def gymnasium_steps(name, state, action):
    """(next_state, obs, reward, terminated) of Gymnasium's environment, one state after another."""
    env = gymnasium.make(name).unwrapped
    env.reset(seed=0)
    rows = []
    for s, a in zip(state.numpy(), action.numpy()):
        env.state = s.copy()
        env.steps_beyond_terminated = None
        obs, reward, terminated, truncated, _ = env.step(a)
        assert truncated is False
        rows.append((np.array(env.state), obs, float(reward), terminated))
    return [torch.as_tensor(np.array(column)) for column in zip(*rows)]


def assert_same_step(name, state, action):
    ours = CASES[name][0].step(state, action)
    next_state, obs, reward, terminated = gymnasium_steps(name, state, action)
    assert ours.next_state.dtype == ours.reward.dtype == torch.float64
    exact = {"rtol": 0.0, "atol": 1e-12}
    if name == CONTINUOUS_CAR:
        # A float64 that differs in its last bit may round to the next float32, 6e-8 further.
        torch.testing.assert_close(ours.next_state, next_state.double(), rtol=0.0, atol=1.2e-7)
    else:
        torch.testing.assert_close(ours.next_state, next_state, **exact)
    torch.testing.assert_close(ours.reward, reward, **exact)
    assert torch.equal(ours.terminated, terminated)
    torch.testing.assert_close(ours.next_obs.float(), obs, rtol=1.2e-7, atol=1e-9)
    return ours


@pytest.mark.parametrize("name", CASES)
def test_thousands_of_steps_equal_gymnasiums(name):
    state, action = states_and_actions(name)
    ours = assert_same_step(name, state, action)
    share = ours.terminated.double().mean()
    if name == "Pendulum-v1":
        assert share == 0
    else:
        assert 0.01 < share < 0.9  # both outcomes have been compared


@pytest.mark.parametrize("name", CASES)
def test_a_trajectory_stays_with_gymnasiums(name):
    # Errors of one step add up and are stretched: a step that is off by 1e-9 is off by more after 60.
    dynamics = CASES[name][0]
    random = generator(3, f"trajectory of {name}")
    state = dynamics.initial_state(uniforms((1, dynamics.initial_noise), random))
    env = gymnasium.make(name).unwrapped
    env.reset(seed=0)
    env.state = state[0].numpy().astype(np.float32 if name == CONTINUOUS_CAR else np.float64)
    for t in range(60):
        # Held for ten steps each way, so that pendulum, cars and links really move.
        if isinstance(dynamics.action_space, Discrete):
            action = torch.tensor([(t // 10) % 2 * (dynamics.action_space.n - 1)])
            if name == "CartPole-v1":
                action = (state[:, 2] + 0.3 * state[:, 3] > 0).long()  # a simple rule that keeps the pole up
        else:
            action = torch.tensor([[1.0 if t // 10 % 2 else -1.0]], dtype=torch.float64)
        if name == CONTINUOUS_CAR:
            state = state.float().double()
        ours = dynamics.step(state, action)
        _, reward, terminated, _, _ = env.step(action[0].numpy())
        tolerance = 1.2e-7 if name == CONTINUOUS_CAR else 1e-10
        torch.testing.assert_close(ours.next_state[0], torch.as_tensor(np.array(env.state)).double(),
                                   rtol=0.0, atol=tolerance)
        assert ours.reward.item() == pytest.approx(float(reward), abs=1e-10)
        assert ours.terminated.item() == terminated
        state = torch.as_tensor(np.array(env.state)).double()[None] if name == CONTINUOUS_CAR else ours.next_state


def finite(low, high):
    return st.floats(low, high, allow_nan=False, allow_subnormal=False)


@given(angle=finite(-100.0, 100.0), speed=finite(-8.0, 8.0), torque=finite(-3.0, 3.0))
def test_pendulum_anywhere(angle, speed, torque):
    assert_same_step("Pendulum-v1", torch.tensor([[angle, speed]], dtype=torch.float64),
                     torch.tensor([[torque]], dtype=torch.float64))


@given(position=finite(-1.2, 0.6), velocity=finite(-0.07, 0.07), action=st.integers(0, 2))
def test_mountain_car_anywhere(position, velocity, action):
    assert_same_step("MountainCar-v0", torch.tensor([[position, velocity]], dtype=torch.float64),
                     torch.tensor([action]))


@given(position=finite(-1.2, 0.6), velocity=finite(-0.07, 0.07), throttle=finite(-2.0, 2.0))
def test_continuous_mountain_car_anywhere(position, velocity, throttle):
    assert_same_step(CONTINUOUS_CAR, torch.tensor([[position, velocity]], dtype=torch.float64),
                     torch.tensor([[throttle]], dtype=torch.float64))


@pytest.mark.parametrize("name, state, action, expected, terminated", [
    # The wall stops the car: velocity 0, not −0.05.
    ("MountainCar-v0", [-1.19, -0.06], 0, [-1.2, 0.0], False),
    ("MountainCarContinuous-v0", [-1.19, -0.06], [-1.0], [-1.2, 0.0], False),
    # The wall on the right holds the position only.
    ("MountainCar-v0", [0.59, 0.07], 2, [0.6, 0.07], True),
])
def test_walls(name, state, action, expected, terminated):
    for dtype in (torch.float32, torch.float64):  # −1.2 is another number in float32
        action_of = torch.tensor([action], dtype=dtype if isinstance(action, list) else torch.int64)
        step = CASES[name][0].step(torch.tensor([state], dtype=dtype), action_of)
        torch.testing.assert_close(step.next_state, torch.tensor([expected], dtype=dtype), rtol=0.0, atol=1e-7)
        assert step.terminated.item() is terminated
        assert step.next_state[0, 1] == 0.0 or expected[1] != 0.0


def test_the_goal_counts_only_forwards():
    rolling = torch.tensor([[0.55, -0.01], [0.55, 0.0], [0.5, 0.01], [0.4999, 0.01]], dtype=torch.float64)
    ended = MountainCar().terminated(rolling, torch.zeros(4, dtype=torch.int64), rolling)
    assert ended.tolist() == [False, True, True, False]


def test_acrobats_angles_wrap_and_its_speeds_are_clamped():
    state, action = states_and_actions("Acrobot-v1", seed=1)
    after = CASES["Acrobot-v1"][0].transition(state, action)
    assert (after[:, :2].abs() <= math.pi).all()
    assert (after[:, 2].abs() == 4 * math.pi).any() and (after[:, 3].abs() == 9 * math.pi).any()
    free = Acrobot(max_speed_1=1e9, max_speed_2=1e9).transition(state, action)
    turned = (free[:, :2] - state[:, :2]).abs() > math.pi  # some did go round
    assert turned.any()


@pytest.mark.parametrize("name", CASES)
def test_spaces_and_time_limit_equal_the_registrys(name):
    dynamics, spec = CASES[name][0], gymnasium.spec(name)
    env = gymnasium.make(name)
    assert dynamics.max_episode_steps == spec.max_episode_steps
    assert dynamics.obs_shape == env.observation_space.shape
    if isinstance(dynamics.action_space, Box):
        assert dynamics.action_space.shape == env.action_space.shape
        assert dynamics.action_space.low == env.action_space.low.item()
        assert dynamics.action_space.high == env.action_space.high.item()
    else:
        assert dynamics.action_space.n == env.action_space.n and env.action_space.start == 0


@pytest.mark.parametrize("name", CASES)
def test_starts_lie_in_gymnasiums_range_and_fill_it(name):
    # 4000 starts on each side: of n uniform draws the extremes miss the ends of a range of length L by more
    # than 0.005 L with probability 2 · exp(−0.005 n) = 4e-9, a number. Seeds 0 … 3999 and 0.
    dynamics, env = CASES[name][0], gymnasium.make(name).unwrapped
    theirs = []
    for seed in range(4000):
        env.reset(seed=seed)
        theirs.append(np.array(env.state, dtype=np.float64))
    theirs = torch.as_tensor(np.array(theirs))
    ours = dynamics.initial_state(uniforms((4000, dynamics.initial_noise), generator(0, "starts")))
    length = theirs.max(0).values - theirs.min(0).values
    for end in (lambda x: x.max(0).values, lambda x: x.min(0).values):
        assert ((end(ours) - end(theirs)).abs() <= 0.01 * length).all()
    # Uniform also between the ends: means of 4000 draws differ by L √(1/12 · 2/4000) · 5 with probability 6e-7.
    assert ((ours.mean(0) - theirs.mean(0)).abs() <= 0.033 * length).all()
    assert ((ours.std(0) - theirs.std(0)).abs() <= 0.02 * length).all()


@pytest.mark.parametrize("name", CASES)
def test_any_batch_shape_and_dtype(name):
    dynamics = CASES[name][0]
    state, action = states_and_actions(name, count=6)
    kept = state.clone()
    whole = dynamics.step(state, action)
    folded = dynamics.step(state.reshape(2, 3, -1), action.reshape(2, 3, *action.shape[1:]))
    single = dynamics.step(state[4], action[4])
    for part, of_folded, of_single in zip(whole, folded, single):
        assert torch.equal(of_folded.reshape(part.shape), part) and torch.equal(of_single, part[4])
    assert torch.equal(state, kept)
    small = dynamics.step(state.float(), action if action.dtype == torch.int64 else action.float())
    assert small.next_state.dtype == small.reward.dtype == torch.float32 and small.terminated.dtype == torch.bool


def test_the_comparison_sees_a_wrong_constant():
    # The negative control: a pole of another length by one part in a million is not the same environment.
    state, action = states_and_actions("CartPole-v1", count=50)
    wrong = CartPole(half_length=0.5 * (1 + 1e-6)).transition(state, action)
    right = gymnasium_steps("CartPole-v1", state, action)[0]
    assert (wrong - right).abs().max() > 1e-9


@pytest.mark.parametrize("name", CASES)
def test_a_planner_can_differentiate_through_a_step(name):
    dynamics = CASES[name][0]
    state = torch.full((1, dynamics.state_shape[0]), 0.02, dtype=torch.float64, requires_grad=True)
    discrete = isinstance(dynamics.action_space, Discrete)
    action = torch.tensor([0]) if discrete else torch.tensor([[0.3]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: dynamics.transition(s, action), (state,))
