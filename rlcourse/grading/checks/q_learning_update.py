"""Exercise 05a, q3: a table that learns after every step, by three rules."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import torch
from torch import Tensor

from ...core.seeding import generator, uniforms
from ...equations import q_policies, td
from ..cases import Case, Question
from .tables import numbers, table

Problem = tuple[Tensor, list, str, float, float, float]
RULES = ("q", "sarsa", "expected_sarsa")


def learn(q_values: Tensor, steps: list, rule: str, learning_rate: float, discount: float, epsilon: float) -> Tensor:
    """The tables after each step [T, S, A], with the library's targets."""
    q_values, tables = q_values.clone(), []
    for state, action, reward, next_state, next_action, terminated in steps:
        reward, over, after = table(reward), torch.tensor(terminated), q_values[next_state]
        if rule == "q":
            target = td.q_target(reward, after, over, discount=discount)
        elif rule == "sarsa":
            target = td.sarsa_target(reward, after[next_action], over, discount=discount)
        else:
            target = td.expected_sarsa_target(reward, after, q_policies.epsilon_greedy_probs(after, epsilon=epsilon),
                                              over, discount=discount)
        q_values[state, action] += learning_rate * (target - q_values[state, action])
        tables.append(q_values.clone())
    return torch.stack(tables)


def _other_share(row: Tensor, epsilon: float) -> Tensor:
    return (row.sum() - row.max()) / (len(row) - 1)


def _q(row, next_action, epsilon):
    return row.max()


def _sarsa(row, next_action, epsilon):
    return row[next_action]


def _expected(row, next_action, epsilon):
    return (1 - epsilon) * row.max() + epsilon * _other_share(row, epsilon)


_VALUES: dict[str, Callable] = {"q": _q, "sarsa": _sarsa, "expected_sarsa": _expected}


def _move(q, state, action, rate, target):
    q[state, action] += rate * (target() - q[state, action])


def _by(values: dict[str, Callable] | None = None, mask: Callable = lambda over: not over,
        move: Callable = _move, stale: bool = False, aliased: bool = False,
        row: Callable = lambda step: step[3]) -> Callable[..., Tensor]:
    """The loop, in which every argument replaces one of its rules.

    values: of the next state, by rule. mask: whether it counts. move: how the entry moves to its target. stale:
    all targets come from the table at the start. aliased: one table, listed T times. row: the state asked.
    """
    values = {**_VALUES, **(values or {})}

    def slip(q_values, steps, rule, learning_rate, discount, epsilon):
        q, tables = q_values.clone(), []
        for step in steps:
            state, action, reward, _, next_action, over = step
            seen = q_values if stale else q
            move(q, state, action, learning_rate, lambda: reward + discount * mask(over) * values[rule](
                seen[row(step)], next_action, epsilon))
            tables.append(q if aliased else q.clone())
        return torch.stack(tables)
    return slip


def _half_updated(q, state, action, rate, target):
    q[state, action] *= 1 - rate
    q[state, action] += rate * target()


def _no_pull(q, state, action, rate, target):
    q[state, action] += rate * target()


def _replaced(q, state, action, rate, target):
    q[state, action] = target()


def _exchanged_rate(q, state, action, rate, target):
    q[state, action] = rate * q[state, action] + (1 - rate) * target()


def _away(q, state, action, rate, target):
    q[state, action] -= rate * (target() - q[state, action])


def _undiscounted(q_values, steps, rule, learning_rate, discount, epsilon):
    return learn(q_values, steps, rule, learning_rate, 1.0, epsilon)


def _last_only(*problem):
    return learn(*problem)[-1]


def _with_the_start(q_values, *rest):
    return torch.cat([q_values[None], learn(q_values, *rest)])


def _all_rules(value: Callable) -> dict[str, Callable]:
    return dict.fromkeys(RULES, value)


def _expected_with(greedy: Callable, other: Callable) -> dict[str, Callable]:
    def value(row, next_action, epsilon):
        return greedy(epsilon, len(row)) * row.max() + other(epsilon, len(row)) * (row.sum() - row.max())
    return {"expected_sarsa": value}


