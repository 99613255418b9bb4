"""Prepares what all tests share: JAX on the CPU, ROS 2 on loopback in a domain of its own, and the reference data.

Tests run in several processes, the workers of pytest-xdist. A file stays in one worker. All files marked `graph` stay
in the same worker, because their nodes have time limits and no two of them may run at once. Tests marked `slow` run
with `--slow`, and those marked `long` with `--long`.

The environment is set when this file is imported, before any test module imports JAX or rclpy. The processes that tests
start inherit it. A user's ROS_DOMAIN_ID is never kept, because a real robot may be in that domain.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from chunk_ppo_ros.runtime.ros_domain import hold_domain
from support import stop_signals
from support.compile_cache import compile_cache

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = "slow; `make test-slow` runs it"
QUICK_COMPILATION = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=1"
"""The flags with which XLA compiles a program in about two thirds of the time.

They choose fewer passes, and XLA's former way of fusing.

The slow tests run without these flags. They train graphs, and compare all of openpi's numbers with the code that users
run.
"""


LOW_PRIORITY = 10
"""The nice value of the tests that start no nodes: they get a tenth of a core that a node wants too."""

DOMAIN = hold_domain()
"""The ROS domain of this process. No other graph or test run on this machine takes it before this process ends."""

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not IS_WORKER:  # the workers of pytest-xdist inherit it
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compile_cache(ROOT / ".cache" / "test_programs"))
    if not {"--slow", "--long"} & set(sys.argv):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK_COMPILATION}".strip()
else:  # its share of the cores: how many threads XLA starts
    os.environ["NPROC"] = str(max(1, len(os.sched_getaffinity(0)) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])))
os.environ |= {
    "JAX_PLATFORMS": "cpu",
    # Every program is kept, however small or quickly compiled.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    "ROS_DOMAIN_ID": str(DOMAIN),
    "WANDB_MODE": "disabled",
}
os.environ.pop("ROS_STATIC_PEERS", None)
os.environ.pop("ROS_LOCALHOST_ONLY", None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # The nodes that tests start would compile their modules anew.

from support import shape_checks  # noqa: E402  (it imports JAX, which reads the environment)
from support.interbotix_messages import interface_folder  # noqa: E402

shape_checks.install()
stop_signals.install()

# A test on a busy machine may stand still for half a second, and no test asserts how long something takes.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")
    parser.addoption("--long", action="store_true", help="run the tests marked long too")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts each test into its worker's group, and skips slow and long ones unless they are asked for."""
    distributed = config.pluginmanager.hasplugin("xdist")
    for item in items:
        if distributed:
            # Tests marked graph("drivers"), which mostly wait for a driver, are a group of their own.
            graph = item.get_closest_marker("graph")
            group = item.path.stem if graph is None else "_".join(["graph", *graph.args])
            item.add_marker(pytest.mark.xdist_group(group))
        if item.get_closest_marker("slow") is not None and not config.getoption("slow"):
            item.add_marker(pytest.mark.skip(reason=LEFT_OUT))
        long = item.get_closest_marker("long")
        if long is not None and not config.getoption("long"):
            item.add_marker(pytest.mark.skip(reason=f"takes many minutes; `{long.args[0]}` runs it"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leaves what all imports have made out of garbage collections, which are a hundred times as quick then."""
    gc.collect()
    gc.freeze()


def set_priority(nice: int) -> None:
    """Gives all threads of this process a nice value, where it may."""
    if os.getpriority(os.PRIO_PROCESS, 0) == nice:
        return
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(PermissionError, ProcessLookupError):  # no right to a lower value, and ended meanwhile
            os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Gives the tests of graphs the cores first, and removes the nodes of each graph when its test has ended.

    The nodes have time limits, and the other tests have none. Where this process may not become more important again,
    as without root's rights, all later tests of it have the lower priority.

    rclpy's lifecycle nodes have references to themselves, and keep their DDS participant until they are collected. Some
    thirty participants that are left in this process would hide it from the processes that later tests start.
    """
    is_graph = item.get_closest_marker("graph") is not None
    set_priority(0 if is_graph else LOW_PRIORITY)
    result = yield
    if is_graph:
        gc.collect()
    return result


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many slow tests were left out."""
    reports = terminalreporter.getreports("skipped")
    count = sum(isinstance(report.longrepr, tuple) and report.longrepr[2].endswith(LEFT_OUT) for report in reports)
    if count:
        terminalreporter.write_line(f"{count} slow tests were left out; `make test-slow` runs them")


@pytest.fixture(scope="session", autouse=True)
def ros_log_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Returns the folder that nodes under test write their logs to. They keep nothing in the user's home."""
    folder = tmp_path_factory.mktemp("ros_log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_LOG_DIR", str(folder))
        patch.setenv("ROS_HOME", str(tmp_path_factory.mktemp("ros_home")))
        yield folder


@pytest.fixture(autouse=True)
def folder_of_nodes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the nodes of a test write below a folder of its own, unless they are told another run_dir.

    They lock what they store, so that two tests that run at the same time could not share a folder.
    """
    if request.node.get_closest_marker("graph") is not None:
        monkeypatch.chdir(request.getfixturevalue("tmp_path"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Returns the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Returns the folder of reference data beside the checkout. Tests that need it are skipped where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared with the reference data is not here")
    return folder


@pytest.fixture(scope="session")
def interbotix_messages() -> Iterator[Path]:
    """Puts the stand-in of Interbotix's interface package on sys.path. It is built where it is not in the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder := interface_folder())
        yield folder
