"""`Dynamics`: an environment as pure functions of (state, action, noise).

The same five functions serve the learner, the planner, the widget, the enumerator and the
Gymnasium adapter. They accept any leading batch shape (also none), follow the dtype and the
device of the state, and never modify their inputs. Noise comes in as uniforms on (0, 1), so
that two policies can be compared under the same luck and a planner can differentiate through it.

There is no time limit in the state and no discount in the environment: the first is
`max_episode_steps`, counted by whoever rolls out, and the second belongs to the problem.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.spaces import Box, Discrete


class Step(NamedTuple):
    """What one step gives: `next_state`, `next_obs`, `reward` [*B], `terminated` [*B] (bool)."""

    next_state: Tensor
    next_obs: Tensor
    reward: Tensor
    terminated: Tensor


@dataclass(frozen=True, eq=False)
class Dynamics(ABC):
    """The base of every environment; a subclass is a frozen dataclass with physical constants.

    `initial_noise`, `transition_noise`, `reward_noise` and `observation_noise` say how many
    uniforms each function consumes: 0 means deterministic, and `noise` may then be left out.
    `step` takes them in one tensor [*B, transition + reward + observation], in that order.
    """

    @property
    @abstractmethod
    def action_space(self) -> Discrete | Box: ...

    @property
    @abstractmethod
    def obs_shape(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def state_shape(self) -> tuple[int, ...]: ...

    @property
    def max_episode_steps(self) -> int | None:
        """The time limit in steps; None where episodes end by themselves."""
        return None

    @property
    def initial_noise(self) -> int:
        return 0

    @property
    def transition_noise(self) -> int:
        return 0

    @property
    def reward_noise(self) -> int:
        return 0

    @property
    def observation_noise(self) -> int:
        return 0

    @property
    def step_noise(self) -> int:
        """How many uniforms one call of `step` consumes."""
        return self.transition_noise + self.reward_noise + self.observation_noise

    @abstractmethod
    def initial_state(self, noise: Tensor) -> Tensor:
        """Draw s₀ from uniforms [*B, initial_noise]; their dtype and device are the state's."""

    @abstractmethod
    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """sₜ₊₁ for (sₜ, aₜ) and uniforms [*B, transition_noise]."""

    @abstractmethod
    def reward(self, state: Tensor, action: Tensor, next_state: Tensor,
               noise: Tensor | None = None) -> Tensor:
        """The reward [*B] of the transition."""

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """Whether the problem ended [*B] (bool); by default it never does."""
        return torch.zeros(self._batch_shape(next_state), dtype=torch.bool, device=next_state.device)

    def observe(self, state: Tensor, noise: Tensor | None = None) -> Tensor:
        """The observation of a state; by default the state itself."""
        return state

    def step(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Step:
        """One step: the only place where the four functions are put together."""
        a, b = self.transition_noise, self.transition_noise + self.reward_noise
        of = (lambda i, j: None if noise is None or i == j else noise[..., i:j])
        next_state = self.transition(state, action, of(0, a))
        return Step(next_state, self.observe(next_state, of(b, self.step_noise)),
                    self.reward(state, action, next_state, of(a, b)),
                    self.terminated(state, action, next_state))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None):
        """A copy with every floating tensor field moved and cast (and others only moved)."""
        moved = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, dtype if value.is_floating_point() else None)
        return replace(self, **moved)

    def _batch_shape(self, state: Tensor) -> tuple[int, ...]:
        return tuple(state.shape[:state.ndim - len(self.state_shape)])
