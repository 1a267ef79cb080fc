"""`LinearGain`: one number to be steered to zero, with a cost on the number and on the steering.

The smallest continuous problem with a policy of two parameters, a ~ N(gain · s, exp(log_std)²): its
objective and its gradients have closed forms, and it is badly conditioned. Lecture section P9.
"""

from dataclasses import dataclass

from torch import Tensor

from ..core.check import require, require_count
from ..core.spaces import Box
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class LinearGain(Dynamics):
    """s ← s + a at the cost s² + a².

    | index | state = observation | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | position s; at the start uniform on [`start_low`, `start_high`] | | | none |

    | index | action | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | displacement a | −`action_limit` | `action_limit` | none |

    The reward of step t is −(sₜ² + aₜ²), then sₜ₊₁ = sₜ + aₜ. Episodes do not terminate; the time limit is
    `horizon`. The box of actions is so wide that no Gaussian policy in use ever meets its walls, and the dynamics
    have none: closed forms need no correction. Everything but the start is deterministic; `start_low` =
    `start_high` fixes that too.
    """

    start_low: float = -1.0
    start_high: float = 1.0
    horizon: int = 20  # steps
    action_limit: float = 1e6

    def __post_init__(self):
        require(self.start_low <= self.start_high, "start_low", f"at most start_high = {self.start_high}",
                self.start_low)
        require_count("horizon", self.horizon)

    @property
    def action_space(self) -> Box:
        return Box(-self.action_limit, self.action_limit, 1)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (1,)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (1,)

    @property
    def max_episode_steps(self) -> int | None:
        return self.horizon

    @property
    def initial_noise(self) -> int:
        return 1

    @property
    def start_second_moment(self) -> float:
        """E[s₀²], all that the closed form of the objective needs to know of the start."""
        low, high = self.start_low, self.start_high
        return (low * low + low * high + high * high) / 3

    def initial_state(self, noise: Tensor) -> Tensor:
        """Uniform on [`start_low`, `start_high`]."""
        return self.start_low + (self.start_high - self.start_low) * noise

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """s + a."""
        return state + action

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """−(s² + a²), of the state before the step."""
        return -(state.square() + action.square())[..., 0]
