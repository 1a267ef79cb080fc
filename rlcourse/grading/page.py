"""What the pages of grading share: the skeleton, the stylesheet, and how text of strangers gets in.

A page is one file that loads nothing and runs nothing; its policy tells the browser so. Everything that a
student controls passes `safe` (or `marked`, `code`): made harmless, cut, and escaped.
"""

import re
import unicodedata
from html import escape
from urllib.parse import quote

from . import report

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

# Colours come in two sets, for light and dark; each has at least 4.5 to 1 against its background.
STYLE = """\
:root { color-scheme: light dark; --text: #1b1b1b; --page: #ffffff; --soft: #f4f4f4; --line: #d0d0d0;
  --quiet: #595959; --good: #00694d; --bad: #a84300; --link: #005b94; --bar: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --page: #151515; --soft: #232323;
  --line: #484848; --quiet: #adadad; --good: #4fcfa6; --bad: #ff9d5c; --link: #7cc4f5; --bar: #56b4e9; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--text);
  background: var(--page); max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.2rem 0 .4rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .4rem 0; }
ul { margin: .4rem 0; padding-left: 1.3rem; }
a { color: var(--link); }
code, pre { font: .875rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { margin: 0; white-space: pre-wrap; }
.quiet { color: var(--quiet); font-size: .9rem; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.big { font-size: 1.25rem; margin: 0; }
.box { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 4px;
  background: var(--soft); padding: .6rem .9rem; margin: .8rem 0; break-inside: avoid; }
.scroll { overflow-x: auto; overflow-wrap: normal; }
.scroll .name { min-width: 8rem; max-width: 16rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; font-size: .95rem; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-bottom-width: 2px; white-space: nowrap; }
th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
@media (max-width: 40rem) { th, td { padding: .3rem .4rem .3rem 0; } }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt; } h2, h3 { break-after: avoid; }
  .scroll { overflow-x: visible; } * { print-color-adjust: exact; } }
"""

# Turns the direction of what follows, also outside its own field.
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def page(title: str, body: str, style: str = "") -> str:
    """A whole page from its title (plain text), its body (HTML) and the style that it alone needs."""
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="referrer" content="no-referrer">\n<title>{safe(title)}</title>\n'
            f"<style>\n{STYLE}{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n")


def harmless(text: str, most: int = 600) -> str:
    """The text on one line, without control characters and lone surrogates, cut at `most` characters."""
    cut = text if len(text) <= most else text[:most - 1] + "…"
    return "".join(_seen(character) for character in _DIRECTIONS.sub("�", cut))


def _seen(character: str) -> str:
    """The character, or what stands in its place: a space for an end of line or a tab, else a �."""
    if character in "\t\n\r\x0b\x0c\x85\u2028\u2029":
        return " "
    unseen = unicodedata.category(character) in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE
    return "�" if unseen else character


def safe(text: str, most: int = 600) -> str:
    """Text of a stranger, ready to stand in a page or in an attribute."""
    return escape(harmless(text, most))


def name(text: str, most: int = 80) -> str:
    """A student's name: it may run from right to left, which must not turn the words around it."""
    return f"<bdi>{safe(text, most)}</bdi>"


def marked(text: str) -> str:
    """A hint: escaped, with `…` as code and *…* stressed."""
    return report.marked(harmless(text, 1000))


def code(text: str, most: int = 600) -> str:
    """A line of code or a value in a block of its own."""
    return f'<pre dir="ltr"><code>{safe(text, most)}</code></pre>'


def sign(status: str) -> str:
    """The sign of a status for the eye, and a word for the ear."""
    words = {"passed": "right", "failed": "not right", "waiting": "waiting"}
    colour = {"passed": "good", "failed": "bad"}.get(status, "quiet")
    shown = report.SIGNS.get(status, report.SIGNS["open"])
    return (f'<strong class="{colour}" aria-hidden="true">{shown}</strong>'
            f'<span class="hidden">{words.get(status, "open")}:</span>')


def link(path: str, shown: str) -> str:
    """A link to a file beside this page (never to anywhere else); `shown` is HTML."""
    return f'<a href="./{escape(quote(path, errors="replace"))}">{shown}</a>'


def listed(items: list[str]) -> str:
    """A list of items that are HTML."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
