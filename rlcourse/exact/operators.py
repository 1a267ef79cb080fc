"""Backups, projections and what one does to the other: the matrices behind lecture 05a, section Q2.

A policy's backup is an affine map V ↦ γP_π V + r_π, least squares on features is a matrix, and so are "regress on
the backed-up values, again and again" and the expected step of a temporal-difference learner. Whether such an
iteration converges can then be read off a norm or an eigenvalue. `features` Φ [S, K] has one row for each state (or
for each pair (s, a), flattened to s·A + a), `weights` [S] is the diagonal of D: how much each state's error counts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_probabilities, require_shape, require_unit_interval
from ..envs.tabular import TabularMDP
from .propagation import state_chain


class Affine(NamedTuple):
    """The map x ↦ `matrix` x + `vector`, [n, n] and [n]."""

    matrix: Tensor
    vector: Tensor


class LinearUpdate(NamedTuple):
    """The update w ← w + learning_rate · (`vector` − `matrix` w): b [K] and A [K, K]."""

    matrix: Tensor
    vector: Tensor


def bellman_optimality_backup(mdp: TabularMDP, q_values: Float[Tensor, "*B S A"], discount: float
                              ) -> Float[Tensor, "*B S A"]:
    """(T Q)(s, a) = r(s, a) + γ Σ_s' p(s'|s, a) maxₐ' Q(s', a').

    ‖T Q − T Q'‖∞ ≤ γ ‖Q − Q'‖∞, because |max x − max y| ≤ max |x − y| (Denardo 1967).
    """
    require_unit_interval("discount", discount)
    require_shape("q_values", q_values, ("...", mdp.num_states, mdp.num_actions))
    expected = torch.einsum("ijk,...k->...ij", mdp.transition_probs, q_values.max(-1).values)
    return mdp.reward_table + discount * expected


def bellman_value_backup(mdp: TabularMDP, value: Float[Tensor, "*B S"], discount: float) -> Float[Tensor, "*B S"]:
    """(T V)(s) = maxₐ (r(s, a) + γ Σ_s' p(s'|s, a) V(s')), the same backup for values of states."""
    require_unit_interval("discount", discount)
    require_shape("value", value, ("...", mdp.num_states))
    expected = torch.einsum("ijk,...k->...ij", mdp.transition_probs, value)
    return (mdp.reward_table + discount * expected).max(-1).values


def policy_backup_matrix(mdp: TabularMDP, policy: Float[Tensor, "S A"], discount: float) -> Affine:
    """T^π V = γP_π V + r_π with P_π(s, s') = Σₐ π(a|s) p(s'|s, a): matrix γP_π [S, S], vector r_π [S]."""
    _require_policy(mdp, policy)
    require_unit_interval("discount", discount)
    return Affine(discount * state_chain(mdp, policy), (policy * mdp.reward_table).sum(-1))


def pair_backup_matrix(mdp: TabularMDP, policy: Float[Tensor, "S A"], discount: float) -> Affine:
    """T^π Q over pairs, Q flattened to s·A + a: matrix γ p(s'|s, a) π(a'|s') [S·A, S·A], vector r [S·A]."""
    _require_policy(mdp, policy)
    require_unit_interval("discount", discount)
    pairs = mdp.num_states * mdp.num_actions
    chain = (mdp.transition_probs.unsqueeze(-1) * policy).reshape(pairs, pairs)
    return Affine(discount * chain, mdp.reward_table.flatten())


def least_squares(features: Float[Tensor, "S K"], weights: Float[Tensor, " S"]) -> Float[Tensor, "K S"]:
    """The matrix that maps values y [S] to the w [K] of argmin Σ_s d(s) (y(s) − φ(s)·w)².

    (ΦᵀDΦ)⁻¹ΦᵀD, computed as (√D Φ)⁺ √D. Where ΦᵀDΦ is singular (more features than states, a weight of 0), it is
    the shortest of all minimising w that the pseudo-inverse finds.
    """
    root = _checked(weights, len(features)).sqrt()
    return torch.linalg.pinv(root.unsqueeze(-1) * features) * root


def projection(features: Float[Tensor, "S K"], weights: Float[Tensor, " S"]) -> Float[Tensor, "S S"]:
    """Π = Φ(ΦᵀDΦ)⁻¹ΦᵀD: the nearest values that the features can represent, in the weighted 2-norm.

    In that norm ‖Π‖ ≤ 1, whatever the features: by Pythagoras ‖y‖² = ‖Πy‖² + ‖y − Πy‖². In other norms, the
    ∞-norm among them, ‖Π‖ can exceed 1.
    """
    return features @ least_squares(features, weights)


def fitted_iteration(backup: Affine, features: Float[Tensor, "S K"], weights: Float[Tensor, " S"]) -> Affine:
    """One exact regression on the backed-up values, w ← argmin ‖Φw' − (γPΦw + r)‖_D, as a map of w [K]."""
    fit = least_squares(features, weights)
    return Affine(fit @ backup.matrix @ features, fit @ backup.vector)


def weighted_norm(vector: Float[Tensor, "*B S"], weights: Float[Tensor, " S"]) -> Float[Tensor, "*B"]:
    """‖v‖_D = √(Σ_s d(s) v(s)²); a norm only if no weight is 0."""
    return (_checked(weights, vector.shape[-1]) * vector.square()).sum(-1).sqrt()


def operator_norm(matrix: Float[Tensor, "S S"], weights: Float[Tensor, " S"] | None = None) -> float:
    """The largest ‖Mv‖ / ‖v‖: in the ∞-norm, or with `weights` in the weighted 2-norm.

    ‖M‖∞ is the largest sum of absolute values in a row; ‖M‖_D is the largest singular value of D^½ M D^−½.
    Errors: ValueError if a weight is 0.
    """
    require_shape("matrix", matrix, ("S", "S"))
    if weights is None:
        return float(matrix.abs().sum(-1).max())
    root = _checked(weights, len(matrix)).sqrt()
    require(bool((root > 0).all()), "weights", "positive numbers", "a weight of 0")
    return float(torch.linalg.svdvals(root.unsqueeze(-1) * matrix / root)[0])


def spectral_radius(matrix: Float[Tensor, "K K"]) -> float:
    """The largest |eigenvalue|: x ← Mx tends to 0 from every start if and only if it is below 1."""
    require_shape("matrix", matrix, ("K", "K"))
    return float(torch.linalg.eigvals(matrix).abs().max())


def semi_gradient(backup: Affine, features: Float[Tensor, "S K"], weights: Float[Tensor, " S"]) -> LinearUpdate:
    """The expected update of TD(0): A = ΦᵀD(I − γP)Φ, b = ΦᵀD r (Tsitsiklis and Van Roy 1997).

    E[δ φ(s)] = b − Aw for s drawn with the weights and r, s' from the backup's own policy. Φ is transposed, γP
    is not: the target carries no gradient, A is in general not symmetric, and then b − Aw is no function's gradient.
    """
    weighted = features.T * _checked(weights, len(features))
    return LinearUpdate(weighted @ (features - backup.matrix @ features), weighted @ backup.vector)


def residual_gradient(backup: Affine, features: Float[Tensor, "S K"], weights: Float[Tensor, " S"]) -> LinearUpdate:
    """The gradient of −½ ‖r + γPΦw − Φw‖²_D: A = GᵀDG, b = GᵀD r with G = (I − γP)Φ (Baird 1995).

    A is symmetric and has no negative eigenvalue: small steps always converge. A sample of b − Aw needs two
    independent next states, one for each factor; see `residual_gradient_one_sample`.
    """
    rows = features - backup.matrix @ features
    weighted = rows.T * _checked(weights, len(features))
    return LinearUpdate(weighted @ rows, weighted @ backup.vector)


def residual_gradient_one_sample(mdp: TabularMDP, policy: Float[Tensor, "S A"], features: Float[Tensor, "S K"],
                                 weights: Float[Tensor, " S"], discount: float) -> LinearUpdate:
    """The same with one sampled (a, s') in both factors: the gradient of −½ E[(r + γV(s') − V(s))²].

    E[x²] = (E x)² + Var x: what is minimised besides the squared error is the variance of the target, and
    the w that it leads to is in general another one, unless transitions and policy are deterministic.
    """
    _require_policy(mdp, policy)
    require_unit_interval("discount", discount)
    chance = _checked(weights, len(features))[:, None, None] * policy.unsqueeze(-1) * mdp.transition_probs
    difference = features.unsqueeze(1) - discount * features  # [S, S', K]: φ(s) − γφ(s')
    matrix = torch.einsum("ijk,ikm,ikn->mn", chance, difference, difference)
    return LinearUpdate(matrix, torch.einsum("ijk,ij,ikm->m", chance, mdp.reward_table, difference))


def iteration_matrix(update: LinearUpdate, learning_rate: float) -> Float[Tensor, "K K"]:
    """I − learning_rate · A: what one expected update does to w minus its fixed point.

    Where the features are linearly dependent, A is singular and this matrix has the eigenvalue 1, harmlessly:
    there w stays where it is, in a direction that changes no value. Divergence is an eigenvalue of modulus beyond 1.
    Errors: ValueError unless the learning rate is positive.
    """
    require(learning_rate > 0, "learning_rate", "a positive number", learning_rate)
    return torch.eye(len(update.matrix), dtype=update.matrix.dtype) - learning_rate * update.matrix


def fixed_point(update: LinearUpdate) -> Float[Tensor, " K"]:
    """The shortest w [K] with A w = b, by the pseudo-inverse: A may be singular."""
    return torch.linalg.pinv(update.matrix) @ update.vector


def _checked(weights: Tensor, size: int) -> Tensor:
    require_shape("weights", weights, (size,))
    require(bool(torch.isfinite(weights).all()) and bool((weights >= 0).all()) and float(weights.sum()) > 0,
            "weights", "finite numbers of at least 0, not all 0", weights.tolist())
    return weights


def _require_policy(mdp: TabularMDP, policy: Tensor) -> None:
    require_shape("policy", policy, (mdp.num_states, mdp.num_actions))
    require_probabilities("policy", policy)
