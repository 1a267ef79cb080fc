"""`rlcourse lab` up to the launch: copies that nothing overwrites, the start page, the port."""

import json
import os
import re
import socket

import pytest

from rlcourse.copies import update_copies
from rlcourse.lab import free_port, lab, lab_command
from rlcourse.startpage import start_page

TOPICS = """
[lectures.01_foundations]
title = "Foundations"
needs = []
minutes = 75
[lectures.02_imitation]
title = "Imitation learning"
needs = ["01_foundations"]
minutes = 90
[topics.F1]
title = "Two kinds of learning"
status = "planned"
lecture = "01_foundations.ipynb"
[topics.I2]
title = "Distribution shift"
status = "written"
lecture = "02_imitation.ipynb#I2-Distribution-shift"
symbols = ["rlcourse.core.check.require", "rlcourse.lab"]
question = ["02_imitation#q1", "02_imitation#q2"]
tests = ["tests/test_lab.py::test_nothing"]
widget = "rlcourse.lab.lab"
[topics.X1]
title = "The GPU toggle"
status = "planned"
"""


@pytest.fixture
def root(tmp_path):
    """A course with one lecture and its exercise."""
    for folder in ("lectures", "exercises", "rlcourse/core"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "rlcourse/core/check.py").touch()
    (tmp_path / "rlcourse/lab.py").touch()
    (tmp_path / "lectures/topics.toml").write_text(TOPICS)
    (tmp_path / "lectures/02_imitation.ipynb").write_text('{"": "[x](../exercises/02_imitation.ipynb#q1)"}\n')
    (tmp_path / "exercises/02_imitation.ipynb").write_text('{"see": "[y](../lectures/02_imitation.ipynb)"}\n')
    return tmp_path


def update(root) -> list[str]:
    return update_copies(root, root / "work")


def page(root) -> str:
    cells = json.loads(start_page(root, root / "work"))["cells"]
    assert all(cell["cell_type"] == "markdown" for cell in cells)
    return "\n".join(cell["source"] for cell in cells)


# The copies


def test_each_notebook_is_copied_once_and_its_links_lead_to_copies(root):
    assert update(root) == ["new: work/02_imitation.ipynb", "new: work/02_imitation_exercise.ipynb"]
    assert (root / "work/02_imitation.ipynb").read_text() == '{"": "[x](02_imitation_exercise.ipynb#q1)"}\n'
    assert (root / "work/02_imitation_exercise.ipynb").read_text() == '{"see": "[y](02_imitation.ipynb)"}\n'
    assert update(root) == []


def test_what_the_student_wrote_is_never_touched(root):
    update(root)
    mine = root / "work/02_imitation_exercise.ipynb"
    mine.write_text("my answers")
    assert update(root) == [] and mine.read_text() == "my answers"
    (root / "exercises/02_imitation.ipynb").write_text("a second edition")
    (message,) = update(root)
    assert "newer 02_imitation_exercise.ipynb" in message and "02_imitation_exercise.new.ipynb" in message
    assert mine.read_text() == "my answers"
    assert (root / "work/02_imitation_exercise.new.ipynb").read_text() == "a second edition"


def test_an_offer_is_made_once_and_renewed_with_the_next_edition(root):
    update(root)
    offer, master = root / "work/02_imitation.new.ipynb", root / "lectures/02_imitation.ipynb"
    master.write_text("second")
    update(root)
    (message,) = update(root)
    assert "still there" in message
    master.write_text("third")
    update(root)
    assert offer.read_text() == "third"
    offer.unlink()                       # the student does not want it
    assert update(root) == [] and not offer.exists()


def test_taking_an_offer_ends_it(root):
    update(root)
    (root / "lectures/02_imitation.ipynb").write_text("second")
    update(root)
    (root / "work/02_imitation.new.ipynb").rename(root / "work/02_imitation.ipynb")
    (root / "work/02_imitation.ipynb").write_text("second, and executed")
    assert update(root) == [] and not (root / "work/02_imitation.new.ipynb").exists()


def test_an_offer_that_was_changed_is_not_overwritten(root):
    update(root)
    offer, master = root / "work/02_imitation.new.ipynb", root / "lectures/02_imitation.ipynb"
    master.write_text("second")
    update(root)
    offer.write_text("second, with my notes")
    master.write_text("third")
    (message,) = update(root)
    assert "has been changed" in message and offer.read_text() == "second, with my notes"


def test_a_deleted_copy_comes_back_fresh(root):
    update(root)
    (root / "work/02_imitation.ipynb").unlink()
    assert update(root) == ["new: work/02_imitation.ipynb"]


