"""Puts the sources of the site together: the pages of docs/, the guide, the changes, and the reference pages."""

from __future__ import annotations

import pathlib
import re
import shutil
from collections.abc import Mapping

from documentation.reference import pages

_GUIDE, _CHANGES = "CONTRIBUTING.md", "CHANGELOG.rst"


def collect(root: pathlib.Path, folder: pathlib.Path) -> None:
    """Writes all sources into a folder, which is emptied first.

    Args:
        root: the checkout.
        folder: folder that Sphinx reads.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(root / "docs", folder, ignore=shutil.ignore_patterns("conf.py", "site.css", "*.json"))
    texts = {page: page.read_text(encoding="utf-8") for page in folder.glob("*.md")}
    titles = {page.name: _title(text) for page, text in texts.items()}
    for page, text in texts.items():
        page.write_text(with_titles(inside(text), titles), encoding="utf-8")
    guide = (root / _GUIDE).read_text(encoding="utf-8").replace("](docs/", "](")
    (folder / "contributing.md").write_text(guide, encoding="utf-8")
    shutil.copyfile(root / _CHANGES, folder / "changelog.rst")
    pages.write(folder / "reference")


def with_titles(text: str, titles: Mapping[str, str]) -> str:
    """Returns a page in which a link that shows the name of a file shows the title of that page.

    Args:
        text: the page.
        titles: title of each page by its file name.
    """
    return re.sub(
        r"\[(?P<name>[\w-]+\.md)\]\((?P<link>(?P=name)[^)]*)\)",
        lambda match: f"[{titles.get(match['name'], match['name'])}]({match['link']})",
        text,
    )


def _title(text: str) -> str:
    """Returns the first heading of a page, up to its colon."""
    return text.partition("\n")[0].removeprefix("# ").partition(":")[0]


def inside(text: str) -> str:
    """Returns a page whose links to files beside docs/ lead to the copies of these files in the site."""
    text = re.sub(r"\]\(\.\./examples/(\w+)\.py\)", r"](reference/examples/\1.md)", text)
    return text.replace(f"](../{_GUIDE}", "](contributing.md").replace(f"](../{_CHANGES}", "](changelog.rst")
