"""Imitation on tables: cloning as maximum likelihood, what its errors cost, DAgger's bound.

Derived in lectures/02_imitation, sections I1, I2, I4 and I7. ε is the probability with which
the learner deviates from the expert, T the horizon; time runs over t = 0 … T − 1.
"""

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from ..core.check import require, require_shape, require_unit_interval


def clone(counts: Float[Tensor, "*B S A"], fallback: Float[Tensor, "*#B A"]) -> Float[Tensor, "*B S A"]:
    """Behaviour cloning in a table: π(a|s) = n(s, a) / Σₐ′ n(s, a′).

    This maximises the log-likelihood Σ n(s, a) log π(a|s). Where the data have no action
    (n(s, ·) = 0) the likelihood says nothing and the policy is `fallback`.

    Shapes: counts [*B, S, A], fallback [*B, A] or [A] → policy [*B, S, A].
    """
    require_shape("counts", counts, ("...", "S", "A"))
    require_shape("fallback", fallback, ("...", counts.shape[-1]))
    require(bool((counts >= 0).all()), "counts", "numbers of at least 0", float(counts.min()))
    total = counts.sum(-1, keepdim=True)
    return torch.where(total > 0, counts / total.clamp(min=1e-300), fallback.unsqueeze(-2))


def most_frequent_action(counts: Float[Tensor, "*B S A"]) -> Float[Tensor, "*B A"]:
    """The action taken most often in the whole data, as a distribution [*B, A].

    The simplest generalisation to a state without data, and the fallback of the lecture.
    """
    require_shape("counts", counts, ("...", "S", "A"))
    best = counts.sum(-2).argmax(-1)
    return torch.nn.functional.one_hot(best, counts.shape[-1]).to(counts.dtype)


def cloning_loss(policy: Float[Tensor, "*B S A"], counts: Float[Tensor, "*B S A"]) -> Float[Tensor, "*B"]:
    """− Σ n(s, a) log π(a|s) / Σ n(s, a): mean negative log-likelihood [*B], in nats.

    Infinite if the policy calls impossible what the data contain. Shapes [*B, S, A].
    """
    require_shape("counts", counts, tuple(policy.shape))
    # 0 − x and not −x: a perfect clone has the loss 0, not −0.
    return 0.0 - torch.xlogy(counts, policy).sum((-2, -1)) / counts.sum((-2, -1))


def imperfect(policy: Float[Tensor, "*B S A"], covered: Bool[Tensor, "*B S"],
              epsilon: float) -> Float[Tensor, "*B S A"]:
    """A learner that errs with probability ε in every state that its data cover.

    π_ε(a|s) = (1 − ε) π(a|s) + ε (1 − π(a|s)) / (A − 1) where `covered` [*B, S] (bool), and
    π(a|s) elsewhere. With a deterministic π the action is wrong with probability exactly ε,
    all wrong actions being equally likely: the assumption of proof A and nothing else.
    """
    require_unit_interval("epsilon", epsilon)
    require_shape("covered", covered, tuple(policy.shape[:-1]))
    require(policy.shape[-1] > 1, "policy", "at least two actions", policy.shape[-1])
    wrong = (1.0 - policy) / (policy.shape[-1] - 1)
    return torch.where(covered.unsqueeze(-1), (1 - epsilon) * policy + epsilon * wrong, policy)


def noisy_expert(expert_policy: Float[Tensor, "*B S A"], noise: float) -> Float[Tensor, "*B S A"]:
    """(1 − η) π*(a|s) + η / A: the expert with noise injected into what it *executes*.

    The recorded label stays the expert's own action, so the data show recoveries. The idea of
    DART (Laskey, Lee, Fox, Dragan, Goldberg 2017), with uniform instead of fitted noise.
    """
    require_unit_interval("noise", noise)
    return (1 - noise) * expert_policy + noise / expert_policy.shape[-1]


def no_recovery_cost(epsilon: Float[Tensor, "*#B"], horizon: Shaped[Tensor, "*#B"]) -> Float[Tensor, "*B"]:
    """E Σₜ cₜ = T − (1−ε)(1−(1−ε)ᵀ)/ε [*B]: the first mistake costs all that follows.

    The sum Σₜ (1 − (1−ε)ᵗ⁺¹) over t = 0 … T−1: exact on the unrecoverable tightrope, and under
    proof A the most that any problem can cost. About εT²/2 for εT ≪ 1 and about T for εT ≫ 1.
    Arguments broadcast; ε = 0 costs nothing. After Ross and Bagnell 2010.
    """
    survival = -torch.expm1(horizon * torch.log1p(-epsilon))
    safe = torch.where(epsilon > 0, epsilon, torch.ones_like(epsilon))
    return torch.where(epsilon > 0, horizon - (1 - epsilon) * survival / safe, torch.zeros_like(survival))


def expectation_bound(epsilon: Float[Tensor, "*#B"], horizon: Shaped[Tensor, "*#B"]) -> Float[Tensor, "*B"]:
    """Σₜ (ε + εt) = ε T (T + 1) / 2 [*B]: proof B's bound on E Σₜ cₜ, for costs in [0, 1].

    Needs only that the learner errs with probability at most ε *in expectation* over the
    expert's own states at each step. Arguments broadcast.
    """
    return epsilon * horizon * (horizon + 1) / 2


def distribution_shift_bound(epsilon: Float[Tensor, "*#B"], time: Shaped[Tensor, "*#B"]
                             ) -> Float[Tensor, "*B"]:
    """min(1, ε t) ≥ ½ Σ_s |p_θ(sₜ) − p_train(sₜ)| [*B]: the probability of an earlier mistake."""
    return (epsilon * time).clamp(max=1.0)


def dagger_bound(epsilon: Float[Tensor, "*#B"], horizon: Shaped[Tensor, "*#B"],
                 recoverability: Float[Tensor, "*#B"] | float) -> Float[Tensor, "*B"]:
    """J(π) − J(π*) ≤ u ε T [*B], with ε measured on the learner's *own* states.

    u bounds Q^π*(s, a) − V^π*(s), in cost, over all states, actions and times: what one mistake
    costs when the expert takes over afterwards (Ross, Gordon, Bagnell 2011, theorem 2.2).
    """
    return recoverability * epsilon * horizon