@pytest.mark.parametrize("damage", [None, "{half", "[]"])
def test_a_lost_record_costs_no_work(root, damage):
    update(root)
    (root / "work/02_imitation_exercise.ipynb").write_text("my answers")
    record = root / "work/.copies.json"
    record.unlink() if damage is None else record.write_text(damage)
    (message,) = update(root)            # the lecture is as it was; nobody knows what the answers began from
    assert "newer 02_imitation_exercise.ipynb" in message
    assert (root / "work/02_imitation_exercise.ipynb").read_text() == "my answers"


# The start page


def test_the_map_links_what_is_there_and_shows_what_is_planned(root):
    update(root)
    text = page(root)
    assert "| 01 | Foundations *(planned)* |  |  |  |  |" in text
    assert ("| 02 | [Imitation learning](02_imitation.ipynb) | 01 | 90 "
            "| [exercise 02](02_imitation_exercise.ipynb) |") in text
    assert "*planned:* F1 Two kinds of learning" in text and "X1 The GPU toggle" in text


def test_every_link_of_the_page_leads_somewhere(root):
    update(root)
    (root / "lectures/02_imitation.ipynb").write_text("second")
    update(root)
    links = re.findall(r"\]\(([^)#]+)", page(root))
    assert len(links) == 6 and all((root / "work" / link).exists() for link in links), links


def test_a_written_topic_shows_its_heading_widget_questions_and_functions(root):
    update(root)
    assert ("- [I2 Distribution shift](02_imitation.ipynb#I2-Distribution-shift) (widget, q1, q2): "
            "[`require`](../rlcourse/core/check.py), [`lab`](../rlcourse/lab.py)") in page(root)


@pytest.mark.parametrize("kept, shown", [
    ('{"exercises": {"02_imitation": {"q1": {"earned": 2.5, "points": 4}, '
     '"q2": {"earned": 3, "points": 3}}}}', "5.5 of 7 (1 of 2 tried right)"),
    ('{"exercises": {"02_imitation": {"q1": {"earned": 0, "points": 4}}}}', "0 of 4 (0 of 1 tried right)"),
    ("{}", ""), ("{half", ""), ("[]", ""), (None, ""),
])
def test_the_progress(root, kept, shown):
    update(root)
    if kept is not None:
        (root / "work/progress.json").write_text(kept)
    row = next(line for line in page(root).splitlines() if line.startswith("| 02"))
    assert row.split(" | ")[-1] == f"{shown} |"


def test_the_page_of_the_course_itself_is_a_valid_notebook(tmp_path):
    import nbformat

    from rlcourse.lab import ROOT
    update_copies(ROOT, tmp_path)
    notebook = nbformat.reads(start_page(ROOT, tmp_path), as_version=4)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert all(re.search(rf"^\| {number:02}[ab]? \|", text, re.MULTILINE) for number in range(1, 15))
    assert "I7 DAgger" in text and "R2 Preferences" in text and "X5" in text


# The launch


def test_nothing_but_work_is_written(root, capsys):
    before = {path for path in root.rglob("*")}
    assert lab(launch=False, root=root) == 0
    new = {path.relative_to(root).parts[0] for path in set(root.rglob("*")) - before}
    assert new == {"work"} and (root / "work/START.ipynb").exists()
    assert "The course is ready" in capsys.readouterr().out


def test_jupyterlab_shows_no_news(root):
    lab(launch=False, root=root)
    settings = json.loads((root / "work/.jupyter/labconfig/default_setting_overrides.json").read_text())
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


def test_a_port_that_is_taken_is_passed_over():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port
        with pytest.raises(SystemExit, match=f"none of {port} to {port} is free"):
            free_port(port, tries=1)
    assert free_port(port) == port


@pytest.mark.parametrize("port", [0, -1, 70000])
def test_an_impossible_port_is_refused(root, port):
    with pytest.raises(SystemExit, match="from 1 to 65535"):
        lab(port=port, root=root)


def test_the_command_opens_the_start_page(root):
    command = lab_command(8890, browser=False, root=root)
    assert "--LabApp.default_url=/lab/tree/work/START.ipynb" in command
    assert f"--ServerApp.root_dir={root}" in command
    assert "--port=8890" in command and "--no-browser" in command
    assert "--no-browser" not in lab_command(8890, browser=True, root=root)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there is no root on Windows")
def test_root_is_allowed_in_as_in_a_container(monkeypatch):
    for user, allowed in ((0, True), (1000, False)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert ("--allow-root" in lab_command(8890, browser=True)) is allowed
