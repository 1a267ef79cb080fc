"""Mean and covariance of policy-gradient estimates at any horizon, without listing trajectories.

`policy_gradient.every_batch` lists what can happen, (A·S)ᵀ trajectories of it. Here the same moments come by
dynamic programming, in a time that grows like T. The policy is softmax(logits)[a|s], logits [S, A];
gradients are flattened, [P] with P = S·A. Nothing here samples. (Lecture 03, P5.)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_shape
from ..envs.tabular import TabularMDP
from .evaluation import finite_horizon_values
from .policy_gradient import softmax_scores
from .propagation import state_chain, state_marginals

Moments = tuple[Float[Tensor, " P"], Float[Tensor, "P P"]]


def episode_moments(mdp: TabularMDP, logits: Float[Tensor, "S A"], horizon: int, *,
                    own_weight: Float[Tensor, "S A"] | Float[Tensor, "{horizon} S A"] | None = None,
                    earlier: bool = False, later: bool = True) -> Moments:
    """(E ĝ [P], Cov ĝ [P, P]) of the estimate ĝ = Σₜ ∇log π(aₜ|sₜ) Ψₜ from one episode of T steps.

    Ψₜ = cₜ(sₜ, aₜ) + 1[later] Σ_{t' > t} r_{t'} + 1[earlier] Σ_{t' < t} r_{t'}, with c = `own_weight` [S, A] or
    [T, S, A], the reward r(s, a) unless given. So: the reward-to-go as it stands; the total return
    with `earlier`; a baseline, c = r − bₜ(s); the advantage alone, c = Aₜ without `later`.

    Let Z = (1, R, U, G) hold the rewards R = Σ r, the scores U = Σ ∇log π and the estimate G of the steps
    t … T − 1 alone. Then Z = M(s, a) Z' with Z' one step later, so E[Z Zᵀ|s] = Σₐ π(a|s) M E[Z' Z'ᵀ|s, a] Mᵀ,
    backwards from Z = (1, 0, 0, 0).
    The mean of N independent episodes has 1/N of the covariance.
    """
    second = _second_moments(mdp, logits, horizon, own_weight, earlier, later)[0]
    second = torch.einsum("s,sij->ij", mdp.initial, second)
    size = logits.numel()
    mean = second[0, -size:]
    return mean, second[-size:, -size:] - torch.outer(mean, mean)


def leave_one_out_moments(mdp: TabularMDP, logits: Float[Tensor, "S A"], horizon: int, batch_size: int) -> Moments:
    """(E ĝ, Cov ĝ) of N episodes' rewards-to-go, each minus the average of the *others* at the same step.

    ĝ = Σₜ (1/(N−1)) Σᵢ (gₜⁱ − ḡₜ)(Rₜⁱ − R̄ₜ), gₜ = ∇log π(aₜ|sₜ): sample covariances. With mₜ = E Rₜ a U-statistic
    (Hoeffding 1948), whose two orthogonal parts give

        Cov ĝ = Cov(Σₜ gₜ (Rₜ − mₜ)) / N + [Σₜ E(gₜ gₜᵀ) Var Rₜ + Σₜᵤ E(gₜ Rᵤ) E(gᵤ Rₜ)ᵀ] / (N (N − 1)).

    The batch's own average as the baseline (`policy_gradient.batch_mean`) gives 1 − 1/N times this estimate.
    Errors: ValueError for N = 1, or for a problem with terminal states, where episodes drop out of the average.
    """
    require_count("batch_size", batch_size, least=2)
    require(mdp.terminal is None, "mdp", "a problem without terminal states", "terminal states")
    policy, marginals = torch.softmax(logits, -1), state_marginals(mdp, torch.softmax(logits, -1), horizon)[:-1]
    values, q_values = finite_horizon_values(mdp, policy, horizon)
    mean_return = (marginals * values[:-1]).sum(-1)
    mean, alone = episode_moments(mdp, logits, horizon,
                                  own_weight=mdp.reward_table - mean_return[:, None, None])
    second = _second_moments(mdp, logits, horizon, None, False, True)[:-1]
    variance = (marginals * second[:, :, 1, 1]).sum(-1) - mean_return.square()
    score, visits = _scores(mdp, logits), marginals[:, :, None] * policy
    scores_squared = torch.einsum("tsa,sap,saq->tpq", visits, score, score)
    cross = _score_times_return(mdp, policy, values, q_values, visits, score)
    pairs = torch.einsum("t,tpq->pq", variance, scores_squared) + torch.einsum("tup,utq->pq", cross, cross)
    return mean, alone / batch_size + pairs / (batch_size * (batch_size - 1))


def _second_moments(mdp, logits, horizon, own_weight, earlier, later) -> Tensor:
    """E[Z Zᵀ|sₜ = s] as in `episode_moments`: [T + 1, S, 2 + 2P, 2 + 2P]."""
    require_shape("logits", logits, (mdp.num_states, mdp.num_actions))
    require_count("horizon", horizon)
    own_weight = mdp.reward_table if own_weight is None else own_weight
    if own_weight.ndim == 3:
        require_shape("own_weight", own_weight, (horizon, *logits.shape))
    else:
        require_shape("own_weight", own_weight, tuple(logits.shape))
    own_weight = own_weight.expand(horizon, *logits.shape)
    score, size = _scores(mdp, logits), logits.numel()
    step = torch.eye(2 + 2 * size, dtype=logits.dtype).repeat(*logits.shape, 1, 1)  # M(s, a)
    scores, estimate = slice(2, 2 + size), slice(2 + size, None)
    step[..., 1, 0], step[..., scores, 0] = mdp.reward_table, score
    if later:
        step[..., estimate, 1] = score
    if earlier:
        step[..., estimate, scores] = mdp.reward_table[..., None, None] * torch.eye(size, dtype=logits.dtype)
    weights = torch.softmax(logits, -1)[..., None] * mdp.transition_probs
    second = torch.zeros(mdp.num_states, 2 + 2 * size, 2 + 2 * size, dtype=logits.dtype)
    second[:, 0, 0] = 1.0
    moments = [second]
    for own in own_weight.flip(0):
        step[..., estimate, 0] = score * own[..., None]
        following = torch.einsum("sax,xij->saij", weights, moments[-1])
        moments.append((step @ following @ step.mT).sum(1))
    return torch.stack(moments[::-1])


def _scores(mdp: TabularMDP, logits: Tensor) -> Float[Tensor, "S A P"]:
    """∇log π(a|s) for every pair; 0 where the problem is over."""
    states, actions = torch.meshgrid(*(torch.arange(size) for size in logits.shape), indexing="ij")
    score = softmax_scores(logits, states, actions)
    return score if mdp.terminal is None else score * ~mdp.terminal[:, None, None]


def _score_times_return(mdp, policy, values, q_values, visits, score) -> Float[Tensor, "T T P"]:
    """E(gₜ Rᵤ) at [t, u]. Up to u = t it is E(gₜ Rₜ): what was earned before t says nothing about the action."""
    horizon, chain = len(visits), state_chain(mdp, policy)
    now = torch.einsum("tsa,sap,tsa->tp", visits, score, q_values)
    cross = now[:, None].repeat(1, horizon, 1)
    reached = torch.einsum("tsa,sap,sax->txp", visits, score, mdp.transition_probs)  # E(gₜ 1[sₜ₊₁ = x])
    ahead = values[1:horizon]  # E[Rᵤ | sₜ₊₁] for u = t + gap, one gap after the other
    for gap in range(1, horizon):
        starts = torch.arange(horizon - gap)
        cross[starts, starts + gap] = torch.einsum("txp,tx->tp", reached[:horizon - gap], ahead)
        ahead = ahead[1:] @ chain.T
    return cross
