"""Exercise 03, q6: a loss whose gradient is the policy gradient."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.policy_gradient import surrogate_loss
from ..cases import Case, Question
from .tables import table


def policy_loss(logits: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """−(1/B) Σ log π(a|s) Ψ: the library's answer."""
    return surrogate_loss(_log_prob(logits, action), weight[:, 0]).mean()


def _log_prob(logits: Tensor, action: Tensor, axis: int = -1) -> Tensor:
    return logits.log_softmax(axis).gather(1, action[:, None])[:, 0]


def _matrix(logits, action, weight):
    return -(_log_prob(logits, action) * weight).mean()


def _matrix_sum(logits, action, weight):
    return -(_log_prob(logits, action) * weight).sum()


def _other_sign(logits, action, weight):
    return -policy_loss(logits, action, weight)


def _matrix_other_sign(logits, action, weight):
    return -_matrix(logits, action, weight)


def _sum(logits, action, weight):
    return policy_loss(logits, action, weight) * len(action)


def _probability(logits, action, weight):
    return -(_log_prob(logits, action).exp() * weight[:, 0]).mean()


def _other_axis(logits, action, weight):
    return -(_log_prob(logits, action, 0) * weight[:, 0]).mean()


def _bare_logits(logits, action, weight):
    return -(logits.gather(1, action[:, None])[:, 0] * weight[:, 0]).mean()


def _log_of_logits(logits, action, weight):
    return -(logits.gather(1, action[:, None])[:, 0].log() * weight[:, 0]).mean()


def _all_actions(logits, action, weight):
    return -(logits.log_softmax(-1) * weight).sum(-1).mean()


def _mean_over_actions(logits, action, weight):
    return policy_loss(logits, action, weight) / logits.shape[1]


def _unweighted(logits, action, weight):
    return -_log_prob(logits, action).mean()


def _per_sample(logits, action, weight):
    return surrogate_loss(_log_prob(logits, action), weight[:, 0])


def _per_sample_column(logits, action, weight):
    return _per_sample(logits, action, weight)[:, None]


_BROADCAST = ("[B] times [B, 1] is a matrix [B, B] of every log-probability times every weight, and its {what} "
              "is a product of {what}s: no action is credited with its own weight, and what is left is noise. "
              "Bring both to one shape first: `weight.squeeze(-1)`.")
_ONE_NUMBER = "One number is asked for, the mean over the batch: an optimiser takes a scalar."

# The order matters where two slips give the same number: with a single sample many do.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_other_sign,
     "The sign is turned: an optimiser *minimises*, and this would make good actions rarer."),
    (_matrix, _BROADCAST.format(what="mean")),
    (_matrix_sum, _BROADCAST.format(what="sum")),
    (_matrix_other_sign, _BROADCAST.format(what="mean") + " And the sign is turned."),
    (_sum, "You add up the batch. Take the mean, or the step grows with the batch."),
    (_probability,
     "That is the probability of the action; the gradient needs its logarithm (∇π is π ∇log π, another vector)."),
    (_other_axis,
     "The softmax runs over the samples. The actions are the last axis: `log_softmax(-1)`."),
    (_bare_logits,
     "A logit is no log-probability: it has to be normalised over the actions, `log_softmax(-1)`."),
    (_log_of_logits,
     "You take the logarithm of a logit, which may be negative: `log_softmax(-1)` gives the log-probabilities."),
    (_all_actions,
     "The log-probabilities of *all* actions are in the sum. Only the action that was taken counts: `gather`."),
    (_mean_over_actions,
     "You divide by the number of actions as well. There are B samples: divide by B alone."),
    (_unweighted, "The weights are not used: this imitates every action alike."),
    (_per_sample, _ONE_NUMBER),
    (_per_sample_column, _ONE_NUMBER),
)


