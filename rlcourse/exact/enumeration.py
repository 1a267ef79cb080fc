"""Brute force: every trajectory with its probability. Slow, obvious, and therefore an oracle."""

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.check import require, require_count
from ..envs.pomdp import TabularPOMDP
from ..envs.tabular import TabularMDP
from .propagation import PolicyTable, policy_by_step


@dataclass(frozen=True, eq=False)
class Trajectories:
    """n trajectories: `state` [n, T + 1], `action` [n, T], `reward` [n, T], `prob` [n].

    `prob` is p(τ) = p(s₀) Π_t π(aₜ|sₜ) p(sₜ₊₁|sₜ, aₜ), and sums to 1 over all of them.
    """

    state: Int[Tensor, "n times"]
    action: Int[Tensor, "n times-1"]
    reward: Float[Tensor, "n times-1"]
    prob: Float[Tensor, " n"]


def enumerate_trajectories(mdp: TabularMDP, policy: PolicyTable, horizon: int,
                           max_trajectories: int = 500_000) -> Trajectories:
    """All trajectories of `horizon` steps that have a positive probability under the policy.

    The policy is π(a|s) [S, A], or πₜ(a|s) [T, S, A] where it changes with time. Grows every
    beginning by every (action, next state) and drops what is impossible. The number grows like
    (A·S)ᵀ: a ValueError says when it passes `max_trajectories`.
    """
    require_count("horizon", horizon, least=0)
    by_step = policy_by_step(policy, horizon, mdp)
    state = torch.where(mdp.initial > 0)[0][:, None]
    action = torch.zeros(len(state), 0, dtype=torch.int64)
    prob = mdp.initial[state[:, 0]]
    for step_policy in by_step:
        here = state[:, -1]
        longer = prob[:, None, None] * step_policy[here, :, None] * mdp.transition_probs[here]
        parent, taken, reached = torch.where(longer > 0)
        require(len(parent) <= max_trajectories, "horizon",
                f"at most {max_trajectories} trajectories", len(parent))
        state = torch.cat([state[parent], reached[:, None]], dim=1)
        action = torch.cat([action[parent], taken[:, None]], dim=1)
        prob = longer[parent, taken, reached]
    return Trajectories(state, action, mdp.reward_table[state[:, :-1], action], prob)


def sequence_posterior(pomdp: TabularPOMDP, action: list[int], observation: list[int]) -> dict[tuple, float]:
    """p(s₀ … sₜ | o₀ … oₜ, a₀ … aₜ₋₁) for every state sequence that is possible.

    The joint p(s₀) p(o₀|s₀) Π p(sₖ₊₁|sₖ, aₖ) p(oₖ₊₁|sₖ₊₁) of all Sᵗ⁺¹ sequences, one by one,
    divided by its sum; `observation` holds one entry more than `action`. The actions are taken
    as given: a policy that saw only these observations cancels from Bayes' rule.
    """
    require(len(observation) == len(action) + 1, "observation", f"{len(action) + 1} observations",
            len(observation))
    joint = {}
    for path in product(range(pomdp.num_states), repeat=len(observation)):
        prob = float(pomdp.initial[path[0]])
        for state, seen in zip(path, observation):
            prob *= float(pomdp.observation_probs[state, seen])
        for state, taken, following in zip(path, action, path[1:]):
            prob *= float(pomdp.transition_probs[state, taken, following])
        if prob > 0:
            joint[path] = prob
    evidence = sum(joint.values())
    require(evidence > 0, "observation", "a sequence with a positive probability", "probability 0")
    return {path: prob / evidence for path, prob in joint.items()}


def final_state_posterior(pomdp: TabularPOMDP, action: list[int],
                          observation: list[int]) -> Float[Tensor, " S"]:
    """p(sₜ | o₀ … oₜ, a₀ … aₜ₋₁) [S]: `sequence_posterior` summed over all but the last state."""
    posterior = torch.zeros(pomdp.num_states, dtype=torch.float64)
    for path, prob in sequence_posterior(pomdp, action, observation).items():
        posterior[path[-1]] += prob
    return posterior
