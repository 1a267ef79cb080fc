"""Exercise 05a, q2: the probabilities of an ε-greedy policy, and what the other form of it means."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations import q_policies
from ..cases import Case, Question
from .tables import numbers, table


def epsilon_greedy_probs(q_values: Tensor, epsilon: float) -> Tensor:
    """1 − ε for the greedy action, ε/(A − 1) for each other one [B, A]: the library's answer."""
    return q_policies.epsilon_greedy_probs(q_values, epsilon=epsilon)


def uniform_epsilon(epsilon: float, actions: int) -> float:
    """ε' = ε A/(A − 1): the library's answer."""
    return q_policies.uniform_epsilon(epsilon, actions)


def _form(greedy: Callable = lambda e, n: 1 - e, other: Callable = lambda e, n: e / (n - 1),
          choose: Callable = lambda q: q.argmax(-1)) -> Callable[..., Tensor]:
    """Probabilities with another share for the greedy action or for the others, or another greedy action [B]."""
    def slip(q_values, epsilon):
        actions = q_values.shape[1]
        best = torch.zeros_like(q_values).scatter_(1, choose(q_values)[:, None], 1.0)
        return best * greedy(epsilon, actions) + (1 - best) * other(epsilon, actions)
    return slip


def _every_best(q_values: Tensor, epsilon: float) -> Tensor:
    """1 − ε for each of the best ones."""
    return torch.where(q_values == q_values.amax(-1, keepdim=True), 1 - epsilon, epsilon / (q_values.shape[1] - 1))


def _shared(q_values: Tensor, epsilon: float) -> Tensor:
    """1 − ε divided among the best ones, ε among the rest, if there is one."""
    best = (q_values == q_values.amax(-1, keepdim=True)).double()
    rest = q_values.shape[1] - best.sum(-1, keepdim=True)
    return torch.where(rest > 0, (1 - epsilon) * best / best.sum(-1, keepdim=True)
                       + epsilon * (1 - best) / rest.clamp(min=1), best / best.sum(-1, keepdim=True))


def _last_best(q_values: Tensor) -> Tensor:
    return q_values.shape[1] - 1 - q_values.flip(-1).argmax(-1)


def _over_the_batch(q_values: Tensor, epsilon: float) -> Tensor:
    """The greedy *state* of each action gets 1 − ε."""
    best = torch.zeros_like(q_values).scatter_(0, q_values.argmax(0)[None], 1.0)
    return best * (1 - epsilon) + (1 - best) * epsilon / (q_values.shape[1] - 1)


# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_form(other=lambda e, n: e / n),
     "Your rows do not sum to 1. The greedy action has 1 − ε, so that ε is left for the A − 1 *others*: ε/(A − 1) "
     "for each."),
    (_form(lambda e, n: 1 - e + e / n, lambda e, n: e / n),
     "That is the uniform form: with probability ε any of *all* actions, the greedy one among them. Here ε is the "
     "chance of another action than the greedy one."),
    (_form(lambda e, n: e, lambda e, n: (1 - e) / (n - 1)),
     "ε stands on the wrong branch: it is the chance of exploring. The greedy action has 1 − ε."),
    (_form(other=lambda e, n: e),
     "Your rows sum to more than 1: ε is the chance of all other actions together, each has ε/(A − 1) of it."),
    (_form(other=lambda e, n: 0.0), "What is left of the 1, ε, has to go to the other actions: ε/(A − 1) each."),
    (_form(choose=lambda q: q.argmin(-1)), "You prefer the worst action: argmax, not argmin."),
    (_every_best,
     "Where several actions are best each of them gets 1 − ε, and the row sums to more than 1. `argmax` names one "
     "of them, the first."),
    (_shared,
     "Where several actions are best you divide 1 − ε among them. That is a policy too, but not the one that is "
     "asked for: the first of them is the greedy action, as `argmax` says, the others are others."),
    (_form(choose=_last_best), "Where several actions are best the *first* of them is asked for, as `argmax` says."),
    (_over_the_batch,
     "The maximum runs over the states. Each state has its own greedy action: `argmax(-1)`, and rows sum to 1."),
    (lambda q_values, epsilon: _form()(q_values, epsilon).T.contiguous(),
     "The axes are exchanged: a row for each state, a column for each action."),
    (lambda q_values, epsilon: q_values.softmax(-1),
     "That is a Boltzmann policy. ε-greedy does not ask how much better the best action is."),
    (lambda q_values, epsilon: torch.full_like(q_values, 1 / q_values.shape[1]),
     "All your actions are equally likely: ε has no effect."),
)
_WRONG_FORMS: tuple[tuple[Callable, str], ...] = (
    (lambda e, n: e * (n - 1) / n,
     "That is the way back, from the uniform form to ours. A uniform draw hits the greedy action too, once in A "
     "times: it must be made *more* often."),
    (lambda e, n: e / n, "That is the chance of one single action. ε' is the chance that the draw is made at all."),
    (lambda e, n: e / (n - 1),
     "That is the chance of each of the others. It equals ε'/A: solve that for ε'."),
    (lambda e, n: e,
     "The same number means different things in both forms: a uniform draw takes the greedy action once in A times."),
    (lambda e, n: e * n, "Solve ε'/A = ε/(A − 1) for ε'."),
    (lambda e, n: e * (n + 1) / n, "Solve ε'/A = ε/(A − 1) for ε'."),
    (lambda e, n: 1 - e * n / (n - 1), "That is the chance that *no* draw is made, 1 − ε'."),
)


