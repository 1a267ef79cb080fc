"""Exercise 05b, q5: a Q that is a parabola in the action, and its top."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import continuous_q
from ..cases import Case, Question
from .tables import numbers, table

Advantage = tuple[Tensor, Tensor, Tensor]
Parabola = tuple[Tensor, Tensor, Tensor]


def naf_advantage(action: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    """−½ (a − μ)ᵀ L Lᵀ (a − μ) [B]: the library's answer."""
    return continuous_q.naf_advantage(action, mean, factor)


def top(constant: Tensor, slope: Tensor, curvature: Tensor) -> tuple[Tensor, Tensor]:
    """(P⁻¹ g [B, D], c + ½ gᵀ P⁻¹ g [B]): the action and the value at the top of c + gᵀa − ½ aᵀPa."""
    action = torch.linalg.solve(curvature, slope[..., None]).squeeze(-1)
    return action, constant + 0.5 * (slope * action).sum(-1)


def _distance(action: Tensor, mean: Tensor) -> Tensor:
    return (action - mean)[..., None]


def _quadratic(matrix: Callable = lambda L: L @ L.mT, scale: float = -0.5) -> Callable[..., Tensor]:
    def slip(action, mean, factor):
        away = _distance(action, mean)
        return scale * (away.mT @ matrix(factor) @ away)[:, 0, 0]
    return slip


def _column(*problem: Tensor) -> Tensor:
    return naf_advantage(*problem)[:, None]


def _mean_of_axes(action, mean, factor):
    return naf_advantage(action, mean, factor) / action.shape[1]


def _not_summed(action, mean, factor):
    return -0.5 * (factor.mT @ _distance(action, mean))[..., 0] ** 2


def _batch_sum(action, mean, factor):
    return naf_advantage(action, mean, factor).sum()


def _not_squared(action, mean, factor):
    return -0.5 * (factor.mT @ _distance(action, mean))[..., 0].abs().sum(-1)


def _square_of_the_sum(action, mean, factor):
    return -0.5 * (factor.mT @ _distance(action, mean))[..., 0].sum(-1) ** 2


def _all_pairs(action, mean, factor):
    """A column of advantages against a row: [B, B]."""
    return naf_advantage(action, mean, factor)[:, None].expand(-1, len(action))


# The order matters where two slips give the same number.
_ADVANTAGE: tuple[tuple[Callable, str], ...] = (
    (_quadratic(lambda L: L.mT @ L),
     "That is LᵀL, another matrix. P = L Lᵀ: it is Lᵀ that meets a − μ, and (Lᵀ x)ᵀ(Lᵀ x) = xᵀ L Lᵀ x."),
    (_quadratic(scale=-1.0), "The ½ is missing."),
    (_quadratic(scale=0.5), "The sign is turned: μ is the *best* action, and every other one loses by being away."),
    (_quadratic(scale=1.0), "The ½ is missing, and the sign is turned: every other action than μ loses."),
    (_quadratic(lambda L: L),
     "The matrix of the parabola is P = L Lᵀ, not L: L itself is not symmetric, and need not make all actions lose."),
    (_quadratic(lambda L: L * L), "L Lᵀ is a product of matrices, `L @ L.mT`, not the squares of the entries."),
    (_quadratic(lambda L: torch.linalg.inv(L @ L.mT)),
     "You use the inverse of P, as for a Gaussian with covariance P. Here P itself is the curvature."),
    (lambda a, m, L: -0.5 * (a - m).square().sum(-1), "L is not used: the parabola has a curvature of its own in every "
                                                      "direction."),
    (lambda a, m, L: _quadratic()(a, torch.zeros_like(m), L), "μ is not subtracted: the top is at a = μ."),
    (_quadratic(lambda L: torch.diag_embed(torch.diagonal(L @ L.mT, dim1=-2, dim2=-1))),
     "Only the diagonal of P is used: the axes of the action are not independent."),
    (_mean_of_axes, "You take the mean over the axes of the action. They are added up."),
    (_square_of_the_sum, "First the squares, then the sum: (Lᵀx)ᵀ(Lᵀx) adds up the squares of the entries."),
    (_not_squared, "The entries of Lᵀ(a − μ) are squared before they are added up."),
    (_not_summed, "One number for each action is asked for, [B]: add up the squares over the last axis."),
    (_batch_sum, "You add up the batch too. One number for each action is asked for, [B]."),
    (_column, "An axis of length 1 is left over, [B, 1] for [B]. Against rewards [B] it would form all pairs, [B, B], "
              "and train, and be wrong."),
    (_all_pairs, "That is a matrix [B, B]: a column [B, 1] met a row [B]. `squeeze(-1)` what `@` has left over."),
)


