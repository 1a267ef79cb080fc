"""The policy heads: densities by quadrature, samples against densities, bounds, and separate runs."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from rlcourse.core.seeding import generator, uniforms
from rlcourse.equations.imitation_heads import (
    autoregressive_log_prob, flow_matching_loss, flow_matching_point, mixture_log_prob, negative_elbo)
from rlcourse.nets.heads_autoregressive import AutoregressiveHead
from rlcourse.nets.heads_categorical import CategoricalHead
from rlcourse.nets.heads_cvae import CVAEHead
from rlcourse.nets.heads_flow import FlowHead
from rlcourse.nets.heads_gaussian import GaussianHead
from rlcourse.nets.heads_mixture import MixtureHead
from rlcourse.nets.heads_regression import RegressionHead
from rlcourse.nets.mlp import take_run
from rlcourse.nets.optim import Adam

CONTINUOUS = [RegressionHead, GaussianHead, MixtureHead, AutoregressiveHead, CVAEHead, FlowHead]
O, D = 3, 2


def noise(*shape, name="noise"):
    return uniforms(shape, generator(0, name))


def roughen(head, scale=1.0, seed=0):
    """Random weights of order 1 in every layer, so that a density is far from its tame initial shape."""
    random = generator(seed, "roughen")
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    return head


def pairs(runs, batch, action_size=D):
    return 2 * noise(runs, batch, O, name="obs") - 1, 2 * noise(runs, batch, action_size, name="action") - 1


def loss_noise(head, runs, batch):
    return noise(runs, batch, head.loss_noise_size) if head.loss_noise_size else None


@pytest.mark.parametrize("make", CONTINUOUS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_common_interface(make, dtype):
    head = make(O, D, runs=4, seed=0, hidden=(16,), dtype=dtype)
    obs, action = (t.to(dtype) for t in pairs(4, 7))
    extra = loss_noise(head, 4, 7)
    loss = head.loss(obs, action, None if extra is None else extra.to(dtype))
    sample = head.sample(obs, noise(4, 7, head.noise_size).to(dtype) if head.noise_size else None)
    assert loss.shape == (4, 7) and sample.shape == (4, 7, D)
    assert loss.dtype == sample.dtype == dtype
    assert torch.isfinite(loss).all() and torch.isfinite(sample).all()
    loss.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())


@pytest.mark.parametrize("make", CONTINUOUS)
def test_perturbing_run_three_leaves_the_others_bit_identical(make):
    obs, action = pairs(5, 16)
    results = []
    for change in (0.0, 0.5):
        head = make(O, D, runs=5, seed=0, hidden=(16, 16))
        with torch.no_grad():
            next(head.parameters())[3] += change
        optimiser = Adam(head.parameters(), 0.01, clip_norm=1.0)
        for _ in range(5):
            optimiser.zero_grad()
            head.loss(obs, action, loss_noise(head, 5, 16)).mean(1).sum().backward()
            optimiser.step()
        results.append(head)
    draw = noise(5, 16, results[0].noise_size) if results[0].noise_size else None
    before, after = (head.sample(obs, draw) for head in results)
    others = [0, 1, 2, 4]
    assert torch.equal(before[others], after[others]) and not torch.equal(before[3], after[3])
    for one, two in zip(results[0].parameters(), results[1].parameters()):
        assert torch.equal(one[others], two[others])


@pytest.mark.parametrize("make", CONTINUOUS)
def test_a_run_taken_out_behaves_as_it_did_in_the_stack(make):
    head, (obs, action) = roughen(make(O, D, runs=3, seed=0, hidden=(16,))), pairs(3, 7)
    alone, extra = take_run(head, 1), loss_noise(head, 3, 7)
    expected = head.loss(obs, action, extra)[1:2]
    got = alone.loss(obs[1:2], action[1:2], None if extra is None else extra[1:2])
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [GaussianHead, MixtureHead, FlowHead])
def test_densities_integrate_to_one(make):
    head = roughen(make(O, 1, runs=2, seed=0, hidden=(8,)), 0.5)
    grid = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    obs = noise(2, 1, O, name="obs").expand(2, 6001, O)
    density = head.log_prob(obs, grid[None, :, None].expand(2, 6001, 1)).detach().exp()
    totals = torch.trapezoid(density, grid)
    torch.testing.assert_close(totals, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-3)


@pytest.mark.parametrize("make", [GaussianHead, MixtureHead, FlowHead])
def test_samples_follow_the_density(make):
    """Kolmogorov–Smirnov of 4,000 samples against the integrated density, seed 0; a right sampler
    gives p < 1e-6 once in a million seeds. The flow takes 50 Heun steps, an error far below that."""
    head = roughen(make(O, 1, runs=1, seed=0, hidden=(8,)), 0.5)
    if make is FlowHead:
        head.steps = 50
    grid = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    one = noise(1, 1, O, name="obs")
    density = head.log_prob(one.expand(1, 6001, O), grid[None, :, None]).detach().exp()[0]
    cdf = torch.cumulative_trapezoid(density, grid).numpy()
    sample = head.sample(one.expand(1, 4000, O), noise(1, 4000, head.noise_size)).detach().flatten().numpy()
    assert sample.std() > 0.05
    assert stats.kstest(sample, lambda x: np.interp(x, grid[1:].numpy(), cdf)).pvalue > 1e-6


def autoregressive(size=2, bins=4, runs=2):
    return roughen(AutoregressiveHead(O, size, runs=runs, seed=0, bins=bins, low=-1.0, high=3.0, hidden=(8,)), 0.7)


def cells(bins=4):
    centres = -1.0 + (torch.arange(bins, dtype=torch.float64) + 0.5) * (4.0 / bins)
    return torch.cartesian_prod(centres, centres)


def test_autoregressive_density_integrates_to_one():
    """It is constant on each of the M² cells, so that the sum over their centres is the integral."""
    head, centres = autoregressive(), cells()
    obs = noise(2, 1, O, name="obs").expand(2, 16, O)
    density = head.log_prob(obs, centres.expand(2, 16, 2)).exp()
    torch.testing.assert_close(density.sum(1), torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-12)
    elsewhere = head.log_prob(obs, (centres + 0.49).expand(2, 16, 2)).exp()
    torch.testing.assert_close(elsewhere, density, rtol=0, atol=1e-14)


def test_autoregressive_conditionals_see_the_earlier_dimensions_and_only_those():
    head, obs = autoregressive(size=3, runs=1), noise(1, 1, O, name="obs")
    index = torch.tensor([[[1, 2, 0]]])
    logits = head.logits(obs, index)
    for changed in range(3):
        other = index.clone()
        other[..., changed] = 3
        same = (head.logits(obs, other) == logits).all(-1).flatten().tolist()
        assert same == [d <= changed for d in range(3)]


def test_autoregressive_networks_see_bin_centres_scaled_to_one():
    """The centres of four bins of any range are −0.75, −0.25, 0.25, 0.75 of its half-width."""
    head, obs = autoregressive(runs=1), noise(1, 1, O, name="obs")
    for index, centre in enumerate((-0.75, -0.25, 0.25, 0.75)):
        expected = head.nets[1](torch.cat((obs, torch.full((1, 1, 1), centre).double()), dim=-1))
        assert torch.equal(head.logits(obs, torch.tensor([[[index, 0]]]))[..., 1, :], expected)


def test_autoregressive_samples_follow_the_density():
    """χ² over 16 cells and Kolmogorov–Smirnov of the place within the cell, 20,000 samples, seed 0;
    each falls below p = 1e-6 once in a million seeds. The dimensions are far from independent."""
    head, centres = autoregressive(), cells()
    obs = noise(2, 1, O, name="obs")
    expected = 20_000 * head.log_prob(obs.expand(2, 16, O), centres.expand(2, 16, 2)).detach().exp()
    sample = head.sample(obs.expand(2, 20_000, O), noise(2, 20_000, 2)).detach()
    for r in range(2):
        cell = (sample[r] + 1.0).floor().long()
        counts = torch.bincount(4 * cell[:, 0] + cell[:, 1], minlength=16)
        assert stats.chisquare(counts.numpy(), expected[r].numpy()).pvalue > 1e-6
        for d in range(2):
            assert stats.kstest((sample[r, :, d] % 1.0).numpy(), "uniform").pvalue > 1e-6
        table = expected[r].reshape(4, 4) / 20_000
        assert (table - table.sum(0) * table.sum(1, keepdim=True)).abs().max() > 0.01


def test_autoregressive_sample_in_one_dimension_is_the_exact_inverse_cdf():
    head, obs = autoregressive(size=1, runs=1), noise(1, 1, O, name="obs")
    draws = torch.linspace(0.001, 0.999, 200, dtype=torch.float64)
    sample = head.sample(obs.expand(1, 200, O), draws[None, :, None])[0, :, 0].detach()
    centres = cells()[::4, :1]
    mass = head.log_prob(obs.expand(1, 4, O), centres[None]).detach().exp().flatten()
    cdf = np.interp(sample.numpy(), np.arange(-1.0, 4.0), np.concatenate(([0.0], mass.cumsum(0).numpy())))
    np.testing.assert_allclose(cdf, draws.numpy(), rtol=0, atol=1e-12)


def test_greedy_actions():
    obs = noise(1, 1, O, name="obs")
    head = autoregressive(size=1, runs=1)
    mass = head.log_prob(obs.expand(1, 4, O), cells()[::4, :1][None]).flatten()
    assert head.sample(obs).item() == pytest.approx(-0.5 + int(mass.argmax()))
    gaussian = roughen(GaussianHead(O, 1, runs=1, seed=0, hidden=(8,)))
    assert torch.allclose(gaussian.sample(obs), gaussian.sample(obs, torch.full((1, 1, 1), 0.5).double()))
    mixture = MixtureHead(O, 1, runs=1, seed=0, hidden=(8,))
    assert torch.equal(mixture.sample(obs), mixture.distribution(obs).heaviest_mean)
    for make in (CVAEHead, FlowHead):
        with pytest.raises(ValueError, match=r"noise: expected uniforms of shape \[1, 1, "):
            make(O, 1, runs=1, seed=0).sample(obs)


def cvae():
    """An encoder wider than the posterior keeps the importance weights bounded."""
    head = roughen(CVAEHead(O, 1, runs=2, seed=0, hidden=(8,), activation="tanh", decoder_std=0.3), 0.3)
    with torch.no_grad():
        head.encoder.biases[-1][..., 1] += 1.5
    return head


def cvae_log_prob(head, obs, action):
    """log ∫ N(a; f(z, o), s²) N(z; 0, 1) dz on a grid of 4,001 latents: obs [R, 1, O] → [R]."""
    grid = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    mean = head.decode(obs.expand(-1, 4001, O), grid[None, :, None].expand(2, 4001, 1)).mean.detach()
    density = stats.norm(mean.squeeze(-1).numpy(), head.decoder_std).pdf(action) * stats.norm.pdf(grid.numpy())
    return np.log(np.trapezoid(density, grid.numpy(), axis=1))


def test_cvae_elbo_and_importance_bound_lie_below_the_log_likelihood():
    """The ELBO's expectation by a regular grid of 2,000 uniforms; the bound with 1, 10 and 100 draws
    (means of 4,000, seed 0, gaps of at least 5 standard errors) rises towards the log-likelihood, which
    quadrature over z gives, and on a regular grid of 20,000 draws it is the log-likelihood."""
    head, obs, action = cvae(), noise(2, 1, O, name="obs"), 0.4
    exact = cvae_log_prob(head, obs, action)
    grid = ((torch.arange(2000, dtype=torch.float64) + 0.5) / 2000)[None, :, None].expand(2, 2000, 1)
    many = obs.expand(2, 2000, O)
    elbo = -head.loss(many, torch.full((2, 2000, 1), action).double(), grid).mean(1).detach().numpy()
    assert (exact - elbo > 0.02).all()

    def bound(draws):
        values = head.importance_bound(obs.expand(2, 4000, O), torch.full((2, 4000, 1), action).double(),
                                       noise(2, 4000, draws, 1)).detach()
        return values.mean(1).numpy(), values.std(1).numpy() / math.sqrt(4000)

    (one, one_error), (ten, ten_error), (hundred, error) = bound(1), bound(10), bound(100)
    assert (np.abs(one - elbo) < 5 * one_error).all()
    assert (ten - one > 5 * one_error).all() and (hundred - ten > 5 * ten_error).all()
    assert (exact - ten > 5 * ten_error).all() and (hundred < exact + 5 * error).all()
    fine = ((torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000)[None, None, :, None].expand(2, 1, 20_000, 1)
    limit = head.importance_bound(obs, torch.full((2, 1, 1), action).double(), fine).detach().flatten()
    np.testing.assert_allclose(limit.numpy(), exact, rtol=0, atol=1e-5)


def linear_cvae():
    """A decoder a = 1.3 z + 0.4 ± 0.6 and the encoder that knows its exact posterior."""
    head = CVAEHead(1, 1, runs=1, seed=0, hidden=(), decoder_std=0.6)
    variance = 1.3**2 + 0.6**2
    deviation = 0.6 / math.sqrt(variance)
    with torch.no_grad():
        head.decoder.weights[0][0] = torch.tensor([[0.0], [1.3]])
        head.decoder.biases[0][0] = torch.tensor([[0.4]])
        head.encoder.weights[0][0] = torch.tensor([[0.0, 0.0], [1.3 / variance, 0.0]], dtype=torch.float64)
        raw = math.log(math.expm1(deviation - 1e-3))
        head.encoder.biases[0][0] = torch.tensor([[-0.4 * 1.3 / variance, raw]], dtype=torch.float64)
        head.decoder.weights[0][0, 1] = 1.3
        head.decoder.biases[0][0] = 0.4
    return head, stats.norm(0.4, math.sqrt(variance))


def test_cvae_bound_is_tight_where_the_encoder_is_the_posterior():
    """Then every draw has the weight p(a), so that even one gives log p(a) exactly, and the ELBO's mean
    over a fine regular grid of uniforms is log p(a) too."""
    head, exact = linear_cvae()
    action = torch.linspace(-3, 3, 9, dtype=torch.float64)
    log_prob = torch.as_tensor(exact.logpdf(action.numpy()))
    obs = torch.zeros(1, 9, 1, dtype=torch.float64)
    for draws in (1, 5):
        bound = head.importance_bound(obs, action[None, :, None], noise(1, 9, draws, 1)).detach()[0]
        torch.testing.assert_close(bound, log_prob, rtol=0, atol=1e-9)
    grid = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    for a, expected in zip(action, log_prob):
        loss = head.loss(torch.zeros(1, 20_000, 1).double(), a.expand(1, 20_000, 1), grid[None, :, None])
        assert -loss.detach().mean().item() == pytest.approx(float(expected), abs=2e-4)


def test_cvae_samples_follow_the_marginal():
    """Kolmogorov–Smirnov, 20,000 samples, seed 0; p < 1e-6 once in a million seeds."""
    head, exact = linear_cvae()
    sample = head.sample(torch.zeros(1, 20_000, 1).double(), noise(1, 20_000, 2)).detach().flatten().numpy()
    assert stats.kstest(sample, exact.cdf).pvalue > 1e-6


def test_flow_loss_of_a_linear_field_by_hand():
    """v = 2 a_t − 3 t + 0.5 o, with t the first uniform and a₀ the normal quantile of the second."""
    head = FlowHead(1, 1, runs=1, seed=0, hidden=())
    with torch.no_grad():
        head.net.weights[0][0] = torch.tensor([[0.5], [2.0], [-3.0]])
    obs, action, draw = noise(1, 9, 1, name="obs"), noise(1, 9, 1, name="action"), noise(1, 9, 2)
    o, a1, t, a0 = (x.numpy() for x in (obs[0, :, 0], action[0, :, 0], draw[0, :, 0], draw[0, :, 1]))
    a0 = stats.norm.ppf(a0)
    expected = (2.0 * ((1 - t) * a0 + t * a1) - 3.0 * t + 0.5 * o - (a1 - a0))**2
    np.testing.assert_allclose(head.loss(obs, action, draw).detach().numpy()[0], expected, rtol=1e-12)


def test_categorical_head():
    head = CategoricalHead(O, 4, runs=2, seed=0, hidden=(8,))
    obs, action = pairs(2, 6)[0], torch.randint(4, (2, 6), generator=generator(0, "a"))
    probs = torch.softmax(head.net(obs), -1)
    expected = -torch.stack([probs[r, b, action[r, b]] for r in range(2) for b in range(6)]).log().reshape(2, 6)
    torch.testing.assert_close(head.loss(obs, action), expected)
    assert torch.equal(head.sample(obs), probs.argmax(-1))
    draw = head.sample(obs, noise(2, 6, 1))
    assert draw.shape == (2, 6) and draw.dtype == torch.int64
    with pytest.raises(ValueError, match=r"action: expected shape \[2, 6\], got \[2, 6, 1\]"):
        head.loss(obs, action.unsqueeze(-1))


SOCKETS = [(MixtureHead, {"log_prob_equation": lambda a, w, m, s: mixture_log_prob(a, w, m, s)}),
           (AutoregressiveHead, {"log_prob_equation": lambda x, i, bin_width: autoregressive_log_prob(
               x, i, bin_width=bin_width)}),
           (CVAEHead, {"elbo_equation": lambda a, m, s, zm, zs: negative_elbo(a, m, s, zm, zs)}),
           (FlowHead, {"point_equation": lambda a0, a1, t: flow_matching_point(a0, a1, t),
                       "loss_equation": lambda v, a0, a1: flow_matching_loss(v, a0, a1)})]


@pytest.mark.parametrize("make, sockets", SOCKETS)
def test_a_students_function_of_one_run_can_stand_in_for_the_equation(make, sockets):
    obs, action = pairs(3, 7)
    default = make(O, D, runs=3, seed=0, hidden=(8,))
    with_theirs = make(O, D, runs=3, seed=0, hidden=(8,), **sockets)
    extra = loss_noise(default, 3, 7)
    torch.testing.assert_close(with_theirs.loss(obs, action, extra), default.loss(obs, action, extra))
    broken = make(O, D, runs=3, seed=0, hidden=(8,), **{name: lambda *a, **k: torch.zeros(2) for name in sockets})
    with pytest.raises(ValueError, match=f"{next(iter(sockets))}: expected a result of shape"):
        broken.loss(obs, action, extra)


@pytest.mark.parametrize("make", CONTINUOUS)
def test_wrong_arguments_are_named(make):
    head, (obs, action) = make(O, D, runs=3, seed=0, hidden=(8,)), pairs(3, 7)
    extra = loss_noise(head, 3, 7)
    with pytest.raises(ValueError, match=r"obs: expected shape \[3, B, 3\], got \[3, 7, 2\]"):
        head.loss(obs[..., :2], action, extra)
    with pytest.raises(ValueError, match=r"action: expected shape \[3, 7, 2\], got \[3, 7, 1\]"):
        head.loss(obs, action[..., :1], extra)
    with pytest.raises(ValueError, match="action: expected the dtype of obs"):
        head.loss(obs, action.float(), extra)
    if head.noise_size:
        with pytest.raises(ValueError, match="noise: expected shape"):
            head.sample(obs, noise(3, 7, head.noise_size + 1))
    if head.loss_noise_size:
        with pytest.raises(ValueError, match="noise: expected uniforms of shape"):
            head.loss(obs, action)
