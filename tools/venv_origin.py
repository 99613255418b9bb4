"""Decides whether set-up may change a `.venv`, by the checkout, the interpreter and the ROS 2 that it was made for.

A virtual environment cannot be moved. One that a person made or linked must not be emptied. So set-up changes only a
`.venv` that it made itself, for this checkout and by this interpreter. It refuses any other and says what to do.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from pathlib import Path

_OLD_KEY = re.compile(r"(?P<python>\d+\.\d+)\S* (?P<interpreter>/.*?) (?P<place>/.*) (?P<ros>\S+)")
"""The key that version 0.1.0 wrote: Python's version, sys.executable, the checkout, the ROS 2 distribution or None."""


class ForeignEnvironmentError(RuntimeError):
    """Set-up may not change this `.venv`. The text says what to do."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The checkout, interpreter and ROS 2 that a `.venv` was made for.

    Attributes:
        python: Python's version without its last number, such as "3.12", because packages fit all such versions.
        interpreter: path of the interpreter that made it, with links followed, so that the interpreter of an active
            `.venv` counts as the one that made that `.venv`.
        place: folder of the checkout.
        ros: distribution of ROS 2 that was sourced, or "None".
    """

    python: str
    interpreter: str
    place: str
    ros: str

    @classmethod
    def of_this_run(cls, place: Path, ros: str | None) -> Origin:
        """Returns the origin of a `.venv` that this interpreter makes in a checkout."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return cls(python, os.path.realpath(sys.executable), str(place), str(ros))

    @classmethod
    def from_key(cls, key: str) -> Origin | None:
        """Returns the origin from a key of this version or of version 0.1.0; None where it is neither."""
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
    """Refuses a `.venv` that set-up must not change. It may be made again where only ROS 2 differs.

    Args:
        venv: folder of the environment, which need not exist.
        made_for: origin that a file in the folder records; None where there is no such record.
        wanted: origin that the environment must have.

    Raises:
        ForeignEnvironmentError: when it must not be changed; the text says what to do.
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
