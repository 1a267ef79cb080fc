"""The two-parameter linear problem: a policy gradient in closed form, and why its arrows mislead.

s' = s + a, reward −(s² + a²), a ~ N(k·s, σ²), discount γ. θ = (k, log σ): the gain and the log of the
policy's standard deviation. Only second moments matter: with q = (1 + k)² and m₀ = E s₀²,

    E s²ₜ = qᵗ m₀ + σ² Σ_{j<t} qʲ,   M = Σₜ γᵗ E s²ₜ = A(q) m₀ + B(q) σ²,   C = Σₜ γᵗ.

For ever (`horizon` None): A = 1/(1 − γq), B = γ/((1 − γ)(1 − γq)), C = 1/(1 − γ). For T steps the same
sums stop at t = T − 1. Every function broadcasts over a grid of parameters and raises ValueError
where a sum diverges: γ outside [0, 1) or γq ≥ 1 without a horizon. (Lecture 03, P9; the problem is
an old favourite, as in Peters, Schaal 2008.)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_unit_interval


def second_moment(gain: Float[Tensor, "*B"], log_std: Float[Tensor, "*B"], *, discount: float,
                  horizon: int | None = None, start_second_moment: float = 1.0) -> Float[Tensor, "*B"]:
    """M / C = Σₜ γᵗ E s²ₜ / Σₜ γᵗ: E s² over the policy's own (discounted) states, [*B]."""
    start, noise, _, _, steps = _sums(gain, discount, horizon)
    return (start * _checked(start_second_moment) + noise * torch.exp(2.0 * log_std)) / steps


def objective(gain: Float[Tensor, "*B"], log_std: Float[Tensor, "*B"], *, discount: float,
              horizon: int | None = None, start_second_moment: float = 1.0) -> Float[Tensor, "*B"]:
    """J(k, log σ) = −E Σₜ γᵗ (s²ₜ + a²ₜ) = −(1 + k²) M − σ² C: [*B], to be maximised."""
    start, noise, _, _, steps = _sums(gain, discount, horizon)
    variance = torch.exp(2.0 * log_std)
    moment = start * _checked(start_second_moment) + noise * variance
    return -(1.0 + gain.square()) * moment - variance * steps


def gradient(gain: Float[Tensor, "*B"], log_std: Float[Tensor, "*B"], *, discount: float,
             horizon: int | None = None, start_second_moment: float = 1.0) -> Float[Tensor, "*B 2"]:
    """(∂J/∂k, ∂J/∂ log σ) [*B, 2].

    ∂J/∂k = −2kM − (1 + k²) · 2(1 + k) (A' m₀ + B' σ²),   ∂J/∂ log σ = −2σ² ((1 + k²) B + C).
    The second vanishes with σ² and the first does not: near a deterministic policy the vanilla
    arrows point along the gain alone.
    """
    start, noise, start_slope, noise_slope, steps = _sums(gain, discount, horizon)
    first, variance, cost = _checked(start_second_moment), torch.exp(2.0 * log_std), 1.0 + gain.square()
    slope = 2.0 * (1.0 + gain) * (start_slope * first + noise_slope * variance)
    by_gain = -2.0 * gain * (start * first + noise * variance) - cost * slope
    return torch.stack([by_gain, -2.0 * variance * (cost * noise + steps)], -1)


def fisher(gain: Float[Tensor, "*B"], log_std: Float[Tensor, "*B"], *, discount: float,
           horizon: int | None = None, start_second_moment: float = 1.0) -> Float[Tensor, "*B 2 2"]:
    """F = E_s[diag(s²/σ², 2)] = diag(M / (C σ²), 2) [*B, 2, 2], over the policy's own states.

    The states are those of the occupancy Σₜ γᵗ p(sₜ) / Σₜ γᵗ. Pulled back from diag(1/σ², 2) in
    (μ, log σ) by μ = k·s; nothing off the diagonal, since mean and deviation do not mix. For ever,
    both components of F⁻¹∇J are σ² times a function of k: its direction knows neither σ nor m₀.
    """
    moment = second_moment(gain, log_std, discount=discount, horizon=horizon,
                           start_second_moment=start_second_moment)
    by_gain = moment * torch.exp(-2.0 * log_std)
    return torch.diag_embed(torch.stack([by_gain, torch.full_like(by_gain, 2.0)], -1))


def best_gain(discount: float) -> float:
    """k* = −γp/(1 + γp) with p = (2γ − 1 + √(4γ² + 1)) / 2γ: the optimum for ever, at every σ and m₀.

    p solves p = 1 + γp − (γp)²/(1 + γp), the scalar Riccati equation (−p s² is the optimal value less
    a constant). The best σ is 0: log σ falls without end. For γ → 1, p is the golden ratio and
    k* → −0.618.
    """
    require(0.0 < discount < 1.0, "discount", "a number in (0, 1)", discount)
    curvature = (2.0 * discount - 1.0 + (4.0 * discount ** 2 + 1.0) ** 0.5) / 2.0
    return -curvature / (1.0 + curvature)


def _sums(gain: Tensor, discount: float, horizon: int | None) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """(A, B, dA/dq, dB/dq, C) of the formulas above; the first four are shaped as `gain`."""
    growth = (1.0 + gain).square()
    if horizon is None:
        require_unit_interval("discount", discount, closed=False)
        largest = float((discount * growth).detach().max())
        require(largest < 1.0, "gain", "gains k with discount · (1 + k)² < 1", f"one with {largest:.6g}")
        start = 1.0 / (1.0 - discount * growth)
        slope, steps = discount * start.square(), 1.0 / (1.0 - discount)
        return start, discount * steps * start, slope, discount * steps * slope, steps
    require_count("horizon", horizon)
    require_unit_interval("discount", discount)
    power, power_slope = torch.ones_like(growth), torch.zeros_like(growth)  # qᵗ and its derivative
    partial, partial_slope = torch.zeros_like(growth), torch.zeros_like(growth)  # Σ_{j<t} qʲ and its derivative
    terms = []
    for time in range(horizon):
        terms.append(discount ** time * torch.stack([power, partial, power_slope, partial_slope]))
        partial, partial_slope = 1.0 + growth * partial, partial + growth * partial_slope
        power, power_slope = growth * power, power + growth * power_slope
    return *torch.stack(terms).sum(0), sum(discount ** time for time in range(horizon))


def _checked(start_second_moment: float) -> float:
    require(start_second_moment >= 0, "start_second_moment", "a number of at least 0", start_second_moment)
    return start_second_moment
