"""`rlcourse build` on a small course in a temporary folder: what it writes, finds stale and refuses."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib
import nbformat
import pytest
from PIL import Image

from rlcourse.grading.build import build
from rlcourse.grading.notebooks import NotebookError, execute, make_notebook, read_notebook, write_notebook
from rlcourse.grading.master import Cell
from rlcourse.grading.pictures import compare_pictures, picture_difference, pinned_matplotlib

LECTURE = '''# %% [markdown]
# # 99 Demo

# %%
import os, sys
print(os.environ["RLCOURSE_DEVICE"], os.environ["RLCOURSE_CHECKING"], os.path.basename(os.getcwd()))
sys.stdout.flush()
print("and more")

# %%
import ipywidgets
ipywidgets.IntSlider(3)

# %%
%matplotlib inline
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(3, 2))
_ = axes.plot([0, 1, 4])

# %% tags=["unstable-picture"]
figure
'''
MASTER = '''# %% q="q1"
def double(x):
    """Twice x."""
    ### SOLUTION
    return 2 * x
    ### END

# %% wrong="q1" at_most=1 why="forgets to double" hint="twice"
def double(x):
    return x

# %% tags=["check"]
double(21)
'''


def write_course(root: Path) -> Path:
    for folder in ("lectures", "solutions", "exercises"):
        (root / folder).mkdir(parents=True)
    (root / "lectures" / "99_demo.py").write_text(LECTURE, encoding="utf-8")
    (root / "solutions" / "99_demo.py").write_text(MASTER, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, bytes]:
    """The three notebooks of the small course, built once: path in the course → bytes."""
    root = write_course(tmp_path_factory.mktemp("course"))
    assert build(root=root) == 0
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.ipynb")}


@pytest.fixture
def course(tmp_path, built) -> Path:
    """A fresh copy of the built course."""
    root = write_course(tmp_path / "course")
    for name, data in built.items():
        (root / name).write_bytes(data)
    return root


def outputs(notebook, index):
    return notebook.cells[index].outputs


def test_a_lecture_is_executed_and_normalised(course):
    notebook = read_notebook(course / "lectures" / "99_demo.ipynb")
    assert [cell.id for cell in notebook.cells] == [f"99_demo-00{index}" for index in range(5)]
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3, 4]
    assert [output.text for output in outputs(notebook, 1)] == ["cpu 1 lectures\nand more\n"]
    view = outputs(notebook, 2)[0].data["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == "0" * 32
    assert "image/png" in outputs(notebook, 3)[0].data
    assert notebook.cells[4].metadata == {"tags": ["unstable-picture"]}
    assert notebook.metadata == {"kernelspec": {"display_name": "Python 3", "language": "python",
                                                "name": "python3"}, "language_info": {"name": "python"}}


def test_an_exercise_becomes_a_blank_and_an_executed_solution(course):
    blank = read_notebook(course / "exercises" / "99_demo.ipynb")
    solution = read_notebook(course / "solutions" / "99_demo.ipynb")
    for notebook in (blank, solution):
        assert [cell.id for cell in notebook.cells] == ["99_demo-q1", "99_demo-001"]
    assert blank.cells[0].source.endswith('    raise NotImplementedError("q1: your code here")')
    assert solution.cells[0].source.endswith('"""\n    return 2 * x')
    assert [(cell.execution_count, cell.outputs) for cell in blank.cells] == [(None, []), (None, [])]
    assert outputs(solution, 1)[0].data == {"text/plain": "42"}
    assert not any("forgets" in path.read_text(encoding="utf-8") for path in course.rglob("*.ipynb"))


@pytest.mark.slow
def test_building_again_changes_no_byte(course, built, capsys):
    assert build(root=course, only="99_demo") == 0
    assert {name: (course / name).read_bytes() for name in built} == built
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["lectures/99_demo.ipynb", "exercises/99_demo.ipynb",
                                                   "solutions/99_demo.ipynb", "3"]


def test_check_is_silent_about_a_clean_course(course, capsys):
    assert build(root=course, check=True) == 0
    assert capsys.readouterr().out == ""


def edit_lecture(course):
    source = course / "lectures" / "99_demo.py"
    source.write_text(LECTURE.replace("# # 99 Demo", "# # 99 Demonstration"), encoding="utf-8")


def edit_generated(course):
    path = course / "lectures" / "99_demo.ipynb"
    path.write_bytes(path.read_bytes().replace(b"99 Demo", b"99 demo"))


def add_tag(course):
    path = course / "lectures" / "99_demo.ipynb"
    path.write_bytes(path.read_bytes().replace(b'"unstable-picture"', b'"nbval-skip"'))


