"""Finding and reading what strangers handed in: nothing is followed, nothing hangs, the others go on."""

import json
import os
import unicodedata

import pytest

from rlcourse.grading.sources import LARGEST, MOST_CELLS, Unreadable, code_cells, names, read_bytes
from rlcourse.grading.submissions import MOST_MARKED, find, printable, submission

KNOWN, FUNCTIONS = ["01_foundations", "02_imitation"], ["clone", "dagger"]
OURS = 'ex = exercise("02_imitation")'


def notebook(*sources, **fields) -> str:
    cells = [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells, **fields})


def place(folder, **files):
    """Write files below a folder: the names have __ for a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def read(folder, student=None):
    found = [each for each in find(folder) if student in (None, each.student)]
    assert len(found) == 1, found
    return submission(found[0], folder, "02_imitation", KNOWN, FUNCTIONS)


# Finding


def test_a_student_is_the_first_folder_or_the_stem_of_a_file(tmp_path):
    for path in ("anna.ipynb", "Bob Blank/deep/er/work.ipynb", "carl.IPYNB", "names.txt", ".hidden/x.ipynb",
                 "__MACOSX/anna.ipynb", "dora/.ipynb_checkpoints/old.ipynb", "dora/new.ipynb", "emil/notes.txt",
                 unicodedata.normalize("NFD", "Zoë/work.ipynb"), "anna/second.ipynb", ".anna.ipynb"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(notebook(OURS))
    found = {each.student: [path.name for path in each.paths] for each in find(tmp_path)}
    assert found == {"Bob Blank": ["work.ipynb"], "Zoë": ["work.ipynb"], "anna": ["second.ipynb", "anna.ipynb"],
                     "carl": ["carl.IPYNB"], "dora": ["new.ipynb"], "emil": []}
    assert list(found) == sorted(found)
    assert read(tmp_path, "emil").reason == "there is no notebook in the folder"


def test_symbolic_links_are_reported_and_never_followed(tmp_path):
    secret, folder = tmp_path / "secret", tmp_path / "class"
    place(secret, **{"work.ipynb": notebook(OURS)})
    place(folder, **{"dora__own.ipynb": notebook(OURS), "emil__notes.txt": ""})
    (folder / "anna.ipynb").symlink_to(secret / "work.ipynb")
    (folder / "bob").symlink_to(secret)
    (folder / "dora/other.ipynb").symlink_to(secret / "work.ipynb")
    (folder / "dora/lib").symlink_to(secret)
    (folder / "emil/all").symlink_to(secret)
    for student in ("anna", "bob", "emil"):
        given = read(folder, student)
        assert not given.notebooks and "symbolic link, which is not followed" in given.reason
    given = read(folder, "dora")
    assert [each.file for each in given.notebooks] == ["dora/own.ipynb"]
    assert "dora/other.ipynb: is a symbolic link" in given.reason and "lib" not in given.reason


def test_a_link_put_in_place_of_a_file_is_not_opened(tmp_path):
    place(tmp_path, **{"a.ipynb": notebook(OURS)})
    found = find(tmp_path)
    (tmp_path / "a.ipynb").rename(tmp_path / "b.txt")
    (tmp_path / "a.ipynb").symlink_to(tmp_path / "b.txt")
    assert "cannot be read" in submission(found[0], tmp_path, "02_imitation", KNOWN, FUNCTIONS).reason


def test_a_pipe_or_a_folder_called_like_a_notebook_hangs_nobody(tmp_path):
    (tmp_path / "anna/x.ipynb").mkdir(parents=True)
    os.mkfifo(tmp_path / "anna/y.ipynb")
    assert read(tmp_path).reason == "anna/y.ipynb: is no plain file"


def test_folders_deeper_than_any_path_may_be(tmp_path):
    (tmp_path / "anna").mkdir()
    here = os.open(tmp_path / "anna", os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    reason = read(tmp_path).reason
    assert "cannot be read: File name too long" in reason and len(reason) < 300


def test_names_become_printable_and_stay_apart():
    assert printable("Zoe\u0308 Müller") == "Zoë Müller" and printable("علي") == "علي"
    assert printable("a\nb\u202ec\udce9\x1b") == "a\\nb\\u202ec\\udce9\\x1b"


# Reading


@pytest.mark.parametrize("content, words", [
    (b"", "is empty"),
    (b" \n", "is empty"),
    (b"{", "not JSON"),
    (b"nonsense", "not JSON"),
    (b"\xff\xfe{\x00}\x00", "not UTF-8"),
    (b"[1, 2]", "JSON of another kind"),
    (b'{"cells": []}', "JSON of another kind"),
    (b"7" * 5000, "not JSON"),
    (b"[" * 200_000, "nested too deeply"),
    (b'{"nbformat": 3, "worksheets": []}', "another format than 4"),
    (b'{"nbformat": true, "cells": []}', "another format than 4"),
    (b'{"nbformat": 4}', "cells are missing"),
    (b'{"nbformat": 4, "cells": {"a": 1}}', "cells are missing"),
    (b'{"nbformat": 4, "cells": [3]}', "cells are missing"),
    (notebook(7).encode(), "source of a cell is no text"),
    (notebook(["x", 7]).encode(), "source of a cell is no text"),
    (notebook({"a": 1}).encode(), "source of a cell is no text"),
    (notebook(*[""] * (MOST_CELLS + 1)).encode(), f"at most {MOST_CELLS}"),
])
def test_a_file_that_is_no_sound_notebook_says_why(content, words):
    with pytest.raises(Unreadable, match=words) as error:
        code_cells(content)
    assert "\n" not in str(error.value)


def test_the_sources_of_code_cells_are_text():
    cells = [{"cell_type": "markdown", "source": 7}, {"cell_type": "code", "source": ["a = 1\n", "b = 2"]},
             {"cell_type": "code"}, {"cell_type": ["code"], "source": "no"}, {"cell_type": "code", "source": "\ud800"}]
    content = notebook(cells=cells, metadata={"deep": [[[[]]]], "number": 1e999}).encode()
    assert code_cells(content) == code_cells(b"\xef\xbb\xbf" + content) == ("a = 1\nb = 2", "", "\ud800")


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "big.ipynb", "wb") as file:
        file.truncate(10 * LARGEST)
    assert read(tmp_path).reason == "big.ipynb: is too large: 200 MB, at most 20 MB are read (clear the outputs)"


def test_a_file_without_rights_is_unreadable(tmp_path, monkeypatch):
    place(tmp_path, **{"anna.ipynb": notebook(OURS)})

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unreadable, match="cannot be read: Permission denied"):
        read_bytes(tmp_path / "anna.ipynb")


# Choosing


@pytest.mark.parametrize("source, named", [
    ('ex = exercise("02_imitation")', ["02_imitation"]),
    ("ex=rlcourse.grading.exercise( name = '02_imitation', namespace=None)", ["02_imitation"]),
    ('# exercise("02_imitation")', []),
    ('exercise("09_unknown")', []),
    ('my_exercise("02_imitation")', []),
    ("exercise(name)", []),
    ('exercise("01_foundations")\nexercise("02_imitation")', ["01_foundations", "02_imitation"]),
])
def test_a_notebook_names_its_exercises(source, named):
    assert names([source, "x = 1"], KNOWN) == named


def test_only_notebooks_for_the_exercise_are_kept(tmp_path):
    place(tmp_path, **{"anna__1.ipynb": notebook('exercise("01_foundations")', "def clone(): 1"),
                       "anna__2.ipynb": notebook(OURS), "anna__3.ipynb": notebook("def clone(): 1"),
                       "anna__4.ipynb": notebook("print('a poem')"), "anna__5.ipynb": "{",
                       "anna__6.ipynb": notebook(OURS, 'exercise("01_foundations")')})
    given = read(tmp_path)
    assert [each.file for each in given.notebooks] == [f"anna/{n}.ipynb" for n in (2, 3, 6)]
    assert given.reason == "anna/5.ipynb: is no notebook: not JSON" and given.file == "anna/2.ipynb"


def test_the_notebook_of_another_exercise_is_not_graded_and_says_so(tmp_path):
    place(tmp_path, **{"anna.ipynb": notebook('exercise("01_foundations")'), "bob.ipynb": notebook("1 + 1")})
    assert read(tmp_path, "anna").reason == "anna.ipynb: is for exercise 01_foundations"
    assert "has none of the functions of 02_imitation: another notebook?" in read(tmp_path, "bob").reason


def test_nobody_is_marked_a_hundred_times(tmp_path):
    place(tmp_path, **{f"anna__{n}.ipynb": notebook(OURS) for n in range(MOST_MARKED + 1)})
    given = read(tmp_path)
    assert not given.notebooks and given.reason.startswith(f"{MOST_MARKED + 1} notebooks for this exercise, at most")


def test_the_digest_changes_with_every_file_and_only_then(tmp_path):
    place(tmp_path, **{"anna__1.ipynb": notebook(OURS), "anna__2.ipynb": "{"})
    before = read(tmp_path).digest
    assert read(tmp_path).digest == before
    place(tmp_path, **{"anna__2.ipynb": notebook(OURS)})
    assert read(tmp_path).digest != before
