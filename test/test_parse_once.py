"""Tests that the generators of rosidl parse each interface file once, and that other processes are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "tools" / "rosidl_for_wheels"
PARSER = """
import sys
def parse_idl_string(text, png_file=None):
    print("parses", text, file=sys.stderr)
    return ["parsed", text, png_file]
def parse_idl_file(text, png_file=None):
    return parse_idl_string(text, png_file=png_file)
"""
"""What stands for rosidl's parser, which calls its own function as this one does."""


def generate(folder: Path, text: str, *, parsed: Path | None, png_file: str | None = None) -> tuple[str, str]:
    """Runs a generator in a process of its own, and returns what it makes of a text and what it says."""
    package = folder / "rosidl_parser"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "parser.py").write_text(PARSER)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(FOLDER), str(folder)])}
    environ |= {} if parsed is None else {"PARSED_INTERFACES": str(parsed)}
    program = f"from rosidl_parser.parser import parse_idl_file; print(parse_idl_file({text!r}, {png_file!r}))"
    run = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    return run.stdout.strip(), run.stderr.strip()


def test_a_text_is_parsed_by_the_first_process_only(tmp_path: Path) -> None:
    parsed = tmp_path / "parsed"
    assert generate(tmp_path, "one", parsed=parsed) == ("['parsed', 'one', None]", "parses one")
    assert generate(tmp_path, "one", parsed=parsed) == ("['parsed', 'one', None]", "")
    assert generate(tmp_path, "two", parsed=parsed) == ("['parsed', 'two', None]", "parses two")
    assert len(list(parsed.iterdir())) == 2


def test_a_picture_of_the_text_needs_the_parser(tmp_path: Path) -> None:
    for _ in range(2):
        ended = generate(tmp_path, "one", parsed=tmp_path / "parsed", png_file="tree.png")
        assert ended == ("['parsed', 'one', 'tree.png']", "parses one")


def test_without_the_variable_nothing_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        assert generate(tmp_path, "one", parsed=None) == ("['parsed', 'one', None]", "parses one")
