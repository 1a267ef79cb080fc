"""The checks that all heads share: one clear line instead of a broadcast or a deep stack."""

from torch import Tensor

from ..core.check import require, require_shape


def require_pairs(obs: Tensor, action: Tensor, runs: int, obs_size: int, action_size: int) -> None:
    """Check `obs` [R, B, O] and `action` [R, B, D] against the sizes of a head."""
    require_shape("obs", obs, (runs, "B", obs_size))
    require_shape("action", action, (runs, obs.shape[1], action_size))
    require(action.dtype == obs.dtype, "action", f"the dtype of obs, {obs.dtype}", action.dtype)


def require_noise(noise: Tensor | None, obs: Tensor, size: int) -> Tensor:
    """Check that `noise` holds `size` uniforms for every observation, and return it."""
    require(noise is not None, "noise", f"uniforms of shape {[*obs.shape[:-1], size]}", None)
    require_shape("noise", noise, (*obs.shape[:-1], size))
    return noise
