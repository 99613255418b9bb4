"""Claims a ROS domain, so that two graphs on a machine do not use the same one by accident."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
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


@dataclasses.dataclass(frozen=True)
class ClaimedDomain:
    """A ROS domain in which a graph of this user runs on this machine.

    Attributes:
        number: the domain.
        run: the name of the run; empty where the graph told none.
    """

    number: int
    run: str

    def __str__(self) -> str:
        return f"{self.number} (run {self.run})" if self.run else str(self.number)


@contextlib.contextmanager
def claim_domain(wanted: int | None = None, *, run: str = "", makes_time: bool = False) -> Iterator[int]:
    """Yields a ROS domain that no other graph on this machine uses, and holds it within the context.

    A wanted domain is marked as used too, so that `find_domain` knows the graphs of robots as well.

    Args:
        wanted: the domain to take even if it is in use. None takes a free one, which is not that of ROS_DOMAIN_ID: a
            robot of the user may begin to use that one later.
        run: the name of the run, which `find_domain` tells.
        makes_time: whether the run simulates in lockstep, so that it publishes the time of its domain on /clock.

    Raises:
        SettingError: where no domain is free, or another run makes the time of the wanted one.
    """
    if wanted is not None:
        with _marked(str(wanted), fcntl.LOCK_SH, run), _only_time_of(wanted, run) if makes_time else _NOTHING:
            yield wanted
        return
    for domain in (domain for domain in DOMAINS if str(domain) != os.environ.get("ROS_DOMAIN_ID")):
        with _marked(str(domain), fcntl.LOCK_EX, run) as is_mine:
            if is_mine and _ports_are_free(domain):
                with _only_time_of(domain, run) if makes_time else _NOTHING:
                    yield domain
                return
    raise SettingError(
        f"a ROS domain of {DOMAINS.start}..{DOMAINS.stop - 1} must be free, got none; name one to share it"
    )


_NOTHING: contextlib.AbstractContextManager[None] = contextlib.nullcontext()


@contextlib.contextmanager
def _only_time_of(domain: int, run: str) -> Iterator[None]:
    """Lets one run of this machine alone make the time of a domain. A namespace does not move /clock.

    Raises:
        SettingError: where another run does.
    """
    name = f"clock_{domain}"
    with _marked(name, fcntl.LOCK_EX, run) as is_mine:
        if not is_mine:
            raise SettingError(
                f"the ROS domain {domain} must have one run that simulates in lockstep, because its time is on /clock, "
                f"got the run {(folder_of_marks() / name).read_text(encoding='utf-8')} there; stop that run, or name "
                "another domain by domain_id"
            )
        yield


@contextlib.contextmanager
def _marked(name: str, kind: int, run: str) -> Iterator[bool]:
    """Yields whether the file of this name is locked in this context. It is not where another graph has locked it."""
    folder = folder_of_marks()
    folder.mkdir(exist_ok=True)
    with (folder / name).open("a", encoding="utf-8", errors="backslashreplace") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(run)
        file.flush()
        yield True


def claimed_domains() -> tuple[ClaimedDomain, ...]:
    """Returns the ROS domains that graphs of this user hold on this machine now."""
    found = []
    for path in folder_of_marks().glob("[0-9]*"):
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(ClaimedDomain(int(path.name), file.read()))
    return tuple(sorted(found, key=lambda domain: domain.number))


def domain_of_environment() -> int | None:
    """Returns the ROS domain of the variable ROS_DOMAIN_ID, or None where it is not set or empty.

    Raises:
        SettingError: for a value that is no domain. ROS would end the process, and say nothing of the variable.
    """
    given = os.environ.get("ROS_DOMAIN_ID", "")
    if not given:
        return None
    if given not in map(str, DDS_DOMAINS):
        raise SettingError(f"ROS_DOMAIN_ID must be a number of 0..{DDS_DOMAINS.stop - 1}, got {given!r}; correct it")
    return int(given)


def find_domain(wanted: int | None = None) -> int:
    """Returns the ROS domain in which a command looks for a graph.

    It is the wanted one, or ROS_DOMAIN_ID, or that of the only graph that runs on this machine, or 0.

    Args:
        wanted: the domain that the user named, or None.

    Raises:
        SettingError: for a ROS_DOMAIN_ID that is no domain, and where several graphs run on this machine and nothing
            says which one is meant.
    """
    if wanted is not None:
        return wanted
    given = domain_of_environment()
    if given is not None:
        return given
    claimed = claimed_domains()
    if len(claimed) > 1:
        listed = ", ".join(map(str, claimed))
        raise SettingError(f"one graph must be meant, got graphs in the ROS domains {listed}; name one by --domain_id")
    return claimed[0].number if claimed else 0


def folder_of_marks() -> pathlib.Path:
    """Returns the folder of the files that say what this user's graphs hold on this machine."""
    return pathlib.Path(tempfile.gettempdir()) / f"chunk_ppo_ros_domains_{os.getuid()}"


_PARTICIPANTS = 16
"""The number of DDS participants whose ports are tried. A graph has fewer nodes."""
_HELD = contextlib.ExitStack()


def hold_domain(wanted: int | None = None, *, run: str = "", makes_time: bool = False) -> int:
    """Claims a ROS domain until this process ends, and returns it.

    Args:
        wanted: the domain to take even if it is in use. None takes a free one.
        run: the name of the run, which `find_domain` tells.
        makes_time: whether the run simulates in lockstep.

    Raises:
        SettingError: where no domain is free, or another run makes the time of the wanted one.
    """
    atexit.register(_HELD.close)
    return _HELD.enter_context(claim_domain(wanted, run=run, makes_time=makes_time))


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
