"""The rules that every exercise keeps: solutions earn everything, blanks nothing, wrong answers little.

Every master in solutions/ is run as a student's notebook would be, with its checks kept silent. Then
the answers of one question at a time are exchanged and marked, with seeded cases and without.
"""

import ast
import re
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import rlcourse.grading
import rlcourse.notebook
from rlcourse.algorithms import behaviour_cloning, camera_imitation
from rlcourse.algorithms.dagger import dagger
from rlcourse.core.seeding import generator, uniforms
from rlcourse.envs.car import Car
from rlcourse.envs.experts import car_expert
from rlcourse.grading import silent
from rlcourse.grading.answers import Answers, Missing, Unanswered
from rlcourse.grading.cases import mark, run_case
from rlcourse.grading.checks import imitation_dagger
from rlcourse.grading.compare import describe, difference, plain
from rlcourse.grading.exercise import exercise_names, questions
from rlcourse.grading.master import code_sources, read_master, solution_source

ROOT = Path(__file__).resolve().parents[1]
MASTERS = {path.stem: read_master(path) for path in sorted(ROOT.glob("solutions/*.py"))}
QUESTIONS = {f"{name}-{question.id}": (name, question) for name in MASTERS for question in questions(name)}
WRONG = {f"{name}-{wrong.question}-{wrong.why}": (name, wrong)
         for name, master in MASTERS.items() for wrong in master.wrong}
RIGHT = {f"{name}-{right.question}-{right.why}": (name, right)
         for name, master in MASTERS.items() for right in master.right}
SEEDS = range(5)

every_question = pytest.mark.parametrize("name, question", QUESTIONS.values(), ids=QUESTIONS)


def namespace_of(cells) -> dict:
    """What a notebook leaves behind, run with start() and the checks silent."""
    namespace = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rlcourse.grading, "exercise", silent.exercise)
        patch.setattr(rlcourse.notebook, "start", lambda: None)
        for source in code_sources(cells):
            exec(source, namespace)
    return namespace


@cache
def solved(name: str) -> dict:
    return namespace_of(MASTERS[name].solution_cells())


def with_answer(name: str, source: str) -> dict:
    """The solution's namespace in which one answer was run again in another form.

    Copied first, so that functions of the solution keep seeing the solution's own helpers.
    """
    namespace = dict(solved(name))
    exec(solution_source(source), namespace)
    return namespace


def touched(name: str, namespace: dict) -> list:
    """The questions of which an answer has replaced a function. The others hold the solution's own, marked below."""
    return [question for question in questions(name)
            if any(namespace.get(each) is not solved(name)[each] for each in question.functions)]


def cases_of(question, seed=0):
    return [*question.values, *question.properties, *question.seeded(seed)]


def test_every_exercise_has_a_master_and_checks_for_each_of_its_answers():
    assert sorted(MASTERS) == exercise_names() and MASTERS
    for name, master in MASTERS.items():
        assert list(master.answers) == [question.id for question in questions(name)]


