"""Exercise 04, q9: the bug hunt in the advantages and targets of an actor-critic."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.actor_critic import td_error, td_target
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, float]


def advantages_and_targets(reward: Tensor, value: Tensor, next_value: Tensor, terminated: Tensor,
                           truncated: Tensor, discount: float) -> tuple[Tensor, Tensor]:
    """(δ, r + γ (1 − terminated) V(s')) [T, N] each: the library's answer."""
    return (td_error(reward, value, next_value, terminated, discount=discount),
            td_target(reward, next_value, terminated, discount=discount))


def _row_below(value: Tensor, next_value: Tensor) -> Tensor:
    return torch.cat([value[1:], next_value[-1:]])


def _true_next(value: Tensor, next_value: Tensor) -> Tensor:
    return next_value


def _no_mask(terminated: Tensor, truncated: Tensor) -> Tensor:
    return torch.ones_like(terminated)


def _one_step(following: Callable, goes_on: Callable) -> Callable[..., tuple[Tensor, Tensor]]:
    """One-step advantages with another value of s', or another mask before it."""
    def slip(reward, value, next_value, terminated, truncated, discount):
        target = reward + discount * goes_on(terminated, truncated) * following(value, next_value)
        return target - value, target
    return slip


def _fresh_start_at_the_limit(reward, value, next_value, terminated, truncated, discount):
    following = torch.where(terminated, next_value, _row_below(value, next_value))
    target = reward + discount * following * ~terminated
    return target - value, target


def _undiscounted(*problem):
    return advantages_and_targets(*problem[:-1], 1.0)


def _turned(*problem):
    advantage, target = advantages_and_targets(*problem)
    return -advantage, target


def _exchanged(*problem):
    return advantages_and_targets(*problem)[::-1]


def _target_twice(*problem):
    return (advantages_and_targets(*problem)[1],) * 2


def _masked_reward(reward, value, next_value, terminated, truncated, discount):
    target = (reward + discount * next_value) * ~terminated
    return target - value, target


def _masked_value(reward, value, next_value, terminated, truncated, discount):
    target = td_target(reward, next_value, terminated, discount=discount)
    return target - value * ~terminated, target


def _advantage_at_ends_left_out(reward, value, next_value, terminated, truncated, discount):
    advantage, target = advantages_and_targets(reward, value, next_value, terminated, truncated, discount)
    return advantage * ~truncated, target


def _ended(terminated: Tensor, truncated: Tensor) -> Tensor:
    return ~(terminated | truncated)


_LEFT = "One of two bugs is left. "
_FRESH = ("Where an episode ends, the row below is the first state of *another* episode: at a time limit you "
          "bootstrap from a fresh start. `next_value` is the value of the state that the step truly led to.")
_END = ("Behind a terminated step there is nothing, and your targets count a value there: the end of the problem "
        "looks as good as what the next row happens to hold.")
_FLAGS = ("The flags are exchanged: `terminated` says that the problem is over, `truncated` only that the time "
          "was up.")
_LIMIT = ("At a time limit you treat the problem as over. It would have gone on, only the episode was cut: "
          "V(s') belongs into the target there. Mask with `terminated` alone.")

# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_one_step(_row_below, _no_mask),
     "Both bugs are still there. Ask of each row that ends an episode: which state did this step lead to, and is "
     "anything to come from there?"),
    (_one_step(_row_below, lambda terminated, truncated: ~terminated), _LEFT + _FRESH),
    (_one_step(_true_next, _no_mask), _LEFT + _END),
    (_one_step(_true_next, _ended), _LIMIT),
    (_one_step(_true_next, lambda terminated, truncated: ~truncated), _FLAGS),
    (_one_step(_row_below, lambda terminated, truncated: ~truncated),
     _FLAGS + " And at an end the row below belongs to another episode."),
    (_one_step(_true_next, lambda terminated, truncated: ~terminated | truncated),
     "A step may carry both flags: it terminated just when the time was up. Then the problem is over, and no "
     "value follows."),
    (_undiscounted, "The discount is lost: the value of s' counts γ."),
    (_turned, "The advantage has the wrong sign: positive is better than expected, target minus value."),
    (_exchanged, "The two are exchanged: first the advantages, then the targets."),
    (_target_twice, "The value is not subtracted: the advantage is the target minus V(s)."),
    (_masked_reward,
     "You mask the reward too. The last step was made and paid; only the value behind it goes."),
    (_masked_value,
     "You mask V(s) too. The state of the last step was as real as any: only V(s'), behind it, goes."),
    (_advantage_at_ends_left_out,
     "At a time limit your advantages are 0. The action taken there has an advantage like any other: `next_value` "
     "says how it went on."),
)


def _named(answer: object) -> object:
    """Two results by their names, so that the feedback says which one differs."""
    if isinstance(answer, Tensor) and answer.ndim == 3 or isinstance(answer, (list, tuple)):
        return dict(zip(("advantage", "target"), answer)) if len(answer) == 2 else answer
    return answer


