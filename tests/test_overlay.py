"""Private cases: a clear line for everything that can be wrong with the instructor's own file."""

import pytest
import torch

from rlcourse.grading.answers import Answers
from rlcourse.grading.cases import Case, Question, mark
from rlcourse.grading.overlay import load_overlay

QUESTION = Question("q1", "A third", "I1", {"third": lambda x: x / 3}, 1, 1, 1,
                    values=(Case("one", lambda f: f.third(3.0), 1.0, "Divide by three.", points=2),))
HEAD = "from rlcourse.grading.cases import Case\n"
SIX = 'Case("six", lambda f: f.third(6.0), 2.0, "Divide by three.", confirms="one")'


def load(folder, text, seed=0):
    if text is not None:
        (folder / "ex07_thirds.py").write_text(HEAD + text, encoding="utf-8")
    return load_overlay(folder, "07_thirds", (QUESTION,), seed)


def test_no_folder_is_no_overlay():
    overlay = load_overlay(None, "07_thirds", (QUESTION,), 0)
    assert (overlay.cases, overlay.digest) == ({}, "")


@pytest.mark.parametrize("text", [f'FURTHER = {{"q1": ({SIX},)}}', f'def further(seed):\n    return {{"q1": [{SIX}]}}'])
def test_a_private_case_takes_the_points_that_were_learnt_by_heart(tmp_path, text):
    overlay = load(tmp_path, text)
    by_heart = Answers({"third": lambda x: 1.0})
    assert mark(QUESTION, by_heart).earned == 2
    assert mark(QUESTION, by_heart, 0, overlay.cases["q1"]).earned == 0
    assert mark(QUESTION, Answers(QUESTION.functions), 0, overlay.cases["q1"]).full
    assert len(overlay.digest) == 64 and not list(tmp_path.glob("__pycache__"))


def test_the_seed_reaches_the_function_and_the_text_the_digest(tmp_path):
    text = ('def further(seed):\n'
            '    return {"q1": [Case(f"{seed}", lambda f: f.third(3.0 * seed), 1.0 * seed, "", confirms="one")]}')
    first, second = load(tmp_path, text, 5), load(tmp_path, text + "\n", 6)
    assert (first.cases["q1"][0].title, second.cases["q1"][0].title) == ("5", "6")
    assert first.digest != second.digest


@pytest.mark.parametrize("text, words", [
    (None, "--private: expected a folder with a file ex07_thirds.py"),
    ("x = 1", "expected either FURTHER or further(seed), got neither"),
    (f'FURTHER = {{}}\ndef further(seed): return {{}}', "got FURTHER and further"),
    ("FURTHER = [1]", "a dictionary of cases by question, got list"),
    ('FURTHER = {"q1": 3}', "a tuple of Case for q1, got 3"),
    ('FURTHER = {"q1": (3,)}', "a tuple of Case for q1, got (3,)"),
    (f'FURTHER = {{"q9": ({SIX},)}}', "ex07_thirds.py: expected questions among q1, got 'q9'"),
    (f'FURTHER = {{"q1": ({SIX.replace("one", "two")},)}}', "expected confirms= one of 'one', got 'two'"),
    (f'FURTHER = {{"q1": ({SIX.replace("confirms", "points=1, confirms")},)}}', "no points of its own, got points=1"),
    (f'FURTHER = {{"q1": ({SIX.replace("2.0", "5.0")},)}}', "functions pass, got expected 5, got 2"),
    ("\nx = 1 / 0", "ex07_thirds.py: ZeroDivisionError in line 3: division by zero"),
    ("def further(seed):\n    return undefined", "NameError in line 3"),
    ("def (", "SyntaxError in line 2"),
    ("import no_such_module", "ModuleNotFoundError in line 2"),
    ("raise SystemExit(0)", "SystemExit in line 2"),
])
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, words):
    with pytest.raises(ValueError) as error:
        load(tmp_path, text)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="--private: expected an existing folder, got .*none"):
        load_overlay(tmp_path / "none", "07_thirds", (QUESTION,), 0)


def test_tensors_are_compared_as_in_every_case(tmp_path):
    case = 'Case("pair", lambda f: f.third(torch.tensor([3.0, 6.0])), torch.tensor([1.0, 2.0]), "", confirms="one")'
    overlay = load(tmp_path, f'import torch\nFURTHER = {{"q1": ({case},)}}')
    assert torch.equal(overlay.cases["q1"][0].want, torch.tensor([1.0, 2.0]))
