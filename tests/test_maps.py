"""Gridworlds and the corridor: published lengths, probabilities by hand, and wrong maps."""

import math
from collections import deque

import pytest
import torch

from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.maps import CLIFF, FOUR_ROOMS, cliff, four_rooms, grid_map, windy
from rlcourse.envs.pomdp import LEFT, RIGHT, TabularPOMDP, corridor
from rlcourse.exact.evaluation import finite_horizon_values, policy_iteration

UP, DOWN, LEFTWARDS, RIGHTWARDS = range(4)


def shortest_path(rows):
    """Breadth-first search on the letters alone, cliffs avoided: steps from S to G."""
    start = next((r, c) for r, row in enumerate(rows) for c, x in enumerate(row) if x == "S")
    distance, queue = {start: 0}, deque([start])
    while queue:
        r, c = queue.popleft()
        if rows[r][c] == "G":
            return distance[r, c]
        for nr, nc in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            inside = 0 <= nr < len(rows) and 0 <= nc < len(rows[0])
            if inside and rows[nr][nc] in ".SG" and (nr, nc) not in distance:
                distance[nr, nc] = distance[r, c] + 1
                queue.append((nr, nc))
    raise AssertionError("no way to the goal")


def best_return(grid, horizon=100):
    policy, _ = policy_iteration(grid.mdp, 0.99)
    return float(grid.mdp.initial @ finite_horizon_values(grid.mdp, policy, horizon)[0][0])


def test_best_returns_are_the_published_ones():
    assert best_return(cliff()) == pytest.approx(-13, abs=1e-10) and shortest_path(CLIFF) == 13
    assert best_return(windy()) == pytest.approx(-15, abs=1e-10)  # Sutton and Barto 2018, example 6.5


def test_four_rooms_is_as_far_as_breadth_first_search_says():
    grid, steps = four_rooms(), shortest_path(FOUR_ROOMS)
    assert grid.mdp.num_states == 104  # Sutton, Precup and Singh 1999
    policy, _ = policy_iteration(grid.mdp, 0.99)
    value = finite_horizon_values(grid.mdp, policy, 60, discount=0.9)[0][0]
    assert float(grid.mdp.initial @ value) == pytest.approx(0.9 ** (steps - 1), abs=1e-10)


def test_a_slippery_step_by_hand():
    grid = grid_map(("..G", "SC."), slip=0.2, step_reward=-0.5, goal_reward=10.0, fall_reward=-3.0)
    probs, reward = grid.mdp.transition_probs, grid.mdp.reward_table
    state = {cell: i for i, cell in enumerate(grid.cells)}
    middle = state[0, 1]
    # Right from (0, 1): goal with 0.8; 0.1 up into the edge (stays), 0.1 down over the cliff (to S).
    want = {state[0, 2]: 0.8, middle: 0.1, state[1, 0]: 0.1}
    assert {i: round(float(p), 12) for i, p in enumerate(probs[middle, RIGHTWARDS]) if p > 0} == want
    assert float(reward[middle, RIGHTWARDS]) == pytest.approx(-0.5 + 0.8 * 10 - 0.1 * 3)
    assert float(reward[state[1, 0], UP]) == pytest.approx(-0.5 - 0.1 * 3)  # slips right into the cliff
    goal = state[0, 2]
    assert bool((probs[goal, :, goal] == 1).all()) and bool((reward[goal] == 0).all())


def test_wind_lifts_one_cell_at_a_time():
    grid = grid_map((".....", ".#...", "S...G"), wind=(0, 0, 2, 0, 0))
    state = {cell: i for i, cell in enumerate(grid.cells)}
    assert float(grid.mdp.transition_probs[state[2, 2], RIGHTWARDS, state[0, 3]]) == 1.0
    # The wall above (2, 1) stops the lift.
    assert float(grid.mdp.transition_probs[state[2, 2], LEFTWARDS, state[2, 1]]) == 1.0


def test_a_restart_goes_on_for_ever():
    grid = four_rooms(restart=True)
    goal, start = grid.cells.index((11, 11)), grid.cells.index((1, 1))
    assert grid.mdp.terminal is None
    assert bool((grid.mdp.transition_probs[goal, :, start] == 1).all())
    assert float(grid.mdp.reward_table[goal].abs().sum()) == 0.0


def test_a_fall_costs_a_hundred_and_leads_back():
    grid = cliff()
    start = grid.cells.index((3, 0))
    assert float(grid.mdp.reward_table[start, RIGHTWARDS]) == -100.0
    assert float(grid.mdp.transition_probs[start, RIGHTWARDS, start]) == 1.0


def test_picture_puts_every_number_in_its_place():
    grid = grid_map(("S#", ".G"))
    picture = grid.picture(torch.tensor([[1.0, 2.0, 3.0]]))
    assert picture.shape == (1, 2, 2) and math.isnan(picture[0, 0, 1])
    assert [float(picture[0, r, c]) for r, c in ((0, 0), (1, 0), (1, 1))] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("call, message", [
    (lambda: grid_map(("S.", ".")), "rows: expected rows of one length"),
    (lambda: grid_map(("Sx",)), "rows: expected the letters # . S G C, got x"),
    (lambda: grid_map(("..",)), "rows: expected at least one start S"),
    (lambda: grid_map(("S.",), wind=(1,)), "wind: expected 2 columns or none, got 1"),
    (lambda: grid_map(("S.",), slip=1.2), "slip: expected a number in"),
    (lambda: grid_map(("S.",)).picture(torch.ones(3)), "quantity: expected shape"),
    (lambda: corridor("GG"), "pattern: expected a cell that is not a goal"),
    (lambda: corridor("ab").observe(torch.tensor(0)), "noise: expected uniforms"),
    (lambda: TabularPOMDP(torch.ones(1, 1, 1), torch.ones(1, 1), torch.ones(1),
                          observation_probs=torch.ones(2, 1)), "observation_probs: expected shape"),
])
def test_wrong_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_corridor_by_hand():
    pomdp = corridor("abGba", slip=0.1, blur=0.2)
    probs = pomdp.transition_probs
    assert float(probs[0, LEFT, 0]) == pytest.approx(1.0) and float(probs[0, RIGHT, 1]) == pytest.approx(0.9)
    assert float(pomdp.reward_table[1, RIGHT]) == pytest.approx(0.9)
    assert float(pomdp.reward_table[2].abs().sum()) == 0.0
    assert pomdp.initial.tolist() == [0.25, 0.25, 0.0, 0.25, 0.25]
    assert pomdp.observation_names == ("a", "b", "G")
    torch.testing.assert_close(pomdp.observation_probs, torch.tensor(
        [[0.8, 0.2, 0], [0.2, 0.8, 0], [0, 0, 1], [0.2, 0.8, 0], [0.8, 0.2, 0]], dtype=torch.float64))


def test_observations_follow_their_table():
    """100,000 observations of one state; 6 standard errors, false failure below 10⁻⁸."""
    pomdp, count = corridor("abc", blur=0.3), 100_000
    seen = pomdp.observe(torch.zeros(count, dtype=torch.int64), uniforms((count, 1), generator(0, "seen")))
    shares = torch.bincount(seen, minlength=3) / count
    assert bool(((shares - torch.tensor([0.7, 0.15, 0.15])).abs() < 6 * math.sqrt(0.25 / count)).all())
    step = pomdp.step(torch.tensor([0, 1]), torch.tensor([RIGHT, LEFT]), torch.full((2, 2), 0.5))
    assert step.next_state.tolist() == [1, 0] and step.next_obs.shape == (2,)
