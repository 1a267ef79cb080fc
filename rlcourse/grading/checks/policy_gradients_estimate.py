"""Exercise 03, q2: the REINFORCE estimate for a softmax table."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ...core.seeding import generator
from ...envs.two_rooms import HORIZON, policy_logits, two_rooms
from ...equations.policy_gradient import gradient_estimate
from ...exact.policy_gradient import every_batch, gradient_by_autograd, softmax_scores
from ..cases import Case, Question
from .tables import table


def policy_gradient(logits: Tensor, state: Tensor, action: Tensor, weight: Tensor) -> Tensor:
    """(1/N) Σᵢ Σₜ ∇log π(aₜⁱ|sₜⁱ) Ψₜⁱ [S, A]: the library's answer."""
    return gradient_estimate(softmax_scores(logits, state, action), weight).reshape(logits.shape)


def _estimate(direction: Callable) -> Callable[..., Tensor]:
    """A slip in the direction [T, N, A] of each step, put into the right rows."""
    def slip(logits, state, action, weight):
        prob = torch.softmax(logits, -1)
        step = direction(one_hot(action, logits.shape[1]).to(prob.dtype), prob[state], logits[state])
        rows = one_hot(state, logits.shape[0]).to(prob.dtype)
        return torch.einsum("tns,tna,tn->sa", rows, step, weight) / state.shape[1]
    return slip


def _scaled(factor: Callable) -> Callable[..., Tensor]:
    """The right answer times `factor(T, N)`."""
    return lambda logits, state, *others: factor(*state.shape) * policy_gradient(logits, state, *others)


def _every_row(logits, state, action, weight):
    taken = _estimate(lambda taken, prob, _: taken)(logits, state, action, weight)
    return taken - torch.softmax(logits, -1) * weight.sum() / state.shape[1]


def _over_the_states(logits, state, action, weight):
    prob = torch.softmax(logits, 0)
    step = one_hot(action, logits.shape[1]).to(prob.dtype) - prob[state]
    return torch.einsum("tns,tna,tn->sa", one_hot(state, len(logits)).to(prob.dtype), step,
                        weight) / state.shape[1]


def _last_visit_only(logits, state, action, weight):
    """Of several visits to a state the last one counts (in the order of time, then of episodes)."""
    step = one_hot(action, logits.shape[1]).to(weight.dtype) - torch.softmax(logits, -1)[state]
    answer = torch.zeros_like(logits)
    for s, row in zip(state.flatten().tolist(), (step * weight[..., None]).flatten(0, 1)):
        answer[s] = row
    return answer / state.shape[1]


def _mean_per_visit(logits, state, action, weight):
    visits = one_hot(state, len(logits)).sum((0, 1)).clamp(min=1)
    return policy_gradient(logits, state, action, weight) * state.shape[1] / visits[:, None]


def _without_weights(logits, state, action, weight):
    return policy_gradient(logits, state, action, torch.ones_like(weight))


def _sum_times_sum(logits, state, action, weight):
    return policy_gradient(logits, state, action, weight.sum(0, keepdim=True).expand_as(weight))


# The order matters where two slips give the same numbers: with a single decision some do.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_estimate(lambda taken, prob, _: taken),
     "You raise the logit of the action that was taken and leave the others alone. ∇log π also has −π(·|s): the "
     "probabilities sum to 1, so what one action gains the others lose."),
    (_scaled(lambda steps, episodes: -1),
     "The sign is turned: this is the gradient of a *loss*. Asked for is the direction in which J grows."),
    (_estimate(lambda taken, prob, _: (taken - prob) * (taken * prob).sum(-1, keepdim=True)),
     "That is ∇π(a|s), without the logarithm: a factor π(a|s) too much. Actions that are taken often would count "
     "twice, once for being frequent and once for being likely."),
    (_estimate(lambda taken, prob, logits: taken - logits),
     "You subtract the logits themselves. Turn them into probabilities first: `torch.softmax(logits, -1)`."),
    (_over_the_states,
     "Your softmax runs over the states. π(·|s) is a distribution over the actions of one state: "
     "`torch.softmax(logits, -1)`."),
    (_without_weights,
     "The weights are missing. Without Ψ the estimate is about 0: ∇log π alone has the mean 0, always."),
    (_scaled(lambda steps, episodes: 1 / steps),
     "You average over the time steps as well. The formula *sums* over t and takes the mean over the episodes "
     "only: divide by N, not by T·N."),
    (_scaled(lambda steps, episodes: episodes),
     "You add up the episodes. The estimate is their mean: divide by N, the length of axis 1."),
    (_scaled(lambda steps, episodes: episodes / steps),
     "You divide by the number of steps T. Axis 1 holds the episodes: divide by N."),
    (_mean_per_visit,
     "You divide each row by how often its state was visited. A state that is seen often should count often: "
     "divide everything by N."),
    (_last_visit_only,
     "Where a state is visited several times only one visit counts: `gradient[state] += …` writes each row once. "
     "Use `index_add_`, `index_put_(…, accumulate=True)` or a loop."),
    (_every_row,
     "You subtract π from every row. At a step in s only the logits of s have a gradient: the row of π(·|s), the "
     "others stay 0."),
    (_sum_times_sum,
     "You multiply the sum of the ∇log π by the sum of the weights. Here each step has its own weight: multiply "
     "first, then sum."),
)


