"""The natural gradient: steps measured by how far the policy moves, not its parameters.

KL(π_θ ‖ π_{θ+dθ}) ≈ ½ dθᵀ F dθ with the Fisher matrix F = E[∇log π ∇log πᵀ]. Vectors are [*B, P]:
P parameters, before them any axes of independent runs. Derived in lecture 03, section P9.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_shape


def categorical_kl(old_logits: Float[Tensor, "*B A"], new_logits: Float[Tensor, "*B A"]) -> Float[Tensor, "*B"]:
    """KL(π_old ‖ π_new) = Σₐ π_old(a) [log π_old(a) − log π_new(a)] of two softmaxes: [*B], in nats."""
    require_shape("new_logits", new_logits, tuple(old_logits.shape))
    old, new = torch.log_softmax(old_logits, -1), torch.log_softmax(new_logits, -1)
    return (old.exp() * (old - new)).sum(-1)


def gaussian_kl(old_mean: Float[Tensor, "*B D"], old_log_std: Float[Tensor, "*B D"],
                new_mean: Float[Tensor, "*B D"], new_log_std: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
    """KL(N(μ, σ²) ‖ N(μ', σ'²)) = Σ_d [ log σ'/σ + (σ² + (μ − μ')²) / (2σ'²) − ½ ]: [*B], in nats."""
    for name, tensor in (("old_log_std", old_log_std), ("new_mean", new_mean), ("new_log_std", new_log_std)):
        require_shape(name, tensor, tuple(old_mean.shape))
    spread = torch.exp(2 * (old_log_std - new_log_std))
    shift = ((old_mean - new_mean) * torch.exp(-new_log_std)).square()
    return (new_log_std - old_log_std + 0.5 * (spread + shift - 1.0)).sum(-1)


def categorical_fisher(logits: Float[Tensor, "*B A"]) -> Float[Tensor, "*B A A"]:
    """F = diag(π) − π πᵀ: of a softmax in its logits, [*B, A, A].

    Singular: adding one number to all logits changes nothing, so that F (1, …, 1)ᵀ = 0.
    """
    probs = torch.softmax(logits, -1)
    return torch.diag_embed(probs) - probs.unsqueeze(-1) * probs.unsqueeze(-2)


def gaussian_fisher(log_std: Float[Tensor, "*B D"]) -> Float[Tensor, "*B 2*D 2*D"]:
    """F = diag(1/σ₁², …, 1/σ_D², 2, …, 2): of N(μ, diag σ²) in (μ₁ … μ_D, log σ₁ … log σ_D).

    [*B, 2D, 2D]. A narrow Gaussian is moved far by a small change of its mean, but the logarithm
    of its deviation counts the same at any size.
    """
    return torch.diag_embed(torch.cat([torch.exp(-2.0 * log_std), torch.full_like(log_std, 2.0)], -1))


def pulled_back_fisher(jacobian: Float[Tensor, "*B n K P"], fisher: Float[Tensor, "*B n K K"],
                       prob: Float[Tensor, "*B n"] | None = None) -> Float[Tensor, "*B P P"]:
    """F_θ = E_s[ Jᵀ F J ]: from a distribution's K own parameters to the P of the policy, [*B, P, P].

    J = ∂(parameters of π(·|s)) / ∂θ at n states [*B, n, K, P], F there [*B, n, K, K]. The
    expectation is the mean over the n states, or weighted by `prob` [*B, n].
    """
    require_shape("fisher", fisher, (*jacobian.shape[:-1], jacobian.shape[-2]))
    weight = torch.full_like(jacobian[..., 0, 0], 1.0 / jacobian.shape[-3]) if prob is None else prob
    require_shape("prob", weight, tuple(jacobian.shape[:-2]))
    return torch.einsum("...n,...nkp,...nkl,...nlq->...pq", weight, jacobian, fisher, jacobian)


def score_fisher(score: Float[Tensor, "*B n P"],
                 prob: Float[Tensor, "*B n"] | None = None) -> Float[Tensor, "*B P P"]:
    """F = E[g gᵀ] from scores g = ∇log π(a|s) [*B, n, P] of n actions drawn from π: [*B, P, P].

    The mean over the n samples, or weighted by `prob` [*B, n]. From samples it is noisy where
    the other forms are exact in the action.
    """
    weight = torch.full_like(score[..., 0], 1.0 / score.shape[-2]) if prob is None else prob
    require_shape("prob", weight, tuple(score.shape[:-1]))
    return torch.einsum("...n,...np,...nq->...pq", weight, score, score)


def natural_gradient(fisher: Float[Tensor, "*B P P"], gradient: Float[Tensor, "*B P"], *,
                     damping: float = 0.0) -> Float[Tensor, "*B P"]:
    """(F + damping · I)⁻¹ ∇J: [*B, P], the steepest ascent per nat of KL. Amari 1998; Kakade 2001.

    Where F is singular (eigenvalues below 10⁻¹³ of the largest), the shortest of all solutions:
    directions that do not change the policy are not followed. The step is the same change of
    the policy in whatever parameters it is written; with damping it is not.
    """
    require_shape("gradient", gradient, (*fisher.shape[:-2], fisher.shape[-1]))
    require(damping >= 0, "damping", "a number of at least 0", damping)
    damped = fisher + damping * torch.eye(fisher.shape[-1], dtype=fisher.dtype, device=fisher.device)
    values, vectors = torch.linalg.eigh(damped)
    kept = values > 1e-13 * values.abs().max(-1, keepdim=True).values
    inverse = torch.where(kept, 1.0 / torch.where(kept, values, 1.0), 0.0)
    rotated = (vectors.mT @ gradient.unsqueeze(-1)).squeeze(-1)
    return (vectors @ (inverse * rotated).unsqueeze(-1)).squeeze(-1)


def conjugate_gradient(product: Callable[[Tensor], Tensor], target: Float[Tensor, "*B P"], *,
                       iterations: int = 10, tolerance: float = 1e-10) -> Float[Tensor, "*B P"]:
    """x with F x ≈ target, from products v ↦ F v alone: [*B, P]. Hestenes, Stiefel 1952.

    F (symmetric, positive definite) is never formed. Exact after P iterations but for rounding; ten
    are enough for a direction. Every row is its own problem and stops when ‖residual‖ is
    `tolerance` · ‖target‖ or less.
    """
    require_count("iterations", iterations)
    solution, residual = torch.zeros_like(target), target
    direction, size = target, target.square().sum(-1, keepdim=True)
    enough = tolerance ** 2 * size
    for _ in range(iterations):
        running = size > enough
        if not bool(running.any()):
            break
        image = product(direction)
        curvature = (direction * image).sum(-1, keepdim=True)
        running = running & (curvature > 0)
        step = torch.where(running, size / torch.where(running, curvature, 1.0), 0.0)
        solution, residual = solution + step * direction, residual - step * image
        before, size = size, torch.where(running, residual.square().sum(-1, keepdim=True), 0.0)
        direction = residual + size / torch.where(before > 0, before, 1.0) * direction
    return solution


def fisher_vector_product(kl: Float[Tensor, " R"], parameters: Sequence[Tensor],
                          vector: Float[Tensor, "R P"], *, damping: float = 0.0) -> Float[Tensor, "R P"]:
    """F v + damping · v = ∇(∇KL · v) + damping · v, by differentiating twice: [R, P].

    `kl` [R] is the mean KL(π_old ‖ π_θ) of each run, still attached to its `parameters` [R, …] (P
    numbers a run, flattened in their order) and taken at θ = θ_old, where its Hessian is F. Runs
    do not share parameters, so that the sum over them keeps their products apart.
    """
    first = torch.autograd.grad(kl.sum(), parameters, create_graph=True)
    flat = torch.cat([part.flatten(1) for part in first], -1)
    require_shape("vector", vector, tuple(flat.shape))
    second = torch.autograd.grad((flat * vector.detach()).sum(), parameters, retain_graph=True)
    return torch.cat([part.flatten(1) for part in second], -1) + damping * vector


def trust_region_step_length(gradient: Float[Tensor, "*B P"], natural: Float[Tensor, "*B P"], *,
                             max_kl: float) -> Float[Tensor, "*B"]:
    """√(2δ / gᵀ F⁻¹ g): [*B], how far to go along `natural` = F⁻¹g for a KL of δ = `max_kl` nats.

    Right to second order: TRPO checks the true KL and shortens the step where it is larger. 0
    where the gradient is. Schulman, Levine, Moritz, Jordan, Abbeel 2015.
    """
    require_shape("natural", natural, tuple(gradient.shape))
    require(max_kl > 0, "max_kl", "a positive number", max_kl)
    slope = (gradient * natural).sum(-1)
    return torch.where(slope > 0, torch.sqrt(2.0 * max_kl / torch.where(slope > 0, slope, 1.0)), 0.0)


def improvement_penalty(epsilon: Float[Tensor, "*#B"], largest_advantage: Float[Tensor, "*#B"], *,
                        horizon: int) -> Float[Tensor, "*B"]:
    """Σₜ 2εt · 2ε max|A| = 2 ε² T (T − 1) max|A|: what the local objective can promise too much.

    J(π') ≥ J(π) + Σₜ E_{sₜ∼π}[Σₐ π'(a|s) A^π(s, a)] − this, for policies that differ by at most ε in
    total variation in every state: 2εt bounds the change of the state marginal, 2ε max|A| the
    expected advantage at a state. After Schulman et al. 2015, for T steps without a discount.
    """
    require_count("horizon", horizon)
    return 2.0 * epsilon.square() * horizon * (horizon - 1) * largest_advantage
