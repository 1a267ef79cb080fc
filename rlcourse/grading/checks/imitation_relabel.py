"""Exercise 02, q6: relabelling a drive with the goals that it reached."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ...core.seeding import generator
from ...equations.imitation_goals import relabel
from ..cases import Case, Question


def _pick(states: Tensor, actions: Tensor, pairs: list, acts: Callable = lambda t, k: t) -> list[Tensor]:
    """(sₜ, sₖ, action) for pairs of times; the action is the one at `acts(t, k)`."""
    now, later = ([pair[side] for pair in pairs] for side in (0, 1))
    when = [acts(t, k) for t, k in pairs]
    return [states[now], states[later], actions[when]]


def _pairs(steps: int) -> list[tuple[int, int]]:
    return [(t, k) for t in range(steps) for k in range(t + 1, steps + 1)]


def _last_only(states, actions):
    return _pick(states, actions, [(t, len(actions)) for t in range(len(actions))])


def _next_only(states, actions):
    return _pick(states, actions, [(t, t + 1) for t in range(len(actions))])


def _past_too(states, actions):
    steps = len(actions)
    return _pick(states, actions, [(t, k) for t in range(steps) for k in range(steps + 1) if k != t])


def _all_times(states, actions):
    steps = len(actions)
    return _pick(states, actions, [(t, k) for t in range(steps) for k in range(steps + 1)])


def _itself_too(states, actions):
    steps = len(actions)
    return _pick(states, actions, [(t, k) for t in range(steps) for k in range(t, steps + 1)])


def _without_the_end(states, actions):
    return _pick(states, actions, [(t, k) for t, k in _pairs(len(actions)) if k < len(actions)])


def _itself_without_the_end(states, actions):
    steps = len(actions)
    return _pick(states, actions, [(t, k) for t in range(steps) for k in range(t, steps)])


def _last_action(states, actions):
    return _pick(states, actions, _pairs(len(actions)), lambda t, k: k - 1)


def _goal_action(states, actions):
    return _pick(states, actions, [pair for pair in _pairs(len(actions)) if pair[1] < len(actions)], lambda t, k: k)


def _by_goal(states, actions):
    return _pick(states, actions, sorted(_pairs(len(actions)), key=lambda pair: pair[::-1]))


def _goal_first(states, actions):
    state, goal, action = relabel(states, actions)
    return [goal, state, action]


_ITSELF = "k = t is among your pairs: a state becomes its own goal, and cloning learns to move when it is there."

_SLIPS: tuple[tuple[Callable, str], ...] = (
    (_last_only,
     "Only the last state serves as a goal. The drive also reached every state on the way: each later "
     "one is a goal."),
    (_next_only,
     "Only the next state serves as a goal. What comes after it was reached as well: k goes up to T."),
    (_past_too,
     "States of the past are among your goals. What was done at time t did not lead there: k > t."),
    (_itself_too, _ITSELF),
    (_all_times,
     "Every state serves as a goal, the past and the present too. What was done at time t led to the "
     "later ones: k > t."),
    (_without_the_end,
     "The last state is never a goal. There are T actions and T + 1 states: k goes up to T, included."),
    (_itself_without_the_end, _ITSELF + " And the last state is missing."),
    (_last_action,
     "You give the action that led into the goal, at time k − 1. In state sₜ the driver did aₜ."),
    (_goal_action,
     "You give the action taken at the goal, at time k, so the last state cannot be one. In state sₜ the "
     "driver did aₜ."),
    (_by_goal, "The right pairs in another order: all k of t = 0 first, then those of t = 1, and so on."),
    (_goal_first, "State and goal are exchanged: the answer is (state, goal, action)."),
)


def _named(tensors: object) -> dict[str, object]:
    """The three tensors by name; fewer or more of them keep their places."""
    names = ("state", "goal", "action", *(f"value {n}" for n in range(3, 100)))
    return dict(zip(names, tensors[:len(names)]))  # a tensor of a million rows would be taken apart whole


def _case(title: str, states: Tensor, actions: Tensor, want: tuple[Tensor, ...], **more) -> Case:
    return Case(title, lambda f: _named(f.relabel(states, actions)), _named(want),
                "Write the pairs t < k of a drive of two steps on paper, (0, 1), (0, 2), (1, 2): state t, "
                "state k, action t.",
                mistakes=tuple((_named(slip(states, actions)), hint) for slip, hint in _SLIPS), **more)


def _steps_ahead(f: object, states: Tensor, actions: Tensor) -> dict[str, object]:
    """How many pairs, and how far ahead their goals are, in a drive in which the state is the time."""
    state, goal, _ = (torch.as_tensor(each) for each in f.relabel(states, actions))
    return {"pairs": len(state), "steps to the nearest goal": (goal - state).min(),
            "steps to the furthest goal": (goal - state).max()}


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q6")
    for steps, title in ((1, "three steps"), (3, "three steps"), (6, "four steps, back where it was"),
                         (9, "four steps, back where it was")):
        # Distinct states and actions on the short drives, so that no slip is right by luck.
        states = torch.randperm(10, generator=random)[:steps + 1]
        if title.startswith("four"):
            states[-1] = states[0]
        actions = torch.randperm(9, generator=random)[:steps]
        yield _case("random", states, actions, relabel(states, actions), confirms=title)


QUESTION = Question(
    "q6", "Every drive is a lesson", "I6", {"relabel": relabel}, difficulty=2, importance=3, minutes=15,
    values=(
        # The pairs (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3).
        _case("three steps", torch.tensor([4, 7, 5, 8]), torch.tensor([1, 0, 2]),
              (torch.tensor([4, 4, 4, 7, 7, 5]), torch.tensor([7, 5, 8, 5, 8, 8]),
               torch.tensor([1, 1, 1, 0, 0, 2])), points=2, by_hand=True),
        # (0,1) (0,2) (0,3) (0,4) (1,2) (1,3) (1,4) (2,3) (2,4) (3,4); the state 6 is seen twice.
        _case("four steps, back where it was", torch.tensor([6, 1, 2, 9, 6]), torch.tensor([0, 3, 1, 2]),
              (torch.tensor([6, 6, 6, 6, 1, 1, 1, 2, 2, 9]), torch.tensor([1, 2, 9, 6, 2, 9, 6, 9, 6, 6]),
               torch.tensor([0, 0, 0, 0, 3, 3, 3, 1, 1, 2])), points=2, by_hand=True),
    ),
    properties=(
        Case("a hundred steps: T(T + 1)/2 pairs, goals 1 to T steps ahead",
             lambda f: _steps_ahead(f, torch.arange(101), torch.zeros(100, dtype=torch.int64)),
             {"pairs": 5050, "steps to the nearest goal": 1, "steps to the furthest goal": 100},
             "Every pair t < k ≤ T once: T of them for t = 0, one for t = T − 1.", points=1),
    ),
    seeded=_random_cases,
)
