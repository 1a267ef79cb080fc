"""Fisher matrices, natural gradients and trust regions against KL by other means, SciPy and theorems."""

from math import log

import pytest
import scipy.integrate
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcourse.core.seeding import generator
from rlcourse.equations import natural_gradient as ng

double = torch.float64
few = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 2 ** 32 - 1)


def numbers(shape, seed, name="numbers"):
    return torch.randn(shape, generator=generator(seed, name), dtype=double)


def second_differences(function, point, step=1e-4):
    """The Hessian by central differences of function values alone."""
    size = len(point)
    steps = step * torch.eye(size, dtype=double)
    return torch.stack([torch.stack([
        (function(point + a + b) - function(point + a - b) - function(point - a + b) + function(point - a - b))
        / (4 * step ** 2) for b in steps]) for a in steps])


@few
@given(SEEDS)
def test_kl_against_torch_distributions(seed):
    first, second = numbers((4, 3), seed, "first"), numbers((4, 3), seed, "second")
    expected = torch.distributions.kl_divergence(torch.distributions.Categorical(logits=first),
                                                 torch.distributions.Categorical(logits=second))
    torch.testing.assert_close(ng.categorical_kl(first, second), expected, rtol=0, atol=1e-12)
    old, new = (torch.distributions.Normal(*pair) for pair in ((first, second.exp()), (second, first.exp())))
    expected = torch.distributions.kl_divergence(old, new).sum(-1)
    torch.testing.assert_close(ng.gaussian_kl(first, second, second, first), expected, rtol=1e-12, atol=1e-12)


def test_gaussian_kl_by_quadrature():
    old, new = torch.distributions.Normal(0.3, 0.7), torch.distributions.Normal(-0.4, 1.3)

    def integrand(a):
        a = torch.tensor(a, dtype=double)
        return float(old.log_prob(a).exp() * (old.log_prob(a) - new.log_prob(a)))

    by_quadrature = scipy.integrate.quad(integrand, -9, 9, epsabs=1e-12)[0]
    numbers_of_both = [torch.tensor([x], dtype=double) for x in (0.3, log(0.7), -0.4, log(1.3))]
    got = ng.gaussian_kl(*numbers_of_both)
    assert float(got) == pytest.approx(by_quadrature, abs=1e-6)  # torch.distributions holds single precision


def test_fisher_is_the_curvature_of_the_kl_by_finite_differences():
    logits = torch.tensor([0.3, -0.5, 1.1], dtype=double)
    found = second_differences(lambda x: ng.categorical_kl(logits, x), logits)
    torch.testing.assert_close(ng.categorical_fisher(logits), found, rtol=0, atol=1e-6)
    point = torch.tensor([0.4, -1.0, -0.7, 0.2], dtype=double)  # two means, two log deviations
    found = second_differences(lambda x: ng.gaussian_kl(point[:2], point[2:], x[:2], x[2:]), point)
    torch.testing.assert_close(ng.gaussian_fisher(point[2:]), found, rtol=0, atol=1e-5)


def test_gaussian_fisher_by_hand():
    got = ng.gaussian_fisher(torch.tensor([0.5], dtype=double).log())
    torch.testing.assert_close(got, torch.tensor([[4.0, 0.0], [0.0, 2.0]], dtype=double), rtol=0, atol=1e-12)


def test_fisher_is_the_second_moment_of_the_score():
    """Categorical: the sum over actions. Gaussian: Gauss–Hermite nodes, exact for these polynomials."""
    logits = numbers((3,), 0)
    probs = torch.softmax(logits, -1)
    score = torch.eye(3, dtype=double) - probs
    torch.testing.assert_close(ng.score_fisher(score, probs), ng.categorical_fisher(logits), rtol=0, atol=1e-12)
    nodes, weights = (torch.tensor(part) for part in scipy.special.roots_hermitenorm(6))
    spread = 0.3
    score = torch.stack([nodes / spread, nodes.square() - 1], -1)  # of a = μ + σ z in μ and log σ
    expected = ng.gaussian_fisher(torch.tensor([spread], dtype=double).log())
    torch.testing.assert_close(ng.score_fisher(score, weights / weights.sum()), expected, rtol=0, atol=1e-10)


