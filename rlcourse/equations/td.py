"""What Q-learning and its relatives regress on: one reward, and what the critic says about the next state.

All targets are y = r + γ (1 − terminated) × (a value of the sampled s'), per element [*B], and differ in that
value alone; `next_q_values` [*B, A] is Q(s', ·), from a table or a network, usually a target network. Only
`terminated` takes the value away: at a time limit the problem would have gone on, so a truncated step
bootstraps as any other, from Q at its true successor. That is why truncation is no argument here. What Q
says behind a termination may be anything, infinite even. Targets are data: no gradient flows through them.
Where they move with the parameters, a step's direction is in general no function's gradient: a semi-gradient.
Derived in lecture 05a, sections Q1, Q2 and Q4; double and clipped targets in lecture 05b, section Q6.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.check import require, require_probabilities, require_shape, require_unit_interval
from .actor_critic import td_target


def greedy_action(q_values: Float[Tensor, "*B A"]) -> Int[Tensor, "*B"]:
    """argmax_a Q(s, a) [*B] (int64): the first one where several are largest."""
    _require_actions("q_values", q_values)
    return q_values.argmax(-1)


def taken_q(q_values: Float[Tensor, "*B A"], action: Int[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Q(s, a) of the given actions [*B]: one entry of each row, differentiable.

    Errors: ValueError for an action of another shape, [*B, 1] say, or that is no int64.
    """
    require_shape("action", action, tuple(q_values.shape[:-1]))
    require(action.dtype == torch.int64, "action", "dtype int64", action.dtype)
    return q_values.gather(-1, action[..., None]).squeeze(-1)


def sarsa_target(reward: Float[Tensor, "*B"], next_q: Float[Tensor, "*B"], terminated: Bool[Tensor, "*B"], *,
                 discount: float) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) Q(s', a'),   a' the action that was taken in s': [*B].

    On-policy: its mean belongs to the policy that drew a', exploration included; actions from a replay give
    the Q of the old policies. Rummery, Niranjan 1994. (Lecture 05a, Q1.)
    Errors: ValueError for shapes that differ, a flag that is no bool, or a discount outside [0, 1].
    """
    require_shape("next_q", next_q, tuple(reward.shape))
    return td_target(reward, next_q, terminated, discount=discount)


def expected_sarsa_target(reward: Float[Tensor, "*B"], next_q_values: Float[Tensor, "*B A"],
                          next_probs: Float[Tensor, "*B A"], terminated: Bool[Tensor, "*B"], *,
                          discount: float) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) Σ_{a'} π(a'|s') Q(s', a'): [*B], `next_probs` [*B, A] = π(·|s').

    The mean of `sarsa_target` over a' ∼ π, so of no larger variance; and right for this π whoever acted,
    since r and s' depend on (s, a) alone. A greedy π makes it `q_target`. Van Seijen, van Hasselt, Whiteson,
    Wiering 2009. (Lecture 05a, Q1.) Errors as in `sarsa_target`, and for rows that are no distribution.
    """
    _require_like(reward, next_q_values=next_q_values)
    require_shape("next_probs", next_probs, tuple(next_q_values.shape))
    require_probabilities("next_probs", next_probs, tolerance=1e-4)
    return td_target(reward, (next_probs * next_q_values).sum(-1), terminated, discount=discount)


