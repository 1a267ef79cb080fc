"""`TabularPOMDP`: a finite problem whose state is hidden, and a corridor to get lost in."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape, require_unit_interval
from .tabular import TabularMDP, sample_index

LEFT, RIGHT = 0, 1


@dataclass(frozen=True, eq=False)
class TabularPOMDP(TabularMDP):
    """A TabularMDP of which only o ~ p(o|s) is seen: `observation_probs[s, o]` [S, O].

    An observation belongs to the state that has been reached, the first one to s₀, and is an
    int64 index of shape [*B]. `observation_names` serve pictures and messages.
    """

    observation_probs: Tensor = field(kw_only=True)
    observation_names: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        require_shape("observation_probs", self.observation_probs, (self.num_states, "O"))
        require_probabilities("observation_probs", self.observation_probs)
        require(len(self.observation_names) in (0, self.num_observations), "observation_names",
                f"{self.num_observations} names or none", f"{len(self.observation_names)} names")

    @property
    def num_observations(self) -> int:
        return self.observation_probs.shape[1]

    @property
    def observation_noise(self) -> int:
        return 1

    def observe(self, state: Tensor, noise: Tensor | None = None) -> Tensor:
        """o [*B] (int64), drawn from row p(· | s) by the inverse cdf of uniforms [*B, 1]."""
        require(noise is not None, "noise", "uniforms of shape [*B, 1]", None)
        return sample_index(self.observation_probs[state].to(noise.dtype), noise[..., 0])


def corridor(pattern: str = "wdwwdw", slip: float = 0.1, blur: float = 0.1,
             time_limit: int | None = None) -> TabularPOMDP:
    """A row of cells, one letter each; the agent sees the letter of its cell, perhaps blurred.

    States are the cells from left to right, actions are left and right; a move fails (the agent
    stays) with probability `slip`, and at the ends it always stays. With probability `blur` the
    observation is another letter of the pattern, chosen evenly. Cells `G` are terminal, seen
    for certain, and pay 1 on entry. The agent starts in any cell but a goal, with equal chances.

    Letters that occur twice are what makes the state hidden: "wdwwdw" has two doors that look
    the same, "lcGcr" a corridor whose two halves need opposite moves.
    """
    require(len(pattern) >= 2, "pattern", "at least two letters", repr(pattern))
    require_unit_interval("slip", slip)
    require_unit_interval("blur", blur)
    if time_limit is not None:
        require_count("time_limit", time_limit)
    size, letters = len(pattern), tuple(dict.fromkeys(pattern))
    goal = torch.tensor([letter == "G" for letter in pattern])
    require(not bool(goal.all()), "pattern", "a cell that is not a goal", repr(pattern))
    return TabularPOMDP(*_corridor_moves(size, slip, goal), (~goal).double() / (~goal).sum(),
                        terminal=goal, time_limit=time_limit,
                        state_names=tuple(f"{i}{letter}" for i, letter in enumerate(pattern)),
                        action_names=("left", "right"),
                        observation_probs=_letters_seen(pattern, letters, blur),
                        observation_names=letters)


def _corridor_moves(size: int, slip: float, goal: Tensor) -> tuple[Tensor, Tensor]:
    """(transition_probs [S, 2, S], reward_table [S, 2]) of the corridor."""
    transition_probs = torch.zeros(size, 2, size, dtype=torch.float64)
    for cell in range(size):
        for action, step in ((LEFT, -1), (RIGHT, 1)):
            target = cell if goal[cell] else min(max(cell + step, 0), size - 1)
            transition_probs[cell, action, target] += 1.0 - slip
            transition_probs[cell, action, cell] += slip
    reward_table = transition_probs @ goal.double()
    reward_table[goal] = 0.0
    return transition_probs, reward_table


def _letters_seen(pattern: str, letters: tuple[str, ...], blur: float) -> Tensor:
    """p(o|s) [S, O]: the true letter, or evenly one of the others that is not a goal's."""
    observation_probs = torch.zeros(len(pattern), len(letters), dtype=torch.float64)
    for cell, letter in enumerate(pattern):
        others = [i for i, other in enumerate(letters) if other not in (letter, "G")]
        if letter == "G" or not others:
            observation_probs[cell, letters.index(letter)] = 1.0
        else:
            observation_probs[cell, letters.index(letter)] = 1.0 - blur
            observation_probs[cell, others] += blur / len(others)
    return observation_probs
