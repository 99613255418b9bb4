"""Whom a `.venv` was made for: the checkout's place, the interpreter and ROS 2; and whether set-up may touch it.

A virtual environment cannot be moved, and one that somebody linked or made is not ours to empty. So set-up changes only
what it made itself, for this place and by this interpreter; everything else it refuses, and says what to do.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from pathlib import Path

_OLD_KEY = re.compile(r"(?P<python>\d+\.\d+)\S* (?P<interpreter>/.*?) (?P<place>/.*) (?P<ros>\S+)")
"""What version 0.1.0 wrote: Python's version, sys.executable, the checkout, the distribution of ROS 2 or None."""


class ForeignEnvironmentError(RuntimeError):
    """The `.venv` is not one that set-up may change; the text says what to do."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a `.venv` was made for.

    Attributes:
        python: Python's version without its last number, "3.12": packages fit all of these.
        interpreter: the interpreter that it was made by, with links followed, so that an activated `.venv` counts as
            what it was made by.
        place: the checkout.
        ros: the distribution of ROS 2 that was sourced, or "None".
    """

    python: str
    interpreter: str
    place: str
    ros: str

    @classmethod
    def of_this_run(cls, place: Path, ros: str | None) -> Origin:
        """The origin of a `.venv` that this interpreter makes in a checkout."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return cls(python, os.path.realpath(sys.executable), str(place), str(ros))

    @classmethod
    def from_key(cls, key: str) -> Origin | None:
        """The origin that `key` or version 0.1.0 wrote; None where it is neither."""
        try:
            return cls(**json.loads(key))
        except (ValueError, TypeError):
            found = _OLD_KEY.fullmatch(key)
        if found is None:
            return None
        parts = found.groupdict()
        return cls(**{**parts, "interpreter": os.path.realpath(parts["interpreter"])})

    @property
    def key(self) -> str:
        """The origin as one string."""
        return json.dumps(dataclasses.asdict(self))


def check(venv: Path, made_for: Origin | None, wanted: Origin) -> None:
    """Refuses a `.venv` that set-up must not change. Where ROS 2 alone differs, it may be made anew.

    Args:
        venv: the folder, which need not exist.
        made_for: what it was made for, as its own file says; None where it does not say.
        wanted: what it is to be made for.

    Raises:
        ForeignEnvironmentError: with what to do.
    """
    if venv.is_symlink():
        raise ForeignEnvironmentError(
            f"{venv} must be a folder of this checkout, got a link to {venv.readlink()}, which is left as it is; "
            "remove the link (rm .venv) and run `make setup` again"
        )
    if not venv.exists():
        return
    if made_for is None:
        raise ForeignEnvironmentError(
            f"{venv} must have been made by `make setup`, got one that does not say so; move it away or remove it, and "
            "run `make setup` again"
        )
    if made_for.place != wanted.place:
        raise ForeignEnvironmentError(
            f"{venv} must have been made for {wanted.place}, got one made for {made_for.place}, and an environment "
            "cannot be moved; move the checkout back, or run `make clean` and `make setup`, which installs all anew"
        )
    if (made_for.python, made_for.interpreter) != (wanted.python, wanted.interpreter):
        raise ForeignEnvironmentError(
            f"{venv} must have been made by Python {wanted.python} ({wanted.interpreter}), got one made by Python "
            f"{made_for.python} ({made_for.interpreter}); run `make setup PYTHON={made_for.interpreter}` to keep it, "
            "or `make clean` and `make setup`, which installs all anew"
        )
