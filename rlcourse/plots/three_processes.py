"""The picture of the three-processes widget: the error, one value with its target, and the exact growth."""

import numpy as np

from .style import LINE_STYLES, PALETTE

STEPS, PERIODS = 1024, (1, 4, 16, 64, 256)
LEAST, MOST = 1e-2, 1e4  # of the error
LOW, HIGH = -6.0, 16.0  # of values
SLOWEST, FASTEST = 1e-3, 1e4  # of the growth


def setup(figure, frame) -> dict:
    """Build the three panels with limits that fit every setting; returns the artists."""
    error, value, growth = figure.subplots(1, 3, width_ratios=(1.05, 1, 1))
    return {**_error(error, len(frame.error)), **_value(value), **_growth(growth)}


def _error(axes, runs):
    axes.set(title="Error against Q*, eight runs", yscale="log", xlim=(0, STEPS), ylim=(LEAST, 10 * MOST),
             xlabel="regression steps", ylabel="root mean square error of Q")
    axes.set_yticks([0.01, 0.1, 1, 10, 100, 1000, 10_000], ["≤ 0.01", "0.1", "1", "10", "100", "1000", "≥ 10⁴"])
    axes.set_xticks((0, 256, 512, 768, 1024))
    lines = [axes.plot([], [], color=PALETTE["sky"], linewidth=1)[0] for _ in range(runs)]
    median, = axes.plot([], [], color=PALETTE["blue"], linewidth=2.2, label="median")
    lines[0].set_label("single runs")
    axes.legend(handles=(lines[0], median), loc="upper left", ncols=2, borderaxespad=0.2)
    return {"runs": lines, "median": median}


def _value(axes):
    axes.set(title="Run 1: right room, going right", xlim=(0, STEPS), ylim=(LOW, HIGH + 6), xlabel="regression steps",
             ylabel="value")
    axes.set_xticks((0, 256, 512, 768, 1024))
    axes.set_yticks((LOW, 0, 5, 10, HIGH), ("≤ −6", "0", "5", "10", "≥ 16"))
    best, = axes.plot([], [], color=PALETTE["black"], linestyle=LINE_STYLES["dotted"], label="Q*")
    target, = axes.plot([], [], color=PALETTE["vermilion"], drawstyle="steps-post", label="target r + γ max Q′")
    estimate, = axes.plot([], [], color=PALETTE["blue"], label="Q, which regresses")
    axes.legend(loc="upper left", borderaxespad=0.2, labelspacing=0.3)
    return {"best": best, "target": target, "estimate": estimate}


def _growth(axes):
    axes.set(title="Near Q*: error × in 100 steps", xscale="log", yscale="log", xlim=(0.75, 340),
             ylim=(SLOWEST, FASTEST), xlabel="target copied every … steps")
    axes.set_xticks(PERIODS, [str(period) for period in PERIODS])
    axes.set_yticks([0.001, 0.01, 0.1, 1, 10, 100, 1000, 10_000],
                    ["0.001", "0.01", "0.1", "1", "10", "100", "1000", "10⁴"])
    axes.minorticks_off()
    axes.axhspan(1, FASTEST, color=PALETTE["light"], alpha=0.5, linewidth=0)
    axes.text(0.97, 0.66, "grows", transform=axes.transAxes, ha="right", va="top")
    axes.text(0.97, 0.30, "shrinks", transform=axes.transAxes, ha="right", va="top")
    curve, = axes.plot([], [], color=PALETTE["purple"], marker=".", linestyle=LINE_STYLES["long"])
    here, = axes.plot([], [], "o", color=PALETTE["black"], markersize=10, fillstyle="none", markeredgewidth=1.4)
    reading = axes.text(0.97, 0.985, "", transform=axes.transAxes, va="top", ha="right")
    return {"growth": curve, "here": here, "reading": reading}


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved. What leaves the axes runs along their edge."""
    for line, error in zip(artists["runs"], frame.error):
        line.set_data(frame.times, np.clip(error, LEAST, MOST))
    artists["median"].set_data(frame.times, np.clip(np.median(frame.error, 0), LEAST, MOST))
    artists["best"].set_data([0, STEPS], [frame.best] * 2)
    artists["target"].set_data(frame.times, np.clip(frame.target, LOW, HIGH))
    artists["estimate"].set_data(frame.times, np.clip(frame.estimate, LOW, HIGH))
    growth = np.clip(frame.growth, SLOWEST, FASTEST)
    artists["growth"].set_data(PERIODS, growth)
    at = PERIODS.index(frame.period)
    artists["here"].set_data([frame.period], [growth[at]])
    artists["reading"].set_text(f"here × {frame.growth[at]:.3g}")
    single = [artist for artist in artists.values() if not isinstance(artist, list)]
    return [*artists["runs"], *single]
