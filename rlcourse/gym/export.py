"""Any `Dynamics` as an environment of Gymnasium: one at a time (`DynamicsEnv`) or many (`DynamicsVectorEnv`)."""

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from ..core.check import require, require_count
from ..core.seeding import generator
from ..core.spaces import Box
from ..data.sources import DynamicsSource
from ..envs.dynamics import Dynamics
from ..plots.control import picture
from .spaces import gymnasium_action_space, gymnasium_obs_space

_RENDERING = {"render_modes": ["rgb_array"], "render_fps": 30}


class DynamicsEnv(gymnasium.Env):
    """One copy of a `Dynamics` with Gymnasium's `reset` and `step`.

    The state is float64 inside (`env.state`, a tensor that may be set), observations are float32 arrays or, for
    tables, indices. All randomness comes from `env.np_random`, hence from `reset(seed=…)`. As everywhere in
    Gymnasium the time limit is a wrapper's: `gymnasium.make` adds it, and `truncated` is False here.
    normalised: actions of a Box are given in [−1, 1], as Gymnasium's checker wishes, and stretched onto the box
    """

    metadata = _RENDERING

    def __init__(self, dynamics: Dynamics, *, normalised: bool = False, render_mode: str | None = None):
        _require_render_mode(render_mode)
        self.dynamics, self.normalised, self.render_mode = dynamics, normalised, render_mode
        self.action_space = gymnasium_action_space(dynamics, normalised)
        self.observation_space = gymnasium_obs_space(dynamics)
        self.state: Tensor | None = None

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """Begin an episode: (observation, {}). There are no options."""
        super().reset(seed=seed)
        self.state = self.dynamics.initial_state(self._uniforms(self.dynamics.initial_noise))
        obs = self.dynamics.observe(self.state, self._uniforms(self.dynamics.observation_noise))
        return self._seen(obs), {}

    def step(self, action) -> tuple:
        """(observation, reward, terminated, False, {}).

        Errors: ValueError before the first reset, and for a discrete action that does not exist.
        """
        require(self.state is not None, "step", "a reset before it", "none")
        action = _to_dynamics(np.asarray(action), self.dynamics, self.normalised, torch.float64)
        result = self.dynamics.step(self.state, action, self._uniforms(self.dynamics.step_noise))
        self.state = result.next_state
        return self._seen(result.next_obs), float(result.reward), bool(result.terminated), False, {}

    def render(self) -> np.ndarray | None:
        """The picture of the present state, uint8 [200, 300, 3]; None without a render mode."""
        return None if self.render_mode is None else picture(self.dynamics, self.state)

    def _uniforms(self, count: int) -> Tensor:
        tiny = torch.finfo(torch.float64).eps / 2  # NumPy draws from [0, 1), the course from (0, 1)
        return torch.from_numpy(self.np_random.random(count)).clamp(tiny, 1.0 - tiny)

    def _seen(self, obs: Tensor) -> np.ndarray | int:
        if isinstance(self.observation_space, gymnasium.spaces.Discrete):
            return int(obs)
        return obs.numpy().astype(np.float32)


class DynamicsVectorEnv(VectorEnv):
    """`num_envs` copies of a `Dynamics` advanced in one batch, each reset in the very step of its end.

    Autoreset mode SAME_STEP: at an end `info["final_obs"]` holds the true successor (an object array, None
    elsewhere) and `info["_final_obs"]` says where, as in Gymnasium's own. `max_episode_steps` replaces the time
    limit of the dynamics. `normalised` is that of `DynamicsEnv`.
    """

    metadata = {**_RENDERING, "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(self, dynamics: Dynamics, num_envs: int = 1, *, normalised: bool = False,
                 max_episode_steps: int | None = None, render_mode: str | None = None):
        _require_render_mode(render_mode)
        require_count("num_envs", num_envs)
        self.dynamics, self.num_envs = dynamics, num_envs
        self.normalised, self.render_mode = normalised, render_mode
        self.single_action_space = gymnasium_action_space(dynamics, normalised)
        self.single_observation_space = gymnasium_obs_space(dynamics)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._time_limit, self._source = max_episode_steps, None

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """Begin an episode everywhere: (observations [num_envs, …], {}). There are no options."""
        super().reset(seed=seed)
        if seed is not None or self._source is None:
            random = generator(int(self.np_random.integers(2**31)), "vector environment")
            self._source = DynamicsSource(self.dynamics, 1, self.num_envs, random=random,
                                          time_limit=self._time_limit)
        else:
            self._source.reset()
        return self._seen(self._source.obs), {}

    def step(self, actions) -> tuple:
        """(observations, rewards, terminations, truncations, infos), the first four with `num_envs` rows.

        Errors: ValueError before the first reset, and for actions of another shape.
        """
        require(self._source is not None, "step", "a reset before it", "none")
        actions = _to_dynamics(np.asarray(actions), self.dynamics, self.normalised, self._source.dtype)
        result = self._source.step(actions[None])
        reward, terminated, truncated = (part[0].numpy() for part in result[1:2] + result[3:])
        ended, info = terminated | truncated, {}
        if ended.any():
            successor, final = self._seen(result.next_obs), np.full(self.num_envs, None, dtype=object)
            for place in np.flatnonzero(ended):
                final[place] = successor[place]
            info = {"final_obs": final, "_final_obs": ended}
        return self._seen(result.obs), reward.astype(np.float64), terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One picture an environment; None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(picture(self.dynamics, state) for state in self._source.state[0])

    def _seen(self, obs: Tensor) -> np.ndarray:
        # A copy: what a caller does to it must not reach the source.
        return obs[0].numpy().astype(self.observation_space.dtype)


def _to_dynamics(action: np.ndarray, dynamics: Dynamics, normalised: bool, dtype: torch.dtype) -> Tensor:
    """Gymnasium's action, or a batch of them, as a tensor for the dynamics."""
    space = dynamics.action_space
    if not isinstance(space, Box):
        inside = action.dtype.kind in "iu" and bool(((action >= 0) & (action < space.n)).all())
        require(inside, "action", f"whole numbers from 0 to {space.n - 1}", action)
        return torch.from_numpy(action.astype(np.int64))
    given = torch.from_numpy(action.astype(np.float64)).to(dtype)
    require(given.shape[-1:] == (space.size,), "action", f"{space.size} numbers", list(given.shape))
    return space.low + (space.high - space.low) * (given + 1) / 2 if normalised else given


def _require_render_mode(mode: str | None) -> None:
    require(mode in (None, "rgb_array"), "render_mode", "None or 'rgb_array'", repr(mode))
