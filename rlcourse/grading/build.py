"""`rlcourse build`: the notebooks, generated from their text masters, executed and normalised.

lectures/NAME.py   → lectures/NAME.ipynb    with outputs
solutions/NAME.py  → solutions/NAME.ipynb   with outputs
                     exercises/NAME.ipynb   blank, without outputs

Nothing else is written. `check` writes and executes nothing: it says which notebooks are no longer
the text of their masters (whether the outputs are right is for nbval and the picture comparison).
"""

import subprocess
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .master import MasterError, read_master
from .notebooks import (NotebookError, NotebookNode, execute, make_notebook, read_notebook, text_difference,
                        write_notebook)

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = "dist/rlcourse-student.zip"
_NOT_FOR_STUDENTS = ("solutions/", "tests/", ".ci/")


@dataclass(frozen=True)
class Target:
    """One notebook that build writes, e.g. exercises/02_imitation.ipynb from solutions/02_imitation.py."""

    source: Path
    notebook: Path

    @property
    def blank(self) -> bool:
        """Whether it is an exercise: answers blanked, never executed."""
        return self.notebook.parent.name == "exercises"


def targets(root: Path = ROOT) -> list[Target]:
    """Every notebook that build writes, in order."""
    lectures = [Target(source, source.with_suffix(".ipynb")) for source in sorted(root.glob("lectures/*.py"))]
    exercises = [Target(source, notebook) for source in sorted(root.glob("solutions/*.py"))
                 for notebook in (root / "exercises" / f"{source.stem}.ipynb", source.with_suffix(".ipynb"))]
    return lectures + exercises


def generate(target: Target) -> NotebookNode:
    """The notebook of a target as its master has it, not executed."""
    master = read_master(target.source)
    return make_notebook(master.name, master.blank_cells() if target.blank else master.solution_cells())


def build(only: str | None = None, check: bool = False, student_bundle: bool = False,
          root: Path = ROOT) -> int:
    """Make the notebooks and return the exit code: 0, or 1 when something is wrong (2: no such name).

    `only`: a name such as "02_imitation"; the others stay as they are. `check`: compare, write nothing.
    `student_bundle`: instead, write the zip for students, without solutions and wrong answers.
    """
    chosen = [target for target in targets(root) if only in (None, target.source.stem)]
    if only is not None and not chosen:
        names = ", ".join(sorted({target.source.stem for target in targets(root)})) or "none yet"
        print(f"no lecture or exercise is called {only!r}; there are: {names}")
        return 2
    if check or student_bundle:
        stale = stale_notebooks(chosen) + (orphans(root) if only is None else [])
        for line in stale:
            print(line)
        if stale:
            print(f"{len(stale)} of the notebooks differ from their sources: run `rlcourse build`")
            return 1
        return write_bundle(root) if student_bundle else 0
    return _build_all(chosen, root)


def stale_notebooks(chosen: list[Target]) -> list[str]:
    """One line for each notebook that is not the text of its master."""
    lines = []
    for target in chosen:
        where = f"{target.notebook.parent.name}/{target.notebook.name}"
        try:
            expected = generate(target)
        except MasterError as error:
            lines.append(f"{where}: {error}")
            continue
        if not target.notebook.exists():
            lines.append(f"{where}: is missing")
            continue
        stored = read_notebook(target.notebook)
        difference = text_difference(stored, expected)
        if not difference and target.blank and stored != expected:
            difference = "has outputs or execution counts, a blank has none"
        if difference:
            lines.append(f"{where}: {difference}")
    return lines


def orphans(root: Path) -> list[str]:
    """One line for each notebook in the three folders that no master generates."""
    known = {target.notebook for target in targets(root)}
    found = [path for folder in ("lectures", "exercises", "solutions")
             for path in sorted((root / folder).glob("*.ipynb"))]
    return [f"{path.parent.name}/{path.name}: has no source" for path in found if path not in known]


def write_bundle(root: Path = ROOT) -> int:
    """Zip the files that git knows, without solutions, tests and the wrong answers in them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode:
        print(f"the student bundle needs a git checkout: {listed.stderr.strip()}")
        return 1
    names = sorted(name for name in listed.stdout.split("\0")
                   if name and not name.startswith(_NOT_FOR_STUDENTS) and (root / name).exists())
    bundle = root / BUNDLE
    bundle.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(root / name, f"rlcourse-student/{name}")
    print(f"{BUNDLE}: {len(names)} files, {bundle.stat().st_size / 1e6:.1f} MB")
    return 0


def _build_all(chosen: list[Target], root: Path) -> int:
    """Build one notebook after the other, with a line for each; a failed one stays as it was."""
    started, failed = time.monotonic(), 0
    for target in chosen:
        begun = time.monotonic()
        print(f"{target.notebook.relative_to(root).as_posix():<40}", end=" ", flush=True)
        try:
            notebook = generate(target)
            notebook = notebook if target.blank else execute(notebook, target.notebook.parent)
        except (MasterError, NotebookError) as error:
            failed += 1
            print(f"FAILED, left as it was\n    {error}")
            continue
        target.notebook.parent.mkdir(exist_ok=True)
        write_notebook(notebook, target.notebook)
        print(f"{time.monotonic() - begun:6.1f} s")
    failures = f", {failed} FAILED" if failed else ""
    print(f"{len(chosen)} notebooks, {time.monotonic() - started:.1f} s{failures}")
    return 1 if failed else 0
