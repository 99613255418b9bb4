"""Says what is wrong with a command of a document, without running it."""

from __future__ import annotations

import pathlib
import re
import shlex

from documentation.commands import programs, ros


def fault(text: str, root: pathlib.Path) -> str:
    """Returns what is wrong with a command, or an empty text.

    Commands that are joined by && are looked at one by one. Those of programs that this package does not have, such as
    git and colcon, are not looked at.

    Args:
        text: the command on one line.
        root: the checkout.
    """
    faults = [_fault(part.strip(), root) for part in text.split(" && ")]
    return "; ".join(each for each in faults if each)


def _fault(text: str, root: pathlib.Path) -> str:
    own = programs.own_arguments(text)
    if own is not None:
        return programs.fault_of_own(own) or ros.fault_of_names(own)
    words = shlex.split(re.sub(r"^(?:[A-Z_]+=\S+ )+", "", text))
    name, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if name == "make":
        return programs.fault_of_make(rest, root)
    if name.startswith("python"):
        return programs.fault_of_python(rest, root)
    return ros.fault_of_ros(rest, root) if name == "ros2" else ""
