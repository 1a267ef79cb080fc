"""Adam for stacked networks: every run is clipped by its own gradient norm.

`torch.optim.Adam` would do, except that its first use in a process imports a compiler (about a
second) and that its clipping knows only one norm for all runs together, which would couple them.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from ..core.check import require


class Adam:
    """Adam (Kingma & Ba 2015) on parameters [R, …].

        m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²,
        parameter ← parameter − learning_rate · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + eps)

    With `clip_norm` = c, run r's gradient is first multiplied by min(1, c / ‖g_r‖₂), the norm
    taken over all parameters of that run. `decay` is (β₁, β₂). `learning_rate` may be changed
    between steps. Errors: ValueError when a parameter has no gradient.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float = 1e-3, *,
                 decay: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 clip_norm: float | None = None):
        self.parameters = [p for p in parameters if p.requires_grad]
        require(len(self.parameters) > 0, "parameters", "at least one tensor with requires_grad", "none")
        require(learning_rate > 0, "learning_rate", "a positive number", learning_rate)
        require(all(0.0 <= d < 1.0 for d in decay), "decay", "two numbers in [0, 1)", decay)
        require(clip_norm is None or clip_norm > 0, "clip_norm", "a positive number or None", clip_norm)
        runs = {p.shape[0] if p.ndim else 0 for p in self.parameters}
        require(len(runs) == 1, "parameters", "tensors [R, …] with one R for all", f"{sorted(runs)} runs")
        self.learning_rate, self.decay, self.eps, self.clip_norm = learning_rate, decay, eps, clip_norm
        self.steps = 0
        self.mean = torch.zeros_like(_rows(self.parameters))
        self.square = torch.zeros_like(self.mean)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update from the gradients that `backward()` has left."""
        require(all(p.grad is not None for p in self.parameters), "parameters",
                "a gradient for every one (call backward() first)", "None for at least one")
        # All parameters of a run in one row: a dozen calls into torch, however many layers there are.
        gradient = _rows([p.grad for p in self.parameters])
        if self.clip_norm is not None:
            [gradient] = clip_by_run([gradient], self.clip_norm)
        self.steps += 1
        mean_decay, square_decay = self.decay
        mean_correction = 1.0 - mean_decay ** self.steps
        square_correction = 1.0 - square_decay ** self.steps
        self.mean.lerp_(gradient, 1.0 - mean_decay)
        self.square.mul_(square_decay).addcmul_(gradient, gradient, value=1.0 - square_decay)
        direction = self.mean / (self.square / square_correction).sqrt_().add_(self.eps)
        parts = direction.split([p[0].numel() for p in self.parameters], dim=1)
        for parameter, part in zip(self.parameters, parts):
            parameter.add_(part.view_as(parameter), alpha=-self.learning_rate / mean_correction)


def descend(optimiser: Adam, loss: Tensor) -> None:
    """One step on losses per element [R, …, B]: the means over the last axis, summed over runs (and critics).

    Only the optimiser's own parameters get a gradient: an actor's loss that passes through a critic leaves no
    trace in the critic.
    """
    optimiser.zero_grad()
    loss.mean(-1).sum().backward(inputs=optimiser.parameters)
    optimiser.step()


def _rows(tensors: list[Tensor]) -> Tensor:
    """Tensors [R, …] side by side: one row [R, P] for each run."""
    return torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)


def gradient_norms(gradients: list[Tensor]) -> Tensor:
    """‖g_r‖₂ of every run over all tensors [R, …] of a list: [R]."""
    return torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]).norm(dim=0)


def clip_by_run(gradients: list[Tensor], clip_norm: float) -> list[Tensor]:
    """g_r · min(1, clip_norm / ‖g_r‖₂) for every run r, as new tensors [R, …]."""
    factor = (clip_norm / gradient_norms(gradients)).clamp(max=1.0)     # 1 also where the norm is 0
    return [g * factor.view(-1, *[1] * (g.ndim - 1)) for g in gradients]
