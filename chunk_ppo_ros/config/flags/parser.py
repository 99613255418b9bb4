"""A parser of flags whose errors are one line and whose help teaches."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from chunk_ppo_ros.config.flags.help_page import Defaults, HelpPage, Section
from chunk_ppo_ros.config.flags.help_request import HELP_ALL_FLAG, HELP_FLAGS, HelpRequest
from chunk_ppo_ros.config.flags.numbers import number, whole_number
from chunk_ppo_ros.config.renamed import present_flag
from chunk_ppo_ros.core.suggestions import did_you_mean

_NOTHING_NEAR = "; did you mean one of those that --help-all lists?"

REWORDED = (
    (r"argument (\S+): (must .*)", r"\1 \2"),
    (r"argument (\S+): expected one argument", r"\1 must have a value, got none; write \1 VALUE"),
    (r"argument (\S+): expected at least one argument", r"\1 must have one value or more, got none; write \1 VALUE"),
    (r"argument (\S+): ignored explicit argument (.*)", r"\1 must have no value, got \2; write \1 alone"),
    (r"unrecognized arguments: (.*)", r"no such argument is known: \1; leave it out"),
)
"""What argparse says of a wrong use, as a pattern, and the sentence that is printed instead."""
_REQUIRED = "the following arguments are required: "
"""How argparse begins to say which arguments are missing. Their names follow, with commas between them."""


class FlagParser(argparse.ArgumentParser):
    """A parser that prints an error in one line, before the usage, and a short help of what most people want first.

    `--help SECTION` prints the flags of one section and `--help-all` prints all flags.

    Args:
        prog: the command as it is typed.
        description: what the command does.
        examples: command lines to begin with, each with what it does.
        first: the flags that the short help shows. Without any, it shows all flags that are no settings.
        settings: what argparse takes further.

    Attributes:
        examples: as given.
        first: as given.
        defaults: what absent flags leave where the user names no preset; None for a command without settings.
        from_checkpoint: whether settings of a checkpoint come before those defaults.
        settings_of: the section of the configuration to which each setting belongs, by the name of its flag.
        is_completing: whether the shell asks for completions, so that no help and no error is printed.
    """

    def __init__(
        self,
        *,
        prog: str,
        description: str | None,
        examples: Sequence[tuple[str, str]] = (),
        first: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, add_help=False, **settings)
        self.examples, self.first = tuple(examples), tuple(first)
        self.defaults: Defaults | None = None
        self.from_checkpoint = False
        self.settings_of: dict[str, str] = {}
        self.is_completing = False
        self.add_argument(
            *HELP_FLAGS, nargs="?", metavar="SECTION", help="show the most important flags, or those of one section"
        )
        self.add_argument(HELP_ALL_FLAG, action="store_true", help="show all flags, by section")
        self.register("type", int, whole_number)
        self.register("type", float, number)

    @property
    def all_actions(self) -> list[argparse.Action]:
        """All arguments and flags, hidden ones as well."""
        return list(self._actions)

    @property
    def sections(self) -> list[Section]:
        """The named groups of flags, in the order in which they were added."""
        own = (self._positionals, self._optionals)
        named = [group for group in self._action_groups if group not in own and group._group_actions]
        return [Section(str(group.title), group.description or "", tuple(group._group_actions)) for group in named]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parses as argparse does, but first prints help that is asked for, and looks for unknown flags.

        It exits with status 0 after the help, and with status 2 where a flag is unknown.
        """
        if self.is_completing:
            return super().parse_known_args(args, namespace)
        given = [str(argument) for argument in (sys.argv[1:] if args is None else args)]
        flags = given[: given.index("--")] if "--" in given else given
        request = HelpRequest.of(flags)
        if request is not None:
            self._answer(request)
        for argument in flags:
            flag = argument.partition("=")[0]
            if flag.startswith("--") and flag not in self._option_string_actions:
                self.error(self._unknown(flag))
        return super().parse_known_args(given, namespace)

    def format_help(self) -> str:
        """Returns the short help, with the values of the preset that the command starts from."""
        return HelpPage(self, HelpRequest()).text()

    def error(self, message: str) -> NoReturn:
        """Says of argparse's errors what must be, and hands the error to `refuse`."""
        for pattern, sentence in REWORDED:
            message = re.sub(f"^{pattern}$", sentence, message)
        if message.startswith(_REQUIRED):
            message = _missing(message.removeprefix(_REQUIRED).split(", "))
        self.refuse(message)

    def refuse(self, message: str) -> NoReturn:
        """Prints the error and then one line of usage, and exits with status 2. A program may do otherwise."""
        print(f"{self.prog}: {message}\nusage: {self.short_usage()}", file=sys.stderr)
        self.exit(2)

    def short_usage(self) -> str:
        """Returns the program, its required arguments and a hint at --help. Argparse would list every flag."""
        needed = []
        for action in self._actions:
            name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
            if not action.option_strings:
                forms = {"+": f"{name} [{name} ...]", "*": f"[{name} ...]", "?": f"[{name}]"}
                needed.append(forms.get(str(action.nargs), name))
            elif action.required:
                needed.append(f"{action.option_strings[0]} {name}")
        return " ".join([self.prog, *needed, "[flags]; --help lists the flags"])

    def _answer(self, request: HelpRequest) -> NoReturn:
        names = [section.name for section in self.sections]
        if not names:  # The word after --help is an argument, as in `topic --help echo`.
            request = dataclasses.replace(request, section="")
        if request.section and request.section not in names:
            sections = ", ".join(names)
            near = did_you_mean(request.section, names)
            self.error(f"--help SECTION must name one of {sections}, got '{request.section}'{near}")
        print(HelpPage(self, request).text(), end="")
        self.exit(0)

    def _unknown(self, flag: str) -> str:
        present = present_flag(flag.removeprefix("--"))
        if present is not None:
            return f"unknown flag {flag}; write {present}"
        same_form = [known for known in self._option_string_actions if ("." in known) == ("." in flag)]
        return f"unknown flag {flag}{did_you_mean(flag, same_form, otherwise=_NOTHING_NEAR)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuses a value that is none of the choices, and names the nearest one."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        shown = str(action.metavar) if ".." in str(action.metavar) else ", ".join(known)
        near = "" if isinstance(action.choices, range) else did_you_mean(str(value), known)
        raise argparse.ArgumentError(action, f"must be one of {shown}, got {value!r}{near}")


def _missing(names: Sequence[str]) -> str:
    """Returns the error of arguments that are missing, as a sentence."""
    *others, last = names
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"{listed} must be given, got nothing; --help shows how"
