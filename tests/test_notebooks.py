"""Every committed notebook keeps the rules of notebook_rules.py and is the text of its master.

The negative controls below break each rule once: a rule that lets a broken notebook pass fails here.
"""

from pathlib import Path

import nbformat
import notebook_rules as rules
import pytest

from rlcourse.grading.build import build, generate, targets
from rlcourse.grading.master import Cell
from rlcourse.grading.notebooks import WIDGET_VIEW, execute, make_notebook, normalise, read_notebook
from rlcourse.grading.pictures import compare_pictures, pinned_matplotlib

ROOT = Path(__file__).resolve().parents[1]
EXECUTED = sorted([*ROOT.glob("lectures/*.ipynb"), *ROOT.glob("solutions/*.ipynb")])
BLANK = sorted(ROOT.glob("exercises/*.ipynb"))


def label(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_every_notebook_is_the_text_of_its_master(capsys):
    assert build(check=True) == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", EXECUTED, ids=label)
def test_executed_notebooks_keep_the_rules(path):
    notebook = read_notebook(path)
    complaints = [*rules.was_executed_in_order(notebook), *rules.is_normalised(notebook, path.stem),
                  *rules.shows_no_trouble(notebook), *rules.avoids_what_cannot_be_checked(notebook),
                  *rules.links_lead_somewhere(notebook, path.parent),
                  *rules.links_what_it_uses(notebook, ROOT)]
    assert not complaints, "\n".join(complaints)
    assert path.stat().st_size < rules.MAX_BYTES


@pytest.mark.parametrize("path", BLANK, ids=label)
def test_blank_notebooks_keep_the_rules(path):
    notebook = read_notebook(path)
    complaints = [*rules.is_normalised(notebook, path.stem),
                  *rules.links_lead_somewhere(notebook, path.parent)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.slow
@pytest.mark.skipif(not pinned_matplotlib(ROOT / "constraints.txt"),
                    reason="another matplotlib than constraints.txt draws text differently")
@pytest.mark.parametrize("path", sorted(ROOT.glob("solutions/*.ipynb")), ids=label)
def test_the_pictures_of_solutions_are_those_of_a_fresh_run(path):
    # The lectures' pictures are compared after their run in the browser, in test_browser.py.
    stored = read_notebook(path)
    target = next(target for target in targets() if target.notebook == path)
    complaints = compare_pictures(stored, execute(generate(target), path.parent))
    assert not complaints, "\n".join(complaints)


# Negative controls: one small notebook that keeps every rule, broken in one way at a time.

LINK = "[`require`](../rlcourse/core/check.py)"


def sound() -> nbformat.NotebookNode:
    cells = [Cell("markdown", f"# 99 Demo\n\nWe call {LINK} and $E[x](t)$."),
             Cell("code", "from rlcourse.core.check import require"),
             Cell("code", 'require(True, "x", "y", "z")\n# interact; is a word here\nprint("a;b")'),
             Cell("code", "1 + 1", tags=("check",), question="q1")]
    notebook = make_notebook("99_demo", cells)
    for number, cell in enumerate(rules.code_cells(notebook), start=1):
        cell.execution_count = number
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", name="stdout", text="a;b\n")]
    view = {"model_id": "0" * 32, "version_major": 2, "version_minor": 0}
    data = {"text/plain": "IntSlider(value=3)", WIDGET_VIEW: view}
    notebook.cells[3].outputs = [nbformat.v4.new_output("execute_result", data, execution_count=3)]
    return notebook


def complaints_about(notebook: nbformat.NotebookNode) -> list[str]:
    return [*rules.was_executed_in_order(notebook), *rules.is_normalised(notebook, "99_demo"),
            *rules.shows_no_trouble(notebook), *rules.avoids_what_cannot_be_checked(notebook),
            *rules.links_lead_somewhere(notebook, ROOT / "lectures"),
            *rules.links_what_it_uses(notebook, ROOT)]


def test_the_sound_notebook_passes():
    assert complaints_about(sound()) == []


@pytest.mark.parametrize("source, complaint", [
    ("interact(f, x=3)", "interact"),
    ("import ipywidgets as W\nwith W.Output():\n    pass", "Output"),
    ("from IPython.display import clear_output", "clear_output"),
    ("display(1, display_id='x')", "display_id"),
    ("plot(1);", "a semicolon"),
    ("%matplotlib inline\nplot(1);", "a semicolon"),
    ("%time f()", "%time"),
    ("  ", "an empty code cell"),
])
def test_code_that_cannot_be_checked_is_caught(source, complaint):
    notebook = sound()
    notebook.cells[3].source = source
    assert any(complaint in line for line in complaints_about(notebook))


def strip_counts(notebook):
    for cell in rules.code_cells(notebook):
        cell.execution_count, cell.outputs = None, []


def run_out_of_order(notebook):
    notebook.cells[1].execution_count, notebook.cells[2].execution_count = 2, 1


def random_id(notebook):
    notebook.cells[2].id = "3f9a1c2e"


def shift_ids(notebook):
    notebook.cells[2].id = "99_demo-003"


def random_model_id(notebook):
    notebook.cells[3].outputs[0].data[WIDGET_VIEW]["model_id"] = "ab" * 16


def timings(notebook):
    notebook.cells[1].metadata["execution"] = {"iopub.status.busy": "2024-01-01T00:00:00Z"}


def saved_widgets(notebook):
    notebook.metadata["widgets"] = {}


def interpreter_version(notebook):
    notebook.metadata.language_info["version"] = "3.11.7"


def other_kernel(notebook):
    notebook.metadata.kernelspec.name = "myenv"


def warning(notebook):
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", name="stderr", text="UserWarning: no\n")]


def machine_path(notebook):
    notebook.cells[3].outputs[0].data["text/plain"] = "saved in /home/somebody/course"


def error(notebook):
    output = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
    notebook.cells[2].outputs = [output]


def no_link(notebook):
    notebook.cells[0].source = "# 99 Demo: we call `require`."


def link_to_another_file(notebook):
    notebook.cells[0].source = "[`require`](../rlcourse/core/seeding.py)"


def link_without_the_name(notebook):
    notebook.cells[0].source = "[this](../rlcourse/core/check.py)"


def second_module(notebook):
    notebook.cells[1].source += "\nfrom rlcourse.core.runs import require as check_runs"


def late_link(notebook):
    notebook.cells.append(nbformat.v4.new_markdown_cell(notebook.cells[0].source, id="99_demo-004"))
    notebook.cells[0].source = "# 99 Demo"


def dead_link(notebook):
    notebook.cells[0].source += " See [the rest](../lectures/98_nowhere.ipynb#there)."


@pytest.mark.parametrize("spoil, complaint", [
    (strip_counts, "execution count None, expected 1"),
    (run_out_of_order, "execution count 2, expected 1"),
    (random_id, "id '3f9a1c2e', expected 99_demo-002"),
    (shift_ids, "id '99_demo-003', expected 99_demo-002"),
    (random_model_id, "is not numbered"),
    (timings, "metadata.execution"),
    (saved_widgets, "metadata.widgets"),
    (interpreter_version, "of one machine"),
    (other_kernel, "of one machine"),
    (warning, "stderr: UserWarning"),
    (error, "ValueError: no"),
    (machine_path, "a path of the machine"),
    (no_link, "no link [`require`]"),
    (link_to_another_file, "no link [`require`]"),
    (link_without_the_name, "no link [`require`]"),
    (second_module, "no link [`require`](../rlcourse/core/runs.py)"),
    (late_link, "only after its first use"),
    (dead_link, "no file ../lectures/98_nowhere.ipynb"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_spoiled_notebook_is_caught(spoil, complaint):
    notebook = sound()
    spoil(notebook)
    assert any(complaint in line for line in complaints_about(notebook))


def test_normalising_mends_what_a_run_leaves_behind():
    notebook = sound()
    for spoil in (random_model_id, timings, saved_widgets, interpreter_version):
        spoil(notebook)
    assert normalise(notebook) == sound()


def test_normalising_joins_only_neighbouring_pieces_of_text():
    notebook = sound()
    pieces = [("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stdout", "d")]
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", name=name, text=text)
                                 for name, text in pieces]
    outputs = [(output.name, output.text) for output in normalise(notebook).cells[2].outputs]
    assert outputs == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]


def test_the_link_rule_finds_the_file_of_a_name():
    assert rules.module_file("rlcourse.core.check", "require", ROOT) == "rlcourse/core/check.py"
    assert rules.module_file("rlcourse.core", "check", ROOT) == "rlcourse/core/check.py"
    assert rules.module_file("rlcourse.core", "something", ROOT) == "rlcourse/core/__init__.py"
