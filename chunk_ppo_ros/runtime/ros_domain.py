"""The claim of a ROS domain: no two graphs on a machine take the same one unasked."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pathlib
import socket
import tempfile
from collections.abc import Iterator

DOMAINS = range(20, 102)
"""ROS domains to choose from; above 101 the ports of DDS run into those that Linux hands out."""


@contextlib.contextmanager
def claim_domain(wanted: int | None = None) -> Iterator[int]:
    """Gives a ROS domain that no other graph on this machine uses, held within the context.

    Args:
        wanted: the domain to take whether it is used or not; a free one where not given.

    Raises:
        ValueError: where no domain is free.
    """
    if wanted is not None:
        yield wanted
        return
    folder = pathlib.Path(tempfile.gettempdir()) / f"chunk_ppo_ros_domains_{os.getuid()}"
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
    raise ValueError(
        f"a ROS domain of {DOMAINS.start}..{DOMAINS.stop - 1} must be free, got none; name one to share it"
    )


_HELD = contextlib.ExitStack()


def hold_domain(wanted: int | None = None) -> int:
    """Claims a ROS domain until this process ends; see `claim_domain`.

    Raises:
        ValueError: where no domain is free.
    """
    atexit.register(_HELD.close)
    return _HELD.enter_context(claim_domain(wanted))


def _ports_are_free(domain: int) -> bool:
    """Returns whether no DDS participant of this machine listens in a domain: 7400 + 250 * domain + 10, RTPS 2.5,
    9.6.2.3.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", 7410 + 250 * domain))
        except OSError:
            return False
    return True
