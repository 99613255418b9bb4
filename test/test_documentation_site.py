"""Tests what `make docs` builds from: links between documents, the table of contents, and what pages load."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from documentation.offline import loaded_from_elsewhere  # noqa: E402
from documentation.sources import inside, linked, with_titles  # noqa: E402

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/results/*.md")]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ONLY_IN_THE_SITE = ("reference/", "contributing.md", "changelog")
"""The pages that are made when the site is built. Only the first page of the site leads to them."""


def text_of(path: Path) -> str:
    """Returns a document without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Returns the anchors that GitHub and Sphinx make from the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", text_of(path), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    wrong = []
    for link in LINK.findall(text_of(path)):
        if re.match(r"[a-z]+:", link) or (path.name == "index.md" and link.startswith(ONLY_IN_THE_SITE)):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


def test_every_page_is_in_the_table_of_contents_once() -> None:
    blocks = re.findall(r"```{toctree}\n(.*?)```", (ROOT / "docs" / "index.md").read_text(), re.DOTALL)
    listed = [line for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    docs = [path for path in DOCUMENTS if path.is_relative_to(ROOT / "docs")]
    pages = [path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in docs]
    made = ["reference/index", "contributing", "changelog"]
    assert sorted(listed) == sorted([*(page for page in pages if page != "index"), *made])


def parts(name: str) -> dict[str, list[str]]:
    """Returns what a README and its translation have in common: commands, links of its tables, and its numbers."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [
        re.sub(r"\s+# .*", "", line) for block in blocks for line in block.splitlines() if not line.startswith("#")
    ]
    picture = re.findall(r"^```\n( cameras.*?)^```", text, re.MULTILINE | re.DOTALL)
    links = [link for line in text.splitlines() if line.startswith("| ") for link in LINK.findall(line)]
    quoted = [quote for block in blocks for quote in re.findall(r'"[^"]+"', block.replace("\n# ", " "))]
    headings = re.findall(r"^#+", text, re.MULTILINE)
    return {"commands": lines, "picture": picture, "links": links, "printed": quoted, "headings": headings}


def test_the_chinese_readme_has_the_commands_and_links_of_the_english_one() -> None:
    english, chinese = parts("README.md"), parts("README.zh.md")
    assert english["commands"] and english["links"] and english["picture"]
    for name, found in english.items():
        assert sorted(chinese[name]) == sorted(found), name


def test_a_link_to_a_file_beside_the_pages_leads_to_its_copy_in_the_site() -> None:
    assert inside("[a](../CONTRIBUTING.md#x), [b](robot.md)") == "[a](contributing.md#x), [b](robot.md)"
    assert inside("[a](../examples/own_task.py)") == "[a](reference/examples/own_task.md)"


def test_a_link_that_shows_a_file_shows_the_title_of_its_page() -> None:
    titles = {"words.md": "Words"}
    assert with_titles("[words.md](words.md#x), [a](words.md)", titles) == "[Words](words.md#x), [a](words.md)"


def test_the_name_of_a_page_in_a_description_becomes_a_link_to_it() -> None:
    titles = {"units.md": "Units"}
    text = "See docs/units.md, `x > docs/units.md`, docs/none.md.\n\n```\nsee docs/units.md\n```\nSee docs/units.md."
    assert linked(text, titles, up="../") == (
        "See [Units](../units.md), `x > docs/units.md`, docs/none.md.\n\n"
        "```\nsee docs/units.md\n```\nSee [Units](../units.md)."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script async src="https://cdn.example/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/x.css">'),
        ("a.html", '<img alt="" src="http://example/x.png">'),
        ("a.html", '<p style="background: url(https://example/x.png)">'),
        ("a.css", "@import 'https://example/x.css';"),
        ("a.css", "src: url(//example/x.woff2)"),
    ],
)
def test_a_page_that_loads_something_from_elsewhere_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert list(loaded_from_elsewhere(tmp_path))


def test_links_and_own_files_are_not_loaded_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://example/">x</a><link rel="canonical" href="https://example/"><script src="_static/x.js">'
        '</script><img src="data:image/png;base64,AAAA"><svg xmlns="http://www.w3.org/2000/svg"></svg>'
    )
    assert list(loaded_from_elsewhere(tmp_path)) == []


def test_the_requirements_of_the_site_are_pinned_and_no_others_of_the_package() -> None:
    lines = (ROOT / "requirements" / "docs.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines if not line.startswith("#"))
    assert "Sphinx==9.0.4" in lines
    assert "docs" not in tomllib.loads((ROOT / "pyproject.toml").read_text()).get("project", {})


def test_vendored_files_stand_with_their_license() -> None:
    for folder in (ROOT / "third_party").glob("*/"):
        assert [path for path in folder.iterdir() if path.name.startswith("LICEN")], folder.name
        assert f"| `{folder.name}/` |" in (ROOT / "third_party" / "README.md").read_text()
