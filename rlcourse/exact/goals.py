"""Goal-conditioned cloning with endless data: what relabelling teaches, and how often it arrives.

A goal is a state, G = S. Goal-conditioned policies are π(a|s, g) as [G, S, A]: one table a goal.
Told in lectures/02_imitation, section I6.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_probabilities, require_shape
from ..envs.tabular import TabularMDP
from .propagation import state_chain, state_marginals


def relabelled_counts(mdp: TabularMDP, demonstrators: Float[Tensor, "C S A"],
                      command_probs: Float[Tensor, " C"], horizon: int, *,
                      final: bool = False) -> Float[Tensor, "G S A"]:
    """How many training pairs (s, a, g) one demonstration gives in the mean: [G, S, A].

    A command c is drawn from `command_probs` [C], and π_c = `demonstrators[c]` [C, S, A] acts for T
    steps. Each (sₜ, aₜ) is then labelled with every goal that was in fact reached afterwards,
    whatever the command: with each sₜ' for t' = t + 1 … T, or with `final` only s_T.

        Σ_c p(c) Σₜ p_c(sₜ = s) π_c(a|s) Σ_{t' > t} p_c(sₜ' = g | sₜ = s, aₜ = a).

    Cloning them maximises Σ counts · log π(a|s, g): the counts divided by their sum over a are
    what every consistent learner approaches. One demonstrator is [1, S, A] with command [1].
    """
    _check(mdp, demonstrators)
    require_count("horizon", horizon)
    require_shape("command_probs", command_probs, (demonstrators.shape[0],))
    require_probabilities("command_probs", command_probs)
    counts = torch.zeros(mdp.num_states, mdp.num_states, mdp.num_actions, dtype=torch.float64)
    for prob, policy in zip(command_probs, demonstrators):
        visits = state_marginals(mdp, policy, horizon)[:-1]
        chain = state_chain(mdp, policy)
        future = mdp.transition_probs       # p(s_{t+k} = g | sₜ, aₜ) for k = 1, 2, …: [S, A, G]
        later = []                          # later[k − 1]
        for _ in range(horizon):
            later.append(future)
            future = future @ chain
        running = torch.cumsum(torch.stack(later), 0)
        for t in range(horizon):
            left = horizon - t
            goals = later[left - 1] if final else running[left - 1]
            counts += prob * (visits[t, :, None, None] * policy[..., None] * goals).permute(2, 0, 1)
    return counts


def commanded_counts(mdp: TabularMDP, demonstrators: Float[Tensor, "C S A"],
                     command_probs: Float[Tensor, " C"], horizon: int) -> Float[Tensor, "C S A"]:
    """The pairs (s, a, c) labelled with the command the demonstrator was given: [C, S, A]."""
    _check(mdp, demonstrators)
    require_shape("command_probs", command_probs, (demonstrators.shape[0],))
    visits = torch.stack([state_marginals(mdp, policy, horizon)[:-1].sum(0) for policy in demonstrators])
    return command_probs[:, None, None] * visits[..., None] * demonstrators


def reach_probability(mdp: TabularMDP, goal_policy: Float[Tensor, "G S A"],
                      horizon: int) -> Float[Tensor, " G"]:
    """P(sₜ = g for some t ≤ T | π(·|·, g)) for every goal: [G].

    Forward propagation in the world in which the goal cannot be left.
    """
    _check(mdp, goal_policy)
    require_shape("goal_policy", goal_policy, (mdp.num_states, None, None))
    require_count("horizon", horizon, least=0)
    arrived = []
    for goal, policy in enumerate(goal_policy):
        chain = state_chain(mdp, policy).clone()
        chain[goal] = 0.0
        chain[goal, goal] = 1.0
        here = mdp.initial
        for _ in range(horizon):
            here = here @ chain
        arrived.append(here[goal])
    return torch.stack(arrived)


def _check(mdp: TabularMDP, policies: Tensor) -> None:
    require_shape("policies", policies, (None, mdp.num_states, mdp.num_actions))
    require(policies.dtype == torch.float64, "policies", "dtype float64", policies.dtype)
    require_probabilities("policies", policies)
