"""Three linear-quadratic problems: one number with noise, two coupled ones, and two with two actions."""

import torch

from rlcourse.exact.soft_lqr import LinearQuadratic


def matrix(*rows):
    return torch.tensor(rows, dtype=torch.float64)


ONE = LinearQuadratic(matrix([1.2]), matrix([0.7]), matrix([1.5]), matrix([0.4]), matrix([0.3]))
TWO = LinearQuadratic(matrix([1.0, 0.1], [-0.2, 0.9]), matrix([0.0], [0.5]), matrix([1.0, 0.2], [0.2, 0.5]),
                      matrix([0.3]), matrix([0.02, 0.01], [0.01, 0.05]))
WIDE = LinearQuadratic(matrix([1.1, 0.3], [0.0, 0.8]), matrix([1.0, 0.0], [0.3, -0.6]),
                       matrix([1.0, 0.0], [0.0, 2.0]), matrix([0.5, 0.1], [0.1, 0.9]))
PROBLEMS = {"one": ONE, "two": TWO, "wide": WIDE}
