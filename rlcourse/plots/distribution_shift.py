"""The picture of the distribution-shift widget: two densities, their distance, the cost."""

import numpy as np
from matplotlib.colors import PowerNorm

from .style import LINE_STYLES, PALETTE


def setup(figure, frame) -> dict:
    """Build the four panels with limits that fit every setting; returns the artists."""
    half_width, longest = frame.data_density.shape[1] // 2, len(frame.shift) - 1
    panels = figure.subplots(2, 2, width_ratios=(1.15, 1))
    titles = {"data": "Where the data are (orange: places they show)",
              "learner": "Where the imitator is, and eight of its drives"}
    artists = {name: _density(figure, axes, title, half_width, longest)
               for (name, title), axes in zip(titles.items(), panels[:, 0])}
    artists["drives"], = panels[1, 0].plot([], [], color="white", linewidth=0.7, alpha=0.7)
    artists["places"] = [place_names(axes, half_width) for axes in panels[:, 0]]
    artists["covered"], = panels[0, 0].plot([], [], "s", color=PALETTE["orange"], markersize=6)
    artists.update(_shift_panel(panels[0, 1], longest))
    artists.update(_cost_panel(panels[1, 1], len(frame.cost)))
    artists["horizon"] = [axes.axvline(0, color=colour, linestyle=LINE_STYLES["dashed"], linewidth=1)
                          for axes, colour in ((panels[0, 0], "white"), (panels[1, 0], "white"),
                                               (panels[0, 1], PALETTE["grey"]))]
    return artists


def _density(figure, axes, title, half_width, longest):
    image = axes.imshow(np.zeros((2 * half_width + 1, longest + 1)), origin="lower", aspect="auto",
                        extent=(-0.5, longest + 0.5, -half_width - 0.5, half_width + 0.5),
                        norm=PowerNorm(0.4, 0.0, 1.0), interpolation="nearest")
    axes.set(title=title, xlabel="step t")
    axes.grid(False)
    bar = figure.colorbar(image, ax=axes, ticks=(0, 0.01, 0.1, 0.5, 1), pad=0.02)
    bar.set_ticklabels(("0", ".01", ".1", ".5", "1"))
    bar.set_label("probability")
    return image


def paint(image, values: np.ndarray) -> None:
    """Give an image its new colours, one a cell: matplotlib would colour every pixel, ten times as many."""
    image.set_data(image.cmap(image.norm(values), bytes=True))


def place_names(axes, half_width) -> list:
    """Three empty labels beside the axis, at its bottom, middle and top: they change with the world.

    They take no part in the layout, which must not move; invisible tick labels keep their place free.
    """
    ends = (-half_width, 0, half_width)
    axes.set_yticks(ends, ("fallen",) * 3, alpha=0)
    return [axes.text(-0.02, y, "", transform=axes.get_yaxis_transform(), ha="right", va="center",
                      fontsize=9, in_layout=False) for y in ends]


def _shift_panel(axes, longest):
    axes.set(title="Distance of the imitator from the expert", xlabel="step t", ylabel="total variation",
             xlim=(0, longest), ylim=(0, 1.3), yticks=(0, 0.25, 0.5, 0.75, 1))
    bound, = axes.plot([], [], color=PALETTE["vermilion"], linestyle=LINE_STYLES["dotted"], label="bound εt")
    shift, = axes.plot([], [], color=PALETTE["blue"], label="exact")
    axes.legend(handles=(bound, shift), loc="upper left", ncols=2)
    return {"shift": shift, "shift_bound": bound}


def _cost_panel(axes, longest):
    axes.set(title="Expected mistakes up to the horizon", xlabel="horizon T", ylabel="mistakes",
             xscale="log", yscale="log", xlim=(1, longest), ylim=(1e-3, 1e3))
    axes.set_xticks((1, 5, 10, 50, 100, 400), ("1", "5", "10", "50", "100", "400"))
    axes.minorticks_off()
    worst, = axes.plot([], [], color=PALETTE["vermilion"], linestyle=LINE_STYLES["dotted"],
                       label="nothing recovered (A)", zorder=3)
    quadratic, = axes.plot([], [], color=PALETTE["grey"], linestyle=LINE_STYLES["dash-dot"], linewidth=1.2,
                           label="εT(T+1)/2 (B): slope 2")
    promised, = axes.plot([], [], color=PALETTE["green"], linestyle=LINE_STYLES["dashed"], label="εT: slope 1")
    cost, = axes.plot([], [], color=PALETTE["blue"], label="exact")
    here, = axes.plot([], [], "o", color=PALETTE["blue"], markersize=7)
    reading = axes.text(0.03, 0.95, "", transform=axes.transAxes, va="top")
    _legend(axes, (quadratic, worst, cost, promised), "lower right")
    return {"quadratic": quadratic, "worst": worst, "promised": promised, "cost": cost, "here": here,
            "reading": reading}


def _legend(axes, handles, place):
    axes.legend(handles=handles, loc=place, frameon=True, framealpha=0.85, edgecolor="none")


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    times, horizons = np.arange(len(frame.shift)), np.arange(1, len(frame.cost) + 1)
    paint(artists["data"], frame.data_density.T)
    paint(artists["learner"], frame.learner_density.T)
    shown = np.flatnonzero(frame.covered) - len(frame.covered) // 2
    artists["covered"].set_data(np.full(len(shown), 0.98 * times[-1]), shown)
    # All drives as one line with gaps: one line is drawn much faster than eight.
    gap = np.full((1, frame.drives.shape[1]), np.nan)
    offsets = np.vstack([frame.drives, gap]).T.ravel()
    artists["drives"].set_data(np.tile(np.append(times, np.nan), frame.drives.shape[1]), offsets)
    for line in artists["horizon"]:
        line.set_xdata([frame.horizon, frame.horizon])
    artists["shift"].set_data(times, frame.shift)
    artists["shift_bound"].set_data(times, frame.shift_bound)
    for name in ("cost", "promised", "quadratic", "worst"):
        artists[name].set_data(horizons, getattr(frame, name))
    artists["here"].set_data([frame.horizon], [frame.cost_here])
    artists["reading"].set_text(_reading(frame))
    labels = [label for panel in artists["places"] for label in panel]
    for label, name in zip(labels, 2 * frame.places):
        label.set_text(name)
    moved = list(labels)
    for name, artist in artists.items():
        if name != "places":
            moved += artist if isinstance(artist, list) else [artist]
    return moved


def _reading(frame) -> str:
    if frame.cost_here == 0:
        return "no mistakes"
    return f"T = {frame.horizon}: {frame.cost_here:.3g} mistakes\n2T: × {frame.doubling:.2f}"
