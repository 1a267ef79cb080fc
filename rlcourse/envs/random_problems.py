"""Random finite problems: the course tries its theorems on them."""

import torch
from torch import Tensor

from ..core.check import require_count
from ..core.seeding import generator
from .tabular import TabularMDP


def random_mdp(num_states: int, num_actions: int, *, seed: int) -> TabularMDP:
    """An MDP with random tables: rows p(·|s, a) and p(s₀) uniform on the simplex, r ~ N(0, 1)."""
    require_count("num_states", num_states)
    require_count("num_actions", num_actions)
    random = generator(seed, "random problem")
    return TabularMDP(_rows(num_states, num_actions, num_states, random=random),
                      torch.randn(num_states, num_actions, generator=random, dtype=torch.float64),
                      _rows(num_states, random=random))


def random_policy(num_states: int, num_actions: int, *, seed: int) -> Tensor:
    """A stochastic policy [S, A], every row uniform on the simplex."""
    return _rows(num_states, num_actions, random=generator(seed, "random policy"))


def random_deterministic_policy(num_states: int, num_actions: int, *, seed: int) -> Tensor:
    """A deterministic policy [S, A] (one-hot rows), every action equally likely."""
    random = generator(seed, "random deterministic policy")
    action = torch.randint(num_actions, (num_states,), generator=random)
    return torch.nn.functional.one_hot(action, num_actions).to(torch.float64)


def _rows(*shape: int, random: torch.Generator) -> Tensor:
    # Normalised exponentials are uniform on the simplex (Dirichlet with all parameters 1).
    weights = torch.empty(shape, dtype=torch.float64).exponential_(generator=random)
    return weights / weights.sum(-1, keepdim=True)
