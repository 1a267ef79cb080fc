"""The device toggle that stands at the top of every notebook."""

import os
from html import escape

import ipywidgets as W
import torch
from IPython.display import display

from rlcourse.core.device import CHOICES, choose, chosen, remember

from . import look


class DeviceToggle(W.VBox):
    """Buttons `auto / cpu / cuda / mps` and one line saying what training will use.

    Its repr names no device: a notebook's stored output is the same on every machine.
    """

    def __init__(self):
        self.buttons = W.ToggleButtons(options=CHOICES, value=chosen(), description="Train on",
                                       style={"description_width": "64px"})
        self.buttons.disabled = bool(os.environ.get("RLCOURSE_DEVICE", "").strip())
        self.line = W.HTML(_line(self.buttons.value))
        row = W.HBox([self.buttons, self.line], layout={"align_items": "center", "flex_flow": "row wrap"})
        super().__init__([W.HTML(look.style_sheet(), layout={"display": "none"}), row])
        self.add_class("rlc-device")
        self.buttons.observe(self._changed, "value")

    def _changed(self, change) -> None:
        remember(change["new"])
        self.line.value = _line(change["new"])

    def __repr__(self) -> str:
        return "Device for training: auto, cpu, cuda or mps"


def show_toggle() -> None:
    """Display the toggle in the current cell."""
    display(DeviceToggle())


def _line(name: str) -> str:
    device = choose(name)
    title = {"cpu": "CPU", "mps": "Apple GPU"}.get(device.type) or torch.cuda.get_device_name()
    if name not in ("auto", device.type):
        text = f"no {name} here: training runs on the CPU"
    else:
        text = f"training runs on: {title}"
    if os.environ.get("RLCOURSE_DEVICE", "").strip():
        text += " (set by RLCOURSE_DEVICE)"
    return f'<span role="status" aria-live="polite">{escape(text)}</span>'
