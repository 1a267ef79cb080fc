"""Pictures of the camera car: drives on the track, and learning watched round by round."""

from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..envs.car import Car
from .figures import new_figure
from .style import LINE_STYLES, PALETTE, style


def draw_track(axes, car: Car) -> None:
    """The two edges of the road and its centre line, from above."""
    arc = torch.linspace(0, car.track_length, 400, dtype=torch.float64)
    zero = torch.zeros_like(arc)
    for offset in (-car.half_width, car.half_width):
        edge = car.position(torch.stack((arc, zero + offset, zero), -1))
        axes.plot(*edge.T, color=PALETTE["grey"], linewidth=0.8)
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_drives(axes, car: Car, states: Tensor, on_road: Tensor) -> list:
    """Drives [T, n, 3] as far as they stay on the road ([T, n], bool), with a cross where one leaves it."""
    place = car.position(states.double()).numpy()
    drawn = []
    for n in range(states.shape[1]):
        length = int(on_road[:, n].long().cumprod(0).sum())
        finished = length == on_road.shape[0]
        x, y = place[:length + 1, n].T
        drawn += axes.plot(x, y, color=PALETTE["blue" if finished else "vermilion"], linewidth=0.8, alpha=0.7,
                           linestyle="-" if finished else LINE_STYLES["dashed"])
        if not finished:
            drawn += axes.plot(x[-1:], y[-1:], "x", color=PALETTE["vermilion"], markersize=8, markeredgewidth=2)
    return drawn


def drives_picture(car: Car, drives: dict[str, tuple[Tensor, Tensor]]) -> Figure:
    """One track a policy: {name: (states [T, n, 3], on_road [T, n])}; crosses are drives that left the road."""
    with style():
        figure = new_figure((2.6 * len(drives), 2.9))
        for axes, (name, (states, on_road)) in zip(np.atleast_1d(figure.subplots(1, len(drives))), drives.items()):
            draw_track(axes, car)
            draw_drives(axes, car, states, on_road)
            axes.set_title(name)
    figure.set_label(f"Drives on the track for {', '.join(drives)}; crosses where one left the road")
    return figure


def learning_to_drive(car: Car) -> tuple[Callable, Callable]:
    """(setup, update) for `watch`: crash rate of every run by round, and the latest drives on the track.

    Works on snapshots with `.step`, `.crash_rate` [R], `.states` [T, R, N, 3], `.on_road` [T, R, N] and
    `.history`, the crash rates of all rounds so far.
    """
    def setup(figure, snapshot) -> dict:
        rates, track = figure.subplots(1, 2, width_ratios=(1.3, 1))
        rates.set(title="Drives that leave the road: eight runs and their mean", xlabel="round", ylabel="share",
                  ylim=(-0.03, 1.03))
        draw_track(track, car)
        track.set_title("two drives of every run now")
        return {"rates": rates, "track": track, "lines": []}

    def update(artists, snapshot) -> list:
        for line in artists["lines"]:
            line.remove()
        table = torch.stack(snapshot.history).numpy()
        rounds = np.arange(len(table))
        artists["lines"] = [
            *artists["rates"].plot(rounds, table, "o-", color=PALETTE["sky"], linewidth=0.8, markersize=3),
            *artists["rates"].plot(rounds, table.mean(1), "o-", color=PALETTE["blue"]),
            *draw_drives(artists["track"], car, snapshot.states[:, :, :2].flatten(1, 2),
                         snapshot.on_road[:, :, :2].flatten(1, 2))]
        artists["rates"].set_xlim(-0.3, max(len(table) - 1, 1) + 0.3)
        artists["rates"].set_xticks(range(max(len(table), 2)))
        return artists["lines"]

    return setup, update
