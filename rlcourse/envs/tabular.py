"""`TabularMDP`: a finite Markov decision process as three tables."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape
from ..core.spaces import Discrete
from .dynamics import Dynamics


@dataclass(frozen=True, eq=False)
class TabularMDP(Dynamics):
    """S states, A actions and their tables.

    `transition_probs[s, a, s'] = p(s' | s, a)` [S, A, S], `reward_table[s, a] = r(s, a)` [S, A],
    `initial[s] = p(s₀ = s)` [S]. `terminal` [S] (bool) marks states in which the problem is over:
    they must lead only to themselves and pay nothing, so that every sum over the future is right
    without knowing about them. States and observations are int64 indices of shape [*B].
    `state_names` and `action_names` serve pictures and messages.
    """

    transition_probs: Tensor
    reward_table: Tensor
    initial: Tensor
    terminal: Tensor | None = None
    time_limit: int | None = None
    state_names: tuple[str, ...] = field(default=())
    action_names: tuple[str, ...] = field(default=())

    def __post_init__(self):
        require_shape("transition_probs", self.transition_probs, ("S", "A", "S"))
        states, actions = self.transition_probs.shape[:2]
        require_shape("reward_table", self.reward_table, (states, actions))
        require_shape("initial", self.initial, (states,))
        require_probabilities("transition_probs", self.transition_probs)
        require_probabilities("initial", self.initial)
        require(bool(torch.isfinite(self.reward_table).all()), "reward_table", "finite numbers", "NaN or infinity")
        if self.time_limit is not None:
            require_count("time_limit", self.time_limit)
        if self.terminal is not None:
            require_shape("terminal", self.terminal, (states,))
            require(self.terminal.dtype == torch.bool, "terminal", "dtype bool", self.terminal.dtype)
            self._check_terminal_states()
        for name, names, count in (("state_names", self.state_names, states),
                                   ("action_names", self.action_names, actions)):
            require(len(names) in (0, count), name, f"{count} names or none", f"{len(names)} names")

    def _check_terminal_states(self):
        ends = torch.where(self.terminal)[0]
        stays = self.transition_probs[ends, :, ends]
        require(bool((stays == 1).all()), "terminal", "states that lead only to themselves",
                f"another next state from one of the states {ends.tolist()}")
        require(bool((self.reward_table[ends] == 0).all()), "terminal", "states without reward",
                f"a reward in one of the states {ends.tolist()}")

    @property
    def num_states(self) -> int:
        return self.transition_probs.shape[0]

    @property
    def num_actions(self) -> int:
        return self.transition_probs.shape[1]

    @property
    def action_space(self) -> Discrete:
        return Discrete(self.num_actions)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def state_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def max_episode_steps(self) -> int | None:
        return self.time_limit

    @property
    def initial_noise(self) -> int:
        return 1

    @property
    def transition_noise(self) -> int:
        return 1

    def initial_state(self, noise: Tensor) -> Tensor:
        """s₀ [*B] (int64) from uniforms [*B, 1]."""
        return sample_index(self.initial.to(noise.dtype), noise[..., 0])

    def transition(self, state: Tensor, action: Tensor, noise: Tensor | None = None) -> Tensor:
        """s' [*B] (int64), drawn from row p(· | s, a) by the inverse cdf of uniforms [*B, 1]."""
        require(noise is not None, "noise", "uniforms of shape [*B, 1]", None)
        return sample_index(self.transition_probs[state, action].to(noise.dtype), noise[..., 0])

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor,
               noise: Tensor | None = None) -> Tensor:
        """r(s, a) [*B]."""
        return self.reward_table[state, action]

    def terminated(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """Whether s' is a terminal state [*B]."""
        if self.terminal is None:
            return super().terminated(state, action, next_state)
        return self.terminal[next_state]


def sample_index(probs: Float[Tensor, "*#B n"], noise: Float[Tensor, "*B"]) -> Int[Tensor, "*B"]:
    """The inverse cdf: index i [*B] with cdf(i−1) <= u < cdf(i), for probs [*B, n] and u [*B].

    `right=True` keeps an outcome of probability zero from ever being drawn, and the clamp guards
    against a cumulative sum that rounding left below the largest uniform.
    """
    outcomes = probs.shape[-1]
    cdf = probs.cumsum(-1).expand(*noise.shape, outcomes).contiguous()
    index = torch.searchsorted(cdf, noise.unsqueeze(-1).contiguous(), right=True).squeeze(-1)
    if bool((index == outcomes).any()):
        last_possible = outcomes - 1 - (probs > 0).flip(-1).to(torch.int64).argmax(-1)
        index = torch.minimum(index, last_possible.expand_as(index))
    return index
