"""Bias and variance of the estimates that a critic gives, exactly, for any critic however wrong.

The estimate at step t is Â = Σ_{l<N} (γλ)ˡ δₜ₊ₗ with δ = r + γ V̂(s') − V̂(s): n-step advantages are λ = 1 with
N = n, GAE is N = ∞, and GAE on a rollout that stops N steps after t has both (its longest n-step estimate
carries the leftover weight). Trajectories run from (s, a) on under π; V̂ is taken as 0 in terminal
states, where no value follows. Nothing here samples. (Lecture 04, A1 and A6.)
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape, require_unit_interval
from ..envs.tabular import TabularMDP
from .evaluation import policy_evaluation, q_from_value
from .propagation import state_chain

BiasVariance = tuple[Tensor, Tensor]


def advantage_moments(mdp: TabularMDP, policy: Float[Tensor, "S A"], critic_values: Float[Tensor, " S"], *,
                      discount: float, steps: int | None = None, gae_lambda: float = 1.0) -> BiasVariance:
    """(E Â − A^π(s, a), Var Â) of the advantage estimate at every state and action: [S, A] each.

    n-step: `steps` = n. GAE: `gae_lambda`. Both: GAE on a rollout that ends after `steps`. With X the estimate
    from (s, a) and X' the one (a step shorter) from (s', a'), X = δ + γλ X', so that backwards

        E X = E δ + γλ E X',   Var X = Var_{s'}(δ + γλ E[X'|s']) + (γλ)² E_{s'} Var[X'|s'],

    or, for N = ∞, the solutions of these two linear equations. The bias is 0 for V̂ = V^π; elsewhere it
    is linear in the error V̂ − V^π. Errors: ValueError for γ = 1, since A^π is the discounted one for ever.
    """
    mean, variance = _estimate(mdp, policy, critic_values, discount, steps, gae_lambda)
    value = policy_evaluation(mdp, policy, discount)
    return mean - (q_from_value(mdp, value, discount) - value[:, None]), variance


def target_moments(mdp: TabularMDP, policy: Float[Tensor, "S A"], critic_values: Float[Tensor, " S"], *,
                   discount: float, steps: int | None = None, gae_lambda: float = 1.0) -> BiasVariance:
    """(E y − V^π(s), Var y) of the critic's target y = V̂(s) + Â, a ∼ π(·|s), at every state: [S] each.

    `steps` = 1 is the TD target, None (with λ = 1) the Monte Carlo target of a whole future: no bias, all of the
    noise. Otherwise as in `advantage_moments`.
    """
    mean, variance = _by_state(policy, *_estimate(mdp, policy, critic_values, discount, steps, gae_lambda))
    value = policy_evaluation(mdp, policy, discount)
    return _without_ends(mdp, critic_values) + mean - value, variance


def _estimate(mdp, policy, critic_values, discount, steps, gae_lambda) -> BiasVariance:
    """(E Â, Var Â) [S, A]."""
    require_unit_interval("discount", discount, closed=False)
    require_unit_interval("gae_lambda", gae_lambda)
    require_shape("policy", policy, (mdp.num_states, mdp.num_actions))
    require_probabilities("policy", policy)
    require_shape("critic_values", critic_values, (mdp.num_states,))
    require(bool(torch.isfinite(critic_values).all()), "critic_values", "finite numbers", "NaN or infinity")
    critic = _without_ends(mdp, critic_values)
    decay = discount * gae_lambda
    td_error = mdp.reward_table[:, :, None] + discount * critic - critic[:, None, None]  # [S, A, S']
    if steps is None:
        return _for_ever(mdp, policy, td_error, decay)
    require_count("steps", steps)
    mean = variance = torch.zeros(mdp.num_states, dtype=critic.dtype)  # of what follows, by state
    for _ in range(steps):
        by_action = _one_step(mdp, td_error + decay * mean, decay ** 2 * variance)
        mean, variance = _by_state(policy, *by_action)
    return by_action


def _for_ever(mdp, policy, td_error, decay) -> BiasVariance:
    """The fixed point of the recursion: two linear systems over states."""
    chain = state_chain(mdp, policy)
    identity, nothing = torch.eye(len(chain), dtype=chain.dtype), torch.zeros(len(chain), dtype=chain.dtype)
    mean, _ = _by_state(policy, *_one_step(mdp, td_error, nothing))
    mean = torch.linalg.solve(identity - decay * chain, mean)
    _, fresh = _by_state(policy, *_one_step(mdp, td_error + decay * mean, nothing))
    variance = torch.linalg.solve(identity - decay ** 2 * chain, fresh)
    return _one_step(mdp, td_error + decay * mean, decay ** 2 * variance)


def _one_step(mdp, outcome: Float[Tensor, "S A S"], spread: Float[Tensor, " S"]) -> BiasVariance:
    """Mean and variance [S, A] over s' of something with mean outcome[s, a, s'] and variance spread[s']."""
    mean = (mdp.transition_probs * outcome).sum(-1)
    return mean, (mdp.transition_probs * ((outcome - mean[..., None]).square() + spread)).sum(-1)


def _by_state(policy: Tensor, mean: Tensor, variance: Tensor) -> BiasVariance:
    """Mean and variance [S] over a ∼ π of something with these two [S, A], given the action."""
    average = (policy * mean).sum(-1)
    return average, (policy * (variance + (mean - average[:, None]).square())).sum(-1)


def _without_ends(mdp: TabularMDP, critic_values: Tensor) -> Tensor:
    return critic_values if mdp.terminal is None else torch.where(mdp.terminal, 0.0, critic_values)