def _case(title: str, problem: tuple[Tensor, Tensor, Tensor, Tensor], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.policy_gradient(*problem), want,
                "Step by step on paper: into row s add (one-hot of a, minus π(·|s)) times Ψ. Divide all by N.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(states: int, actions: int, steps: int, episodes: int,
                    random: torch.Generator) -> tuple[Tensor, ...]:
    logits = torch.randn(states, actions, generator=random, dtype=torch.float64)
    state = torch.randint(states, (steps, episodes), generator=random)
    action = torch.randint(actions, (steps, episodes), generator=random)
    return logits, state, action, torch.randn(steps, episodes, generator=random, dtype=torch.float64)


def _expected(f: object, logits: Tensor) -> Tensor:
    """E ĝ over all trajectories of the two rooms, by one call: Ψ is the return times N p(τ)."""
    batch = every_batch(two_rooms(), logits, HORIZON)
    state, action, total = batch.state[:-1, :, 0], batch.action[..., 0], batch.reward[..., 0].sum(0)
    weight = (len(batch.prob) * batch.prob * total).expand(HORIZON, -1)
    return torch.as_tensor(f.policy_gradient(logits, state, action, weight))


def _expected_case(title: str, logits: Tensor, **more) -> Case:
    return Case(title, lambda f: _expected(f, logits), gradient_by_autograd(two_rooms(), logits, HORIZON),
                "On average over everything that can happen your estimate must be ∇J.", **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "03_policy_gradients q2")
    for sizes, title in (((1, 2, 1, 1), "one decision"), ((3, 3, 1, 1), "one decision"),
                         ((2, 2, 5, 1), "one episode of three steps"),
                         ((3, 4, 6, 1), "one episode of three steps"),
                         ((2, 3, 2, 4), "three episodes"), ((5, 2, 7, 3), "three episodes")):
        problem = _random_problem(*sizes, random)
        yield _case("random", problem, policy_gradient(*problem), confirms=title)
    yield _expected_case("random", torch.randn(2, 2, generator=random, dtype=torch.float64), confirms=_EXACT)


_EXACT = "over all trajectories of the two rooms it is ∇J"
_LOG3 = float(table(3.0).log())

QUESTION = Question(
    "q2", "The gradient that needs no model", "P1", {"policy_gradient": policy_gradient},
    difficulty=2, importance=5, minutes=15,
    values=(
        # π = (1/4, 3/4); action 0 with weight 8: 8 · (1 − 1/4, −3/4).
        _case("one decision", (table([[0, _LOG3]]), torch.tensor([[0]]), torch.tensor([[0]]), table([[8]])),
              table([[6, -6]]), points=1, by_hand=True),
        # Row 0 (π = 1/4, 3/4): action 1 with weight 4, 4 · (−1/4, 1/4) = (−1, 1); action 0 with weight 2,
        # 2 · (3/4, −3/4) = (1.5, −1.5); row 1 (π = 1/2, 1/2): action 1 with weight −3, −3 · (−1/2, 1/2).
        _case("one episode of three steps",
              (table([[0, _LOG3], [5, 5]]), torch.tensor([[0], [1], [0]]), torch.tensor([[1], [1], [0]]),
               table([[4], [-3], [2]])),
              table([[0.5, -0.5], [1.5, -1.5]]), points=1, by_hand=True),
        # π = 1/3 each. Row 0: action 2, weight 9: (−3, −3, 6); action 0, weight 3: (2, −1, −1). Row 1: action 1,
        # weight −6: (2, −4, 2). Row 2: action 0, weight 12: (8, −4, −4); action 1, weight 3: (−1, 2, −1);
        # action 0 with weight 0. All of it divided by N = 3.
        _case("three episodes",
              (table([[1, 1, 1], [0, 0, 0], [2, 2, 2]]), torch.tensor([[0, 1, 2], [2, 0, 2]]),
               torch.tensor([[2, 1, 0], [1, 0, 0]]), table([[9, -6, 12], [3, 3, 0]])),
              table([[-1, -4, 5], [2, -4, 2], [7, -2, -5]]) / 3, points=2, by_hand=True),
    ),
    properties=(_expected_case(_EXACT, policy_logits(), points=1),),
    seeded=_random_cases,
)
