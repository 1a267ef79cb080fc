"""The folder of marks: names of files, the table and the instructor's two columns, what is never overwritten."""

import csv
import io
import json
import os

import pytest

from rlcourse.grading.cases import Case, Question
from rlcourse.grading.filenames import file_names
from rlcourse.grading.gradebook import finish, open_gradebook, require_folders, save, saved
from rlcourse.grading.gradetable import cell
from rlcourse.grading.records import Graded
from rlcourse.grading.report import Report, Result

QUESTIONS = (Question("q1", "A third", "I1", {"third": lambda x: x / 3}, 1, 1, 1,
                      values=(Case("one", lambda f: f.third(3.0), 1.0, "Divide by three.", points=2),)),
             Question("q2", "A half", "I1", {"half": lambda x: x / 2}, 1, 1, 1,
                      values=(Case("one", lambda f: f.half(2.0), 1.0, "Divide by two.", points=3),)))
MARKER = {"exercise": "07_thirds", "seed": 3, "private": ""}


def graded(student, earned=2, status="graded", **fields):
    results = (Result("one", 2, "passed" if earned else "failed", "Divide by three."),)
    reports = (Report("q1", "A third", results), Report("q2", "A half", (Result("one", 3, "open"),), "not answered yet"))
    return Graded(student, f"{student}.ipynb", status, reports=reports if status != "not graded" else (), **fields)


def write(out, results, gaps=()):
    book = open_gradebook(out, "07_thirds", QUESTIONS, MARKER, [each.student for each in results])
    for each in results:
        save(book, each)
    return finish(book, results, gaps)


def rows(out, name="grades.csv"):
    return list(csv.DictReader(io.StringIO((out / name).read_bytes().decode("utf-8-sig"), newline="")))


def edit(out, change, dialect=","):
    """What a spreadsheet does: reads the table, lets the instructor type, and writes it in its own way."""
    table = rows(out)
    change(table)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(table[0]), delimiter=dialect, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    (out / "grades.csv").write_text(text.getvalue(), encoding="utf-8")


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Names of files


@pytest.mark.parametrize("student", ["anna", "Zoë Müller", "علي", "山田 太郎", "o'neil, j. (2)", "अनिल"])
def test_a_sane_name_is_the_name_of_its_files(student):
    assert file_names([student]) == {student: student}


@pytest.mark.parametrize("student", [
    "a/b", "a\\b", "..", "../../etc/passwd", ".hidden", "", " ", "con", "NUL", "com1.txt", "a\nb", "a\0b", "x" * 300,
    "é" * 300, "a:b", "a*?", "<script>", "-rf", "name.", "\ud800", "a\u202eb", "💥"])
def test_any_other_name_is_made_safe_and_stays_its_own(student, tmp_path):
    name = file_names([student])[student]
    path = tmp_path / f"{name}.json.part"
    path.write_text("x")
    assert path.parent.resolve() == tmp_path and os.listdir(tmp_path) == [path.name]
    assert name[0] not in ".-" and not set(name) & set('/\\:*?"<>|') and name.isprintable()
    assert name.split("-")[0].casefold() not in ("con", "nul") and len(name.encode()) <= 120
    assert file_names([student, "x", "student"])[student] == name


def test_names_that_differ_in_capitals_alone_get_files_of_their_own():
    names = file_names(["Anna", "anna", "STRASSE", "straße", "bob"])
    assert names["bob"] == "bob" and len({name.casefold() for name in names.values()}) == 5
    assert names["anna"].startswith("anna-") and names["Anna"].startswith("Anna-")


# The table


@pytest.mark.parametrize("text, shown", [
    ("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\t=1", "'\t'=1"), ("\r=1", "'\r'=1"),
    ("a;=1", "a;'=1"), ("＝1", "'＝1"), ("a=1", "a=1"), ("Smith-Jones", "Smith-Jones"), ("", "")])
def test_no_cell_begins_a_formula(text, shown):
    assert cell(text) == shown


def test_the_table_has_a_number_only_where_there_is_a_mark(tmp_path):
    unasked = Report("q2", "A half", (Result("one", 3, "open"),), "not marked: the time ran out")
    partial = Graded("carl", "carl.ipynb", "partial", "time ran out", (graded("carl").reports[0], unasked))
    results = [graded("=anna", same=("q1",)), graded("bob, \"b\"", 0), partial,
               graded("dora", status="not graded", reason="is empty")]
    assert write(tmp_path / "out", results) == []
    anna, bob, carl, dora = rows(tmp_path / "out")
    assert list(anna) == ["student", "file", "exercise", "q1", "q2", "points", "of", "status", "reason",
                          "same_as_solution", "by_hand", "comment"]
    assert list(anna.values()) == ["'=anna", "'=anna.ipynb", "07_thirds", "2", "0", "2", "5", "graded", "", "q1", "", ""]
    assert (bob["student"], bob["points"]) == ('bob, "b"', "0")
    assert (carl["q1"], carl["q2"], carl["points"], carl["status"]) == ("2", "", "2", "partial")
    assert (dora["q1"], dora["points"], dora["status"], dora["reason"]) == ("", "", "not graded", "is empty")
    assert (tmp_path / "out/grades.csv").read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_the_instructor_typed_is_carried_over(tmp_path, separator):
    results = [graded("=anna"), graded("bob")]
    write(tmp_path, results)

    def type_in(table):
        table.reverse()  # sorted another way: no edit
        table[0].update(by_hand="-1,5", comment="zu kurz; siehe\nq2")
        table[1].update(comment="=SUM(A1)")

    edit(tmp_path, type_in, separator)
    assert write(tmp_path, [graded("=anna", 0), graded("bob"), graded("new")]) == []
    anna, bob, new = rows(tmp_path)
    assert (bob["by_hand"], bob["comment"]) == ("-1,5", "zu kurz; siehe\nq2")
    assert (anna["points"], anna["comment"]) == ("0", "=SUM(A1)") and new["comment"] == ""
    assert not list(tmp_path.glob("grades.edited*"))


