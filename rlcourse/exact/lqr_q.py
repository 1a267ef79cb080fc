"""Q-functions of linear–quadratic control in closed form, written as NAF writes them, and the gradient of the gain.

The problem is that of `soft_lqr`, without its entropy: s' = A s + B a + w, r = −½ (sᵀ C s + aᵀ D a), discount γ < 1.
For any policy a = −K s whose cost is finite, V^K(s) = −½ sᵀ P s + v and Q^K is a parabola in the action:

    Q^K(s, a) = top(s) − ½ (a + G s)ᵀ H (a + G s),   H = D + γ Bᵀ P B,   G = γ H⁻¹ Bᵀ P A,
    top(s) = max_a Q^K(s, a) = −½ sᵀ (C + γ Aᵀ P A − Gᵀ H G) s + γ (v − ½ tr(P W)).

G is the gain that is greedy in Q^K: policy improvement. At the optimum K = G and top = V. So `nets.naf.NAFNet`, with
μ = −G s, L Lᵀ = H and a V that is quadratic in s, has no error here, if L is not too small for it
(`least_diagonal`). (Lecture 05b, Q8.)
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .soft_lqr import LinearQuadratic, policy_value, quadratic_value, solve


@dataclass(frozen=True, eq=False)
class QuadraticQ:
    """top(s) − ½ (a + G s)ᵀ H (a + G s), with top(s) = −½ sᵀ `curvature` s + `constant`.

    `gain` G [d, n], `steepness` H [d, d], `curvature` [n, n], `constant` [].
    """

    gain: Float[Tensor, "d n"]
    steepness: Float[Tensor, "d d"]
    curvature: Float[Tensor, "n n"]
    constant: Float[Tensor, ""]

    def top(self, state: Float[Tensor, "*B n"]) -> Float[Tensor, "*B"]:
        """max_a Q(s, a) [*B], reached at a = −G s."""
        return quadratic_value(state, self.curvature, self.constant)

    def q(self, state: Float[Tensor, "*B n"], action: Float[Tensor, "*B d"]) -> Float[Tensor, "*B"]:
        """Q(s, a) [*B]."""
        return self.top(state) + quadratic_value(action + state @ self.gain.T, self.steepness, 0.0)


def policy_q(problem: LinearQuadratic, gain: Float[Tensor, "d n"], *, discount: float) -> QuadraticQ:
    """Q^K of the policy a = −K s, K = `gain`. Errors: ValueError where its discounted cost is infinite."""
    curvature, constant = policy_value(problem, gain, torch.zeros_like(problem.action_cost), temperature=0.0,
                                       discount=discount)
    steepness, cross = _in_the_action(problem, curvature, discount)
    greedy = torch.linalg.solve(steepness, cross)
    top = problem.state_cost + discount * problem.dynamics.T @ curvature @ problem.dynamics - cross.T @ greedy
    noise = 0.5 * torch.trace(curvature @ problem.noise)
    return QuadraticQ(greedy, steepness, 0.5 * (top + top.T), discount * (constant - noise))


def best_q(problem: LinearQuadratic, *, discount: float) -> QuadraticQ:
    """Q* of the best policy a = −G s: its top is V*, so that Q*(s, a) = r + γ E top(s')."""
    best = solve(problem, temperature=1.0, discount=discount)  # P and K are the same at every temperature
    return policy_q(problem, best.gain, discount=discount)


def state_moment(problem: LinearQuadratic, gain: Float[Tensor, "d n"], start_moment: Float[Tensor, "n n"], *,
                 discount: float) -> Float[Tensor, "n n"]:
    """M = Σₜ γᵗ E[sₜ sₜᵀ] [n, n] under a = −K s, from E[s₀ s₀ᵀ] = `start_moment`.

    M = E[s₀ s₀ᵀ] + γ/(1 − γ) W + γ (A − BK) M (A − BK)ᵀ, a linear equation: all that a gradient has to know of the
    states that the policy visits. (1 − γ) M is the moment of one state of the discounted occupancy.
    """
    closed, size = problem.dynamics - problem.control @ gain, len(problem.dynamics)
    system = torch.eye(size * size, dtype=closed.dtype) - discount * torch.kron(closed, closed)
    fresh = start_moment + discount / (1.0 - discount) * problem.noise
    return torch.linalg.solve(system, fresh.flatten()).reshape(size, size)


def objective(problem: LinearQuadratic, gain: Float[Tensor, "d n"], start_moment: Float[Tensor, "n n"], *,
              discount: float) -> Float[Tensor, ""]:
    """J(K) = E V^K(s₀) = −½ tr(P E[s₀ s₀ᵀ]) + v; differentiable in K."""
    curvature, constant = policy_value(problem, gain, torch.zeros_like(problem.action_cost), temperature=0.0,
                                       discount=discount)
    return -0.5 * torch.trace(curvature @ start_moment) + constant


def gain_gradient(problem: LinearQuadratic, gain: Float[Tensor, "d n"], start_moment: Float[Tensor, "n n"], *,
                  discount: float) -> Float[Tensor, "d n"]:
    """∇_K J = H (G − K) M [d, n]: the deterministic policy gradient in closed form (a = −K s, so −∇ₐQ sᵀ, summed).

    It is Σₜ γᵗ E[−∇ₐQ^K(sₜ, a) sₜᵀ] at a = −K sₜ, since ∇ₐQ^K = −H (G − K) s there. With another moment in the
    place of M, such as a replay's, the direction is another one; it is 0 at the same K. Silver and others 2014.
    """
    q = policy_q(problem, gain, discount=discount)
    return q.steepness @ (q.gain - gain) @ state_moment(problem, gain, start_moment, discount=discount)


def _in_the_action(problem: LinearQuadratic, curvature: Tensor, discount: float) -> tuple[Tensor, Tensor]:
    """(H, γ Bᵀ P A): the terms of −Q that the action enters."""
    ahead = discount * problem.control.T @ curvature
    return problem.action_cost + ahead @ problem.control, ahead @ problem.dynamics
