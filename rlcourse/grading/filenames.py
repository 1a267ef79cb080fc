"""Names of files for students' names, which may be anything: safe on every system, and still readable."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_LONGEST = 100  # bytes; systems allow 255 or, where names are encrypted, 143, endings included
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)  # on Windows


def file_names(students: Iterable[str]) -> dict[str, str]:
    """A file name without ending for each student, different ones also where capitals do not count.

    Letters of every script, digits, spaces and . _ - ( ) ' + , @ stay. A name that had to be changed, or that
    looks like another one, gets eight digits of its own behind it.
    """
    students = list(students)
    safe = {student: _safe(student) for student in students}
    alike = Counter(_folded(name) for name in safe.values())
    return {student: name if name == student and alike[_folded(name)] == 1
            else f"{name}-{hashlib.sha256(student.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
            for student, name in safe.items()}


def _safe(student: str) -> str:
    letters = "".join(letter if letter.isalnum() or letter in " ._-()'+,@" or _is_mark(letter) else "_"
                      for letter in unicodedata.normalize("NFC", student))
    name = letters.encode("utf-8")[:_LONGEST].decode("utf-8", "ignore")
    name = name.lstrip(" .-").rstrip(" .") or "student"
    return f"_{name}" if _RESERVED.match(name) else name


def _is_mark(letter: str) -> bool:
    """Whether it belongs to the letter before it, as vowels do in many scripts."""
    return unicodedata.category(letter)[0] == "M"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