def run_blank(course):
    path = course / "exercises" / "99_demo.ipynb"
    path.write_bytes(path.read_bytes().replace(b'"execution_count": null', b'"execution_count": 1', 1))


def add_cell(course):
    source = course / "solutions" / "99_demo.py"
    source.write_text(MASTER + "\n# %%\n1\n", encoding="utf-8")


def drop_notebook(course):
    (course / "exercises" / "99_demo.ipynb").unlink()


def add_orphan(course):
    (course / "lectures" / "98_old.ipynb").write_bytes((course / "lectures" / "99_demo.ipynb").read_bytes())


def break_master(course):
    (course / "solutions" / "99_demo.py").write_text(MASTER.replace("    ### END\n", ""), encoding="utf-8")


@pytest.mark.parametrize("spoil, names", [
    (edit_lecture, ["lectures/99_demo.ipynb: cell 1 (99_demo-000) has another text"]),
    (edit_generated, ["lectures/99_demo.ipynb: cell 1 (99_demo-000) has another text"]),
    (add_tag, ["lectures/99_demo.ipynb: cell 5 (99_demo-004) has another metadata"]),
    (run_blank, ["exercises/99_demo.ipynb: has outputs or execution counts"]),
    (add_cell, ["exercises/99_demo.ipynb: 2 cells, the source has 3", "solutions/99_demo.ipynb: 2 cells"]),
    (drop_notebook, ["exercises/99_demo.ipynb: is missing"]),
    (add_orphan, ["lectures/98_old.ipynb: has no source"]),
    (break_master, ["exercises/99_demo.ipynb: 99_demo.py, cell 1: answer q1 needs",
                    "solutions/99_demo.ipynb: 99_demo.py, cell 1: answer q1 needs"]),
], ids=lambda value: getattr(value, "__name__", ""))
def test_check_names_what_is_stale_and_touches_nothing(course, capsys, spoil, names):
    spoil(course)
    before = {path: path.read_bytes() for path in course.rglob("*.*")}
    assert build(root=course, check=True) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(names) + 1 and "run `rlcourse build`" in lines[-1]
    assert all(line.startswith(name) for line, name in zip(lines, names)), lines
    assert {path: path.read_bytes() for path in course.rglob("*.*")} == before


def test_an_unknown_name_is_refused(course, capsys):
    assert build(root=course, only="02_imitaton") == 2
    assert capsys.readouterr().out == ("no lecture or exercise is called '02_imitaton'; there are: 99_demo\n")


@pytest.mark.slow
def test_a_failing_cell_is_named_and_the_notebook_left_alone(course, built, capsys):
    (course / "lectures" / "99_demo.py").write_text("# %%\nx = 1\n\n# %%\nx / 0\n", encoding="utf-8")
    assert build(root=course, only="99_demo") == 1
    out = capsys.readouterr().out
    assert "cell 2 (99_demo-001): ZeroDivisionError: division by zero" in out and "1 FAILED" in out
    assert (course / "lectures" / "99_demo.ipynb").read_bytes() == built["lectures/99_demo.ipynb"]


@pytest.mark.slow
def test_a_killed_kernel_is_named(tmp_path):
    notebook = make_notebook("99_demo", [Cell("code", "import os\nos._exit(1)")])
    with pytest.raises(NotebookError, match=r"cell 1 \(99_demo-000\): killed its kernel"):
        execute(notebook, tmp_path)


def test_the_student_bundle_holds_no_answers(course, capsys):
    (course / "tests").mkdir()
    (course / "tests" / "test_x.py").write_text("", encoding="utf-8")
    (course / "README.md").write_text("hello", encoding="utf-8")
    (course / "private.txt").write_text("not known to git", encoding="utf-8")
    for command in (["init", "-q"], ["add", "lectures", "exercises", "solutions", "tests", "README.md"]):
        subprocess.run(["git", *command], cwd=course, check=True)
    assert build(root=course, student_bundle=True) == 0
    with zipfile.ZipFile(course / "dist" / "rlcourse-student.zip") as archive:
        assert archive.namelist() == [f"rlcourse-student/{name}" for name in (
            "README.md", "exercises/99_demo.ipynb", "lectures/99_demo.ipynb", "lectures/99_demo.py")]
    edit_lecture(course)
    assert build(root=course, student_bundle=True) == 1


# Pictures.

