"""One look for every picture: colours that survive colour blindness, and quiet axes."""

import threading
from contextlib import contextmanager

import matplotlib

# Okabe and Ito (2008), "Color universal design": distinguishable with every common kind of
# colour blindness. Yellow is too pale for lines on white; use it for areas only.
PALETTE = {
    "black": "#1b1b1b",
    "blue": "#0072b2",
    "vermilion": "#d55e00",
    "green": "#009e73",
    "orange": "#e69f00",
    "sky": "#56b4e9",
    "purple": "#cc79a7",
    "yellow": "#f0e442",
    "grey": "#8a8a8a",
    "light": "#dedede",
}

# Colour is never the only difference between two lines.
LINE_STYLES = {
    "solid": "-",
    "dashed": (0, (5, 2)),
    "dotted": (0, (1.2, 1.6)),
    "dash-dot": (0, (6, 2, 1.2, 2)),
    "long": (0, (9, 3)),
}

_CYCLE = ("blue", "vermilion", "green", "purple", "orange", "sky", "black")

STYLE = {
    # White even in a dark notebook: black text on a transparent picture would vanish there.
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 100,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],       # shipped with matplotlib: the same on every machine
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "axes.edgecolor": "#555555",
    "axes.labelcolor": "#1b1b1b",
    "text.color": "#1b1b1b",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": "#1b1b1b",
    "ytick.labelcolor": "#1b1b1b",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e8e8e8",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "image.cmap": "cividis",                  # even in brightness, and safe for colour blindness
    "axes.prop_cycle": matplotlib.cycler(color=[PALETTE[name] for name in _CYCLE]),
}


def use_style() -> dict:
    """Give every later figure of this process the course's look; returns the settings used."""
    matplotlib.rcParams.update(STYLE)
    return dict(STYLE)


# Callbacks of widgets run in a thread beside the notebook's cells (JupyterLab 4.4 with ipykernel 7),
# matplotlib's settings belong to the whole process, and its text layout expects one thread.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def style():
    """The course's look inside a `with` block, whatever the process uses elsewhere.

    Only one thread at a time is inside: draw there.
    """
    with _ONE_AT_A_TIME, matplotlib.rc_context(STYLE):
        yield
