"""Compares the pictures stored in a notebook with those of a fresh run (nbval compares text only)."""

import base64
import importlib.metadata
import io
import re
from pathlib import Path

import numpy as np
from nbformat import NotebookNode
from PIL import Image, UnidentifiedImageError

TOLERANCE = 0.002  # share of the pixels that may differ
UNSTABLE = "unstable-picture"  # tag of cells whose picture changes with the machine: chaotic training
_FORMATS = ("image/png", "image/jpeg", "image/webp")


def compare_pictures(stored: NotebookNode | dict, fresh: NotebookNode | dict) -> list[str]:
    """One line for every picture in `fresh` that is not the one in `stored`; [] if all agree.

    Cells are paired by their ids. Either notebook may be what nbformat reads or plain JSON from
    JupyterLab. Static pictures of widgets count too. A picture agrees if it has the same size and at
    most 0.2 % of its pixels have another colour. Cells tagged `unstable-picture` need only show as
    many pictures as before.
    """
    complaints = []
    fresh_cells = {cell.get("id"): cell for cell in fresh["cells"]}
    for cell in stored["cells"]:
        if cell["cell_type"] != "code":
            continue
        where = f"cell {cell.get('id')}"
        if cell.get("id") not in fresh_cells:
            complaints.append(f"{where}: not in the fresh notebook")
            continue
        other = fresh_cells[cell["id"]]
        old, new = _pictures(cell), _pictures(other)
        if len(old) != len(new):
            complaints.append(f"{where}: {len(old)} pictures stored, {len(new)} drawn now")
        elif UNSTABLE not in cell.get("metadata", {}).get("tags", []):
            complaints += [f"{where}, picture {number}: {difference}"
                           for number, pair in enumerate(zip(old, new), start=1)
                           if (difference := picture_difference(*pair))]
    return complaints


def picture_difference(stored: bytes, fresh: bytes) -> str:
    """How two picture files differ, in words; "" if they agree within the tolerance."""
    if stored == fresh:
        return ""
    try:
        old, new = (np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")) for data in (stored, fresh))
    except UnidentifiedImageError:
        return "cannot be decoded"
    if old.shape != new.shape:
        return f"{old.shape[1]} × {old.shape[0]} pixels stored, {new.shape[1]} × {new.shape[0]} drawn now"
    share = float((old != new).any(-1).mean())
    return f"{share:.2%} of the pixels differ ({TOLERANCE:.1%} may)" if share > TOLERANCE else ""


def pinned_matplotlib(constraints: Path) -> bool:
    """Whether the installed matplotlib is exactly that of constraints.txt; other versions draw text
    differently, and pictures cannot be compared."""
    pin = re.search(r"^matplotlib==(\S+)$", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    if pin is None:
        raise ValueError(f"{constraints.name}: expected a line matplotlib==VERSION, found none")
    return importlib.metadata.version("matplotlib") == pin[1]


def _pictures(cell: dict) -> list[bytes]:
    """The picture files in the outputs of a cell, in order."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        for kind in _FORMATS:
            if kind in data:
                text = data[kind]
                found.append(base64.b64decode("".join(text) if isinstance(text, list) else text))
    return found
