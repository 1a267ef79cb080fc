"""`rlcourse test`: every check of the course, stage by stage, with a summary at the end.

CI calls the same command; there is no other list of checks.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Two processes of one thread each share the files (a notebook has one kernel, a module sets up once); those that
# tests/conftest.py names together go to the same process. The last stage runs alone: the browser, its server and its
# kernel are three processes already.
_IN_TWO = ("-n", "2", "--dist", "loadfile")

# The interpreter that runs the tests also runs the notebooks, whatever kernel they name; a cell that
# takes two minutes hangs. What may differ between two runs stands in nbval_sanitize.cfg.
_NBVAL = ("--nbval-current-env", "--nbval-cell-timeout=120", "--nbval-sanitize-with=tests/nbval_sanitize.cfg", *_IN_TWO)


@dataclass(frozen=True)
class Stage:
    """One call of pytest: `name` for the reader, `arguments` for pytest, and whether it runs notebooks."""

    name: str
    arguments: tuple[str, ...]
    notebooks: bool = False


FAST = Stage("fast tests", ("-m", "not slow and not browser", *_IN_TWO, "tests"))
STAGES = (
    FAST,
    Stage("slow tests", ("-m", "slow and not browser", *_IN_TWO, "tests")),
    Stage("lectures and solutions print what is stored", ("--nbval", *_NBVAL, "lectures", "solutions"),
          notebooks=True),
    Stage("exercises run blank", ("--nbval-lax", *_NBVAL, "exercises"), notebooks=True),
    Stage("lectures in a browser", ("-m", "browser", "tests")),
)


def run_pytest(stage: Stage) -> int:
    """pytest in a process of its own, its output straight to the terminal; the exit status."""
    command = [sys.executable, "-m", "pytest", "-q", *stage.arguments]
    # Notebooks that are checked remember nothing, and compute where their outputs were computed.
    checking = {"RLCOURSE_DEVICE": "cpu", "RLCOURSE_CHECKING": "1"} if stage.notebooks else {}
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"} | checking).returncode


def selftest(fast: bool = False, run=run_pytest) -> int:
    """Run all stages (or the first alone), also behind a failure, and return 0 if all passed.

    A stage that finds nothing to run has failed: checks that have gone missing must not pass.
    """
    if any(find_spec(package) is None for package in ("pytest", "nbval", "xdist")):
        print("The checking set is not installed.  python3 course.py test  installs it, and so does\n"
              'pip install -e ".[dev]" -c constraints.txt')
        return 1
    stages = (FAST,) if fast else STAGES
    lines, failed, start = [], False, time.monotonic()
    for number, stage in enumerate(stages, 1):
        print(f"\n[{number}/{len(stages)}] {stage.name}:  pytest {' '.join(stage.arguments)}", flush=True)
        begun = time.monotonic()
        status = run(stage)
        failed = failed or status != 0
        verdict = {0: "passed", 5: "FAILED (nothing to run)"}.get(status, f"FAILED (pytest: {status})")
        lines.append(f"  {stage.name:<45} {verdict:<25} {time.monotonic() - begun:6.0f} s")
    print("\n" + "\n".join(lines))
    verdict = "FAILED" if failed else "passed"
    print(f"  {'in all':<45} {verdict:<25} {time.monotonic() - start:6.0f} s", flush=True)
    return int(failed)
