"""The first line of every notebook."""

import numpy as np
import torch

from rlcourse.plots.style import use_style
from rlcourse.widgets.app.device import show_toggle
from rlcourse.widgets.app.figures import round_shown_floats, show_figures_as_png


def start() -> None:
    """Prepare this notebook: one thread, the course's plot style, short numbers, the device toggle.

    One thread because small networks run slower on several, and several times slower on a busy
    machine; it also makes float64 results the same everywhere. No seed is set: randomness comes in
    through arguments. Importing this module changes nothing; calling it changes this process only.
    """
    torch.set_num_threads(1)
    torch.set_printoptions(precision=4, sci_mode=False)
    np.set_printoptions(precision=4, suppress=True)
    use_style()
    show_figures_as_png()
    round_shown_floats()
    show_toggle()
