"""Small problems on which learning with features goes wrong although nothing is unknown.

`two_state` and `baird` diverge; on `split` one-sample residual gradients find wrong values. All
rewards of the first two are 0, so that the true values are 0 and w = 0 is right. Lecture 05a, section Q2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.check import require_unit_interval
from .tabular import TabularMDP


@dataclass(frozen=True, eq=False)
class FeatureProblem:
    """A problem, the features of its states, and who collects the data.

    The value is approximated by V(s) = φ(s)·w. `features` [S, K] has the row φ(s); `behaviour` and `evaluation`
    [S, A] are the policy that collects the data and the one whose values are asked for; `state_weights` [S] is the
    share of each state in the data; `initial_parameters` [K] is the w from which it begins; `discount` is γ.
    """

    mdp: TabularMDP
    features: Tensor
    behaviour: Tensor
    evaluation: Tensor
    state_weights: Tensor
    initial_parameters: Tensor
    discount: float


def two_state(discount: float = 0.99) -> FeatureProblem:
    """Two states with V = w and V = 2w (Tsitsiklis and Van Roy 1996).

    Action 0 leads to state 0, action 1 to state 1. The evaluation policy always takes action 1: the true values
    are 0, and the target of state 0 is γ·2w. The behaviour chooses evenly, and so each state has half of the data.
    """
    require_unit_interval("discount", discount, closed=False)
    probs = torch.eye(2, dtype=torch.float64).expand(2, 2, 2).clone()  # [s, a, s']: a says where to
    mdp = TabularMDP(probs, torch.zeros(2, 2, dtype=torch.float64), _only(2, 0),
                     state_names=("w", "2w"), action_names=("to w", "to 2w"))
    even = torch.full((2, 2), 0.5, dtype=torch.float64)
    return FeatureProblem(mdp, torch.tensor([[1.0], [2.0]], dtype=torch.float64), behaviour=even,
                          evaluation=_only(2, 1).repeat(2, 1), state_weights=even[0].clone(),
                          initial_parameters=torch.ones(1, dtype=torch.float64), discount=discount)


def baird(discount: float = 0.99) -> FeatureProblem:
    """Seven states and eight features (Baird 1995, in the form of Sutton and Barto 2018, section 11.2).

    V(i) = 2wᵢ + w₇ for the upper states i = 0…5 and V(6) = w₆ + 2w₇. "dashed" leads to one of the upper states,
    each with 1/6; "solid" leads to state 6. The behaviour takes "dashed" with 6/7, after which every state is
    equally likely, and the evaluation policy always takes "solid". w begins at (1, 1, 1, 1, 1, 1, 10, 1).

    The seven rows φ(s) are linearly independent, so that *every* V can be represented: a projection on these
    features is the identity, and it is not to blame. There are eight of them, so ΦᵀDΦ is singular: w is not
    determined by V, and formulas need a pseudo-inverse. With the behaviour's weights small semi-gradient steps
    diverge for γ > 15/17.
    """
    require_unit_interval("discount", discount, closed=False)
    upper = torch.tensor([1.0] * 6 + [0.0], dtype=torch.float64) / 6
    probs = torch.stack([upper, _only(7, 6)]).repeat(7, 1, 1)
    mdp = TabularMDP(probs, torch.zeros(7, 2, dtype=torch.float64), torch.full((7,), 1 / 7, dtype=torch.float64),
                     state_names=tuple(f"state {state}" for state in range(7)), action_names=("dashed", "solid"))
    features = torch.zeros(7, 8, dtype=torch.float64)
    features[range(7), range(7)] = torch.tensor([2.0] * 6 + [1.0], dtype=torch.float64)
    features[:, 7] = torch.tensor([1.0] * 6 + [2.0], dtype=torch.float64)
    return FeatureProblem(mdp, features, behaviour=torch.tensor([6 / 7, 1 / 7], dtype=torch.float64).repeat(7, 1),
                          evaluation=_only(2, 1).repeat(7, 1),
                          state_weights=torch.full((7,), 1 / 7, dtype=torch.float64),
                          initial_parameters=torch.tensor([1.0] * 6 + [10.0, 1.0], dtype=torch.float64),
                          discount=discount)


def split(discount: float = 0.99) -> FeatureProblem:
    """One fair coin, one parameter for each state (Sutton and Barto 2018, example 11.2, "A-split").

    State 0 leads to state 1 or state 2, each with ½ and for nothing; state 1 pays 1 and ends, state 2 pays 0 and
    ends (in state 3, which has no feature: its value is 0). The true values are V(0) = γ/2, V(1) = 1, V(2) = 0.
    Nothing is off-policy here and nothing is approximated; what fails is a squared error whose next state was
    sampled once. `state_weights` counts the visits of an episode.
    """
    require_unit_interval("discount", discount)
    probs = torch.zeros(4, 1, 4, dtype=torch.float64)
    probs[0, 0, 1] = probs[0, 0, 2] = 0.5
    probs[1:, 0, 3] = 1.0
    reward = _only(4, 1).unsqueeze(-1)
    mdp = TabularMDP(probs, reward, _only(4, 0), terminal=_only(4, 3).bool(),
                     state_names=("coin", "heads", "tails", "end"))
    one_action = torch.ones(4, 1, dtype=torch.float64)
    return FeatureProblem(mdp, torch.eye(4, dtype=torch.float64)[:, :3], behaviour=one_action, evaluation=one_action,
                          state_weights=torch.tensor([0.5, 0.25, 0.25, 0.0], dtype=torch.float64),
                          initial_parameters=torch.zeros(3, dtype=torch.float64), discount=discount)


def _only(size: int, index: int) -> Tensor:
    """The distribution [size] that is certain of `index`."""
    return torch.eye(size, dtype=torch.float64)[index]
