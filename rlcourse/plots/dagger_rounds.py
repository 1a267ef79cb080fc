"""The picture of the DAgger widget: the learner's drive, data against learner, cost by round."""

import numpy as np
from matplotlib.colors import PowerNorm

from .distribution_shift import paint, place_names
from .style import LINE_STYLES, PALETTE


def setup(figure, frame) -> dict:
    """Build the three panels with limits that fit every setting; returns the artists."""
    horizon, half_width = len(frame.learner_by_step) - 1, len(frame.covered) // 2
    drive, densities, costs = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    image = drive.imshow(np.zeros((2 * half_width + 1, horizon + 1)), origin="lower", aspect="auto",
                         extent=(-0.5, horizon + 0.5, -half_width - 0.5, half_width + 0.5),
                         norm=PowerNorm(0.4, 0.0, 1.0), interpolation="nearest")
    drive.set(title="The learner (orange: labelled)", xlabel="step t")
    drive.grid(False)
    covered, = drive.plot([], [], "s", color=PALETTE["orange"], markersize=6)
    artists = {"image": image, "covered": covered, "places": place_names(drive, half_width)}
    artists.update(_density_panel(densities, half_width))
    artists.update(_cost_panel(costs, len(frame.costs) - 1))
    return artists


def _density_panel(axes, half_width):
    axes.set(title="Share of a drive spent there", xlabel="share", xscale="log", xlim=(1e-5, 30),
             ylim=(-half_width - 0.5, half_width + 0.5))
    axes.set_yticks((-half_width, 0, half_width), ("", "", ""))
    axes.set_xticks((1e-4, 1e-2, 1), ("0.0001", "0.01", "1"))
    axes.minorticks_off()
    data, = axes.plot([], [], "o-", color=PALETTE["orange"], linewidth=4, alpha=0.6, label="labels")
    learner, = axes.plot([], [], "s", linestyle=LINE_STYLES["dashed"], color=PALETTE["blue"],
                         markersize=4, label="learner")
    axes.legend(handles=(data, learner), loc="upper right", frameon=True, framealpha=0.85, edgecolor="none")
    return {"data": data, "learner": learner}


def _cost_panel(axes, rounds):
    axes.set(title="Expected mistakes in 100 steps", xlabel="rounds of DAgger", yscale="log",
             xlim=(-0.3, rounds + 0.3), ylim=(0.05, 2000))
    worst, = axes.plot([], [], color=PALETTE["vermilion"], linestyle=LINE_STYLES["dotted"],
                       label="if nothing is recovered")
    costs, = axes.plot([], [], "o-", color=PALETTE["blue"], label="exact")
    promised, = axes.plot([], [], color=PALETTE["green"], linestyle=LINE_STYLES["dashed"], label="εT")
    here, = axes.plot([], [], "o", color=PALETTE["blue"], markersize=9)
    axes.legend(handles=(worst, costs, promised), loc="upper right", frameon=True, framealpha=0.85,
                edgecolor="none")
    return {"worst": worst, "promised": promised, "costs": costs, "here": here}


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    half_width = len(frame.covered) // 2
    offsets, rounds = np.arange(-half_width, half_width + 1), np.arange(len(frame.costs))
    labelled = offsets[frame.covered]
    paint(artists["image"], frame.learner_by_step.T)
    artists["covered"].set_data(np.full(len(labelled), 0.97 * (len(frame.learner_by_step) - 1)), labelled)
    for name, density in (("data", frame.data_density), ("learner", frame.learner_density)):
        # Places that cannot be reached at all (most, on a rope) are left out, not drawn at zero.
        artists[name].set_data(np.where(density > 0, density, np.nan), offsets)
    artists["costs"].set_data(rounds, frame.costs)
    artists["here"].set_data([frame.round], [frame.costs[frame.round]])
    for name in ("worst", "promised"):
        artists[name].set_data([-1, len(rounds)], [getattr(frame, name)] * 2)
    for label, name in zip(artists["places"], frame.places):
        label.set_text(name)
    return [*artists["places"], *(artist for name, artist in artists.items() if name != "places")]