def test_a_table_edited_elsewhere_is_kept_aside_each_time(tmp_path):
    for number, kept in enumerate(["grades.edited.csv", "grades.edited-2.csv"]):
        write(tmp_path, [graded("anna"), graded("bob")])
        edit(tmp_path, lambda table: table[0].update(points=f"{number}99", comment="so"))
        lines = write(tmp_path, [graded("anna"), graded("bob")])
        assert len(lines) == 1 and f"kept as {kept}" in lines[0]
        assert rows(tmp_path, kept)[0]["points"] == f"{number}99"
        assert (rows(tmp_path)[0]["points"], rows(tmp_path)[0]["comment"]) == ("2", "so")


def test_remarks_on_a_student_who_is_gone_are_not_lost(tmp_path):
    write(tmp_path, [graded("anna"), graded("bob")])
    edit(tmp_path, lambda table: table[1].update(by_hand="3"))
    lines = write(tmp_path, [graded("anna")])
    assert rows(tmp_path, "grades.edited.csv")[1]["by_hand"] == "3" and len(rows(tmp_path)) == 1
    assert any("grades.edited.csv only: bob" in line for line in lines)
    assert any("kept but not in grades.csv: bob" in line for line in lines)


@pytest.mark.parametrize("broken", [b"\xff\xfe\x00", b"", b"a,b\n1,2\n", b'"' * 10, b"student\n"])
def test_a_table_that_cannot_be_read_is_kept_aside(tmp_path, broken):
    write(tmp_path, [graded("anna")])
    (tmp_path / "grades.csv").write_bytes(broken)
    assert "kept as grades.edited.csv" in write(tmp_path, [graded("anna")])[0]
    assert (tmp_path / "grades.edited.csv").read_bytes() == broken and len(rows(tmp_path)) == 1


# The folder


def test_the_same_results_give_the_same_bytes_and_nothing_else(tmp_path):
    results = [graded("anna"), graded("Bo/b\ud800", reason="odd \ud800 =1")]
    for out in (tmp_path / "a", tmp_path / "b", tmp_path / "b"):
        write(out, results, ["a gap"])
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert len(content(tmp_path / "a")) == 3 + 2 * 2 and not list(tmp_path.rglob("*.part"))


def test_a_result_is_read_back_as_it_was(tmp_path):
    results = [graded("anna", notes=("a \ud800 note",), digest="d"), graded("Anna")]
    write(tmp_path, results)
    book = open_gradebook(tmp_path, "07_thirds", QUESTIONS, MARKER, ["anna", "Anna", "bob"])
    assert [saved(book, student) for student in ("anna", "Anna", "bob")] == [*results, None]
    (tmp_path / "results" / f"{book.names['anna']}.json").write_text("{")
    (tmp_path / "feedback" / f"{book.names['Anna']}.html").unlink()
    assert saved(book, "anna") is None and saved(book, "Anna") is None


def test_the_page_of_the_class_leads_to_the_pages_of_the_students(tmp_path):
    write(tmp_path, [graded("Zoë & co"), graded("a/b")])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    names = file_names(["Zoë & co", "a/b"])
    assert "feedback/Zo%C3%AB%20_%20co" in page and all(name for name in names.values())
    assert f"feedback/{names['a/b']}.html" in page


def test_a_folder_with_anything_else_in_it_is_refused_and_left_alone(tmp_path):
    folder, out = tmp_path / "class", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    require_folders(folder, out, MARKER)
    (out / "thesis.txt").write_text("dear")
    with pytest.raises(ValueError, match="--out: expected a new or empty folder"):
        require_folders(folder, out, MARKER)
    (out / "grading.json").write_text(json.dumps(["exercise"]))
    with pytest.raises(ValueError, match="--out: expected a new or empty folder"):
        require_folders(folder, out, MARKER)
    assert sorted(content(out)) == ["grading.json", "thesis.txt"]


@pytest.mark.parametrize("other, words", [({"exercise": "01_x"}, "the same exercise as before"),
                                          ({"seed": 4}, "the same seed as before, or another folder, got 4, where"),
                                          ({"private": "abc"}, "the same private as before")])
def test_the_folder_of_another_grading_is_refused(tmp_path, other, words):
    (tmp_path / "class").mkdir()
    write(tmp_path / "out", [graded("anna")])
    before = content(tmp_path)
    require_folders(tmp_path / "class", tmp_path / "out", MARKER)
    with pytest.raises(ValueError, match=words):
        require_folders(tmp_path / "class", tmp_path / "out", MARKER | other)
    assert content(tmp_path) == before


@pytest.mark.parametrize("folder, out, words", [
    ("none", "out", "FOLDER: expected an existing folder"), ("file", "out", "FOLDER: expected an existing folder"),
    ("class", "file", "--out: expected a folder, got the file"), ("class", "class", "a folder outside FOLDER"),
    ("class", "class/new/out", "a folder outside FOLDER"), ("class", "link/out", "a folder outside FOLDER")])
def test_folders_that_cannot_be_meant(tmp_path, folder, out, words):
    (tmp_path / "class").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "class")
    with pytest.raises(ValueError, match=words):
        require_folders(tmp_path / folder, tmp_path / out, MARKER)
    assert not (tmp_path / "out").exists()
