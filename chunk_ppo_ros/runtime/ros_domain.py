"""Claims a ROS domain, so that two graphs on a machine do not use the same one by accident."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pathlib
import socket
import tempfile
from collections.abc import Iterator

from chunk_ppo_ros.core.errors import SettingError

DOMAINS = range(20, 102)
"""The ROS domains to choose from. Above 101, the ports of DDS overlap with the ports that Linux assigns freely."""

DDS_DOMAINS = range(233)
"""The domains that DDS has ports for (RTPS 2.5, section 9.6.2.3)."""


def keep_to_this_machine() -> None:
    """Lets the ROS nodes of this process find and be found by this machine only, unless the user chose otherwise.

    It sets ROS_AUTOMATIC_DISCOVERY_RANGE, and must be called before ROS is initialized.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@contextlib.contextmanager
def claim_domain(wanted: int | None = None) -> Iterator[int]:
    """Yields a ROS domain that no other graph on this machine uses, and holds it within the context.

    Args:
        wanted: the domain to take even if it is in use. None takes a free one.

    Raises:
        SettingError: where no domain is free.
    """
    if wanted is not None:
        yield wanted
        return
    folder = _folder()
    folder.mkdir(exist_ok=True)
    for domain in DOMAINS:
        with (folder / str(domain)).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if _ports_are_free(domain):
                yield domain
                return
    raise SettingError(
        f"a ROS domain of {DOMAINS.start}..{DOMAINS.stop - 1} must be free, got none; name one to share it"
    )


def claimed_domains() -> tuple[int, ...]:
    """Returns the ROS domains that graphs of this user hold on this machine now."""
    found = []
    for path in _folder().glob("*"):
        with path.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(int(path.name))
    return tuple(sorted(found))


def find_domain(wanted: int | None = None) -> int:
    """Returns the ROS domain in which a command looks for a graph.

    It is the wanted one, or ROS_DOMAIN_ID, or that of the only graph that claimed a domain on this machine, or 0.

    Args:
        wanted: the domain that the user named, or None.

    Raises:
        SettingError: where several graphs run on this machine and nothing says which one is meant.
    """
    if wanted is not None:
        return wanted
    given = os.environ.get("ROS_DOMAIN_ID", "")
    if given:
        if given not in map(str, DDS_DOMAINS):
            raise SettingError(
                f"ROS_DOMAIN_ID must be a number of 0..{DDS_DOMAINS.stop - 1}, got {given!r}; correct it"
            )
        return int(given)
    claimed = claimed_domains()
    if len(claimed) > 1:
        listed = ", ".join(map(str, claimed))
        raise SettingError(f"one graph must be meant, got graphs in the ROS domains {listed}; name one by --domain_id")
    return claimed[0] if claimed else 0


def _folder() -> pathlib.Path:
    return pathlib.Path(tempfile.gettempdir()) / f"chunk_ppo_ros_domains_{os.getuid()}"


_PARTICIPANTS = 16
"""The number of DDS participants whose ports are tried. A graph has fewer nodes."""
_HELD = contextlib.ExitStack()


def hold_domain(wanted: int | None = None) -> int:
    """Claims a ROS domain until this process ends, and returns it.

    Args:
        wanted: the domain to take even if it is in use. None takes a free one.

    Raises:
        SettingError: where no domain is free.
    """
    atexit.register(_HELD.close)
    return _HELD.enter_context(claim_domain(wanted))


def _ports_are_free(domain: int) -> bool:
    """Returns whether no DDS participant of this machine listens in a domain.

    Participant i listens on port 7400 + 250 * domain + 10 + 2 * i (RTPS 2.5, section 9.6.2.3). The first ones of a
    graph may have ended while others go on, so the ports of several are tried.
    """
    for participant in range(_PARTICIPANTS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", 7410 + 250 * domain + 2 * participant))
            except OSError:
                return False
    return True
