"""Tests the supervisor over small programs in the place of nodes: ends, deaths and stops.

It also tests that nothing is left running.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import psutil
import pytest

from chunk_ppo_ros.core.errors import FRESH_UNASKED
from chunk_ppo_ros.runtime import process, ros_domain, supervisor
from chunk_ppo_ros.runtime.console import Console
from chunk_ppo_ros.runtime.description import Graph, NodeDescription
from chunk_ppo_ros.runtime.process import Child
from chunk_ppo_ros.runtime.restarts import respawns
from support.patience import PATIENCE

pytestmark = pytest.mark.graph

PROGRAMS = {
    "done": "print('made it', flush=True)",
    "idle": "import time\nprint('up', flush=True)\nwhile True: time.sleep(0.1)",
    "dying": "import sys\nprint('the disk is full', flush=True)\nsys.exit(3)",
    "fresh": "import sys\nprint('trained', flush=True)\nsys.exit(3)",
    "killed": "import os\nos.kill(os.getpid(), 9)",
    "misconfigured": "import sys\nsys.exit(2)",
    "resuming": "import sys\nprint(*sys.argv[-2:], flush=True)\nsys.exit(0 if 'resume:=true' in sys.argv else 1)",
    # This program dies twice, before and after it has written its first checkpoint.
    "beginning": (
        "import os, pathlib, sys\nprint(*sys.argv[-2:], flush=True)\nlife = pathlib.Path(os.environ['LIFE'])\n"
        "file = life.parent / 'step_0' / 'metadata.json'\n"
        "if life.exists(): file.parent.mkdir(exist_ok=True), file.touch()\n"
        "life.touch()\nsys.exit(0 if 'resume:=true' in sys.argv else 1)"
    ),
    # This program ignores SIGINT and SIGTERM, as a node does that compiles.
    "stubborn": (
        "import signal, time\nfor each in signal.SIGINT, signal.SIGTERM: signal.signal(each, signal.SIG_IGN)\n"
        "print('up', flush=True)\ntime.sleep(600)"
    ),
    "importing": "print('up', flush=True)\nimport time\ntime.sleep(600)",
    "parent": (
        "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('up', flush=True)\ntime.sleep(600)"
    ),
    "orphaning": (
        "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\nsys.exit(3)"
    ),
    "progress": "import sys\nsys.stdout.write('\\r1 of 2\\r2 of 2\\n')",
    "useful": (  # This program ends after it was up.
        "import sys, time\nfrom chunk_ppo_ros.runtime.restarts.readiness import tell_up\ntell_up()\n"
        "print('up', flush=True)\n"
        "time.sleep(0.2)\nsys.exit(3)"
    ),
    "arguments": "import sys\nprint(*sys.argv[1:], flush=True)",
    "environment": (
        "import os\nnames = 'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'OWN'\n"
        "print(*(os.environ[name] for name in names))"
    ),
}


@pytest.fixture
def make_graph(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Graph]:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / f"fake_{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{pathlib.Path(__file__).parents[1]}")

    def make(*programs: str, ends_with: str = "none") -> Graph:
        resume = {"resume": True}
        nodes = tuple(NodeDescription(name, f"fake_{name}", False, {"OWN": "1"}, resume) for name in programs)
        return Graph(nodes, tmp_path / "params.yaml", tmp_path / "run", ends_with)

    return make


def is_alive(process: psutil.Process) -> bool:
    """Returns whether a process still runs. A zombie that nobody has collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def own_children() -> Callable[[], list[psutil.Process]]:
    """Returns a function that lists the processes that the test has started and that still run.

    Earlier tests may have left some, such as the helper of multiprocessing.
    """
    before = set(psutil.Process().children(recursive=True))
    return lambda: [one for one in psutil.Process().children(recursive=True) if one not in before and is_alive(one)]


def test_every_node_gets_the_namespace_and_the_log_level(make_graph: Callable[..., Graph]) -> None:
    graph = dataclasses.replace(make_graph("arguments", ends_with="arguments"), namespace="/cell_1", log_level="debug")
    lines: list[str] = []
    assert supervisor.Supervisor(graph, domain_id=7, output=lines.append).run() == 0
    assert any(line.endswith("-p use_sim_time:=false -r __ns:=/cell_1 --log-level debug") for line in lines)


