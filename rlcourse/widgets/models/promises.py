"""What the promises widget shows: what critics said at a step of their training, beside what their policies earned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.check import require
from .controls import Choice, Slider


@dataclass(frozen=True, eq=False)
class Frame:
    """One training at one step. All values are discounted returns; R runs, K looks."""

    training: str
    step: int
    steps: np.ndarray  # [K] environment steps of each run
    said: np.ndarray  # [K, R]
    earned: np.ndarray  # [K, R]
    at: int  # the look that is shown
    most: float  # no policy earns more
    limits: tuple[float, float]  # of the axis of values, for all trainings


def checked(records: Mapping[str, Sequence[tuple]]) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """{training: (steps [K], said [K, R], earned [K, R])} of records {training: [(step, said [R], earned [R]), …]}.

    Errors: ValueError for no training, fewer than two looks, other steps or runs than in the first, or what is not
    finite.
    """
    require(len(records) >= 2, "records", "at least two trainings", len(records))
    tables = {name: tuple(np.asarray(column, dtype=float) for column in zip(*looks))
              for name, looks in records.items()}
    first = next(iter(tables.values()))
    require(len(first[0]) >= 2, "records", "at least two looks", len(first[0]))
    for name, (steps, said, earned) in tables.items():
        require(np.array_equal(steps, first[0]), f"records[{name!r}]", f"looks at the steps {first[0].tolist()}",
                steps.tolist())
        require(said.shape == earned.shape == first[1].shape, f"records[{name!r}]", f"{first[1].shape[1]} runs",
                f"{said.shape[1]} and {earned.shape[1]}")
        require(bool(np.isfinite(said).all() and np.isfinite(earned).all()), f"records[{name!r}]", "finite numbers",
                "NaN or infinity")
    return tables


def controls(records: Mapping[str, Sequence[tuple]]) -> tuple[Choice, Slider]:
    """Which training, and at which step; it starts with the first at its first look."""
    steps = tuple(int(step) for step, *_ in next(iter(records.values())))
    return (Choice("training", "training", tuple(records), next(iter(records))),
            Slider("step", "environment steps of each run", steps, steps[0], "{:,}"))


def compute_from(records: Mapping[str, Sequence[tuple]], most: float):
    """`compute(training, step) -> Frame` for these records."""
    tables = checked(records)
    highest = max(float(max(said.max(), earned.max())) for _, said, earned in tables.values())
    limits = (1.0, 1.5 * max(highest, most))

    def compute(training: str, step: int) -> Frame:
        steps, said, earned = tables[training]
        return Frame(training, step, steps, said, earned, int(np.searchsorted(steps, step)), most, limits)

    return compute
