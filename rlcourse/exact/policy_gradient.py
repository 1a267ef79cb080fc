"""The exact policy gradient of a softmax table, and the exact moments of any estimate of it.

The policy is πₜ(a|s) = softmax(logits)[a], from logits [S, A] or, changing with time, [T, S, A]; J is
the expected (discounted) sum of T rewards. Nothing here samples. (Lecture 03, P1 to P9.)
"""

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.check import require, require_count, require_shape
from ..envs.tabular import TabularMDP
from .enumeration import enumerate_trajectories
from .evaluation import finite_horizon_values
from .propagation import PolicyTable, policy_by_step, state_marginals

LogitTable = Float[Tensor, "S A"] | Float[Tensor, "T S A"]


def objective(mdp: TabularMDP, logits: LogitTable, horizon: int, discount: float = 1.0) -> Float[Tensor, ""]:
    """J(θ) = E Σ_{t<T} γᵗ r(sₜ, aₜ) = Σ_s p(s₀ = s) V₀(s), by dynamic programming; differentiable."""
    values, _ = finite_horizon_values(mdp, torch.softmax(logits, -1), horizon, discount=discount)
    return mdp.initial @ values[0]


def gradient_by_autograd(mdp: TabularMDP, logits: LogitTable, horizon: int, discount: float = 1.0) -> LogitTable:
    """∇J [S, A] or [T, S, A]: automatic differentiation of `objective`."""
    free = logits.detach().clone().requires_grad_()
    return torch.autograd.grad(objective(mdp, free, horizon, discount), free)[0]


def gradient_by_theorem(mdp: TabularMDP, logits: LogitTable, horizon: int, discount: float = 1.0,
                        option: int = 2) -> LogitTable:
    """Σₜ γᵗ p(sₜ = s) π(a|s) A^π_t(s, a): the policy gradient theorem for a softmax, shaped as the logits.

    Shared logits [S, A] sum it over time. `option` = 1 leaves the γᵗ out: where reward-to-go
    estimates with γ^{t'−t} end up, which is not ∇J unless γ = 1. Differentiable.
    Sutton, McAllester, Singh, Mansour 2000; Thomas 2014.
    """
    require(option in (1, 2), "option", "1 or 2", option)
    policy = torch.softmax(logits, -1)
    values, q_values = finite_horizon_values(mdp, policy, horizon, discount=discount)
    marginals = state_marginals(mdp, policy, horizon)[:-1]
    if option == 2:
        marginals = marginals * discount ** torch.arange(horizon, dtype=policy.dtype)[:, None]
    by_step = marginals[..., None] * policy * (q_values - values[:-1, :, None])
    return by_step if logits.ndim == 3 else by_step.sum(0)


def softmax_fisher(mdp: TabularMDP, logits: Float[Tensor, "S A"], horizon: int,
                   discount: float = 1.0) -> Float[Tensor, "S*A S*A"]:
    """F = E_s[∇log π ∇log πᵀ] over the policy's own states, [S·A, S·A]: a block for every state.

    The blocks are d(s) (diag π − π πᵀ) with d(s) ∝ Σₜ γᵗ p(sₜ = s), summing to 1. Kakade 2001: F⁺∇J
    is the advantage, up to a constant per state and the factor Σₜ γᵗ.
    """
    require_shape("logits", logits, (mdp.num_states, mdp.num_actions))
    policy = torch.softmax(logits, -1)
    weight = discount ** torch.arange(horizon, dtype=policy.dtype)
    occupancy = weight @ state_marginals(mdp, policy, horizon)[:-1] / weight.sum()
    blocks = torch.diag_embed(policy) - policy[:, :, None] * policy[:, None, :]
    return torch.block_diag(*(occupancy[:, None, None] * blocks))


def local_advantage(mdp: TabularMDP, new_policy: PolicyTable, old_policy: PolicyTable,
                    horizon: int) -> Float[Tensor, ""]:
    """Σ_{t<T} E_{sₜ∼π}[Σₐ π'(a|s) A^π_t(s, a)]: the local objective, less J(π). Differentiable in π'.

    J(π') − J(π) has sₜ ∼ π' in its place (`lemmas.finite_expected_advantage`). At π' = π both have
    the same gradient; far from it this one knows nothing of the states that π' would reach.
    """
    values, q_values = finite_horizon_values(mdp, old_policy, horizon)
    marginals = state_marginals(mdp, old_policy, horizon)[:-1]
    advantage = q_values - values[:-1, :, None]
    return (marginals * (policy_by_step(new_policy, horizon, mdp) * advantage).sum(-1)).sum()


