"""Exercise 04, q1: what the value of a state is fitted to."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import actor_critic
from ..cases import Case, Question
from .tables import table


def td_targets(reward: Tensor, next_value: Tensor, terminated: Tensor, truncated: Tensor,
               discount: float) -> Tensor:
    """y = r + γ V(s'), and r alone where the problem is over, [T, N]: the library's answer."""
    return actor_critic.td_target(reward, next_value, terminated, discount=discount)


def _as_before(next_value: Tensor) -> Tensor:
    return torch.cat([next_value[:1], next_value[:-1]])


def _one_further(next_value: Tensor) -> Tensor:
    return torch.cat([next_value[1:], next_value[-1:]])


_SLIPS: tuple[tuple[Callable, str], ...] = (
    (lambda r, v, over, cut, g: r + g * v,
     "You look behind the end of the problem. Where `terminated` is True nothing comes after: the target is r "
     "alone, whatever the critic says of a state in which nobody will ever act."),
    (lambda r, v, over, cut, g: r + g * v * ~(over | cut),
     "You treat the time limit as the end of the problem. Where only `truncated` is True the problem would have "
     "gone on, and the critic's value of what would have come belongs into the target."),
    (lambda r, v, over, cut, g: r + g * v * ~(over & ~cut),
     "Where both flags are True you add a value. The problem is over, and it does not matter that the time limit "
     "came at the same moment: `terminated` alone decides."),
    (lambda r, v, over, cut, g: r + g * v * ~cut,
     "The two kinds of ends are exchanged: after `terminated` nothing follows, after `truncated` the problem "
     "would have gone on."),
    (lambda r, v, over, cut, g: (r + g * v) * ~over,
     "The last reward is lost: (1 − terminated) stands before V(s') alone. The step that ends the problem is "
     "still paid for, and often that is the only payment there is."),
    (lambda r, v, over, cut, g: (r + g * v) * ~(over | cut),
     "At both kinds of ends your target is 0. The reward of the last step always counts; and after a time limit "
     "so does the value of what would have come."),
    (lambda r, v, over, cut, g: r + v * ~over,
     "γ is forgotten: what the next state is worth is worth γ times as much one step earlier."),
    (lambda r, v, over, cut, g: g * (r + v * ~over),
     "There is one γ too many: the reward of this step comes now and is not discounted, only V(s') is."),
    (lambda r, v, over, cut, g: g * r + v * ~over,
     "γ stands before the wrong term: the reward comes now, the value of s' one step later."),
    (lambda r, v, over, cut, g: r,
     "That is the reward alone. What comes after this step is missing: γ V(s')."),
    (lambda r, v, over, cut, g: r + g * _as_before(v) * ~over,
     "You take the value of the state *in which* the action was taken (row t − 1 of `next_value`). The target "
     "looks ahead: row t is already the value of the state that step t led to."),
    (lambda r, v, over, cut, g: r + g * _one_further(v) * ~over,
     "You look one step too far: `next_value[t]` is already the value of the state that step t led to, and row t "
     "+ 1 may belong to another episode."),
    (lambda r, v, over, cut, g: r - g * v * ~over,
     "A sign is turned: the value of the next state is added, it is part of what is still to come."),
)


def _case(title: str, problem: tuple, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.td_targets(*problem), want,
                "y = r + γ V(s'), row by row; and y = r where `terminated` is True.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def random_problem(steps: int, environments: int, random: torch.Generator, ends: float = 0.15) -> tuple:
    """Rewards and values of successors, both kinds of ends at random, and a discount."""
    reward, next_value = torch.randn(2, steps, environments, generator=random, dtype=torch.float64)
    terminated, truncated = torch.rand(2, steps, environments, generator=random) < ends
    return reward, 3 * next_value, terminated, truncated, 0.5 + 0.4 * torch.rand((), generator=random).item()


def _slopes(f: object, problem: tuple) -> Tensor:
    """How much the targets grow when all values grow by 1."""
    reward, next_value, *rest = problem
    low, high = (torch.as_tensor(f.td_targets(reward, next_value + more, *rest)) for more in (0.0, 1.0))
    return high - low


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q1")
    problem = random_problem(6, 2, random, ends=0.0)
    yield _case("random", problem, td_targets(*problem), confirms=_GOES_ON)
    for title in (_ENDS, _BOTH):
        problem = random_problem(8, 3, random, ends=0.2)
        for row, flags in enumerate(((True, False), (False, True), (True, True))):
            problem[2][row, 0], problem[3][row, 0] = flags
        yield _case("random", problem, td_targets(*problem), confirms=title)


_GOES_ON = "three steps in the middle of an episode"
_ENDS = "an end of each kind"
_BOTH = "the problem is over just as the time runs out"
_LONG = random_problem(40, 3, generator(0, "04_actor_critic q1 long"))

QUESTION = Question(
    "q1", "One reward, and an opinion about the rest", "A1", {"td_targets": td_targets},
    difficulty=1, importance=5, minutes=8,
    values=(
        # 1 + 10/2, 2 + 20/2, 4 + 30/2.
        _case(_GOES_ON, (table([[1], [2], [4]]), table([[10], [20], [30]]), *torch.zeros(2, 3, 1).bool(), 0.5),
              table([[6], [12], [19]]), points=1, by_hand=True),
        # Left: 1 + 10/2; then over, so 2; 4 + 30/2. Right: 3 + 8/2; at the time limit 5 + 6/2; 7 + 4/2.
        _case(_ENDS, (table([[1, 3], [2, 5], [4, 7]]), table([[10, 8], [20, 6], [30, 4]]),
                      torch.tensor([[False, False], [True, False], [False, False]]),
                      torch.tensor([[False, False], [False, True], [False, False]]), 0.5),
              table([[6, 7], [2, 8], [19, 9]]), points=1, by_hand=True),
        # The time limit alone: 1 + 20/4; both: 2; the end alone: 3; neither: 4 + 8/4.
        _case(_BOTH, (table([[1], [2], [3], [4]]), table([[20], [40], [12], [8]]),
                      torch.tensor([[False], [True], [True], [False]]),
                      torch.tensor([[True], [True], [False], [False]]), 0.25),
              table([[6], [2], [3], [6]]), points=1, by_hand=True),
    ),
    properties=(
        Case("if every value grows by 1 the targets grow by γ, or not at all", lambda f: _slopes(f, _LONG),
             torch.where(_LONG[2], 0.0, table(_LONG[4])),
             "The slope of y with respect to V(s') is γ; behind the end of the problem it is 0.", points=1),
    ),
    seeded=_random_cases,
)
