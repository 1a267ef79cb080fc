"""Exercise 05a, q6: how a target network follows, in jumps or slowly."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import td
from ..cases import Case, Question
from .tables import numbers, table

Problem = tuple[Tensor, Tensor, Tensor, float]


def copied(critic: Tensor, target: Tensor, changes: Tensor, every: int) -> Tensor:
    """The target after each update [T, P], copied after every `every` of them: with the library's `polyak`."""
    return _history(critic, target, changes, lambda t: 1.0 if (t + 1) % every == 0 else 0.0)


def followed(critic: Tensor, target: Tensor, changes: Tensor, polyak_rate: float) -> Tensor:
    """The target after each update [T, P], moved by `polyak_rate` after each: with the library's `polyak`."""
    return _history(critic, target, changes, lambda t: polyak_rate)


def _history(critic: Tensor, target: Tensor, changes: Tensor, rate: Callable) -> Tensor:
    targets = []
    for t, change in enumerate(changes):
        critic = critic + change
        target = td.polyak(target, critic, polyak_rate=rate(t))
        targets.append(target)
    return torch.stack(targets)


def _critics(critic: Tensor, changes: Tensor) -> Tensor:
    """The critic after each update [T, P]."""
    return critic + changes.cumsum(0)


def _copies_where(when: Callable, source: Callable = lambda before, after: after) -> Callable[..., Tensor]:
    """Copies after other updates, or of the critic before the update."""
    def slip(critic, target, changes, every):
        targets = []
        for t, change in enumerate(changes):
            before, critic = critic, critic + change
            target = source(before, critic) if when(t, every) else target
            targets.append(target)
        return torch.stack(targets)
    return slip


def _second_name(critic, target, changes, every):
    """From the first copy on the target *is* the critic."""
    first = torch.arange(len(changes))[:, None] < every - 1
    return torch.where(first, target, _critics(critic, changes))


def _same_row(function: Callable) -> Callable[..., Tensor]:
    """One tensor, listed T times."""
    return lambda *problem: function(*problem)[-1:].expand_as(problem[2])


def _moves(step: Callable) -> Callable[..., Tensor]:
    """φ' ← step(φ', φ, the change, the first φ', φ before, rate)."""
    def slip(critic, target, changes, rate):
        first, targets = target, []
        for change in changes:
            before, critic = critic, critic + change
            target = step(target, critic, change, first, before, rate)
            targets.append(target)
        return torch.stack(targets)
    return slip


def _critic_moves(critic, target, changes, rate):
    targets = []
    for change in changes:
        critic = critic + change
        critic = critic + rate * (target - critic)
        targets.append(critic)
    return torch.stack(targets)


_FIRST = "First the critic learns, then the target is brought up to date: here it gets the critic of one update before."
_BEHIND = ("All rows are the last one: the list holds the *same* tensor T times, and later updates change it. Append "
           "`target.clone()`.")

_COPYING: tuple[tuple[Callable, str], ...] = (
    (_second_name,
     "From the first copy on the target is the critic itself: `target = critic` only gives it a second name, and both "
     "change together from then on. Copy the numbers: `critic.clone()`."),
    (lambda critic, target, changes, every: _critics(critic, changes),
     "Your target is the critic after every update. It must stand still in between: copy the numbers (`clone()`), and "
     "only after every k-th update."),
    (_copies_where(lambda t, k: t % k == 0),
     "You copy after the first update, and then after each k-th. Python counts from 0: after update t there have been "
     "t + 1 of them."),
    (_copies_where(lambda t, k: t % k == 0 and t > 0),
     "You copy one update too late: Python counts from 0, after update t there have been t + 1 of them."),
    (_copies_where(lambda t, k: (t + 2) % k == 0),
     "You copy one update too early: Python counts from 0, after update t there have been t + 1 of them."),
    (_copies_where(lambda t, k: (t + 1) % (k + 1) == 0), "You wait for one update too many: copy after every k-th."),
    (_copies_where(lambda t, k: (t + 1) % k == 0, lambda before, after: before), _FIRST),
    (_copies_where(lambda t, k: t % k == 0, lambda before, after: before), _FIRST),
    (_copies_where(lambda t, k: t + 1 == k), "You copy once. It happens again after every k-th update."),
    (_copies_where(lambda t, k: False),
     "Your target never changes: its values stay those of a critic that knew nothing."),
    (_same_row(copied), _BEHIND),
)
_FOLLOWING: tuple[tuple[Callable, str], ...] = (
    (_moves(lambda behind, ahead, change, first, before, rate: rate * behind + (1 - rate) * ahead),
     "The rate multiplies the wrong network: here η is the weight of the *critic*, 1 − η that of the old target. "
     "Papers differ in this, so look before you type 0.005 or 0.995."),
    (_moves(lambda behind, ahead, change, first, before, rate: behind + rate * (before - behind)), _FIRST),
    (_moves(lambda behind, ahead, change, first, before, rate: first + rate * (ahead - first)),
     "You mix with the target at the start each time. The target of the update before is what moves on."),
    (_moves(lambda behind, ahead, change, first, before, rate: behind + rate * change),
     "You add a share of the change. Then a gap that was there at the start never closes: move towards the critic, "
     "by η times what is missing."),
    (_moves(lambda behind, ahead, change, first, before, rate: rate * ahead),
     "The old target is lost: its weight is 1 − η, not 0."),
    (_moves(lambda behind, ahead, change, first, before, rate: behind + rate * ahead),
     "The weights do not sum to 1: the old target counts 1 − η."),
    (_moves(lambda behind, ahead, change, first, before, rate: behind - rate * (ahead - behind)),
     "A sign is turned: your target runs away from the critic."),
    (_critic_moves, "You move the critic towards the target. It is the target that follows."),
    (lambda critic, target, changes, rate: _critics(critic, changes),
     "Your target is the critic itself: it moves towards it by the share η only."),
    (lambda critic, target, changes, rate: target.expand_as(changes), "Your target never changes."),
    (_same_row(followed), _BEHIND),
)


