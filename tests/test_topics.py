"""The topic index lectures/topics.toml: no topic forgotten, every reference leads somewhere."""

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The whole syllabus. W: the topic has a widget; E: it has an exercise question.
SYLLABUS = """
F1    F2 E  F3 E  F4 W  F5 E  F6    F7 E
I1 E  I2 WE I3    I4    I5 E  I6 E  I7 WE
P1 E  P2    P3 E  P4 E  P5 W  P6 WE P7 E  P8    P9 WE P10
A1 E  A2    A3 E  A4    A5    A6 WE A7 E  A8 E
Q1 E  Q2    Q3 E  Q4 E  Q5 W  Q6 WE Q7 E  Q8 E  Q9
M1    M2 E  M3 WE M4 E  M5 WE M6 E  M7
B1 E  B2 WE B3    B4 W  B5 E
S1 E  S2 E  S3 W  S4 E
E1 WE E2    E3 E  E4 E  E5 E  E6 WE E7
O1 E  O2 W  O3 E  O4 E  O5 WE O6 E  O7 E  O8 E  O9
D1 E  D2 E  D3 WE D4
V1    V2 E  V3 E  V4 WE V5 WE V6 E
C1 E  C2    C3 WE C4 E  C5
R1 E  R2 WE
X1    X2    X3    X4    X5
"""
MARKS = {name: marks for name, marks in re.findall(r"\b([A-Z]\d+)\b(?: +([WE]+)\b(?!\d))?", SYLLABUS)}
KEYS = {"title", "status", "lecture", "symbols", "question", "tests", "widget"}


def index() -> dict:
    return tomllib.loads((ROOT / "lectures" / "topics.toml").read_text(encoding="utf-8"))


def anchors(master: Path) -> list[str]:
    """The headings of a py:percent master as JupyterLab's anchors: spaces become hyphens."""
    text = master.read_text(encoding="utf-8")
    return [heading.strip().replace(" ", "-") for heading in re.findall(r"^# #+ (.+)$", text, re.MULTILINE)]


def named(dotted: str) -> object:
    """The object behind "package.module.name" or "package.module.Class.method"."""
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:cut])
        try:
            found = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name and not name.startswith(f"{error.name}."):
                raise  # the module is there, but something that it imports is not
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        return found
    raise ModuleNotFoundError(dotted)


def test_functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


test_functions.__test__ = False  # a helper, in spite of its name


def problems(ID: str, topic: dict, lectures: dict, root: Path = ROOT) -> list[str]:
    """What is wrong with one entry, one line each."""
    found = [f"unknown key {key!r}" for key in topic.keys() - KEYS]
    if topic.get("status") not in ("planned", "written"):
        found.append(f'status: expected "planned" or "written", got {topic.get("status")!r}')
    lecture, _, anchor = topic.get("lecture", "").partition("#")
    if lecture and lecture.removesuffix(".ipynb") not in lectures:
        found.append(f"lecture: {lecture} is not in the table of lectures")
    elif anchor:
        master = root / "lectures" / lecture.replace(".ipynb", ".py")
        if not master.exists():
            found.append(f"lecture: there is no {master.name}")
        elif anchor not in anchors(master):
            found.append(f"lecture: {master.name} has no heading {anchor!r}")
        if not re.match(rf"{ID}-", anchor):
            found.append(f"lecture: the heading should begin with {ID}, got {anchor!r}")
    for dotted in [*topic.get("symbols", []), *filter(None, [topic.get("widget")])]:
        try:
            named(dotted)
        except (ModuleNotFoundError, AttributeError):
            found.append(f"there is no {dotted}")
    for reference in topic.get("question", []):
        exercise, _, question = reference.partition("#")
        master = root / "solutions" / f"{exercise}.py"
        if not master.exists() or f'q="{question}"' not in master.read_text(encoding="utf-8"):
            found.append(f"question: there is no {reference}")
    for reference in topic.get("tests", []):
        path, _, function = reference.partition("::")
        if not (root / path).exists() or function not in test_functions(root / path):
            found.append(f"tests: there is no {reference}")
    if topic.get("status") == "written":
        needed = {"symbols", "tests"} | ({"lecture"} if ID[0] != "X" else set())
        needed |= {"widget"} if "W" in MARKS[ID] else set()
        needed |= {"question"} if "E" in MARKS[ID] else set()
        found += [f"written, but without {key}" for key in sorted(needed) if not topic.get(key)]
        if ID[0] != "X" and not anchor:
            found.append("written, but its lecture names no heading")
    return found


