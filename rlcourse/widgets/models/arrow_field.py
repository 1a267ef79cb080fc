"""What the arrow-field widget shows: gradient ascent with and without the Fisher matrix, on two parameters.

A policy a ~ N(k·s, σ²) steers one number to zero (`exact.linear_gain`, for ever, s₀ = ±1). Arrows, paths
and losses are exact. Both kinds of ascent take steps of δ nats of KL, as the Fisher matrix measures
them: they differ in direction alone.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ...equations.natural_gradient import natural_gradient, trust_region_step_length
from ...exact import linear_gain
from .controls import Choice, Slider

GAINS, STDS = (-1.2, 0.02), (0.01, 1.25)  # the plane of the picture
LEVELS = 10.0 ** np.arange(-2.5, 3.1, 0.5)  # of J* − J, whose level lines the picture has
LONGEST = 40  # steps
LEAST_STD = 1e-3  # far below the picture: a path that has come here stays
# The gain k' = units · k and log σ, or σ itself: other names for the same policies.
UNITS = {"(k, log σ)": 1.0, "(10 k, log σ)": 10.0, "(k / 10, log σ)": 0.1, "(k, σ)": 1.0}
PARAMETERISATIONS = tuple(UNITS)
_UNITS = torch.tensor(list(UNITS.values()), dtype=torch.float64)
_IN_STD = torch.tensor([name == "(k, σ)" for name in UNITS])

CONTROLS = (
    Choice("parameterisation", "parameters", PARAMETERISATIONS, PARAMETERISATIONS[0]),
    Slider("gain", "start gain k", (-1.1, -0.9, -0.7, -0.5, -0.3, -0.2, -0.1, 0.0), -0.2),
    Slider("std", "start σ", (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0), 0.3),
    Slider("discount", "discount γ", (0.5, 0.8, 0.9, 0.95), 0.9),
    Slider("kl", "nats a step δ", (0.001, 0.003, 0.01, 0.03, 0.1), 0.03),
    Slider("steps", "steps", (1, 2, 3, 5, 8, 12, 16, 20, 25, 30, LONGEST), 20),
)


@dataclass(frozen=True, eq=False)
class Frame:
    """One setting of the controls. Pairs are (k, log σ), whatever the parameters are called."""

    parameterisation: str
    gain: float
    std: float
    discount: float
    kl: float
    steps: int
    best_gain: float
    levels: np.ndarray  # [levels] of J* − J; J* is the limit at k*, σ → 0
    level_gain: np.ndarray  # [n] gains k at which the level lines are given
    level_log_std: np.ndarray  # [levels, n] J* − J is at most the level where log σ is at most this
    places: np.ndarray  # [rows, columns, 2] where the arrows stand
    vanilla_arrows: np.ndarray  # [rows, columns, 2] unit vectors: where a small step along ∇J leads
    natural_arrows: np.ndarray  # [rows, columns, 2] and one along F⁻¹∇J
    vanilla_path: np.ndarray  # [steps + 1, 2]
    natural_path: np.ndarray  # [steps + 1, 2]
    vanilla_lost: np.ndarray  # [steps + 1] J* − J along the path
    natural_lost: np.ndarray  # [steps + 1]
    vanilla_angle: float  # degrees between the arrow at the start and the axis of the gain, 0 to 90
    natural_angle: float


def slopes(point: Tensor) -> Tensor:
    """∂(k, log σ)/∂θ, which is diagonal: [4, *B, 2] → [4, *B, 2], one row for each parameterisation."""
    shape = (len(UNITS),) + (1,) * (point.ndim - 2)
    by_gain = (1 / _UNITS).view(shape).expand(point.shape[:-1])
    by_std = torch.where(_IN_STD.view(shape), torch.exp(-point[..., 1]), 1.0)
    return torch.stack([by_gain, by_std], -1)


def directions(point: Tensor, slope: Tensor, discount: float) -> tuple[Tensor, Tensor, Tensor]:
    """(∇J, F⁻¹∇J, F) in the parameters that have these slopes: [4, *B, 2] twice, [4, *B, 2, 2]."""
    gain, log_std = point.unbind(-1)
    gradient = slope * linear_gain.gradient(gain, log_std, discount=discount)
    fisher = linear_gain.fisher(gain, log_std, discount=discount)
    fisher = slope.unsqueeze(-1) * fisher * slope.unsqueeze(-2)
    return gradient, natural_gradient(fisher, gradient), fisher


@cache
def paths(gain: float, std: float, discount: float, kl: float) -> Tensor:
    """All paths of LONGEST steps of δ = `kl` nats: [4 parameterisations, 2, LONGEST + 1, 2]; remembered.

    Axis 1 is (vanilla, natural). The length √(2δ / dᵀFd) makes every step along a direction d one of δ
    nats to second order; σ cannot become negative, since its step is at most σ√δ.
    """
    point = torch.tensor([gain, math.log(std)], dtype=torch.float64).expand(len(UNITS), 2, 2)
    path = [point]
    for _ in range(LONGEST):
        slope = slopes(point)
        vanilla, natural, fisher = directions(point, slope, discount)
        direction = torch.stack([vanilla[:, 0], natural[:, 1]], 1)
        image = (fisher @ direction.unsqueeze(-1)).squeeze(-1)
        step = slope * direction * trust_region_step_length(image, direction, max_kl=kl).unsqueeze(-1)
        by_gain, by_log_std = step.unbind(-1)
        by_log_std = torch.where(_IN_STD[:, None], torch.log1p(by_log_std), by_log_std)
        moved = point + torch.stack([by_gain, by_log_std], -1)
        point = torch.where(point[..., 1:] < math.log(LEAST_STD), point, moved)
        path.append(point)
    return torch.stack(path, 2)


@cache
def level_lines(discount: float) -> tuple[np.ndarray, np.ndarray]:
    """(k [n], log σ [levels, n]) where J* − J = c(k) + d(k) σ² is the level; remembered.

    Where c alone is more, the line stands at LEAST_STD, below the picture.
    """
    gain = torch.linspace(*GAINS, 200, dtype=torch.float64)
    still, noisy = (shortfall(torch.stack([gain, torch.full_like(gain, log_std)], -1), discount)
                    for log_std in (-math.inf, 0.0))
    variance = (torch.from_numpy(LEVELS)[:, None] - still) / (noisy - still)
    return gain.numpy(), (0.5 * variance.clamp_min(LEAST_STD ** 2).log()).numpy()


def shortfall(point: Tensor, discount: float) -> Tensor:
    """J* − J(k, log σ): [*B, 2] → [*B]. J* is reached at k* in the limit σ → 0."""
    best = torch.tensor([linear_gain.best_gain(discount), -math.inf], dtype=torch.float64)
    worth, limit = (linear_gain.objective(at[..., 0], at[..., 1], discount=discount) for at in (point, best))
    return limit - worth


@cache
def arrows(discount: float) -> tuple[Tensor, Tensor]:
    """(places [9, 9, 2], unit vectors [4, 2, 9, 9, 2] of each parameterisation and kind); remembered."""
    log_std, gain = torch.meshgrid(torch.linspace(math.log(0.013), math.log(0.95), 9, dtype=torch.float64),
                                   torch.linspace(-1.12, -0.04, 9, dtype=torch.float64), indexing="ij")
    places = torch.stack([gain, log_std], -1)
    everywhere = places.expand(len(UNITS), *places.shape)
    slope = slopes(everywhere)
    vanilla, natural, _ = directions(everywhere, slope, discount)
    # A step of θ moves (k, log σ) by slope · step: so the arrow is drawn where it leads.
    leads = torch.stack([slope * vanilla, slope * natural], 1)
    return places, leads / leads.norm(dim=-1, keepdim=True)


@cache
def angles(gain: float, std: float, discount: float) -> list[tuple[float, float]]:
    """Degrees between (vanilla, natural) arrow and the axis of the gain, in (k, log σ); one pair a row."""
    point = torch.tensor([gain, math.log(std)], dtype=torch.float64).expand(len(UNITS), 2)
    slope = slopes(point)
    vanilla, natural, _ = directions(point, slope, discount)
    across, along = (slope * torch.stack([vanilla, natural])).abs().unbind(-1)
    return torch.atan2(along, across).rad2deg().T.tolist()


def compute(parameterisation: str, gain: float, std: float, discount: float, kl: float, steps: int) -> Frame:
    """The frame of one setting of `CONTROLS`."""
    row = PARAMETERISATIONS.index(parameterisation)
    path = paths(gain, std, discount, kl)[row, :, :steps + 1]
    missing = shortfall(path, discount).numpy()
    places, leads = arrows(discount)
    return Frame(
        parameterisation, gain, std, discount, kl, steps, linear_gain.best_gain(discount), LEVELS,
        *level_lines(discount), places.numpy(), *leads[row].numpy(), *path.numpy(), *missing,
        *angles(gain, std, discount)[row])