def test_it_ends_when_the_last_node_is_done(
    make_graph: Callable[..., Graph],
    tmp_path: pathlib.Path,
    own_children: Callable[[], list[psutil.Process]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    graph = make_graph("idle", "done", ends_with="done")
    assert supervisor.Supervisor(graph, domain_id=36, output=lines.append).run() == 0
    assert set(naps) == {supervisor.POLL_PERIOD}  # It does not keep a core busy.
    assert "[done] made it" in lines
    assert "done is done; the run has ended" in lines
    assert (tmp_path / "run" / "logs" / "done.log").read_text() == "made it\n"
    assert not own_children()


def test_nodes_get_their_environment(make_graph: Callable[..., Graph]) -> None:
    lines: list[str] = []
    graph = make_graph("environment", ends_with="environment")
    supervisor.Supervisor(graph, domain_id=36, output=lines.append).run()
    assert "[environment] 36 LOCALHOST 1" in lines


def test_a_dying_node_stops_all_and_is_named(
    make_graph: Callable[..., Graph], own_children: Callable[[], list[psutil.Process]]
) -> None:
    lines: list[str] = []
    assert supervisor.Supervisor(make_graph("idle", "dying"), domain_id=36, output=lines.append).run() == 1
    assert "dying ended with exit code 3; its last lines:\n    the disk is full" in lines
    assert not own_children()


def test_what_a_dying_node_has_started_ends_with_it(make_graph: Callable[..., Graph]) -> None:
    lines: list[str] = []
    assert supervisor.Supervisor(make_graph("orphaning"), domain_id=36, output=lines.append).run() == 1
    id = int(lines[0].removeprefix("[orphaning] "))
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(psutil.NoSuchProcess):
        orphan = psutil.Process(id)
        while is_alive(orphan):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_node_that_was_killed_is_named_with_its_signal(make_graph: Callable[..., Graph]) -> None:
    lines: list[str] = []
    assert supervisor.Supervisor(make_graph("killed"), domain_id=36, output=lines.append).run() == 1
    assert lines == ["killed was killed by signal 9; its last lines:\n    (nothing)"]


def test_a_dying_node_can_be_waited_for(make_graph: Callable[..., Graph]) -> None:
    lines: list[str] = []
    watched = supervisor.Supervisor(make_graph("idle", "dying"), domain_id=36, on_node_exit="wait", output=lines.append)
    threading.Timer(1.5, watched.stop).start()
    assert watched.run() == 0
    assert any("the others wait" in line for line in lines)


def test_a_node_that_dies_at_each_start_is_started_anew_later_each_time_and_then_no_more(
    make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respawns, "RESPAWN_DELAY", 0.2)
    monkeypatch.setattr(respawns, "MAX_RESPAWNS", 2)
    lines: list[str] = []
    graph = make_graph("idle", "dying")
    began = time.monotonic()
    assert supervisor.Supervisor(graph, domain_id=36, on_node_exit="respawn", output=lines.append).run() == 1
    assert time.monotonic() - began >= 0.2 + 0.4
    assert lines.count("[dying] the disk is full") == 3
    told = [line.splitlines()[-1] for line in lines if "started anew" in line]
    assert told == [
        "it is started anew in 0.2 s (1 of 2)",
        "it is started anew in 0.4 s (2 of 2)",
        "it was started anew 2 times in a row, and that does not help",
    ]


def test_a_node_that_the_run_does_not_need_never_ends_it(
    make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respawns, "RESPAWN_DELAY", 0.1)
    monkeypatch.setattr(respawns, "MAX_RESPAWNS", 1)
    lines: list[str] = []
    graph = make_graph("idle", "dying")
    nodes = tuple(dataclasses.replace(node, is_needed=node.name != "dying") for node in graph.nodes)
    watched = supervisor.Supervisor(dataclasses.replace(graph, nodes=nodes), domain_id=36, output=lines.append)
    ended = threading.Event()

    def stop() -> None:
        deadline = time.monotonic() + PATIENCE
        while not any("the run goes on without" in line for line in lines) and time.monotonic() < deadline:
            time.sleep(0.05)
        ended.set()
        watched.stop()

    threading.Thread(target=stop).start()
    assert watched.run() == 0 and ended.is_set()
    assert lines.count("[dying] the disk is full") == 2
    last = next(line for line in lines if "goes on without" in line).splitlines()[-1]
    assert last == "it was started anew 1 times in a row, and that does not help; the run goes on without dying"


def test_a_run_from_weights_that_nobody_asked_for_ends_with_a_status_of_its_own(
    make_graph: Callable[..., Graph],
) -> None:
    lines: list[str] = []
    graph = make_graph("idle", "fresh", ends_with="fresh")
    assert supervisor.Supervisor(graph, domain_id=36, output=lines.append).run() == FRESH_UNASKED == 3
    assert "fresh is done; the run has ended, but it was trained from fresh weights that nobody asked for (3)" in lines


def test_a_node_that_is_started_anew_goes_on_where_it_stood(
    make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respawns, "RESPAWN_DELAY", 0.0)
    lines: list[str] = []
    graph = make_graph("idle", "resuming", ends_with="resuming")
    assert supervisor.Supervisor(graph, domain_id=36, on_node_exit="respawn", output=lines.append).run() == 0
    assert [line for line in lines if line.startswith("[resuming]")] == [
        "[resuming] -p use_sim_time:=false",
        "[resuming] -p resume:=true",
    ]
    assert any("it is started anew in 0 s (1 of 8)" in line for line in lines)


def test_a_trainer_that_died_before_its_first_checkpoint_begins_again(
    make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    monkeypatch.setattr(respawns, "RESPAWN_DELAY", 0.0)
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    monkeypatch.setenv("LIFE", str(checkpoints / "life"))
    graph = dataclasses.replace(make_graph("beginning", ends_with="beginning"), checkpoint_folder=checkpoints)
    lines: list[str] = []
    assert supervisor.Supervisor(graph, domain_id=36, on_node_exit="respawn", output=lines.append).run() == 0
    assert [line for line in lines if line.startswith("[beginning]")] == [
        "[beginning] -p use_sim_time:=false",
        "[beginning] -p use_sim_time:=false",
        "[beginning] -p resume:=true",
    ]


@pytest.mark.parametrize(("program", "setting"), [("dying", "RESPAWNED_WELL"), ("useful", "SETTLED")])
def test_the_count_begins_anew_when_a_node_has_lived_on(
    make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch, program: str, setting: str
) -> None:
    monkeypatch.setattr(respawns, "RESPAWN_DELAY", 0.0)
    monkeypatch.setattr(respawns, "MAX_RESPAWNS", 2)
    monkeypatch.setattr(respawns, setting, 0.0)
    lines: list[str] = []

    def output(line: str) -> None:
        lines.append(line)
        if sum("(1 of 2)" in line for line in lines) == 4:  # more than without a new count
            watched.stop()

    watched = supervisor.Supervisor(make_graph("idle", program), domain_id=36, on_node_exit="respawn", output=output)
    assert watched.run() == 0


def test_a_graph_of_one_node_starts_it_anew_too(
    make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respawns, "RESPAWN_DELAY", 0.0)
    graph = make_graph("resuming", ends_with="resuming")
    lines: list[str] = []
    assert supervisor.Supervisor(graph, domain_id=36, on_node_exit="respawn", output=lines.append).run() == 0


def test_a_process_that_cannot_be_started_now_is_started_later(
    make_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(respawns, "RESPAWN_DELAY", 0.0)
    lines: list[str] = []
    failures = iter([False, True, True, False])  # the first start, and those after the end

    def start(*arguments: object, **more: object) -> subprocess.Popen[bytes]:
        if next(failures):
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return subprocess.Popen(*arguments, **more)  # type: ignore[call-overload, no-any-return]

    names = {name: getattr(subprocess, name) for name in ("DEVNULL", "PIPE", "STDOUT")}
    monkeypatch.setattr(process, "subprocess", SimpleNamespace(Popen=start, **names))
    graph = make_graph("resuming", ends_with="resuming")
    assert supervisor.Supervisor(graph, domain_id=36, on_node_exit="respawn", output=lines.append).run() == 0
    told = [line for line in lines if "cannot be started" in line]
    assert told[0].startswith("resuming cannot be started: [Errno 11] Resource temporarily unavailable\n")
    assert told[1].endswith("it is started anew in 0 s (3 of 8)")


def test_a_refused_configuration_is_not_started_anew(make_graph: Callable[..., Graph]) -> None:
    lines: list[str] = []
    graph = make_graph("idle", "misconfigured")
    assert supervisor.Supervisor(graph, domain_id=36, on_node_exit="respawn", output=lines.append).run() == 2
    assert sum("misconfigured ended with exit code 2" in line for line in lines) == 1


def test_an_unknown_policy_is_refused(make_graph: Callable[..., Graph]) -> None:
    with pytest.raises(ValueError, match="on_node_exit must be one of stop, wait, respawn, got 'shrug'"):
        supervisor.Supervisor(make_graph(), domain_id=36, on_node_exit="shrug")


SCRIPT = """
import pathlib, sys
from chunk_ppo_ros.runtime.description import Graph, NodeDescription
from chunk_ppo_ros.runtime.supervisor import Supervisor
nodes = tuple(NodeDescription(name, f"fake_{name}", False, {}) for name in sys.argv[2:])
folder = pathlib.Path(sys.argv[1])
sys.exit(Supervisor(Graph(nodes, folder / "p.yaml", folder, "none"), domain_id=36).run())
"""


def start_script(tmp_path: pathlib.Path, *programs: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Starts a supervisor in a process of its own, and returns it and all its descendants once they are up."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), *programs], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in programs:
        assert process.stdout.readline().endswith("up\n")
    return process, psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("programs", "number"),
    [
        (("idle", "parent"), signal.SIGINT),
        (("idle", "parent"), signal.SIGTERM),
        (("idle", "stubborn"), signal.SIGINT),
    ],
)
def test_a_signal_stops_everything(
    make_graph: Callable[..., Graph], tmp_path: pathlib.Path, programs: tuple[str, ...], number: signal.Signals
) -> None:
    process, descendants = start_script(tmp_path, *programs)
    process.send_signal(number)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert len(descendants) == len(programs) + programs.count("parent")
    assert not any(is_alive(descendant) for descendant in descendants)


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is told by Linux only")
def test_a_killed_supervisor_leaves_no_node(make_graph: Callable[..., Graph], tmp_path: pathlib.Path) -> None:
    process, nodes = start_script(tmp_path, "idle", "stubborn")
    process.kill()
    process.communicate()
    deadline = time.monotonic() + PATIENCE
    while any(is_alive(node) for node in nodes):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_signal_before_a_node_handles_it_is_quiet(make_graph: Callable[..., Graph]) -> None:
    lines: list[str] = []

    def note(line: str) -> None:
        lines.append(line)
        if line == "[importing] up":
            threading.Thread(target=watched.stop).start()

    watched = supervisor.Supervisor(make_graph("importing"), domain_id=36, output=note)
    assert watched.run() == 0
    assert lines == ["[importing] up", "stopping"]


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05])
def test_a_signal_while_python_starts_is_quiet(
    make_graph: Callable[..., Graph], tmp_path: pathlib.Path, delay: float
) -> None:
    make_graph()
    lines: list[str] = []
    child = Child(
        "node",
        [sys.executable, "-m", "chunk_ppo_ros.runtime.supervised", str(os.getpid()), "fake_importing"],
        environment=os.environ,
        log=tmp_path / "node.log",
        output=lines.append,
        progress=lines.append,
    )
    time.sleep(delay)
    child.send(signal.SIGINT)
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.poll() == -signal.SIGINT
    child.close()
    assert lines in ([], ["[node] up"])


def test_progress_is_not_kept(make_graph: Callable[..., Graph], tmp_path: pathlib.Path) -> None:
    lines: list[str] = []
    graph = make_graph("progress", ends_with="progress")
    supervisor.Supervisor(graph, domain_id=36, output=lines.append).run()
    assert lines[0] == "[progress] 2 of 2"
    assert (tmp_path / "run" / "logs" / "progress.log").read_text() == "2 of 2\n"


def test_a_process_is_followed_line_by_line_and_its_newest_lines_are_kept(tmp_path: pathlib.Path) -> None:
    program = (
        "import os, sys, time\n"
        "def say(text):\n    sys.stdout.write(text)\n    sys.stdout.flush()\n    time.sleep(0.1)\n"
        "for number in range(60): print(number)\n"
        "say('\\r1 of 2')\nsay('\\r2 of 2\\r')\nsay('done\\n')\nsay(str(os.getpgrp()))\n"
    )
    lines: list[str] = []
    progress: list[str] = []
    child = Child(
        "node",
        [sys.executable, "-c", program],
        environment=os.environ,
        log=tmp_path / "node.log",
        output=lines.append,
        progress=progress.append,
    )
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.close()
    assert progress[:2] == ["[node] 1 of 2", "[node] 2 of 2"]
    assert lines[-3:] == ["[node] 59", "[node] done", f"[node] {child.id}"]
    assert child.tail(2) == ["done", str(child.id)]
    assert child.tail(100) == [*(str(number) for number in range(12, 60)), "done", str(child.id)]  # the newest 50
    assert (tmp_path / "node.log").read_text().splitlines()[-2:] == ["done", str(child.id)]


def test_console_replaces_progress_by_lines_on_a_terminal_only() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, expected in ((io.StringIO(), "line\n"), (Terminal(), "\r\x1b[K1 of 2\r\x1b[Kline\n")):
        console = Console(stream)
        console.progress("1 of 2")
        console.line("line")
        assert stream.getvalue() == expected


def test_a_console_that_cannot_be_written_does_not_stop_whoever_writes() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with contextlib.suppress(OSError), os.fdopen(full, "w") as stream:
        console = Console(stream)
        for _ in range(10_000):
            console.line("a line that does not fit on the disk any more")


def test_a_log_that_cannot_be_written_does_not_stop_the_node(tmp_path: pathlib.Path) -> None:
    lines: list[str] = []
    (tmp_path / "node.log").symlink_to("/dev/full")
    child = Child(
        "node",
        [sys.executable, "-c", "for number in range(5000): print(f'{number:80}')"],
        environment=os.environ,
        log=tmp_path / "node.log",
        output=lines.append,
        progress=lines.append,
    )
    deadline = time.monotonic() + PATIENCE
    while child.poll() is None:  # It would wait for good at a full pipe.
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.close()
    assert child.poll() == 0
    told = [line for line in lines if not line.startswith("[node] ")]
    assert len(told) == 1 and "misses lines from here on, node goes on: [Errno 28] No space left" in told[0]
    assert len(lines) == 5001


def test_console_writes_at_once() -> None:
    """Another process may read the lines. Python keeps the text of a pipe back."""
    shown: list[str] = []

    class Pipe(io.StringIO):
        def isatty(self) -> bool:
            return True

        def flush(self) -> None:
            shown.append(self.getvalue())

    console = Console(Pipe())
    console.line("line")
    console.progress("1 of 2")
    assert shown == ["line\n", "line\n\r\x1b[K1 of 2"]


def test_a_tool_keeps_to_this_machine_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE")
    ros_domain.keep_to_this_machine()
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    ros_domain.keep_to_this_machine()
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_two_graphs_get_two_domains() -> None:
    with ros_domain.claim_domain() as first, ros_domain.claim_domain() as second:
        assert first != second
        assert {first, second} <= set(ros_domain.DOMAINS)
    with ros_domain.claim_domain(7) as wanted:
        assert wanted == 7


def test_one_run_in_lockstep_makes_the_time_of_a_domain() -> None:
    with ros_domain.claim_domain(231, run="first", makes_time=True):
        with (
            pytest.raises(ValueError, match=r"domain 231 must have one run that simulates.*got the run first there"),
            ros_domain.claim_domain(231, run="second", makes_time=True),
        ):
            pass
        with ros_domain.claim_domain(231, run="robot"), ros_domain.claim_domain(230, run="third", makes_time=True):
            assert {each.number for each in ros_domain.claimed_domains()} >= {230, 231}
    with ros_domain.claim_domain(231, run="later", makes_time=True):
        pass


@pytest.mark.parametrize("participant", [0, 3])  # The first nodes of a graph may have ended before the others.
def test_a_domain_whose_port_is_taken_is_not_free(monkeypatch: pytest.MonkeyPatch, participant: int) -> None:
    with ros_domain.claim_domain() as free:
        pass
    monkeypatch.setattr(ros_domain, "DOMAINS", range(free, free + 1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 7400 + 250 * free + 10 + 2 * participant))
        with (
            pytest.raises(ValueError, match=f"a ROS domain of {free}..{free} must be free, got none; name one"),
            ros_domain.claim_domain(),
        ):
            pass
    with ros_domain.claim_domain() as again:
        assert again == free


def test_a_process_holds_its_domain_until_it_ends() -> None:
    program = (
        "from chunk_ppo_ros.runtime.ros_domain import hold_domain\n"
        "print(hold_domain(), hold_domain(), flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        held = {int(number) for number in holder.stdout.readline().split()}
        assert len(held) == 2
        with ros_domain.claim_domain() as other:
            assert other not in held
        holder.communicate("\n", timeout=PATIENCE)
        assert holder.returncode == 0