def _case(title: str, problem: Problem, want: tuple[Tensor, Tensor], **more) -> Case:
    return Case(title, lambda f: _named(f.advantages_and_targets(*problem)), _named(want),
                "Row by row: target = r + γ · (value of the state the step led to, or nothing if the problem was "
                "over there); advantage = target − V(s).",
                mistakes=tuple((_named(slip(*problem)), hint) for slip, hint in _SLIPS), **more)


def _problem(reward: Tensor, value: Tensor, end_value: Tensor, terminated: Tensor, truncated: Tensor,
             discount: float) -> Problem:
    """`end_value` [T, N] is V(s') at ends and in the last row; inside an episode it is the value one row down."""
    inside = ~(terminated | truncated)
    inside[-1] = False
    return (reward, value, torch.where(inside, value.roll(-1, 0), end_value), terminated, truncated, discount)


def _flags(rows: list) -> Tensor:
    return torch.tensor(rows, dtype=torch.bool)


def _change_above(f: object, problem: Problem, size: float) -> Tensor:
    """By how much the targets of rows that end an episode change if the new episode begins in another state."""
    reward, value, next_value, terminated, truncated, discount = problem
    ended = terminated | truncated
    other = value.clone()
    other[1:] += size * ended[:-1]
    before, after = (torch.as_tensor(f.advantages_and_targets(reward, values, next_value, terminated, truncated,
                                                              discount)[1], dtype=torch.float64)
                     for values in (value, other))
    return ((after - before) * ended)[:-1]


def _change_case(title: str, problem: Problem, size: float, **more) -> Case:
    return Case(title, lambda f: _change_above(f, problem, size), torch.zeros_like(problem[0][:-1]),
                "Let the next episode begin in a state of another value, and targets of the episode before it "
                "change: nothing may flow from one into the other.", **more)


def _random_problem(steps: int, environments: int, random: torch.Generator) -> Problem:
    draw = torch.randn(3, steps, environments, generator=random, dtype=torch.float64)
    ends = torch.rand(2, steps, environments, generator=random) < 0.3
    return _problem(*draw, *ends, 0.5 + 0.4 * float(torch.rand((), generator=random)))


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "04_actor_critic q9")
    for steps, environments, title in ((1, 3, "one step: what the probe sees"), (5, 2, "no end in sight"),
                                       (4, 2, "the time limit strikes"), (7, 4, "ends of every kind")):
        reward, value, next_value, terminated, truncated, discount = _random_problem(steps, environments, random)
        if title == "one step: what the probe sees":
            terminated[:], truncated[:] = True, False
        if title == "no end in sight":
            terminated[:], truncated[:] = False, False
        if title == "the time limit strikes":
            terminated[:], truncated[1] = False, True
        if title == "ends of every kind":
            terminated[2, :2], truncated[2:4, 1:3] = True, True
        problem = _problem(reward, value, next_value, terminated, truncated, discount)
        yield _case("random", problem, advantages_and_targets(*problem), confirms=title)
    yield _change_case("random", problem, 1.0 + discount, confirms="a new episode changes nothing before it")


_KINDS = _problem(table([[1, 0], [-2, 1], [0.5, 3], [2, -1], [1, 1]]),
                  table([[2, -1], [0.5, 1], [3, 2], [-1, 4], [1.5, 0.3]]),
                  table([[0, 5], [4, 0], [0, -2], [6, 7], [2.5, 1.2]]),
                  _flags([[0, 1], [0, 0], [0, 0], [1, 1], [0, 0]]),
                  _flags([[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]]), 0.9)

QUESTION = Question(
    "q9", "Bug hunt: the empty pond", "A3", {"advantages_and_targets": advantages_and_targets}, difficulty=4,
    importance=5, minutes=20,
    values=(
        # The reward, 1, and nothing behind it: target 1, advantage 1 − 0.75.
        _case("one step: what the probe sees",
              _problem(table([[1]]), table([[0.75]]), table([[4]]), _flags([[1]]), _flags([[0]]), 0.5),
              (table([[0.25]]), table([[1]])), points=1, by_hand=True),
        # 1 + 4/2 = 3 and −1 + 6/2 = 2; less 2 and 4.
        _case("no end in sight",
              _problem(table([[1], [-1]]), table([[2], [4]]), table([[0], [6]]), _flags([[0], [0]]),
                       _flags([[0], [0]]), 0.5), (table([[1], [-2]]), table([[3], [2]])), points=1, by_hand=True),
        # The first step led to a state of value 6: 1 + 6/2 = 4, less 3. Then a new episode: 0 + 2/2, less 8.
        _case("the time limit strikes",
              _problem(table([[1], [0]]), table([[3], [8]]), table([[6], [2]]), _flags([[0], [0]]),
                       _flags([[1], [0]]), 0.5), (table([[1], [-7]]), table([[4], [1]])), points=1, by_hand=True),
        _case("ends of every kind", _KINDS, advantages_and_targets(*_KINDS), points=2),
    ),
    properties=(_change_case("a new episode changes nothing before it", _KINDS, 2.0, points=1),),
    seeded=_random_cases,
)