def _case(title: str, problem: Problem, want: Tensor, copying: bool, **more) -> Case:
    return Case(title, lambda f: (f.copied if copying else f.followed)(*problem), want,
                "After update t the critic is the one at the start plus the first t + 1 changes; then the target is "
                + ("copied, if t + 1 is a multiple of k." if copying else "moved by η times (critic − target)."),
                mistakes=tuple((slip(*problem), hint) for slip, hint in (_COPYING if copying else _FOLLOWING)), **more)


def _both(f: object, problem: tuple[Tensor, Tensor, Tensor]) -> list:
    return [f.copied(*problem, 1), f.followed(*problem, 1.0), f.followed(*problem, 0.0)]


def _both_case(title: str, problem: tuple[Tensor, Tensor, Tensor], want: list, **more) -> Case:
    slips = [(copy, follow, hint) for copy, hint in _COPYING for follow in (followed,)]
    slips += [(copied, follow, hint) for follow, hint in _FOLLOWING]
    return Case(title, lambda f: _both(f, problem), want,
                "k = 1 and η = 1 both copy after every update; η = 0 leaves the target alone.",
                mistakes=tuple(([copy(*problem, 1), follow(*problem, 1.0), follow(*problem, 0.0)], hint)
                               for copy, follow, hint in slips), **more)


def _mean_age(f: object) -> list:
    """How far the target is behind a critic that grows by 1 in every update, on average over many of them."""
    zero, changes = torch.zeros(1, dtype=torch.float64), torch.ones(400, 1, dtype=torch.float64)
    critic = _critics(zero, changes)
    return [(critic - numbers(targets))[-200:].mean()
            for targets in (f.copied(zero, zero, changes, 10), f.followed(zero, zero, changes, 0.1))]


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05a_q_learning q6")

    def noise(*shape):
        return torch.randn(shape, generator=random, dtype=torch.float64)
    for every in (2, 3):
        problem = (noise(3), noise(3), noise(7, 3), every)
        yield _case("random", problem, copied(*problem), True, confirms=_COPY)
    for rate in (0.1, 0.7):
        problem = (noise(3), noise(3), noise(5, 3), rate + 0.2 * torch.rand((), generator=random).item())
        yield _case("random", problem, followed(*problem), False, confirms=_FOLLOW)
    problem = (noise(2), noise(2), noise(3, 2))
    critics = _critics(problem[0], problem[2])
    yield _both_case("random", problem, [critics, critics, problem[1].expand_as(critics)], confirms=_EDGES)


_COPY, _FOLLOW, _EDGES = "a copy after every second update", "a quarter of the way", "the edges of both scales"

QUESTION = Question(
    "q6", "A target that stands still, or follows", "Q4", {"copied": copied, "followed": followed},
    difficulty=2, importance=4, minutes=12,
    values=(
        # The critic: (1, 9), (3, 8), (6, 7), (10, 6), (15, 5). The target: as it was, (3, 8), the same, (10, 6), the
        # same.
        _case(_COPY, (table([0, 10]), table([-1, -1]), table([[1, -1], [2, -1], [3, -1], [4, -1], [5, -1]]), 2),
              table([[-1, -1], [3, 8], [3, 8], [10, 6], [10, 6]]), True, points=2, by_hand=True),
        # The critic: 8, 12, 0. The target: 4 + (8 − 4)/4 = 5; 5 + (12 − 5)/4 = 6.75; 6.75 − 6.75/4 = 5.0625.
        _case(_FOLLOW, (table([0]), table([4]), table([[8], [4], [-12]]), 0.25), table([[5], [6.75], [5.0625]]), False,
              points=1, by_hand=True),
        # The critic: 1 + 1, 2 + 3, 5 − 4. Twice the target is the critic; in the end it stays where it was.
        _both_case(_EDGES, (table([1]), table([7]), table([[1], [3], [-4]])),
                   [table([[2], [5], [1]]), table([[2], [5], [1]]), table([[7], [7], [7]])], points=1, by_hand=True),
    ),
    properties=(
        # After a copy the target is 0, 1, … k − 1 updates old; the weights η (1 − η)ʲ have the mean (1 − η)/η.
        Case("how old a target is on average", _mean_age, [4.5, 9.0],
             "Behind a critic that grows by 1 in each update, a target copied every k updates lags (k − 1)/2 on "
             "average, one that follows with rate η (1 − η)/η.", points=1),
    ),
    seeded=_random_cases,
)
