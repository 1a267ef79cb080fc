"""The flag for answers that are written exactly as the published solution."""

from pathlib import Path

import pytest

from rlcourse.grading.copied import published_trees, same_as_published
from rlcourse.grading.exercise import exercise_names, questions
from rlcourse.grading.master import code_sources, read_master

SOLUTIONS = Path(__file__).resolve().parents[1] / "solutions"
NAME = "02_imitation"
PUBLISHED = published_trees(NAME, SOLUTIONS)
CLONE = ("def clone(counts, fallback):\n    total = counts.sum(-1, keepdim=True)\n"
         "    return torch.where(total > 0, counts / total, fallback)")


def flagged(*cells):
    return same_as_published(cells, questions(NAME), PUBLISHED)


@pytest.mark.parametrize("name", exercise_names())
def test_the_solution_itself_is_flagged_and_a_blank_is_not(name):
    master, published = read_master(SOLUTIONS / f"{name}.py"), published_trees(name, SOLUTIONS)
    every = tuple(question.id for question in questions(name))
    assert same_as_published(code_sources(master.solution_cells()), questions(name), published) == every
    assert same_as_published(code_sources(master.blank_cells()), questions(name), published) == ()


@pytest.mark.parametrize("cells", [
    [CLONE],
    ["%matplotlib inline\n" + CLONE],
    [CLONE.replace("    total =", '    "Another text."  # and a comment\n\n    total =')],
    ["def clone(counts, fallback): return 0", CLONE],
    ["def (", "clone(" * 3000, CLONE],
])
def test_the_same_tree_is_flagged(cells):
    assert flagged(*cells) == ("q1",)


@pytest.mark.parametrize("cells", [
    [CLONE.replace("total", "sums")],
    [CLONE, "def clone(counts, fallback): return 0"],
    [CLONE.replace("def clone", "def cloned")],
    ["x = 1\n" * 20_000 + CLONE],
    [],
])
def test_another_tree_or_a_later_definition_is_not(cells):
    assert flagged(*cells) == ()


@pytest.mark.parametrize("hostile", ["(" * 4000, "-" * 49_000 + "1", "clone" + ".a" * 20_000, "1+" * 20_000 + "1",
                                     "\0", "\ud800", "lambda:" * 7000 + "1", "if a: b\n" + "elif a: b\n" * 4000])
def test_source_written_against_the_parser_is_no_flag_and_no_crash(hostile):
    assert flagged("clone\n" + hostile, CLONE) == ("q1",)


def test_without_the_solutions_nothing_is_flagged(tmp_path):
    assert published_trees(NAME, tmp_path) == {}
    assert same_as_published([CLONE], questions(NAME), {}) == ()


def test_a_cell_of_empty_lines_takes_no_time():
    assert same_as_published(["clone )" + "\n" * 49_000], questions(NAME), {"clone": "…"}) == ()
