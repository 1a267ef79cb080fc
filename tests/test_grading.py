"""What a student meets: hints for the frequent slips, scores, demos, and functions kept for later."""

import json
from dataclasses import replace

import pytest
import torch

from rlcourse.grading import exercise, hints, silent
from rlcourse.grading.answers import Answers, Missing, Unusable
from rlcourse.grading.cases import Case, Question, mark, run_case
from rlcourse.grading.compare import describe, difference, plain
from rlcourse.grading.exercise import Exercise
from rlcourse.grading.mine import needed_source
from rlcourse.grading.report import OTHER_NUMBERS, Report, marked


def thirds(x):
    return x / 3


QUESTION = Question(
    "q1", "A third", "I1", {"third": thirds}, difficulty=1, importance=1, minutes=1,
    values=(Case("one", lambda f: f.third(torch.tensor([3.0])), torch.tensor([1.0]), "Divide by three.",
                 points=1, by_hand=True),
            Case("two by two", lambda f: f.third(torch.tensor([[3.0, 6], [9, 12], [0, 3]])),
                 torch.tensor([[1.0, 2], [3, 4], [0, 1]]), "Divide by three.", points=2,
                 mistakes=((torch.tensor([[9.0, 18], [27, 36], [0, 9]]), "You multiply by three."),))),
    properties=(Case("zero stays zero", lambda f: f.third(torch.zeros(2)), torch.zeros(2), "0/3 = 0.",
                     points=1),),
    seeded=lambda seed: [Case("random", lambda f: f.third(torch.tensor([float(seed + 1)])),
                              torch.tensor([(seed + 1) / 3]), "Divide by three.", confirms="one")],
)


def report_of(function, seed=None) -> Report:
    return mark(QUESTION, Answers({"third": function}), seed)


def test_a_right_answer_in_any_of_its_forms():
    for right in (thirds, lambda x: (x / 3).tolist(), lambda x: (x / 3).numpy(), lambda x: iter(x / 3),
                  lambda x: (x.requires_grad_() / 3)):
        assert report_of(right, seed=7).full, report_of(right, seed=7)
    assert report_of(thirds).earned == QUESTION.points == 4


@pytest.mark.parametrize("wrong, words", [
    (lambda x: None, "does every way through it end with `return`"),
    (lambda x: 3 * x, "You multiply by three."),
    (lambda x: x / 2, "Divide by three."),
    (lambda x: (x / 3).unsqueeze(-1), "An axis of length 1 is left over"),
    (lambda x: (x / 3).T if x.ndim == 2 else x / 3, "The axes are exchanged"),
    (lambda x: torch.cat([x, x]) / 3, "The shape is not right"),
    (lambda x: x / 3 + 0 * torch.log(x - 3), "NaN or infinity"),
    (lambda x: "a third", hints.TYPE),
    (lambda x: object(), "got an object of type object"),
    (lambda x: x / 3 if x > 0 else x, "An `if` (or `and`"),
    (lambda x: x / torch.ones(4, 5), "Two shapes do not line up"),
    (lambda x: x @ torch.ones(7, 7), "A product of shapes that do not fit"),
    (lambda x: x @ torch.ones(x.shape[-1], 1, dtype=torch.float64), "float32 met float64"),
    (lambda x: torch.einsum("ij,jk,kl->il", x, x), "A product of shapes that do not fit"),
    (lambda x: x[0.5], "An index must be a whole number"),
    (lambda x: x[torch.tensor([0.5])], "An index must be a whole number"),
    (lambda x: x[99], "An index lies outside its axis"),
    (lambda: 0, "keep the `def` line as printed"),
    (lambda x, y: 0, "keep the `def` line as printed"),
    (lambda x: torch.exp(3), "That torch function wants a tensor"),
    (lambda x: torch.pow(3.0, 2), "That torch function wants a tensor"),
    (lambda x: x + None, "Something is None"),
    (lambda x: None.sum(), "Something is None"),
    (lambda x: (3.0).sum(), "treated like a tensor"),
    (lambda x: 1 / 0, "A division by zero"),
    (lambda x: thurd(x), "That name is unknown"),  # noqa: F821
    (lambda x: x.no_such_method(), "Your code stopped with an error"),
])
def test_each_frequent_slip_has_its_own_hint(wrong, words):
    report = report_of(wrong)
    assert words in repr(report) and report.earned < 4
    assert report.earned == 0 or report.results[0].passed


