"""Says what is wrong with the commands of this package, of make and of Python, without running them."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import io
import pathlib
import re
import shlex
from collections.abc import Sequence

from chunk_ppo_ros.cli.table import COMMANDS
from chunk_ppo_ros.config.flags import config_from_flags

_OWN = re.compile(r"(?:\S*python3? -m chunk_ppo_ros|\S*\bchunk_ppo)(?= |$)")
_MADE_FROM_ARGS = {"bench": ["bench"], "demo": ["demo"]}
"""The commands of this package that a target of make hands ARGS to."""


def own_arguments(text: str) -> list[str] | None:
    """Returns the arguments of a command of this package, however the document calls it; None for other commands."""
    found = _OWN.match(re.sub(r"^(?:[A-Z_]+=\S+ )+", "", text))
    rest = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", text)[found.end() :] if found else ""
    return shlex.split(re.sub(r"\[([^\]]*)\]", r"\1", rest) if " [--" in rest else rest) if found else None


def fault_of_own(arguments: Sequence[str]) -> str:
    """Returns why the parser of a command refuses arguments, or an empty text. Nothing of the command is run.

    The settings among the flags are checked too, unless a parameter file of the reader adds others.
    """
    if not arguments or arguments[0] in ("--help", "--version"):
        return ""
    name = arguments[0]
    if name not in COMMANDS:
        return f"there is no command {name}"
    parser = _parser_of(name)
    if parser is None:
        return ""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            namespace = parser.parse_args(list(arguments[1:]))
    except SystemExit as exit_:
        return "" if exit_.code in (0, None) else printed.getvalue().strip().splitlines()[0]
    return "" if "--params_file" in arguments else _fault_of_settings(namespace)


@functools.cache
def _parser_of(command: str) -> argparse.ArgumentParser | None:
    """Returns the parser of a command. With its hundreds of flags it takes a second to make."""
    return COMMANDS[command].make_parser("chunk_ppo_ros")


def _fault_of_settings(namespace: argparse.Namespace) -> str:
    """Returns why the settings among the flags are refused, or an empty text."""
    if "config_is_given" not in namespace:
        return ""
    try:
        config_from_flags(namespace)
    except ValueError as error:
        return str(error)
    return ""


def fault_of_make(words: Sequence[str], root: pathlib.Path) -> str:
    """Returns why make would refuse a command, or an empty text. ARGS of `make bench` and `make demo` are parsed."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    rest = [word for index, word in enumerate(words) if word != "-C" and words[index - 1] != "-C"]
    given = dict(word.split("=", 1) for word in rest if "=" in word)
    called = [word for word in rest if "=" not in word]
    if not set(called) <= targets:
        return f"make has no target {', '.join(sorted(set(called) - targets))}"
    for target in called:
        if "ARGS" in given and target in _MADE_FROM_ARGS:
            return fault_of_own([*_MADE_FROM_ARGS[target], *shlex.split(given["ARGS"])])
    return ""


def fault_of_python(words: Sequence[str], root: pathlib.Path) -> str:
    """Returns why Python would find no program, or an empty text. A reader's files have no folder, or begin with ~."""
    if words[0] == "-m":
        found = words[1] == "pip" or importlib.util.find_spec(words[1]) is not None
        return "" if found else f"there is no module {words[1]}"
    known = words[0].startswith(("~", "-c")) or "/" not in words[0] or (root / words[0]).is_file()
    return "" if known else f"there is no file {words[0]}"
