"""The picture of the gradient-cloud widget: estimates around the exact arrow, and how far each kind scatters."""

import numpy as np
from matplotlib.patches import Patch

from .style import LINE_STYLES, PALETTE

REACH = 5.0  # half the width of the cloud's window, in lengths of the exact gradient
NAMES = ("total return", "reward-to-go", "to-go − batch average", "to-go − leave-one-out", "to-go − V(s)",
         "exact advantage")
LEAST, MOST = 0.006, 25.0  # ends of the logarithmic axis; beyond 10 stand the numbers
ABOVE_GRID = 0.6  # the order of the areas: over the grid (0.5), under the lines (2)
SMALLEST_BIAS = 1e-9  # below it is rounding


def setup(figure, frame) -> dict:
    """Build the two panels with limits that fit every setting; returns the artists."""
    cloud, bars = figure.subplots(1, 2, width_ratios=(1.18, 1))
    return {**_cloud_panel(cloud), **_spread_panel(bars)}


def _cloud_panel(axes):
    axes.set(title="400 estimates, in units of |∇J|", xlim=(-REACH, REACH), ylim=(-REACH, REACH),
             xlabel="∂J / ∂ logit of “work” in room 0", ylabel="∂J / ∂ logit of “work” in room 1", aspect="equal")
    axes.set(xticks=range(-4, 5, 2), yticks=range(-4, 5, 2))
    downhill, = axes.fill([0, 0, 0], [0, 0, 0], color=PALETTE["light"], alpha=0.6, linewidth=0, zorder=ABOVE_GRID)
    estimates, = axes.plot([], [], "o", color=PALETTE["sky"], markersize=3, markeredgewidth=0, alpha=0.65,
                           label="estimate")
    outline, = axes.plot([], [], color=PALETTE["blue"], linestyle=LINE_STYLES["dashed"],
                         label="1 standard deviation")
    arrow, = axes.plot([], [], color=PALETTE["vermilion"], linewidth=2.4, solid_capstyle="round",
                       label="exact ∇J")
    head, = axes.fill([0, 0, 0], [0, 0, 0], color=PALETTE["vermilion"], linewidth=0, zorder=3)
    mean, = axes.plot([], [], "x", color=PALETTE["black"], markersize=7, markeredgewidth=1.8, zorder=4,
                      label="mean of the estimate")
    away = Patch(facecolor=PALETTE["light"], alpha=0.6, label="downhill")
    axes.legend(handles=(estimates, away, outline, arrow, mean), loc="lower right", frameon=True, framealpha=0.85,
                edgecolor="none", borderpad=0.3, labelspacing=0.3)
    reading = axes.text(0.03, 0.975, "", transform=axes.transAxes, va="top",
                        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "alpha": 0.85, "linewidth": 0})
    return {"downhill": downhill, "estimates": estimates, "outline": outline, "arrow": arrow, "head": head,
            "mean": mean, "reading": reading}


def _spread_panel(axes):
    rows = np.arange(len(NAMES))
    axes.set(title="Exact, all six at this N and T", xscale="log", xlim=(LEAST, MOST),
             xlabel="in units of |∇J|", ylim=(len(NAMES) + 0.3, -0.6))
    axes.set_xticks((0.01, 0.03, 0.1, 0.3, 1, 3, 10), ("0.01", "0.03", "0.1", "0.3", "1", "3", "10"))
    axes.minorticks_off()
    axes.set_yticks(rows, NAMES)
    axes.axvline(1, ymin=0.13, color=PALETTE["grey"], linestyle=LINE_STYLES["dotted"], linewidth=1.2)
    band, = axes.fill([LEAST, MOST, MOST, LEAST], [0, 0, 1, 1], color=PALETTE["yellow"], alpha=0.35,
                      linewidth=0, zorder=ABOVE_GRID)
    spread, = axes.plot([], [], "o", color=PALETTE["blue"], markersize=8,
                        label="standard deviation (and in numbers)")
    bias, = axes.plot([], [], "D", color=PALETTE["black"], markersize=6, label="bias (no diamond: unbiased)")
    numbers = [axes.text(0.98, row, "", ha="right", va="center", transform=axes.get_yaxis_transform())
               for row in rows]
    axes.legend(handles=(spread, bias), loc="lower left", borderpad=0.1)
    return {"band": band, "spread": spread, "bias": bias, "numbers": numbers}


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    along = frame.exact
    across = np.array([-along[1], along[0]])
    corners = np.array([across, across - along, -across - along, -across])
    artists["downhill"].set_xy(3 * REACH * corners)
    artists["estimates"].set_data(*frame.estimates.T)
    artists["outline"].set_data(*frame.outline.T)
    artists["arrow"].set_data(*np.stack([0 * along, 0.75 * along]).T)
    artists["head"].set_xy(np.array([along, 0.6 * along + 0.19 * across, 0.6 * along - 0.19 * across]))
    artists["mean"].set_data(*frame.mean[:, None])
    outside = int((np.abs(frame.estimates) > REACH).any(1).sum())
    artists["reading"].set_text(f"uphill: {round(frame.uphill * len(frame.estimates))} of {len(frame.estimates)}"
                                + (f"\nnot shown, too far: {outside}" if outside else ""))
    row = frame.chosen
    low, high = row - 0.48, row + 0.48
    artists["band"].set_xy(np.array([[LEAST, low], [MOST, low], [MOST, high], [LEAST, high]]))
    rows = np.arange(len(frame.spread))
    artists["spread"].set_data(frame.spread, rows)
    biased = frame.bias > SMALLEST_BIAS
    artists["bias"].set_data(frame.bias[biased], rows[biased])
    for text, value in zip(artists["numbers"], frame.spread):
        text.set_text(f"{value:.3f}")
    return [*artists["numbers"], *(artist for name, artist in artists.items() if name != "numbers")]
