"""Exercise 05b, q4: two kinds of traces, and the off-policy target made with them."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator, uniforms
from ...equations import n_step
from ..cases import Case, Question
from .tables import numbers, table

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float]


def retrace(policy_probs: Tensor, behaviour_probs: Tensor, trace_decay: float) -> Tensor:
    """λ min(1, ρ): the library's answer."""
    return n_step.retrace_coefficients(policy_probs / behaviour_probs, trace_decay=trace_decay)


def watkins(was_greedy: Tensor, trace_decay: float) -> Tensor:
    """λ where the action was greedy: the library's answer."""
    return n_step.watkins_coefficients(was_greedy, trace_decay=trace_decay)


def trace_target(reward: Tensor, q: Tensor, next_expected_q: Tensor, trace: Tensor, terminated: Tensor,
                 truncated: Tensor, discount: float) -> Tensor:
    """Q(sₜ, aₜ) + Σ γ^{k−t} (Π cᵢ) δ_k [T, B]: the library's answer."""
    return n_step.trace_target(reward, q, next_expected_q, trace, terminated, truncated, discount=discount)


_RETRACE: tuple[tuple[Callable, str], ...] = (
    (lambda p, b, d: (d * p / b).clamp(max=1.0),
     "The decay comes after the clamp: λ min(1, ρ), not min(1, λρ). With yours a large ratio outweighs λ."),
    (lambda p, b, d: d * (p / b).clamp(min=1.0),
     "You take the larger of 1 and ρ. The trace must not grow beyond 1: `clamp(max=1)`."),
    (lambda p, b, d: d * p / b, "The ratio is not clamped: products of such traces have an enormous variance."),
    (lambda p, b, d: (p / b).clamp(max=1.0), "λ is forgotten."),
    (lambda p, b, d: d * (b / p).clamp(max=1.0), "The ratio is turned: ρ = π/π_β, the policy in question above."),
    (lambda p, b, d: d * torch.minimum(p, b), "The ratio is what is clamped: divide first, ρ = π/π_β."),
    (lambda p, b, d: d * p,
     "That is the trace of tree backup, λ π(a|s). Retrace believes as much as min(1, ρ) allows."),
    (lambda p, b, d: torch.minimum(p / b, table(d)), "λ *times* min(1, ρ), not the smaller of λ and ρ."),
    (lambda p, b, d: d * (p / b).clamp(max=1.0).cumprod(0),
     "The product over the steps is part of the target, not of the coefficient: one number for each step."),
)
_WATKINS: tuple[tuple[Callable, str], ...] = (
    (lambda g, d: g.double(), "λ is forgotten."),
    (lambda g, d: d * (~g).double(), "It is turned round: the trace is cut at actions that were *not* greedy."),
    (lambda g, d: torch.where(g, 1.0, table(d)),
     "An exploring action *cuts* the trace: 0 there. And where the action was greedy it is λ."),
    (lambda g, d: d * torch.ones_like(g, dtype=torch.float64), "Exploring actions do not cut your trace: 0 there."),
    (lambda g, d: d * g.double().cumprod(0),
     "The product over the steps is part of the target, not of the coefficient: one number for each step."),
)


def _error(reward, q, following, terminated, truncated, discount, mask=lambda over, cut: ~over):
    return reward + discount * mask(terminated, truncated) * following - q


def _sum(error: Callable = _error, weight: Callable = lambda trace, t, k: trace[t + 1:k + 1].prod(0),
         last: Callable = lambda over, cut: over | cut, power: Callable = lambda n: n,
         base: Callable = lambda q: q) -> Callable[..., Tensor]:
    """The target as a double sum, with another error, product of traces, end or exponent."""
    def slip(reward, q, following, trace, terminated, truncated, discount):
        delta, ended = error(reward, q, following, terminated, truncated, discount), last(terminated, truncated)
        answer = []
        for t in range(len(reward)):
            total, going = torch.zeros_like(reward[0]), torch.ones_like(reward[0])
            for k in range(t, len(reward)):
                total = total + going * discount ** power(k - t) * weight(trace, t, k) * delta[k]
                going = going * ~ended[k]
            answer.append(total)
        return base(q) + torch.stack(answer)
    return slip


def _only_last(trace: Tensor, t: int, k: int) -> Tensor:
    return trace[k] if k > t else torch.ones_like(trace[k])


def _undiscounted_error(reward, q, following, terminated, truncated, discount):
    return _error(reward, q, following, terminated, truncated, 1.0)


