"""The squashed Gaussian: its density by quadrature and against PyTorch's own, its samples, gradients and edges."""

import math

import pytest
import torch
from torch.distributions import AffineTransform, Independent, Normal, TanhTransform, TransformedDistribution

from rlcourse.core.seeding import generator, uniforms
from rlcourse.core.spaces import Box
from rlcourse.nets.heads_squashed import SquashedGaussian, SquashedGaussianHead
from rlcourse.nets.policies import Policy

double = torch.float64
LOW, HIGH = -2.0, 3.0


def noise(*shape, name="noise", dtype=double):
    return uniforms(shape, generator(0, name), dtype)


def parameters(*shape):
    random = generator(1, "parameters")
    return (torch.randn(shape, generator=random, dtype=double),
            torch.randn(shape, generator=random, dtype=double) - 0.5)


def peer(mean, log_std, low=LOW, high=HIGH):
    squash = [TanhTransform(), AffineTransform(0.5 * (low + high), 0.5 * (high - low))]
    return TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1),
                                   squash, validate_args=False)


@pytest.mark.parametrize("size", [1, 3])
def test_the_density_against_the_peer(size):
    mean, log_std = parameters(7, size)
    ours, theirs = SquashedGaussian(mean, log_std, LOW, HIGH), peer(mean, log_std)
    action = LOW + (HIGH - LOW) * noise(7, size)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action), rtol=1e-9, atol=1e-9)
    drawn, log_prob = ours.sample_with_log_prob(noise(7, size))
    torch.testing.assert_close(log_prob, theirs.log_prob(drawn), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_prob, ours.log_prob(drawn), rtol=1e-8, atol=1e-8)
    assert torch.equal(drawn, ours.sample(noise(7, size)))


@pytest.mark.parametrize("mean, log_std, low, high", [(0.0, 0.0, -1.0, 1.0), (0.8, -0.7, LOW, HIGH),
                                                      (-1.5, 0.5, 0.0, 10.0)])
def test_the_density_integrates_to_one_and_counts_the_samples(mean, log_std, low, high):
    """Trapezoids between 20 001 points that crowd at the edges, where the density may be steep.

    The share of evenly spread noise that lands below a point is the integral up to it.
    """
    one = torch.ones(1, dtype=double)
    ours = SquashedGaussian(mean * one, log_std * one, low, high)
    grid = 0.5 * (low + high) + 0.5 * (high - low) * torch.tanh(torch.linspace(-9, 9, 20_001, dtype=double))
    many = SquashedGaussian(*(part.expand(len(grid), 1) for part in (ours.mean, ours.log_std)), low, high)
    density = many.log_prob(grid[:, None]).exp()
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1.0, abs=1e-4)
    even = (torch.arange(4000, dtype=double) + 0.5) / 4000
    wide = SquashedGaussian(*(part.expand(4000, 1) for part in (ours.mean, ours.log_std)), low, high)
    sample = wide.sample(even[:, None])[:, 0]
    assert float(sample.min()) > low and float(sample.max()) < high
    for share in (0.2, 0.5, 0.9):
        point = low + share * (high - low)
        below = grid <= point
        integral = float(torch.trapezoid(density[below], grid[below]))
        assert float((sample <= point).double().mean()) == pytest.approx(integral, abs=2e-3)


def test_the_entropy_by_samples_is_the_entropy_by_quadrature():
    ours = SquashedGaussian(*(number * torch.ones(4000, 1, dtype=double) for number in (0.3, -0.2)))
    even = (torch.arange(4000, dtype=double) + 0.5) / 4000
    by_samples = -float(ours.sample_with_log_prob(even[:, None])[1].mean())
    grid = torch.linspace(-1, 1, 4002, dtype=double)[1:-1]
    log_density = ours.log_prob(grid[:, None])
    by_quadrature = -float(torch.trapezoid(log_density.exp() * log_density, grid))
    assert by_samples == pytest.approx(by_quadrature, abs=1e-3)


def test_gradients_of_sample_and_log_prob_are_the_derivatives():
    mean, log_std = (part.requires_grad_() for part in parameters(3, 2))
    fixed = noise(3, 2)

    def both(mean, log_std):
        return SquashedGaussian(mean, log_std, LOW, HIGH).sample_with_log_prob(fixed)

    assert torch.autograd.gradcheck(both, (mean, log_std))
    action = LOW + (HIGH - LOW) * noise(3, 2, name="action")

    def of_given(mean, log_std):
        return SquashedGaussian(mean, log_std, LOW, HIGH).log_prob(action)

    assert torch.autograd.gradcheck(of_given, (mean, log_std))


@pytest.mark.parametrize("dtype", [torch.float32, double])
def test_far_out_nothing_is_infinite(dtype):
    """At u = ±40 tanh is ±1 in any precision; the log density goes on: log N(u) + 2|u| − 2 log 2 for h = 1."""
    for mean in (-40.0, 40.0):
        one = torch.tensor([[mean]], dtype=dtype, requires_grad=True)
        ours = SquashedGaussian(one, torch.zeros_like(one))
        action, log_prob = ours.sample_with_log_prob(torch.full((1, 1), 0.5, dtype=dtype))
        expected = -0.5 * math.log(2 * math.pi) + 2 * 40 - 2 * math.log(2)
        assert action.tolist() == [[math.copysign(1.0, mean)]]
        assert log_prob.tolist() == pytest.approx([expected], rel=1e-6)
        (slope,) = torch.autograd.grad(log_prob.sum(), one)
        assert float(slope) == pytest.approx(math.copysign(2.0, mean))
        # The plain formula, for contrast, is log 0.
        assert torch.log(1 - torch.tanh(one).square()).tolist() == [[-math.inf]]
        assert bool(torch.isfinite(ours.log_prob(action.detach())).all())


