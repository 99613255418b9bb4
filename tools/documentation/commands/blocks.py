"""Finds the commands of the documents: in their code blocks, and between backquotes in running text."""

from __future__ import annotations

import ast
import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterator, Sequence

PROGRAMS = (
    "chunk_ppo",
    ".venv/bin/chunk_ppo",
    ".venv/bin/python",
    ".venv/bin/pre-commit",
    "python",
    "python3",
    "pip",
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
    "rviz2",
    "tensorboard",
    "wandb",
    "sudo",
    "chronyc",
    "eval",
)
"""The first words of the commands outside of blocks of `bash`. In these blocks each line is a command."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*=\S*")
_FENCED = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
_SHELL = ("bash", "sh")
_PLAIN = ("", "console", "text")
"""The languages of blocks in which only lines that begin with a program are commands."""
_HERE = re.compile(r"<<-?\s*(?P<quote>['\"]?)(?P<end>\w+)(?P=quote)")
_INLINE = re.compile(rf"`(?P<text>(?:{'|'.join(map(re.escape, PROGRAMS))})\s[^`]*)`")
_FEWEST_WORDS = {"chunk_ppo": 3, "ros2": 4}
"""How many words a command has at least, where two are too few. Fewer words between backquotes only name it."""


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
    patterns = ("*.md", "docs/*.md", "docs/results/*.md", "examples/*.py")
    return [path for pattern in patterns for path in sorted(root.glob(pattern))]


def commands(path: pathlib.Path, root: pathlib.Path) -> Iterator[Command]:
    """Yields the commands in the code blocks of a document, in their order."""
    text = _text(path)
    for start, body, every_line in sorted([*_fenced(text), *_indented(text)]):
        first = text.count("\n", 0, start) + 1
        found = is_line_of_shell if every_line else is_command
        for number, line in _whole_lines(_without_heredocs(body.splitlines()), found):
            if found(line):
                yield Command(without_comment(line), str(path.relative_to(root)), first + number)


def unmarked_blocks(path: pathlib.Path) -> Iterator[int]:
    """Yields the lines on which blocks with commands begin that have no mark, so that commands in them may escape.

    The mark `bash` says that each line is a command, and `text` that there are also lines that commands print.
    """
    text = _text(path)
    for match in _FENCED.finditer(text):
        if not match["language"] and any(map(is_command, match["body"].splitlines())):
            yield text.count("\n", 0, match.start()) + 1


def inline_commands(path: pathlib.Path, root: pathlib.Path) -> Iterator[Command]:
    """Yields the commands between backquotes in the running text of a document, in their order.

    One that ends with three dots stands for many and is left out, and so is one that has too few words to be called.
    """
    text = _without_code(_text(path))
    for match in _INLINE.finditer(text):
        words = match["text"].split()
        if len(words) >= _FEWEST_WORDS.get(words[0], 2) and not words[-1].endswith("..."):
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


def _fenced(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yields the places and texts of the blocks that may have commands, and whether each line of them is one."""
    for match in _FENCED.finditer(text):
        if match["language"] in (*_SHELL, *_PLAIN):
            yield match.start("body"), match["body"], match["language"] in _SHELL


def _indented(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yields the commands that are code because they are indented, outside of fences."""
    for match in re.finditer(r"(?:^ {4,}\S.*\n?)+", _without_code(text), re.MULTILINE):
        yield match.start(), match[0], False


def _without_heredocs(lines: Sequence[str]) -> list[str]:
    """Returns the lines of a block in which those that a shell would give to a command are blank."""
    kept, end = [], ""
    for line in lines:
        kept.append("" if end else line)
        if end:
            end = "" if line.strip() == end else end
        elif found := _HERE.search(line):
            end = found["end"]
    return kept


def _whole_lines(lines: Sequence[str], found: Callable[[str], bool]) -> Iterator[tuple[int, str]]:
    """Yields the commands of a block with their numbers. A backslash or an open quotation joins two lines.

    Args:
        lines: the lines of the block.
        found: whether a line is a command.
    """
    number, joined = 0, ""
    for index, line in enumerate(lines):
        number = number if joined else index
        joined = f"{joined} {line.strip()}" if joined else line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1].rstrip()
        elif not (found(joined) and without_comment(joined).count('"') % 2):
            yield number, joined
            joined = ""


def is_command(line: str) -> bool:
    """Returns whether a line begins with one of the programs, after settings of variables."""
    words = line.removeprefix("$ ").split()
    while words and _VARIABLE.fullmatch(words[0]):
        words = words[1:]
    return bool(words) and words[0] in PROGRAMS


def is_line_of_shell(line: str) -> bool:
    """Returns whether a line of a block of `bash` is a command: it is neither empty nor a comment."""
    return bool(line.strip()) and not line.strip().startswith("#")


def without_comment(line: str) -> str:
    """Returns a command without the comment behind it and without a prompt."""
    return re.sub(r"\s+#\s.*$", "", line.removeprefix("$ ")).strip()
