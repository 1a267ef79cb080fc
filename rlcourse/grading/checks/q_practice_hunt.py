"""Exercise 05b, q7: the bug hunt in a small DQN, in what it does and in what it learns."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator, uniforms
from ...equations.td import greedy_action, q_target
from ..cases import Case, Question
from .tables import numbers, table

Acting = tuple[Tensor, float, Tensor, Tensor]
Round = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float, float]


def choose(q_values: Tensor, epsilon: float, uniform: Tensor, random_action: Tensor) -> Tensor:
    """The random action where u < ε, else the library's greedy one [B]."""
    return torch.where(uniform < epsilon, random_action, greedy_action(q_values))


def learn(q_table: Tensor, obs: Tensor, action: Tensor, reward: Tensor, next_obs: Tensor, terminated: Tensor,
          learning_rate: float, discount: float) -> Tensor:
    """The table [S, A] after T minibatches, with the library's target from the table before them."""
    target = q_target(reward, q_table[next_obs], terminated, discount=discount)
    for t in range(len(obs)):
        step = torch.zeros_like(q_table)
        step.index_put_((obs[t], action[t]), target[t] - q_table[obs[t], action[t]], accumulate=True)
        q_table = q_table + learning_rate * step
    return q_table


_ACTING: tuple[tuple[Callable, str], ...] = (
    (lambda q, e, u, r: torch.where(u < e, q.argmax(-1), r),
     "The first bug is still there: ε stands on the wrong branch. It is the chance of a *random* action: where "
     "`uniform < epsilon`."),
    (lambda q, e, u, r: q.argmax(-1), "You never explore: where `uniform < epsilon` the random action is taken."),
    (lambda q, e, u, r: r.clone(), "You always explore: the random action is taken only where `uniform < epsilon`."),
    (lambda q, e, u, r: torch.where(u > 1 - e, r, q.argmax(-1)),
     "You explore as often as is asked for, but elsewhere: where `uniform < epsilon`, so that runs can be compared."),
    (lambda q, e, u, r: torch.where(u < e, r, q.argmin(-1)), "You take the worst action where the best is asked for."),
    (lambda q, e, u, r: torch.where(u < e, r, q.argmax()),
     "That argmax runs over the whole batch. Each row has its own greedy action: `argmax(-1)`."),
    (lambda q, e, u, r: torch.where(u < e, r.double(), q.amax(-1)),
     "amax is what the best action is worth. Which action it is says argmax."),
)