# The order matters where two slips give the same number.
_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_by(mask=lambda over: True),
     "You look behind the end of the problem: where the step terminated the target is the reward alone."),
    (_by(aliased=True),
     "All your tables are the last one: the list holds the *same* tensor T times, and later updates change it. "
     "Append `q_values.clone()`."),
    (_by(stale=True),
     "All targets come from the table that you were given. Online means that each update sees what the one before "
     "it wrote: read the row of s' from the table as it is now."),
    (_by(move=_half_updated),
     "The table is changed before the target is read. Where a step leads back to its own state the target then "
     "contains a half-updated entry. First the target, then the update."),
    (_by(move=_no_pull),
     "The old value is not subtracted: Q moves *towards* the target, by α times what is missing, y − Q(s, a)."),
    (_by(move=_replaced),
     "You replace the entry by its target. One sample is noise: move by the share α only."),
    (_by(move=_exchanged_rate), "α and 1 − α are exchanged: α is the weight of the new target."),
    (_by(move=_away), "The sign of the update is turned: the entry moves away from its target."),
    (_undiscounted, "γ is forgotten: the value of s' counts γ."),
    (_by(row=lambda step: step[0]),
     "You take the value of the state *in which* the action was taken. The target looks at the state to which the "
     "step led."),
    (_by({"q": _sarsa}),
     "That is SARSA's value: Q-learning does not ask which action was taken in s', it takes the best one. This is "
     "what makes it off-policy."),
    (_by({"q": _expected}), "Q-learning does not average over what the policy does in s': it takes the maximum."),
    (_by({"sarsa": _q}),
     "SARSA does not take the maximum: its target is Q(s', a') of the action a' that is really taken next, "
     "exploring or not."),
    (_by({"sarsa": _expected}), "SARSA does not average: its target is Q(s', a') of the one action a' taken next."),
    (_by({"expected_sarsa": _q}),
     "That is Q-learning. Expected SARSA takes the mean over what the ε-greedy policy would do in s'."),
    (_by({"expected_sarsa": _sarsa}),
     "That is SARSA. Expected SARSA asks for no action: it takes the mean over what the policy would do in s'."),
    (_by(_expected_with(lambda e, n: 1 - e + e / n, lambda e, n: e / n)),
     "That is the uniform form of ε-greedy. Here the greedy action has 1 − ε, and each other one ε/(A − 1), as in q2."),
    (_by(_expected_with(lambda e, n: 1 - e, lambda e, n: e / n)),
     "Your probabilities do not sum to 1: each of the A − 1 other actions has ε/(A − 1), as in q2."),
    (_by(_expected_with(lambda e, n: e, lambda e, n: (1 - e) / (n - 1))),
     "ε stands on the wrong branch: the greedy action has 1 − ε."),
    (_by(_expected_with(lambda e, n: 1 / n, lambda e, n: 1 / n)),
     "That is the plain mean over all actions. Each counts with its probability under the ε-greedy policy, as in q2."),
    (_by(_all_rules(_q)), "`rule` is ignored: all three are Q-learning."),
    (_by(_all_rules(_sarsa)), "`rule` is ignored: all three are SARSA."),
    (_last_only, "That is the last table alone. The table after *every* step is asked for, [T, S, A]."),
    (_with_the_start, "The table at the start is not part of the answer: one table for each step, [T, S, A]."),
)


def _case(title: str, problem: Problem, want: Tensor, **more) -> Case:
    return Case(title, lambda f: f.learn(*problem), want,
                "After each step Q(s, a) ← Q(s, a) + α (y − Q(s, a)), nothing else moves, and a copy of the table goes "
                "into the list. The rules differ in y alone.",
                mistakes=tuple((slip(*problem), hint) for slip, hint in _SLIPS), **more)


