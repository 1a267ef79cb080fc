"""Exercise 03, q4: the baseline with the smallest variance, on paper."""

from collections.abc import Callable, Iterator

import torch

from ...core.seeding import generator
from ...equations.policy_gradient import optimal_baseline
from ...exact.policy_gradient import moments
from ..cases import Case, Question
from .tables import table


def _outcomes(prob: float, reward_0: float, reward_1: float) -> tuple:
    """Probabilities [2], scores ∂log π(a)/∂θ [2, 1] and rewards [2] of actions 0 and 1."""
    return table([1 - prob, prob]), table([[-prob], [1 - prob]]), table([reward_0, reward_1])


def best_baseline(prob: float, reward_0: float, reward_1: float) -> float:
    """E[g² r] / E[g²] = (1 − p) r₁ + p r₀: the library's answer, for 0 < p < 1."""
    probs, score, reward = _outcomes(prob, reward_0, reward_1)
    return float(optimal_baseline(score, reward, probs))


def gradient_variance(prob: float, reward_0: float, reward_1: float, baseline: float) -> float:
    """Var[(r − b) ∂log π/∂θ] = p (1 − p) (b − b*)²: the library's answer, from both outcomes."""
    probs, score, reward = _outcomes(prob, reward_0, reward_1)
    return float(moments(probs, score * (reward - baseline)[:, None])[1])


def _average(p: float, r0: float, r1: float) -> float:
    return p * r1 + (1 - p) * r0


def _best(p: float, r0: float, r1: float) -> float:
    return (1 - p) * r1 + p * r0


_BEST_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_average,
     "That is the expected reward, the baseline that everybody tries first. It minimises the variance of r − b; "
     "asked for is that of (r − b) g, in which the *rare* action has the larger g."),
    (lambda p, r0, r1: (r0 + r1) / 2,
     "You weigh both rewards alike. That is E[|g| r] / E[|g|]: in a variance the score appears squared."),
    (lambda p, r0, r1: p * (1 - p) * _best(p, r0, r1),
     "That is E[g² r] alone. Set the derivative with respect to b to zero and solve: divide by E[g²] = p(1 − p)."),
    (lambda p, r0, r1: max(r0, r1),
     "The largest reward is no minimum: where is the derivative of the variance with respect to b zero?"),
    (lambda p, r0, r1: ((1 - p) ** 2 * r1 + p**2 * r0) / ((1 - p) ** 2 + p**2),
     "You weigh with g² but forget how likely each action is: E[g² r] has the factors p and 1 − p as well."),
    (lambda p, r0, r1: (1 - p) * r1 - p * r0,
     "A sign is lost: g is negative for action 0, but g² is not."),
)


def _second_moment(p, r0, r1, b):
    return p * (1 - p) ** 2 * (r1 - b) ** 2 + (1 - p) * p**2 * (r0 - b) ** 2


def _from_pair(score_0: Callable, score_1: Callable) -> Callable:
    """The variance with other scores of the two actions."""
    def slip(p, r0, r1, b):
        return p * (1 - p) * ((r1 - b) * score_1(p) - (r0 - b) * score_0(p)) ** 2
    return slip


def _unsquared_score(p, r0, r1, b):
    return p * (1 - p) * ((r1 - b) ** 2 + (r0 - b) ** 2) - (p * (1 - p) * (r1 - r0)) ** 2


_VARIANCE_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_second_moment,
     "That is the second moment E[(r − b)² g²]. The variance is less by the square of the mean, "
     "E[(r − b) g] = p(1 − p)(r₁ − r₀)."),
    (lambda p, r0, r1, b: _second_moment(p, r0, r1, b) - p * (1 - p) * (r1 - r0),
     "You subtract the mean. The variance is E[X²] minus the *square* of the mean."),
    (_unsquared_score,
     "The score is not squared: X = (r − b) g, so X² = (r − b)² g², with g² = (1 − p)² or p²."),
    (_from_pair(lambda p: 1.0, lambda p: 1.0),
     "That is the variance of the reward, which no baseline changes. Asked for is that of (r − b) g."),
    (_from_pair(lambda p: -(1 - p), lambda p: p),
     "The scores are exchanged: ∂log p/∂θ = 1 − p for action 1 and ∂log(1 − p)/∂θ = −p for action 0. The rare "
     "action has the large score."),
    (_from_pair(lambda p: p, lambda p: 1 - p),
     "A sign is lost: raising θ makes action 0 *less* likely, so its score is −p."),
    (lambda p, r0, r1, b: gradient_variance(p, r0, r1, b) ** 0.5,
     "That is the standard deviation. Its square is asked for."),
    (lambda p, r0, r1, b: 2 * gradient_variance(p, r0, r1, b),
     "Twice the right number: a softmax with two logits has two components, here there is one θ."),
    (lambda p, r0, r1, b: (b - _best(p, r0, r1)) ** 2,
     "A factor is missing: how large is the coefficient of b², which is E[g²]?"),
    (lambda p, r0, r1, b: gradient_variance(p, r0, r1, -b),
     "The sign of the baseline is turned: it is subtracted, r − b."),
    (lambda p, r0, r1, b: gradient_variance(p, r0, r1, 0.0),
     "The baseline does not appear in your result: X = (r − b) g."),
)