def _masked_at_both(reward, q, following, terminated, truncated, discount):
    return _error(reward, q, following, terminated, truncated, discount, lambda over, cut: ~(over | cut))


def _unmasked(reward, q, following, terminated, truncated, discount):
    return _error(reward, q, following, terminated, truncated, discount, lambda over, cut: torch.ones_like(over))


def _without_q(reward, q, following, terminated, truncated, discount):
    return _error(reward, torch.zeros_like(q), following, terminated, truncated, discount)


_CUT = "The sum runs over the ends: behind an end the next row belongs to *another* episode."

# The order matters where two slips give the same number.
_TARGET: tuple[tuple[Callable, str], ...] = (
    (_sum(weight=lambda trace, t, k: trace[t:k + 1].prod(0)),
     "Your first trace is cₜ, that of the action whose value is learned. But aₜ is given, and nobody has to believe "
     "it: in Gₜ the first trace is c_{t+1}."),
    (_sum(weight=lambda trace, t, k: trace[t:k].prod(0)),
     "The traces are one step early: what comes from step k on is weighed by the traces up to and *with* c_k, because "
     "a_k decided it."),
    (_sum(weight=_only_last),
     "The product is forgotten: δ_k reaches step t only through all the steps between, c_{t+1} · … · c_k."),
    (_sum(weight=lambda trace, t, k: trace[t + 1:k + 1].sum(0) if k > t else torch.ones_like(trace[k])),
     "The traces are multiplied, not added up."),
    (_sum(weight=lambda trace, t, k: torch.ones_like(trace[k])),
     "The traces have no effect: yours believes all data, as if everybody had acted as π does."),
    (_sum(weight=lambda trace, t, k: (k == t) * torch.ones_like(trace[k])),
     "That is the one-step target. Behind it come the errors of the later steps, each with its traces."),
    (_sum(last=lambda over, cut: torch.zeros_like(over)), _CUT),
    (_sum(last=lambda over, cut: over), _CUT + " Also where only the time limit struck."),
    (_sum(last=lambda over, cut: cut), _CUT + " Also where the problem is over."),
    (_sum(error=_masked_at_both),
     "At a time limit you treat the problem as over. δ there contains γ times what the next state is worth: only "
     "`terminated` takes it away."),
    (_sum(error=_unmasked), "You look behind the end of the problem: at a terminated step δ = r − Q(s, a)."),
    (_sum(power=lambda n: 0), "γ is forgotten in the sum: δ_k counts γ^{k−t}."),
    (_sum(error=_undiscounted_error), "γ is forgotten in δ: r + γ E Q(s', ·) − Q(s, a)."),
    (_sum(base=lambda q: 0.0), "That is the correction alone. Q(sₜ, aₜ) is added to it: the target is a value."),
    (_sum(error=_without_q, base=lambda q: 0.0),
     "Every δ contains −Q(s_k, a_k): otherwise the value of each later step is counted again and again."),
    (_sum(error=_without_q),
     "Every δ contains −Q(s_k, a_k): otherwise the value of each later step is counted again and again."),
    (_sum(power=lambda n: n + 1), "The exponent is one too large: δₜ itself counts γ⁰ = 1."),
    (lambda *problem: trace_target(*problem)[0], "That is the first row alone: the targets of all rows, [T, B]."),
)


