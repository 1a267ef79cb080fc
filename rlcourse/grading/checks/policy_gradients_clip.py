"""Exercise 03, q7: the clipped objective of PPO."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.policy_gradient import clipped_surrogate
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, Tensor, float]


def clipped_objective(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip_range: float) -> Tensor:
    """min(ρ A, clip(ρ, 1 − ε, 1 + ε) A) [B]: the library's answer."""
    return clipped_surrogate(log_prob, old_log_prob, advantage, clip_range=clip_range)


def _by_ratio(of: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """A slip as a function of ρ, A and ε."""
    def slip(log_prob, old_log_prob, advantage, clip_range):
        return of((log_prob - old_log_prob).exp(), advantage, clip_range)
    return slip


def _inverted(log_prob, old_log_prob, advantage, clip_range):
    return clipped_objective(old_log_prob, log_prob, advantage, clip_range)


def _log_ratio(log_prob, old_log_prob, advantage, clip_range):
    ratio = log_prob - old_log_prob
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip_range, 1 + clip_range) * advantage)


def _ratio_of_logs(log_prob, old_log_prob, advantage, clip_range):
    ratio = log_prob / old_log_prob
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip_range, 1 + clip_range) * advantage)


def _turned(*problem):
    return -clipped_objective(*problem)


def _mean(*problem):
    return clipped_objective(*problem).mean()


def _sum(*problem):
    return clipped_objective(*problem).sum()


_EACH = "Give one number for each sample, [B]; whoever trains takes the mean."
_HALF = ("You clip the ratio on one side only. For A < 0 the policy moves *down* from 1, and 1 − ε is where it "
         "has gone far enough: clamp on both sides, and let the minimum decide which one counts.")

# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_by_ratio(lambda ratio, A, e: torch.maximum(ratio * A, ratio.clamp(1 - e, 1 + e) * A)),
     "You take the larger of the two. The *smaller* is the pessimistic one: it stops rewarding a step that has "
     "gone far enough, and never hides one that went the wrong way."),
    (_by_ratio(lambda ratio, A, e: ratio.clamp(1 - e, 1 + e) * A),
     "Only the clipped term is there. A policy that has moved the *wrong* way would get no gradient to come back: "
     "take the minimum with the unclipped term."),
    (_by_ratio(lambda ratio, A, e: ratio * A),
     "Nothing is clipped: this is the unclipped objective ρA, which rewards steps of any size."),
    (_inverted,
     "The ratio is inverted: the new policy stands above, ρ = π/π_old = exp(log π − log π_old)."),
    (_log_ratio,
     "A difference of logarithms is the logarithm of the ratio: take its `exp`. With equal policies ρ must be 1."),
    (_ratio_of_logs,
     "You divide two logarithms. The ratio of the probabilities is exp(log π − log π_old)."),
    (_turned, "The sign is turned: the objective is asked for, which is *maximised*, not the loss."),
    (_by_ratio(lambda ratio, A, e: (ratio * A).clamp(1 - e, 1 + e)),
     "You clip ρA. The ratio alone is clipped, then multiplied by A: an advantage may have any size and sign."),
    (_by_ratio(lambda ratio, A, e: torch.minimum(ratio * A, (ratio * A).clamp(1 - e, 1 + e))),
     "You clip ρA. The ratio alone is clipped, then multiplied by A: an advantage may have any size and sign."),
    (_by_ratio(lambda ratio, A, e: torch.minimum(ratio, ratio.clamp(1 - e, 1 + e)) * A),
     "You take the minimum of the ratios, before the advantage. Where A < 0 the order of two products is that of "
     "the ratios turned round: multiply first, then take the minimum."),
    (_by_ratio(lambda ratio, A, e: torch.minimum(ratio * A, ratio.clamp(max=1 + e) * A)), _HALF),
    (_by_ratio(lambda ratio, A, e: torch.minimum(ratio * A, ratio.clamp(min=1 - e) * A)),
     "You clip the ratio on one side only, the lower. For A > 0 it is 1 + ε where the policy has gone far enough: "
     "clamp on both sides."),
    (_by_ratio(lambda ratio, A, e: torch.minimum(ratio * A, ratio.clamp(-e, e) * A)),
     "You clip to −ε … ε. The ratio of equal policies is 1: clip to 1 − ε … 1 + ε."),
    (_mean, "You take the mean. " + _EACH),
    (_sum, "You add up the batch. " + _EACH),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.clipped_objective(*problem), want,
                "For one sample: ρ, then ρA, then clip(ρ)A with ρ held between 1 − ε and 1 + ε, then the smaller "
                "of the two products.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _problem(ratio: Tensor, advantage: Tensor, clip_range: float = 0.2) -> Problem:
    """Ratios as a pair of log-probabilities, the old one being log ½, log ⅓, log ½ …"""
    old = table([1 / 2, 1 / 3] * len(ratio))[:len(ratio)].log()
    return old + ratio.log(), old, advantage, clip_range


