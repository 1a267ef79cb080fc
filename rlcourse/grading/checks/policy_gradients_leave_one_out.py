"""Exercise 03, q3: the average of the others as a baseline."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...envs.two_rooms import policy_logits, two_rooms
from ...equations.policy_gradient import gradient_estimate, leave_one_out
from ...exact.policy_gradient import every_batch, gradient_by_autograd
from ..cases import Case, Question
from .tables import table

_HORIZON = 2  # 32 trajectories, so 1024 batches of two episodes


def leave_one_out_baseline(weight: Tensor) -> Tensor:
    """bᵢ = (1/(N − 1)) Σ_{j ≠ i} Ψⱼ at every step, [T, N]: the library's answer."""
    return leave_one_out(weight)


def _batch_mean(weight: Tensor) -> Tensor:
    return weight.mean(1, keepdim=True).expand_as(weight)


def _sum_of_the_others(weight: Tensor) -> Tensor:
    return weight.sum(1, keepdim=True) - weight


def _whole_sum_over_others(weight: Tensor) -> Tensor:
    return (weight.sum(1, keepdim=True) / (weight.shape[1] - 1)).expand_as(weight)


def _others_over_all(weight: Tensor) -> Tensor:
    return _sum_of_the_others(weight) / weight.shape[1]


def _over_time(weight: Tensor) -> Tensor:
    return weight.mean(0, keepdim=True).expand_as(weight)


def _other_times(weight: Tensor) -> Tensor:
    return (weight.sum(0) - weight) / max(len(weight) - 1, 1)


def _over_both(weight: Tensor) -> Tensor:
    return weight.mean().expand_as(weight)


def _others_at_all_times(weight: Tensor) -> Tensor:
    return leave_one_out(weight.mean(0, keepdim=True)).expand_as(weight)


def _all_other_entries(weight: Tensor) -> Tensor:
    return (weight.sum() - weight) / max(weight.numel() - 1, 1)


def _its_own(weight: Tensor) -> Tensor:
    return weight


def _already_subtracted(weight: Tensor) -> Tensor:
    return weight - leave_one_out(weight)


def _neighbour(weight: Tensor) -> Tensor:
    return weight.roll(1, 1)


def _other_neighbour(weight: Tensor) -> Tensor:
    return weight.roll(-1, 1)


_NEIGHBOUR = ("One other episode serves as the baseline. That is unbiased, but as noisy as what it is subtracted "
              "from: average over *all* the others.")
_TIME = "You average over time. At every step t the baseline is a mean over episodes: axis 1, not axis 0."

# The order matters where two slips give the same numbers: with two episodes some do.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_batch_mean,
     "That is the mean of the whole batch, with the episode's own weight in it. So it depends on the episode's "
     "own actions, and the estimate is on average only (1 − 1/N) times the gradient. Leave that one out."),
    (_its_own,
     "This is the episode's own weight: subtracted from itself it leaves 0, and nothing would ever be learned."),
    (_already_subtracted,
     "You have subtracted already: that is Ψ − b. Asked for is b alone."),
    (_sum_of_the_others,
     "That is the *sum* of the others. The baseline is their mean: there are N − 1 of them."),
    (_whole_sum_over_others,
     "You divide by N − 1 but add up all N: take the own weight out of the sum."),
    (_others_over_all,
     "The right sum, but the others are N − 1, not N."),
    (_over_time, _TIME),
    (_other_times, _TIME),
    (_over_both,
     "One number for everything: you average over time *and* episodes. Every step t has a baseline of its own, "
     "one for each episode."),
    (_others_at_all_times,
     "You average the others over time, too. Rewards-to-go shrink towards the end, so every step needs a baseline "
     "of its own."),
    (_all_other_entries,
     "You leave out one *entry* of the table and average over all the others, at all times. At step t only the "
     "other episodes' weights at step t count."),
    (_neighbour, _NEIGHBOUR),
    (_other_neighbour, _NEIGHBOUR),
)


def _case(title: str, weight: Tensor, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.leave_one_out_baseline(weight), want,
                "Cover one column with your hand: its baseline is, row by row, the mean of what you still see.",
                mistakes=tuple((slip(weight), hint) for slip, hint in _SLIPS), **more)


def expected_gradient(baseline: Callable[[Tensor], Tensor], logits: Tensor, batch_size: int = 2,
                      horizon: int = _HORIZON) -> Tensor:
    """E ĝ [S, A] over every batch of episodes in the two rooms, with total returns minus a baseline.

    All batches stand below each other in one table [T · batches, N]: a baseline works row by row.
    """
    batch = every_batch(two_rooms(), logits, horizon, batch_size)
    weight = batch.reward.sum(0).expand_as(batch.reward)
    rows = torch.as_tensor(baseline(weight.flatten(0, 1)))
    estimate = gradient_estimate(batch.score, weight - rows.reshape(weight.shape))
    return (batch.prob @ estimate).reshape(logits.shape)


def _unbiased_case(title: str, logits: Tensor, **more) -> Case:
    return Case(title, lambda f: expected_gradient(f.leave_one_out_baseline, logits),
                gradient_by_autograd(two_rooms(), logits, _HORIZON),
                "A baseline that does not know the episode's own actions leaves the mean estimate as it is.",
                **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q3")
    for steps, episodes, title in ((1, 3, "three episodes of one step"), (1, 6, "three episodes of one step"),
                                   (4, 2, "two episodes"), (3, 4, "four episodes of three steps"),
                                   (9, 7, "four episodes of three steps")):
        weight = 4 * torch.randn(steps, episodes, generator=random, dtype=torch.float64)
        yield _case("random", weight, leave_one_out_baseline(weight), confirms=title)
    yield _unbiased_case("random", torch.randn(2, 2, generator=random, dtype=torch.float64), confirms=_UNBIASED)


_UNBIASED = "over every batch of two episodes the mean estimate stays ∇J"

QUESTION = Question(
    "q3", "What the others got", "P4", {"leave_one_out_baseline": leave_one_out_baseline},
    difficulty=2, importance=4, minutes=10,
    values=(
        # Without the 6: (0 + 3)/2; without the 0: (6 + 3)/2; without the 3: (6 + 0)/2.
        _case("three episodes of one step", table([[6, 0, 3]]), table([[1.5, 4.5, 3]]), points=1, by_hand=True),
        # Of two, the other is the mean of the others.
        _case("two episodes", table([[1, 5], [2, -4]]), table([[5, 1], [-4, 2]]), points=1, by_hand=True),
        # Rows sum to 15, 12, −3: (15 − 9)/3, (15 − 3)/3, (15 − 0)/3, (15 − 3)/3; 12/3, 6/3, 9/3, 9/3; −3/3, 0/3,
        # −3/3, −3/3.
        _case("four episodes of three steps", table([[9, 3, 0, 3], [0, 6, 3, 3], [0, -3, 0, 0]]),
              table([[2, 4, 5, 4], [4, 2, 3, 3], [-1, 0, -1, -1]]), points=1, by_hand=True),
    ),
    properties=(_unbiased_case(_UNBIASED, policy_logits(), points=1),),
    seeded=_random_cases,
)
