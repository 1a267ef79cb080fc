"""Where a policy is in the long run: stationary distribution and discounted occupancy."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_probabilities, require_shape, require_unit_interval
from ..envs.tabular import TabularMDP
from .propagation import state_chain


def stationary_distribution(mdp: TabularMDP, policy: Float[Tensor, "S A"]) -> Float[Tensor, " S"]:
    """The μ [S] with μ = P_πᵀ μ and Σ_s μ(s) = 1, by one linear solve.

    Exists always; it is unique exactly if the chain has one recurrent class, and a ValueError
    says where it has more (for instance two terminal states). A unique μ is the limit of the
    averages (1/T) Σ_t p(sₜ); it is the limit of p(sₜ) itself only if the chain is also
    aperiodic (Puterman 1994, appendix A).
    """
    require_shape("policy", policy, (mdp.num_states, mdp.num_actions))
    require_probabilities("policy", policy)
    chain = state_chain(mdp, policy)
    _require_one_recurrent_class(chain)
    # (Pᵀ − I) μ = 0 has rank S − 1: one of its rows is the sum of the others, and gives way to Σ μ = 1.
    system = chain.T - torch.eye(mdp.num_states, dtype=chain.dtype)
    system[-1] = 1.0
    right = torch.zeros(mdp.num_states, dtype=chain.dtype)
    right[-1] = 1.0
    return torch.linalg.solve(system, right).clamp(min=0.0)


def discounted_occupancy(mdp: TabularMDP, policy: Float[Tensor, "S A"],
                         discount: float) -> Float[Tensor, " S"]:
    """d(s) = (1 − γ) Σ_{t≥0} γᵗ p_π(sₜ = s) [S], by solving (I − γ P_πᵀ) d = (1 − γ) p(s₀).

    The distribution of sₜ at a time t drawn from the geometric law p(t) = (1 − γ) γᵗ; it sums
    to 1, and Σ_s d(s) Σₐ π(a|s) r(s, a) = (1 − γ) J(π).
    """
    require_unit_interval("discount", discount, closed=False)
    require_shape("policy", policy, (mdp.num_states, mdp.num_actions))
    require_probabilities("policy", policy)
    chain = state_chain(mdp, policy)
    system = torch.eye(mdp.num_states, dtype=chain.dtype) - discount * chain.T
    return torch.linalg.solve(system, (1.0 - discount) * mdp.initial)


def _require_one_recurrent_class(chain: Tensor) -> None:
    """Raise unless some state can be reached from every state (that is, one recurrent class)."""
    reachable = (chain > 0) | torch.eye(len(chain), dtype=torch.bool)
    for _ in range(len(chain).bit_length()):
        reachable = (reachable.double() @ reachable.double()) > 0
    require(bool(reachable.all(0).any()), "policy", "a chain with one recurrent class",
            "several classes that are never left, so the stationary distribution is not unique")
