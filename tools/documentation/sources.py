"""Puts the sources of the site together: the pages of docs/, the guide, the changes, and the reference pages."""

from __future__ import annotations

import pathlib
import re
import shutil

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
    for page in folder.glob("*.md"):
        page.write_text(inside(page.read_text(encoding="utf-8")), encoding="utf-8")
    guide = (root / _GUIDE).read_text(encoding="utf-8").replace("](docs/", "](")
    (folder / "contributing.md").write_text(guide, encoding="utf-8")
    shutil.copyfile(root / _CHANGES, folder / "changelog.rst")
    pages.write(folder / "reference")


def inside(text: str) -> str:
    """Returns a page whose links to files beside docs/ lead to the copies of these files in the site."""
    text = re.sub(r"\]\(\.\./examples/(\w+)\.py\)", r"](reference/examples/\1.md)", text)
    return text.replace(f"](../{_GUIDE}", "](contributing.md").replace(f"](../{_CHANGES}", "](changelog.rst")
