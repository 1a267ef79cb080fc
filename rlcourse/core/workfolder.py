"""The student's own folder `work/`, and the few small JSON files kept there."""

import json
import os
from pathlib import Path


def work_folder() -> Path | None:
    """The folder for a student's choices, or None where nothing is to be remembered.

    RLCOURSE_WORK names it (empty: none); otherwise it is the current folder if that is called
    `work`, which is where the student's copies of the notebooks run. Builds, tests and grading run
    elsewhere and therefore remember nothing.
    """
    named = os.environ.get("RLCOURSE_WORK")
    if named is not None:
        return Path(named) if named.strip() else None
    here = Path.cwd()
    return here if here.name == "work" else None


def recall(file: str) -> dict:
    """What was kept under `file` (for example "device.json"); {} if nothing, or nothing readable.

    A damaged file is the same as none: deleting or spoiling it loses one remembered choice.
    """
    folder = work_folder()
    if folder is None or not (folder / file).is_file():
        return {}
    try:
        kept = json.loads((folder / file).read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def keep(file: str, **entries) -> None:
    """Add `entries` to the JSON object in `file`; does nothing where nothing is remembered."""
    folder = work_folder()
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    whole = json.dumps({**recall(file), **entries}, indent=2, sort_keys=True, ensure_ascii=False)
    beside = folder / f".{file}.new"                # never half a file, even when interrupted
    beside.write_text(whole + "\n", encoding="utf-8")
    beside.replace(folder / file)
