"""Two problems with actions in a box, so small that what a learner must find can be written down."""

from dataclasses import dataclass

import torch

from rlcourse.core.seeding import generator
from rlcourse.core.spaces import Box
from rlcourse.data.sources import DynamicsSource
from rlcourse.envs.dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class Aim(Dynamics):
    """Each episode shows one number c, uniform on (−1, 1), and its one step pays `pay` − (a − c)²."""

    ends: bool = True  # the one step terminates; otherwise the time limit cuts it, and bootstrapping goes on for ever
    pay: float = 0.0
    reach: float = 2.0
    obs_shape = (1,)
    state_shape = (1,)
    max_episode_steps = 1
    initial_noise = 1

    @property
    def action_space(self):
        return Box(-self.reach, self.reach, 1)

    def initial_state(self, noise):
        return 2 * noise - 1

    def transition(self, state, action, noise=None):
        return state

    def reward(self, state, action, next_state, noise=None):
        return self.pay - (action - state).square()[..., 0]

    def terminated(self, state, action, next_state):
        return torch.full(next_state.shape[:-1], self.ends)


@dataclass(frozen=True, eq=False)
class Drift(Aim):
    """It moves; some of its episodes terminate early and the others are cut after three steps."""

    max_episode_steps = 3

    def transition(self, state, action, noise=None):
        return 0.5 * state + 0.3 * action

    def terminated(self, state, action, next_state):
        return next_state[..., 0] > 0.3


def source(env, runs=2, environments=4, seed=0, dtype=torch.float32):
    return DynamicsSource(env, runs, environments, random=generator(seed, "source"), dtype=dtype)
