"""A stack of R independent multi-layer perceptrons, evaluated together.

The layers hold weights [R, in, out] and biases [R, 1, out], so that one `baddbmm` serves all
runs. No number of one run ever meets a number of another, neither forwards nor backwards: as
long as the losses of the runs are *summed*, run r trains as it would alone.
"""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.check import require, require_count, require_shape
from ..core.seeding import generator

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "silu": nn.functional.silu}
INITIALISATIONS = ("orthogonal", "fan_in")


class MLP(nn.Module):
    """x ↦ W_L·φ(… φ(W₁x + b₁) …) + b_L for each of R runs: [R, B, in] → [R, B, out].

    `sizes` lists the widths from input to output. Run r draws its weights from a generator of
    its own, named after (seed, name, r): the first runs of a stack of eight are therefore the
    same networks as a stack of two with the same seed and name.

    `init` is "orthogonal" (columns or rows orthonormal, times √2 in the hidden layers and
    `output_scale` in the last; Saxe, McClelland & Ganguli 2014; biases 0) or "fan_in" (weights
    and biases uniform on ±1/√in; `output_scale` multiplies the last layer).
    Errors: ValueError on an unknown activation or initialisation, or input of another shape.
    """

    def __init__(self, sizes: Sequence[int], *, runs: int, seed: int, name: str = "mlp",
                 activation: str = "tanh", init: str = "orthogonal", output_scale: float = 1.0,
                 dtype: torch.dtype = torch.float64):
        super().__init__()
        require(len(sizes) >= 2, "sizes", "at least an input and an output size", list(sizes))
        for size in sizes:
            require_count("sizes", size)
        require_count("runs", runs)
        require(activation in ACTIVATIONS, "activation", f"one of {sorted(ACTIVATIONS)}", repr(activation))
        require(init in INITIALISATIONS, "init", f"one of {list(INITIALISATIONS)}", repr(init))
        self.sizes, self.activation = tuple(sizes), activation
        draws = [generator(seed, f"{name}, run {r}") for r in range(runs)]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            last = layer == len(sizes) - 2
            scale = output_scale if last else (math.sqrt(2.0) if init == "orthogonal" else 1.0)
            make = _orthogonal if init == "orthogonal" else _fan_in
            layers = [make(fan_in, fan_out, scale, random) for random in draws]
            self.weights.append(torch.stack([weight for weight, _ in layers]).to(dtype))
            self.biases.append(torch.stack([bias for _, bias in layers]).to(dtype))

    @property
    def runs(self) -> int:
        """R, the number of independent networks in the stack."""
        return self.weights[0].shape[0]

    def forward(self, inputs: Tensor) -> Tensor:
        """[R, B, in] → [R, B, out]; the last layer is linear."""
        require_shape("inputs", inputs, (self.runs, "B", self.sizes[0]))
        activation, last = ACTIVATIONS[self.activation], len(self.sizes) - 2
        hidden = inputs
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if layer < last:
                hidden = activation(hidden)
        return hidden

    def run(self, r: int) -> "MLP":
        """An independent copy of run r alone (R = 1)."""
        return take_run(self, r)


def take_run(module: nn.Module, r: int) -> nn.Module:
    """A copy of a module whose parameters all are [R, …], with run r alone: [1, …]."""
    runs = next(module.parameters()).shape[0]
    require(0 <= r < runs, "r", f"a run from 0 to {runs - 1}", r)
    alone = copy.deepcopy(module)
    for part in alone.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(parameter.detach()[r:r + 1].clone()))
    return alone


def _orthogonal(fan_in: int, fan_out: int, scale: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    tall = torch.randn(max(fan_in, fan_out), min(fan_in, fan_out), generator=random, dtype=torch.float64)
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()     # makes the draw uniform over orthogonal matrices (Mezzadri 2007)
    weight = q if fan_in >= fan_out else q.T
    return scale * weight, torch.zeros(1, fan_out, dtype=torch.float64)


def _fan_in(fan_in: int, fan_out: int, scale: float, random: torch.Generator) -> tuple[Tensor, Tensor]:
    draw = torch.rand(fan_in + 1, fan_out, generator=random, dtype=torch.float64)
    values = scale * (2.0 * draw - 1.0) / math.sqrt(fan_in)
    return values[:-1], values[-1:]