def _case(title: str, problem: tuple[Tensor, Tensor, Tensor], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.policy_loss(*problem), want,
                "Three steps: log_softmax over the actions, pick the action that was taken, minus the mean of the "
                "products.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(samples: int, actions: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.randn(samples, actions + 1, generator=random, dtype=torch.float64)
    return draw[:, :-1], torch.randint(0, actions, (samples,), generator=random), 2 * draw[:, -1:]


def _slopes(f: object, rows: Tensor, state: Tensor, action: Tensor, weight: Tensor, step: float = 1e-3) -> Tensor:
    """∂ loss / ∂ logits [S, A] of a table whose rows are the states', by central differences."""
    slopes = torch.zeros_like(rows)
    for where in range(rows.numel()):
        nudge = torch.zeros_like(rows)
        nudge.view(-1)[where] = step
        losses = (f.policy_loss((rows + sign * nudge)[state], action, weight) for sign in (1, -1))
        ahead, behind = (torch.as_tensor(loss).to(torch.float64) for loss in losses)
        slopes.view(-1)[where] = (ahead - behind) / (2 * step)
    return slopes


def _minus_gradient(rows: Tensor, state: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """−(1/B) Σ ∇log π(a|s) Ψ, from the score of a softmax: 1[a' = a] − π(a'|s)."""
    score = torch.nn.functional.one_hot(action, rows.shape[1]).to(rows.dtype) - rows.softmax(-1)[state]
    return -torch.zeros_like(rows).index_add_(0, state, score * weight) / len(state)


def _slope_case(title: str, problem: tuple[Tensor, Tensor, Tensor, Tensor], **more) -> Case:
    return Case(title, lambda f: _slopes(f, *problem), _minus_gradient(*problem),
                "Change a logit a little, and the loss should change by minus the policy gradient, "
                "−(1/B) Σ ∇log π Ψ.",
                rtol=1e-4, atol=1e-5, **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q6")
    for samples, actions, title in ((1, 4, "one sample"), (2, 2, "two samples, each with its own weight"),
                                    (7, 5, "five samples of three actions")):
        problem = _random_problem(samples, actions, random)
        yield _case("random", problem, policy_loss(*problem), confirms=title)
    rows, action, weight = _random_problem(3, 3, random)
    yield _slope_case("random", (rows, torch.tensor([0, 2, 2]), action, weight),
                      confirms="the loss slopes against the policy gradient")


_FIVE = (table([[0.5, -1, 2], [1, 1, 0], [-0.5, 0.3, 0.2], [2, 0, -2], [0, 0.1, 0.4]]),
         torch.tensor([2, 0, 0, 1, 2]), table([[1.5], [-2], [0.5], [3], [-0.25]]))
_ROOMS = (table([[0.3, -0.2], [-0.5, 0.4]]), torch.tensor([0, 1, 1, 0]), torch.tensor([1, 0, 1, 1]),
          table([[2], [-1], [0.5], [-3]]))

QUESTION = Question(
    "q6", "A loss for an optimiser", "P7", {"policy_loss": policy_loss}, difficulty=2, importance=5, minutes=10,
    values=(
        # Logits 0 and log 3 are the odds 1 : 3, so π = (¼, ¾): −2 log ¾.
        _case("one sample", (table([[0, math.log(3)]]), torch.tensor([1]), table([[2]])),
              table(-2 * math.log(0.75)), points=1, by_hand=True),
        # π = (½, ½), action 0, weight 4; π = (¼, ¾), action 1, weight −1: −½ (4 log ½ − log ¾).
        _case("two samples, each with its own weight",
              (table([[1, 1], [0, math.log(3)]]), torch.tensor([0, 1]), table([[4], [-1]])),
              table(-(4 * math.log(0.5) - math.log(0.75)) / 2), points=2, by_hand=True),
        _case("five samples of three actions", _FIVE, policy_loss(*_FIVE), points=1),
    ),
    properties=(_slope_case("the loss slopes against the policy gradient", _ROOMS, points=1),),
    seeded=_random_cases,
)
