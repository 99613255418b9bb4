"""Lists the reference pages, and writes them."""

from __future__ import annotations

import pathlib

from documentation.reference import api, commands, examples, messages, parameters, topics

ROOT = pathlib.Path(__file__).resolve().parents[3]

_INDEX = """# Reference

These pages are made from the code when the site is built.

- [Parameters](parameters/index.md): every setting with its type, default, range and typical values.
- [Topics and services](topics.md): every topic with its type, quality of service and nodes, and every service.
- [Messages](messages.md): every field of every message and service.
- [Commands](commands.md): every command with its flags.
- [Examples](examples/index.md): the programs of `examples/`.
- [Python API](api/index.md): the classes and functions that a program of yours calls or implements.

```{toctree}
:hidden:

parameters/index
topics
messages
commands
examples/index
api/index
```
"""


def pages() -> dict[str, str]:
    """Returns the text of each page by its path below the folder of the reference pages."""
    return {
        "index.md": _INDEX,
        "topics.md": topics.page(),
        "messages.md": messages.page(sorted((ROOT / "msg").glob("*.*"))),
        "commands.md": commands.page(),
        **parameters.pages(),
        **examples.pages(sorted((ROOT / "examples").glob("*.py"))),
        **api.pages(),
    }


def write(folder: pathlib.Path) -> None:
    """Writes all pages into a folder."""
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