def test_a_variable_without_a_value_and_a_call_without_end():
    def unset(x):
        y = y + x  # noqa: F821
        return y

    def endless(x):
        return endless(x)

    assert "used before it has a value" in repr(report_of(unset))
    assert "calls itself without end" in repr(report_of(endless))


def test_an_interrupt_is_the_students_and_goes_through():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report_of(interrupted)


def test_the_line_of_an_error_is_shown_from_the_students_own_code(tmp_path):
    path = tmp_path / "cell.py"
    path.write_text("def third(x):\n    y = x\n    return y.missing  # here\n")
    namespace = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    assert "in the line   return y.missing  # here" in repr(mark(QUESTION, Answers(namespace)))


def test_no_function_no_answer_and_a_name_used_for_something_else():
    assert repr(mark(QUESTION, Answers({}))) == (
        "q1 A third: there is no function `third` yet: has the cell with your answer run without an error?")

    def blank(x):
        raise NotImplementedError("q1: your code here")

    assert repr(report_of(blank)) == "q1 A third: not answered yet"
    assert report_of(blank)._repr_html_() == "<p><strong>q1 A third: not answered yet</strong></p>"
    assert "`third` is not a function here" in repr(mark(QUESTION, Answers({"third": 3})))
    with pytest.raises(Missing):
        Answers({}).third(1)
    with pytest.raises(Unusable):
        Answers({"third": None}).third(1)


def test_of_several_mistakes_that_fit_a_case_the_one_that_fits_most_cases_is_told():
    """2 + 2 = 2 · 2: the first case alone cannot tell a sum from a product."""
    cases = tuple(Case(f"{a} and {b}", lambda f, a=a, b=b: f.power(a, b), a**b + 1, "…", points=1,
                       mistakes=((a + b, "A sum."), (a * b, "A product."), (a**b, "Add 1.")))
                  for a, b in ((2, 2), (3, 2), (2, 3)))
    question = replace(QUESTION, values=cases, properties=(), seeded=lambda seed: ())
    for wrong, hint in ((lambda a, b: a + b, "A sum."), (lambda a, b: a * b, "A product."),
                        (lambda a, b: a**b, "Add 1.")):
        assert {result.hint for result in mark(question, Answers({"power": wrong})).results} == {hint}


def test_a_seeded_case_is_told_with_the_same_mistake_as_a_visible_one():
    """The numbers shown of the first case are right by chance."""
    first = Case("2 and 2", lambda f: f.power(2, 2), 4, "…", points=1, mistakes=((9, "A sum."),))
    second = replace(first, title="3 and 2", call=lambda f: f.power(3, 2), want=9,
                     mistakes=((6, "A product."), (5, "A sum.")))
    seeded = replace(first, confirms="2 and 2", call=lambda f: f.power(2, 3), want=8,
                     mistakes=((6, "A product."), (5, "A sum.")))
    question = replace(QUESTION, values=(first, second), properties=(), seeded=lambda seed: [seeded])
    results = mark(question, Answers({"power": lambda a, b: a + b}), seed=0).results
    assert [result.hint for result in results] == [f"{OTHER_NUMBERS} A sum.", "A sum."]
    assert [result.on_others for result in results] == [True, False]
    assert [result.mistake for result in results] == ["A sum."] * 2


def test_property_cases_wait_for_the_value_cases():
    """An answer that gives back its argument has the property, and earns nothing for it."""
    same = report_of(lambda x: x)
    assert same.earned == 0
    assert [result.status for result in same.results] == ["failed", "failed", "waiting"]
    assert report_of(thirds).results[2].passed