def _random_problem(rule: str, states: int, actions: int, count: int, random: torch.Generator) -> Problem:
    """Steps between random states, one that stays where it is, and one that ends."""
    state = torch.randint(states, (count + 1,), generator=random)
    action = torch.randint(actions, (count + 1,), generator=random).tolist()
    state[2] = state[1]
    state = state.tolist()
    reward = (3 * torch.randn(count, generator=random, dtype=torch.float64)).tolist()
    q_values = 5 * torch.randn(states, actions, generator=random, dtype=torch.float64)
    steps = [[state[t], action[t], reward[t], state[t + 1], action[t + 1], t == count - 2] for t in range(count)]
    return (q_values, steps, rule, *(0.3 + 0.4 * uniforms((2,), random).double()).tolist(),
            0.1 + 0.2 * torch.rand((), generator=random).item())


def _what_matters(f: object, problem: Problem) -> list:
    """By rule: how the last table changes with other actions taken next, and with another ε."""
    q_values, steps, _, rate, discount, epsilon = problem
    actions = q_values.shape[1]
    others = [[*step[:4], (step[4] + 1) % actions, step[5]] for step in steps]

    def last(rule, steps, epsilon):
        return numbers(f.learn(q_values, steps, rule, rate, discount, epsilon))[-1]

    return [last(rule, asked, chance) - last(rule, steps, epsilon)
            for rule in RULES for asked, chance in ((others, epsilon), (steps, 0.5))]


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "05a_q_learning q3")
    for rule, title in zip(RULES, _TITLES):
        for actions in (2, 4):
            problem = _random_problem(rule, 3, actions, 8, random)
            yield _case("random", problem, learn(*problem), confirms=title)


_TITLES = ("Q-learning", "SARSA", "expected SARSA")
_STEPS = [[0, 0, 10.0, 1, 1, False], [1, 1, 1.0, 0, 0, False], [0, 1, -2.0, 1, 0, True], [1, 0, 0.0, 1, 0, False]]
_TABLE = table([[0, 4], [8, 2]])
_OTHER = _random_problem("q", 4, 3, 12, generator(0, "05a_q_learning q3 other"))

QUESTION = Question(
    "q3", "After every step, by three rules", "Q1", {"learn": learn}, difficulty=3, importance=5, minutes=20,
    values=(
        # y = 10 + 8/2 = 14, half the way from 0; 1 + 7/2 = 4.5, half the way from 2; over: −2, half the way from 4;
        # 0 + 8/2 = 4, half the way from 8.
        _case("Q-learning", (_TABLE, _STEPS, "q", 0.5, 0.5, 0.25),
              table([[[7, 4], [8, 2]], [[7, 4], [8, 3.25]], [[7, 1], [8, 3.25]], [[7, 1], [6, 3.25]]]),
              points=2, by_hand=True),
        # y = 10 + 2/2 = 11, half the way from 0; 1 + 5.5/2 = 3.75 from 2; over: −2 from 4; 0 + 8/2 = 4 from 8.
        _case("SARSA", (_TABLE, _STEPS, "sarsa", 0.5, 0.5, 0.25),
              table([[[5.5, 4], [8, 2]], [[5.5, 4], [8, 2.875]], [[5.5, 1], [8, 2.875]], [[5.5, 1], [6, 2.875]]]),
              points=1, by_hand=True),
        # Three quarters of the larger and one of the smaller: y = 10 + (6 + 0.5)/2 = 13.25 from 0; now the row of
        # state 0 is 6.625, 4: 1 + (4.96875 + 1)/2 = 3.984375 from 2; over: −2 from 4; the row of state 1 is 8,
        # 2.9921875: 0 + (6 + 0.748046875)/2 = 3.3740234375 from 8.
        _case("expected SARSA", (_TABLE, _STEPS, "expected_sarsa", 0.5, 0.5, 0.25),
              table([[[6.625, 4], [8, 2]], [[6.625, 4], [8, 2.9921875]], [[6.625, 1], [8, 2.9921875]],
                     [[6.625, 1], [5.68701171875, 2.9921875]]]), points=2, by_hand=True),
    ),
    properties=(
        Case("what was done next matters to SARSA alone, ε to expected SARSA alone",
             lambda f: _what_matters(f, _OTHER), _what_matters(SimpleNamespace(learn=learn), _OTHER),
             "Q-learning uses neither the action a' nor ε, SARSA only a', expected SARSA only ε.", points=1),
    ),
    seeded=_random_cases,
)