def _best_case(title: str, problem: tuple[float, float, float], want: float, **more) -> Case:
    return Case(title, lambda f: f.best_baseline(*problem), want,
                "E[X²] is a parabola in b: E[g²] b² − 2 E[g² r] b + …, and (E[X])² does not depend on b.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _BEST_SLIPS), **more)


def _variance_case(title: str, problem: tuple[float, float, float, float], want: float, **more) -> Case:
    return Case(title, lambda f: f.gradient_variance(*problem), want,
                "X takes two values: (r₁ − b)(1 − p) with probability p, and −(r₀ − b) p with probability 1 − p.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _VARIANCE_SLIPS), **more)


_PLACES = ((0.75, 0.0, 1.0), (0.1, -3.0, 2.0), (0.5, 4.0, 1.0), (0.9, 1.0, 1.5))


def _around_the_best(f: object) -> list:
    """The variance at your own b* and one unit above and below, for a few problems."""
    best = [float(torch.as_tensor(f.best_baseline(*place))) for place in _PLACES]
    return [[f.gradient_variance(*place, b + step) for step in (-1.0, 0.0, 1.0)]
            for place, b in zip(_PLACES, best)]


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q4")
    for number in range(4):
        draw = torch.rand(4, generator=random, dtype=torch.float64).tolist()
        prob, reward_0 = 0.05 + 0.35 * draw[0] + 0.5 * (number % 2), 6 * draw[1] - 3
        problem = (prob, reward_0, reward_0 + 1 + draw[2])
        yield _best_case("random", problem, best_baseline(*problem), confirms=(_BEST, _OTHER)[number // 2])
        yield _variance_case("random", (*problem, 0.0), gradient_variance(*problem, 0.0), confirms=_NONE)
        between = (*problem, problem[1] + 2 * draw[3])
        yield _variance_case("random", between, gradient_variance(*between), confirms=_WITH)


_BEST, _OTHER = "best baseline: p = ¾, rewards 0 and 1", "best baseline: p = 0.1, rewards −3 and 2"
_NONE, _WITH = "variance without a baseline", "variance with the average reward as the baseline"

QUESTION = Question(
    "q4", "The best baseline, on paper", "P4",
    {"best_baseline": best_baseline, "gradient_variance": gradient_variance},
    difficulty=3, importance=3, minutes=15,
    values=(
        # ¼ · 1 + ¾ · 0.
        _best_case(_BEST, (0.75, 0.0, 1.0), 0.25, points=1, by_hand=True),
        # 0.9 · 2 + 0.1 · (−3) = 1.8 − 0.3.
        _best_case(_OTHER, (0.1, -3.0, 2.0), 1.5, points=1, by_hand=True),
        # X is 1 · ¼ with probability ¾, else 0: ¾ · 1/16 − (3/16)² = 12/256 − 9/256.
        _variance_case(_NONE, (0.75, 0.0, 1.0, 0.0), 3 / 256, points=1, by_hand=True),
        # b = ¾ · 3 + ¼ · 1 = 2.5: X is ½ · ¼ = 1/8 with probability ¾ and −(−1.5) · ¾ = 9/8 with ¼; the mean is
        # 3/32 + 9/32 = 3/8. ¾ · 1/64 + ¼ · 81/64 − 9/64 = 21/64 − 9/64.
        _variance_case(_WITH, (0.75, 1.0, 3.0, 2.5), 3 / 16, points=1, by_hand=True),
    ),
    properties=(
        # X takes the same value for both actions there. One unit away: p(1 − p) = 3/16, 0.09, 1/4, 0.09.
        Case("at your best baseline the variance is 0, one unit beside it p(1 − p)", _around_the_best,
             [[3 / 16, 0, 3 / 16], [0.09, 0, 0.09], [0.25, 0, 0.25], [0.09, 0, 0.09]],
             "With the best b the two values of X are equal. Beside it the variance grows like p(1 − p)(b − b*)².",
             points=1, by_hand=True),
    ),
    seeded=_random_cases,
)
