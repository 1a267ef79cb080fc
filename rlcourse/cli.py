"""The command `rlcourse`: each sub-command is one call into the module that does the work."""

import argparse
import io
import os
import sys


def lab(options: argparse.Namespace) -> int:
    """Open the course in JupyterLab."""
    from rlcourse.lab import lab

    return lab(port=options.port, browser=options.browser, launch=options.launch)


def test(options: argparse.Namespace) -> int:
    """Run the checks."""
    from rlcourse.selftest import selftest

    return selftest(fast=options.fast)


def build(options: argparse.Namespace) -> int:
    """Make the notebooks, or check that they are made."""
    from rlcourse.grading.build import build

    return build(only=options.only, check=options.check, student_bundle=options.student_bundle)


def check(options: argparse.Namespace) -> int:
    """Mark one notebook in a box, as an instructor would."""
    if not _has_processes_to_lock("check"):
        return 2
    from rlcourse.grading.check import check

    return check(options.notebook, exercise=options.exercise, seed=options.seed, isolation=options.isolation,
                 limits=_limits(options))


def grade(options: argparse.Namespace) -> int:
    """Mark the notebooks of a class."""
    if not _has_processes_to_lock("grade"):
        return 2
    from rlcourse.grading.grade import grade

    return grade(options.folder, exercise=options.exercise, seed=options.seed, out=options.out,
                 private=options.private, isolation=options.isolation,
                 require_isolation=options.require_isolation, limits=_limits(options))


def doctor(options: argparse.Namespace) -> int:
    """Say what is installed and what is missing."""
    from rlcourse.doctor import doctor

    return doctor()


def parser() -> argparse.ArgumentParser:
    """The command line. Modules are imported by the sub-command that needs them, so --help is quick."""
    top = argparse.ArgumentParser(prog="rlcourse",
                                  description="An interactive course on deep reinforcement learning.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(function, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(function.__name__, help=text, description=text)
        added.set_defaults(function=function)
        return added

    opened = command(lab, "open the course in JupyterLab, on your own copies in work/")
    opened.add_argument("--port", type=int, default=8888, help="the first port to try (default: 8888)")
    opened.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")
    opened.add_argument("--no-launch", dest="launch", action="store_false", help="only prepare work/")

    checked = command(test, "run every check of the course, as CI does")
    checked.add_argument("--fast", action="store_true", help="only the fast tier, about a minute")

    built = command(build, "make the notebooks from their text masters")
    built.add_argument("--only", metavar="NAME", help="only this lecture or exercise, e.g. 02_imitation")
    built.add_argument("--check", action="store_true", help="write nothing; fail if one is out of date")
    built.add_argument("--student-bundle", action="store_true", help="a zip without solutions, to hand out")

    marked = command(check, "mark a notebook in a process of its own, as an instructor would")
    marked.add_argument("notebook", metavar="NOTEBOOK", help="e.g. work/02_imitation_exercise.ipynb")
    marked.add_argument("--exercise", metavar="NAME", help="if the notebook does not name it, e.g. 02_imitation")
    marked.add_argument("--seed", type=int, default=0, help="of the cases with other numbers (default: 0)")

    graded = command(grade, "mark the notebooks of a class of strangers")
    graded.add_argument("folder", metavar="FOLDER", help="a notebook, or a folder, for each student")
    graded.add_argument("--exercise", metavar="NAME", required=True, help="e.g. 02_imitation")
    graded.add_argument("--seed", type=int, required=True, help="of the cases with other numbers: a secret")
    graded.add_argument("--out", required=True, help="a folder for marks: new, or of an earlier run")
    graded.add_argument("--private", metavar="DIR", help="a folder with cases of your own")
    graded.add_argument("--require-isolation", action="store_true", help="refuse to run without a sandbox")
    for added in (marked, graded):
        added.add_argument("--isolation", default="auto", choices=("auto", "bubblewrap", "landlock", "plain"),
                           help="how students' code is kept apart (default: the best that works here)")
        added.add_argument("--seconds", type=_seconds, default=10.0,
                           help="for one cell or call; a notebook has 12 times as long (default: 10)")

    command(doctor, "say what is installed, what is missing, and the command that mends it")
    return top


def _has_processes_to_lock(command: str) -> bool:
    """Whether this is a system whose processes can be limited and ended for certain; says so if not."""
    if os.name != "posix":
        print(f"rlcourse {command}: needs Linux or macOS, on Windows WSL; ex.check in a notebook works everywhere")
    return os.name == "posix"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and up to 3600, got {text}")
    return seconds


def _limits(options: argparse.Namespace):
    from rlcourse.grading.limits import Limits

    return Limits(seconds=options.seconds, notebook=12 * options.seconds)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 when all is well."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a name or an error of a student may hold what a terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return options.function(options)