def q_target(reward: Float[Tensor, "*B"], next_q_values: Float[Tensor, "*B A"], terminated: Bool[Tensor, "*B"], *,
             discount: float) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) max_{a'} Q(s', a'): Q-learning's target [*B].

    The maximum is over the actions in the one s' that was sampled; it replaces the expectation over a', and
    the sample that over s'. Its mean is the Bellman optimality backup of Q, whoever chose a (off-policy).
    The maximum of noisy values is too large on average (Q6). Watkins 1989; Watkins, Dayan 1992; with a target
    network Mnih and others 2015. (Lecture 05a, Q1 and Q4.) Errors as in `sarsa_target`.
    """
    _require_like(reward, next_q_values=next_q_values)
    return td_target(reward, next_q_values.amax(-1), terminated, discount=discount)


def double_q_target(reward: Float[Tensor, "*B"], next_q_values: Float[Tensor, "*B A"],
                    target_next_q_values: Float[Tensor, "*B A"], terminated: Bool[Tensor, "*B"], *,
                    discount: float) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) Q_φ'(s', argmax_{a'} Q_φ(s', a')): [*B].

    The first, φ = `next_q_values`, chooses; the second, φ' = `target_next_q_values`, evaluates. Deep form: φ is the
    network that is trained, φ' its target network (van Hasselt, Guez, Silver 2016). Two tables: the first
    is the one to be updated, and a coin decides which that is (van Hasselt 2010). With an unbiased φ' whose errors
    are independent of φ's it never overestimates the best action's value on average, and can underestimate it.
    Network and target network share part of their errors, and part of the bias stays.
    (Lecture 05b, Q6.) Errors as in `sarsa_target`.
    """
    _require_like(reward, next_q_values=next_q_values, target_next_q_values=target_next_q_values)
    require_shape("target_next_q_values", target_next_q_values, tuple(next_q_values.shape))
    chosen = greedy_action(next_q_values)
    return td_target(reward, taken_q(target_next_q_values, chosen), terminated, discount=discount)


def clipped_double_q_target(reward: Float[Tensor, "*B"], next_q_values: Float[Tensor, "*B A"],
                            other_next_q_values: Float[Tensor, "*B A"], terminated: Bool[Tensor, "*B"], *,
                            discount: float) -> Float[Tensor, "*B"]:
    """y = r + γ (1 − terminated) minᵢ Qᵢ(s', a*),   a* = argmax_{a'} Q₁(s', a'): [*B].

    The first critic chooses, the smaller of both evaluates: at most `q_target` of the first and at most
    `double_q_target`, so it tends to underestimate. Both critics regress on the same target.
    Fujimoto, van Hoof, Meger 2018. (Lecture 05b, Q6.) Errors as in `sarsa_target`.
    """
    _require_like(reward, next_q_values=next_q_values, other_next_q_values=other_next_q_values)
    require_shape("other_next_q_values", other_next_q_values, tuple(next_q_values.shape))
    chosen = greedy_action(next_q_values)
    smaller = torch.minimum(taken_q(next_q_values, chosen), taken_q(other_next_q_values, chosen))
    return td_target(reward, smaller, terminated, discount=discount)


def huber(error: Float[Tensor, "*B"], *, threshold: float = 1.0) -> Float[Tensor, "*B"]:
    """½ e² where |e| ≤ k, else k (|e| − ½ k), k = `threshold`: [*B]. Its slope is e, clipped to [−k, k].

    A square near 0 and a line beyond, so that one surprising target cannot throw the network; k is in units
    of the value, and k = ∞ is half the square. It is the loss that bends: clipping the error before the
    square would leave no gradient where |e| > k. Huber 1964; Mnih and others 2015. (Lecture 05b, Q9.)
    Errors: ValueError for a threshold that is not positive.
    """
    require(threshold > 0, "threshold", "a positive number", threshold)
    slope = error.clamp(-threshold, threshold)
    return slope * (error - 0.5 * slope)


def td_loss(q: Float[Tensor, "*B"], target: Float[Tensor, "*B"], *, threshold: float = 1.0) -> Float[Tensor, "*B"]:
    """`huber`(Q(s, a) − y): the critic's loss per element [*B]; the gradient flows through Q(s, a) alone.

    [*B] against [*B, 1] would broadcast to all pairs, and train, and be wrong: it is refused.
    `threshold` = ∞ gives ½ (Q − y)². (Lecture 05a, Q2 and Q4.)
    """
    require_shape("target", target, tuple(q.shape))
    return huber(q - target.detach(), threshold=threshold)


def polyak(behind: Float[Tensor, "*B"], ahead: Float[Tensor, "*B"], *, polyak_rate: float) -> Float[Tensor, "*B"]:
    """φ' + η (φ − φ'), η = `polyak_rate`: where the target parameters `behind` are after one step, [*B].

    The rate multiplies the *new* parameters φ = `ahead`: 1 copies them, 0 leaves φ' alone. Papers disagree, and
    many give 1 − η. Parameters of j steps ago weigh η (1 − η)ʲ: on average φ' is (1 − η)/η steps old. For
    targets: Lillicrap and others 2016. `nets.q_values.follow` does it in place.
    (Lecture 05a, Q4.) Errors: ValueError for shapes that differ or a rate outside [0, 1].
    """
    require_shape("ahead", ahead, tuple(behind.shape))
    require_unit_interval("polyak_rate", polyak_rate)
    return behind.detach().lerp(ahead.detach(), polyak_rate)


def _require_actions(name: str, q_values: Tensor) -> None:
    require(q_values.ndim >= 1 and q_values.shape[-1] > 0, name, "at least one action, shape [*B, A]",
            list(q_values.shape))


def _require_like(reward: Tensor, **q_values: Tensor) -> None:
    """Each [*B, A] for rewards [*B]."""
    for name, values in q_values.items():
        require_shape(name, values, (*reward.shape, "A"))
        _require_actions(name, values)
