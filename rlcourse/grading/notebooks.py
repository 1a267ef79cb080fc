"""Notebooks from cells: made, executed in a fresh kernel, and normalised so that a diff means something."""

import copy
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from .master import Cell

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_SECONDS = 300  # a cell that takes longer hangs; lectures have 60 s in all
_METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
             "language_info": {"name": "python"}}


class NotebookError(RuntimeError):
    """A cell failed, hung or killed its kernel; the message names the cell and the error."""


def make_notebook(name: str, cells: Sequence[Cell]) -> NotebookNode:
    """The notebook of the cells, without outputs.

    Cell ids are `NAME-000`, `NAME-001`, … by position, and `NAME-q1` for the answer to q1, whatever
    stands before it.
    """
    notebook = nbformat.v4.new_notebook(metadata=nbformat.from_dict(_METADATA))
    makers = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell,
              "raw": nbformat.v4.new_raw_cell}
    for index, cell in enumerate(cells):
        metadata = {"tags": list(cell.tags)} if cell.tags else {}
        notebook.cells.append(makers[cell.kind](cell.source, id=f"{name}-{cell.question or f'{index:03d}'}",
                                                metadata=nbformat.from_dict(metadata)))
    nbformat.validate(notebook)
    return notebook


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """A normalised copy of the notebook, run from top to bottom in a fresh kernel with `folder` as cwd.

    The kernel is this interpreter's own, whatever kernels the user has installed, and takes no part
    of the user's IPython set-up; it computes on the CPU. Raises `NotebookError` if a cell fails.
    """
    notebook = copy.deepcopy(notebook)
    begun = []
    with tempfile.TemporaryDirectory() as home:
        manager = AsyncKernelManager(kernel_name="python3",
                                     kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
        client = NotebookClient(notebook, km=manager, timeout=CELL_SECONDS, record_timing=False,
                                extra_arguments=["--log-level=ERROR"],
                                on_cell_start=lambda cell, cell_index: begun.append(cell_index),
                                resources={"metadata": {"path": str(folder)}})
        try:
            client.execute(env=checking_environment(home), cleanup_kc=True)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise NotebookError(_failure(notebook, begun[-1], error)) from error
    return normalise(notebook)


def checking_environment(home: str) -> dict[str, str]:
    """The environment of a kernel that builds or checks: CPU, no personal set-up, nothing remembered.

    RLCOURSE_CHECKING=1 tells the library that nobody sits in front of the notebook: it keeps no
    predictions and no progress, and takes no function from a student's own notebooks.
    """
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    return environment | {"RLCOURSE_DEVICE": "cpu", "RLCOURSE_CHECKING": "1", "IPYTHONDIR": home}


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what changes from run to run though nothing has changed.

    Dropped: timings, the saved state of widgets, the interpreter's version. Text printed in several
    pieces is joined. Widget model ids are numbered; the widget-view entries themselves stay.
    """
    ids = [output["data"][WIDGET_VIEW]["model_id"] for cell in notebook.cells
           for output in cell.get("outputs", []) if WIDGET_VIEW in output.get("data", {})]
    numbers = {model: f"{number:032x}" for number, model in enumerate(dict.fromkeys(ids))}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = _joined_streams(cell.outputs)
        for output in cell.get("outputs", []):
            if WIDGET_VIEW in output.get("data", {}):
                view = output["data"][WIDGET_VIEW]
                view["model_id"] = numbers[view["model_id"]]
    notebook.metadata = nbformat.from_dict(_METADATA)
    return notebook


def text_difference(stored: NotebookNode, expected: NotebookNode) -> str:
    """The first difference between the texts of two notebooks, outputs apart; "" if there is none."""
    for index, (have, want) in enumerate(zip(stored.cells, expected.cells), start=1):
        for what, old, new in (("id", have.get("id"), want.id), ("kind", have.cell_type, want.cell_type),
                               ("text", have.source, want.source),
                               ("metadata", dict(have.metadata), dict(want.metadata))):
            if old != new:
                return f"cell {index} ({want.id}) has another {what} than the source"
    if len(stored.cells) != len(expected.cells):
        return f"{len(stored.cells)} cells, the source has {len(expected.cells)}"
    if stored.metadata != expected.metadata:
        return "other notebook metadata than build writes"
    return ""


def read_notebook(path: Path) -> NotebookNode:
    """The notebook in a file."""
    return nbformat.read(path, as_version=4)


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write the notebook, the same bytes for the same content on every system."""
    nbformat.validate(notebook)
    path.write_bytes((nbformat.writes(notebook).rstrip("\n") + "\n").encode("utf-8"))


def _joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """The outputs with neighbouring pieces of the same stream joined: how they arrive is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _failure(notebook: NotebookNode, index: int, error: Exception) -> str:
    """One line: the cell, and what happened there."""
    what = {CellTimeoutError: f"took longer than {CELL_SECONDS} s",
            DeadKernelError: "killed its kernel"}.get(type(error))
    what = what or f"{error.ename}: {error.evalue}"
    return f"cell {index + 1} ({notebook.cells[index].id}): {what}"
