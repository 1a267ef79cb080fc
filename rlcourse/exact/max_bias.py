"""What the maximum of noisy action values is on average: exactly, for Gaussian noise.

A actions have the true values μₐ (`means` [A]); an estimate of action a is Gaussian, Q̂ₐ ∼ N(μₐ, σₐ²), and
independent of those of other actions. `stds` [A] are the σₐ: for the average of n samples with noise σ each, σ/√n.
Two estimators Q̂ and Q̂' of the same values may share data: their estimates of one action have the `correlation`
c in [−1, 1]. All results are expectations over both, and compare with max μ, which a greedy learner wants to know.
One integral over the line each, by the trapezoidal rule, whose error for such smooth integrands is of the order
of rounding. Thrun, Schwartz 1993; van Hasselt 2010; Fujimoto, van Hoof, Meger 2018. Lecture 05b, section Q6.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_shape

_REACH, _POINTS_PER_STD, _MOST_POINTS = 9.0, 10, 100_000  # beyond 9 σ lies less than 10⁻¹⁸ of a Gaussian


def selection_probs(means: Float[Tensor, " A"], stds: Float[Tensor, " A"]) -> Float[Tensor, " A"]:
    """P(argmax Q̂ = a) = ∫ p(Q̂ₐ = x) Π_{b≠a} P(Q̂_b < x) dx: [A].

    Errors: ValueError for other shapes, for stds that are not positive or differ too much for one grid.
    """
    _, density, step = _winners(means, stds)
    return density.sum(1) * step


def expected_max(means: Float[Tensor, " A"], stds: Float[Tensor, " A"]) -> float:
    """E maxₐ Q̂ₐ ≥ maxₐ μₐ: what a single estimator says, which chooses and evaluates with the same numbers.

    For equal μ and σ it is μ + σ m_A, with m_A the mean of the largest of A standard normal numbers: 0, 0.564,
    0.846, 1.029 for A = 1, 2, 3, 4, and below √(2 ln A), to which its ratio goes to 1. Errors as in `selection_probs`.
    """
    x, density, step = _winners(means, stds)
    return float((x * density).sum() * step)


def expected_double(means: Float[Tensor, " A"], stds: Float[Tensor, " A"], *, correlation: float = 0.0) -> float:
    """E Q̂'(argmaxₐ Q̂ₐ): choose with one estimator, evaluate with another.

    Given Q̂ₐ = x, the other one's mean is μₐ + c (x − μₐ). So it is E μ(a*) + c (E max Q̂ − E μ(a*)) with
    a* = argmax Q̂: for independent estimators (c = 0) the true value of the action chosen, which is at most
    max μ: double Q *under*estimates. For c = 1 nothing is left of the idea. Errors as in `selection_probs`.
    """
    _require_correlation(correlation)
    x, density, step = _winners(means, stds)
    chosen = float((means * density.sum(1)).sum() * step)
    return chosen + correlation * (float((x * density).sum() * step) - chosen)


def expected_clipped_double(means: Float[Tensor, " A"], stds: Float[Tensor, " A"], *,
                            correlation: float = 0.0) -> float:
    """E min(Q̂(a*), Q̂'(a*)), a* = argmaxₐ Q̂ₐ: the smaller of both opinions on the action that the first one chose.

    Given Q̂ₐ = x, Q̂'ₐ ∼ N(m, v²) with m = μₐ + c (x − μₐ) and v² = σₐ² (1 − c²), and
    E min(x, Q̂'ₐ) = m − (m − x) Φ(z) − v φ(z) with z = (m − x)/v. At most `expected_double`, whatever c.
    Errors as in `selection_probs`.
    """
    _require_correlation(correlation)
    x, density, step = _winners(means, stds)
    mean = means[:, None] + correlation * (x - means[:, None])
    spread = (stds * math.sqrt(1.0 - correlation**2)).clamp(min=1e-12)[:, None]
    above = (mean - x) / spread
    smaller = mean - (mean - x) * torch.special.ndtr(above) - spread * _normal_density(above)
    return float((smaller * density).sum() * step)


def _winners(means: Tensor, stds: Tensor) -> tuple[Tensor, Tensor, float]:
    """A grid x [P], the density [A, P] of "action a has the largest estimate, and it is x", and the grid's step."""
    require_shape("means", means, ("A",))
    require_shape("stds", stds, tuple(means.shape))
    require(bool(torch.isfinite(means).all()), "means", "finite numbers", "NaN or infinity")
    require(bool((stds > 0).all()) and bool(torch.isfinite(stds).all()), "stds", "positive numbers", stds.tolist())
    low, high = float((means - _REACH * stds).min()), float((means + _REACH * stds).max())
    points = math.ceil((high - low) / float(stds.min()) * _POINTS_PER_STD) + 1
    require(points <= _MOST_POINTS, "stds", "standard deviations of comparable size, not much below the "
            "differences of the means", stds.tolist())
    x = torch.linspace(low, high, points, dtype=torch.float64)
    scaled = (x - means[:, None]) / stds[:, None]
    log_below = torch.special.log_ndtr(scaled)
    others = (log_below.sum(0) - log_below).exp()
    return x, _normal_density(scaled) / stds[:, None] * others, (high - low) / (points - 1)


def _normal_density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2.0 * math.pi)


def _require_correlation(correlation: float) -> None:
    require(-1.0 <= correlation <= 1.0, "correlation", "a number in [−1, 1]", correlation)