def _solved(curvature: Tensor, slope: Tensor) -> Tensor:
    return torch.linalg.solve(curvature, slope[..., None]).squeeze(-1)


def _top_with(action: Callable = _solved, gain: Callable = lambda g, a: 0.5 * (g * a).sum(-1)) -> Callable:
    def slip(constant, slope, curvature):
        place = action(curvature, slope)
        return place, constant + gain(slope, place)
    return slip


def _diagonal(curvature: Tensor, slope: Tensor) -> Tensor:
    return slope / torch.diagonal(curvature, dim1=-2, dim2=-1)


_GAIN = "The value at the top is c + ½ gᵀa*: "
_TOP: tuple[tuple[Callable, str], ...] = (
    (_top_with(gain=lambda g, a: 0.0), _GAIN + "c alone is the value of the action 0."),
    (_top_with(gain=lambda g, a: (g * a).sum(-1)), _GAIN + "the curvature takes half of what the slope gives."),
    (_top_with(gain=lambda g, a: -0.5 * (g * a).sum(-1)), _GAIN + "the top lies *above* the value of the action 0."),
    (_top_with(lambda P, g: -_solved(P, g), lambda g, a: -0.5 * (g * a).sum(-1)),
     "The sign of the action is turned: the derivative g − P a is 0 at a = P⁻¹ g."),
    (_top_with(lambda P, g: -_solved(P, g)),
     "The sign of the action is turned: the derivative g − P a is 0 at a = P⁻¹ g."),
    (_top_with(lambda P, g: g), "The curvature is not used: P⁻¹ g is asked for."),
    (_top_with(lambda P, g: (P @ g[..., None])[..., 0]), "You multiply by P. Solve P a = g: `torch.linalg.solve`."),
    (_top_with(lambda P, g: 0.5 * _solved(P, g)), "The derivative of ½ aᵀPa is P a: the ½ goes away."),
    (_top_with(_diagonal), "You divide by the diagonal alone. The axes are coupled: solve P a = g."),
    (lambda c, g, P: top(c, g, P)[::-1], "The two are exchanged: first the action, then the value."),
)


def _named(answer: object) -> object:
    """Two results by their names, so that the feedback says which one differs."""
    if isinstance(answer, (list, tuple)) and len(answer) == 2:
        return dict(zip(("action", "value"), answer))
    return answer