def _retrace_case(title: str, problem: tuple[Tensor, Tensor, float], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.retrace(*problem), want, "λ times the smaller of 1 and π/π_β, entry by entry.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _RETRACE), **more)


def _watkins_case(title: str, problem: tuple[Tensor, float], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.watkins(*problem), want, "λ where the action was greedy, 0 elsewhere.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _WATKINS), **more)


def _target_case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.trace_target(*problem), want,
                "First the δ of every row. Then backwards: xₜ = δₜ + γ c_{t+1} xₜ₊₁, or δₜ alone at an end and in the "
                "last row; and Gₜ = Q(sₜ, aₜ) + xₜ.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _TARGET), **more)


def _first_trace(f: object, problem: Problem) -> Tensor:
    """What another first trace changes [T, B]."""
    reward, q, following, trace, *rest = problem
    other = torch.cat([trace[:1] + 0.5, trace[1:]])
    return numbers(f.trace_target(reward, q, following, other, *rest)) - numbers(f.trace_target(*problem))


def _first_case(title: str, problem: Problem, **more) -> Case:
    return Case(title, lambda f: _first_trace(f, problem), torch.zeros_like(problem[0]),
                "The trace of the very first action weighs nothing: nothing comes before it.", **more)


def _random_problem(steps: int, size: int, random: torch.Generator, share: float = 0.25) -> Problem:
    reward, q, following = torch.randn(3, steps, size, generator=random, dtype=torch.float64)
    trace = uniforms((steps, size), random).double()
    terminated, truncated = torch.rand(2, steps, size, generator=random) < share
    return (reward, 2 * q, 2 * following, trace, terminated, truncated,
            0.5 + 0.4 * torch.rand((), generator=random).item())


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05b_q_in_practice q4")
    probs = 0.05 + 0.9 * uniforms((2, 5, 4), random).double()
    decay = 0.5 + 0.4 * torch.rand((), generator=random).item()
    yield _retrace_case("random", (*probs, decay), retrace(*probs, decay), confirms=_RATIO)
    was_greedy = torch.rand(5, 4, generator=random) < 0.6
    was_greedy[0, 0], was_greedy[1:3, 0] = False, True
    yield _watkins_case("random", (was_greedy, decay), watkins(was_greedy, decay), confirms=_GREEDY)
    for steps in (2, 5):
        problem = _random_problem(steps, 3, random, 0.0)
        yield _target_case("random", problem, trace_target(*problem), confirms=_QUIET)
    problem = list(_random_problem(5, 12, random))
    problem[4][1, 0] = problem[5][1, 1] = problem[5][1, 0] = True
    yield _target_case("random", tuple(problem), trace_target(*problem), confirms=_ENDS)
    yield _first_case("random", tuple(problem), confirms=_FIRST)


def _flags(rows: list) -> Tensor:
    return torch.tensor(rows, dtype=torch.bool)


_RATIO, _GREEDY, _QUIET, _ENDS = "Retrace", "Watkins", "no end in sight", "ends"
_FIRST = "the first action is given"
_NONE = _flags([[0], [0], [0]])
_SHORT = (table([[1], [2], [4]]), table([[1], [2], [8]]), table([[4], [8], [12]]), table([[0.1], [0.5], [0.8]]))
_WIDE = tuple(rows.expand(3, 3).clone() for rows in _SHORT)
_LONG = _random_problem(6, 4, generator(0, "05b_q_in_practice q4 long"))

QUESTION = Question(
    "q4", "How much of it to believe", "Q7", {"retrace": retrace, "watkins": watkins, "trace_target": trace_target},
    difficulty=4, importance=3, minutes=25,
    values=(
        # ρ = 2, ½, 1, 3: half of 1, ½, 1, 1.
        _retrace_case(_RATIO, (table([0.8, 0.2, 0.5, 0.6]), table([0.4, 0.4, 0.5, 0.2]), 0.5),
                      table([0.5, 0.25, 0.5, 0.5]), points=1, by_hand=True),
        _watkins_case(_GREEDY, (_flags([1, 0, 1, 1, 0]), 0.75), table([0.75, 0, 0.75, 0.75, 0]), points=1,
                      by_hand=True),
        # δ = 1 + 4/2 − 1, 2 + 8/2 − 2, 4 + 12/2 − 8 = 2, 4, 2. Backwards: 2; 4 + ½ · 0.8 · 2 = 4.8;
        # 2 + ½ · 0.5 · 4.8 = 3.2; with Q: 8 + 2, 2 + 4.8, 1 + 3.2.
        _target_case(_QUIET, (*_SHORT, _NONE, _NONE, 0.5), table([[4.2], [6.8], [10]]), points=2, by_hand=True),
        # Over after row 0: δ₀ = 1 − 1, x₀ = 0. The time is up after row 1: x₁ = 4, x₀ = 2 + ½ · 0.5 · 4 = 3.
        # Over after row 1, with both flags: x₁ = 2 − 2 = 0, x₀ = 2. With Q added; the last row is 10 always.
        _target_case(_ENDS, (*_WIDE, _flags([[1, 0, 0], [0, 0, 1], [0, 0, 0]]),
                             _flags([[0, 0, 0], [0, 1, 1], [0, 0, 0]]), 0.5),
                     table([[1, 4, 3], [6.8, 6, 2], [10, 10, 10]]), points=1, by_hand=True),
    ),
    properties=(_first_case(_FIRST, _LONG, points=1),),
    seeded=_random_cases,
)
