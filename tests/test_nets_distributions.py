"""Distributions against torch.distributions and SciPy; sampling against the cdf."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as td

from rlcourse.core.seeding import generator, uniforms
from rlcourse.nets.distributions import Categorical, DiagGaussian, GaussianMixture, bounded_log_std, inverse_cdf_index


def normal(*shape, name="draws"):
    return torch.randn(*shape, generator=generator(0, name), dtype=torch.float64)


def close(got, expected, tolerance=1e-12):
    torch.testing.assert_close(got, torch.as_tensor(expected, dtype=torch.float64), rtol=tolerance, atol=tolerance)


def test_categorical_equals_torch_distributions():
    logits, other = normal(3, 5, 4), normal(3, 5, 4, name="other")
    ours, theirs = Categorical(logits), td.Categorical(logits=logits)
    action = torch.randint(4, (3, 5), generator=generator(0, "action"))
    close(ours.log_prob(action), theirs.log_prob(action))
    close(ours.entropy(), theirs.entropy())
    close(ours.kl(Categorical(other)), td.kl_divergence(theirs, td.Categorical(logits=other)))
    close(ours.probs, theirs.probs)
    assert torch.equal(ours.mode, theirs.mode)


def test_categorical_with_an_impossible_action():
    ours = Categorical(torch.tensor([[0.0, -math.inf, 0.0]], dtype=torch.float64))
    close(ours.entropy(), [math.log(2)])
    close(ours.kl(Categorical(torch.zeros(1, 3, dtype=torch.float64))), [math.log(1.5)])


def test_categorical_samples_have_the_stated_frequencies():
    """A regular grid of 10,000 uniforms hits each action p·10,000 times, to within one."""
    probs = torch.tensor([0.1, 0.0, 0.6, 0.3, 0.0], dtype=torch.float64)
    grid = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    sample = Categorical(probs.log().expand(10_000, 5)).sample(grid)
    counts = torch.bincount(sample, minlength=5)
    assert (counts - 10_000 * probs).abs().max() <= 1.0
    assert counts[1] == counts[4] == 0
    assert (sample.diff() >= 0).all()


def test_the_ends_of_the_unit_interval_never_pick_an_impossible_outcome():
    probs = torch.tensor([[0.0, 0.3, 0.7 - 1e-9, 0.0]], dtype=torch.float64).expand(2, 4)
    ends = torch.tensor([1e-300, 1.0 - 1e-16], dtype=torch.float64)
    assert inverse_cdf_index(probs, ends).tolist() == [1, 2]


def test_outcome_k_owns_its_lower_edge():
    probs = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64)
    edges = torch.tensor([0.25, 0.5, 0.4999, 0.2499], dtype=torch.float64)
    assert inverse_cdf_index(probs.expand(4, 3), edges).tolist() == [1, 2, 1, 0]


def test_diag_gaussian_equals_torch_distributions():
    mean, log_std, action = normal(3, 5, 2, name="m"), normal(3, 5, 2, name="s"), normal(3, 5, 2)
    mean2, log_std2 = normal(3, 5, 2, name="m2"), normal(3, 5, 2, name="s2")
    ours, theirs = DiagGaussian(mean, log_std), td.Independent(td.Normal(mean, log_std.exp()), 1)
    close(ours.log_prob(action), theirs.log_prob(action))
    close(ours.entropy(), theirs.entropy())
    close(ours.kl(DiagGaussian(mean2, log_std2)),
          td.kl_divergence(theirs, td.Independent(td.Normal(mean2, log_std2.exp()), 1)), 1e-11)
    assert torch.equal(ours.mode, mean)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_diag_gaussian_samples_by_inverse_cdf(dtype):
    mean, log_std = normal(4, 2, name="m").to(dtype), normal(4, 2, name="s").to(dtype)
    noise = uniforms((4, 2), generator(0, "noise"), dtype)
    expected = stats.norm(mean.double().numpy(), log_std.double().exp().numpy()).ppf(noise.double().numpy())
    got = DiagGaussian(mean, log_std).sample(noise)
    assert got.dtype == dtype
    close(got.double(), expected, 1e-12 if dtype == torch.float64 else 1e-5)


def test_a_gaussian_sample_is_differentiable_in_mean_and_width():
    noise = uniforms((3, 2), generator(0, "noise"))
    mean, log_std = normal(3, 2, name="m").requires_grad_(), normal(3, 2, name="s").requires_grad_()
    assert torch.autograd.gradcheck(lambda m, s: DiagGaussian(m, s).sample(noise), (mean, log_std))


def mixture_1d():
    weight, mean, std = np.array([0.2, 0.5, 0.3]), np.array([-1.0, 0.1, 1.5]), np.array([0.2, 0.1, 0.5])
    mixture = GaussianMixture(torch.tensor(weight).log() + 3.0, torch.tensor(mean)[:, None],
                              torch.tensor(std).log()[:, None])
    return mixture, lambda x: (weight * stats.norm(mean, std).cdf(np.asarray(x)[..., None])).sum(-1)


def test_mixture_integrates_to_one():
    mixture, cdf = mixture_1d()
    grid = torch.linspace(-6, 8, 20_001, dtype=torch.float64)
    wide = GaussianMixture(*(t.expand(20_001, *t.shape) for t in (mixture.logits, mixture.mean, mixture.log_std)))
    density = wide.log_prob(grid[:, None]).exp()
    assert float(torch.trapezoid(density, grid)) == pytest.approx(1.0, abs=1e-9)
    assert float(torch.trapezoid(density[:10_001], grid[:10_001])) == pytest.approx(float(cdf(1.0)), abs=1e-6)


def test_mixture_samples_follow_the_cdf():
    """Kolmogorov–Smirnov, 20,000 draws, seed 0; a right sampler gives p < 1e-6 once in a million seeds."""
    mixture, cdf = mixture_1d()
    wide = GaussianMixture(*(t.expand(20_000, *t.shape) for t in (mixture.logits, mixture.mean, mixture.log_std)))
    sample = wide.sample(uniforms((20_000, 2), generator(0, "noise"))).squeeze(-1).numpy()
    assert stats.kstest(sample, cdf).pvalue > 1e-6


def test_a_mixture_draws_all_dimensions_from_one_component():
    mean = torch.tensor([[-5.0, 5.0, 1.0], [5.0, -5.0, 2.0]], dtype=torch.float64)
    wide = GaussianMixture(torch.zeros(500, 2).double(), mean.expand(500, 2, 3),
                           torch.full((500, 2, 3), math.log(0.1), dtype=torch.float64))
    sample = wide.sample(uniforms((500, 4), generator(0, "noise")))
    assert (sample[:, 0].sign() == -sample[:, 1].sign()).all()
    assert ((sample[:, 2] > 1.5) == (sample[:, 0] > 0)).all()
    assert 0.3 < float((sample[:, 0] > 0).double().mean()) < 0.7        # 9 standard deviations each way


def test_the_heaviest_mean_is_of_the_heaviest_component():
    mixture, _ = mixture_1d()
    close(mixture.heaviest_mean, [0.1])


def test_the_width_has_a_floor():
    raw = torch.tensor([-800.0, 0.0, 30.0], dtype=torch.float64)
    close(bounded_log_std(raw, 0.01).exp(), [0.01, 0.01 + math.log(2), 30.01], 1e-9)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="action: expected dtype int64"):
        Categorical(torch.zeros(2, 3)).log_prob(torch.zeros(2))
    with pytest.raises(ValueError, match=r"action: expected shape \[2\], got \[2, 1\]"):
        Categorical(torch.zeros(2, 3)).log_prob(torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"noise: expected shape \[2\], got \[2, 1\]"):
        Categorical(torch.zeros(2, 3)).sample(torch.rand(2, 1, generator=generator(0, "x")))
    with pytest.raises(ValueError, match=r"log_std: expected shape \[2, 3\], got \[3\]"):
        DiagGaussian(torch.zeros(2, 3), torch.zeros(3))
    with pytest.raises(ValueError, match=r"noise: expected shape \[2, 3\], got \[2, 1\]"):
        DiagGaussian(torch.zeros(2, 3), torch.zeros(2, 3)).sample(torch.full((2, 1), 0.5))
