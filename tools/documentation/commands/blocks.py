"""Finds the commands of the documents: in their code blocks, and between backquotes in running text."""

from __future__ import annotations

import ast
import dataclasses
import pathlib
import re
from collections.abc import Iterator, Sequence

PROGRAMS = (
    "chunk_ppo",
    ".venv/bin/chunk_ppo",
    ".venv/bin/python",
    ".venv/bin/pre-commit",
    "python",
    "make",
    "ros2",
    "git",
    "cd",
    "source",
    "export",
    "colcon",
    "docker",
    "rosdep",
    "rqt",
    "sudo",
    "chronyc",
)
"""What the first word of a command may be. Other lines of a block are what a command prints, or another language."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*=\S*")
_FENCED = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
_SHELL = ("", "bash", "sh", "console", "text")
_INLINE = re.compile(r"`(?P<text>(?:chunk_ppo|make|ros2|python)\s[^`]*)`")
_FEWEST_WORDS = {"chunk_ppo": 3, "ros2": 4, "make": 2, "python": 2}
"""How many words a command has at least. Fewer words between backquotes name it, and do not show how to call it."""


@dataclasses.dataclass(frozen=True, order=True)
class Command:
    """A command of a document.

    Attributes:
        text: the command on one line, without its comment.
        document: path of the document below the checkout.
        line: number of the line on which it begins.
    """

    text: str
    document: str
    line: int


def documents(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns the documents of a checkout whose commands are checked. Of an example its docstring is the document."""
    return [*sorted(root.glob("*.md")), *sorted(root.glob("docs/*.md")), *sorted(root.glob("examples/*.py"))]


def commands(path: pathlib.Path, root: pathlib.Path) -> Iterator[Command]:
    """Yields the commands in the code blocks of a document, in their order."""
    text = _text(path)
    for start, body in sorted([*_fenced(text), *_indented(text)]):
        first = text.count("\n", 0, start) + 1
        for number, line in _whole_lines(body.splitlines()):
            if is_command(line):
                yield Command(without_comment(line), str(path.relative_to(root)), first + number)


def inline_commands(path: pathlib.Path, root: pathlib.Path) -> Iterator[Command]:
    """Yields the commands between backquotes in the running text of a document, in their order.

    One that ends with three dots stands for many and is left out, and so is one that has too few words to be called.
    """
    text = _without_code(_text(path))
    for match in _INLINE.finditer(text):
        words = match["text"].split()
        if len(words) >= _FEWEST_WORDS[words[0]] and not words[-1].endswith("..."):
            yield Command(" ".join(words), str(path.relative_to(root)), text.count("\n", 0, match.start()) + 1)


def _text(path: pathlib.Path) -> str:
    """Returns a document; of a program its docstring."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    docstring = ast.get_docstring(ast.parse(text)) or ""
    return re.sub(r"(?<=\S) {2,}", " ", docstring)  # Python has joined the lines that end with a backslash.


def _without_code(text: str) -> str:
    """Returns a document in which its fenced blocks are blank."""
    return _FENCED.sub(lambda match: re.sub(r"\S", " ", match[0]), text)


def _fenced(text: str) -> Iterator[tuple[int, str]]:
    for match in _FENCED.finditer(text):
        if match["language"] in _SHELL:
            yield match.start("body"), match["body"]


def _indented(text: str) -> Iterator[tuple[int, str]]:
    """Yields the commands that are code because they are indented, outside of fences."""
    for match in re.finditer(r"(?:^ {4,}\S.*\n?)+", _without_code(text), re.MULTILINE):
        yield match.start(), match[0]


def _whole_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yields the commands of a block with their numbers. A backslash or an open quotation joins two lines."""
    number, joined = 0, ""
    for index, line in enumerate(lines):
        number = number if joined else index
        joined = f"{joined} {line.strip()}" if joined else line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1].rstrip()
        elif not (is_command(joined) and without_comment(joined).count('"') % 2):
            yield number, joined
            joined = ""


def is_command(line: str) -> bool:
    """Returns whether a line begins with one of the programs, after settings of variables."""
    words = line.removeprefix("$ ").split()
    while words and _VARIABLE.fullmatch(words[0]):
        words = words[1:]
    return bool(words) and words[0] in PROGRAMS


def without_comment(line: str) -> str:
    """Returns a command without the comment behind it and without a prompt."""
    return re.sub(r"\s+#\s.*$", "", line.removeprefix("$ ")).strip()
