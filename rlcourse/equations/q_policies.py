"""Policies made of action values, and how much they explore.

`q_values` [*B, A] is Q(s, ·); the results are distributions π(·|s) [*B, A], and carry no more of a gradient than
they have: none for ε-greedy, that of a softmax for Boltzmann. Derived in lecture 05a, section Q3.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_shape, require_unit_interval
from .td import greedy_action


def epsilon_greedy_probs(q_values: Float[Tensor, "*B A"], *, epsilon: float) -> Float[Tensor, "*B A"]:
    """π(a|s) = 1 − ε for the greedy action, ε/(A − 1) for each of the others: [*B, A].

    The first action is the greedy one where several are largest. ε is the chance of *another* action, so that ε =
    (A − 1)/A is uniform and ε > (A − 1)/A avoids the greedy one; `uniform_epsilon` translates to the other
    habit. Needs A > 1. (Lecture 05a, Q3.) Errors: ValueError for one action or ε outside [0, 1].
    """
    require_shape("q_values", q_values, ("...", "A"))
    actions = q_values.shape[-1]
    require(actions > 1, "q_values", "at least two actions, shape [*B, A]", list(q_values.shape))
    require_unit_interval("epsilon", epsilon)
    probs = torch.full_like(q_values, epsilon / (actions - 1), requires_grad=False)
    return probs.scatter_(-1, greedy_action(q_values)[..., None], 1.0 - epsilon)


def uniform_epsilon(epsilon: float, actions: int) -> float:
    """ε' = ε A/(A − 1): what to call the ε of `epsilon_greedy_probs` in the uniform form.

    The uniform form takes, with probability ε', any of all A actions with equal chances, the greedy one among
    them. Every other action then has ε'/A, which is ε/(A − 1) for this ε'; back, ε = ε' (A − 1)/A. The same
    number in both forms explores less in the uniform one. (Lecture 05a, Q3.)
    Errors: ValueError for fewer than two actions, or ε outside [0, (A − 1)/A]: beyond it the greedy action is
    rarer than the others, which the uniform form cannot be.
    """
    require_count("actions", actions, least=2)
    most = (actions - 1) / actions
    require(0.0 <= epsilon <= most, "epsilon", f"a number in [0, {most:.6g}] for {actions} actions", epsilon)
    return epsilon / most


def boltzmann_probs(q_values: Float[Tensor, "*B A"], *, temperature: float) -> Float[Tensor, "*B A"]:
    """π(a|s) = exp(Q(s, a)/T) / Σ_{a'} exp(Q(s, a')/T), T = `temperature` > 0 in units of the value: [*B, A].

    Near misses are tried often and hopeless actions hardly; ε-greedy treats them alike. T → 0 is greedy, with equal
    shares where several are largest, T → ∞ uniform. A constant added to Q changes nothing; a factor on
    the rewards is a factor on T. (Lecture 05a, Q3.) Errors: ValueError for a temperature that is not positive.
    """
    require_shape("q_values", q_values, ("...", "A"))
    require(q_values.shape[-1] > 0, "q_values", "at least one action, shape [*B, A]", list(q_values.shape))
    require(temperature > 0, "temperature", "a positive number", temperature)
    behind = q_values - q_values.amax(-1, keepdim=True)  # before the division: Q/T may overflow, this cannot
    return torch.softmax(behind / temperature, -1)


def linear_schedule(step: int, *, start: float, end: float, steps: int) -> float:
    """`start` + (`end` − `start`) min(`step`/`steps`, 1): exactly `start` at step 0, `end` from step `steps` on.

    For an ε that falls while Q improves, or any other setting. (Lecture 05a, Q3.)
    Errors: ValueError for a negative step or no steps.
    """
    require_count("step", step, least=0)
    require_count("steps", steps)
    done = min(step / steps, 1.0)
    return (1.0 - done) * start + done * end
