"""What all tests share: JAX on the CPU, ROS 2 on loopback in a domain of its own, and the folder of reference data.

The environment is set when this file is imported, before any test module imports JAX or rclpy, and is inherited by the
processes that tests start. A user's ROS_DOMAIN_ID is never kept: a real robot may be in it.
"""

from __future__ import annotations

import atexit
import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from support.compile_cache import compile_cache

ROOT = Path(__file__).resolve().parent.parent
DOMAINS = range(20, 102)  # above 101 the ports of Fast DDS run into those that Linux hands out


def claim_domain() -> IO[str]:
    """Returns a locked file named after a ROS domain that no other test run on this machine uses."""
    folder = Path(tempfile.gettempdir()) / "chunk_ppo_ros_test_domains"
    folder.mkdir(exist_ok=True)
    for domain in itertools.islice(itertools.cycle(DOMAINS), os.getpid() % len(DOMAINS), 2 * len(DOMAINS)):
        file = (folder / str(domain)).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        return file
    raise RuntimeError(f"one of the ROS domains {DOMAINS} must be free, got none; end other test runs")


DOMAIN_LOCK = claim_domain()  # held until this process ends
atexit.register(DOMAIN_LOCK.close)
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not IS_WORKER:  # the workers of pytest-xdist inherit it
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compile_cache(ROOT / ".cache" / "test_programs"))
os.environ |= {
    "JAX_PLATFORMS": "cpu",
    # Every program is kept, however small or quickly compiled.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    "ROS_DOMAIN_ID": Path(DOMAIN_LOCK.name).name,
    "WANDB_MODE": "disabled",
}
os.environ.pop("ROS_STATIC_PEERS", None)
os.environ.pop("ROS_LOCALHOST_ONLY", None)

from support import shape_checks  # noqa: E402  (it imports JAX, which reads the environment)

shape_checks.install()


@pytest.fixture(scope="session", autouse=True)
def ros_log_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that nodes under test write their logs to, instead of the user's home."""
    folder = tmp_path_factory.mktemp("ros_log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_LOG_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder of reference data beside the checkout; tests that need it are skipped where it is not."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with the reference data is not here")
    return folder