def _slopes(f: object, problem: Problem, step: float = 1e-3) -> Tensor:
    """∂ objective / ∂ log π [B], by central differences."""
    log_prob, *others = problem
    ahead, behind = (torch.as_tensor(f.clipped_objective(log_prob + sign * step, *others)).to(torch.float64)
                     for sign in (1, -1))
    return (ahead - behind) / (2 * step)


def _slope_case(title: str, ratio: Tensor, advantage: Tensor, clip_range: float, **more) -> Case:
    far = torch.where(advantage > 0, ratio > 1 + clip_range, ratio < 1 - clip_range)
    return Case(title, lambda f: _slopes(f, _problem(ratio, advantage, clip_range)),
                torch.where(far, 0.0, ratio * advantage),
                "The slope must be 0 where the policy has gone far enough the right way, and ρA everywhere else.",
                rtol=1e-4, atol=1e-5, **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q7")
    draw = torch.rand(6, 5, generator=random, dtype=torch.float64)
    good, clip_range = 0.3 + draw[1], 0.1 + 0.2 * float(draw[5, 0])
    inside, outside = 0.9 + 0.2 * draw[0], table([0.3, 0.6, 1.5, 1.8, 2]) + 0.1 * draw[0]
    for ratio, advantage, limit, title in (
            (inside, 4 * (draw[2] - 0.5), 0.2, "ratios within the range"),
            (outside, good, clip_range, "good actions, far from the old policy"),
            (outside, -good, clip_range, "bad actions, far from the old policy"),
            (0.3 + 1.7 * draw[3], 4 * (draw[4] - 0.5), clip_range, "another clip range")):
        problem = _problem(ratio, advantage, limit)
        yield _case("random", problem, clipped_objective(*problem), confirms=title)
    yield _slope_case("random", torch.cat([inside, outside, outside]), torch.cat([good, good, -good]), 0.2,
                      confirms="no slope where the policy has gone far enough")


_MIXED = _problem(table([0.5, 0.7, 1, 1.25, 1.6, 0.5, 1.6]), table([2, -1, 3, -0.5, 1, -2, -1]), 0.3)

QUESTION = Question(
    "q7", "The clip of PPO", "P9", {"clipped_objective": clipped_objective}, difficulty=3, importance=5,
    minutes=15,
    values=(
        # 0.9 · 2, 1 · (−3) and 1.1 · 4: nothing is clipped.
        _case("ratios within the range", _problem(table([0.9, 1, 1.1]), table([2, -3, 4])), table([1.8, -3, 4.4]),
              points=1, by_hand=True),
        # min(0.5 · 2, 0.8 · 2) = 1 and min(1.5 · 2, 1.2 · 2) = 2.4.
        _case("good actions, far from the old policy", _problem(table([0.5, 1.5]), table([2, 2])), table([1, 2.4]),
              points=1, by_hand=True),
        # min(0.5 · (−2), 0.8 · (−2)) = −1.6 and min(1.5 · (−2), 1.2 · (−2)) = −3.
        _case("bad actions, far from the old policy", _problem(table([0.5, 1.5]), table([-2, -2])),
              table([-1.6, -3]), points=1, by_hand=True),
        _case("another clip range", _MIXED, clipped_objective(*_MIXED), points=1),
    ),
    properties=(
        _slope_case("no slope where the policy has gone far enough", table([0.5, 1, 1.5, 0.5, 1, 1.5]),
                    table([1, 1, 1, -2, -2, -2]), 0.2, points=1),
    ),
    seeded=_random_cases,
)
