"""Exercise 02, q4: the bug hunt in DAgger's loop, on drives that can be followed by hand.

The worlds are deterministic: a table says where each action leads, each drive has its own start. A
policy is the table of label counts [S, A] and drives by the most frequent label (action 0 where there is
none), so that the list of policies shows which labels each fit was given, in whatever order.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ...algorithms.dagger import dagger
from ...core.seeding import generator
from ..cases import Case, Question


_MOST = 1000  # states in one call, and pairs in one data set


class World(NamedTuple):
    """`next_state` [S, A], the expert's action in each state [S], a start for each drive, steps a drive."""

    next_state: Tensor
    expert: Tensor
    starts: tuple[int, ...]
    horizon: int


def callbacks(world: World) -> tuple[Callable, Callable, Callable]:
    """collect, label and fit of a world, at the first of its drives."""
    starts = iter(world.starts)

    def collect(policy):
        if policy is not None and tuple(getattr(policy, "shape", ())) != tuple(world.next_state.shape):
            raise ValueError("collect: expected None or a policy that fit gave back")
        actions = world.expert if policy is None else policy.argmax(-1)
        state = next(starts, None)
        if state is None:
            raise ValueError("collect: there is one drive for each round and one before them, and it is over")
        visited = []
        for _ in range(world.horizon):
            visited.append(state)
            state = int(world.next_state[state, actions[state]])
        return torch.tensor(visited)

    def label(states):
        return world.expert[_few_indices("label", states)]

    def fit(dataset):
        counts = torch.zeros(world.next_state.shape, dtype=torch.float64)
        if not isinstance(dataset, (list, tuple)) or len(dataset) > _MOST or not all(
                isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in dataset):
            raise ValueError("fit: expected a list of (states, labels) pairs")
        for states, labels in dataset:
            states, labels = _few_indices("fit", states), _few_indices("fit", labels)
            counts.index_put_((states, labels), torch.ones(len(states), dtype=torch.float64), accumulate=True)
        return counts

    return collect, label, fit


def _few_indices(name: str, values: object) -> Tensor:
    """States or labels as int64 [n]. These functions work for a student: nobody makes them work for long."""
    if isinstance(values, (list, tuple)) and len(values) > _MOST or not isinstance(values, (list, tuple, Tensor)):
        raise ValueError(f"{name}: expected whole numbers in a tensor [n]")
    indices = torch.as_tensor(values)
    if indices.ndim != 1 or len(indices) > _MOST or indices.is_floating_point() and indices.numel():
        raise ValueError(f"{name}: expected whole numbers in a tensor [n], got shape {list(indices.shape)}")
    return indices.long()


def policies(loop: Callable, rounds: int, world: World) -> list[Tensor]:
    """What a loop gives in a world."""
    return list(loop(rounds, *callbacks(world)))


def _named(made: object) -> object:
    """The policies of the rounds, by what they are: a student sees the name beside the numbers."""
    if not isinstance(made, list) or len(made) > _MOST:
        return made
    return {f"round {number}, counts of labels by state and action": policy for number, policy in enumerate(made)}


def _slip(replace: bool = False, own_labels: bool = False, driver: str = "learner",
          fits: int = 1) -> Callable:
    """DAgger's loop with one slip."""
    def loop(rounds, collect, label, fit):
        policy, dataset, made = None, [], []
        for _ in range(rounds + fits):
            drives = {"learner": policy, "expert": None, "first": made[0] if made else None}[driver]
            states = collect(drives)
            labels = policy[states].argmax(-1) if own_labels and policy is not None else label(states)
            dataset = [(states, labels)] if replace else [*dataset, (states, labels)]
            policy = fit(dataset)
            made.append(policy)
        return made
    return loop