@dataclass(frozen=True, eq=False)
class AllBatches:
    """Every batch of N episodes that can occur, as R "runs" with their probabilities `prob` [R].

    A rollout [T, R, N] like any other, so that the equations of the course take it as it is:
    `state` [T + 1, R, N], `action`, `reward`, `terminated`, `truncated`, `valid`, `log_prob` and
    `behaviour_log_prob` [T, R, N], and `score` = ∇log π(aₜ|sₜ) [T, R, N, P] in the P logits, flattened.
    Behind the end of an episode (`valid` False) reward, score and log-probabilities are 0. The
    last step is truncated unless it terminates: the horizon is a time limit.
    """

    prob: Float[Tensor, " R"]
    state: Int[Tensor, "times R N"]
    action: Int[Tensor, "T R N"]
    reward: Float[Tensor, "T R N"]
    terminated: Bool[Tensor, "T R N"]
    truncated: Bool[Tensor, "T R N"]
    valid: Bool[Tensor, "T R N"]
    log_prob: Float[Tensor, "T R N"]
    behaviour_log_prob: Float[Tensor, "T R N"]
    score: Float[Tensor, "T R N P"]


def every_batch(mdp: TabularMDP, logits: LogitTable, horizon: int, batch_size: int = 1,
                behaviour_logits: LogitTable | None = None, max_batches: int = 200_000) -> AllBatches:
    """All batches of `batch_size` independent episodes, drawn from `behaviour_logits` or else `logits`.

    n trajectories make nᴺ batches; ValueError beyond `max_batches`. `score` and `log_prob` are
    those of `logits`, and the prob of a batch is the product of its episodes'.
    """
    require_count("batch_size", batch_size)
    behaviour = logits if behaviour_logits is None else behaviour_logits
    single = enumerate_trajectories(mdp, torch.softmax(behaviour, -1), horizon)
    count = len(single.prob)
    require(count ** batch_size <= max_batches, "batch_size", f"at most {max_batches} batches",
            f"{count}^{batch_size} = {count ** batch_size}")
    member = torch.tensor(list(product(range(count), repeat=batch_size)))  # [R, N]
    state, action, reward = single.state.T, single.action.T, single.reward.T
    over = torch.zeros_like(state, dtype=torch.bool) if mdp.terminal is None else mdp.terminal[state]
    valid, terminated = ~over[:-1], ~over[:-1] & over[1:]
    truncated = torch.zeros_like(valid)
    truncated[-1] = valid[-1] & ~terminated[-1]
    score = softmax_scores(logits, state[:-1], action) * valid[..., None]
    return AllBatches(
        single.prob[member].prod(-1), state[:, member], action[:, member], reward[:, member],
        terminated[:, member], truncated[:, member], valid[:, member],
        (_log_prob(logits, state[:-1], action) * valid)[:, member],
        (_log_prob(behaviour, state[:-1], action) * valid)[:, member], score[:, member])


def softmax_scores(logits: LogitTable, state: Int[Tensor, "T *B"], action: Int[Tensor, "T *B"]
                   ) -> Float[Tensor, "T *B P"]:
    """∇log π(aₜ|sₜ) in all P = S·A (or T·S·A) logits, flattened: [T, *B, P].

    ∂ log π(a|s) / ∂ logits[s', a'] = 1[s' = s] (1[a' = a] − π(a'|s)), and zero at other times' logits.
    """
    states, actions = logits.shape[-2:]
    horizon = len(state)
    probs = _at(torch.softmax(logits, -1), state)
    step = torch.nn.functional.one_hot(action, actions).to(probs.dtype) - probs
    own = torch.nn.functional.one_hot(state, states).to(probs.dtype)
    score = (own.unsqueeze(-1) * step.unsqueeze(-2)).flatten(-2)
    if logits.ndim == 2:
        return score
    when = torch.eye(horizon, dtype=probs.dtype).reshape(horizon, *[1] * (state.ndim - 1), horizon, 1)
    return (when * score.unsqueeze(-2)).flatten(-2)


def moments(prob: Float[Tensor, " R"], estimate: Float[Tensor, "R P"]
            ) -> tuple[Float[Tensor, " P"], Float[Tensor, "P P"]]:
    """(E ĝ [P], Cov ĝ [P, P]) of an estimate ĝ [R, P] that takes its r-th value with `prob`[r].

    The trace of the covariance is E‖ĝ − E ĝ‖². The mean of N independent estimates has 1/N of it.
    """
    mean = prob @ estimate
    centred = estimate - mean
    return mean, torch.einsum("r,rp,rq->pq", prob, centred, centred)


def _at(table: Tensor, state: Tensor) -> Tensor:
    """Rows [T, *B, A] of a table [S, A] or [T, S, A] at the states [T, *B]."""
    if table.ndim == 2:
        return table[state]
    require_shape("logits", table, (len(state), None, None))
    time = torch.arange(len(state)).reshape(-1, *[1] * (state.ndim - 1))
    return table[time, state]


def _log_prob(logits: Tensor, state: Tensor, action: Tensor) -> Tensor:
    return _at(torch.log_softmax(logits, -1), state).gather(-1, action.unsqueeze(-1)).squeeze(-1)
