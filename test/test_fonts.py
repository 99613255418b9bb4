"""Tests in which font a text is drawn, and what is drawn where no font has its characters.

The fonts are those that come with matplotlib, so that the tests do not depend on the machine: STIXGeneral has a script
letter that DejaVu Sans lacks, and none of them has Chinese.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from chunk_ppo_ros.reporting import plots
from chunk_ppo_ros.reporting.fonts import font_choice

BUNDLED = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SCRIPT_A = "\N{MATHEMATICAL SCRIPT CAPITAL A}"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Lets the machine have a file that is no font, a font of symbols, and a family, whose plain one is yielded."""
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    names = {"symbols": "STIXSizOneSymReg", "a": "STIXGeneralBol", "b": "STIXGeneralItalic", "c": "STIXGeneral"}
    for name, source in names.items():
        shutil.copyfile(BUNDLED / f"{source}.ttf", tmp_path / f"{name}.ttf")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: sorted(map(str, tmp_path.glob("*.ttf"))))
    font_choice.choose.cache_clear()
    yield tmp_path / "c.ttf"
    font_choice.choose.cache_clear()


@pytest.mark.parametrize("text", ["", "reach both balls", "Привет, Ärmel · 5 µm → 7"])
def test_the_usual_font_has_most_alphabets(text: str) -> None:
    assert font_choice.font_of(text) == font_choice.USUAL
    assert font_choice.drawable(text) == text


def test_a_font_of_the_machine_is_taken_where_the_usual_one_lacks_a_character(plain: Path) -> None:
    """The upright one of the usual weight is taken."""
    assert font_choice.font_of(f"task {SCRIPT_A}") == plain
    assert font_choice.drawable(f"task {SCRIPT_A}") == f"task {SCRIPT_A}"


def test_what_no_font_has_is_said_and_not_drawn_as_boxes(plain: Path) -> None:
    assert font_choice.drawable("把杯子 put 放到") == "[?] put [?]"
    assert font_choice.font_of("把杯子") == font_choice.USUAL
    assert font_choice.drawable(f"{SCRIPT_A}把杯子") == f"{SCRIPT_A}[?]"
    assert font_choice.font_of(f"{SCRIPT_A}把杯子") == plain


def test_a_plot_draws_its_texts_in_such_fonts_without_a_warning(plain: Path, tmp_path: Path) -> None:
    """matplotlib warns of each character that a font lacks, and a warning fails a test."""
    figure = Figure()
    axis = figure.subplots()
    axis.plot([0.0, 1.0], label="把杯子放到碟子上")
    axis.plot([1.0, 0.0], label=f"task {SCRIPT_A}")
    axis.set_title("open the drawer", fontsize=11)
    legend = axis.legend(fontsize=8)
    plots.save(figure, tmp_path / "plot.png", dpi=50)
    texts = legend.get_texts()
    assert [text.get_text() for text in texts] == ["[?]", f"task {SCRIPT_A}"]
    assert texts[1].get_fontproperties().get_file() == str(plain)
    assert texts[1].get_fontsize() == 8
    assert axis.title.get_fontproperties().get_file() is None


def test_a_font_that_cannot_be_read_is_left_out(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(face: object) -> None:
        raise UnicodeDecodeError("ascii", b"x", 0, 1, "a damaged table of names")

    monkeypatch.setattr(font_manager, "ttfFontProperty", refuse)
    assert font_choice.font_of(f"{chr(0x1F600)} and {chr(0x4E2D)}") == font_choice.USUAL
