"""Gridworlds drawn as text: a map goes in, a TabularMDP and the place of every state come out.

| letter | meaning                                                                        |
|--------|--------------------------------------------------------------------------------|
| `#`    | wall: a move into it leaves the agent where it is                               |
| `.`    | floor                                                                          |
| `S`    | floor on which an episode starts (several: one at random)                      |
| `G`    | goal: entering it pays `goal_reward`                                            |
| `C`    | cliff: stepping on it pays `fall_reward` and puts the agent back to the start  |

The edge of the map is a wall. Walls and cliffs are no states. Actions: up, down, left, right.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require, require_unit_interval
from .tabular import TabularMDP

ACTION_NAMES = ("up", "down", "left", "right")
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
SIDEWAYS = ((2, 3), (2, 3), (0, 1), (0, 1))  # the two actions at right angles to each action

CLIFF = ("............",
         "............",
         "............",
         "SCCCCCCCCCCG")

FOUR_ROOMS = ("#############",
              "#S....#.....#",
              "#.....#.....#",
              "#...........#",
              "#.....#.....#",
              "#.....#.....#",
              "##.####.....#",
              "#.....###.###",
              "#.....#.....#",
              "#.....#.....#",
              "#...........#",
              "#.....#....G#",
              "#############")

WINDY = ("..........",
         "..........",
         "..........",
         "S......G..",
         "..........",
         "..........",
         "..........")
WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)


@dataclass(frozen=True, eq=False)
class GridMap:
    """A TabularMDP together with its map: `cells[i]` is the (row, column) of state i."""

    mdp: TabularMDP
    rows: tuple[str, ...]
    cells: tuple[tuple[int, int], ...]

    def picture(self, quantity: Tensor) -> Tensor:
        """Lay a number per state [*B, S] out on the map [*B, rows, columns]; NaN elsewhere."""
        require(quantity.shape[-1] == len(self.cells), "quantity", f"shape [*B, {len(self.cells)}]",
                list(quantity.shape))
        shape = (*quantity.shape[:-1], len(self.rows), len(self.rows[0]))
        grid = torch.full(shape, torch.nan, dtype=quantity.dtype)
        row, column = torch.tensor(self.cells).T
        grid[..., row, column] = quantity
        return grid


def grid_map(rows: tuple[str, ...], *, slip: float = 0.0, wind: tuple[int, ...] = (),
             step_reward: float = 0.0, goal_reward: float = 1.0, fall_reward: float = -1.0,
             restart: bool = False, time_limit: int | None = None) -> GridMap:
    """Build the problem of a map.

    With probability `slip` the agent moves to one of the two sides of the chosen direction,
    each with half of it. `wind[c]` pushes every move that begins in column c up by so many
    cells. Every move costs or pays `step_reward`, besides `goal_reward` and `fall_reward`, in
    expectation over where it ends. With `restart=False` a goal is terminal; with `restart=True`
    any action there leads to the start and pays nothing, and the problem goes on for ever.
    """
    _check(rows, wind)
    require_unit_interval("slip", slip)
    cells = tuple((r, c) for r, row in enumerate(rows) for c, letter in enumerate(row) if letter not in "#C")
    index = {cell: state for state, cell in enumerate(cells)}
    goal = torch.tensor([rows[r][c] == "G" for r, c in cells])
    initial = torch.tensor([float(rows[r][c] == "S") for r, c in cells], dtype=torch.float64)
    initial /= initial.sum()
    transition_probs = torch.zeros(len(cells), 4, len(cells), dtype=torch.float64)
    fall = torch.zeros(len(cells), 4, dtype=torch.float64)
    for state, (row, column) in enumerate(cells):
        lift = wind[column] if wind else 0
        for action in range(4):
            for taken, prob in ((action, 1 - slip), *((side, slip / 2) for side in SIDEWAYS[action])):
                target = _move(rows, row, column, *MOVES[taken], lift)
                if target is None:
                    fall[state, action] += prob
                    transition_probs[state, action] += prob * initial
                else:
                    transition_probs[state, action, index[target]] += prob
    reward = step_reward + goal_reward * transition_probs[..., goal].sum(-1) + fall_reward * fall
    reward[goal] = 0.0
    transition_probs[goal] = initial if restart else torch.eye(len(cells), dtype=torch.float64)[goal, None]
    mdp = TabularMDP(transition_probs, reward, initial, terminal=None if restart else goal,
                     time_limit=time_limit, state_names=tuple(f"{r},{c}" for r, c in cells),
                     action_names=ACTION_NAMES)
    return GridMap(mdp, tuple(rows), cells)


def cliff(slip: float = 0.0, restart: bool = False) -> GridMap:
    """The cliff walk (Sutton and Barto 2018, example 6.6): −1 a step, −100 and back for a fall.

    A fall pays −100 in all and the goal nothing, so step and event rewards are set accordingly.
    """
    return grid_map(CLIFF, slip=slip, step_reward=-1.0, goal_reward=0.0, fall_reward=-99.0, restart=restart)


def four_rooms(slip: float = 0.0, restart: bool = False) -> GridMap:
    """Four rooms joined by four doors (after Sutton, Precup and Singh 1999): 1 at the goal."""
    return grid_map(FOUR_ROOMS, slip=slip, restart=restart)


def windy() -> GridMap:
    """The windy grid (Sutton and Barto 2018, example 6.5): −1 a step, an upward wind by column."""
    return grid_map(WINDY, wind=WIND, step_reward=-1.0, goal_reward=0.0)


def _move(rows: tuple[str, ...], row: int, column: int, down: int, right: int,
          lift: int) -> tuple[int, int] | None:
    """The cell a move ends on, or None for the cliff: one step, then `lift` single steps up."""
    for step_down, step_right in ((down, right), *(((-1, 0),) * lift)):
        r, c = row + step_down, column + step_right
        if 0 <= r < len(rows) and 0 <= c < len(rows[0]) and rows[r][c] != "#":
            row, column = r, c
        if rows[row][column] == "C":
            return None
    return row, column


def _check(rows: tuple[str, ...], wind: tuple[int, ...]) -> None:
    require(len(rows) > 0 and len({len(row) for row in rows}) == 1, "rows", "rows of one length",
            [len(row) for row in rows])
    unknown = sorted(set("".join(rows)) - set("#.SGC"))
    require(not unknown, "rows", "the letters # . S G C", " ".join(unknown))
    require("S" in "".join(rows), "rows", "at least one start S", "none")
    require(len(wind) in (0, len(rows[0])), "wind", f"{len(rows[0])} columns or none", len(wind))
