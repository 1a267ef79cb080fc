"""The losses of expressive policies against torch.distributions, SciPy, quadrature and algebra."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td

from rlcourse.core.seeding import generator
from rlcourse.equations.imitation_heads import (
    autoregressive_log_prob, bin_index, flow_matching_loss, flow_matching_point, gaussian_nll,
    mixture_log_prob, negative_elbo, squared_error, standard_normal_kl)


def normal(*shape, name="draws"):
    return torch.randn(*shape, generator=generator(0, name), dtype=torch.float64)


def close(got, expected, tolerance=1e-12):
    torch.testing.assert_close(got, torch.as_tensor(expected, dtype=torch.float64), rtol=tolerance, atol=tolerance)


def test_squared_error_by_hand():
    action = torch.tensor([[1.0, 2.0], [0.0, -1.0]], dtype=torch.float64)
    prediction = torch.tensor([[0.0, 4.0], [0.5, -1.0]], dtype=torch.float64)
    close(squared_error(action, prediction), [5.0, 0.25])


def test_gaussian_nll_equals_scipy():
    action, mean, log_std = normal(3, 5, 2), normal(3, 5, 2, name="mean"), normal(3, 5, 2, name="log_std")
    expected = -stats.norm(mean.numpy(), np.exp(log_std.numpy())).logpdf(action.numpy()).sum(-1)
    close(gaussian_nll(action, mean, log_std), expected)


def test_mixture_equals_torch_distributions():
    action, logits = normal(3, 5, 2), normal(3, 5, 4, name="logits")
    mean, log_std = normal(3, 5, 4, 2, name="mean"), normal(3, 5, 4, 2, name="log_std")
    theirs = td.MixtureSameFamily(td.Categorical(logits=logits),
                                  td.Independent(td.Normal(mean, log_std.exp()), 1))
    close(mixture_log_prob(action, logits, mean, log_std), theirs.log_prob(action))


def test_mixture_far_from_every_component_is_finite_and_right():
    """At 400 standard deviations every density underflows; the logarithm is that of the nearer component."""
    action = torch.tensor([[5.0]], dtype=torch.float64)
    mean = torch.tensor([[[1.0], [-1.0]]], dtype=torch.float64)
    log_std = torch.full_like(mean, math.log(0.01))
    got = mixture_log_prob(action, torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64), mean, log_std)
    close(got, [math.log(0.25) - 0.5 * 400.0**2 - math.log(0.01) - 0.5 * math.log(2 * math.pi)])


def test_bins_against_numpy():
    action = torch.linspace(-1.0, 2.0, 1001, dtype=torch.float64)
    edges = np.linspace(-1.0, 2.0, 9)
    keep = np.abs(action.numpy()[:, None] - edges).min(1) > 1e-9         # at an inner edge rounding decides
    got = bin_index(action, low=-1.0, high=2.0, bins=8).numpy()
    assert keep.sum() > 900 and (got[keep] == np.digitize(action.numpy()[keep], edges) - 1).all()
    ends = bin_index(torch.tensor([-1.0, 2.0]), low=-1.0, high=2.0, bins=8)
    assert ends.tolist() == [0, 7] and ends.dtype == torch.int64


def test_autoregressive_by_hand():
    """Bins of width ½: P = 0.2 · 0.7 = 0.14, a density of 0.14 / 0.25 = 0.56."""
    logits = torch.tensor([[[0.2, 0.8], [0.3, 0.7]]], dtype=torch.float64).log() + 5.0
    got = autoregressive_log_prob(logits, torch.tensor([[0, 1]]), bin_width=0.5)
    close(got, [math.log(0.56)])


def test_standard_normal_kl_equals_torch_distributions():
    mean, log_std = normal(4, 3, name="mean"), normal(4, 3, name="log_std")
    theirs = td.kl_divergence(td.Normal(mean, log_std.exp()), td.Normal(torch.zeros(()), torch.ones(()))).sum(-1)
    close(standard_normal_kl(mean, log_std), theirs)
    close(standard_normal_kl(torch.zeros(1, 3).double(), torch.zeros(1, 3).double()), [0.0])


def expected_elbo(action, slope, offset, std, latent_mean, latent_std):
    """E_q[ELBO] for a | z ~ N(slope·z + offset, std²), by Gauss–Hermite quadrature over z ~ q."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    latent = torch.as_tensor(latent_mean + latent_std * nodes)
    column = torch.ones(40, 1, dtype=torch.float64)
    loss = negative_elbo(action * column, (slope * latent + offset)[:, None], math.log(std) * column,
                         latent_mean * column, math.log(latent_std) * column)
    return -float((loss * torch.as_tensor(weights / weights.sum())).sum())


@pytest.mark.parametrize("action", [-2.0, 0.3, 1.7])
def test_elbo_is_below_the_log_likelihood_by_exactly_the_kl_to_the_posterior(action):
    """Linear-Gaussian: p(a) = N(b, w² + s²), p(z|a) = N(w(a − b)/(w² + s²), s²/(w² + s²))."""
    slope, offset, std = 1.3, 0.4, 0.6
    variance = slope**2 + std**2
    log_prob = stats.norm(offset, math.sqrt(variance)).logpdf(action)
    mean, deviation = slope * (action - offset) / variance, std / math.sqrt(variance)
    assert expected_elbo(action, slope, offset, std, mean, deviation) == pytest.approx(log_prob, abs=1e-10)
    for shift, stretch in [(0.5, 1.0), (0.0, 2.0), (-0.2, 0.5)]:
        gap = 0.5 * (stretch**2 + (shift / deviation)**2 - 1.0) - math.log(stretch)
        elbo = expected_elbo(action, slope, offset, std, mean + shift, deviation * stretch)
        assert gap > 0.05 and elbo == pytest.approx(log_prob - gap, abs=1e-10)