def linear_softmax(seed):
    """A softmax whose logits are a smooth function of 4 parameters at 5 states, and its mean KL."""
    features, point = numbers((5, 3, 4), seed, "features"), numbers((4,), seed, "point")

    def logits(parameter):
        return torch.tanh(features @ parameter)

    def mean_kl(parameter):
        return ng.categorical_kl(logits(point), logits(parameter)).mean()

    return logits, mean_kl, point


def test_pulled_back_fisher_is_the_curvature_of_the_mean_kl():
    logits, mean_kl, point = linear_softmax(0)
    jacobian = torch.func.jacrev(logits)(point)
    fisher = ng.pulled_back_fisher(jacobian, ng.categorical_fisher(logits(point)))
    torch.testing.assert_close(fisher, second_differences(mean_kl, point), rtol=0, atol=1e-6)
    weighted = ng.pulled_back_fisher(jacobian, ng.categorical_fisher(logits(point)),
                                     torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0], dtype=double))
    only_first = jacobian[0].T @ ng.categorical_fisher(logits(point)[0]) @ jacobian[0]
    torch.testing.assert_close(weighted, only_first, rtol=0, atol=1e-12)


def test_products_without_the_matrix_equal_those_with_it_and_runs_stay_apart():
    problems = [linear_softmax(seed) for seed in (0, 1, 2)]
    stacked = torch.stack([point for _, _, point in problems])
    pieces = [stacked[:, :1].clone().requires_grad_(), stacked[:, 1:].reshape(3, 3, 1).clone().requires_grad_()]
    joined = torch.cat([piece.flatten(1) for piece in pieces], 1)
    kl = torch.stack([mean_kl(joined[r]) for r, (_, mean_kl, _) in enumerate(problems)])
    vector = numbers((3, 4), 5)
    got = ng.fisher_vector_product(kl, pieces, vector, damping=0.1)
    for r, (_, mean_kl, point) in enumerate(problems):
        hessian = torch.autograd.functional.hessian(mean_kl, point)
        torch.testing.assert_close(got[r], hessian @ vector[r] + 0.1 * vector[r], rtol=0, atol=1e-10)
    changed = vector.clone()
    changed[2] = 1e3
    assert torch.equal(ng.fisher_vector_product(kl, pieces, changed, damping=0.1)[:2], got[:2])


