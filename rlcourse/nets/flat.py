"""The parameters of R runs as one matrix [R, P], for methods that see a policy as a vector."""

from collections.abc import Sequence

import torch
from torch import Tensor


def flatten(parts: Sequence[Tensor]) -> Tensor:
    """Tensors [R, …] (parameters, or a gradient for each) in one row for each run: [R, P], a copy."""
    return torch.cat([part.flatten(1) for part in parts], 1)


@torch.no_grad()
def write(parameters: Sequence[Tensor], flat: Tensor) -> None:
    """Put the rows of `flat` [R, P] back into parameters [R, …]: what `flatten` would give is then `flat`."""
    sizes = [parameter[0].numel() for parameter in parameters]
    for parameter, part in zip(parameters, flat.split(sizes, 1)):
        parameter.copy_(part.view_as(parameter))
