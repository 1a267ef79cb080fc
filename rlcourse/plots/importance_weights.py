"""The picture of the importance-weights widget: the cloud of weights, what is left, the gradient's error."""

import numpy as np

from .style import LINE_STYLES, PALETTE

WEIGHT_TICKS = {-30: "10⁻³⁰", -10: "10⁻¹⁰", -3: "0.001", -1: "0.1", 0: "1", 1: "10", 3: "1000"}
LEFT_TICKS = {1.0: "100 %", 0.1: "10 %", 1e-2: "1 %", 1e-3: "0.1 %", 1e-4: "0.01 %"}
ERROR_TICKS = {0.01: "1 %", 0.1: "10 %", 1.0: "100 %", 10.0: "10 ×", 100.0: "100 ×"}
SPREAD = 0.8  # how far the dots of single ratios are spread over their step


def setup(figure, frame) -> dict:
    """Build the three panels with limits that fit every setting; returns the artists."""
    panels, longest = figure.subplots(1, 3), len(frame.left) - 1
    artists = {**_cloud(panels[0]), **_left(panels[1]), **_error(panels[2])}
    for axes in panels:
        axes.set(xlim=(0, 1.02 * longest), xlabel="step t")
        axes.minorticks_off()
    panels[2].set_xlabel("horizon T")
    free = ((0.25, 0.86), (0.0, 0.77), (0.19, 1.0))  # the part of each panel that holds no text
    dashes = {"color": PALETTE["grey"], "linestyle": LINE_STYLES["dashed"], "linewidth": 1}
    artists["horizon"] = [axes.axvline(0, low, high, **dashes) for axes, (low, high) in zip(panels, free)]
    return artists


def _cloud(axes):
    # Linear between a tenth and ten, by orders of magnitude beyond: a cloud of every width fits.
    axes.set_yscale("symlog", linthresh=1.0, linscale=0.7)
    axes.set(title="Weights, episode by episode", ylim=(-600, 60), ylabel="weight w (ends compressed)")
    axes.set_yticks(list(WEIGHT_TICKS), list(WEIGHT_TICKS.values()))
    paths, = axes.plot([], [], color=PALETTE["sky"], linewidth=0.6, alpha=0.6, markersize=1.6,
                      label="single episodes")
    expected = axes.axhline(0, color=PALETTE["black"], linestyle=LINE_STYLES["dotted"], linewidth=1.4,
                            label="expectation: 1")
    mean, = axes.plot([], [], color=PALETTE["vermilion"], linestyle=LINE_STYLES["dashed"], linewidth=2,
                      label="mean of all n")
    heaviest, = axes.plot([], [], color=PALETTE["blue"], linewidth=1.4, label="the heaviest at T")
    axes.legend(handles=(paths, expected, mean, heaviest), loc="lower left")
    reading = axes.text(0.03, 0.98, "", transform=axes.transAxes, va="top")
    return {"paths": paths, "mean": mean, "heaviest": heaviest, "share": reading}


def _left(axes):
    axes.set(title="Effective sample size, share of n", yscale="log", ylim=(4e-5, 60))
    axes.set_yticks(list(LEFT_TICKS), list(LEFT_TICKS.values()))
    one, = axes.plot([], [], color=PALETTE["grey"], linestyle=LINE_STYLES["dotted"], label="one episode of n")
    exact, = axes.plot([], [], color=PALETTE["black"], linestyle=LINE_STYLES["dashed"], zorder=3,
                       label="exact: 1 / E w²")
    left, = axes.plot([], [], color=PALETTE["blue"], label="sampled")
    here, = axes.plot([], [], "o", color=PALETTE["blue"], markersize=7)
    axes.legend(handles=(left, exact, one), loc="upper right", bbox_to_anchor=(1, 0.95))
    reading = axes.text(0.97, 0.98, "", transform=axes.transAxes, va="top", ha="right")
    return {"one": one, "exact": exact, "left": left, "left here": here, "left reading": reading}


def _error(axes):
    axes.set(title="Error of the gradient, relative", yscale="log", ylim=(4e-4, 300))
    axes.set_yticks(list(ERROR_TICKS), list(ERROR_TICKS.values()))
    product, = axes.plot([], [], color=PALETTE["purple"], label="products of ratios")
    single, = axes.plot([], [], color=PALETTE["green"], linestyle=LINE_STYLES["dash-dot"], label="single ratios")
    bias, = axes.plot([], [], color=PALETTE["green"], linestyle=LINE_STYLES["dotted"], label="their bias, n = ∞")
    axes.legend(handles=(product, single, bias), loc="lower right")
    return {"product": product, "single": single, "bias": bias}


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    steps = np.arange(len(frame.left))
    product = frame.weights.startswith("product")
    # All paths as one line with gaps: one line is drawn much faster than sixty.
    count = frame.paths.shape[1]
    times = np.repeat(np.append(steps, np.nan)[:, None], count, 1)
    if not product:
        times = times + SPREAD * (np.arange(count) / count - 0.5)
    heights = np.vstack([frame.paths, np.full((1, count), np.nan)])
    artists["paths"].set_data(times.T.ravel(), heights.T.ravel())
    artists["paths"].set(linestyle="-" if product else "none", marker="" if product else ".")
    artists["mean"].set_data(steps, frame.sample_mean)
    artists["heaviest"].set_data(*((steps, frame.heaviest) if product else ([], [])))
    artists["share"].set_text(f"heaviest {frame.top_count} of {frame.episodes}:\n"
                              f"{100 * frame.top_share[frame.horizon]:.3g} % of the weight")
    artists["one"].set_data(steps[[0, -1]], [1 / frame.episodes] * 2)
    artists["exact"].set_data(steps, frame.left_exact)
    artists["left"].set_data(steps, frame.left)
    here = frame.left[frame.horizon]
    artists["left here"].set_data([frame.horizon], [here])
    artists["left reading"].set_text(f"T = {frame.horizon}: {count_of(here * frame.episodes)} of {frame.episodes}")
    for name in ("product", "single"):
        artists[name].set_data(steps[1:], getattr(frame, f"{name}_error"))
    # Without a distance there is no bias, and a logarithm has no place for it.
    shown = frame.single_bias > 1e-6
    artists["bias"].set_data(steps[1:][shown], frame.single_bias[shown])
    for line in artists["horizon"]:
        line.set_xdata([frame.horizon, frame.horizon])
    return [artist for name, artist in artists.items() if name != "horizon"] + artists["horizon"]


def count_of(number: float) -> str:
    """A number of episodes, to three digits or to the whole."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
