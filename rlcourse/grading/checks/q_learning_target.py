"""Exercise 05a, q1: what Q-learning regresses on."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import td
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, Tensor, Tensor, float]


def q_targets(reward: Tensor, next_q_values: Tensor, terminated: Tensor, truncated: Tensor,
              discount: float) -> Tensor:
    """y = r + γ (1 − terminated) maxₐ Q(s', a) [B]: the library's answer."""
    return td.q_target(reward, next_q_values, terminated, discount=discount)


def _by(value: Callable = lambda q: q.amax(-1), goes_on: Callable = lambda over, cut: ~over) -> Callable[..., Tensor]:
    """The targets with another value of s' [B], or another mask before it."""
    def slip(r, q, over, cut, g):
        return r + g * goes_on(over, cut) * value(q)
    return slip


def _over_the_batch(q: Tensor) -> Tensor:
    """The largest of each column: [A], which fits only where there are as many actions as transitions."""
    return q.amax(0) if q.shape[0] == q.shape[1] else torch.full_like(q[:, 0], torch.nan)


def _all_pairs(r, q, over, cut, g):
    """[B, B]: the maximum kept its axis."""
    return r + g * ~over * q.amax(-1, keepdim=True)


# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_by(goes_on=lambda over, cut: True),
     "You look behind the end of the problem. Where `terminated` is True nothing comes after: the target is r "
     "alone, whatever Q says of a state in which nobody will ever act."),
    (_by(goes_on=lambda over, cut: ~(over | cut)),
     "You treat the time limit as the end of the problem. Where only `truncated` is True the problem would have "
     "gone on, and γ max Q of what would have come belongs into the target."),
    (_by(goes_on=lambda over, cut: ~over | cut),
     "Where both flags are True you add a value. The problem is over, and it does not matter that the time limit "
     "came at the same moment: `terminated` alone decides."),
    (_by(goes_on=lambda over, cut: ~cut),
     "The two kinds of ends are exchanged: after `terminated` nothing follows, after `truncated` the problem "
     "would have gone on."),
    (lambda r, q, over, cut, g: (r + g * q.amax(-1)) * ~over,
     "The last reward is lost: (1 − terminated) stands before the maximum alone. The step that ends the problem "
     "is still paid for, and often that is the only payment there is."),
    (lambda r, q, over, cut, g: r + ~over * q.amax(-1),
     "γ is forgotten: what the next state is worth is worth γ times as much one step earlier."),
    (lambda r, q, over, cut, g: g * (r + ~over * q.amax(-1)),
     "There is one γ too many: the reward of this step comes now and is not discounted, only the maximum is."),
    (_by(_over_the_batch),
     "The maximum runs over the batch: `max(0)` compares different transitions. The actions are the last axis, and "
     "each transition has its own maximum: `amax(-1)`."),
    (_by(lambda q: q.max()),
     "That is one maximum for the whole batch. Each transition has its own next state: `amax(-1)`."),
    (_by(lambda q: q.argmax(-1).double()),
     "argmax is the *number* of the best action. What is asked for is how much it is worth: max."),
    (_by(lambda q: q.mean(-1)),
     "You take the mean over the actions: that is the value of acting at random from here on. Q-learning asks for "
     "the best action, whatever collected the data."),
    (_by(lambda q: q.sum(-1)),
     "You add up all actions, but only one of them can be taken: the best one."),
    (_by(lambda q: q[:, 0]),
     "You always take the first action's value. The best one is another action in each state."),
    (_by(lambda q: q.amin(-1)), "That is the worst action. The target takes the best one: max, not min."),
    (_by(lambda q: q.abs().amax(-1)), "No absolute values: of −4 and −2 the better one is −2."),
    (_by(lambda q: q.amax(-1).clamp(min=0.0)),
     "Your maximum begins at 0. Where all actions are bad the value is negative: compare the actions alone."),
    (lambda r, q, over, cut, g: r, "That is the reward alone. What comes after this step is missing: γ max Q(s', ·)."),
    (_all_pairs,
     "[B] plus [B, 1] is a matrix [B, B] of every reward with every maximum. `amax(-1)` without `keepdim` gives [B]."),
    (lambda r, q, over, cut, g: r[:, None] + g * (q * ~over[:, None]),
     "That is a target for every action of the next state. Only the largest of them counts: `amax(-1)`."),
    (lambda r, q, over, cut, g: r - g * ~over * q.amax(-1),
     "A sign is turned: the value of the next state is added, it is part of what is still to come."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.q_targets(*problem), want,
                "y = r + γ maxₐ Q(s', a), one number for each transition; and y = r where `terminated` is True.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def random_problem(transitions: int, actions: int, random: torch.Generator, ends: float) -> Problem:
    """Rewards, values of the next states, both kinds of ends at random, and a discount."""
    draw = torch.randn(transitions, actions + 1, generator=random, dtype=torch.float64)
    terminated, truncated = torch.rand(2, transitions, generator=random) < ends
    return draw[:, 0], 3 * draw[:, 1:], terminated, truncated, 0.5 + 0.4 * torch.rand((), generator=random).item()


def _with_another_action(f: object, problem: Problem) -> object:
    """The targets where each state has one action more, worse than all others."""
    reward, next_q_values, *rest = problem
    hopeless = next_q_values.amin(-1, keepdim=True) - 10
    return f.q_targets(reward, torch.cat([hopeless, next_q_values], -1), *rest)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05a_q_learning q1")
    for transitions, actions in ((4, 4), (5, 3)):
        problem = random_problem(transitions, actions, random, ends=0.0)
        yield _case("random", problem, q_targets(*problem), confirms=_GOES_ON)
    for title in (_ENDS, _BOTH):
        problem = random_problem(8, 3, random, ends=0.3)
        for row, flags in enumerate(((True, False), (False, True), (True, True))):
            problem[2][row], problem[3][row] = flags
        yield _case("random", problem, q_targets(*problem), confirms=title)


_GOES_ON = "three transitions, three actions"
_ENDS = "an end of each kind"
_BOTH = "the problem is over just as the time runs out"
_LONG = random_problem(20, 4, generator(0, "05a_q_learning q1 long"), ends=0.2)

QUESTION = Question(
    "q1", "The best action, whoever acts", "Q1", {"q_targets": q_targets},
    difficulty=1, importance=5, minutes=10,
    values=(
        # 1 + 10/2, 2 + 20/2, 4 − 2/2.
        _case(_GOES_ON, (table([1, 2, 4]), table([[10, 4, 2], [6, 8, 20], [-4, -2, -6]]),
                         *torch.zeros(2, 3).bool(), 0.5),
              table([6, 12, 3]), points=1, by_hand=True),
        # 1 + 8/2; over, so 3; only the time was up, so 5 + 4/2; −1 + 6/2.
        _case(_ENDS, (table([1, 3, 5, -1]), table([[8, -8], [40, 20], [2, 4], [6, 0]]),
                      torch.tensor([False, True, False, False]), torch.tensor([False, False, True, False]), 0.5),
              table([5, 3, 7, 2]), points=1, by_hand=True),
        # The time limit alone: 1 + 20/4; both: 2; the end alone: 3; neither: 4 − 8/4.
        _case(_BOTH, (table([1, 2, 3, 4]), table([[20, 12], [40, 8], [12, 16], [-12, -8]]),
                      torch.tensor([False, True, True, False]), torch.tensor([True, True, False, False]), 0.25),
              table([6, 2, 3, 2]), points=1, by_hand=True),
    ),
    properties=(
        Case("another action, worse than all, changes nothing", lambda f: _with_another_action(f, _LONG),
             q_targets(*_LONG),
             "An action that nobody would take must not matter: of each row only the largest value counts.", points=1),
    ),
    seeded=_random_cases,
)
