"""The pages of the programs in examples/, each with its whole text."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Sequence

_INDEX = """# Examples

These programs stand in the folder `examples/` of the checkout, and tests run them.

"""


def pages(paths: Sequence[pathlib.Path]) -> dict[str, str]:
    """Returns the index and a page for each program that has a docstring, by their paths."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    abouts = {name: ast.get_docstring(ast.parse(text)) or "" for name, text in texts.items()}
    named = {name: about.partition("\n")[0] for name, about in abouts.items() if about}
    rows = "".join(f"- [`{name}.py`]({name}.md): {line}\n" for name, line in named.items())
    toctree = "\n".join(named)
    index = f"{_INDEX}{rows}\n```{{toctree}}\n:hidden:\n\n{toctree}\n```\n"
    made = {f"examples/{name}.md": f"# {name}.py\n\n```python\n{texts[name].strip()}\n```\n" for name in named}
    return {"examples/index.md": index, **made}
