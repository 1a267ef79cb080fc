"""Maximum-entropy control of a linear system with quadratic costs: soft actor-critic's problem, in closed form.

    s' = A s + B a + w,  w ~ N(0, W),   r(s, a) = −½ (sᵀ C s + aᵀ D a),   maximise E Σₜ γᵗ (rₜ + α H(π(·|sₜ)))

for ever or for T steps, with a temperature α. Values are quadratic and the best policy is Gaussian:

    V(s) = −½ sᵀ P s + v,   π(a|s) = N(−K s, α H⁻¹),   H = D + γ Bᵀ P B,   K = γ H⁻¹ Bᵀ P A,
    P = C + γ Aᵀ P A − γ² Aᵀ P B H⁻¹ Bᵀ P A.

P and K do not know α: noise costs the same everywhere, so the mean is that of the ordinary problem. The
exponent is exp(Q(s, a)/α), with H the curvature of −Q in a: steep costs leave little freedom. Entropy is in nats,
of the action as it is. The problem `envs.linear_gain.LinearGain` is A = B = 1, C = D = 2, W = 0. (Lecture 04, A8.)
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.check import require, require_count, require_shape, require_unit_interval


@dataclass(frozen=True, eq=False)
class LinearQuadratic:
    """The problem's matrices, float64: n numbers in the state, d in the action.

    `dynamics` A [n, n], `control` B [n, d]; `state_cost` C [n, n] and `action_cost` D [d, d], both symmetric, D
    positive definite and C at least semidefinite; `noise_cov` W [n, n] (None: no noise).
    """

    dynamics: Float[Tensor, "n n"]
    control: Float[Tensor, "n d"]
    state_cost: Float[Tensor, "n n"]
    action_cost: Float[Tensor, "d d"]
    noise_cov: Float[Tensor, "n n"] | None = None

    def __post_init__(self):
        require_shape("control", self.control, ("n", "d"))
        size, actions = self.control.shape
        require_shape("dynamics", self.dynamics, (size, size))
        for name, matrix, wanted, least in (("state_cost", self.state_cost, size, -1e-12),
                                            ("action_cost", self.action_cost, actions, 1e-300),
                                            ("noise_cov", self.noise, size, -1e-12)):
            require_shape(name, matrix, (wanted, wanted))
            require(bool(torch.equal(matrix, matrix.T)), name, "a symmetric matrix", matrix.tolist())
            lowest = float(torch.linalg.eigvalsh(matrix).min())
            wish = "eigenvalues above 0" if least > 0 else "eigenvalues of at least 0"
            require(lowest >= least, name, wish, lowest)

    @property
    def noise(self) -> Float[Tensor, "n n"]:
        """W, zeros where there is none."""
        return torch.zeros_like(self.dynamics) if self.noise_cov is None else self.noise_cov


@dataclass(frozen=True, eq=False)
class SoftSolution:
    """The best policy N(−K s, α H⁻¹) and its soft value −½ sᵀ P s + v.

    `gain` K [d, n], `action_cov` α H⁻¹ [d, d], `curvature` P [n, n], `constant` v []; from `solve_finite` each
    with the T steps in front.
    """

    gain: Tensor
    action_cov: Tensor
    curvature: Tensor
    constant: Tensor

    def value(self, state: Float[Tensor, "*B n"]) -> Float[Tensor, "*B"]:
        """V(s) = −½ sᵀ P s + v of a stationary solution: [*B]."""
        return quadratic_value(state, self.curvature, self.constant)


def quadratic_value(state: Float[Tensor, "*B n"], curvature: Float[Tensor, "n n"],
                    constant: Tensor | float) -> Float[Tensor, "*B"]:
    """−½ sᵀ P s + v: [*B]."""
    return -0.5 * ((state @ curvature) * state).sum(-1) + constant


def soft_q(problem: LinearQuadratic, curvature: Float[Tensor, "n n"], constant: Tensor | float,
           state: Float[Tensor, "*B n"], action: Float[Tensor, "*B d"], *, discount: float) -> Float[Tensor, "*B"]:
    """Q(s, a) = r(s, a) + γ E[−½ s'ᵀ P s' + v] [*B], for the value of what comes after."""
    cost = ((state @ problem.state_cost) * state).sum(-1) + ((action @ problem.action_cost) * action).sum(-1)
    following = state @ problem.dynamics.T + action @ problem.control.T
    noise = -0.5 * torch.trace(curvature @ problem.noise)
    return -0.5 * cost + discount * (quadratic_value(following, curvature, constant) + noise)


def solve_finite(problem: LinearQuadratic, horizon: int, *, temperature: float,
                 discount: float = 1.0) -> SoftSolution:
    """The optimum with T steps to go, for t = 0 … T − 1: every field has T in front.

    Backwards from a value of 0 after the last step: V_t = α log ∫ exp(Qₜ(s, a)/α) da.
    """
    require_count("horizon", horizon)
    require_unit_interval("discount", discount)
    curvature = torch.zeros_like(problem.dynamics)
    constant, steps = curvature.new_zeros(()), []
    for _ in range(horizon):
        steps.append(_backup(problem, curvature, constant, temperature, discount))
        curvature, constant = steps[-1][2:]
    return SoftSolution(*(torch.stack(part[::-1]) for part in zip(*steps)))


def solve(problem: LinearQuadratic, *, temperature: float, discount: float, tolerance: float = 1e-13,
          max_iterations: int = 100_000) -> SoftSolution:
    """The stationary optimum, for γ < 1: the Riccati equation by repeated backups from P = 0.

    Ends when P changes by less than `tolerance` times its size; RuntimeError where it does not within
    `max_iterations`, as for a system so unstable that every policy's cost is infinite.
    """
    require_unit_interval("discount", discount, closed=False)
    curvature = torch.zeros_like(problem.dynamics)
    nothing = curvature.new_zeros(())
    for _ in range(max_iterations):
        gain, action_cov, following, step = _backup(problem, curvature, nothing, temperature, discount)
        if float((following - curvature).abs().max()) <= tolerance * float(following.abs().max()):
            return SoftSolution(gain, action_cov, following, step / (1.0 - discount))
        curvature = following
    raise RuntimeError(f"solve: the Riccati iteration did not settle in {max_iterations} steps")


def policy_value(problem: LinearQuadratic, gain: Float[Tensor, "d n"], action_cov: Float[Tensor, "d d"], *,
                 temperature: float, discount: float) -> tuple[Float[Tensor, "n n"], Float[Tensor, ""]]:
    """(P, v) of the soft value −½ sᵀ P s + v of any policy N(−K s, Σ), for γ < 1: what a critic should learn.

    P = C + Kᵀ D K + γ (A − BK)ᵀ P (A − BK), a linear equation, and
    v = [α H(Σ) − ½ tr(D Σ) − ½ γ tr(P (B Σ Bᵀ + W))] / (1 − γ), H(Σ) = ½ log det(2πe Σ).
    Differentiable. Errors: ValueError unless γ ρ(A − BK)² < 1, which keeps the cost finite wherever one starts.
    """
    require_unit_interval("discount", discount, closed=False)
    require(temperature >= 0, "temperature", "a number of at least 0", temperature)
    size, actions = problem.control.shape
    require_shape("gain", gain, (actions, size))
    require_shape("action_cov", action_cov, (actions, actions))
    closed = problem.dynamics - problem.control @ gain
    growth = discount * float(torch.linalg.eigvals(closed.detach()).abs().max()) ** 2
    require(growth < 1.0, "gain", "discount · (spectral radius of A − BK)² below 1", f"{growth:.6g}")
    cost = problem.state_cost + gain.T @ problem.action_cost @ gain
    # vec(Mᵀ P M) = (M ⊗ M)ᵀ vec(P), row by row.
    system = torch.eye(size * size, dtype=cost.dtype) - discount * torch.kron(closed, closed).T
    curvature = torch.linalg.solve(system, cost.flatten()).reshape(size, size)
    spread = problem.control @ action_cov @ problem.control.T + problem.noise
    lost = torch.trace(problem.action_cost @ action_cov) + discount * torch.trace(curvature @ spread)
    step = -0.5 * lost
    if temperature > 0:
        step = step + temperature * 0.5 * (actions * math.log(2.0 * math.pi * math.e) + torch.logdet(action_cov))
    return curvature, step / (1.0 - discount)


def _backup(problem: LinearQuadratic, curvature: Tensor, constant: Tensor, temperature: float,
            discount: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(K, α H⁻¹, P, v) one step before a soft value with `curvature` and `constant`."""
    require(temperature > 0, "temperature", "a positive number", temperature)
    control, dynamics = problem.control, problem.dynamics
    steepness = problem.action_cost + discount * control.T @ curvature @ control  # H
    cross = discount * control.T @ curvature @ dynamics
    gain = torch.linalg.solve(steepness, cross)
    before = problem.state_cost + discount * dynamics.T @ curvature @ dynamics - cross.T @ gain
    # α log ∫ exp(−½ aᵀ H a / α) da = ½ α log det(2π α H⁻¹).
    size = len(steepness)
    freedom = 0.5 * temperature * (size * math.log(2.0 * math.pi * temperature) - torch.logdet(steepness))
    noise = 0.5 * torch.trace(curvature @ problem.noise)
    cov = temperature * torch.linalg.inv(steepness)
    return gain, 0.5 * (cov + cov.T), 0.5 * (before + before.T), freedom + discount * (constant - noise)