def _round(value: Callable = lambda table, still, s: still[s].amax(-1), mask: Callable = lambda over: ~over,
           add: bool = True, scale: Callable = lambda size: 1.0, sign: float = 1.0,
           result: Callable = lambda table, still: table, paid: Callable = lambda over: 1.0,
           old: Callable = lambda over: 1.0) -> Callable[..., Tensor]:
    """A round with another value of s', mask, way of adding, or sign; `still` is the table before the round."""
    def slip(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
        still, q_table = q_table, q_table.clone()
        for t in range(len(obs)):
            over = terminated[t]
            y = paid(over) * reward[t] + discount * mask(over) * value(q_table, still, next_obs[t])
            error = sign * learning_rate * scale(len(y)) * (y - old(over) * q_table[obs[t], action[t]])
            if add:
                q_table.index_put_((obs[t], action[t]), error, accumulate=True)
            else:
                q_table[obs[t], action[t]] += error
        return result(q_table, still)
    return slip


def _moving(table: Tensor, still: Tensor, s: Tensor) -> Tensor:
    return table[s].amax(-1)


def _unmasked(over: Tensor) -> Tensor:
    return torch.ones_like(over)


def _first_only(q_table, obs, action, reward, next_obs, terminated, learning_rate, discount):
    return learn(q_table, obs[:1], action[:1], reward[:1], next_obs[:1], terminated[:1], learning_rate, discount)


def _undiscounted(*problem):
    return learn(*problem[:-1], 1.0)


_LEFT = "One of two bugs is left in `learn`. "
_ALIAS = ("Your target moves: after the first minibatch the second one sees what the first has written. "
          "`target = table` makes no copy but a second name for the same numbers; `table.clone()` makes one, once for "
          "the whole round.")
_END = ("Behind a terminated step there is nothing, and your targets count the row of the table that belongs to it: "
        "20 at the start, for ever. To fall is as good as the best life.")

# The order matters where two slips give the same number.
_LEARNING: tuple[tuple[Callable, str], ...] = (
    (_round(_moving, _unmasked),
     "Both bugs of `learn` are still there. Ask of its targets: is anything to come behind the end, and do the targets "
     "stand still while the table moves?"),
    (_round(_moving), _LEFT + _ALIAS),
    (_round(mask=_unmasked), _LEFT + _END),
    (_round(mask=lambda over: over), "The mask is turned round: only what is over has a value in yours."),
    (_round(paid=lambda over: ~over),
     "You mask the reward too. The last step was made and paid; only the value behind it goes."),
    (_round(old=lambda over: ~over),
     "You mask Q(s, a) too. The state of the last step was as real as any: only what is behind it goes."),
    (_round(paid=lambda over: ~over, old=lambda over: ~over),
     "You leave out the last steps altogether. They were made and paid: only the value behind them goes."),
    (_round(add=False),
     "Where a minibatch holds one pair twice only one of them counts in yours: `+=` on indices writes, it does not "
     "add up. `index_put_(…, accumulate=True)` does; that line was sound."),
    (_round(scale=lambda size: 1 / size), "The steps of a minibatch are added up, not averaged; that line was sound."),
    (_round(sign=-1.0), "The sign of the update is turned: the entry moves away from its target."),
    (_round(result=lambda table, still: still.clone()),
     "That is the table as it was before the round. The table that has learned is asked for."),
    (_round(lambda table, still, s: torch.minimum(still, table)[s].amax(-1)), _ALIAS),
    (_first_only, "Only the first minibatch is used. All T of them, one after the other."),
    (_undiscounted, "The discount is lost: the value of s' counts γ."),
)


def _acting_case(title: str, problem: Acting, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.choose(*problem), want,
                "The random action where uniform < ε, the greedy one of the row elsewhere.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _ACTING), **more)


def _learning_case(title: str, problem: Round, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.learn(*problem), want,
                "Minibatch by minibatch: y = r + γ max of the *still* target's row of s', without it behind an end; "
                "then Q(s, a) moves by α (y − Q(s, a)), summed over the minibatch.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _LEARNING), **more)


def _behind(f: object, problem: Round) -> Tensor:
    """What other values in the row of the end, state 3, change in the rows of the others [3, A]."""
    q_table, *rest = problem
    other = q_table.clone()
    other[3] += 7
    return (numbers(f.learn(other, *rest)) - numbers(f.learn(q_table, *rest)))[:3]


def _behind_case(title: str, problem: Round, **more) -> Case:
    return Case(title, lambda f: _behind(f, problem), torch.zeros_like(problem[0][:3]),
                "Whatever the table says of the end, no other row may ever hear of it.", **more)


def _random_acting(size: int, actions: int, random: torch.Generator) -> Acting:
    return (torch.randn(size, actions, generator=random, dtype=torch.float64),
            0.2 + 0.3 * torch.rand((), generator=random).item(), uniforms((size,), random).double(),
            torch.randint(actions, (size,), generator=random))


def _random_round(updates: int, size: int, random: torch.Generator) -> Round:
    """Transitions between states 0, 1, 2, and an end, state 3, to which every fifth leads or so."""
    obs, next_obs = torch.randint(3, (2, updates, size), generator=random)
    over = torch.rand(updates, size, generator=random) < 0.2
    over[0, 0] = True
    return (3 * torch.randn(4, 2, generator=random, dtype=torch.float64), obs,
            torch.randint(2, (updates, size), generator=random),
            torch.randn(updates, size, generator=random, dtype=torch.float64), torch.where(over, 3, next_obs), over,
            *(0.2 + 0.6 * uniforms((2,), random).double()).tolist())


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05b_q_in_practice q7")
    acting = _random_acting(20, 4, random)
    yield _acting_case("random", acting, choose(*acting), confirms=_ACT)
    for updates, size, title in ((1, 2, _END_TITLE), (3, 1, _STILL), (4, 8, _ALL)):
        problem = _random_round(updates, size, random)
        if title == _STILL:
            problem[4][:], problem[5][:] = 0, False
            problem[1][:2], problem[2][:2] = 0, problem[0][0].argmax()
        yield _learning_case("random", problem, learn(*problem), confirms=title)
    q_table, obs, action, reward, _, over, *rates = _random_round(1, 4, random)
    quiet = (q_table, obs, action, reward, obs.flip(1), torch.zeros_like(over), *rates)
    yield _learning_case("random", quiet, learn(*quiet), confirms=_ONE)
    yield _behind_case("random", problem, confirms=_BEHIND)


def _whole(rows: list) -> Tensor:
    return torch.tensor(rows)


_ACT, _ONE, _END_TITLE = "what is done", "one minibatch", "an end"
_STILL, _ALL, _BEHIND = "a target that stands still", "all together", "the end has no say"
_TABLE = table([[0, 4], [8, 2]])
_OPEN = torch.tensor([[False]])
_LONG = _random_round(3, 6, generator(0, "05b_q_in_practice q7 long"))
_MIXED = _random_round(3, 6, generator(0, "05b_q_in_practice q7 mixed"))

QUESTION = Question(
    "q7", "Bug hunt: on stilts", "Q9", {"choose": choose, "learn": learn}, difficulty=4, importance=5, minutes=25,
    values=(
        # 0.9 and 0.3 are not below 0.25: the largest of the row; 0.1 and 0.2 are: the random ones.
        _acting_case(_ACT, (table([[1, 5, 2], [1, 5, 2], [7, 0, 0], [0, 0, 3]]), 0.25, table([0.9, 0.1, 0.2, 0.3]),
                            _whole([0, 0, 2, 1])), _whole([1, 0, 2, 2]).double(), points=1, by_hand=True),
        # y = 1 + 8/2 = 5, half the way from 0; and once more the same pair, y = 3 + 4/2: another half of 5 − 0.
        _learning_case(_ONE, (_TABLE, _whole([[0, 0]]), _whole([[0, 0]]), table([[1, 3]]), _whole([[1, 0]]),
                              torch.tensor([[False, False]]), 0.5, 0.5), table([[5, 4], [8, 2]]), points=1,
                       by_hand=True),
        # It ended in state 1: y = 1, half the way from 4.
        _learning_case(_END_TITLE, (_TABLE, _whole([[0]]), _whole([[1]]), table([[1]]), _whole([[1]]), ~_OPEN, 0.5,
                                    0.5), table([[0, 2.5], [8, 2]]), points=1, by_hand=True),
        # From state 1 to itself: y = 2 + 8/2 = 6, half the way from 8: 7. Then from state 0 to state 1, of which the
        # target still says 8: y = 0 + 8/2 = 4, half the way from 0: 2.
        _learning_case(_STILL, (_TABLE, _whole([[1], [0]]), _whole([[0], [0]]), table([[2], [0]]), _whole([[1], [1]]),
                                torch.cat([_OPEN, _OPEN]), 0.5, 0.5), table([[2, 4], [7, 2]]), points=1, by_hand=True),
        _learning_case(_ALL, _MIXED, learn(*_MIXED), points=1),
    ),
    properties=(_behind_case(_BEHIND, _LONG, points=1),),
    seeded=_random_cases,
)
