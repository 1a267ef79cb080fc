"""`Replay`: a ring of the latest transitions, from which an off-policy learner draws.

Lecture section A8. Lin 1992, "Self-improving reactive agents based on reinforcement learning, planning and
teaching".
"""

from dataclasses import fields

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require, require_count, require_shape


class Replay:
    """The last L = `capacity` steps of R × N environments; every field is stored as [R, L, N, …].

    Time stands before environments: what follows a transition in its environment is the next row, and the newest
    transitions of all environments are one row. The ring writes over its oldest row. `next_obs` is stored as it
    came, since at an end the next row belongs to another episode; both end flags are stored as they came too.
    Run r is only ever sampled from run r. Public: `stored`, the number of rows that hold something, and `newest`,
    the index of the row written last (−1 while there is none).
    """

    def __init__(self, capacity: int, runs: int, environments: int):
        for name, count in (("capacity", capacity), ("runs", runs), ("environments", environments)):
            require_count(name, count)
        self.capacity, self.runs, self.environments = capacity, runs, environments
        self.stored, self.newest = 0, -1
        self._fields: dict[str, Tensor] = {}

    def __len__(self) -> int:
        """How many transitions of each run are stored."""
        return self.stored * self.environments

    def add(self, batch: Batch) -> None:
        """Store a rollout [T, R, N, …], oldest row first; of more than L steps the last L remain.

        Errors: ValueError on other runs or environments, on fields, shapes or dtypes unlike those of the first
        rollout, and on rewards that are not finite: one of them would in time spoil every value.
        """
        require_shape("batch", batch.reward, ("T", self.runs, self.environments))
        require(bool(torch.isfinite(batch.reward).all()), "batch", "finite rewards", "NaN or infinity")
        new = {f.name: getattr(batch, f.name) for f in fields(batch) if getattr(batch, f.name) is not None}
        if not self._fields:
            self._fields = {name: torch.empty(self.runs, self.capacity, self.environments, *value.shape[3:],
                                              dtype=value.dtype, device=value.device)
                            for name, value in new.items()}
        require(new.keys() == self._fields.keys(), "batch", f"the fields {sorted(self._fields)}", sorted(new))
        for name, ring in self._fields.items():
            value = new[name]
            require(value.shape[3:] == ring.shape[3:] and value.dtype == ring.dtype, f"batch.{name}",
                    f"entries of shape {list(ring.shape[3:])} and {ring.dtype}",
                    f"{list(value.shape[3:])} and {value.dtype}")
        steps = batch.reward.shape[0]
        kept = min(steps, self.capacity)
        rows = (torch.arange(steps - kept, steps) + self.newest + 1) % self.capacity
        for name, ring in self._fields.items():
            ring[:, rows] = new[name][steps - kept:].movedim(0, 1)
        self.stored = min(self.stored + steps, self.capacity)
        self.newest = (self.newest + steps) % self.capacity

    def sample(self, batch_size: int, random: torch.Generator) -> Batch:
        """`batch_size` transitions of each run [R, B, …]: uniform, independent, with replacement.

        Errors: ValueError if fewer than `batch_size` are stored.
        """
        require_count("batch_size", batch_size)
        require(batch_size <= len(self), "batch_size", f"at most the {len(self)} transitions stored for each run",
                batch_size)
        return self.sample_windows(1, batch_size, random).map(lambda value: value[0])

    def sample_windows(self, steps: int, batch_size: int, random: torch.Generator) -> Batch:
        """`steps` successive rows of one environment [steps, R, B, …], uniform over where they start.

        Windows never reach across the newest row into the oldest. They do reach across the ends of episodes: the
        end flags of a row say that the rows behind it belong to another episode.
        Errors: ValueError for a window longer than what is stored.
        """
        require_count("steps", steps)
        require_count("batch_size", batch_size)
        require(steps <= self.stored, "steps", f"at most the {self.stored} rows that are stored", steps)
        starts = (self.stored - steps + 1) * self.environments
        pick = torch.randint(starts, (self.runs, batch_size), generator=random).to(self._fields["reward"].device)
        row = (self._oldest + pick.div(self.environments, rounding_mode="floor")) % self.capacity
        return self.windows_at(row * self.environments + pick % self.environments, steps)

    def windows_at(self, place: Tensor, steps: int = 1) -> Batch:
        """`steps` successive rows [steps, R, B, …] from given places [R, B] on: for draws that are not uniform.

        A place (int64) is row · N + environment: the same transition until the ring writes over it.
        Errors: ValueError for a window that reaches beyond what is stored, or across the newest row.
        """
        require_count("steps", steps)
        require_shape("place", place, (self.runs, "B"))
        first = place.div(self.environments, rounding_mode="floor")
        age = (first - self._oldest) % self.capacity
        inside = (place >= 0) & (first < self.capacity) & (age + steps <= self.stored)
        require(bool(inside.all()), "place", f"windows of {steps} of the {self.stored} stored rows", "one beyond")
        device = self._fields["reward"].device
        row = (first + torch.arange(steps, device=device)[:, None, None]) % self.capacity
        run = torch.arange(self.runs, device=device)[:, None]
        # One flat index for all fields: a gather along one axis is several times faster than along three.
        where = ((run * self.capacity + row) * self.environments + place % self.environments).flatten()
        return Batch(**{name: ring.flatten(0, 2).index_select(0, where).unflatten(0, row.shape)
                        for name, ring in self._fields.items()})

    @property
    def _oldest(self) -> int:
        """The row written longest ago, counted modulo the capacity."""
        return self.newest + 1 - self.stored