def test_seeded_cases_confirm_and_never_show_their_numbers():
    def by_heart(x):
        return x / 3 if x.numel() > 1 or x.item() == 3 else x

    assert report_of(by_heart).full
    graded = report_of(by_heart, seed=40)
    assert [result.status for result in graded.results] == ["failed", "passed", "waiting"]
    assert graded.earned == 2
    assert "Right on the numbers shown, wrong on others. Divide by three." in repr(graded)
    assert "41" not in repr(graded) and "13.6" not in repr(graded)
    assert report_of(by_heart, seed=2).full  # the number that it knows


def test_further_cases_confirm_as_well_and_must_say_what():
    """An instructor's own cases."""
    def until_hundred(x):
        return x.clamp(max=100) / 3

    own = Case("large", lambda f: f.third(torch.tensor([300.0])), torch.tensor([100.0]), "Any size.",
               confirms="one")
    assert mark(QUESTION, Answers({"third": thirds}), 0, [own]).full
    assert report_of(until_hundred, seed=0).full
    assert mark(QUESTION, Answers({"third": until_hundred}), 0, [own]).earned == 2
    with pytest.raises(ValueError, match="confirms: expected the title of a case of q1, got 'two'"):
        mark(QUESTION, Answers({}), 0, [replace(own, confirms="two")])


def test_an_answer_that_writes_into_its_arguments_spoils_no_other_case():
    want = torch.tensor([1.0])
    shared = torch.tensor([3.0])
    question = Question("q1", "", "", {"third": thirds}, 1, 1, 1, values=tuple(
        Case(title, lambda f: f.third(shared), want, "", points=1) for title in ("first", "second")))
    assert mark(question, Answers({"third": lambda x: x.div_(3)})).full
    assert shared.item() == 3.0


def test_an_odd_answer_costs_its_case_only():
    question = Question("q1", "", "", {"third": thirds}, 1, 1, 1, values=(
        Case("breaks", lambda f: f.third(torch.ones(2)).sum(-1), 2 / 3, "", points=1),
        Case("fine", lambda f: f.third(torch.ones(2)), [1 / 3, 1 / 3], "", points=1)))
    report = mark(question, Answers({"third": lambda x: [1 / 3, 1 / 3]}))
    assert [result.status for result in report.results] == ["failed", "passed"]


def test_reports_are_the_same_in_text_and_html_and_escape_what_students_write():
    def hostile(x):
        raise ValueError("<script>alert(1)</script>")

    html = report_of(hostile)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    report = report_of(lambda x: 3 * x)
    html = report._repr_html_()
    for line in repr(report).splitlines():
        assert line.strip().split(" ", 1)[-1] in html.replace("&#x27;", "'")
    assert repr(report).count("You multiply by three.") == 1
    assert repr(report_of(lambda x: x / 2)).count("Divide by three.") == 1  # two cases, one explanation


def test_values_that_would_take_the_comparison_for_ever_or_break_it():
    assert difference(10**400, 1.0).kind == "nan" and difference([1, -10**400], torch.ones(2)).kind == "nan"
    rows_of_nothing = torch.zeros(10**7, 0)  # no bytes to send, but ten million rows to write down
    assert describe(rows_of_nothing) == describe([rows_of_nothing])[1:-1] == "tensor of shape [10000000, 0]"


def test_differences():
    assert difference(1, 1.0) is None and difference(True, torch.tensor(True)) is None
    assert difference([1, [2.0, 3]], [1, [2, 3]]) is None
    assert difference(torch.nan, torch.nan) is None and difference(torch.nan, 1.0).kind == "nan"
    assert difference(1 + 1e-4, 1.0).kind == "value"
    assert difference("text", 1.0).kind == "type" and difference([1, "a"], torch.ones(2)).kind == "type"
    assert difference([torch.ones(2)], torch.ones(2)).kind == "shape"
    assert difference([1.0], [1.0, 2.0]).text == "expected a list of 2, got 1 items"
    second = difference([torch.ones(2), torch.zeros(3)], [torch.ones(2), torch.ones(3)])
    assert second.text.startswith("item 1: ")
    assert difference(3, [1.0]).kind == "type"
    named = {"state": torch.ones(2), "goal": torch.zeros(2)}
    assert difference(dict(named), named) is None and difference([1.0], named).kind == "type"
    assert difference({**named, "goal": torch.ones(2)}, named).text == "goal: expected [0, 0], got [1, 1]"
    assert difference({"state": torch.ones(2)}, named).text == "expected a list of 2, got 1 items"
    assert difference("a", "a") is None and difference("a", "b").kind == "value"
    big = torch.zeros(20, 20)
    off = big.clone()
    off[3, 4] = 2.5
    assert difference(off, big).text == "at [3, 4]: expected 0, got 2.5"