@pytest.mark.slow
def test_a_stale_picture_is_found(course):
    stored = read_notebook(course / "lectures" / "99_demo.ipynb")
    assert compare_pictures(stored, stored) == []
    fresh = read_notebook(course / "lectures" / "99_demo.ipynb")
    drawing = Cell("code", stored.cells[3].source.replace("[0, 1, 4]", "[0, 1, 3]"))
    fresh.cells[3].outputs = execute(make_notebook("fresh", [drawing]), course).cells[0].outputs
    complaints = compare_pictures(stored, fresh)
    assert len(complaints) == 1 and complaints[0].startswith("cell 99_demo-003, picture 1: ")
    stored.cells[3].metadata["tags"] = ["unstable-picture"]
    assert compare_pictures(stored, fresh) == []
    fresh.cells[3].outputs = []
    assert compare_pictures(stored, fresh) == ["cell 99_demo-003: 1 pictures stored, 0 drawn now"]
    del fresh.cells[4]
    assert "cell 99_demo-004: not in the fresh notebook" in compare_pictures(stored, fresh)


def picture(width=100, height=50, black=0):
    image = Image.new("RGB", (width, height), "white")
    for index in range(black):
        image.putpixel((index % width, index // width), (0, 0, 0))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_may_differ_in_two_of_a_thousand_pixels():
    assert picture_difference(picture(), picture(black=10)) == ""
    assert picture_difference(picture(), picture(black=11)) == "0.22% of the pixels differ (0.2% may)"
    assert picture_difference(picture(), picture(101)) == "100 × 50 pixels stored, 101 × 50 drawn now"
    assert picture_difference(picture(), b"no picture") == "cannot be decoded"


def test_pictures_are_compared_under_the_pinned_matplotlib_only(tmp_path):
    pins = tmp_path / "constraints.txt"
    pins.write_text(f"numpy==2.4.6\nmatplotlib=={matplotlib.__version__}\n", encoding="utf-8")
    assert pinned_matplotlib(pins)
    pins.write_text("matplotlib==3.10.9\n", encoding="utf-8")
    assert not pinned_matplotlib(pins)
    pins.write_text("numpy==2.4.6\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected a line matplotlib==VERSION"):
        pinned_matplotlib(pins)


# nbval: what it lets pass is why the rules of test_notebooks.py exist.

@pytest.mark.slow
def test_nbval_passes_stripped_and_stale_notebooks_but_not_a_wrong_number(course):
    notebook = read_notebook(course / "lectures" / "99_demo.ipynb")
    notebook.cells[1].outputs[0].text = notebook.cells[1].outputs[0].text.replace("lectures", "elsewhere")
    notebook.cells[2].execution_count, notebook.cells[2].outputs = None, []
    notebook.cells[3].source = notebook.cells[3].source.replace("[0, 1, 4]", "[0, 1, 3]")
    assert nbval(notebook, course / "lectures") == ["FAILED", "PASSED", "PASSED", "PASSED"]


@pytest.mark.slow
def test_the_sanitize_rules_hide_no_more_than_they_say(tmp_path):
    cases = [("<Thing object at 0x7f31a4c0d2e0>", "<Thing object at 0x7f31a4c0aaaa>", "PASSED"),
             ("<Thing object at 0x7f31a4c0d2e0>", "<Thong object at 0x7f31a4c0aaaa>", "FAILED"),
             ("read at 0x7f31a4c0d2e0", "read at 0x7f31a4c0aaaa", "FAILED"),
             ("30/30 [00:02<00:00, 14.31it/s]", "30/30 [00:01<00:00, 20.02it/s]", "PASSED"),
             ("30/30 [00:02<00:00, 14.31it/s]", "31/31 [00:01<00:00, 20.02it/s]", "FAILED"),
             ("took 14.31 s", "took 14.32 s", "FAILED"), ("cpu", "cuda:0", "FAILED")]
    notebook = make_notebook("99_demo", [Cell("code", f"print({printed!r})") for printed, _, _ in cases])
    for number, (cell, (_, stored, _)) in enumerate(zip(notebook.cells, cases), start=1):
        cell.execution_count = number
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=stored + "\n")]
    assert nbval(notebook, tmp_path) == [verdict for _, _, verdict in cases]


def nbval(notebook, folder: Path) -> list[str]:
    """nbval's verdict on each code cell of the notebook, "PASSED" or "FAILED"."""
    write_notebook(notebook, folder / "99_demo.ipynb")
    rules = Path(__file__).with_name("nbval_sanitize.cfg")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--rootdir", str(folder),
               "--nbval", "--nbval-current-env", f"--nbval-sanitize-with={rules}", "99_demo.ipynb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False,
                          env=os.environ | {"RLCOURSE_DEVICE": "cpu", "RLCOURSE_CHECKING": "1"})
    return re.findall(r"^99_demo::ipynb::Cell \d+ (PASSED|FAILED)", done.stdout, re.MULTILINE)
