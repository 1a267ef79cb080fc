"""Where training runs: the logic of the device toggle.

Only training moves. Tables, exact calculations and every printed number stay on the CPU.
"""

import os

import torch

from .check import require
from .workfolder import keep, recall

CHOICES = ("auto", "cpu", "cuda", "mps")
_FILE = "device.json"

# What the toggle was set to in this process: a notebook outside `work/` has a toggle too.
_SESSION: dict[str, str] = {}


def available(name: str) -> bool:
    """Whether this machine can compute on "cpu", "cuda" or "mps"."""
    if name == "cuda":
        return torch.cuda.is_available()
    if name == "mps":
        return torch.backends.mps.is_available()
    return name == "cpu"


def choose(name: str = "auto") -> torch.device:
    """The device for a choice of the toggle; the CPU where the wished one does not exist.

    "auto" takes CUDA, else MPS, else the CPU. An unknown name is a ValueError; a device that is
    merely missing never is, so that the same notebook runs everywhere.
    """
    require(name in CHOICES, "device", f"one of {', '.join(CHOICES)}", repr(name))
    wished = ("cuda", "mps") if name == "auto" else (name,)
    return torch.device(next((kind for kind in wished if available(kind)), "cpu"))


def chosen() -> str:
    """The choice in force: RLCOURSE_DEVICE, else the one remembered in the student's folder, else "auto"."""
    forced = os.environ.get("RLCOURSE_DEVICE", "").strip()
    if forced:
        require(forced in CHOICES, "RLCOURSE_DEVICE", f"one of {', '.join(CHOICES)}", repr(forced))
        return forced
    remembered = recall(_FILE).get("device")
    return _SESSION.get("device") or (remembered if remembered in CHOICES else "auto")


def remember(name: str) -> None:
    """Keep a choice for this process, and in the student's folder where there is one."""
    require(name in CHOICES, "device", f"one of {', '.join(CHOICES)}", repr(name))
    _SESSION["device"] = name
    keep(_FILE, device=name)


def training_device() -> torch.device:
    """The device that training should use now."""
    return choose(chosen())

