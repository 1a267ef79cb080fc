"""Equations of lecture 01: the transition operator, Bellman backups, objectives, Bayes' filter."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.check import require, require_probabilities, require_shape, require_unit_interval


def transition_operator(transition_probs: Float[Tensor, "S A S"]) -> Float[Tensor, "S S A"]:
    """T[i, j, k] = p(sₜ₊₁ = i | sₜ = j, aₜ = k): [S', S, A] from p(s'|s, a) [S, A, S'].

    The same numbers in the order in which the marginal update sums them: next state, state,
    action. Every T[:, j, k] sums to 1; T[i, :, k] need not. (Lecture 01, F2.)
    """
    require_shape("transition_probs", transition_probs, ("S", "A", "S"))
    return transition_probs.permute(2, 0, 1)


def next_marginal(operator: Float[Tensor, "S S A"], marginal: Float[Tensor, "*B S"],
                  policy: Float[Tensor, "S A"]) -> Float[Tensor, "*B S"]:
    """μₜ₊₁,ᵢ = Σ_j Σ_k T[i, j, k] μₜ,ⱼ π(k|j): [*B, S] from [*B, S].

    `operator` [S', S, A] as `transition_operator` gives it and `policy` [S, A], whose rows are
    distributions over actions given the state. Probability mass is kept: Σᵢ T[i, j, k] = 1 for
    every (j, k), so Σᵢ μₜ₊₁,ᵢ = Σⱼ μₜ,ⱼ. (Lecture 01, F2.)
    """
    require_shape("operator", operator, ("S", "S", "A"))
    states, _, actions = operator.shape
    require_shape("marginal", marginal, ("...", states))
    require_shape("policy", policy, (states, actions))
    require_probabilities("policy", policy)
    return torch.einsum("ijk,...j,jk->...i", operator, marginal, policy)


def bellman_q(value: Float[Tensor, "*B S"], transition_probs: Float[Tensor, "S A S"],
              reward_table: Float[Tensor, "S A"], *, discount: float) -> Float[Tensor, "*B S A"]:
    """Q(s, a) = r(s, a) + γ Σ_s' p(s'|s, a) V(s'): [*B, S, A] from V [*B, S] (Bellman 1957)."""
    require_shape("transition_probs", transition_probs, ("S", "A", "S"))
    require_shape("reward_table", reward_table, tuple(transition_probs.shape[:2]))
    require_shape("value", value, ("...", transition_probs.shape[0]))
    require_unit_interval("discount", discount)
    return reward_table + discount * torch.einsum("sax,...x->...sa", transition_probs, value)


def bellman_backup(value: Float[Tensor, "*B S"], policy: Float[Tensor, "S A"],
                   transition_probs: Float[Tensor, "S A S"], reward_table: Float[Tensor, "S A"], *,
                   discount: float) -> Float[Tensor, "*B S"]:
    """(B^π V)(s) = Σₐ π(a|s) [r(s, a) + γ Σ_s' p(s'|s, a) V(s')]: [*B, S] from V [*B, S].

    A γ-contraction in the largest-error norm whose fixed point is V^π. (Lecture 01, F5.)
    """
    require_shape("policy", policy, tuple(reward_table.shape))
    require_probabilities("policy", policy)
    return (policy * bellman_q(value, transition_probs, reward_table, discount=discount)).sum(-1)


def bellman_optimality_backup(value: Float[Tensor, "*B S"], transition_probs: Float[Tensor, "S A S"],
                              reward_table: Float[Tensor, "S A"], *,
                              discount: float) -> Float[Tensor, "*B S"]:
    """(B* V)(s) = maxₐ [r(s, a) + γ Σ_s' p(s'|s, a) V(s')]: [*B, S] from V [*B, S].

    Also a γ-contraction; its fixed point is V* (Bellman 1957). (Lecture 01, F5.)
    """
    return bellman_q(value, transition_probs, reward_table, discount=discount).max(-1).values


def expected_reward(marginal: Float[Tensor, "*B S"], policy: Float[Tensor, "S A"],
                    reward_table: Float[Tensor, "S A"]) -> Float[Tensor, "*B"]:
    """E r(sₜ, aₜ) = Σ_s p(sₜ = s) Σₐ π(a|s) r(s, a): [*B] from marginals [*B, S].

    With a stationary distribution in the place of the marginal this is the average reward, the
    infinite-horizon objective without a discount. (Lecture 01, F4.)
    """
    require_shape("policy", policy, ("S", "A"))
    require_shape("reward_table", reward_table, tuple(policy.shape))
    require_shape("marginal", marginal, ("...", policy.shape[0]))
    return marginal @ (policy * reward_table).sum(-1)


def finite_horizon_objective(step_reward: Float[Tensor, "T *B"]) -> Float[Tensor, "*B"]:
    """Σ_{t=0}^{T−1} E r(sₜ, aₜ): [*B] from expected (or sampled) rewards [T, *B]."""
    return step_reward.sum(0)


def discounted_objective(step_reward: Float[Tensor, "T *B"], *, discount: float) -> Float[Tensor, "*B"]:
    """Σ_{t=0}^{T−1} γᵗ E r(sₜ, aₜ): [*B] from expected (or sampled) rewards [T, *B].

    The infinite sum is missed by at most γᵀ max|r| / (1 − γ).
    """
    require_unit_interval("discount", discount)
    steps = torch.arange(step_reward.shape[0], dtype=step_reward.dtype, device=step_reward.device)
    return torch.tensordot(discount ** steps, step_reward, dims=1)


def belief_correct(prior: Float[Tensor, "*B S"], observation: Int[Tensor, "*B"],
                   observation_probs: Float[Tensor, "S O"]) -> Float[Tensor, "*B S"]:
    """b(s) = p(o|s) b̄(s) / Σ_s' p(o|s') b̄(s'): Bayes' rule for one observation, [*B, S].

    `prior` b̄ [*B, S], `observation` [*B] (int64), `observation_probs` p(o|s) [S, O]. With
    b̄ = p(s₀) it gives the first belief. Raises ValueError for an observation that the prior
    holds to be impossible: no posterior exists then. (Lecture 01, F3.)
    """
    require_shape("observation_probs", observation_probs, ("S", "O"))
    require_probabilities("observation_probs", observation_probs)
    require_shape("prior", prior, ("...", observation_probs.shape[0]))
    joint = prior * observation_probs.T[observation]
    evidence = joint.sum(-1, keepdim=True)
    require(bool((evidence > 0).all()), "observation", "one that the belief allows", "probability 0")
    return joint / evidence


def belief_update(belief: Float[Tensor, "*B S"], action: Int[Tensor, "*B"], observation: Int[Tensor, "*B"],
                  transition_probs: Float[Tensor, "S A S"],
                  observation_probs: Float[Tensor, "S O"]) -> Float[Tensor, "*B S"]:
    """b'(s') ∝ p(o'|s') Σ_s p(s'|s, a) b(s): Bayes' filter, [*B, S] from [*B, S].

    First predict with the action [*B] (int64) that was taken, then correct with the observation
    [*B] (int64) that came back; `transition_probs` [S, A, S], `observation_probs` [S, O].
    (Kaelbling, Littman and Cassandra 1998; lecture 01, F3.)
    """
    require_shape("transition_probs", transition_probs, ("S", "A", "S"))
    require_shape("belief", belief, ("...", transition_probs.shape[0]))
    prediction = torch.einsum("...s,...sx->...x", belief, transition_probs.transpose(0, 1)[action])
    return belief_correct(prediction, observation, observation_probs)
