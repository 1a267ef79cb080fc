"""Critics as baselines: what may be subtracted from a return, and what must then be added back.

The policy gradient at a state is E_{a∼π}[∇log π(a|s) Ψ]. A critic V(s) that does not see the action may be
subtracted from Ψ as it is, since E_{a∼π}[∇log π(a|s)] V(s) = 0. A good critic c(s, a) that sees it removes more
noise, but E_{a∼π}[∇log π(a|s) c(s, a)] is not 0: it must be added back, from the critic alone, without any
noise of the rewards. The estimate stays unbiased whatever the critic; a bad one only adds variance.
Everything is per element, [*B] or [*B, P] with the P parameters of the policy; the loop sums over
time and takes means. Gu, Lillicrap, Ghahramani, Turner, Levine 2017 ("Q-Prop"). (Lecture 04, A7.)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require_shape
from .policy_gradient import surrogate_loss


def state_baseline_estimate(score: Float[Tensor, "*B P"], weight: Float[Tensor, "*B"],
                            value: Float[Tensor, "*B"]) -> Float[Tensor, "*B P"]:
    """∇log π(a|s) (Ψ − V(s)) [*B, P]: unbiased for every V that did not see the action.

    Ψ = `weight` is a return or reward-to-go from (s, a), V = `value`.
    """
    require_shape("value", value, tuple(weight.shape))
    return _times(score, weight - value)


def control_variate_estimate(score: Float[Tensor, "*B P"], weight: Float[Tensor, "*B"],
                             control: Float[Tensor, "*B"],
                             correction: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
    """∇log π(a|s) (Ψ − c(s, a)) + E_{a'∼π}[∇log π(a'|s) c(s, a')] [*B, P]: unbiased for every critic c.

    `control` is c(s, a) at the action taken; `correction` is the expectation, by `discrete_correction` or
    `linear_correction`. Multiplying both by the same number η(s) keeps the estimate unbiased.
    """
    require_shape("correction", correction, tuple(score.shape))
    require_shape("control", control, tuple(weight.shape))
    return _times(score, weight - control) + correction


def uncorrected_estimate(score: Float[Tensor, "*B P"], weight: Float[Tensor, "*B"],
                         control: Float[Tensor, "*B"]) -> Float[Tensor, "*B P"]:
    """∇log π(a|s) (Ψ − c(s, a)) [*B, P]: a teaching object, *biased* by −E_{a∼π}[∇log π(a|s) c(s, a)].

    With the perfect critic c = Q^π its mean is exactly 0: what is left is noise, and nothing is learned.
    """
    require_shape("control", control, tuple(weight.shape))
    return _times(score, weight - control)


def discrete_correction(scores: Float[Tensor, "*B A P"], probs: Float[Tensor, "*B A"],
                        controls: Float[Tensor, "*B A"]) -> Float[Tensor, "*B P"]:
    """E_{a∼π}[∇log π(a|s) c(s, a)] = Σₐ π(a|s) ∇log π(a|s) c(s, a) [*B, P]: the sum over all actions.

    `scores` holds ∇log π(a|s) of every action, `probs` π(a|s), `controls` c(s, a).
    """
    require_shape("probs", probs, tuple(scores.shape[:-1]))
    require_shape("controls", controls, tuple(probs.shape))
    return (scores * (probs * controls).unsqueeze(-1)).sum(-2)


def linear_control(q_slope: Float[Tensor, "*B D"], action: Float[Tensor, "*B D"],
                   mean: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
    """c(s, a) = ∇ₐQ(s, μ)ᵀ (a − μ) [*B]: a critic of continuous actions, linearised at the mean of the policy.

    `q_slope` is ∇ₐQ(s, a) at a = μ = `mean`. The term Q(s, μ) is left to the state-dependent baseline.
    """
    require_shape("q_slope", q_slope, tuple(action.shape))
    require_shape("mean", mean, tuple(action.shape))
    return (q_slope * (action - mean)).sum(-1)


def linear_correction(q_slope: Float[Tensor, "*B D"],
                      mean_jacobian: Float[Tensor, "*B D P"]) -> Float[Tensor, "*B P"]:
    """E_{a∼π}[∇log π(a|s) c(s, a)] = (∂μ/∂θ)ᵀ ∇ₐQ(s, μ) [*B, P] for c of `linear_control`.

    For *every* policy with the mean μ: it is ∇_θ E_{a∼π}[c] at fixed ∇ₐQ and fixed point of linearisation,
    and E a = μ_θ(s). The critic enters as in a deterministic policy gradient (Silver and others 2014).
    """
    require_shape("mean_jacobian", mean_jacobian, (*q_slope.shape, None))
    return (mean_jacobian * q_slope.unsqueeze(-1)).sum(-2)


def control_variate_loss(log_prob: Float[Tensor, "*B"], weight: Float[Tensor, "*B"],
                         control: Float[Tensor, "*B"],
                         expected_control: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """−log π(a|s) (Ψ − c(s, a)) − E_{a'∼π_θ}[c(s, a')] [*B]: to be *minimised*.

    Its gradient is minus `control_variate_estimate`. `weight` and `control` are data; `expected_control`
    carries the gradient of the policy, and of it alone: (probs · controls.detach()).sum(−1) for discrete
    actions, (q_slope.detach() · mean).sum(−1) for a linearised critic.
    """
    require_shape("control", control, tuple(weight.shape))
    require_shape("expected_control", expected_control, tuple(log_prob.shape))
    return surrogate_loss(log_prob, weight - control) - expected_control


def _times(score: Tensor, weight: Tensor) -> Tensor:
    require_shape("weight", weight, tuple(score.shape[:-1]))
    return score * weight.unsqueeze(-1)
