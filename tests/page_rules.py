"""What every page of grading keeps, read with Python's own parser; and a small exercise to mark."""

import re
from html.parser import HTMLParser

import torch

from rlcourse.grading.answers import Answers
from rlcourse.grading.cases import Case, Question, mark
from rlcourse.grading.records import Graded

NASTY = ("<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "'\"><a href='javascript:alert(1)'>",
         "&lt;b&gt; &amp; &#60;", "]]><!-- -->", "\ud800 lone \udfff", "\x00\x07\x1b[31m\x7f\x9b", "a\nb\r\tc\u2028d",
         "\u202egnp.exe", "z" * 100_000, "王小明 نور Ünïcode 😀", "=HYPERLINK(\"x\")", "   in the line   expected , got ",
         "f(" * 300, "`*a*`", "\ufffe\uffff", "")
_VOID = {"meta", "br", "img", "link", "input", "hr", "base", "source"}
_TAGS = {"html", "head", "meta", "title", "style", "body", "main", "header", "section", "h1", "h2", "h3", "p", "div",
         "span", "strong", "em", "bdi", "code", "pre", "ul", "li", "dl", "dt", "dd", "a", "table", "thead", "tbody",
         "tr", "th", "td", "details", "summary"}
_INLINE = {"span", "strong", "em", "bdi", "code", "a"}
_ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "style", "dir", "role", "open",
               "aria-label", "aria-hidden", "tabindex", "scope"}


class Page(HTMLParser):
    """Parses a page, refuses what no page may hold, and keeps its tags, its links and its text by tag."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.links, self.ids, self.pieces, self.open = [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {self.open}"
        assert html.startswith('<!DOCTYPE html>\n<html lang="en">') and html.count("<!") == 1
        assert "default-src 'none'; style-src 'unsafe-inline'" in html and "url(" not in html and "@import" not in html
        html.encode("utf-8")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", html)
        assert self.tags.count("h1") == self.tags.count("title") == self.tags.count("main") == 1
        assert len(set(self.ids)) == len(self.ids)
        assert {link[1:] for link in self.links if link.startswith("#")} <= set(self.ids)

    def handle_starttag(self, tag, attributes):
        assert tag in _TAGS, tag
        names = [name for name, _ in attributes]
        assert set(names) <= _ATTRIBUTES and len(set(names)) == len(names), attributes
        values = dict(attributes)
        assert re.fullmatch(r"|width: \d+\.\d%", values.get("style", "")), values
        if "href" in values:
            assert tag == "a" and re.match(r"#|\./[^/]", values["href"]), values
            self.links.append(values["href"])
        self.ids += [values["id"]] if "id" in values else []
        self.tags.append(tag)
        if tag not in _INLINE:
            self.pieces.append(((), " "))  # a block begins: its text stands apart
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if data != "\n" and "style" not in self.open:
            self.pieces.append((tuple(self.open), data))

    @property
    def text(self) -> str:
        """What one reads, spaces joined."""
        return " ".join("".join(piece for within, piece in self.pieces if "title" not in within).split())

    def texts(self, tag: str) -> list[str]:
        """The pieces of text that stand inside a tag."""
        return [piece for within, piece in self.pieces if tag in within]


def thirds(x):
    return x / 3


def _third(title, want, points, **more):
    return Case(title, lambda f: f.third(torch.tensor(want) * 3), torch.tensor(want), "Divide by *three*.",
                points=points, **more)


Q1 = Question("q1", "A third", "I1", {"third": thirds}, difficulty=1, importance=1, minutes=1,
              values=(_third("one", [1.0], 1, by_hand=True,
                             mistakes=((torch.tensor([9.0]), "You `multiply` by three."),)),
                      _third("two", [1.0, 2.0], 2, mistakes=((torch.tensor([9.0, 18]), "You `multiply` by three."),))),
              properties=(_third("zero stays zero", [0.0], 1),),
              seeded=lambda seed: [_third("random", [7.0 + seed], 0, confirms="one")])
Q2 = Question("q2", "A sum", "I2", {"total": sum}, difficulty=1, importance=1, minutes=1,
              values=(Case("of three", lambda f: f.total([1, 2, 3]), 6, "Add them.", points=2, by_hand=True),))
QUESTIONS = (Q1, Q2)


def marked(student: str, third=thirds, total=sum, **fields) -> Graded:
    """A student's result, from two functions."""
    answers = Answers({"third": third, "total": total})
    return Graded(student, f"{student}.ipynb", fields.pop("status", "graded"),
                  reports=tuple(mark(question, answers, seed=3) for question in QUESTIONS), **fields)


def left_open(x):
    raise NotImplementedError


def by_heart(x):
    """Right on the numbers that are shown."""
    return x / 3 if float(x.max()) < 20 else x