def test_the_index_has_every_topic_of_the_syllabus_and_no_other():
    assert len(MARKS) == 95 and MARKS["I2"] == "WE" and MARKS["F4"] == "W" and MARKS["P10"] == ""
    assert list(index()["topics"]) == list(MARKS)


def test_the_lectures_need_only_earlier_ones():
    lectures = index()["lectures"]
    assert list(lectures) == sorted(lectures) and len({name[:2] for name in lectures}) == 14
    for position, (name, lecture) in enumerate(lectures.items()):
        assert set(lecture) == {"title", "needs", "minutes"}, name
        assert set(lecture["needs"]) <= set(list(lectures)[:position]), name
        assert 30 <= lecture["minutes"] <= 180, name


def test_every_topic_stands_in_the_lecture_of_its_letter():
    topics, names = index()["topics"], list(index()["lectures"])
    for ID, topic in topics.items():
        if ID[0] != "X":
            number = 1 + "FIPAQMBSEODVCR".index(ID[0])  # a lecture in two parts has its number twice: 05a, 05b
            assert topic["lecture"].split(".")[0] in names and topic["lecture"][:2] == f"{number:02}", ID


@pytest.mark.parametrize("ID", MARKS)
def test_every_reference_leads_somewhere(ID):
    assert problems(ID, index()["topics"][ID], index()["lectures"]) == []


def test_every_written_lecture_file_is_in_the_table():
    for master in (ROOT / "lectures").glob("[0-9]*.py"):
        assert master.stem in index()["lectures"], f"{master.name} is missing in lectures/topics.toml"


@pytest.fixture
def course(tmp_path):
    """A little course in which topic I2 is complete."""
    for folder in ("lectures", "solutions", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lectures/02_imitation.py").write_text("# %% [markdown]\n# ## I2 Distribution shift\n")
    (tmp_path / "solutions/02_imitation.py").write_text('# %% q="q1"\ndef f():\n    pass\n')
    (tmp_path / "tests/test_x.py").write_text("def test_it():\n    assert 1 + 1 == 2\n")
    return tmp_path


WHOLE = {"title": "Distribution shift", "status": "written", "lecture": "02_imitation.ipynb#I2-Distribution-shift",
         "symbols": ["rlcourse.exact.propagation.state_marginals"], "question": ["02_imitation#q1"],
         "tests": ["tests/test_x.py::test_it"], "widget": "rlcourse.core.check.require"}


def test_a_whole_entry_has_no_problems(course):
    assert problems("I2", WHOLE, {"02_imitation": {}}, course) == []


@pytest.mark.parametrize("change, complaint", [
    ({"status": "done"}, "status"),
    ({"lecture": "02_imitation.ipynb#I2-Distribution-Shift"}, "no heading"),
    ({"lecture": "02_imitation.ipynb"}, "names no heading"),
    ({"lecture": "99_magic.ipynb#I2-x"}, "table of lectures"),
    ({"symbols": ["rlcourse.exact.propagation.marginal_states"]}, "there is no rlcourse.exact"),
    ({"symbols": ["rlcourse.exakt.propagation"]}, "there is no rlcourse.exakt"),
    ({"symbols": []}, "without symbols"),
    ({"question": ["02_imitation#q7"]}, "question"),
    ({"question": []}, "without question"),
    ({"tests": ["tests/test_x.py::test_its"]}, "tests"),
    ({"tests": ["tests/test_y.py::test_it"]}, "tests"),
    ({"widget": ""}, "without widget"),
    ({"widget": "rlcourse.core.check.nothing"}, "there is no"),
    ({"colour": "red"}, "unknown key"),
])
def test_each_broken_reference_is_found(course, change, complaint):
    found = problems("I2", WHOLE | change, {"02_imitation": {}}, course)
    assert any(complaint in line for line in found), found
