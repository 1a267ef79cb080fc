"""Fitted Q-iteration: regress on the targets of a fixed batch, again and again.

    repeat: yᵢ ← rᵢ + γ (1 − terminatedᵢ) maxₐ Q(s'ᵢ, a) for all i;   Q ← argmin Σᵢ (Q(sᵢ, aᵢ) − yᵢ)²

Outer loop: new targets, `iterations` times. Inner loop: a regression on targets that stand still. With a table it is
value iteration in the model that the batch's counts make, and contracts, as with any fit that averages targets (Gordon
1995); with other features or a network nothing guarantees it. Nobody acts here: the batch may come from anywhere.
Ernst, Geurts, Wehenkel 2005, "Tree-based batch mode reinforcement learning"; with networks Riedmiller 2005,
"Neural fitted Q iteration". Told in lectures/05a_q_learning, sections Q1 and Q2.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.check import require, require_count, require_shape, require_unit_interval
from ..core.runs import socket
from ..core.seeding import generator
from ..equations import td
from ..nets.optim import Adam, descend
from ..nets.q_values import DiscreteQNet


@dataclass(frozen=True)
class Config:
    """Values for problems of some dozens of states. The last three are for networks alone."""

    iterations: int = 50  # of the outer loop: the targets look one step further with each
    discount: float = 0.99
    updates: int = 100  # of the inner loop: Adam's steps on the targets of one iteration
    batch_size: int = 128  # transitions of each run in an update, drawn with replacement
    learning_rate: float = 3e-3

    def __post_init__(self):
        for name in ("iterations", "updates", "batch_size"):
            require_count(name, getattr(self, name))
        require_unit_interval("discount", self.discount)
        require(self.learning_rate > 0, "learning_rate", "a positive number", self.learning_rate)


class LinearQ:
    """Q(s, a) = φ(s, a)·w for R runs and finitely many states: obs [R, B] (int64) → [R, B, A].

    `features` [S, A, K] holds φ and is the same for all runs; `weights` [R, K] is w, and is replaced by each
    regression. A table is `LinearQ(pair_features(S, A), torch.zeros(R, S * A, dtype=torch.float64))`.
    """

    def __init__(self, features: Tensor, weights: Tensor):
        require_shape("features", features, ("S", "A", "K"))
        require_shape("weights", weights, ("R", features.shape[-1]))
        self.features, self.weights = features, weights

    @property
    def runs(self) -> int:
        """R, the number of independent runs."""
        return self.weights.shape[0]

    @property
    def actions(self) -> int:
        """A, the number of actions."""
        return self.features.shape[1]

    @property
    def q_values(self) -> Tensor:
        """The values of all pairs [R, S, A]."""
        return torch.einsum("iak,rk->ria", self.features, self.weights)

    def __call__(self, obs: Tensor) -> Tensor:
        """The values [R, B, A]."""
        return self.q_values[torch.arange(self.runs)[:, None], obs]


def pair_features(num_states: int, num_actions: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """One feature for each pair, φ(s, a) = 1 at s·A + a: [S, A, S·A]. Linear in them is a table."""
    require_count("num_states", num_states)
    require_count("num_actions", num_actions)
    pairs = num_states * num_actions
    return torch.eye(pairs, dtype=dtype).view(num_states, num_actions, pairs)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """After iteration `step`: `loss` [R], the mean of (Q(s, a) − y)² over the batch, and the critic, which is live."""

    step: int
    loss: Tensor
    critic: LinearQ | DiscreteQNet


def train(batch: Batch, critic: LinearQ | DiscreteQNet, config: Config = Config(), *, seed: int = 0,
          q_target: Callable = td.q_target) -> Iterator[Snapshot]:
    """Fit R critics to R batches [R, B, …] (`core.runs.samples_by_run` of rollouts); a Snapshot for each iteration.

    A `LinearQ` is fitted exactly: of all minimising w the one nearest to the present w, which is where gradient
    descent would end too. A pair that is not in the batch thus keeps its value in a table, and where that is
    larger than the other values of its state the maximum will choose it. A network takes `updates` steps of Adam,
    whose momentum stays from one iteration to the next; `seed` is for its minibatches.
    Errors: ValueError on runs, actions or padding that do not fit, before the first regression;
    FloatingPointError when a loss is no longer finite.
    """
    require_shape("batch", batch.reward, (critic.runs, "B"))
    require(batch.valid is None or bool(batch.valid.all()), "batch", "transitions without padding", "a mask `valid`")
    require(batch.action.dtype == torch.int64 and batch.action.shape == batch.reward.shape, "batch",
            "actions as int64 of the shape of reward", f"{batch.action.dtype}, {list(batch.action.shape)}")
    require(0 <= int(batch.action.min()) and int(batch.action.max()) < critic.actions, "batch",
            f"actions from 0 to {critic.actions - 1}", f"{int(batch.action.min())} to {int(batch.action.max())}")
    if isinstance(critic, LinearQ):
        states = critic.features.shape[0]
        for name, obs in (("batch.obs", batch.obs), ("batch.next_obs", batch.next_obs)):
            require(obs.dtype == torch.int64 and 0 <= int(obs.min()) and int(obs.max()) < states, name,
                    f"states' indices from 0 to {states - 1}, int64", f"{obs.dtype}, {obs.min()} to {obs.max()}")
    return _iterations(batch, critic, config, seed, socket("q_target", q_target, td.q_target, 0))


def _iterations(batch, critic, config, seed, q_target):
    fit = _least_squares(batch, critic) if isinstance(critic, LinearQ) else _adam(batch, critic, config, seed)
    for step in range(1, config.iterations + 1):
        with torch.no_grad():
            next_q_values = critic(batch.next_obs)
            target = q_target(batch.reward.to(next_q_values.dtype), next_q_values, batch.terminated,
                              discount=config.discount)
        fit(target)
        with torch.no_grad():
            loss = (td.taken_q(critic(batch.obs), batch.action) - target).square().mean(-1)
        if not bool(torch.isfinite(loss).all()):
            bad = torch.where(~torch.isfinite(loss))[0].tolist()
            raise FloatingPointError(f"loss: not finite at iteration {step} in runs {bad}")
        yield Snapshot(step, loss, critic)


def _least_squares(batch: Batch, critic: LinearQ) -> Callable[[Tensor], None]:
    """The regression of a linear critic: all it needs of a batch is how often each pair is there, and with what sum.

    Σᵢ (φᵢ·w − yᵢ)² is Σ over pairs of n(s, a) (φ(s, a)·w − mean y)² plus a constant: weighted least squares on the
    S·A pairs, whatever the size of the batch. The pseudo-inverse [R, K, S·A] is the same in all iterations.
    """
    features = critic.features.flatten(0, 1)
    pair = batch.obs * critic.actions + batch.action

    def total(value: Tensor) -> Tensor:
        """The sum of a quantity [R, B] over the transitions of each pair: [R, S·A]."""
        return torch.zeros(critic.runs, len(features), dtype=features.dtype).scatter_add_(1, pair, value)

    count = total(torch.ones_like(pair, dtype=features.dtype))
    inverse = torch.linalg.pinv(count.sqrt().unsqueeze(-1) * features)

    def fit(target: Tensor) -> None:
        error = total(target) - count * critic.q_values.flatten(1)
        per_root = error / count.sqrt().clamp(min=1.0)  # a pair that is not there has no error
        critic.weights = critic.weights + torch.einsum("rkp,rp->rk", inverse, per_root)

    return fit


def _adam(batch: Batch, critic: DiscreteQNet, config: Config, seed: int) -> Callable[[Tensor], None]:
    """The regression of a network on targets that stand still."""
    optimiser, random = Adam(critic.parameters(), config.learning_rate), generator(seed, "fitted q minibatches")
    run = torch.arange(critic.runs)[:, None]

    def fit(target: Tensor) -> None:
        for _ in range(config.updates):
            pick = torch.randint(target.shape[1], (critic.runs, config.batch_size), generator=random)
            q = td.taken_q(critic(batch.obs[run, pick]), batch.action[run, pick])
            descend(optimiser, td.td_loss(q, target[run, pick], threshold=float("inf")))

    return fit