def _case(title: str, problem: Advantage, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.naf_advantage(*problem), want,
                "With x = Lᵀ (a − μ) it is −½ times the sum of the squares of x, for each action by itself.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _ADVANTAGE), **more)


def _top_case(title: str, problem: Parabola, want: tuple[Tensor, Tensor], **more) -> Case:
    return Case(title, lambda f: _named(f.top(*problem)), _named(want),
                "At the top the derivative g − P a is 0. Put that a back into c + gᵀa − ½ aᵀPa.",
                mistakes=tuple((_named(slip(*problem)), hint) for slip, hint in _TOP), **more)


def _both_forms(f: object, problem: Parabola, factor: Tensor, action: Tensor) -> Tensor:
    """V + A, with your top and your advantage, less c + gᵀa − ½ aᵀPa [B]."""
    constant, slope, curvature = problem
    mean, value = (numbers(part) for part in f.top(*problem))
    bent = 0.5 * (action[..., None].mT @ curvature @ action[..., None])[:, 0, 0]
    return value + numbers(f.naf_advantage(action, mean, factor)) - constant - (slope * action).sum(-1) + bent


def _both_case(title: str, problem: tuple[Parabola, Tensor, Tensor], **more) -> Case:
    return Case(title, lambda f: _both_forms(f, *problem), torch.zeros_like(problem[0][0]),
                "V + A(a), with the top from your second function and the advantage from your first, must be the "
                "parabola c + gᵀa − ½ aᵀPa for every action a.", **more)


def _factor(size: int, axes: int, random: torch.Generator) -> Tensor:
    factor = torch.randn(size, axes, axes, generator=random, dtype=torch.float64).tril(-1)
    return factor + torch.diag_embed(0.5 + torch.rand(size, axes, generator=random).double())


def _random_problem(size: int, axes: int, random: torch.Generator) -> tuple[Advantage, tuple[Parabola, Tensor, Tensor]]:
    action, mean, slope = torch.randn(3, size, axes, generator=random, dtype=torch.float64)
    factor = _factor(size, axes, random)
    parabola = (torch.randn(size, generator=random, dtype=torch.float64), slope, factor @ factor.mT)
    return (action, mean, factor), (parabola, factor, action)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05b_q_in_practice q5")
    for size, axes, title in ((3, 1, _LINE), (4, 2, _PLANE), (3, 3, _PLANE)):
        problem, (parabola, factor, action) = _random_problem(size, axes, random)
        yield _case("random", problem, naf_advantage(*problem), confirms=title)
        if axes > 1:
            yield _top_case("random", parabola, top(*parabola), confirms=_TOP_TITLE)
            yield _both_case("random", (parabola, factor, action), confirms=_BOTH)


_LINE, _PLANE, _TOP_TITLE, _BOTH = "one axis", "two axes", "the top", "one parabola"
_, _OTHER = _random_problem(5, 3, generator(0, "05b_q_in_practice q5 other"))

QUESTION = Question(
    "q5", "The maximum for nothing", "Q8", {"naf_advantage": naf_advantage, "top": top}, difficulty=3, importance=3,
    minutes=20,
    values=(
        # 2 · (3 − 1) = 4: −16/2; the action at the top: 0; ½ · (−2 − 4) = −3: −9/2.
        _case(_LINE, (table([[3], [5], [-2]]), table([[1], [5], [4]]), table([[[2]], [[1]], [[0.5]]])),
              table([-8, 0, -4.5]), points=1, by_hand=True),
        # a − μ = (1, 2), L = (1 0; 3 2): Lᵀ (1, 2) = (1 + 6, 4): −(49 + 16)/2. Then (2, −1): (2 − 3, −2): −(1 + 4)/2.
        _case(_PLANE, (table([[1, 3], [2, 0]]), table([[0, 1], [0, 1]]), table([[[1, 0], [3, 2]], [[1, 0], [3, 2]]])),
              table([-32.5, -2.5]), points=1, by_hand=True),
        # P = (2 1; 1 1), g = (3, 2): 2 · 1 + 1 = 3 and 1 + 1 = 2, so a = (1, 1); 10 + (3 + 2)/2.
        # P = (4 0; 0 2), g = (4, −2): a = (1, −1); −1 + (4 + 2)/2.
        _top_case(_TOP_TITLE, (table([10, -1]), table([[3, 2], [4, -2]]), table([[[2, 1], [1, 1]], [[4, 0], [0, 2]]])),
                  (table([[1, 1], [1, -1]]), table([12.5, 2])), points=1, by_hand=True),
    ),
    properties=(_both_case(_BOTH, _OTHER, points=1),),
    seeded=_random_cases,
)