@few
@given(SEEDS, st.integers(1, 6))
def test_conjugate_gradient_solves(seed, size):
    root, target = numbers((2, size, size), seed, "root"), numbers((2, size), seed, "target")
    matrix = root @ root.mT + 0.5 * torch.eye(size, dtype=double)
    got = ng.conjugate_gradient(lambda v: torch.einsum("rpq,rq->rp", matrix, v), target, iterations=3 * size)
    torch.testing.assert_close(got, torch.linalg.solve(matrix, target), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(ng.natural_gradient(matrix, target), torch.linalg.solve(matrix, target),
                               rtol=1e-9, atol=1e-10)


def test_conjugate_gradient_needs_as_many_steps_as_there_are_eigenvalues():
    matrix, target = torch.diag(torch.tensor([1.0, 4.0, 4.0, 9.0], dtype=double)), torch.ones(4, dtype=double)
    exact = target / matrix.diagonal()
    errors = [float((ng.conjugate_gradient(lambda v: matrix @ v, target, iterations=n) - exact).norm())
              for n in (1, 2, 3)]
    assert errors[0] > errors[1] > 0.01 and errors[2] < 1e-12
    rows = torch.stack([torch.zeros(4, dtype=double), target])  # nothing to do in one row: no NaN there
    got = ng.conjugate_gradient(lambda v: v @ matrix, rows)
    torch.testing.assert_close(got, torch.stack([rows[0], exact]), rtol=0, atol=1e-12)


def gaussian_forms():
    """(mean, log σ) from three parameterisations of the same Gaussian, and where N(0.5, 0.2²) lies in each."""
    mean, spread = 0.5, 0.2
    return {"μ, log σ": (lambda x: x, [mean, log(spread)]),
            "μ, σ": (lambda x: torch.stack([x[0], x[1].log()]), [mean, spread]),
            "μ/σ², −1/2σ²": (lambda x: torch.stack([-x[0] / (2 * x[1]), -0.5 * torch.log(-2 * x[1])]),
                             [mean / spread ** 2, -0.5 / spread ** 2])}


def test_the_natural_gradient_does_not_depend_on_the_parameters_and_the_vanilla_one_does():
    """J = E[−(a − 1)²] in three parameterisations; the steps are compared as changes of (μ, log σ)."""
    vanilla, natural = [], []
    for to_common, point in gaussian_forms().values():
        point = torch.tensor(point, dtype=double)
        common = to_common(point)

        def objective(x, to_common=to_common):
            mean, log_std = to_common(x)
            return -(mean - 1).square() - (2 * log_std).exp()

        def kl(x, to_common=to_common, common=common):
            return ng.gaussian_kl(common[:1], common[1:], to_common(x)[:1], to_common(x)[1:])

        gradient = torch.func.grad(objective)(point)
        fisher = torch.autograd.functional.hessian(kl, point)
        jacobian = torch.func.jacrev(to_common)(point)
        vanilla.append(jacobian @ gradient)
        natural.append(jacobian @ ng.natural_gradient(fisher, gradient))
        length = ng.trust_region_step_length(gradient, ng.natural_gradient(fisher, gradient), max_kl=0.01)
        slope = float(gradient @ torch.linalg.solve(fisher, gradient))
        assert float(length) == pytest.approx((0.02 / slope) ** 0.5)
    # By hand: ∇J = (1, −0.08) and F = diag(25, 2) in (μ, log σ).
    for step in natural:
        torch.testing.assert_close(step, torch.tensor([0.04, -0.04], dtype=double), rtol=0, atol=1e-9)
    directions = [step / step.norm() for step in vanilla]
    assert float((directions[0] - directions[1]).norm()) > 0.5
    assert float((directions[0] - directions[2]).norm()) > 0.5


def test_the_least_solution_where_the_fisher_matrix_is_singular():
    logits, gradient = torch.tensor([0.3, -0.2], dtype=double), torch.tensor([0.1, -0.1], dtype=double)
    fisher = ng.categorical_fisher(logits)
    natural = ng.natural_gradient(fisher, gradient)
    torch.testing.assert_close(fisher @ natural, gradient, rtol=0, atol=1e-12)
    assert float(natural.sum()) == pytest.approx(0.0, abs=1e-12)  # no step along (1, 1)
    damped = ng.natural_gradient(fisher, gradient, damping=0.1)
    torch.testing.assert_close(damped, torch.linalg.solve(fisher + 0.1 * torch.eye(2, dtype=double), gradient))


def test_the_step_length_meets_the_kl_to_second_order():
    logits, mean_kl, point = linear_softmax(3)
    fisher, gradient = torch.autograd.functional.hessian(mean_kl, point), numbers((4,), 3, "gradient")
    natural = ng.natural_gradient(fisher, gradient)
    relative = []
    for max_kl in (1e-3, 1e-5, 1e-7):
        step = ng.trust_region_step_length(gradient, natural, max_kl=max_kl) * natural
        relative.append(abs(float(mean_kl(point + step)) / max_kl - 1))
    assert relative[0] < 0.2 and relative[1] < 0.1 * relative[0] * 1.5 and relative[2] < 0.1 * relative[1] * 1.5
    zeros = torch.zeros(2, 4, dtype=double)
    assert ng.trust_region_step_length(zeros, zeros, max_kl=0.01).tolist() == [0.0, 0.0]


def test_wrong_arguments_are_refused():
    matrix, vector = torch.eye(2, dtype=double), torch.ones(2, dtype=double)
    with pytest.raises(ValueError, match=r"gradient: expected shape \[2\], got \[3\]"):
        ng.natural_gradient(matrix, torch.ones(3, dtype=double))
    with pytest.raises(ValueError, match="damping: expected a number of at least 0, got -1"):
        ng.natural_gradient(matrix, vector, damping=-1)
    with pytest.raises(ValueError, match="max_kl: expected a positive number, got 0"):
        ng.trust_region_step_length(vector, vector, max_kl=0)
    with pytest.raises(ValueError, match="iterations: expected a whole number of at least 1, got 0"):
        ng.conjugate_gradient(lambda v: v, vector, iterations=0)
    with pytest.raises(ValueError, match=r"new_logits: expected shape \[2\], got \[2, 1\]"):
        ng.categorical_kl(vector, vector[:, None])
    with pytest.raises(ValueError, match=r"fisher: expected shape \[5, 2, 2\]"):
        ng.pulled_back_fisher(torch.ones(5, 2, 3, dtype=double), matrix)
