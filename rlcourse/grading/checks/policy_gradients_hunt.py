"""Exercise 03, q9: the bug hunt in the weights of a REINFORCE that unlearns."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.policy_gradient import batch_mean, leave_one_out
from ...equations.returns import reward_to_go
from ..cases import Case, Question
from .tables import table

Problem = tuple[Tensor, Tensor, float]


def answer_weights(reward: Tensor, valid: Tensor, discount: float) -> Tensor:
    """R_t minus its mean over the episodes that still run, [T, N], 0 in the padding: the library's answer."""
    later = _to_go(reward, discount)
    return torch.where(valid, later - batch_mean(later, valid), 0.0)


def _to_go(reward: Tensor, discount: float) -> Tensor:
    nowhere = torch.zeros_like(reward, dtype=torch.bool)
    return reward_to_go(reward, nowhere, nowhere, discount=discount)


def _so_far(reward: Tensor, valid: Tensor, discount: float) -> Tensor:
    return _to_go(reward.flip(0), discount).flip(0)


def _over_time(later: Tensor, valid: Tensor) -> Tensor:
    return batch_mean(later.T, valid.T).T


def _weights(sums: Callable = lambda reward, valid, discount: _to_go(reward, discount),
             baseline: Callable = batch_mean, mask: bool = True) -> Callable[..., Tensor]:
    """The weights with other sums or another baseline, or without a mask over the padding."""
    def slip(reward, valid, discount):
        later = sums(reward, valid, discount)
        weight = later - baseline(later, valid)
        return torch.where(valid, weight, 0.0) if mask else weight
    return slip


def _padded_mean(later: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, later, 0.0).mean(1, keepdim=True).expand_as(later)


def _unmasked_mean(later: Tensor, valid: Tensor) -> Tensor:
    mean = torch.where(valid, later, 0.0).sum(1, keepdim=True) / valid.sum(1, keepdim=True).clamp(min=1)
    return mean.expand_as(later)


def _one_mean(later: Tensor, valid: Tensor) -> Tensor:
    return later[valid].mean().expand_as(later)


def _total(reward: Tensor, valid: Tensor, discount: float) -> Tensor:
    return _to_go(reward, discount)[0].expand_as(reward)


def _undiscounted(reward: Tensor, valid: Tensor, discount: float) -> Tensor:
    return _to_go(reward, 1.0)


def _from_the_start(reward: Tensor, valid: Tensor, discount: float) -> Tensor:
    return _to_go(reward * discount ** torch.arange(len(reward), dtype=reward.dtype)[:, None], 1.0)


def _one_late(reward: Tensor, valid: Tensor, discount: float) -> Tensor:
    return torch.cat([_to_go(reward, discount)[1:], torch.zeros_like(reward[:1])])


def _running_product(reward: Tensor, valid: Tensor, discount: float) -> Tensor:
    total, sums = torch.zeros_like(reward[0]), []
    for now in reward.flip(0):
        total = discount * (now + total)
        sums.append(total)
    return torch.stack(sums[::-1])


_FORWARD = ("Your sums run forward: at step t they hold the rewards *before* t, which the action could not "
            "change. Where every step pays the same, as in CartPole, they are the same in all episodes. ")
_TIME = ("The baseline is a mean over *time*, within each episode: it moves credit from one step of an episode to "
         "another, and in an episode of one step it takes everything away. ")
_ONE_LEFT = "One of two bugs is left. "

# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_weights(_so_far, _over_time),
     "Both bugs are still there. Look at each line of the loop, and then at each axis."),
    (_weights(baseline=_over_time), _ONE_LEFT + _TIME + "Compare episodes at the same step: axis 1."),
    (_weights(_so_far),
     _ONE_LEFT + _FORWARD + "The baseline then takes all of it away. Walk through time backwards."),
    (_weights(baseline=_padded_mean),
     "Steps of the padding count in your baseline. Divide by the number of episodes that still run, "
     "`valid.sum(1, keepdim=True)`, not by N."),
    (_weights(_so_far, _padded_mean), _ONE_LEFT + _FORWARD + "And steps of the padding count in your baseline."),
    (_weights(baseline=_unmasked_mean, mask=False),
     "In the padding your weights are not 0: whoever uses them would train on steps that never happened."),
    (_weights(baseline=lambda later, valid: torch.zeros_like(later)),
     "The baseline is gone. It was wrong, not useless: every action of CartPole would look good."),
    (_weights(baseline=leave_one_out),
     "The average of the *others*: a fine baseline, even an unbiased one. But the docstring asks for the mean "
     "over all episodes that still run."),
    (_weights(baseline=_one_mean),
     "One mean for all steps. Late steps always have less to come than early ones: compare each step with the "
     "same step of the other episodes."),
    (_weights(_total),
     "Every step gets the total return of its episode. An action answers for the rewards from its own step on."),
    (_weights(_undiscounted), "The discount is lost: a reward k steps later counts γᵏ."),
    (_weights(_from_the_start),
     "You discount from the start of the episode, γ^t'. From step t the reward at t' is t' − t steps away: "
     "γ^(t'−t)."),
    (_weights(_one_late), "You are one step late: R_t begins with the reward of step t itself."),
    (_weights(_running_product), "The own reward of a step is discounted too: R_t = r_t + γ R_{t+1}."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.answer_weights(*problem), want,
                "Two lines on paper: R_t = r_t + γ R_{t+1} from the last step back, then R_t minus its mean over "
                "the episodes that still run at t.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _lengths(reward: Tensor, lengths: list[int], discount: float) -> Problem:
    """Episodes of these lengths: behind an end `valid` is False and the reward 0."""
    valid = torch.arange(len(reward))[:, None] < torch.tensor(lengths)
    return torch.where(valid, reward, 0.0), valid, discount


def _later_change(f: object, problem: Problem, size: float) -> Tensor:
    """By how much the weights of later steps change if the very first rewards were others."""
    reward, valid, discount = problem
    other = reward.clone()
    other[0] += size * torch.arange(1, reward.shape[1] + 1)
    before, after = (torch.as_tensor(f.answer_weights(rewards, valid, discount)).to(torch.float64)
                     for rewards in (reward, other))
    return (after - before)[1:]


def _change_case(title: str, problem: Problem, size: float, **more) -> Case:
    return Case(title, lambda f: _later_change(f, problem, size), torch.zeros_like(problem[0][1:]),
                "The first reward changes your weights of later steps, whose actions had no part in it.", **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q9")
    for steps, episodes, title in (
            (1, 4, "one step: what the probe sees"), (3, 2, "two episodes of two steps"),
            (4, 3, "an episode that ends early"), (9, 5, "three episodes, all of other lengths")):
        lengths = torch.randint(1, steps + 1, (episodes,), generator=random)
        lengths[:1] = steps
        if title == "two episodes of two steps":
            lengths[:] = steps
        problem = _lengths(torch.randn(steps, episodes, generator=random, dtype=torch.float64), lengths.tolist(),
                           0.5 + 0.4 * float(torch.rand((), generator=random)))
        yield _case("random", problem, answer_weights(*problem), confirms=title)
    yield _change_case("random", problem, 1.0 + float(problem[2]), confirms="earlier rewards change nothing")


_THREE = _lengths(table([[1, -2, 0.5], [0, 1, 2], [3, 1, 0], [-1, 0, 0]]), [4, 3, 2], 0.9)

QUESTION = Question(
    "q9", "Bug hunt: a learner that unlearns", "P10", {"answer_weights": answer_weights}, difficulty=4,
    importance=5, minutes=20,
    values=(
        # The rewards themselves, less their mean of 0.5.
        _case("one step: what the probe sees", _lengths(table([[1, -1, 1, 1]]), [1] * 4, 0.5),
              table([[0.5, -1.5, 0.5, 0.5]]), points=1, by_hand=True),
        # R_1 = (2, 6), mean 4; R_0 = (1 + 0.5·2, 3 + 0.5·6) = (2, 6), mean 4.
        _case("two episodes of two steps", _lengths(table([[1, 3], [2, 6]]), [2, 2], 0.5),
              table([[-2, 2], [-2, 2]]), points=1, by_hand=True),
        # Constant rewards, lengths 3 and 1. R = (1.75, 1.5, 1) and (1, –, –): at step 0 the mean is 1.375,
        # later the first episode is alone and equals its mean.
        _case("an episode that ends early", _lengths(table([[1, 1], [1, 1], [1, 1]]), [3, 1], 0.5),
              table([[0.375, -0.375], [0, 0], [0, 0]]), points=1, by_hand=True),
        _case("three episodes, all of other lengths", _THREE, answer_weights(*_THREE), points=2),
    ),
    properties=(_change_case("earlier rewards change nothing", _THREE, 2.0, points=1),),
    seeded=_random_cases,
)
