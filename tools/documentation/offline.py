"""Finds what a page of the site would load from another place when it is opened."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser

_LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
}
_ELSEWHERE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?\s*(?:https?:)?//[^)\"';]*", re.IGNORECASE)
_HARMLESS_LINKS = {"canonical", "alternate", "license"}


class _Loads(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and set(given.get("rel", "").split()) & _HARMLESS_LINKS:
            return
        address = given.get(_LOADING.get(tag, ""), "")
        if _ELSEWHERE.match(address):
            self.addresses.append(address)
        self.addresses += _IN_STYLES.findall(given.get("style", ""))


def loaded_from_elsewhere(folder: pathlib.Path) -> Iterator[str]:
    """Yields a line for each address of another place that a page or a style sheet below a folder loads."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".html", ".css"):
            continue
        text = path.read_text(encoding="utf-8")
        reader = _Loads()
        if path.suffix == ".html":
            reader.feed(text)
        addresses = [*reader.addresses, *_IN_STYLES.findall(text)]
        yield from (f"{path.relative_to(folder)} loads {address}" for address in addresses)