def test_the_wrong_shape_of_one_of_several_values_gets_the_hint_of_its_case():
    """Which axis is wrong cannot be told from the list as a whole."""
    for got, want in (([torch.ones(2), torch.ones(1)], [torch.ones(2), torch.ones(3)]),
                      ({"goal": torch.ones(1)}, {"goal": torch.ones(3)})):
        case = Case("several", lambda f, got=got: got, want, "Three goals.", points=1)
        assert run_case(case, Answers({})).hint == "Three goals."


def test_descriptions_are_short_and_without_addresses():
    assert describe(torch.tensor([[1.0, 0.25]])) == "[[1, 0.25]]"
    assert describe(torch.zeros(50, 50)) == "tensor of shape [50, 50]"
    assert describe([1, None, "a", True]) == "[1, None, 'a', True]"
    assert describe(object()) == "an object of type object" and describe(thirds) == "thirds"
    assert plain((1, torch.ones(1), {"a": [2]}))[2] == {"a": [2]}


# The student's folder: progress and functions kept for later

SOURCE = ["import torch", "from math import sqrt as root\nBROKEN = 1 +", "from math import sqrt as root",
          "SCALE = 1 / 2\nTHREE = 3", "def old(x):\n    return x",
          "def helper(x):\n    return x / THREE", "import os  # not needed",
          "def third(x):\n    # a comment\n    return helper(x) * root(1)"]


def student(namespace_source=SOURCE) -> Exercise:
    namespace = {"In": ["", *namespace_source]}
    for cell in namespace_source:
        try:
            exec(cell, namespace)
        except SyntaxError:
            continue
    return Exercise("99_demo", (QUESTION,), namespace)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A student sits in the folder work/."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RLCOURSE_CHECKING", raising=False)
    monkeypatch.delenv("RLCOURSE_WORK", raising=False)
    return folder


def progress(work):
    return json.loads((work / "progress.json").read_text())["exercises"]["99_demo"]


def test_scores_are_shown_and_the_best_is_remembered(work):
    (work / "progress.json").write_text('{"exercises": {"01_other": {"q1": {"earned": 2, "points": 2}}}}')
    ex = student()
    assert repr(ex) == "exercise 99_demo: 1 questions, 4 points"
    assert ex.check("q1").full
    assert repr(ex.score()) == "99_demo: 4 of 4 points\n  ✓ q1 A third (I1, 1 min): 4 of 4"
    assert "4 of 4" in ex.score()._repr_html_()
    assert progress(work) == {"q1": {"earned": 4, "points": 4}}
    ex.namespace["third"] = lambda x: x
    assert ex.score().earned == 0 and progress(work)["q1"]["earned"] == 4
    assert json.loads((work / "progress.json").read_text())["exercises"]["01_other"]["q1"]["earned"] == 2


def test_a_passing_function_is_kept_with_what_it_needs_and_used_later(work, capsys):
    assert student().check("q1").full
    text = (work / "mine" / "99_demo" / "q1.py").read_text()
    assert text.split("\n", 1)[1] == (
        "from math import sqrt as root\nTHREE = 3\ndef helper(x):\n    return x / THREE\n"
        "def third(x):\n    # a comment\n    return helper(x) * root(1)\n")
    later = Exercise("99_demo", (QUESTION,), {})
    mine = later.mine("third")
    assert mine is not thirds and mine(6.0) == 2.0 and capsys.readouterr().out == "third: yours\n"


