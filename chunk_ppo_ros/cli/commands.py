"""Runs a command by its name. A command is a module that has a function `main(arguments) -> int`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence

from chunk_ppo_ros import __version__
from chunk_ppo_ros.cli.exit_codes import INTERRUPTED
from chunk_ppo_ros.cli.leaving import after_output_failure, is_of_output
from chunk_ppo_ros.cli.overview import overview
from chunk_ppo_ros.cli.table import Command
from chunk_ppo_ros.config.flags.program import PROGRAM
from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, UserError
from chunk_ppo_ros.core.own_parts import tracebacks
from chunk_ppo_ros.core.suggestions import did_you_mean
from chunk_ppo_ros.runtime import interrupts

HELP = ("-h", "--help", "help")
VERSION = "--version"
KNOWN_FLAGS = ("--help", VERSION, tracebacks.FLAG)
"""The flags that may stand before a command."""


def run_command(
    package: str, commands: Mapping[str, Command], arguments: Sequence[str] | None = None, *, program: str = PROGRAM
) -> int:
    """Runs one command and returns its exit code. An error that the user can repair is printed in one line.

    The arguments are parsed before the module of the command is loaded, which takes seconds. So help and a wrong flag
    are answered at once.

    Args:
        package: package that contains the modules of the commands.
        commands: the commands by name.
        arguments: name of the command and its flags; the arguments of the process where not given.
        program: how the program is called, for its texts.

    Raises:
        SystemExit: with code 0 after help, and with code 2 for a wrong flag.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [tracebacks.FLAG]:
        tracebacks.show_tracebacks()
        given = given[1:]
    called = " ".join([program, *given[:1]])
    try:
        return _answer(package, commands, given, program=program)
    except UserError as error:
        tracebacks.print_wanted(error)
        print(f"{called}: {error}", file=sys.stderr)
        return CONFIGURATION_ERROR
    except OSError as error:
        if is_of_output(error):
            return after_output_failure(error)
        if error.filename is None:
            raise  # It is about no file that the user has named.
        print(f"{called}: {error.filename} cannot be used: {error.strerror}", file=sys.stderr)
        return CONFIGURATION_ERROR
    except KeyboardInterrupt:
        print(f"{called}: stopped", file=sys.stderr)
        return INTERRUPTED


def _answer(package: str, commands: Mapping[str, Command], given: list[str], *, program: str) -> int:
    """Prints the version, the list of commands or what is wrong about the first word, or runs the command."""
    if given[:1] == [VERSION]:
        print(f"{program} {__version__}")
        return 0
    if given and given[0] in HELP and given[1:]:
        given = [given[1], "--help", *given[2:]]
    if not given or given[0] in HELP:
        print(overview(commands, program=program))
        return 0 if given else CONFIGURATION_ERROR
    name = given[0]
    if name not in commands:
        kind, known = ("flag", KNOWN_FLAGS) if name.startswith("-") else ("command", tuple(commands))
        near = did_you_mean(name, known, otherwise=f"; no {kind} is like it.")
        print(f"{program}: unknown {kind} '{name}'{near} {program} --help lists the commands.", file=sys.stderr)
        return CONFIGURATION_ERROR
    interrupts.resend_dropped()
    return _run(package, commands[name], given[1:])


def _run(package: str, command: Command, arguments: Sequence[str]) -> int:
    parser = command.make_parser(package)
    if parser is not None:
        parser.parse_args(arguments)
    return int(importlib.import_module(f"{package}.{command.module}").main(arguments))
