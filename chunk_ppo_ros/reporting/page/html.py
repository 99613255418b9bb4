"""Makes HTML. Whatever is not `Html` is a text, and is escaped."""

from __future__ import annotations

import base64
import dataclasses
import html
from collections.abc import Iterable, Sequence


class Html(str):
    """A text that is HTML already. Texts of users never become one but by `escaped`."""

    __slots__ = ()


def escaped(value: object) -> Html:
    """Returns a value as it stands in HTML."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def joined(parts: Iterable[object], separator: str = "\n") -> Html:
    """Returns the parts one after the other."""
    return Html(separator.join(escaped(part) for part in parts))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """Returns an element. An underscore at the end of an attribute's name is left out, others become hyphens."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{joined(content, '')}</{name}>")


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of a page: its heading, what follows, and the name by which a link leads to it."""

    title: str
    content: Html
    anchor: str


def section(title: str, *content: object, anchor: str) -> Section:
    """Returns a section of the page."""
    return Section(title, joined(content, ""), anchor)


def with_links(sections: Sequence[Section]) -> Html:
    """Returns links to the sections of a page, and then the sections with their headings."""
    links = [tag("a", each.title, href=f"#{each.anchor}") for each in sections]
    shown = [tag("section", tag("h2", each.title), each.content, id=each.anchor) for each in sections]
    return joined([tag("nav", joined(links)), *shown])


def table(header: Sequence[object], rows: Iterable[Sequence[object]], *, kind: str = "") -> Html:
    """Returns a table that can be moved sideways on a narrow screen.

    Args:
        header: the cells of the head; none makes no head.
        rows: the cells of each row. The first one names the row.
        kind: the class of the table, for its style.
    """
    head = tag("thead", tag("tr", *(tag("th", cell) for cell in header))) if header else Html("")
    lines = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    return tag("div", tag("table", head, tag("tbody", *lines), class_=kind), class_="scroll")


def data_uri(content: bytes, kind: str) -> str:
    """Returns a file as an address that holds it, such as "data:image/png;base64,...".

    Args:
        content: the bytes of the file.
        kind: its media type, such as "image/png".
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
