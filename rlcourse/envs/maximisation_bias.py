"""A problem in which the best thing is to stop, and in which luck says otherwise.

Sutton, Barto 2018, "Reinforcement Learning: An Introduction" (2nd edition), example 6.7; the number of actions is
larger here or smaller as you like. Lecture 05b, section Q6.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_count
from .tabular import TabularMDP

START, CASINO, END = 0, 1, 2
LEAVE, ENTER = 0, 1  # what the two lowest actions mean in the start


@dataclass(frozen=True, eq=False)
class NoisyTabularMDP(TabularMDP):
    """A `TabularMDP` whose reward is r(s, a) + reward_std[s, a] · z with z ∼ N(0, 1): `reward_std` [S, A]."""

    reward_std: Tensor | None = None

    def __post_init__(self):
        super().__post_init__()
        require(self.reward_std is not None and self.reward_std.shape == self.reward_table.shape, "reward_std",
                f"shape {list(self.reward_table.shape)}", None if self.reward_std is None else
                list(self.reward_std.shape))
        require(bool((self.reward_std >= 0).all()), "reward_std", "numbers of at least 0", float(self.reward_std.min()))

    @property
    def reward_noise(self) -> int:
        return 1

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor, noise: Tensor | None = None) -> Tensor:
        """r(s, a) + reward_std[s, a] · Φ⁻¹(u) [*B] for uniforms u [*B, 1]."""
        require(noise is not None, "noise", "uniforms of shape [*B, 1]", None)
        return self.reward_table[state, action] + self.reward_std[state, action] * torch.special.ndtri(noise[..., 0])


def maximisation_bias(actions: int = 10, *, mean: float = -0.1, std: float = 1.0) -> NoisyTabularMDP:
    """Leave at once for 0, or enter a casino with `actions` machines, each of which pays N(`mean`, `std`²) and ends it.

    States: start, casino, end. In the start action 1 enters, every other one leaves; both pay nothing. With mean < 0
    entering is a mistake: Q*(start, enter) = γ · mean < 0 = Q*(start, leave). But the largest of `actions`
    *estimates* is positive on average for a long time.
    """
    require_count("actions", actions, least=2)
    transition_probs = torch.zeros(3, actions, 3, dtype=torch.float64)
    transition_probs[:, :, END] = 1.0
    transition_probs[START, ENTER] = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    reward_table, reward_std = (torch.zeros(3, actions, dtype=torch.float64) for _ in range(2))
    reward_table[CASINO], reward_std[CASINO] = mean, std
    return NoisyTabularMDP(transition_probs, reward_table, torch.eye(3, dtype=torch.float64)[START],
                           terminal=torch.tensor([False, False, True]), state_names=("start", "casino", "end"),
                           reward_std=reward_std)
