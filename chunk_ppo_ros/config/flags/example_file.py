"""Finds the parameter file of a robot that comes with the package, for texts that name it."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = "config/robot.yaml"
"""The file as texts name it: relative to the folder of a checkout."""
PACKAGE = Path(__file__).resolve().parents[2]


def example_file() -> str:
    """Returns the path of the file, relative where it is so found from the present folder.

    A checkout has it beside the package. An installed package has it in the folder share of the same prefix, which
    `setup.py` names. It is as texts name it where neither is there. A file of this name in another folder is the
    user's own, and may have none of the limits for which a text names the example.
    """
    installed = (folder / "share" / PACKAGE.name / EXAMPLE for folder in PACKAGE.parents)
    found = next((path for path in (PACKAGE.parent / EXAMPLE, *installed) if path.is_file()), None)
    if found is None or (Path(EXAMPLE).is_file() and found.samefile(EXAMPLE)):
        return EXAMPLE
    return str(found)


def with_example_file(text: str) -> str:
    """Returns a text that names the file by a path that is there for the user."""
    return text.replace(EXAMPLE, example_file())
