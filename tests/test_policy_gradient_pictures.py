"""The still pictures of lecture 03 show the numbers that they are given."""

import numpy as np
import pytest

from rlcourse.plots.policy_gradient import landscape, rooms_picture


def test_the_rooms_say_what_each_action_pays_and_where_it_leads():
    figure = rooms_picture(np.array([[0.1, 0.7], [0.4, 0.9]]), np.array([[0.0, -0.5], [1.0, 2.0]]))
    said = [text.get_text() for text in figure.axes[0].texts]
    assert "work: reward −0.5,\nto room 1 with 0.7" in said and "rest: reward 1,\nto room 1 with 0.4" in said
    assert "Two rooms" in figure.get_label()


def test_the_arrow_of_a_landscape_starts_at_the_policy_and_is_drawn_to_scale():
    grid = np.linspace(-2, 2, 9)
    heights = grid[:, None] + 0 * grid[None]  # rises with the second coordinate, the rows
    figure = landscape(grid, heights, (0.5, -1.0), {"up": np.array([0.0, 1.5])}, title="Slope", labels=("x", "y"))
    axes = figure.axes[0]
    start, end = axes.patches[0].get_path().vertices[0], axes.patches[0]._posA_posB[1]
    assert start == pytest.approx((0.5, -1.0)) and end == pytest.approx((0.5, 0.5))
    levels = axes.collections[0]
    for level, path in zip(levels.levels, levels.get_paths()):
        if len(path.vertices):
            assert np.allclose(path.vertices[:, 1], level)