_SLIPS = (
    (_slip(replace=True),
     "Each fit sees the labels of its own round only and forgets the earlier ones. "
     "The A in DAgger is for aggregation."),
    (_slip(own_labels=True),
     "The labels are what the learner did, so it learns to go on as it is. Ask the expert: `label(states)`."),
    (_slip(driver="expert"),
     "The expert drives in every round, so the learner's own states never get a label. "
     "After the first round the learner drives."),
    (_slip(driver="first"),
     "The same first policy drives in every round. Let the newest one drive: it makes the mistakes "
     "that are left."),
    (_slip(fits=0),
     "One policy is missing: the first fit is plain cloning, and each round after it adds one, "
     "rounds + 1 in all."),
)


def _case(title: str, rounds: int, world: World, want: list[Tensor], **more) -> Case:
    return Case(title, lambda f: _named(f.dagger(rounds, *callbacks(world))), _named(want),
                "Follow one round on paper: who drives, who labels, and what does `fit` get to see?",
                mistakes=tuple((_named(policies(slip, rounds, world)), hint) for slip, hint in _SLIPS), **more)


def _labels_asked(f: object, rounds: int, world: World) -> int:
    """How many labels the expert has to give, all in all."""
    collect, expert, fit = callbacks(world)
    asked = []

    def label(states):
        labels = expert(states)
        asked.append(len(labels))
        return labels

    f.dagger(rounds, collect, label, fit)
    return sum(asked)


def _asked_case(title: str, rounds: int, world: World, **more) -> Case:
    return Case(title, lambda f: _labels_asked(f, rounds, world), world.horizon * (rounds + 1),
                "The expert's time is what DAgger costs: ask about the states of the new drive only, and "
                "keep the old labels.", **more)


def _random_cases(seed: int) -> Iterator[Case]:
    random = generator(seed, "02_imitation q4")
    for rounds, states, actions in ((0, 3, 2), (1, 4, 2), (4, 6, 3), (6, 12, 3)):
        draw = torch.randint(0, states, (states * actions + rounds + 1,), generator=random).tolist()
        world = World(torch.tensor(draw[:states * actions]).view(states, actions),
                      torch.randint(0, actions, (states,), generator=random),
                      tuple(draw[states * actions:]), states)
        title = {0: "no rounds: plain cloning", 1: "one round"}.get(rounds, "three rounds, four starts")
        yield _case("random", rounds, world, policies(dagger, rounds, world), confirms=title)
        yield _asked_case("random", rounds, world, confirms="the expert is asked once for each state")


# States: road, verge, ditch. Actions: straight, back. Straight on the verge leads into the ditch.
_ROAD = torch.tensor([[0, 1], [2, 0], [2, 1]])
_EXPERT = torch.tensor([0, 1, 1])
_SHORT = World(_ROAD, _EXPERT, starts=(0, 1), horizon=3)
# Two verges and two ditches: road, left verge, left ditch, right verge, right ditch; straight, left, right.
_STREET = World(torch.tensor([[0, 1, 3], [2, 2, 0], [2, 2, 1], [4, 0, 4], [4, 3, 4]]),
                torch.tensor([0, 2, 2, 1, 1]), starts=(0, 1, 4, 2), horizon=4)

QUESTION = Question(
    "q4", "Bug hunt: a DAgger that does not converge", "I7", {"dagger": dagger}, difficulty=2, importance=5,
    minutes=15,
    values=(
        # The expert drives 0 0 0 and says "straight" three times: n(road, straight) = 3.
        _case("no rounds: plain cloning", 0, _SHORT, [torch.tensor([[3.0, 0], [0, 0], [0, 0]])], points=1,
              by_hand=True),
        # The clone starts on the verge, which it does not know: straight (action 0) into the ditch, and
        # there it stays: 1 2 2. The expert says "back" each time; the three labels of the road stay.
        _case("one round", 1, _SHORT, [torch.tensor([[3.0, 0], [0, 0], [0, 0]]),
                                       torch.tensor([[3.0, 0], [0, 1], [0, 2]])], points=2, by_hand=True),
        _case("three rounds, four starts", 3, _STREET, policies(dagger, 3, _STREET), points=1),
    ),
    properties=(_asked_case("the expert is asked once for each state", 3, _STREET, points=1),),
    seeded=_random_cases,
)
