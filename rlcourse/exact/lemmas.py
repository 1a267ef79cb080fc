"""The two lemmas of lecture 01 (F7): both sides of each, computed by different code.

J(π) = Σ_s p(s₀ = s) V^π(s). The left sides subtract values found by linear solves; the right
sides sum over where a policy goes. That they agree is the content of the lemmas.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_shape, require_unit_interval
from ..envs.tabular import TabularMDP
from .evaluation import finite_horizon_values, policy_evaluation, q_from_value
from .propagation import PolicyTable, state_chain, state_marginals
from .stationary import discounted_occupancy


def performance_gap(mdp: TabularMDP, new_policy: Float[Tensor, "S A"], old_policy: Float[Tensor, "S A"],
                    discount: float) -> float:
    """J(π') − J(π), the left side of the performance-difference lemma: two linear solves."""
    new, old = (policy_evaluation(mdp, policy, discount) for policy in (new_policy, old_policy))
    return float(mdp.initial @ (new - old))


def expected_advantage(mdp: TabularMDP, new_policy: Float[Tensor, "S A"], old_policy: Float[Tensor, "S A"],
                       discount: float) -> float:
    """E_π'[Σ_t γᵗ A^π(sₜ, aₜ)], the right side: the old advantages where the *new* policy goes.

    = 1/(1 − γ) Σ_s d_π'(s) Σₐ π'(a|s) A^π(s, a), with A^π = Q^π − V^π and the discounted
    occupancy d_π' (Kakade and Langford 2002).
    """
    value = policy_evaluation(mdp, old_policy, discount)
    advantage = q_from_value(mdp, value, discount) - value[:, None]
    occupancy = discounted_occupancy(mdp, new_policy, discount)
    return float(occupancy @ (new_policy * advantage).sum(-1)) / (1.0 - discount)


def finite_expected_advantage(mdp: TabularMDP, new_policy: PolicyTable, old_policy: PolicyTable,
                              horizon: int) -> float:
    """E_π'[Σ_{t<T} A^π_t(sₜ, aₜ)]: the same right side for T steps without a discount.

    Here values, and so advantages, depend on the time: A^π_t(s, a) = Q^π_t(s, a) − V^π_t(s).
    Policies are [S, A] or [T, S, A]. It equals J_T(π') − J_T(π).
    """
    values, q_values = finite_horizon_values(mdp, old_policy, horizon)
    marginals = state_marginals(mdp, new_policy, horizon)[:-1]
    by_state = (new_policy * (q_values - values[:-1, :, None])).sum(-1)
    return float((marginals * by_state).sum())


def simulation_gap(mdp: TabularMDP, model: TabularMDP, policy: Float[Tensor, "S A"],
                   discount: float) -> Float[Tensor, " S"]:
    """V̂^π − V^π [S]: what the model gets wrong, by evaluating the policy in both."""
    _require_same_sizes(mdp, model)
    return policy_evaluation(model, policy, discount) - policy_evaluation(mdp, policy, discount)


def simulation_identity(mdp: TabularMDP, model: TabularMDP, policy: Float[Tensor, "S A"],
                        discount: float) -> Float[Tensor, " S"]:
    """(I − γ P̂_π)⁻¹ [r̂_π − r_π + γ (P̂_π − P_π) V^π] [S]: the same gap from one-step errors.

    The one-step errors of the model are weighted by where the *model* believes that the policy
    goes, and valued by the *true* V^π.
    """
    _require_same_sizes(mdp, model)
    value = policy_evaluation(mdp, policy, discount)
    chain, model_chain = state_chain(mdp, policy), state_chain(model, policy)
    reward_error = (policy * (model.reward_table - mdp.reward_table)).sum(-1)
    one_step = reward_error + discount * (model_chain - chain) @ value
    system = torch.eye(mdp.num_states, dtype=chain.dtype) - discount * model_chain
    return torch.linalg.solve(system, one_step)


def simulation_bound(mdp: TabularMDP, model: TabularMDP, discount: float) -> float:
    """An upper bound on ‖V̂^π − V^π‖∞ that holds for every policy π.

    (ε_r + γ ε_p · range(r) / (1 − γ)) / (1 − γ), with ε_r = max |r̂ − r|, ε_p = max_{s,a} of
    the total variation ½ Σ_s' |p̂ − p|, and range(r) = max r − min r. The bound on the span of V
    is what makes the second horizon factor 1/(1 − γ) appear (after Kearns and Singh 2002).
    """
    _require_same_sizes(mdp, model)
    require_unit_interval("discount", discount, closed=False)
    reward_error = float((model.reward_table - mdp.reward_table).abs().max())
    transition_error = 0.5 * float((model.transition_probs - mdp.transition_probs).abs().sum(-1).max())
    reward_range = float(mdp.reward_table.max() - mdp.reward_table.min())
    return (reward_error + discount * transition_error * reward_range / (1 - discount)) / (1 - discount)


def mixed_model(mdp: TabularMDP, other_probs: Float[Tensor, "S A S"], share: float) -> TabularMDP:
    """A wrong model: p̂ = (1 − share) p + share · `other_probs` [S, A, S], the rewards kept.

    Its one-step error in total variation is at most `share`. Terminal states stay terminal.
    """
    require_unit_interval("share", share)
    require_shape("other_probs", other_probs, tuple(mdp.transition_probs.shape))
    probs = (1 - share) * mdp.transition_probs + share * other_probs
    if mdp.terminal is not None:
        probs = torch.where(mdp.terminal[:, None, None], mdp.transition_probs, probs)
    return replace(mdp, transition_probs=probs)


def _require_same_sizes(mdp: TabularMDP, model: TabularMDP) -> None:
    sizes = (mdp.num_states, mdp.num_actions)
    require((model.num_states, model.num_actions) == sizes, "model",
            f"{sizes[0]} states and {sizes[1]} actions", (model.num_states, model.num_actions))
