"""What importance weights do over long horizons, exactly: their second moment, and that of gradient estimates.

Episodes come from a behaviour policy π_β, the weights are products of ρₜ = π(aₜ|sₜ) / π_β(aₜ|sₜ).
Everything is a forward recursion over the states; nothing is sampled or enumerated. (Lecture 03, P6.)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape
from ..envs.tabular import TabularMDP

WEIGHTS = ("product", "single")


def policy_ratio(mdp: TabularMDP, policy: Float[Tensor, "S A"], behaviour: Float[Tensor, "S A"]
                 ) -> Float[Tensor, "S A"]:
    """ρ(s, a) = π(a|s) / π_β(a|s) [S, A]; 1 in terminal states, where nothing is decided any more.

    0 where neither policy takes the action. Errors: ValueError where π takes an action that π_β never takes.
    """
    for name, table in (("policy", policy), ("behaviour", behaviour)):
        require_shape(name, table, (mdp.num_states, mdp.num_actions))
        require_probabilities(name, table)
    uncovered = (policy > 0) & (behaviour <= 0)
    require(not bool(uncovered.any()), "behaviour",
            "a positive probability for every action that the policy takes", f"{int(uncovered.sum())} without")
    ratio = torch.where(behaviour > 0, policy / behaviour.clamp(min=torch.finfo(behaviour.dtype).tiny), 0.0)
    return ratio if mdp.terminal is None else torch.where(mdp.terminal[:, None], 1.0, ratio)


def second_moment_matrix(mdp: TabularMDP, policy: Float[Tensor, "S A"], behaviour: Float[Tensor, "S A"]
                         ) -> Float[Tensor, "S S"]:
    """M(s, s') = Σₐ π_β(a|s) ρ(s, a)² p(s'|s, a) = Σₐ π(a|s)²/π_β(a|s) p(s'|s, a): [S, S].

    E_β[Π_{t<T} ρₜ²] = Σ_{s,s'} p(s₀ = s) (Mᵀ)(s, s') with the T-th power. Rows sum to at least 1.
    """
    weight = behaviour * policy_ratio(mdp, policy, behaviour).square()
    return torch.einsum("sa,sax->sx", weight, mdp.transition_probs)


def log_second_moment_of_weights(mdp: TabularMDP, policy: Float[Tensor, "S A"], behaviour: Float[Tensor, "S A"],
                                 horizon: int) -> Float[Tensor, "{horizon}+1"]:
    """log E_β[w²ₜ] with wₜ = Π_{t'<t} ρ_{t'}, for t = 0 … T: [T + 1], from 0 on.

    As E w = 1, the variance of the weight is E w² − 1, and of n weighted episodes about n / E w²
    are left (what `effective_sample_size` tends to for many episodes). In logarithms, since E w²
    grows exponentially with t.
    """
    require_count("horizon", horizon, least=0)
    matrix = second_moment_matrix(mdp, policy, behaviour)
    share, log_moment, rows = mdp.initial, torch.zeros((), dtype=matrix.dtype), []
    for _ in range(horizon):
        rows.append(log_moment)
        share = share @ matrix
        log_moment, share = log_moment + share.sum().log(), share / share.sum()
    return torch.stack([*rows, log_moment])


def weight_growth(mdp: TabularMDP, policy: Float[Tensor, "S A"], behaviour: Float[Tensor, "S A"]) -> float:
    """The largest eigenvalue of M: the factor by which E w² grows with every further step, in the long run.

    1 where the policies agree. (If M falls apart into classes that do not reach each other, it belongs to the
    fastest of them, wherever the episodes begin.)
    """
    return float(torch.linalg.eigvals(second_moment_matrix(mdp, policy, behaviour)).abs().max())


def off_policy_gradient_moments(mdp: TabularMDP, logits: Float[Tensor, "S A"],
                                behaviour_logits: Float[Tensor, "S A"], horizon: int, weight: str
                                ) -> tuple[Float[Tensor, "{horizon} P"], Float[Tensor, "{horizon}"]]:
    """(E ĝ [T, P], tr Cov ĝ [T]) of the gradient estimate ĝ of one episode of π_β, for all horizons 1 … T.

    ĝ = Σₜ ∇log π(aₜ|sₜ) Ψₜ in the P = S·A logits of a softmax, with Ψₜ = `causal_weight` ("product") or
    `single_ratio_weight` ("single") of `equations.importance`, undiscounted. The mean of the first is ∇J.

    Grouped by rewards, ĝ = Σ_k r_k V_k. The vector (w, V, g) of each component obeys a linear recursion
    along an episode, w' = f w, V' = f (V + u w), g' = g + r V', with the factor f = ρ and the step
    u = ∇log π (product), or f = 1 and u = ρ ∇log π (single): first and second moments follow.
    """
    require_count("horizon", horizon)
    require(weight in WEIGHTS, "weight", f"one of {', '.join(WEIGHTS)}", repr(weight))
    recursion = _recursion(mdp, logits, behaviour_logits, weight)  # [P, S, A, 3, 3]
    parameters, states = recursion.shape[:2]
    chain = torch.softmax(behaviour_logits, -1)[..., None] * mdp.transition_probs
    # One matrix a component: from (state, moment) to (next state, moment). Rows are where it comes from.
    first = torch.einsum("sax,psaij->psjxi", chain, recursion).reshape(parameters, 3 * states, 3 * states)
    second = torch.einsum("sax,psaij,psalk->psjkxil", chain, recursion, recursion).reshape(
        parameters, 9 * states, 9 * states)
    mean = recursion.new_zeros(parameters, states, 3)
    square = recursion.new_zeros(parameters, states, 3, 3)
    mean[..., 0], square[..., 0, 0] = mdp.initial, mdp.initial
    mean, square = mean.flatten(1).unsqueeze(1), square.flatten(1).unsqueeze(1)
    means, variances = [], []
    for _ in range(horizon):
        mean, square = mean @ first, square @ second
        means.append(mean.reshape(parameters, states, 3)[..., 2].sum(-1))
        gradient_square = square.reshape(parameters, states, 3, 3)[..., 2, 2].sum(-1)
        variances.append((gradient_square - means[-1].square()).sum())
    return torch.stack(means), torch.stack(variances)


def _recursion(mdp: TabularMDP, logits: Tensor, behaviour_logits: Tensor, weight: str) -> Tensor:
    """The 3 × 3 matrix that takes (w, V, g) one step on, for every component, state and action."""
    policy, behaviour = torch.softmax(logits, -1), torch.softmax(behaviour_logits, -1)
    ratio = policy_ratio(mdp, policy, behaviour)
    states, actions = policy.shape
    # ∂ log π(a|s) / ∂ logits[s', b] = 1[s' = s] (1[b = a] − π(b|s)). Terminal states pay nothing: g stops there.
    step = torch.eye(actions, dtype=policy.dtype) - policy[:, None, :]  # [S, A, A]: s, a, b
    score = torch.einsum("zs,sab->zbsa", torch.eye(states, dtype=policy.dtype), step).flatten(0, 1)
    factor, step = (ratio, score) if weight == "product" else (torch.ones_like(ratio), ratio * score)
    factor, reward = factor.expand_as(step), mdp.reward_table.expand_as(step)
    zero, one = torch.zeros_like(step), torch.ones_like(step)
    rows = ((factor, zero, zero), (factor * step, factor, zero), (reward * factor * step, reward * factor, one))
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
