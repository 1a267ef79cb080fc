#!/usr/bin/env python3
"""The course in two commands; only Python 3.11, 3.12 or 3.13 and git must be there before.

    python3 course.py lab      opens the course in JupyterLab
    python3 course.py test     runs every check of the course, as CI does

Both make the environment .venv beside this file, install into it what constraints.txt pins, and
hand over to `rlcourse lab` or `rlcourse test`, along with any further arguments. The second call
starts at once; an interrupted installation goes on where it was; a changed constraints.txt is
noticed; a broken environment is made anew.

    --gpu    take torch with CUDA even where no NVIDIA driver is found (matters on Linux only)

Standard library only, and read by old Pythons too, so that they can say what they lack.
Used on Linux; written for macOS and Windows as well, but untried there.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "rlcourse-installed.json"  # written when an installation is complete, and only then
CONSTRAINTS = ROOT / "constraints.txt"
TARGETS = {"lab": ".", "test": ".[dev]"}  # the run set, and the checking set, which includes it
PYTHONS = ((3, 11), (3, 12), (3, 13))
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own builds without CUDA
CUDA_PACKAGE = re.compile(r"nvidia|cuda|triton")


class Trouble(Exception):
    """Something that the reader can mend; the message is one paragraph that says how."""


# ---- What has to be there ----------------------------------------------------------------------


def check_python(version=sys.version_info, which=shutil.which):
    """Refuse a Python that the course does not run on, and point to one that it does."""
    if tuple(version[:2]) in PYTHONS:
        return
    found = [name for name in ("python3.13", "python3.12", "python3.11") if which(name)]
    way = ("This computer has one: call  " + found[0] + " course.py ..." if found else
           "Get one from python.org/downloads, from your system's packages or from conda.")
    raise Trouble("The course needs Python 3.11, 3.12 or 3.13, and this is Python %d.%d. %s"
                  % (version[0], version[1], way))


def check_venv_support(find_spec=importlib.util.find_spec):
    """Some Linux distributions ship Python without the two modules that make environments."""
    missing = [name for name in ("venv", "ensurepip") if find_spec(name) is None]
    if missing:
        raise Trouble("This Python cannot make environments: its module %s is missing. On Debian and Ubuntu, "
                      "install it with  sudo apt install python%d.%d-venv  and call this again."
                      % (" and ".join(missing), sys.version_info[0], sys.version_info[1]))


def check_disk(needed_gb, usage=shutil.disk_usage):
    free_gb = usage(str(ROOT)).free / 1e9
    if free_gb < needed_gb:
        raise Trouble("The disk is too full: the installation takes about %.1f GB in %s, and %.1f GB are free. "
                      "Make room and call this again." % (needed_gb, ROOT, free_gb))


def has_nvidia_driver():
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


# ---- The environment ---------------------------------------------------------------------------


def python():
    """The interpreter of the environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def finds(*modules):
    """Whether the environment's Python starts and finds these modules (they are not imported)."""
    look = "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))"
    try:
        return subprocess.run([str(python()), "-I", "-c", look, *modules], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:  # no such file, or not for this computer
        return False


def make_environment():
    check_venv_support()
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise Trouble(explain(done.stdout))


def wanted(mode, gpu):
    """What a complete installation is: the set of packages, and a digest of all that decides on it."""
    digest = hashlib.sha256(str(ROOT).encode())  # a folder that was moved has to be installed again
    for path in (CONSTRAINTS, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return {"set": mode, "gpu": gpu, "digest": digest.hexdigest()}


def installed():
    """The stamp of the last complete installation; {} if there is none."""
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def covers(have, want):
    """Whether installation `have` serves for `want`: the checking set includes the run set."""
    return (have.get("digest") == want["digest"] and have.get("set") in (want["set"], "test")
            and (have.get("gpu") or not want["gpu"]))


# ---- The installation --------------------------------------------------------------------------


def explain(output):
    """One paragraph on why pip or venv failed, from what it printed."""
    if re.search(r"No space left|Errno 28|WinError 112|not enough space", output, re.I):
        return "The disk is full. Make room (the course takes about 2 GB, with CUDA 9 GB) and call this again."
    if re.search(r"ConnectionError|ConnectTimeout|ReadTimeout|Failed to (establish|resolve)|name resolution|getaddrinfo"
                 r"|Connection (refused|reset|broken|timed out)|unreachable|ProxyError|SSLError", output, re.I):
        return ("The packages could not be downloaded: no network, or a proxy in between (then set HTTPS_PROXY). "
                "What has arrived is kept; call this again when the connection is back.")
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        return ("There is no %s for this computer and this Python (%s, %d.%d). Another Python of 3.11 to 3.13 may help."
                % (missing.group(1), sys.platform, sys.version_info[0], sys.version_info[1]))
    return ("The installation failed; the reason stands above. If it says nothing useful, "
            "delete the folder .venv and call this again.")


def pip(*arguments):
    """Run the environment's pip, showing all that it prints; a failure becomes an explanation."""
    command = [str(python()), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    process = subprocess.Popen(command, cwd=str(ROOT), stderr=subprocess.PIPE, universal_newlines=True, errors="replace")
    complaints = []
    for line in process.stderr:
        sys.stderr.write(line)
        complaints.append(line)
    if process.wait():
        raise Trouble(explain("".join(complaints)))


def plan(target):
    """{name: version} of the packages that pip would install now (a dry run, nothing is downloaded)."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pip("install", "--quiet", "--dry-run", "--report", str(report), "-e", target, "-c", str(CONSTRAINTS))
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in items}


def decide(packages, gpu, driver):
    """(torch without CUDA?, GB on disk, GB to download, what to tell the reader) for a plan of pip.

    A plain torch on Linux brings gigabytes of CUDA, useless without a driver. The sizes are rounded
    up from measurements: pip does not tell them beforehand.
    """
    cuda = [name for name in packages if CUDA_PACKAGE.match(name)]
    cpu_only = bool(cuda) and not gpu and not driver
    count = len(packages) - (len(cuda) if cpu_only else 0)
    if "torch" not in packages:
        disk, download = (8.0, 3.0) if cuda and not cpu_only else (0.7, 0.2)
    else:
        disk, download = (9.0, 3.5) if cuda and not cpu_only else (2.0, 0.4)
    text = "%d packages will be installed into %s: a download of up to %.1f GB." % (count, VENV, download)
    if cpu_only:
        text += ("\nThere is no NVIDIA driver here, so torch is taken without CUDA, from %s\n"
                 "(%d CUDA packages left out; --gpu takes them in)." % (CPU_INDEX, len(cuda)))
    return cpu_only, disk, download, text


def install(mode, gpu):
    """Bring the environment to what is pinned; whatever is there already stays."""
    target = TARGETS[mode]
    print("Working out what has to be installed ...", flush=True)
    # The pip that comes with Python may be one that downloads everything even in a dry run.
    pip("install", "--quiet", "pip", "-c", str(CONSTRAINTS))
    if gpu and any(VENV.glob("**/site-packages/torch-*+cpu.dist-info")):
        pip("uninstall", "--quiet", "--yes", "torch")  # or else pip would be content with it
    packages = plan(target)
    cpu_only, disk, _, text = decide(packages, gpu, has_nvidia_driver())
    if len(packages) > 1:  # the course itself is always among them
        print(text, flush=True)
        check_disk(disk)
    if cpu_only:
        pip("install", "--no-deps", "--index-url", CPU_INDEX, "torch==" + packages["torch"].split("+")[0])
    pip("install", "--quiet", "-e", target, "-c", str(CONSTRAINTS))


def set_up(mode, gpu):
    """Make sure that the environment is complete: at once if it is, else make, mend or update it."""
    want, have = wanted(mode, gpu), installed()
    if covers(have, want):
        if finds("pip", "rlcourse", "torch", "jupyterlab"):
            return
        print("The environment .venv is broken; making it anew.", flush=True)
        make_environment()
    elif not VENV.exists():
        print("Making the environment .venv ...", flush=True)
        make_environment()
    elif not finds("pip"):
        print("The environment .venv is unfinished or broken; making it anew.", flush=True)
        make_environment()
    elif not have:
        print("An earlier installation was interrupted; it goes on.", flush=True)
    if STAMP.exists():
        STAMP.unlink()
    install(mode, gpu)
    STAMP.write_text(json.dumps(want), encoding="utf-8")


def hand_over(arguments):
    """Become `rlcourse ARGUMENTS`; Ctrl-C belongs to it from now on."""
    command = [str(python()), "-m", "rlcourse", *arguments]
    os.chdir(str(ROOT))
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return subprocess.call(command)
    sys.stdout.flush()
    os.execv(command[0], command)


def main(arguments):
    if not arguments or arguments[0] not in TARGETS:
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    rest = [argument for argument in arguments if argument != "--gpu"]
    try:
        check_python()
        set_up(arguments[0], gpu="--gpu" in arguments)
    except Trouble as trouble:
        print("\n%s" % trouble, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130
    return hand_over(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
