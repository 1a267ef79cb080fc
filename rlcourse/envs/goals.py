"""Worlds for goal-conditioned cloning: one in which relabelling helps, one in which it misleads.

Both are tables, so that what cloning would learn from endless data can be computed and not only
estimated (`exact.goals`). Neither has a reward: a goal is a state to be reached.
"""

import torch
from torch import Tensor

from ..core.check import require_probabilities, require_unit_interval
from .maps import GridMap, grid_map
from .tabular import TabularMDP

ROOM = ("S......",
        ".......",
        "...#...",
        "...#...",
        "...#...",
        ".......")

START, VILLAGE, ISLAND = 0, 1, 2
ROAD, FERRY = 0, 1


def goal_room(slip: float = 0.0, time_limit: int = 20) -> GridMap:
    """A room of 39 cells with a wall in it; every cell may be a goal. Starts in the corner.

    State: the index of a cell (`cells[i]` is its row and column). Actions: up, down, left, right;
    with probability `slip` the step goes to one of the two sides.
    """
    return grid_map(ROOM, slip=slip, time_limit=time_limit)


def wanderer(room: GridMap) -> Tensor:
    """π(a|s) [S, 4] of somebody who goes anywhere with equal probability: play, no demonstration.

    He reaches everything in the end, on no good way; relabelled, his detours become lessons.
    """
    return torch.full((room.mdp.num_states, room.mdp.num_actions), 1.0 / room.mdp.num_actions,
                      dtype=torch.float64)


def ferry(storm: float = 0.5) -> TabularMDP:
    """A road to the village, and a ferry to the island that a storm drives to the village.

    | state | meaning | | action | meaning |
    | --- | --- | --- | --- | --- |
    | 0 | start | | 0 | road: to the village, surely |
    | 1 | village | | 1 | ferry: to the island, but with probability `storm` to the village |
    | 2 | island | | | |

    Who has arrived stays. One decision, so one step is a whole episode.
    """
    require_unit_interval("storm", storm)
    transition_probs = torch.eye(3, dtype=torch.float64)[:, None, :].repeat(1, 2, 1)
    transition_probs[START, ROAD] = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    transition_probs[START, FERRY] = torch.tensor([0.0, storm, 1.0 - storm], dtype=torch.float64)
    arrived = torch.tensor([False, True, True])
    return TabularMDP(transition_probs, torch.zeros(3, 2, dtype=torch.float64),
                      torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), terminal=arrived, time_limit=1,
                      state_names=("start", "village", "island"), action_names=("road", "ferry"))


def ferry_travellers() -> Tensor:
    """What people do who know the world and are told where to go: π(a|s, g) [G, S, A].

    Told "village" they take the road, told "island" the ferry; nobody could do better. (Told "start"
    they take the road: nothing leads back.)
    """
    policy = torch.zeros(3, 3, 2, dtype=torch.float64)
    policy[:, :, ROAD] = 1.0
    policy[ISLAND, :, ROAD], policy[ISLAND, :, FERRY] = 0.0, 1.0
    return policy


def ferry_commands(island: float = 0.8) -> Tensor:
    """How often people are told which goal [G]: the island with probability `island`, else the village."""
    command = torch.tensor([0.0, 1.0 - island, island], dtype=torch.float64)
    require_probabilities("island", command)
    return command