def test_units_change_the_density_by_the_logarithm_of_the_half_width():
    mean, log_std = parameters(5, 2)
    plain = SquashedGaussian(mean, log_std).sample_with_log_prob(noise(5, 2))
    wide = SquashedGaussian(mean, log_std, LOW, HIGH).sample_with_log_prob(noise(5, 2))
    torch.testing.assert_close(wide[0], 0.5 + 2.5 * plain[0])
    torch.testing.assert_close(wide[1], plain[1] - 2 * math.log(2.5))


@pytest.mark.parametrize("dtype", [double, torch.float32])
def test_the_head(dtype):
    head = SquashedGaussianHead(3, 2, runs=4, seed=0, low=LOW, high=HIGH, hidden=(16,), dtype=dtype)
    obs = noise(4, 7, 3, name="obs", dtype=dtype)
    action, log_prob = head.sample_with_log_prob(obs, noise(4, 7, 2, dtype=dtype))
    assert action.shape == (4, 7, 2) and log_prob.shape == (4, 7) and action.dtype == log_prob.dtype == dtype
    assert torch.equal(action, head.sample(obs, noise(4, 7, 2, dtype=dtype)))
    torch.testing.assert_close(head.log_prob(obs, action.detach()), log_prob, rtol=1e-3, atol=1e-3)
    mode = head.sample(obs)
    torch.testing.assert_close(mode, 0.5 + 2.5 * torch.tanh(head.distribution(obs).mean))
    (action.sum() + log_prob.sum()).backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in head.parameters())
    policy = Policy(head, Box(LOW, HIGH, 2))
    acted = policy.act(obs, noise(4, 7, 2, dtype=dtype))
    assert torch.equal(acted, action.detach().clamp(LOW, HIGH))
    assert policy.distribution(obs).log_std.shape == (4, 7, 2)


def test_the_width_stays_in_its_bounds_and_can_always_come_back():
    head = SquashedGaussianHead(1, 1, runs=1, seed=0, hidden=(4,), least_log_std=-3.0, most_log_std=1.0)
    obs = torch.zeros(1, 1, 1, dtype=double)
    assert float(head.distribution(obs).log_std.detach()) == pytest.approx(-1.0)
    for bias, bound in ((-5.0, -3.0), (5.0, 1.0)):
        with torch.no_grad():
            head.net.biases[-1][..., 1] = bias
        log_std = head.distribution(obs).log_std
        assert -3.0 < float(log_std.detach()) < 1.0 and float(log_std.detach()) == pytest.approx(bound, abs=1e-3)
        (slope,) = torch.autograd.grad(log_std.sum(), head.net.biases[-1])
        assert float(slope[..., 1]) > 0


def test_runs_are_independent():
    head = SquashedGaussianHead(3, 2, runs=4, seed=0, hidden=(8,))
    obs, draws = noise(4, 5, 3, name="obs"), noise(4, 5, 2)
    before = head.sample_with_log_prob(obs, draws)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter[3] += 1.0
    after = head.sample_with_log_prob(obs, draws)
    for one, two in zip(before, after):
        assert torch.equal(one[:3], two[:3]) and not torch.equal(one[3], two[3])


def test_arguments_that_make_no_sense_are_refused():
    mean, log_std = parameters(4, 2)
    with pytest.raises(ValueError, match=r"log_std: expected shape \[4, 2\], got \[4, 1\]"):
        SquashedGaussian(mean, log_std[:, :1])
    with pytest.raises(ValueError, match="low: expected a number below high = -1.0, got 1.0"):
        SquashedGaussian(mean, log_std, 1.0, -1.0)
    ours = SquashedGaussian(mean, log_std)
    with pytest.raises(ValueError, match=r"noise: expected shape \[4, 2\], got \[4, 1\]"):
        ours.sample(noise(4, 1))
    with pytest.raises(ValueError, match=r"action: expected numbers in \[-1.0, 1.0\], got one of 1.5"):
        ours.log_prob(torch.full((4, 2), 1.5, dtype=double))
    with pytest.raises(ValueError, match=r"action: expected shape \[4, 2\], got \[2\]"):
        ours.log_prob(mean[0])
    with pytest.raises(ValueError, match="least_log_std: expected a number below most_log_std = 2.0, got 2.0"):
        SquashedGaussianHead(3, 2, runs=1, seed=0, least_log_std=2.0)
    head = SquashedGaussianHead(3, 2, runs=1, seed=0)
    with pytest.raises(ValueError, match=r"noise: expected shape \[1, 4, 2\], got \[1, 4, 3\]"):
        head.sample_with_log_prob(torch.zeros(1, 4, 3, dtype=double), noise(1, 4, 3))
