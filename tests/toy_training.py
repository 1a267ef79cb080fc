"""A training that learns nothing, for the tests of what watches it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Snapshot:
    step: int
    curves: dict


def train(steps: int = 40, seconds: float = 0.01) -> Iterator[Snapshot]:
    """Yields a snapshot after each step."""
    losses = []
    for step in range(1, steps + 1):
        time.sleep(seconds)
        losses.append(1.0 / step)
        yield Snapshot(step, {"loss": np.array(losses)})


def setup(figure, snapshot):
    axes = figure.subplots()
    axes.set(xlabel="step", ylabel="loss")
    return axes, axes.plot([], [])[0]


def update(artists, snapshot):
    axes, line = artists
    line.set_data(np.arange(1, len(snapshot.curves["loss"]) + 1), snapshot.curves["loss"])
    axes.relim()
    axes.autoscale_view()
    return [line]


draw = (setup, update)