def _case(title: str, problem: tuple[Tensor, float], want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.epsilon_greedy_probs(*problem), want,
                "In each row: 1 − ε for the first of the best actions, ε/(A − 1) for each of the others.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _form_case(title: str, places: tuple[tuple[float, int], ...], want: list[float], **more) -> Case:
    return Case(title, lambda f: [f.uniform_epsilon(*place) for place in places], want,
                "An action that is not greedy has ε/(A − 1) in our form and ε'/A in the other: the two must agree.",
                mistakes=tuple(([slip(*place) for place in places], hint) for slip, hint in _WRONG_FORMS), **more)


def _mixture(f: object, q_values: Tensor, epsilon: float) -> Tensor:
    """The uniform form, with your ε': the greedy action with 1 − ε', and ε'/A for all."""
    actions = q_values.shape[1]
    share, greedy = numbers(f.uniform_epsilon(epsilon, actions)), numbers(f.epsilon_greedy_probs(q_values, 0.0))
    return (1 - share) * greedy + share / actions - numbers(f.epsilon_greedy_probs(q_values, epsilon))


def _with_ties(states: int, actions: int, random: torch.Generator) -> Tensor:
    """Values in which every row has its largest entry twice, or more often."""
    q_values = torch.randn(states, actions, generator=random, dtype=torch.float64)
    twice = q_values.amax(-1, keepdim=True) + 1
    where = torch.stack([torch.randperm(actions, generator=random)[:2] for _ in range(states)])
    return q_values.scatter(1, where, twice.expand(states, 2))


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05a_q_learning q2")
    for states, actions, title in ((1, 3, _ONE), (5, 4, _SEVERAL), (4, 2, _SEVERAL), (3, 3, _SEVERAL)):
        problem = (torch.randn(states, actions, generator=random, dtype=torch.float64),
                   0.05 + 0.4 * torch.rand((), generator=random).item())
        yield _case("random", problem, epsilon_greedy_probs(*problem), confirms=title)
    for actions in (3, 5):
        problem = (_with_ties(6, actions, random), 0.05 + 0.4 * torch.rand((), generator=random).item())
        yield _case("random", problem, epsilon_greedy_probs(*problem), confirms=_TIES)
    places = tuple((0.45 * torch.rand((), generator=random).item() + 0.01, actions) for actions in (2, 4, 7))
    yield _form_case("random", places, [uniform_epsilon(*place) for place in places], confirms=_OTHER_FORM)


_ONE, _SEVERAL, _TIES = "one state", "three states, one of them without a good action", "equal values"
_OTHER_FORM = "the other form"
_STATES = torch.randn(6, 5, generator=generator(0, "05a_q_learning q2 states"), dtype=torch.float64)

QUESTION = Question(
    "q2", "Greedy, but not always", "Q3",
    {"epsilon_greedy_probs": epsilon_greedy_probs, "uniform_epsilon": uniform_epsilon},
    difficulty=2, importance=4, minutes=12,
    values=(
        # The second action is the best one: 1 − 0.3; 0.3/2 for each of the two others.
        _case(_ONE, (table([[1, 5, 2]]), 0.3), table([[0.15, 0.7, 0.15]]), points=1, by_hand=True),
        # 1 − 0.4 where the row is largest, 0.4/2 elsewhere.
        _case(_SEVERAL, (table([[1, 3, 2], [-4, -6, -5], [10, 20, 30]]), 0.4),
              table([[0.2, 0.6, 0.2], [0.6, 0.2, 0.2], [0.2, 0.2, 0.6]]), points=1, by_hand=True),
        # The first of the best ones, with 1 − 0.6; 0.6/3 for each other.
        _case(_TIES, (table([[1, 7, 7, 7], [2, 2, 1, 0], [0, 0, 0, 0]]), 0.6),
              table([[0.2, 0.4, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2], [0.4, 0.2, 0.2, 0.2]]), points=1, by_hand=True),
        # ε'/2 = 0.3/1; ε'/3 = 0.3/2; ε'/5 = 0.4/4; never is never.
        _form_case(_OTHER_FORM, ((0.3, 2), (0.3, 3), (0.4, 5), (0.0, 4)), [0.6, 0.45, 0.5, 0.0], points=1,
                   by_hand=True),
    ),
    properties=(
        Case("both forms are one policy", lambda f: _mixture(f, _STATES, 0.35), torch.zeros(6, 5).double(),
             "(1 − ε') · greedy + ε'/A must be what your first function gives for ε.", points=1),
    ),
    seeded=_random_cases,
)
