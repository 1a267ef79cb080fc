"""Exact values in a TabularPOMDP: of a policy without memory, and of the best one with memory."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require_count, require_probabilities, require_shape, require_unit_interval
from ..envs.pomdp import TabularPOMDP


def policy_over_states(pomdp: TabularPOMDP, observation_policy: Float[Tensor, "O A"]) -> Float[Tensor, "S A"]:
    """π(a|s) = Σ_o p(o|s) π(a|o): what a memoryless policy [O, A] does in each state, [S, A].

    Exact, since such a policy's action depends on the past only through the state it is in.
    """
    require_shape("observation_policy", observation_policy, (pomdp.num_observations, pomdp.num_actions))
    require_probabilities("observation_policy", observation_policy)
    return pomdp.observation_probs @ observation_policy


def best_belief_value(pomdp: TabularPOMDP, horizon: int, discount: float = 1.0) -> float:
    """The largest E Σ_{t<T} γᵗ rₜ of any policy that remembers all observations and actions.

    W_h(w) = maxₐ [Σ_s w(s) r(s, a) + γ Σ_o W_{h−1}(w_ao)] with w_ao(s') = p(o|s') Σ_s w(s) p(s'|s, a),
    where w(s) = p(history, s) is a belief that is not divided by its sum. Tries every action and
    observation of every step, (A·O)ᵀ of them: for short horizons (Kaelbling et al. 1998).
    """
    require_count("horizon", horizon, least=0)
    require_unit_interval("discount", discount)
    first = pomdp.initial[:, None] * pomdp.observation_probs
    return sum(_best(pomdp, weights, horizon, discount) for weights in first.T)


def _best(pomdp: TabularPOMDP, weights: Tensor, horizon: int, discount: float) -> float:
    if horizon == 0 or float(weights.sum()) == 0.0:
        return 0.0
    now = (weights @ pomdp.reward_table).tolist()
    following = torch.einsum("s,sax,xo->aox", weights, pomdp.transition_probs, pomdp.observation_probs)
    return max(reward + discount * sum(_best(pomdp, after, horizon - 1, discount) for after in by_observation)
               for reward, by_observation in zip(now, following))
