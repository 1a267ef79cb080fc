"""The text masters: what a master gives, and that a broken one is refused by name."""

import pytest

from rlcourse.grading.master import MasterError, Right, Wrong, read_master

MASTER = '''# %% [markdown]
# # 99 Demo

# %%
import torch

# %% q="q1"
def double(x):
    """Twice x."""
    y = x
    ### SOLUTION
    y = y + x
    return y
    ### END


# %% wrong="q1" at_most=2 why="leaks, across: episodes" hint="end of an episode"
def double(x):
    return x

# %% right="q1"
def double(x):
    return 2 * x

# %% tags=["check"]
print(double(2))

# %% q="q2" tags=["unstable-picture"]
def outer(x):
    if x > 0:
        ### SOLUTION
        return 1
        ### END
    return 0

if True:
    ok = 1
    ### SOLUTION
    ok = 2
    ### END
### SOLUTION
slope = 3.0
### END
'''


def write(tmp_path, text):
    path = tmp_path / "99_demo.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_master_holds(tmp_path):
    master = read_master(write(tmp_path, MASTER))
    assert master.name == "99_demo"
    assert [cell.kind for cell in master.cells] == ["markdown", "code", "code", "code", "code"]
    assert list(master.answers) == ["q1", "q2"]
    assert master.wrong == (Wrong("q1", "def double(x):\n    return x", 2, "leaks, across: episodes",
                                   "end of an episode"),)
    assert master.right == (Right("q1", "def double(x):\n    return 2 * x"),)
    assert master.cells[3].tags == ("check",)
    assert master.cells[4].tags == ("unstable-picture",)


def test_the_solution_is_the_answer_without_marker_lines(tmp_path):
    cells = read_master(write(tmp_path, MASTER)).solution_cells()
    assert cells[2].source == 'def double(x):\n    """Twice x."""\n    y = x\n    y = y + x\n    return y'
    assert not any("###" in cell.source for cell in cells)


def test_the_blank_raises_in_functions_and_comments_elsewhere(tmp_path):
    cells = read_master(write(tmp_path, MASTER)).blank_cells()
    assert cells[2].source == ('def double(x):\n    """Twice x."""\n    y = x\n'
                               '    raise NotImplementedError("q1: your code here")')
    assert cells[4].source == ('def outer(x):\n    if x > 0:\n'
                               '        raise NotImplementedError("q2: your code here")\n    return 0\n\n'
                               'if True:\n    ok = 1\n    # q2: your code here\n# q2: your code here')


def test_another_answer_takes_the_place_of_the_solution(tmp_path):
    master = read_master(write(tmp_path, MASTER))
    cells = master.cells_with({"q1": master.wrong[0].source})
    assert cells[2].source == master.wrong[0].source
    assert cells[4].source == master.solution_cells()[4].source
    with pytest.raises(MasterError, match="no question 'q9'; there are q1, q2"):
        master.cells_with({"q9": ""})


@pytest.mark.parametrize("old, new, message", [
    ('    ### END\n\n\n', '\n\n', "answer q1 needs ### SOLUTION … ### END in pairs"),
    ('# %% q="q1"', '# %%', 'cell 3: ### SOLUTION outside an answer cell; mark the cell q="…"'),
    ('at_most=2 ', '', "needs at_most=POINTS, at least 0, got None"),
    ('at_most=2 ', 'at_most="2" ', "needs at_most=POINTS, at least 0, got '2'"),
    (' why="leaks, across: episodes"', '', 'needs why="…"'),
    (' hint="end of an episode"', '', 'needs hint="…"'),
    ('# %% right="q1"', '# %% right="q1" hint="twice"', "hint= belongs to a wrong answer only"),
    ('# %% right="q1"', '# %% right="q7"', "'q7', which has no answer cell"),
    ('# %% q="q2"', '# %% q="q1"', "question 'q1' has two answer cells"),
    ('# %% right="q1"', '# %% right="q1" q="q1"', "marked both q and right"),
    ('# %% right="q1"', '# %% right="q1" point=3', "unknown mark 'point'"),
    ('# %% [markdown]', '# %% [markdown] q="q1"', "q= marks a markdown cell"),
    ('# %% q="q1"', '# %% q="question 1"', "expected a name such as \"q1\", got 'question 1'"),
    ('return y', 'return y +', "the answer of q1 is not Python: line 6"),
    ('    ok = 1\n', '', "the blank of q2 is not Python"),
])
def test_a_broken_master_is_refused_by_name(tmp_path, old, new, message):
    assert old in MASTER
    with pytest.raises(MasterError) as error:
        read_master(write(tmp_path, MASTER.replace(old, new, 1)))
    assert message in str(error.value) and str(error.value).startswith("99_demo.py")
