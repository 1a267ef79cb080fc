"""What the objective widget shows, against exact values found another way."""

import pytest
import torch

from rlcourse.envs.maps import CLIFF, FOUR_ROOMS, grid_map
from rlcourse.exact.evaluation import finite_horizon_values, policy_evaluation, policy_iteration
from rlcourse.widgets.models.objective import LONGEST, compute


def mixed_policy(rows, share, slip):
    grid = grid_map(rows, slip=slip, restart=True)
    best, _ = policy_iteration(grid.mdp, 0.99)
    return grid, share * best + (1 - share) / 4


@pytest.mark.parametrize("world, rows, share, slip", [("cliff", CLIFF, 0.9, 0.1),
                                                      ("four rooms", FOUR_ROOMS, 1.0, 0.0)])
def test_sums_are_the_values_of_backward_dynamic_programming(world, rows, share, slip):
    grid, policy = mixed_policy(rows, share, slip)
    frame = compute(world, 30, share, slip, 0.8)
    for steps in (1, 25, LONGEST):
        total = grid.mdp.initial @ finite_horizon_values(grid.mdp, policy, steps)[0][0]
        assert frame.total[steps - 1] == pytest.approx(float(total), abs=1e-10)
        assert frame.running_average[steps - 1] == pytest.approx(float(total) / steps, abs=1e-10)
    infinite = float(grid.mdp.initial @ policy_evaluation(grid.mdp, policy, 0.8))
    assert frame.discounted[-1] == pytest.approx(infinite, abs=0.8 ** LONGEST / 0.2)
    # The average reward is the limit of (1 − γ) J as γ → 1 (Puterman 1994, section 8.2).
    nearly = 1 - 1e-7
    limit = (1 - nearly) * float(grid.mdp.initial @ policy_evaluation(grid.mdp, policy, nearly))
    assert frame.average == pytest.approx(limit, abs=1e-4)


def test_the_picture_holds_a_distribution_on_the_floor():
    frame = compute("four rooms", 17, 0.5, 0.2, 0.9)
    assert frame.marginal.sum() == pytest.approx(1.0, abs=1e-12)
    assert frame.floor.sum() == 104
    assert (frame.marginal[~frame.floor] == 0).all() and (frame.arrows[~frame.floor] == 0).all()
    assert frame.floor[frame.start] and frame.floor[frame.goal] and len(frame.edge) == 0
    at_first = compute("four rooms", 0, 0.5, 0.2, 0.9)
    assert at_first.marginal[at_first.start] == 1.0


def test_arrows_point_where_the_best_policy_goes():
    frame = compute("cliff", 0, 1.0, 0.0, 0.9)
    row, column = frame.start
    assert frame.arrows[row, column].tolist() == [0, 1]  # up, away from the edge
    assert frame.arrows[row - 1, column].tolist() == [1, 0]  # then right, along it
    assert [row, column + 1] in frame.edge.tolist() and not frame.floor[row, column + 1]


def test_what_the_prediction_and_the_suggestions_claim():
    dry, slippery = (compute("cliff", LONGEST, 0.9, slip, 0.9).total[-1] for slip in (0.0, 0.05))
    assert dry == pytest.approx(1.78, abs=0.01) and slippery == pytest.approx(2.49, abs=0.01)
    dry, slippery = (compute("cliff", LONGEST, 1.0, slip, 0.9).total[-1] for slip in (0.0, 0.05))
    assert slippery < dry
    worth = {gamma: compute("four rooms", LONGEST, 0.9, 0.0, gamma).discounted[-1] for gamma in (0.8, 0.9)}
    assert worth[0.8] < 0.1 < worth[0.9]


def test_without_chance_the_marginal_never_settles_but_the_average_does():
    frame = compute("cliff", LONGEST, 1.0, 0.0, 0.9)
    assert frame.step_reward[-14:].max() == 1.0 and frame.step_reward[-14:].min() == 0.0
    assert frame.average == pytest.approx(1 / 14, abs=1e-10)  # thirteen steps and one back to the start
    mixed = compute("cliff", LONGEST, 0.95, 0.0, 0.9)
    assert torch.tensor(mixed.step_reward[-14:]).max() < 0.3