@pytest.mark.parametrize("name", MASTERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_solution_earns_full_marks(name, seed):
    for question in questions(name):
        assert mark(question, Answers(solved(name)), seed).full, mark(question, Answers(solved(name)), seed)


@every_question
def test_the_library_earns_full_marks_with_its_own_functions(name, question):
    """`ex.mine` hands them out in place of the student's."""
    for seed in SEEDS:
        report = mark(question, Answers(dict(question.functions)), seed)
        assert report.full, report


@pytest.mark.parametrize("name", MASTERS)
def test_the_blank_earns_nothing_and_says_so(name):
    blank = namespace_of(MASTERS[name].blank_cells())
    for question in questions(name):
        report = mark(question, Answers(blank), seed=0)
        assert report.earned == 0 and report.message == "not answered yet"
        nothing = mark(question, Answers({}), seed=0)
        assert nothing.earned == 0 and "there is no function" in nothing.message


@pytest.mark.parametrize("name, wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_loses_points_and_is_told_why(name, wrong):
    namespace = with_answer(name, wrong.source)
    marked = touched(name, namespace)
    assert wrong.question in [question.id for question in marked]
    for question in marked:
        visible = mark(question, Answers(namespace))
        if question.id == wrong.question:
            assert visible.earned <= wrong.at_most < question.points, visible
            assert wrong.hint in repr(visible), visible
            graded = mark(question, Answers(namespace), seed=0)
            assert graded.earned <= visible.earned
        else:
            assert visible.full, visible


@pytest.mark.parametrize("name, right", RIGHT.values(), ids=RIGHT)
def test_another_right_answer_earns_full_marks(name, right):
    namespace = with_answer(name, right.source)
    marked = touched(name, namespace)
    assert right.question in [question.id for question in marked]
    for question in marked:
        for seed in SEEDS if question.id == right.question else SEEDS[:1]:
            report = mark(question, Answers(namespace), seed)
            assert report.full, report


@every_question
def test_a_question_has_two_wrong_answers_and_another_right_one(name, question):
    assert sum(wrong.question == question.id for wrong in MASTERS[name].wrong) >= 2
    assert any(right.question == question.id for right in MASTERS[name].right)


@every_question
def test_every_case_is_failed_by_a_wrong_answer(name, question):
    """A case that all wrong answers pass tests nothing. Here property cases do not wait for the others."""
    answers = [Answers(with_answer(name, wrong.source)) for wrong in MASTERS[name].wrong
               if wrong.question == question.id]
    for case in cases_of(question):
        assert not all(run_case(case, answer).passed for answer in answers), case.title


@every_question
def test_a_question_has_a_value_by_hand_and_its_first_case_too(name, question):
    assert question.values[0].by_hand
    titles = [case.title for case in (*question.values, *question.properties)]
    assert len(set(titles)) == len(titles)
    assert all(case.points > 0 for case in (*question.values, *question.properties))


@every_question
def test_seeded_cases_confirm_every_value_case_with_other_numbers(name, question):
    seeded = list(question.seeded(0))
    assert {case.confirms for case in question.values} == {""}
    assert {case.title for case in question.values} <= {case.confirms for case in seeded}
    assert {case.confirms for case in seeded} <= {
        case.title for case in (*question.values, *question.properties)}
    assert all(case.points == 0 for case in seeded)
    again, other = list(question.seeded(0)), list(question.seeded(1))
    wants, again, other = ([plain(case.want) for case in cases] for cases in (seeded, again, other))
    assert difference(again, wants) is None and difference(other, wants) is not None


def zeros(value):
    """The same nesting of lists and shapes, with nothing in it."""
    if isinstance(value, list):
        return [zeros(entry) for entry in value]
    return torch.zeros_like(torch.as_tensor(value))


def noise(value, random):
    if isinstance(value, list):
        return [noise(entry, random) for entry in value]
    return uniforms(tuple(torch.as_tensor(value).shape), random)


@every_question
@pytest.mark.parametrize("kind", ["none", "first argument", "zeros", "noise"])
def test_a_trivial_answer_earns_at_most_a_quarter(name, question, kind):
    random = generator(0, "noise")
    makers = {"none": lambda function, *args: None,
              "first argument": lambda function, *args: args[0],
              "zeros": lambda function, *args: zeros(plain(function(*args))),
              "noise": lambda function, *args: noise(plain(function(*args)), random)}
    trivial = {each: partial(makers[kind], solved(name)[each]) for each in question.functions}
    report = mark(question, Answers({**solved(name), **trivial}))
    assert report.earned <= question.points / 4, report


@every_question
def test_answers_learnt_by_heart_earn_nothing_when_graded(name, question):
    """The visible values, whatever is asked: right in the notebook, worth nothing with a seed."""
    class ByHeart:
        """Learns the answer to each call, and later repeats what it learnt."""

        def __init__(self):
            self.right, self.asked, self.known, self.learning = Answers(solved(name)), "", {}, True

        def __getattr__(self, function):
            def call(*args):
                self.asked = f"{function}({describe(args)})"
                if self.learning:
                    self.known[self.asked] = getattr(self.right, function)(*args)
                if self.asked in self.known:
                    return self.known[self.asked]
                return noise(getattr(self.right, function)(*args), generator(0, "off"))
            return call

    by_heart = ByHeart()
    assert mark(question, by_heart).full
    by_heart.learning = False
    assert mark(question, by_heart, seed=0).earned == 0


@every_question
def test_the_text_states_what_the_checks_know(name, question):
    header = next(cell.source for cell in MASTERS[name].cells
                  if cell.kind == "markdown" and f"## {question.id} · " in cell.source)
    assert f"## {question.id} · {question.title}\n" in header
    line = (f"*{question.points} points · difficulty {question.difficulty} of 5 · "
            f"importance {question.importance} of 5 · about {question.minutes} minutes · "
            f"topic {question.topic}*")
    assert line in header
    cells = MASTERS[name].cells
    text = "\n".join(cell.source for cell in _section(cells, question.id))
    assert "<summary>Hint</summary>" in text and "<summary>Help, I get this error</summary>" in text
    assert f'ex.check("{question.id}")' in text


def _section(cells, id):
    """The cells from a question's heading to the next one."""
    inside = []
    for cell in cells:
        if cell.kind == "markdown" and re.search(r"^## ", cell.source, re.MULTILINE):
            heading = re.search(r"^## (.*)$", cell.source, re.MULTILINE)[1]
            if inside and not heading.startswith(f"{id} ·"):
                return inside
            inside = [cell] if heading.startswith(f"{id} ·") else []
        elif inside:
            inside.append(cell)
    return inside


@every_question
def test_only_checks_demos_and_definitions_stand_in_an_exercise(name, question):
    """Training and widgets stand inside ex.demo, so that a blank notebook runs in a moment.

    Only a figure that a question is about may stand outside (`curves`), drawn by less than a second's work.
    """
    for source in code_sources(MASTERS[name].solution_cells()):
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                assert ast.unparse(statement.value.func) in (
                    "start", "ex.check", "ex.demo", "ex.score", "curves")


def test_the_curve_of_the_bug_hunt_shows_what_its_text_says():
    """Most rounds are worse than plain cloning, the last is the worst; the right loop ends far below."""
    space = SimpleNamespace(**solved("02_imitation"))
    friends = space.mistakes_by_round(space.friends_dagger).mean(1)
    assert len(friends) == 11 and (friends[1:] > friends[0]).sum() > 5
    assert friends.argmax() == 10
    mended = space.mistakes_by_round(space.dagger).mean(1)
    assert mended[0] == friends[0] and mended[-1] < mended[0] / 4


def test_a_loop_that_gives_a_list_teaches_the_car_as_one_that_yields():
    """The exercise's loop has all its policies before the first is tested: they must not change after."""
    car = Car(time_limit=20)
    config = camera_imitation.Config(rounds=2, steps=20, test_drives=2, hidden=4, cloning=(
        behaviour_cloning.Config(steps=20, learning_rate=0.003, snapshot_every=20)))
    yielded, listed = (
        torch.stack([snapshot.states[-1] for snapshot in camera_imitation.train(
            car, car_expert(car), config, seed=0, runs=2, device="cpu", dagger=loop)])
        for loop in (dagger, solved("02_imitation")["dagger"]))
    assert torch.equal(yielded, listed) and not torch.equal(yielded[0], yielded[2])


def test_the_rules_catch_a_solution_that_breaks_them():
    """Negative control: a blank and a missing function are told apart from a wrong answer."""
    _, question = next(iter(QUESTIONS.values()))
    case = question.values[0]
    with pytest.raises(Missing):
        run_case(case, Answers({}))

    def unanswered(*args):
        raise NotImplementedError

    with pytest.raises(Unanswered):
        run_case(case, Answers(dict.fromkeys(question.functions, unanswered)))


@pytest.mark.parametrize("work", [
    lambda collect, label, fit: fit([(torch.zeros(9, 1).long(), torch.zeros(1, 9).long())]),
    lambda collect, label, fit: fit([(torch.zeros(2, 0), torch.zeros(1))]),
    lambda collect, label, fit: fit([(torch.zeros(1).long(), torch.zeros(1).long())] * 2000),
    lambda collect, label, fit: fit(torch.zeros(9, 2, 1).long()),
    lambda collect, label, fit: label(torch.zeros(2000).long()),
    lambda collect, label, fit: label(torch.zeros(2, 2).long()),
    lambda collect, label, fit: label("012"),
], ids=range(7))
def test_the_helpers_of_the_bug_hunt_do_little_work_for_whoever_calls_them(work):
    with pytest.raises(ValueError, match="expected"):
        work(*imitation_dagger.callbacks(imitation_dagger._SHORT))
