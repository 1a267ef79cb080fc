"""Losses of policies that can express more than one good action, per element.

Every function takes actions `action` [*B, D] and what a network said about them, and returns
one number per element, [*B]; the training loop takes the means. All logarithms are natural, and
log-probabilities of continuous actions are densities per unit of action volume.
Derived in lecture 02, section I5.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.check import require, require_count, require_shape


def squared_error(action: Float[Tensor, "*B D"], prediction: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
    """‖a − f(o)‖² = Σ_d (a_d − f_d)²   [*B, D], [*B, D] → [*B].

    Its expectation is smallest at f(o) = E[a | o]: with two good actions, at the one between
    them, however bad that one is.
    """
    _require_like_action(action, prediction=prediction)
    return (action - prediction).square().sum(-1)


def gaussian_nll(action: Float[Tensor, "*B D"], mean: Float[Tensor, "*B D"],
                 log_std: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
    """−log N(a; μ, diag σ²) = Σ_d [ ½((a_d − μ_d)/σ_d)² + log σ_d + ½ log 2π ]   → [*B].

    `action`, `mean`, `log_std` (= log σ) are [*B, D]. With σ held fixed this is the squared
    error over 2σ², plus a constant.
    """
    _require_like_action(action, mean=mean, log_std=log_std)
    standardised = (action - mean) * torch.exp(-log_std)
    return (0.5 * standardised.square() + log_std + 0.5 * math.log(2.0 * math.pi)).sum(-1)


def mixture_log_prob(action: Float[Tensor, "*B D"], logits: Float[Tensor, "*B K"],
                     mean: Float[Tensor, "*B K D"], log_std: Float[Tensor, "*B K D"]) -> Float[Tensor, "*B"]:
    """log p(a|o) = log Σ_k w_k N(a; μ_k, diag σ_k²),   w = softmax(logits)   → [*B].

    `action` [*B, D], `logits` [*B, K], `mean` and `log_std` [*B, K, D]. The sum is taken in
    log space (log-sum-exp), since a density far from every component underflows to 0.
    Bishop 1994, "Mixture density networks".
    """
    batch, components = list(logits.shape[:-1]), logits.shape[-1]
    require(list(action.shape[:-1]) == batch, "action", f"leading shape {batch}, as logits",
            list(action.shape))
    wanted = (*batch, components, action.shape[-1])
    require_shape("mean", mean, wanted)
    require_shape("log_std", log_std, wanted)
    component = -gaussian_nll(action.unsqueeze(-2).expand_as(mean), mean, log_std)
    return torch.logsumexp(torch.log_softmax(logits, dim=-1) + component, dim=-1)


def bin_index(action: Float[Tensor, "*B"], *, low: float, high: float, bins: int) -> Int[Tensor, "*B"]:
    """k_d = ⌊(a_d − low) / w⌋ with w = (high − low)/bins: int64 in 0 … bins − 1, shape of `action`.

    The last bin includes `high` itself. Errors: ValueError on an action outside [low, high].
    """
    require(low < high, "low", f"a number below high = {high}", low)
    require_count("bins", bins)
    inside = bool(((action >= low) & (action <= high)).all())
    require(inside, "action", f"numbers in [{low:g}, {high:g}]",
            f"{float(action.min()):.6g} to {float(action.max()):.6g}")
    scaled = (action - low) * (bins / (high - low))
    return scaled.long().clamp(max=bins - 1)


def autoregressive_log_prob(logits: Float[Tensor, "*B D M"], index: Int[Tensor, "*B D"], *,
                            bin_width: float) -> Float[Tensor, "*B"]:
    """log p(a|o) = Σ_d [ log P(k_d | k_1 … k_{d−1}, o) − log w ]   → [*B].

    `logits` [*B, D, M]: row d are the network's scores for the M bins of dimension d, computed
    from the *true* bins of the dimensions before it; `index` [*B, D] int64: the true bins. The
    chain rule makes the product exact; −log w per dimension turns a probability of a bin into a
    density, which can then be compared with that of any other policy.
    Van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel recurrent neural networks" (discrete
    conditionals, one coordinate after the other); Germain et al. 2015, "MADE".
    """
    require(bin_width > 0, "bin_width", "a positive number", bin_width)
    wanted = list(logits.shape[:-1])
    require(list(index.shape) == wanted, "index", f"shape {wanted}, as logits [*B, D, M]", list(index.shape))
    require(index.dtype == torch.int64, "index", "dtype int64", index.dtype)
    log_probs = torch.log_softmax(logits, dim=-1).gather(-1, index.unsqueeze(-1)).squeeze(-1)
    return (log_probs - math.log(bin_width)).sum(-1)


def standard_normal_kl(mean: Float[Tensor, "*B L"], log_std: Float[Tensor, "*B L"]) -> Float[Tensor, "*B"]:
    """KL( N(m, diag s²) ‖ N(0, I) ) = ½ Σ_j (m_j² + s_j² − 1) − Σ_j log s_j   [*B, L] → [*B].

    Zero only where m = 0 and s = 1. Kingma & Welling 2014, appendix B.
    """
    _require_like_action(mean, argument="mean", log_std=log_std)
    return (0.5 * (mean.square() + torch.exp(2.0 * log_std) - 1.0) - log_std).sum(-1)


def negative_elbo(action: Float[Tensor, "*B D"], action_mean: Float[Tensor, "*B D"],
                  action_log_std: Float[Tensor, "*B D"], latent_mean: Float[Tensor, "*B L"],
                  latent_log_std: Float[Tensor, "*B L"]) -> Float[Tensor, "*B"]:
    """−ELBO = −log p(a | z, o) + KL( q(z | a, o) ‖ N(0, I) )  ≥  −log p(a | o)   → [*B].

    `action_mean`, `action_log_std` [*B, D] are what the decoder makes of one latent z drawn from
    q = N(m, diag s²), with m, log s = `latent_mean`, `latent_log_std` [*B, L]. The first term is
    therefore a one-sample estimate, the second is exact; the inequality holds in expectation
    over z, with equality where q is the true posterior p(z | a, o).
    Kingma & Welling 2014, "Auto-encoding variational Bayes"; conditional: Sohn, Lee & Yan 2015.
    """
    return gaussian_nll(action, action_mean, action_log_std) + standard_normal_kl(latent_mean, latent_log_std)


def flow_matching_point(start: Float[Tensor, "*B D"], action: Float[Tensor, "*B D"],
                        time: Float[Tensor, "*B"]) -> Float[Tensor, "*B D"]:
    """a_t = (1 − t) a₀ + t a₁: the straight path from noise a₀ to the action a₁   → [*B, D].

    `start` (a₀ ~ N(0, I)) and `action` (a₁) are [*B, D]; `time` (t in [0, 1]) is [*B].
    Lipman et al. 2023, "Flow matching for generative modeling" (with σ_min = 0); Liu, Gong & Liu
    2023, "Flow straight and fast".
    """
    _require_like_action(action, start=start)
    require(time.shape == action.shape[:-1], "time", f"shape {list(action.shape[:-1])}", list(time.shape))
    weight = time.unsqueeze(-1)
    return (1.0 - weight) * start + weight * action


def flow_matching_loss(velocity: Float[Tensor, "*B D"], start: Float[Tensor, "*B D"],
                       action: Float[Tensor, "*B D"]) -> Float[Tensor, "*B"]:
    """‖v(a_t, t, o) − (a₁ − a₀)‖²   [*B, D] → [*B].

    Regression on the velocity of the straight path through a_t. Many paths cross at a_t, and the
    best answer is their mean, E[a₁ − a₀ | a_t, o]: the field whose flow carries N(0, I) into
    p(a | o). The mean of *velocities* does no harm where the mean of *actions* does.
    Lipman et al. 2023, theorem 2.
    """
    _require_like_action(action, start=start, velocity=velocity)
    return (velocity - (action - start)).square().sum(-1)


def _require_like_action(action: Tensor, argument: str = "action", **others: Tensor) -> None:
    for name, tensor in others.items():
        require(tensor.shape == action.shape, name, f"the shape of {argument}, {list(action.shape)}",
                list(tensor.shape))
