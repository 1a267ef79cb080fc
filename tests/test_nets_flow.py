"""Following velocity fields whose flow is known in closed form."""

import math

import pytest
import torch
from scipy import stats
from scipy.linalg import expm

from rlcourse.core.seeding import generator
from rlcourse.nets.flow import flow_log_prob, follow

MEAN, STD = 0.7, 0.3


def straight_to_gaussian(point, time):
    """The exact marginal velocity of straight paths from N(0, 1) to N(MEAN, STD²):
    v(x, t) = m + (t s² − (1 − t)) / ((1 − t)² + t² s²) · (x − t m)."""
    t = time.unsqueeze(-1)
    slope = (t * STD**2 - (1 - t)) / ((1 - t)**2 + t**2 * STD**2)
    return MEAN + slope * (point - t * MEAN)


def starts(*shape):
    return torch.randn(*shape, generator=generator(0, "starts"), dtype=torch.float64)


@pytest.mark.parametrize("method, order", [("euler", 1), ("heun", 2)])
def test_following_converges_at_the_stated_order(method, order):
    """Along this field a₁ = m + s·a₀ exactly; the error falls by 2^order when the steps are halved."""
    start = starts(2, 50, 1)
    errors = [float((follow(straight_to_gaussian, start, steps=n, method=method) - (MEAN + STD * start)).abs().max())
              for n in (80, 160, 320)]
    for coarse, fine in zip(errors, errors[1:]):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.1)
    assert errors[-1] < 0.01


def test_density_along_the_flow_is_the_targets():
    action = MEAN + STD * starts(2, 50, 1)
    exact = torch.as_tensor(stats.norm(MEAN, STD).logpdf(action.numpy())).squeeze(-1)
    errors = [float((flow_log_prob(straight_to_gaussian, action, steps=n) - exact).abs().max()) for n in (100, 200)]
    assert errors[1] < 1e-3 and math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)


def test_density_in_two_dimensions_against_the_matrix_exponential():
    """da/dt = M a carries N(0, I) into N(0, e^M (e^M)ᵀ), whose density SciPy knows."""
    matrix = torch.tensor([[0.5, -1.2], [0.3, -0.9]], dtype=torch.float64)
    action = starts(1, 20, 2)
    flow = expm(matrix.numpy())
    exact = torch.as_tensor(stats.multivariate_normal(cov=flow @ flow.T).logpdf(action.numpy()))
    got = flow_log_prob(lambda point, time: point @ matrix.T, action, steps=300)
    torch.testing.assert_close(got.squeeze(0), exact.reshape(20), rtol=0, atol=1e-4)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="method: expected 'euler' or 'heun', got 'rk4'"):
        follow(straight_to_gaussian, starts(1, 1, 1), steps=2, method="rk4")
    with pytest.raises(ValueError, match="steps: expected a whole number of at least 1"):
        follow(straight_to_gaussian, starts(1, 1, 1), steps=0)
    with pytest.raises(ValueError, match="steps: expected a whole number of at least 1"):
        flow_log_prob(straight_to_gaussian, starts(1, 1, 1), steps=0)
