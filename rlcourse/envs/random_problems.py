"""Random finite problems: the course tries its theorems on them."""

import torch
from torch import Tensor

from ..core.check import require, require_count
from ..core.seeding import generator
from .tabular import TabularMDP


def random_mdp(num_states: int, num_actions: int, *, seed: int, successors: int | None = None) -> TabularMDP:
    """An MDP with random tables: rows p(·|s, a) and p(s₀) uniform on the simplex, r ~ N(0, 1).

    With `successors` = k every (s, a) leads to k states only, drawn anew for each, and episodes begin
    in one state: then most states lie off the path of any one policy.
    """
    require_count("num_states", num_states)
    require_count("num_actions", num_actions)
    random = generator(seed, "random problem")
    transition_probs, initial = _rows(num_states, num_actions, num_states, random=random), None
    if successors is not None:
        require_count("successors", successors)
        require(successors <= num_states, "successors", f"at most {num_states} states", successors)
        rank = torch.rand(transition_probs.shape, generator=random).argsort(-1).argsort(-1)
        transition_probs = torch.where(rank < successors, transition_probs, 0.0)
        transition_probs = transition_probs / transition_probs.sum(-1, keepdim=True)
        initial = torch.nn.functional.one_hot(torch.tensor(0), num_states).double()
    reward_table = torch.randn(num_states, num_actions, generator=random, dtype=torch.float64)
    return TabularMDP(transition_probs, reward_table, _rows(num_states, random=random) if initial is None else initial)


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
