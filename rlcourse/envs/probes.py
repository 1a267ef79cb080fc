"""Probe environments: five problems so small that what an agent must learn can be written down beforehand.

Each adds one thing to the one before it, so the first that fails says where the mistake is. The idea and
the five problems are Andy L. Jones', "Debugging Reinforcement Learning, Without the Agonizing Pain" (2021).
Run them before any real environment: seconds each, and on CartPole most mistakes merely look like bad luck.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_probabilities, require_shape
from ..core.spaces import Discrete
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class ProbeDynamics(Dynamics):
    """A walk of `steps` steps whose last one pays; the observation is a coin, or the clock.

    | index | state | min | max | unit |
    | --- | --- | --- | --- | --- |
    | 0 | coin c: −1 or 1, tossed at the start; always 0 without `coin` | −1 | 1 | none |
    | 1 | steps taken t | 0 | `steps` | steps |

    The observation is the one number c + t. Write the action as a sign: d = 2a − 1, so −1 or 1. The last step
    pays `constant` + `by_coin` · c + `by_action` · d + `by_both` · c · d and terminates; the others pay nothing.
    """

    steps: int = 1
    coin: bool = False
    actions: int = 1
    constant: float = 0.0
    by_coin: float = 0.0
    by_action: float = 0.0
    by_both: float = 0.0

    @property
    def action_space(self) -> Discrete:
        return Discrete(self.actions)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return (1,)

    @property
    def state_shape(self) -> tuple[int, ...]:
        return (2,)

    @property
    def max_episode_steps(self) -> int | None:
        return self.steps + 1  # one more than an episode takes: no probe is ever truncated

    @property
    def initial_noise(self) -> int:
        return 1

    def initial_state(self, noise: Tensor) -> Tensor:
        """The coin is tossed, the clock set to 0."""
        zero = torch.zeros_like(noise[..., 0])
        tossed = torch.where(noise[..., 0] < 0.5, zero - 1, zero + 1) if self.coin else zero
        return torch.stack((tossed, zero), -1)

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """The clock ticks."""
        return torch.stack((state[..., 0], state[..., 1] + 1), -1)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """What the last step pays (class docstring), else 0."""
        coin, sign = state[..., 0], 2 * action.to(state.dtype) - 1
        paid = self.constant + self.by_coin * coin + self.by_action * sign + self.by_both * coin * sign
        return torch.where(self.terminated(state, action, next_state), paid, torch.zeros_like(paid))

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """After `steps` steps."""
        return next_state[..., 1] >= self.steps

    def observe(self, state: Tensor, noise: Tensor | None = None) -> Tensor:
        """c + t, one number."""
        return state.sum(-1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Probe:
    """A probe, and what a sound agent knows after a few hundred updates.

    `obs` [K, 1] lists every observation of the problem; `value` [K] are the right values V(obs) under `discount`;
    `action` [K] (int64) are the right actions, None where there is no choice.
    """

    name: str
    dynamics: ProbeDynamics
    obs: Tensor
    value: Tensor
    action: Tensor | None
    look_at: str
    discount: float = 0.5

    def check(self, value: Tensor | None = None, action_probs: Tensor | None = None, *,
              value_tolerance: float = 0.2, least_prob: float = 0.9) -> str | None:
        """None if what was learned is right, else one sentence on what is wrong and where to look.

        `value` [K]: the learned values of `obs`, under `discount` (None for an agent without values: then the
        probes without a choice have nothing to check); `action_probs` [K, A]: the learned policy there. A value
        is right within `value_tolerance`, an action with a probability of at least `least_prob`. The two belong
        together: where the policy takes the right one of two actions with probability 0.9, its value is 0.8.
        Errors: ValueError for a wrong shape, for NaN, and if neither is given.
        """
        require(value is not None or action_probs is not None, "value", "values or action_probs", "neither")
        wrong = []
        if value is not None:
            require_shape("value", value, (len(self.obs),))
            require(bool(torch.isfinite(value).all()), "value", "finite numbers", "NaN or infinity")
            wrong += [f"V({seen:g}) is {got:.2f} and should be {right:g}"
                      for seen, got, right in zip(self.obs[:, 0].tolist(), value.tolist(), self.value.tolist())
                      if abs(got - right) > value_tolerance]
        if action_probs is not None:
            require_shape("action_probs", action_probs, (len(self.obs), self.dynamics.actions))
            require_probabilities("action_probs", action_probs, tolerance=1e-4)
        if action_probs is not None and self.action is not None:
            chosen = action_probs.gather(1, self.action[:, None])[:, 0]
            wrong += [f"π({right}|{seen:g}) is {got:.2f} and should be nearly 1"
                      for seen, got, right in zip(self.obs[:, 0].tolist(), chosen.tolist(), self.action.tolist())
                      if got < least_prob]
        return f"{self.name}: {'; '.join(wrong)}. Look at {self.look_at}." if wrong else None


def _column(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def _row(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


PROBES = (
    Probe("constant reward", ProbeDynamics(constant=1.0), _column(0), _row(1), None,
          "the loss of the value network, its optimiser, and its target: the episode ends with its one step, so that "
          "no value of anything comes on top of the reward"),
    Probe("reward by observation", ProbeDynamics(coin=True, by_coin=1.0), _column(-1, 1), _row(-1, 1), None,
          "the way from the observation into the value network and the gradient back through it, and at whether "
          "each observation still stands beside its own reward"),
    Probe("delayed reward", ProbeDynamics(steps=2, constant=1.0), _column(0, 1), _row(0.5, 1), None,
          "the discount and the target: r + γV(next), with no value beyond a termination, and each reward beside "
          "its own step"),
    Probe("reward by action", ProbeDynamics(actions=2, by_action=1.0), _column(0), _row(1), torch.tensor([1]),
          "the policy's loss: the sign of the advantage, the sign of the loss, the log-probability of the action "
          "that was taken, and whether the policy's parameters are in the optimiser"),
    Probe("reward by action and observation", ProbeDynamics(coin=True, actions=2, by_both=1.0), _column(-1, 1),
          _row(1, 1), torch.tensor([0, 1]),
          "how samples are put together: an action, an observation or an advantage may have lost its partner when "
          "the batch was reshaped or shuffled, or the data may be older than the policy"),
)
