"""The picture of the arrow-field widget: two fields of arrows with a path in each, and what the paths lose."""

import math

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap

from .style import LINE_STYLES, PALETTE

GREYS = LinearSegmentedColormap.from_list("light greys", ("#ffffff", "#dfe3e8", "#8c96a3"))
STD_TICKS = (0.01, 0.03, 0.1, 0.3, 1.0)
KINDS = {"vanilla": ("Vanilla: along ∇J", "vermilion", "dashed", "s"),
         "natural": ("Natural: along F⁻¹∇J", "blue", "solid", "o")}


def setup(figure, frame) -> dict:
    """Build the three panels with limits that fit every setting; returns the artists."""
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.16, 0.8))
    artists = {}
    for axes, (kind, (title, colour, _, marker)) in zip((left, middle), KINDS.items()):
        axes.set_title(title, zorder=0)
        artists.update(_field(axes, frame, kind, colour, marker))
    left.set_ylabel("σ (log scale)")
    middle.tick_params(labelleft=False)
    norm = BoundaryNorm((frame.levels[0] / 10 ** 0.5, *frame.levels), GREYS.N)
    bar = figure.colorbar(ScalarMappable(norm, GREYS), ax=middle, ticks=(0.01, 0.1, 1, 10, 100, 1000), pad=0.03)
    bar.set_ticklabels((".01", ".1", "1", "10", "100", "1000"))
    bar.set_label("J* − J")
    artists.update(_lost_panel(right))
    return artists


def _field(axes, frame, kind, colour, marker):
    axes.set(xlim=(-1.2, 0.02), ylim=(math.log(0.01), math.log(1.25)), xticks=(-1, -0.5, 0))
    axes.set_xlabel("gain k", loc="left")
    axes.set_yticks([math.log(std) for std in STD_TICKS], [f"{std:g}" for std in STD_TICKS])
    axes.grid(False)
    axes.set_facecolor(GREYS(1.0))
    # From the worst down, each level covers part of the one before.
    shades = GREYS(np.linspace(1, 0, len(frame.levels)))
    bands = PolyCollection([], facecolors=shades, edgecolors="white", linewidths=0.6, zorder=1)
    axes.add_collection(bands, autolim=False)
    best, = axes.plot([], [], color=PALETTE["green"], linestyle=LINE_STYLES["dotted"], linewidth=2, zorder=2)
    column, row = frame.places[..., 0], frame.places[..., 1]
    arrows = axes.quiver(column, row, np.ones_like(column), np.ones_like(column), angles="xy", pivot="middle",
                         scale_units="inches", scale=4.2, width=0.006, color="#444444", zorder=3)
    path, = axes.plot([], [], color=PALETTE[colour], linestyle="-", linewidth=1.3, marker=marker, markersize=2.6,
                      zorder=4)
    start, = axes.plot([], [], "o", color=PALETTE["black"], markerfacecolor="white", markersize=7, zorder=5)
    words = axes.text(1, -0.098, "", transform=axes.transAxes, ha="right", va="baseline", fontsize=9,
                      in_layout=False)
    name = axes.text(0, 1, "", transform=axes.get_xaxis_transform(), ha="center", va="top", zorder=6, fontsize=9,
                     color=PALETTE["green"], bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})
    return {f"{kind} {name}": artist for name, artist in
            (("bands", bands), ("best", best), ("arrows", arrows), ("path", path), ("start", start),
             ("words", words), ("name", name))}


def _lost_panel(axes):
    axes.set_title("Lost: J* − J", zorder=0)
    axes.set(xlim=(0, 41), ylim=(1e-3, 1e3), yscale="log", xlabel="steps")
    axes.minorticks_off()
    lines = {}
    for kind, (_, colour, style, _) in KINDS.items():
        lines[f"{kind} lost"], = axes.plot([], [], color=PALETTE[colour], linestyle=LINE_STYLES[style], label=kind)
    axes.legend(loc="upper right").set_zorder(1)
    return lines


def _below(frame) -> list[np.ndarray]:
    """The outlines of the parts of the plane that lie below each level line, the largest first."""
    gain, floor = frame.level_gain, math.log(0.005)
    corners = np.array([[gain[-1], floor], [gain[0], floor]])
    return [np.concatenate([np.stack([gain, line], 1), corners]) for line in frame.level_log_std[::-1]]


def update(artists: dict, frame) -> list:
    """Move every artist to a new frame; returns those that moved."""
    for kind in KINDS:
        artists[f"{kind} bands"].set_verts(_below(frame))
        artists[f"{kind} best"].set_data([frame.best_gain] * 2, [math.log(0.01), math.log(1.25)])
        leads = getattr(frame, f"{kind}_arrows")
        artists[f"{kind} arrows"].set_UVC(leads[..., 0], leads[..., 1])
        path = getattr(frame, f"{kind}_path")
        artists[f"{kind} path"].set_data(path[:, 0], path[:, 1])
        artists[f"{kind} start"].set_data(path[:1, 0], path[:1, 1])
        artists[f"{kind} words"].set_text(f"start: {getattr(frame, f'{kind}_angle'):.1f}° from the gain axis")
        artists[f"{kind} name"].set_x(frame.best_gain)
        artists[f"{kind} name"].set_text("k*")
        artists[f"{kind} lost"].set_data(np.arange(frame.steps + 1), getattr(frame, f"{kind}_lost"))
    return list(artists.values())
