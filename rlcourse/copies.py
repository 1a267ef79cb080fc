"""The student's own copies of the notebooks, in `work/`, which nothing here ever overwrites."""

import hashlib
import json
import re
from pathlib import Path

_RECORD = ".copies.json"  # {file in work/: digest of the text that it was made with}


def copy_name(master: Path) -> str:
    """lectures/02_imitation.ipynb → 02_imitation.ipynb, exercises/… → 02_imitation_exercise.ipynb."""
    return f"{master.stem}_exercise.ipynb" if master.parent.name == "exercises" else master.name


def copy_text(master: Path) -> str:
    """The text of a master, with its links to other masters led to the student's copies of them."""
    text = master.read_text(encoding="utf-8")
    text = re.sub(r"\.\./exercises/(\w+)\.ipynb", r"\1_exercise.ipynb", text)
    return re.sub(r"\.\./lectures/(\w+)\.ipynb", r"\1.ipynb", text)


def masters(root: Path) -> list[Path]:
    """The notebooks that a student works with, in the order of the course."""
    found = [path for folder in ("lectures", "exercises") for path in (root / folder).glob("[0-9]*.ipynb")]
    return sorted(found, key=lambda path: (path.stem, path.parent.name == "exercises"))


def update_copies(root: Path, work: Path) -> list[str]:
    """Make the copies that are missing, offer newer masters as NAME.new.ipynb, and say what was done.

    A copy that exists is never touched. A newer master is offered once; the offer is renewed with the
    next newer master, unless the student has changed it meanwhile. Deleting a copy gives a fresh one.
    """
    work.mkdir(exist_ok=True)
    record = _read_record(work)
    messages = []
    for master in masters(root):
        copy = work / copy_name(master)
        offer = copy.with_suffix(".new.ipynb")
        text = copy_text(master)
        now = _digest(text)
        if not copy.exists():
            _write(copy, text)
            record[copy.name] = now
            messages.append(f"new: work/{copy.name}")
        elif now in (record.get(copy.name), _digest(copy.read_text(encoding="utf-8"))):
            record[copy.name] = now
        elif record.get(offer.name) == now:  # offered before, and meanwhile perhaps taken or thrown away
            if offer.exists():
                messages.append(f"work/{offer.name} is still there: newer than your {copy.name}.")
        elif offer.exists() and record.get(offer.name) != _digest(offer.read_text(encoding="utf-8")):
            messages.append(f"There is a newer {copy.name}, but work/{offer.name} has been changed: "
                            "rename or delete that, and start again to see the newest.")
        else:
            _write(offer, text)
            record[offer.name] = now
            messages.append(f"There is a newer {copy.name}. "
                            f"Yours stays as it is; the new one is work/{offer.name}.")
    _write(work / _RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return messages


def _read_record(work: Path) -> dict[str, str]:
    try:
        record = json.loads((work / _RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}  # lost or damaged: copies are compared with their masters instead
    return record if isinstance(record, dict) else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
