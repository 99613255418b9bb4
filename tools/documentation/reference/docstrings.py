"""Turns docstrings in Google's style into Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap

_SECTIONS = {
    "Args": "Arguments",
    "Returns": "Returns",
    "Raises": "Raises",
    "Attributes": "Attributes",
    "Yields": "Yields",
}
_LISTS = ("Args", "Raises", "Attributes")
_HEAD = re.compile(rf"^({'|'.join(_SECTIONS)}):$", re.MULTILINE)
_ITEM = re.compile(r"(\*{0,2}[\w., ]+?): (.*)", re.DOTALL)


def markdown(docstring: str) -> str:
    """Returns a docstring as Markdown, with formulas between dollar signs."""
    about, *rest = _HEAD.split(inspect.cleandoc(docstring))
    parts = [_prose(about)]
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        text = textwrap.dedent(body.strip("\n"))
        parts.append(f"*{_SECTIONS[name]}*\n\n{_items(text) if name in _LISTS else _prose(text)}")
    return "\n\n".join(part for part in parts if part)


def _items(text: str) -> str:
    """Returns a list of arguments, attributes or errors. A line that is indented continues the item before."""
    items = re.split(r"\n(?=\S)", text.strip())
    made = []
    for item in items:
        found = _ITEM.fullmatch(" ".join(line.strip() for line in item.splitlines()))
        made.append(f"- `{found[1]}`: {_inline(found[2])}" if found else f"- {_inline(' '.join(item.split()))}")
    return "\n".join(made)


def _prose(text: str) -> str:
    return "\n\n".join(_paragraph(part) for part in _paragraphs(text.strip("\n")))


def _paragraphs(text: str) -> list[str]:
    """Returns the paragraphs of a text. The lines of a formula stay with the directive above them."""
    found: list[str] = []
    for part in re.split(r"\n\s*\n|\n(?=\.\. math::)", text):
        if found and found[-1].startswith(".. math::") and part.startswith("    "):
            found[-1] += "\n" + part
        elif part.strip():
            found.append(part)
    return found


def _paragraph(text: str) -> str:
    if not text.startswith(".. math::"):
        return text if re.match(r"[-*] |\d+\. ", text) else _inline(" ".join(text.split()))
    lines = text.splitlines()
    formula = [line for line in (lines[0].removeprefix(".. math::"), *lines[1:]) if line.startswith(" ")]
    after = " ".join(line for line in lines[1:] if line and not line.startswith(" "))
    body = "\n".join(line.strip() for line in formula)
    if "&" in body:
        body = f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"
    return f"$$\n{body}\n$$" + (f"\n\n{_inline(after)}" if after else "")


def _inline(text: str) -> str:
    """Returns a line with formulas in dollar signs, and with characters escaped that Markdown would read as its own."""
    text = re.sub(r":math:`([^`]*)`", r"\0\1\0", text).replace("``", "`")
    pieces = re.split(r"(`[^`]*`|\0[^\0]*\0)", text)
    kept = [piece if index % 2 else re.sub(r"([*<_\[|$])", r"\\\1", piece) for index, piece in enumerate(pieces)]
    return "".join(kept).replace("\0", "$")