def test_flow_matching_path_and_its_velocity():
    start, action, time = normal(6, 2, name="start"), normal(6, 2), torch.rand(6, generator=generator(0, "t")).double()
    close(flow_matching_point(start, action, torch.zeros(6).double()), start)
    close(flow_matching_point(start, action, torch.ones(6).double()), action)
    later, earlier = (flow_matching_point(start, action, time + h) for h in (1e-4, -1e-4))
    velocity = (later - earlier) / 2e-4
    assert flow_matching_loss(velocity, start, action).max() < 1e-18
    close(flow_matching_loss(velocity + torch.tensor([2.0, -1.0]).double(), start, action), [5.0] * 6, 1e-9)


@pytest.mark.parametrize("time", [0.2, 0.5, 0.8])
def test_flow_matching_is_least_at_the_conditional_mean_velocity(time):
    """Two actions ±1 equally likely. By Bayes' rule the weight of +1 at the point x is a logistic
    function of x, and with it E[a₁ − a₀ | x]. There the derivative of the expected loss in the direction
    of any other field, here of three bumps, is 0; expectation over a₀ by quadrature."""
    grid = torch.linspace(-9.0, 9.0, 4001, dtype=torch.float64)
    density = torch.as_tensor(stats.norm.pdf(grid.numpy())) * (grid[1] - grid[0])
    start, action = grid.repeat(2)[:, None], torch.tensor([-1.0, 1.0]).double().repeat_interleave(4001)[:, None]
    weight = 0.5 * density.repeat(2)
    point = flow_matching_point(start, action, torch.full((8002,), time, dtype=torch.float64))
    plus = torch.sigmoid(2.0 * time * point / (1.0 - time)**2)
    best = plus * (1.0 - (point - time) / (1.0 - time)) + (1.0 - plus) * (-1.0 - (point + time) / (1.0 - time))
    for centre in (-0.7, 0.0, 0.4):
        bump = torch.exp(-8.0 * (point - centre)**2)
        size = torch.zeros((), dtype=torch.float64, requires_grad=True)
        slope = torch.autograd.grad((weight * flow_matching_loss(best + size * bump, start, action)).sum(), size)[0]
        assert abs(float(slope)) < 1e-9
        moved = torch.autograd.grad((weight * flow_matching_loss(best + 0.1 + size * bump, start, action)).sum(),
                                    size)[0]
        assert abs(float(moved)) > 1e-3


def test_gradients():
    def leaf(*shape, name):
        return normal(*shape, name=name).requires_grad_()

    action, mean, log_std = leaf(3, 2, name="a"), leaf(3, 2, name="m"), leaf(3, 2, name="s")
    assert torch.autograd.gradcheck(gaussian_nll, (action, mean, log_std))
    assert torch.autograd.gradcheck(squared_error, (action, mean))
    assert torch.autograd.gradcheck(mixture_log_prob, (action, leaf(3, 4, name="w"), leaf(3, 4, 2, name="ms"),
                                                       leaf(3, 4, 2, name="ss")))
    latent = (leaf(3, 1, name="zm"), leaf(3, 1, name="zs"))
    assert torch.autograd.gradcheck(negative_elbo, (action, mean, log_std, *latent))
    index = torch.tensor([[0, 2], [1, 1], [3, 0]])
    assert torch.autograd.gradcheck(lambda x: autoregressive_log_prob(x, index, bin_width=0.3),
                                    (leaf(3, 2, 4, name="l"),))
    assert torch.autograd.gradcheck(flow_matching_loss, (leaf(3, 2, name="v"), mean, action))


def test_wrong_shapes_are_named_not_broadcast():
    a, b = torch.zeros(4, 2), torch.zeros(4, 1)
    with pytest.raises(ValueError, match=r"prediction: expected the shape of action, \[4, 2\], got \[4, 1\]"):
        squared_error(a, b)
    with pytest.raises(ValueError, match="log_std: expected the shape of action"):
        gaussian_nll(a, a, b)
    with pytest.raises(ValueError, match=r"mean: expected shape \[4, 3, 2\], got \[4, 3, 1\]"):
        mixture_log_prob(a, torch.zeros(4, 3), torch.zeros(4, 3, 1), torch.zeros(4, 3, 2))
    with pytest.raises(ValueError, match=r"action: expected leading shape \[4\]"):
        mixture_log_prob(a[:1], torch.zeros(4, 3), torch.zeros(4, 3, 2), torch.zeros(4, 3, 2))
    with pytest.raises(ValueError, match="log_std: expected the shape of mean"):
        standard_normal_kl(a, b)
    with pytest.raises(ValueError, match=r"time: expected shape \[4\], got \[4, 1\]"):
        flow_matching_point(a, a, b)
    with pytest.raises(ValueError, match="velocity: expected the shape of action"):
        flow_matching_loss(b, a, a)
    with pytest.raises(ValueError, match=r"index: expected shape \[4, 2\], as logits"):
        autoregressive_log_prob(torch.zeros(4, 2, 5), torch.zeros(4, 3, dtype=torch.int64), bin_width=1.0)
    with pytest.raises(ValueError, match="index: expected dtype int64"):
        autoregressive_log_prob(torch.zeros(4, 2, 5), torch.zeros(4, 2), bin_width=1.0)
    with pytest.raises(ValueError, match=r"action: expected numbers in \[-1, 1\], got 0 to 1.5"):
        bin_index(torch.tensor([0.0, 1.5]), low=-1, high=1, bins=4)
    with pytest.raises(ValueError, match="action: expected numbers in"):
        bin_index(torch.tensor([0.0, float("nan")]), low=-1, high=1, bins=4)
