"""Exact values of tabular problems: linear solve, finite horizon, value and policy iteration."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape, require_unit_interval
from ..envs.tabular import TabularMDP
from .propagation import PolicyTable, policy_by_step, state_chain


def q_from_value(mdp: TabularMDP, value: Float[Tensor, " S"], discount: float) -> Float[Tensor, "S A"]:
    """Q(s, a) = r(s, a) + γ Σ_s' p(s'|s, a) V(s'): [S, A] from V [S]."""
    return mdp.reward_table + discount * mdp.transition_probs @ value


def policy_evaluation(mdp: TabularMDP, policy: Float[Tensor, "S A"], discount: float) -> Float[Tensor, " S"]:
    """V^π [S], the solution of (I − γ P_π) V = r_π by one linear solve.

    Needs γ < 1: at γ = 1 the matrix is singular, because P_π has the eigenvalue 1.
    """
    require_unit_interval("discount", discount, closed=False)
    require_shape("policy", policy, (mdp.num_states, mdp.num_actions))
    require_probabilities("policy", policy)
    chain = state_chain(mdp, policy)
    reward = (policy * mdp.reward_table).sum(-1)
    return torch.linalg.solve(torch.eye(mdp.num_states, dtype=chain.dtype) - discount * chain, reward)


def finite_horizon_values(mdp: TabularMDP, policy: PolicyTable, horizon: int,
                          reward_table: Float[Tensor, "S A"] | None = None, discount: float = 1.0
                          ) -> tuple[Float[Tensor, "{horizon}+1 S"], Float[Tensor, "{horizon} S A"]]:
    """(V, Q) with V[t, s] [T + 1, S] and Q[t, s, a] [T, S, A], backwards from V[T] = 0.

    Q[t, s, a] = r(s, a) + γ Σ_s' p(s'|s, a) V[t+1, s'],   V[t, s] = Σₐ πₜ(a|s) Q[t, s, a].
    `reward_table` [S, A] replaces the problem's own reward, for instance by a cost.
    """
    require_count("horizon", horizon, least=0)
    reward = mdp.reward_table if reward_table is None else reward_table
    require_shape("reward_table", reward, (mdp.num_states, mdp.num_actions))
    values, q_values = [torch.zeros(mdp.num_states, dtype=reward.dtype)], []
    for step_policy in policy_by_step(policy, horizon, mdp).flip(0):
        q_values.append(reward + discount * mdp.transition_probs @ values[-1])
        values.append((step_policy * q_values[-1]).sum(-1))
    if not q_values:
        return torch.stack(values), torch.zeros(0, *reward.shape, dtype=reward.dtype)
    return torch.stack(values[::-1]), torch.stack(q_values[::-1])


def greedy_policy(q_values: Float[Tensor, "*B S A"]) -> Float[Tensor, "*B S A"]:
    """The deterministic policy [*B, S, A] that takes argmaxₐ Q(s, a), the first one at a tie."""
    return torch.nn.functional.one_hot(q_values.argmax(-1), q_values.shape[-1]).to(q_values.dtype)


def value_iteration(mdp: TabularMDP, discount: float, tolerance: float = 1e-12, max_iterations: int = 100_000
                    ) -> tuple[Float[Tensor, " S"], list[Float[Tensor, " S"]]]:
    """V* [S] to within `tolerance`, and every iterate from V = 0 on.

    Repeats V ← maxₐ (r + γ P V), a γ-contraction in the largest-error norm (Denardo 1967), until
    γ/(1−γ) ‖V_new − V‖∞ ≤ tolerance, which bounds the distance to V*.
    """
    require_unit_interval("discount", discount, closed=False)
    require(tolerance > 0, "tolerance", "a positive number", tolerance)
    iterates = [torch.zeros(mdp.num_states, dtype=mdp.reward_table.dtype)]
    for _ in range(max_iterations):
        iterates.append(q_from_value(mdp, iterates[-1], discount).max(-1).values)
        change = float((iterates[-1] - iterates[-2]).abs().max())
        if discount * change <= tolerance * (1 - discount):
            return iterates[-1], iterates
    raise RuntimeError(f"value_iteration: no convergence to {tolerance} in {max_iterations} iterations")


def policy_iteration(mdp: TabularMDP, discount: float
                     ) -> tuple[Float[Tensor, "S A"], list[Float[Tensor, "S A"]]]:
    """(π* [S, A], the policies on the way), by exact evaluation and greedy improvement.

    Each round improves some state and worsens none, or stops (Howard 1960). An action is replaced
    only by one that is better by more than rounding, so that ties cannot make it cycle; of equally
    good ones (up to rounding) the first is taken, so that every machine finds the same policy.
    """
    policy = greedy_policy(mdp.reward_table)
    policies = [policy]
    while True:
        q_values = q_from_value(mdp, policy_evaluation(mdp, policy, discount), discount)
        current = (policy * q_values).sum(-1)
        scale = 1e-12 * (1.0 + float(q_values.abs().max()))
        best = q_values.max(-1).values
        better = best > current + scale
        if not bool(better.any()):
            return policy, policies
        among_the_best = (q_values >= best[:, None] - scale).to(q_values.dtype)
        policy = torch.where(better[:, None], greedy_policy(among_the_best), policy)
        policies.append(policy)
