"""Reads the files that a page holds: its style, its script, and uPlot, which draws the charts."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_ros.reporting.page.html import Html

_HERE = Path(__file__).parent
_UPLOT = (_HERE / "uplot", _HERE.parents[2] / "third_party" / "uplot")
"""Where uPlot is: setup.py installs it below this folder, and a checkout has it in third_party/."""


def style() -> Html:
    """Returns the style of a page.

    Raises:
        FileNotFoundError: when a file is not installed.
    """
    return Html(f"<style>{_uplot('uPlot.min.css')}\n{_own('page.css')}</style>")


def script() -> Html:
    """Returns the scripts of a page.

    Raises:
        FileNotFoundError: when a file is not installed.
    """
    license_text = _uplot("LICENSE").replace("*/", "")
    return Html(
        f"<script>/*\n{license_text}*/\n{_uplot('uPlot.iife.min.js')}</script>\n<script>{_own('page.js')}</script>"
    )


def _own(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _uplot(name: str) -> str:
    for folder in _UPLOT:
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise FileNotFoundError(
        f"uPlot must be installed with this package, found no {name} in {' or '.join(map(str, _UPLOT))}; install the "
        "package again"
    )
