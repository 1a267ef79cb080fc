"""Actors made of action values: ε-greedy and Boltzmann. Without noise both take the greedy action.

Lecture section Q3. Sutton, Barto 2018, chapter 2. They hold the network itself, so that they improve while it is
trained; `epsilon` and `temperature` may be changed at any time.
"""

import copy

import torch
from torch import Tensor, nn

from ..core.check import require, require_unit_interval
from ..core.spaces import Discrete
from ..equations.q_policies import boltzmann_probs
from .inputs import require_noise


class EpsilonGreedy(nn.Module):
    """With probability ε one of the actions that are *not* greedy, all alike; else the greedy one.

    The probabilities are those of `equations.q_policies.epsilon_greedy_probs`. ε = (A − 1)/A makes all actions equally
    likely. Of equal values the first counts as greedy. `net` gives [R, N, A], such as `DiscreteQNet`. `noise_size` 2.
    Errors: ValueError for an action space that is not the network's, or ε outside [0, 1].
    """

    noise_size = 2

    def __init__(self, net: nn.Module, action_space: Discrete, epsilon: float = 0.0):
        super().__init__()
        require_unit_interval("epsilon", epsilon)
        self.net, self.action_space, self.epsilon = _checked(net, action_space), action_space, epsilon

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return self.net.runs

    @torch.no_grad()
    def act(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions [R, N] (int64) for `obs` [R, N, …] and uniforms [R, N, 2]: whether to explore, and where to."""
        values = self.net(obs)
        greedy = values.argmax(-1)
        if noise is None:
            return greedy
        explore, where = require_noise(noise, values, self.noise_size).unbind(-1)
        actions = self.action_space.n
        # 1 to A − 1 actions further on, round the circle: never the greedy one (where there is another).
        other = (greedy + 1 + (where * (actions - 1)).long().clamp(max=max(actions - 2, 0))) % actions
        return torch.where(explore < self.epsilon, other, greedy)

    def run(self, r: int) -> "EpsilonGreedy":
        """An independent copy of run r alone (R = 1)."""
        return EpsilonGreedy(self.net.run(r), self.action_space, self.epsilon)

    def copy(self) -> "EpsilonGreedy":
        """An independent copy that further training does not touch."""
        return copy.deepcopy(self)


class Boltzmann(nn.Module):
    """π(a|o) = exp(Q(o, a)/temperature) / Σ exp(Q(o, ·)/temperature): what is nearly as good is tried nearly as often.

    The probabilities are those of `equations.q_policies.boltzmann_probs`; the temperature has the unit of the values.
    `noise_size` 1.
    Errors: ValueError for an action space that is not the network's, or a temperature that is not positive.
    """

    noise_size = 1

    def __init__(self, net: nn.Module, action_space: Discrete, temperature: float = 1.0):
        super().__init__()
        require(temperature > 0, "temperature", "a positive number", temperature)
        self.net, self.action_space, self.temperature = _checked(net, action_space), action_space, temperature

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return self.net.runs

    @torch.no_grad()
    def act(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """Actions [R, N] (int64) for `obs` [R, N, …] and uniforms [R, N, 1]; the greedy ones without noise."""
        values = self.net(obs)
        if noise is None:
            return values.argmax(-1)
        below = boltzmann_probs(values, temperature=self.temperature).cumsum(-1)
        # The first action whose cumulative probability exceeds the uniform; rounding may leave the last below 1.
        return (require_noise(noise, values, 1) >= below).sum(-1).clamp(max=self.action_space.n - 1)

    def run(self, r: int) -> "Boltzmann":
        """An independent copy of run r alone (R = 1)."""
        return Boltzmann(self.net.run(r), self.action_space, self.temperature)

    def copy(self) -> "Boltzmann":
        """An independent copy that further training does not touch."""
        return copy.deepcopy(self)


def _checked(net: nn.Module, action_space: Discrete) -> nn.Module:
    require(isinstance(action_space, Discrete), "action_space", "a finite choice of actions", action_space)
    actions = getattr(net, "actions", None)
    require(actions == action_space.n, "net", f"values of {action_space.n} discrete actions", actions)
    return net
