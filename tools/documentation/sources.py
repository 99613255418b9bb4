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
    guide = (root / _GUIDE).read_text(encoding="utf-8").replace("[docs/", "[").replace("](docs/", "](")
    for page, text in {**texts, folder / "contributing.md": guide}.items():
        page.write_text(linked(with_titles(inside(text), titles), titles, up=""), encoding="utf-8")
    shutil.copyfile(root / _CHANGES, folder / "changelog.rst")
    pages.write(folder / "reference")
    for page in (folder / "reference").rglob("*.md"):
        up = "../" * (len(page.relative_to(folder).parts) - 1)
        page.write_text(linked(page.read_text(encoding="utf-8"), titles, up=up), encoding="utf-8")


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


def linked(text: str, titles: Mapping[str, str], *, up: str) -> str:
    """Returns a page in which `docs/NAME.md` outside of code and of links is a link to that page, with its title.

    Args:
        text: the page.
        titles: title of each page by its file name.
        up: way from the page to the folder of the pages, such as "../../".
    """
    kept = r"(^ *```.*?^ *```$|`[^`]*`|\[[^\]]*\]\([^)]*\))"
    parts = re.split(kept, text, flags=re.MULTILINE | re.DOTALL)
    name = re.compile(r"(?<![\w/])docs/(?P<name>[\w-]+\.md)\b")
    parts[::2] = [
        name.sub(
            lambda match: f"[{titles[match['name']]}]({up}{match['name']})" if match["name"] in titles else match[0],
            part,
        )
        for part in parts[::2]
    ]
    return "".join(parts)


def _title(text: str) -> str:
    """Returns the first heading of a page, up to its colon."""
    return text.partition("\n")[0].removeprefix("# ").partition(":")[0]


def inside(text: str) -> str:
    """Returns a page whose links to files beside docs/ lead to the copies of these files in the site."""
    text = re.sub(r"\]\(\.\./examples/(\w+)\.py\)", r"](reference/examples/\1.md)", text)
    return text.replace(f"](../{_GUIDE}", "](contributing.md").replace(f"](../{_CHANGES}", "](changelog.rst")
