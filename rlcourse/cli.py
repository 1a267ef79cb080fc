"""The command `rlcourse`: each sub-command is one call into the module that does the work."""

import argparse


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

    command(doctor, "say what is installed, what is missing, and the command that mends it")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 when all is well."""
    options = parser().parse_args(arguments)
    return options.function(options)
