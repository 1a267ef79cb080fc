"""`PrioritisedReplay`: a replay that draws surprising transitions more often, and says how to correct for it.

Lecture section Q4. Schaul, Quan, Antonoglou, Silver 2016, "Prioritized experience replay" (the proportional variant).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require, require_count, require_shape, require_unit_interval
from ..core.seeding import uniforms
from .replay import Replay

LEAST = 1e-6  # is added to |δ|, so that no transition is lost for ever


class Prioritised(NamedTuple):
    """`window` [steps, R, B, …], the importance `weight` [R, B] of each, and its `place` [R, B] in the ring."""

    window: Batch
    weight: Tensor
    place: Tensor


class PrioritisedReplay:
    """A `Replay` (public: `replay`) with a priority for every transition: P(i) = pᵢ^ω / Σⱼ pⱼ^ω within each run.

    p = |δ| + a little, from when the transition was last learned from, and ω = `exponent`: 0 is uniform, 1
    proportional. A new transition gets the largest priority that its run has met (at first 1): everything is soon
    drawn once. Draws go through one cumulative sum over the ring. A sum tree needs log L instead of L operations a
    draw, but a batch shares the sum, and at our sizes it costs less than the tree's branches.
    """

    def __init__(self, capacity: int, runs: int, environments: int, *, exponent: float = 0.6):
        require_unit_interval("exponent", exponent)
        self.replay, self.exponent = Replay(capacity, runs, environments), exponent
        # pᵢ^ω; float64, since differences of cumulative sums become probabilities. 0: nothing is stored there.
        self._mass = torch.zeros(runs, capacity, environments, dtype=torch.float64)
        self._largest = torch.ones(runs, 1, dtype=torch.float64)

    def __len__(self) -> int:
        """How many transitions of each run are stored."""
        return len(self.replay)

    def add(self, batch: Batch) -> None:
        """Store a rollout [T, R, N, …] as `Replay.add` does, with the largest priority."""
        self.replay.add(batch)
        if self._mass.device != batch.reward.device:
            self._mass, self._largest = self._mass.to(batch.reward.device), self._largest.to(batch.reward.device)
        self._mass[:, self._latest(batch.reward.shape[0])] = self._largest.unsqueeze(-1)

    def probs(self, steps: int = 1) -> Tensor:
        """P(i) [R, capacity · N] of each place to be the start of a window of `steps` rows; 0 where none can start."""
        mass = self._startable(steps)
        return mass / mass.sum(-1, keepdim=True)

    def sample_windows(self, steps: int, batch_size: int, random: torch.Generator, *,
                       correction: float) -> Prioritised:
        """`batch_size` windows of `steps` successive rows for each run, independent, with replacement, by P.

        The weights are (M · P(i))^−κ over the largest of all M possible starts, so at most 1; κ = `correction` in
        [0, 1]. With κ = 1 weighted means have the expectation of uniform ones, times a constant. (Over the
        largest of the *batch*, as is often done, the factor would depend on the draw.)
        Errors: ValueError for a window longer than what is stored.
        """
        require_count("batch_size", batch_size)
        require_unit_interval("correction", correction)
        mass = self._startable(steps)
        total = mass.cumsum(-1)
        draw = uniforms((mass.shape[0], batch_size), random).to(mass.device) * total[:, -1:]
        # Below the end even where the product was rounded up: then the place found has a mass above 0.
        draw = torch.minimum(draw, torch.nextafter(total[:, -1:], torch.zeros_like(total[:, -1:])))
        place = torch.searchsorted(total, draw, right=True)
        least = mass.masked_fill(mass == 0, torch.inf).amin(-1, keepdim=True)
        window = self.replay.windows_at(place, steps)
        weight = (least / mass.gather(1, place)) ** correction
        return Prioritised(window, weight.to(window.reward.dtype), place)

    def update(self, place: Tensor, td_error: Tensor) -> None:
        """The transitions at `place` [R, B] have just been learned from, with the errors `td_error` [R, B].

        Errors: ValueError for errors that are not finite.
        """
        require_shape("td_error", td_error, tuple(place.shape))
        require(bool(torch.isfinite(td_error).all()), "td_error", "finite numbers", "NaN or infinity")
        mass = (td_error.detach().abs().to(self._mass.dtype) + LEAST) ** self.exponent
        self._mass.flatten(1).scatter_(1, place, mass)
        self._largest = torch.maximum(self._largest, mass.amax(-1, keepdim=True))

    def _startable(self, steps: int) -> Tensor:
        require_count("steps", steps)
        require(steps <= self.replay.stored, "steps", f"at most the {self.replay.stored} rows that are stored", steps)
        mass = self._mass
        if steps > 1:  # the newest rows have too few behind them
            mass = mass.index_fill(1, self._latest(steps - 1).to(mass.device), 0.0)
        return mass.flatten(1)

    def _latest(self, rows: int) -> Tensor:
        return (self.replay.newest - torch.arange(min(rows, self.replay.capacity))) % self.replay.capacity
