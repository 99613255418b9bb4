"""Completes commands, flags and choices for bash and zsh, by argcomplete. It never loads jax, mujoco or rclpy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from chunk_ppo_ros.cli.table import Command
from chunk_ppo_ros.config.flags import PROGRAM, FlagParser, command_line
from chunk_ppo_ros.core.own_parts.tracebacks import FLAG

SHELLS = ("bash", "zsh")
ASKED = "_ARGCOMPLETE"
"""The variable by which the shell asks for completions."""
RUNS = ("run", "runs")
"""The names of arguments that stand for a run."""
NAME_OF_RUN = "exp_name"
"""The setting with the name of a run, such as one that --resume goes on with."""


def completion_parser() -> FlagParser:
    """Returns the parser of `completion`."""
    parser = FlagParser(
        prog=command_line("completion"),
        description=(
            "Prints a script for the shell, by which Tab completes commands, flags, choices and paths. Write the line "
            "of the example into ~/.bashrc or ~/.zshrc to have it in every shell."
        ),
        examples=(
            (f'eval "$({command_line("completion bash")})"', "switches it on in this bash"),
            (f'eval "$({command_line("completion zsh")})"', "switches it on in this zsh, after compinit"),
        ),
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell: bash or zsh")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo completion SHELL`, which prints the script."""
    import argcomplete

    shell = completion_parser().parse_args(arguments).shell
    print(argcomplete.shellcode([PROGRAM], shell=shell))
    return 0


def is_asked() -> bool:
    """Returns whether the shell asks for completions, and does not run a command."""
    return ASKED in os.environ


def complete(package: str, commands: Mapping[str, Command]) -> None:
    """Answers the shell with completions of the command line in its variables, and ends the process.

    Args:
        package: package that contains the parsers of the commands.
        commands: the commands by name.
    """
    import argcomplete

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    words = argcomplete.lexers.split_line(line, point)[3]
    place = 2 if words[1:2] == [FLAG] else 1
    name = words[place] if len(words) > place else ""
    parser = commands[name].make_parser(package) if name in commands else None
    if parser is None:
        parser = _parser_of_names(commands)
    else:
        # The words of the command begin with its name, which stands for the program.
        os.environ[ASKED] = str(place + 1)
    parser.is_completing = True
    _add_completers(parser)
    second_forms = [name for action in parser.all_actions for name in action.option_strings if name.startswith("--no-")]
    argcomplete.autocomplete(parser, always_complete_options=False, exclude=second_forms)


def _add_completers(parser: FlagParser) -> None:
    """Says what stands for the section of `--help`, and for a run."""
    from argcomplete.completers import DirectoriesCompleter

    sections = [section.name for section in parser.sections]
    for action in parser.all_actions:
        if action.dest == "help":
            action.completer = lambda **_: sections  # type: ignore[attr-defined]
        elif action.dest in RUNS and not action.option_strings:
            action.completer = _RunsCompleter(DirectoriesCompleter())  # type: ignore[attr-defined]
        elif action.dest == NAME_OF_RUN:
            action.completer = _RunsCompleter(lambda _: ())  # type: ignore[attr-defined]


class _RunsCompleter:
    """Completes names of runs below runs/, and paths of folders."""

    def __init__(self, folders: Callable[..., Iterable[str]]) -> None:
        self._folders = folders

    def __call__(self, prefix: str, **_: object) -> list[str]:
        names = [path.name for path in Path("runs").glob(f"{prefix}*") if path.is_dir()] if "/" not in prefix else []
        return [*sorted(names), *self._folders(prefix)]


def _parser_of_names(commands: Mapping[str, Command]) -> FlagParser:
    parser = FlagParser(prog=PROGRAM, description=None)
    parser.add_argument("command", choices=list(commands))
    parser.add_argument("--version", action="store_true")
    parser.add_argument(FLAG, action="store_true")
    return parser