def test_what_does_not_pass_on_its_own_is_not_kept_and_the_librarys_is_used(work, capsys):
    leaning = ["trained = dict(three=3)", "def third(x):\n    return x / trained['three']"]
    assert student(leaning).check("q1").full
    assert not (work / "mine").exists()
    ex = student()
    assert ex.mine("third") is thirds
    assert "the library's" in capsys.readouterr().out
    ex.check("q1")
    kept = work / "mine" / "99_demo" / "q1.py"
    for spoilt in (kept.read_text().replace("THREE = 3", "THREE = 4"), "raise SystemError", "def third(:"):
        kept.write_text(spoilt)
        assert ex.mine("third") is thirds
        assert "passes no more" in capsys.readouterr().out


def test_a_failing_answer_never_replaces_a_kept_one(work):
    student().check("q1")
    kept = (work / "mine" / "99_demo" / "q1.py").read_text()
    student(["def third(x):\n    return x"]).check("q1")
    assert (work / "mine" / "99_demo" / "q1.py").read_text() == kept


def test_nothing_is_remembered_in_builds_tests_and_grading(work, monkeypatch, capsys):
    student().check("q1")
    before = {path.name for path in work.rglob("*")}
    monkeypatch.setenv("RLCOURSE_CHECKING", "1")
    (work / "progress.json").unlink()
    ex = student()
    assert ex.check("q1").full and ex.score().earned == 4
    assert ex.mine("third") is thirds  # although one is kept
    assert {path.name for path in work.rglob("*")} == before - {"progress.json"}
    monkeypatch.delenv("RLCOURSE_CHECKING")
    monkeypatch.chdir(work.parent)
    assert ex.check("q1").full and ex.mine("third") is thirds
    assert not (work.parent / "progress.json").exists() and not (work.parent / "mine").exists()


def test_needed_source_takes_the_latest_definition_and_star_imports():
    used = ["from math import *", "@cache\ndef f():\n    return g()", "def g():\n    return pi"]
    cells = [used[0], "def f():\n    return 1", *used[1:]]
    assert needed_source(cells, ["f"]) == "\n".join(used) + "\n"


def test_a_demonstration_opens_only_when_its_question_is_right(capsys):
    ex = student()
    assert ex.demo("q1", lambda: "the picture") == "the picture"
    ex.namespace["third"] = lambda x: x
    assert ex.demo("q1", lambda: 1 / 0) is None
    assert capsys.readouterr().out == "This opens when q1 is right: ex.check('q1') says what is missing.\n"


def test_unknown_names_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"name: expected one of .*02_imitation.*, got '99_nothing'"):
        exercise("99_nothing")
    with pytest.raises(ValueError, match=r"id: expected one of q1, got 'q9'"):
        student().check("q9")
    with pytest.raises(ValueError, match=r"id: expected one of q1, got 'q9'"):
        student().demo("q9", thirds)
    with pytest.raises(ValueError, match=r"function: expected one of third, got 'fourth'"):
        student().mine("fourth")


def test_an_exercise_finds_the_functions_of_the_running_program(monkeypatch):
    import __main__
    monkeypatch.setattr(__main__, "clone", lambda counts, fallback: None, raising=False)
    assert "`return`" in repr(exercise("02_imitation").check("q1"))


def test_the_silent_exercise_takes_the_same_calls():
    quiet = silent.exercise("99_demo")
    assert quiet.check("q1") is None and quiet.score() is None and quiet.mine("third") is None
    assert quiet.demo("q1", lambda: 1 / 0) is None
    assert _calls(Exercise) == _calls(silent.Silent)


def _calls(kind):
    return {name for name, member in vars(kind).items() if callable(member) and not name.startswith("_")}


def test_a_hint_is_escaped_has_code_and_words_that_are_stressed():
    assert marked("`a*b*c` <b> *now* and *two words*, 2 * 3 * 4, x*y*z") == (
        "<code>a*b*c</code> &lt;b&gt; <em>now</em> and <em>two words</em>, 2 * 3 * 4, x*y*z")
