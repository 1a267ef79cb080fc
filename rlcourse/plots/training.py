"""Live pictures of training, for `watch`."""

from collections.abc import Callable

import numpy as np

from .style import PALETTE


def losses(title: str, ylabel: str = "loss") -> tuple[Callable, Callable]:
    """(setup, update) for snapshots with `.curve`, a list of (step, loss [R]).

    One thin line for each run and a thick one for their mean.
    """
    def setup(figure, snapshot) -> dict:
        axes = figure.subplots()
        axes.set(title=title, xlabel="update", ylabel=ylabel)
        empty = np.empty((0, len(snapshot.curve[0][1])))
        runs = axes.plot(empty, empty, color=PALETTE["sky"], linewidth=0.8, alpha=0.7)
        mean, = axes.plot([], [], color=PALETTE["blue"])
        return {"axes": axes, "runs": runs, "mean": mean}

    def update(artists, snapshot) -> list:
        steps = [step for step, _ in snapshot.curve]
        table = np.array([loss.numpy() for _, loss in snapshot.curve])
        for line, column in zip(artists["runs"], table.T):
            line.set_data(steps, column)
        artists["mean"].set_data(steps, table.mean(1))
        # The first tenth is often so high that nothing else could be seen.
        later = table[len(table) // 10:]
        margin = 0.05 * (later.max() - later.min()) + 1e-9
        artists["axes"].set(xlim=(0, steps[-1]), ylim=(later.min() - margin, later.max() + margin))
        return [*artists["runs"], artists["mean"]]

    return setup, update
