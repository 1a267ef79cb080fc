"""`GymSource`: R × N environments of Gymnasium behind the course's `Source` protocol."""

from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import Tensor

from ..core.check import require, require_count
from ..core.seeding import generator
from ..data.sources import SourceStep
from .spaces import our_action_space, our_obs_shape


class GymSource:
    """R × N environments made by `make()`, each reset in the very step of its end.

    One `SyncVectorEnv` of R·N environments in the mode SAME_STEP: in Gymnasium's own default an environment
    is reset by the step *after* its end, a step without meaning that would enter the batch as a transition.
    The true successor at an end comes from `final_obs`. `truncated` is what the environment says: the time
    limit of `gymnasium.make` and, in a few environments, more. Observations of a `Discrete` space are int64
    indices from 0, actions count from 0 too. Works on the CPU.

    Each environment gets a seed of its own, drawn from `seed`; Gymnasium would count on from it, so that
    seeds 0 and 1 share all environments but one. The first reset seeds them, later ones go on from there.
    Close it, or leave that to the garbage collector.
    """

    def __init__(self, make: Callable[[], gymnasium.Env], runs: int, environments: int, *, seed: int,
                 dtype: torch.dtype = torch.float32):
        require(callable(make), "make", "a function that makes an environment, such as "
                "lambda: gymnasium.make('CartPole-v1')", type(make).__name__)
        require_count("runs", runs)
        require_count("environments", environments)
        random = generator(seed, "gymnasium environments")
        seeds = torch.randint(2**31, (runs * environments,), generator=random).tolist()
        self.runs, self.environments, self.dtype = runs, environments, dtype
        self.vector = SyncVectorEnv([make] * (runs * environments), autoreset_mode=AutoresetMode.SAME_STEP)
        distinct = len({id(env.unwrapped) for env in self.vector.envs})
        require(distinct == runs * environments, "make", "a new environment at every call",
                f"{distinct} different ones in {runs * environments} calls")
        self._space, self._obs_space = self.vector.single_action_space, self.vector.single_observation_space
        self.action_space, self.obs_shape = our_action_space(self._space), our_obs_shape(self._obs_space)
        self.time_limit = _time_limit(self.vector.envs[0])
        self.obs = self._tensor(self.vector.reset(seed=seeds)[0])

    def reset(self) -> Tensor:
        """Begin a new episode everywhere; the observations [R, N, …]."""
        self.obs = self._tensor(self.vector.reset()[0])
        return self.obs

    def step(self, action: Tensor) -> SourceStep:
        """Take `action` [R, N, …] everywhere; environments whose episode ended begin the next one.

        Errors: ValueError if `action` has another shape, or a Discrete one another dtype than int64.
        """
        wanted = (self.runs, self.environments, *self.action_space.shape)
        require(tuple(action.shape) == wanted, "action", f"shape {list(wanted)}", list(action.shape))
        obs, reward, terminated, truncated, info = self.vector.step(self._action(action))
        next_obs = obs.copy()
        for place in np.flatnonzero(terminated | truncated):
            next_obs[place] = info["final_obs"][place]
        self.obs = self._tensor(obs)
        flags = [torch.from_numpy(flag).reshape(self.runs, self.environments) for flag in (terminated, truncated)]
        return SourceStep(self.obs, torch.from_numpy(reward).to(self.dtype).reshape(self.runs, self.environments),
                          self._tensor(next_obs), *flags)

    def close(self) -> None:
        """Let the environments release what they hold."""
        self.vector.close()

    def _action(self, action: Tensor) -> np.ndarray:
        flat = action.detach().cpu().reshape(self.runs * self.environments, *action.shape[2:]).numpy()
        if isinstance(self._space, gymnasium.spaces.Discrete):
            require(action.dtype == torch.int64, "action", "dtype int64", action.dtype)
            return flat + int(self._space.start)
        return flat.astype(self._space.dtype)

    def _tensor(self, obs: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(obs)).reshape(self.runs, self.environments, *self.obs_shape)
        if isinstance(self._obs_space, gymnasium.spaces.Discrete):
            return tensor.to(torch.int64) - int(self._obs_space.start)
        return tensor.to(self.dtype)


def _time_limit(env: gymnasium.Env) -> int | None:
    """The smallest limit of all `TimeLimit` wrappers; None without one."""
    limits = []
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            limits.append(env._max_episode_steps)  # public only for registered environments (`env.spec`)
        env = env.env
    return min(limits, default=None)
