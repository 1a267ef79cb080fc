"""Where a policy is, exactly: forward propagation of the state distribution."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape
from ..envs.tabular import TabularMDP

PolicyTable = Float[Tensor, "S A"] | Float[Tensor, "T S A"]  # the same at all times, or one table a step


def policy_by_step(policy: PolicyTable, horizon: int, mdp: TabularMDP) -> Float[Tensor, "{horizon} S A"]:
    """Bring a policy π(a|s) [S, A] or πₜ(a|s) [T, S, A] into the second form, checked."""
    require(policy.ndim in (2, 3), "policy", "shape [S, A] or [T, S, A]", list(policy.shape))
    sizes = (mdp.num_states, mdp.num_actions)
    require_shape("policy", policy, sizes if policy.ndim == 2 else (horizon, *sizes))
    require_probabilities("policy", policy)
    return policy.expand(horizon, *sizes)


def state_chain(mdp: TabularMDP, policy: Float[Tensor, "S A"]) -> Float[Tensor, "S S"]:
    """P_π[s, s'] = Σₐ π(a|s) p(s'|s, a): the Markov chain [S, S] of a policy [S, A]."""
    return torch.einsum("sa,sax->sx", policy, mdp.transition_probs)


def state_marginals(mdp: TabularMDP, policy: PolicyTable, horizon: int) -> Float[Tensor, "{horizon}+1 S"]:
    """p_π(sₜ) for t = 0 … T, one row a step: [T + 1, S].

    p_π(sₜ₊₁ = s') = Σ_s p_π(sₜ = s) Σₐ πₜ(a|s) p(s'|s, a). The policy is [S, A], or [T, S, A]
    where it changes with time. T = 0 gives the initial distribution alone.
    """
    require_count("horizon", horizon, least=0)
    by_step = policy_by_step(policy, horizon, mdp)
    constant_chain = state_chain(mdp, policy) if policy.ndim == 2 else None
    rows = [mdp.initial]
    for step_policy in by_step:
        chain = state_chain(mdp, step_policy) if constant_chain is None else constant_chain
        rows.append(rows[-1] @ chain)
    return torch.stack(rows)


def exact_cost(marginals: Float[Tensor, "_ S"], policy: PolicyTable,
               cost_table: Float[Tensor, "S A"]) -> Float[Tensor, " T"]:
    """E c(sₜ, aₜ) for every step: [T].

    Σ_s p_π(sₜ = s) Σₐ πₜ(a|s) c(s, a), from `marginals` [T + 1, S] (the last row is the state
    after the last action and pays nothing), a policy [S, A] or [T, S, A] and costs [S, A].
    """
    require_shape("marginals", marginals, (None, "S"))
    steps, states = marginals.shape[0] - 1, marginals.shape[1]
    require_shape("cost_table", cost_table, (states, "A"))
    sizes = (states, cost_table.shape[1])
    require_shape("policy", policy, sizes if policy.ndim == 2 else (steps, *sizes))
    cost_by_state = (policy * cost_table).sum(-1)
    return (marginals[:-1] * cost_by_state).sum(-1)


def total_variation(first: Float[Tensor, "*B S"], second: Float[Tensor, "*B S"]) -> Float[Tensor, "*B"]:
    """½ Σ_s |p(s) − q(s)| [*B] for distributions [*B, S]: between 0 and 1.

    It is the largest difference in probability that any event can have under p and q. The L1
    distance is twice it.
    """
    return 0.5 * (first - second).abs().sum(-1)
