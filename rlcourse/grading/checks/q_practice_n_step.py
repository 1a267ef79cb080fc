"""Exercise 05b, q3: the n-step target of a window that may contain ends."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import n_step
from ..cases import Case, Question
from .tables import numbers, table

Problem = tuple[Tensor, Tensor, Tensor, Tensor, float]


def n_step_target(reward: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor,
                  discount: float) -> Tensor:
    """Σ_{k<m} γᵏ r_k + γᵐ V(s_m) [B], cut at the first end: the library's answer."""
    return n_step.n_step_target(reward, next_value, terminated, truncated, discount=discount)


def _walk(power: Callable = lambda k: k, last_power: Callable = lambda m, n: m,
          over: Callable = lambda terminated, truncated: terminated,
          ends: Callable = lambda terminated, truncated: terminated | truncated,
          value: Callable = lambda column, m: column[m - 1], last_reward: bool = True) -> Callable[..., Tensor]:
    """The target transition by transition, with another exponent, mask, end, or value at the end of the sum."""
    def slip(reward, next_value, terminated, truncated, discount):
        answers = []
        for b in range(reward.shape[1]):
            total, m, steps = 0.0, 0, len(reward)
            for k in range(steps):
                m = k + 1
                stop = bool(ends(terminated[k, b], truncated[k, b]))
                if last_reward or not stop:
                    total = total + discount ** power(k) * reward[k, b]
                if stop:
                    break
            if not bool(over(terminated[m - 1, b], truncated[m - 1, b])):
                total = total + discount ** last_power(m, steps) * value(next_value[:, b], m)
            answers.append(total)
        return torch.stack([numbers(answer) for answer in answers])
    return slip


def _never(terminated: Tensor, truncated: Tensor) -> bool:
    return False


def _at_every_step(reward, next_value, terminated, truncated, discount):
    """Every reward with a value behind it."""
    inside = _inside(terminated, truncated)
    return ((reward + discount * next_value * ~terminated) * inside * _powers(reward, discount)).sum(0)


def _inside(terminated: Tensor, truncated: Tensor) -> Tensor:
    """Which rows stand before or at the first end [N, B]."""
    ended = (terminated | truncated).long().cumsum(0)
    return torch.cat([torch.zeros_like(ended[:1]), ended[:-1]]) == 0


def _powers(reward: Tensor, discount: float) -> Tensor:
    return (discount ** torch.arange(len(reward), dtype=torch.float64))[:, None]


def _undiscounted(reward, next_value, terminated, truncated, discount):
    return n_step_target(reward, next_value, terminated, truncated, 1.0)


def _all_rows(reward, next_value, terminated, truncated, discount):
    """The recursion backwards: a target for every row."""
    rows = [n_step_target(reward[k:], next_value[k:], terminated[k:], truncated[k:], discount)
            for k in range(len(reward))]
    return torch.stack(rows)


# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_walk(over=_never),
     "You look behind the end of the problem: a sum that stops at a terminated step has no value at its end."),
    (_walk(over=lambda terminated, truncated: terminated | truncated),
     "You treat the time limit as the end of the problem. It would have gone on: a sum that stops at a truncated step "
     "ends with γᵐ times the value of the state it led to."),
    (_walk(over=lambda terminated, truncated: truncated),
     "The flags are exchanged: `terminated` says that nothing follows, `truncated` only that the time was up."),
    (_walk(over=lambda terminated, truncated: terminated & ~truncated),
     "Where both flags are True you add a value: the problem is over then too."),
    (_walk(ends=_never, over=_never),
     "The sum runs over the ends: behind an end the next row belongs to *another* episode."),
    (_walk(ends=_never),
     "The sum runs over the ends: behind an end the next row belongs to *another* episode."),
    (_walk(ends=lambda terminated, truncated: terminated),
     "The sum runs on behind a time limit. The next row belongs to *another* episode there too; stop, and add the "
     "value of the state that the step led to."),
    (_walk(value=lambda column, m: column[-1]),
     "The value is always that of the last row. Where the sum stops early, the row of its last step says what "
     "the state behind it is worth: `next_value[m − 1]`."),
    (_walk(last_power=lambda m, n: n),
     "The value always counts γᴺ. Where the sum stops after m steps it lies m steps ahead: γᵐ."),
    (_walk(value=lambda column, m: column[-1], last_power=lambda m, n: n),
     "Where the sum stops early, after m steps, both change: the value is that of row m − 1, and it counts γᵐ."),
    (_walk(last_power=lambda m, n: m - 1),
     "The exponent of the value is one too small: m rewards lie before it, the last of them counts γ^(m−1), and the "
     "value is one step further."),
    (_walk(last_power=lambda m, n: m + 1), "The exponent of the value is one too large: it counts γᵐ."),
    (_walk(power=lambda k: k + 1),
     "The first reward is paid at once: it counts γ⁰ = 1, and the kth one later γᵏ."),
    (_walk(power=lambda k: k + 1, last_power=lambda m, n: m + 1),
     "All exponents are one too large: the first reward is paid at once and counts γ⁰ = 1."),
    (_walk(power=lambda k: -k),
     "The exponents are turned: later rewards count *less*. γ to the power of (t' − t), not (t − t')."),
    (_walk(power=lambda k: 0), "The rewards are not discounted: the kth one after the first counts γᵏ."),
    (_undiscounted, "γ is forgotten: rewards and value count by how far they lie ahead."),
    (_walk(value=lambda column, m: 0.0),
     "What comes after the window is missing: γᵐ times the value of its last state."),
    (_walk(value=lambda column, m: column[0]),
     "You use the value of the first row's next state. The sum has gone m steps further: row m − 1."),
    (_walk(value=lambda column, m: column[m - 2] if m > 1 else column[0]),
     "The value is one row too early: row k of `next_value` belongs to the state *behind* step k."),
    (_walk(last_reward=False), "The reward of the last step before an end is lost. It was paid: stop behind it."),
    (_at_every_step,
     "You add a value behind every reward. Only one is left, behind the last step of the sum: the others are replaced "
     "by what really came."),
    (_all_rows, "That is a target for every row. The first row's is asked for, [B]."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.n_step_target(*problem), want,
                "Column by column: add up γᵏ r_k until the first end or the last row; then, if nothing terminated "
                "there, γᵐ times the `next_value` of that row.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _flags(rows: list) -> Tensor:
    return torch.tensor(rows, dtype=torch.bool)


def _behind(f: object, problem: Problem) -> Tensor:
    """What another continuation behind the first end changes [B]."""
    reward, next_value, terminated, truncated, discount = problem
    outside = ~_inside(terminated, truncated)
    other = (reward + 3 * outside, next_value - 2 * outside, terminated ^ outside, truncated & ~outside, discount)
    return numbers(f.n_step_target(*other)) - numbers(f.n_step_target(*problem))


def _behind_case(title: str, problem: Problem, **more) -> Case:
    return Case(title, lambda f: _behind(f, problem), torch.zeros_like(problem[0][0]),
                "What stands behind the first end belongs to another episode: rewards, values and flags there must not "
                "change the target.", **more)


def _random_problem(steps: int, size: int, random: torch.Generator, share: float = 0.25) -> Problem:
    reward, next_value = torch.randn(2, steps, size, generator=random, dtype=torch.float64)
    terminated, truncated = torch.rand(2, steps, size, generator=random) < share
    return reward, 3 * next_value, terminated, truncated, 0.5 + 0.4 * torch.rand((), generator=random).item()


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05b_q_in_practice q3")
    for steps in (1, 4):
        problem = _random_problem(steps, 3, random, 0.0)
        yield _case("random", problem, n_step_target(*problem), confirms=_QUIET)
    for title, flag in ((_OVER, 2), (_LIMIT, 3)):
        problem = list(_random_problem(5, 3, random, 0.0))
        problem[flag][1, 0] = problem[flag][3, 1] = True
        yield _case("random", tuple(problem), n_step_target(*problem), confirms=title)
    for steps in (3, 6):
        problem = _random_problem(steps, 12, random)
        problem[2][1, 0] = problem[3][1, 0] = True
        yield _case("random", problem, n_step_target(*problem), confirms=_ALL)
    yield _behind_case("random", problem, confirms=_OTHER_EPISODE)


_QUIET, _OVER, _LIMIT = "no end in sight", "the problem ends in the window", "the time limit strikes in the window"
_ALL, _OTHER_EPISODE = "ends of every kind", "another episode changes nothing"
_ROWS = (table([[1], [2], [4]]), table([[10], [20], [16]]))
_NONE = _flags([[0], [0], [0]])
_MIXED = (table([[1, 1, 1, 1], [2, 2, 2, 2], [4, 4, 4, 4]]),
          table([[6, 6, 6, 6], [20, 20, 20, 20], [16, 16, 16, 16]]),
          _flags([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), _flags([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0]]), 0.5)
_LONG = _random_problem(6, 8, generator(0, "05b_q_in_practice q3 long"))

QUESTION = Question(
    "q3", "Several rewards before the guess", "Q7", {"n_step_target": n_step_target}, difficulty=3, importance=4,
    minutes=20,
    values=(
        # 1 + 2/2 + 4/4 + 16/8.
        _case(_QUIET, (*_ROWS, _NONE, _NONE, 0.5), table([5]), points=1, by_hand=True),
        # 1 + 2/2, and nothing more.
        _case(_OVER, (*_ROWS, _flags([[0], [1], [0]]), _NONE, 0.5), table([2]), points=1, by_hand=True),
        # 1 + 2/2 + 20/4.
        _case(_LIMIT, (*_ROWS, _NONE, _flags([[0], [1], [0]]), 0.5), table([7]), points=1, by_hand=True),
        # 1 + 6/2; 1; over with both flags: 1 + 2/2; over in the last row: 1 + 2/2 + 4/4.
        _case(_ALL, _MIXED, table([4, 1, 2, 3]), points=1, by_hand=True),
    ),
    properties=(_behind_case(_OTHER_EPISODE, _LONG, points=1),),
    seeded=_random_cases,
)
