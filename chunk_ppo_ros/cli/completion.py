"""Completes commands, flags and choices for bash and zsh, by argcomplete. It never loads jax, mujoco or rclpy."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from chunk_ppo_ros.cli.table import Command
from chunk_ppo_ros.config.flags import PROGRAM, FlagParser, command_line

SHELLS = ("bash", "zsh")
ASKED = "_ARGCOMPLETE"
"""The variable by which the shell asks for completions."""


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
    name = words[1] if len(words) > 1 else ""
    parser = commands[name].make_parser(package) if name in commands else None
    if parser is None:
        parser = _parser_of_names(commands)
    else:
        os.environ[ASKED] = "2"  # The words of the command begin with its name, which stands for the program.
    parser.answers_help = False
    argcomplete.autocomplete(parser, always_complete_options=False)


def _parser_of_names(commands: Mapping[str, Command]) -> FlagParser:
    parser = FlagParser(prog=PROGRAM, description=None)
    parser.add_argument("command", choices=list(commands))
    parser.add_argument("--version", action="store_true")
    return parser
