"""The page of all messages and services: each field with the comment that describes it."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

_HEAD = """# Messages

These are the messages and services of the package `chunk_ppo_msgs`. Durations are in seconds and angles in radians,
unless a field says another unit. `T[]` is an array of any length, and `T[<=1]` an array of at most one element.

"""
_FIELD = re.compile(r"(?P<type>\S+) +(?P<name>\w+)(?: +(?P<default>[^#=]*?))? *(?:# *(?P<text>.*))?")
_CONSTANT = re.compile(r"(?P<type>\S+) +(?P<name>\w+) *= *(?P<value>\S+) *(?:# *(?P<text>.*))?")
_CONTINUED = re.compile(r" +# ?(.*)")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A field or a constant.

    Attributes:
        type: type as the file writes it.
        name: name; a constant has its value behind it.
        text: what the comment says.
        default: default value; empty where there is none.
    """

    type: str
    name: str
    text: str
    default: str = ""


@dataclasses.dataclass(frozen=True)
class Interface:
    """What a message, or one half of a service, says of itself.

    Attributes:
        about: paragraphs of comments before the first field.
        parts: comments between fields, and groups of fields, in their order.
    """

    about: str
    parts: tuple[str | tuple[Entry, ...], ...]


def parse(text: str) -> Interface:
    """Returns the parts of a message, or of one half of a service.

    Raises:
        ValueError: where a line is no comment, field or constant.
    """
    parts = [part for block in re.split(r"\n\s*\n", text.strip("\n")) for part in _block(block.splitlines())]
    begins = bool(parts) and isinstance(parts[0], str)
    return Interface(about=str(parts[0]) if begins else "", parts=tuple(parts[1:] if begins else parts))


def _block(lines: Sequence[str]) -> Iterator[str | tuple[Entry, ...]]:
    """Yields the comment at the beginning of a block, and its fields."""
    comment = [line.lstrip("# ") for line in lines if line.startswith("#")]
    if comment:
        yield " ".join(comment).strip()
    entries = tuple(_entries(line for line in lines if line.strip() and not line.startswith("#")))
    if entries:
        yield entries


def _entries(lines: Iterable[str]) -> Iterator[Entry]:
    entry: Entry | None = None
    for line in lines:
        continued = _CONTINUED.fullmatch(line)
        if continued and entry is not None:
            entry = dataclasses.replace(entry, text=f"{entry.text} {continued[1].strip()}")
            continue
        if entry is not None:
            yield entry
        entry = _entry(line)
    if entry is not None:
        yield entry


def _entry(line: str) -> Entry:
    constant, field = _CONSTANT.fullmatch(line), _FIELD.fullmatch(line)
    if constant:
        return Entry(constant["type"], f"{constant['name']} = {constant['value']}", constant["text"] or "")
    if field is None:
        raise ValueError(f"a line must be a comment, a field or a constant, got {line!r}")
    return Entry(field["type"], field["name"], field["text"] or "", field["default"] or "")


def page(paths: Sequence[pathlib.Path]) -> str:
    """Returns the page of the messages and services of files; other files are left out."""
    names = {path.stem for path in paths if path.suffix == ".msg"}
    ordered = [path for suffix in (".msg", ".srv") for path in paths if path.suffix == suffix]
    return _HEAD + "\n".join(_section(path, names) for path in ordered)


def _section(path: pathlib.Path, names: set[str]) -> str:
    parts = [_shown(parse(half), names) for half in path.read_text(encoding="utf-8").split("\n---\n")]
    if len(parts) == 2:
        parts = [f"**Request.** {parts[0]}", f"**Response.** {parts[1]}"]
    kind = "message" if path.suffix == ".msg" else "service"
    return f"## {path.stem} ({kind})\n\n" + "\n".join(parts)


def _shown(interface: Interface, names: set[str]) -> str:
    texts = [f"{_markdown(interface.about)}\n"]
    for part in interface.parts:
        texts.append(f"{_markdown(part)}\n" if isinstance(part, str) else _table(part, names))
    return "\n".join(texts)


def _table(entries: Sequence[Entry], names: set[str]) -> str:
    rows = [
        f"| `{entry.name}`<br>{_type(entry.type, names)} | {_meaning(entry)}{_default(entry.default)} |\n"
        for entry in entries
    ]
    return "| field and type | meaning |\n|---|---|\n" + "".join(rows)


def _meaning(entry: Entry) -> str:
    """Returns what the comment of a field says. The field of the format has no comment, because each message has it."""
    return _markdown(entry.text) or "format of the message, which readers compare with theirs" * (
        entry.name == "format"
    )


def _default(value: str) -> str:
    return f" The default is `{value}`." if value else ""


def _type(text: str, names: set[str]) -> str:
    base = text.split("[")[0]
    return f"[{_markdown(text)}](#{base.lower()}-message)" if base in names else _markdown(text)


def _markdown(text: str) -> str:
    """Returns a comment with its bars, stars and brackets escaped; code in backquotes stays as it is."""
    parts = text.split("`")
    kept = [part if index % 2 else re.sub(r"([|*<_\[\]])", r"\\\1", part) for index, part in enumerate(parts)]
    return "`".join(kept)
