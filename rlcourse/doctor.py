"""`rlcourse doctor`: what this computer has, what is missing, and the command that mends it."""

import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Finding:
    """One line of the report. `remedy` is empty when all is well; `needed`: lessons fail without it."""

    subject: str
    found: str
    remedy: str = ""
    needed: bool = True


def examine(root: Path = ROOT) -> list[Finding]:
    """Everything that doctor reports, in order."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = (root / "constraints.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", constraints, re.MULTILINE))
    return [*_computer(root), *_device(),
            *_packages(project["dependencies"], pins, "python3 course.py lab", needed=True),
            *_packages(project["optional-dependencies"]["dev"], pins, "python3 course.py test", needed=False),
            *_course(root)]


def _computer(root: Path) -> Iterator[Finding]:
    here = sys.version_info[:2]
    yield Finding("Python", f"{platform.python_version()} ({sys.executable})",
                  "" if (3, 11) <= here <= (3, 13) else "python3.12 course.py lab   (or 3.11, or 3.13)")
    yield Finding("system", f"{platform.system()} {platform.release()} on {platform.machine()}, "
                            f"{os.cpu_count()} cores")
    memory = memory_gb()
    if memory is not None:
        yield Finding("memory", f"{memory:.1f} GB",
                      "" if memory >= 3 else "close other programs: a lecture takes 1 GB", needed=False)
    free = shutil.disk_usage(root).free / 1e9
    yield Finding("disk", f"{free:.1f} GB free",
                  "" if free > 0.5 else "make room, or notebooks cannot be saved")


def memory_gb() -> float | None:
    """The computer's memory in GB; None where the system does not say."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9


def _device() -> Iterator[Finding]:
    """What torch can compute on. torch is imported here only: the report must appear without it too."""
    if find_spec("torch") is None:
        return
    try:
        import torch

        from rlcourse.core.device import choose, chosen
        yield Finding("device", f"{choose(chosen())} (choice: {chosen()}; CUDA {torch.cuda.is_available()}, "
                                f"MPS {torch.backends.mps.is_available()})")
    except (ImportError, OSError) as error:  # installed, but its libraries do not load
        yield Finding("device", f"torch does not start: {error}",
                      "delete the folder .venv, then: python3 course.py lab")
    except ValueError as error:  # RLCOURSE_DEVICE is set to something unknown
        yield Finding("device", str(error), "unset RLCOURSE_DEVICE")


def _packages(names: list[str], pins: dict[str, str], remedy: str, needed: bool) -> Iterator[Finding]:
    for name in names:
        try:
            have = version(name)
        except PackageNotFoundError:
            yield Finding(name, "missing", remedy, needed)
            continue
        same = have.partition("+")[0] == pins[name]
        yield Finding(name, have if same else f"{have}, where the course is checked with {pins[name]}",
                      "" if same else remedy, needed=False)


def _course(root: Path) -> Iterator[Finding]:
    notebooks = len(list(root.glob("lectures/*.ipynb"))) + len(list(root.glob("exercises/*.ipynb")))
    yield Finding("notebooks", f"{notebooks} lectures and exercises", "" if notebooks else "rlcourse build")
    work = root / "work"
    if not work.exists():
        yield Finding("work/", "not made yet", "rlcourse lab", needed=False)
    elif os.access(work, os.W_OK):
        yield Finding("work/", "your copies")
    else:
        yield Finding("work/", "cannot be written to", f"chmod -R u+w {work}")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield Finding("Chromium", browser or "not found (only the browser tests use it)",
                  "" if browser else "sudo apt install chromium", needed=False)


def doctor(root: Path = ROOT) -> int:
    """Print the report; 1 if something is missing that the lessons need, else 0."""
    findings = examine(root)
    for finding in findings:
        mark = "   " if not finding.remedy else "!! " if finding.needed else " ! "
        print(f"{mark}{finding.subject:<12} {finding.found}")
        if finding.remedy:
            print(f"{'':<16}→ {finding.remedy}")
    broken = [finding.subject for finding in findings if finding.remedy and finding.needed]
    print("\n" + (f"Not ready: {', '.join(broken)}." if broken else "All that the lessons need is here."))
    return int(bool(broken))
