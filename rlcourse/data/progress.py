"""What training has reached so far: the returns of the episodes that end on the way."""

import torch
from torch import Tensor

from ..core.batch import Batch


class EpisodeReturns:
    """Running sums of reward over rollouts that do not stop at the ends of episodes.

    `latest` [R] is the mean return of the episodes that ended in the last rollout in which any did (NaN before
    the first). Undiscounted: what the learner is judged by, not what it maximises.
    """

    def __init__(self, runs: int, environments: int, dtype: torch.dtype = torch.float32):
        self._running = torch.zeros(runs, environments, dtype=dtype)
        self.latest = torch.full((runs,), torch.nan, dtype=dtype)

    def add(self, batch: Batch) -> Tensor:
        """Take in the next rollout [T, R, N]; returns `latest` [R], a new tensor each time."""
        ended = (batch.terminated | batch.truncated).to(self._running.dtype).cpu()
        sums = []
        for reward, goes_on in zip(batch.reward.cpu().to(self._running.dtype), 1 - ended):
            sums.append(self._running + reward)
            self._running = sums[-1] * goes_on
        total = (torch.stack(sums) * ended).sum((0, 2))
        episodes = ended.sum((0, 2))
        self.latest = torch.where(episodes > 0, total / episodes.clamp(min=1), self.latest)
        return self.latest
