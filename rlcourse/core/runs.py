"""The runs axis: R independent training runs in one tensor, and the sockets for students.

Axis 0 of parameters and samples [R, …] and axis 1 of rollouts [T, R, N, …] count independent
runs. Training them together costs little more than training one, which is why every curve of
the course can show an interval while it is being trained.
"""

from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor

from .check import require


def samples_by_run(rollout: Shaped[Tensor, "T R N *rest"]) -> Shaped[Tensor, "R T*N *rest"]:
    """[T, R, N, …] → [R, T·N, …]: one row of samples for each run's network."""
    require(rollout.ndim >= 3, "rollout", "shape [T, R, N, …]", list(rollout.shape))
    moved = rollout.movedim(1, 0)
    return moved.reshape(moved.shape[0], -1, *moved.shape[3:])


def rollout_by_run(samples: Shaped[Tensor, "R n *rest"],
                   horizon: int) -> Shaped[Tensor, "{horizon} R n//{horizon} *rest"]:
    """[R, T·N, …] → [T, R, N, …]: the inverse of `samples_by_run`."""
    require(samples.ndim >= 2 and samples.shape[1] % horizon == 0, "samples",
            f"shape [R, T·N, …] with T = {horizon}", list(samples.shape))
    split = samples.reshape(samples.shape[0], horizon, -1, *samples.shape[2:])
    return split.movedim(0, 1)


def socket(name: str, function: Callable, default: Callable, axis: int) -> Callable:
    """Let a function that sees *one* run stand where the library's function sees R runs.

    The library's own `default` passes through untouched. Anything else is called once per
    run, with `axis` (0 for samples, 1 for rollouts) removed from every tensor argument that has
    it, and its results are stacked along that axis again. Shape and finiteness of the first
    results are checked, so that a slip shows up as one line that names the socket.
    """
    if function is default:
        return default
    require(callable(function), name, "a function", type(function).__name__)
    checked = False

    def over_runs(*args, **kwargs):
        nonlocal checked
        runs = next(a.shape[axis] for a in args if isinstance(a, Tensor) and a.ndim > axis)

        def pick(value, r):
            return value.select(axis, r) if isinstance(value, Tensor) and value.ndim > axis else value

        results = [function(*(pick(a, r) for a in args), **{k: pick(v, r) for k, v in kwargs.items()})
                   for r in range(runs)]
        if not checked:
            expected = default(*args, **kwargs)
            want = [s for i, s in enumerate(expected.shape) if i != axis]
            for result in results:
                require(isinstance(result, Tensor), name, "a torch.Tensor back", type(result).__name__)
                require(list(result.shape) == want, name, f"a result of shape {want}", list(result.shape))
                require(bool(torch.isfinite(result).all()), name, "finite results", "NaN or infinity")
            checked = True
        return torch.stack(results, dim=axis)

    return over_runs
