"""Exercise 05b, q1: the targets of double and of clipped double Q-learning."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import td
from ..cases import Case, Question
from .tables import numbers, table

Problem = tuple[Tensor, Tensor, Tensor, Tensor, float]


def double_q_target(reward: Tensor, next_q_values: Tensor, other_next_q_values: Tensor, terminated: Tensor,
                    discount: float) -> Tensor:
    """r + γ (1 − terminated) Q'(s', argmax Q(s', ·)) [B]: the library's answer."""
    return td.double_q_target(reward, next_q_values, other_next_q_values, terminated, discount=discount)


def clipped_double_q_target(reward: Tensor, next_q_values: Tensor, other_next_q_values: Tensor, terminated: Tensor,
                            discount: float) -> Tensor:
    """r + γ (1 − terminated) min(Q, Q')(s', argmax Q(s', ·)) [B]: the library's answer."""
    return td.clipped_double_q_target(reward, next_q_values, other_next_q_values, terminated, discount=discount)


def _at(q_values: Tensor, action: Tensor) -> Tensor:
    return q_values.gather(1, action[:, None])[:, 0]


def _double(first: Tensor, second: Tensor) -> Tensor:
    return _at(second, first.argmax(1))


def _smaller(first: Tensor, second: Tensor) -> Tensor:
    return torch.minimum(first.amax(1), _double(first, second))


def _with(value: Callable, mask: bool = True) -> Callable[..., Tensor]:
    """A target with another value of s', or without the mask."""
    def slip(reward, first, second, terminated, discount):
        following = value(first, second)
        return reward + discount * (torch.where(terminated, 0.0, following) if mask else following)
    return slip


def _column(value: Callable) -> Callable[..., Tensor]:
    def slip(reward, first, second, terminated, discount):
        return reward + discount * ~terminated * value(first, second)[:, None]
    return slip


def _masked_reward(value: Callable) -> Callable[..., Tensor]:
    def slip(reward, first, second, terminated, discount):
        return (reward + discount * value(first, second)) * ~terminated
    return slip


def _undiscounted(value: Callable) -> Callable[..., Tensor]:
    def slip(reward, first, second, terminated, discount):
        return _with(value)(reward, first, second, terminated, 1.0)
    return slip


def _over_the_batch(first: Tensor, second: Tensor) -> Tensor:
    """For each *action* the best row; then as many values as there are actions, cut or repeated to the batch."""
    chosen = first.argmax(0)
    return second[chosen[torch.arange(len(first)) % first.shape[1]], torch.arange(len(first)) % first.shape[1]]


_NO_MASK = "You look behind the end of the problem: where the step terminated the target is the reward alone."
_REWARD = "The last reward is lost: it was paid. Only what would come after it goes."
_MATRIX = ("Your answer is a matrix [B, B]: a column [B, 1] met the rewards [B], and all pairs were formed. "
           "`gather` keeps an axis of length 1; `squeeze(1)` takes it away.")
_DISCOUNT = "γ is forgotten: the value of s' counts γ."
_MEAN = "You average the two opinions. Averaging makes the noise smaller, and the maximum of noise stays too large."
_SECOND_ALONE = ("That is the maximum of the *second* network, which chooses and evaluates with the same numbers: "
                 "plain Q-learning with a target network. The first network chooses the action.")
_FIRST_ALONE = ("That is the maximum of the *first* network, the one that is trained. It chooses the action; what the "
                "action is worth, the other one says.")
_BATCH = "The argmax runs over the batch. Each transition has its own best action: `argmax(1)`."

# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_with(_double, mask=False), _NO_MASK),
    (_masked_reward(_double), _REWARD),
    (_column(_double), _MATRIX),
    (_undiscounted(_double), _DISCOUNT),
    (_with(lambda first, second: second.amax(1)), _SECOND_ALONE),
    (_with(lambda first, second: first.amax(1)), _FIRST_ALONE),
    (_with(lambda first, second: _double(second, first)),
     "The roles are exchanged: the second network chooses in yours, and the first evaluates."),
    (_with(_smaller), "That is the clipped target. Here the second network alone says what the action is worth."),
    (_with(lambda first, second: _at((first + second) / 2, first.argmax(1))), _MEAN),
    (_with(lambda first, second: (first.amax(1) + second.amax(1)) / 2), _MEAN),
    (_with(lambda first, second: ((first + second) / 2).amax(1)), _MEAN),
    (_with(lambda first, second: torch.minimum(first.amax(1), second.amax(1))),
     "That is the smaller of two maxima. Each of them chooses and evaluates with the same numbers."),
    (_with(lambda first, second: _at(second, first.argmin(1))), "You choose the worst action: argmax, not argmin."),
    (_with(lambda first, second: second.amin(1)),
     "You take the smallest value over the actions. Double Q-learning is cautious by another way: it lets somebody "
     "else say what the best action is worth."),
    (_with(lambda first, second: first.argmax(1).double()),
     "argmax is the *number* of the best action. What the second network says of it is asked for."),
    (_with(_over_the_batch), _BATCH),
)
_CLIPPED_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_with(_smaller, mask=False), _NO_MASK),
    (_masked_reward(_smaller), _REWARD),
    (_column(_smaller), _MATRIX),
    (_undiscounted(_smaller), _DISCOUNT),
    (_with(_double), "That is the target of double Q-learning. The clipped one takes the smaller of *both* opinions on "
                     "the action that the first one chose."),
    (_with(lambda first, second: torch.minimum(first.amax(1), second.amax(1))),
     "That is the smaller of two maxima, and they may belong to different actions. One action is chosen, by the "
     "first; both are asked about *it*."),
    (_with(lambda first, second: torch.minimum(first, second).amax(1)),
     "You take the smaller opinion for each action, and then the largest of those. Here the first network "
     "chooses, before anybody is cautious."),
    (_with(lambda first, second: torch.maximum(first.amax(1), _double(first, second))),
     "You take the larger opinion, which makes the overestimation worse."),
    (_with(lambda first, second: (first.amax(1) + _double(first, second)) / 2), _MEAN),
    (_with(lambda first, second: torch.minimum(second.amax(1), _double(second, first))),
     "The second network chooses in yours. It is the first that does."),
    (_with(lambda first, second: torch.minimum(first.amin(1), second.amin(1))),
     "You take the smallest value over the actions too. Only over the two opinions, on the one action chosen."),
    (_with(lambda first, second: torch.minimum(first, second).amin(1)),
     "You take the smallest value over the actions too. Only over the two opinions, on the one action chosen."),
    (_with(lambda first, second: first.amax(1)), _FIRST_ALONE),
    (_with(lambda first, second: second.amax(1)), _SECOND_ALONE),
    (_with(lambda first, second: torch.minimum(first.amax(1), _over_the_batch(first, second))), _BATCH),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.double_q_target(*problem), want,
                "argmax over each row of the first network; the entry of the second network at that place; γ times it, "
                "or nothing behind an end.", mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _clipped_case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.clipped_double_q_target(*problem), want,
                "argmax over each row of the first network; the smaller of both networks' entries at that place; γ "
                "times it, or nothing behind an end.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _CLIPPED_SLIPS), **more)


def _who_decides(f: object, problem: Problem) -> list:
    """What all of the first network's values raised by 5 do to the double target, and all of the second's by 2."""
    reward, first, second, terminated, discount = problem
    before = numbers(f.double_q_target(*problem))
    return [numbers(f.double_q_target(reward, first + 5, second, terminated, discount)) - before,
            numbers(f.double_q_target(reward, first, second + 2, terminated, discount)) - before]


def _decides_case(title: str, problem: Problem, **more) -> Case:
    nothing = torch.zeros_like(problem[0])
    return Case(title, lambda f: _who_decides(f, problem), [nothing, 2 * problem[4] * ~problem[3]],
                "Raise all values of the network that chooses, and no choice changes: nor may a target. Raise all "
                "values of the one that evaluates by 2, and the targets rise by 2γ.", **more)


def _random_problem(size: int, actions: int, random: torch.Generator, ends: bool = True) -> Problem:
    first, second = torch.randn(2, size, actions, generator=random, dtype=torch.float64)
    terminated = torch.rand(size, generator=random) < (0.4 if ends else 0.0)
    if ends:
        terminated[0] = True
    return (torch.randn(size, generator=random, dtype=torch.float64), first, first + second, terminated,
            0.5 + 0.4 * torch.rand((), generator=random).item())


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05b_q_in_practice q1")
    problem = _random_problem(1, 6, random, ends=False)
    yield _case("random", problem, double_q_target(*problem), confirms=_ONE)
    problem = _random_problem(1, 6, random, ends=False)
    yield _clipped_case("random", problem, clipped_double_q_target(*problem), confirms=_CLIPPED)
    for actions in (3, 5):
        problem = _random_problem(7, actions, random)
        yield _case("random", problem, double_q_target(*problem), confirms=_SEVERAL)
        yield _clipped_case("random", problem, clipped_double_q_target(*problem), confirms=_SEVERAL_CLIPPED)
    yield _decides_case("random", problem, confirms=_WHO)


_ONE, _SEVERAL = "double: one transition", "double: four transitions, one of them the end"
_CLIPPED, _SEVERAL_CLIPPED = "clipped: one transition", "clipped: four transitions, one of them the end"
_WHO = "the first chooses, the second evaluates"
_FLAGS = torch.tensor([False, True, False, False])
_FOUR = (table([1, 1, 0, -2]), table([[4, 1, 2], [0, 5, 1], [1, 2, 9], [-3, -1, -2]]),
         table([[6, 2, 9], [7, 3, 8], [0, 8, 7], [-4, -6, -1]]), _FLAGS, 0.5)
_OTHER = _random_problem(6, 4, generator(0, "05b_q_in_practice q1 other"))
_ALONE = torch.tensor([False])

QUESTION = Question(
    "q1", "A second opinion", "Q6",
    {"double_q_target": double_q_target, "clipped_double_q_target": clipped_double_q_target},
    difficulty=2, importance=5, minutes=15,
    values=(
        # The first network likes its second action best, 5; the other one says 4 of it: 1 + 4/2.
        _case(_ONE, (table([1]), table([[1, 5, 2]]), table([[8, 4, 3]]), _ALONE, 0.5), table([3]), points=1,
              by_hand=True),
        # 1 + 6/2; over: 1; 0 + 7/2; −2 − 6/2.
        _case(_SEVERAL, _FOUR, table([4, 1, 3.5, -5]), points=1, by_hand=True),
        # Again the second action, 5 and 7: 1 + 5/2.
        _clipped_case(_CLIPPED, (table([1]), table([[1, 5, 2]]), table([[8, 7, 6]]), _ALONE, 0.5), table([3.5]),
                      points=1, by_hand=True),
        # The smaller of 4 and 6: 1 + 4/2; over: 1; of 9 and 7: 0 + 7/2; of −1 and −6: −2 − 6/2.
        _clipped_case(_SEVERAL_CLIPPED, _FOUR, table([3, 1, 3.5, -5]), points=1, by_hand=True),
    ),
    properties=(_decides_case(_WHO, _OTHER, points=1),),
    seeded=_random_cases,
)
