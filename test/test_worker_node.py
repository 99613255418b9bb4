"""Tests the lifecycle of the base of policy_node and trainer_node, where ROS calls a transition an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from rclpy.lifecycle import LifecycleState, ManagedEntity, TransitionCallbackReturn

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.wire import qos
from support.lifecycle_operator import LifecycleOperator
from support.node_harness import Graph, Peer, graph_starter

pytestmark = pytest.mark.graph

NAME = "node_with_a_worker"
Answer = TransitionCallbackReturn | Exception


class Part(ManagedEntity):
    """A part of a node that cannot be activated. It handles the error as `on_error` of the test says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return TransitionCallbackReturn.ERROR

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Node(WorkerNode):
    """A node that is ready at once, and keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(NAME, "run")
        self.calls: list[str] = []

    def configure(self) -> None:
        self._keep("configure")
        self.set_ready()

    def activated(self) -> None:
        self._keep("activated")

    def deactivated(self) -> None:
        self._keep("deactivated")

    def cleaned_up(self) -> None:
        self._keep("cleaned_up")

    def values(self) -> dict[str, str]:
        return {"age of cam_high": "0.010 s"}

    def _keep(self, call: str) -> None:
        self.calls.append(call)


class Operator(Peer):
    """Listens to the diagnostics, and asks for the state of the lifecycle."""

    def __init__(self) -> None:
        super().__init__()
        self.listen(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        self.state = self.create_client(GetState, f"{NAME}/get_state")

    @property
    def newest(self) -> str:
        """The newest text of the diagnostics."""
        return self.heard["/diagnostics"][-1].status[0].message


@pytest.fixture
def graph(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Graph]:
    with graph_starter(tmp_path, Node, Operator, capfd) as start:
        graph = start(run={"autostart": False})
        graph.until(graph.peer.state.service_is_ready)
        yield graph


class SelfStarting(Node):
    """A node that is ready when a job of its worker is done, and whose first configuration a test may break.

    The job waits until `gate` is set.
    """

    errors: ClassVar[list[UserError]] = []
    gate = threading.Event()
    gate.set()

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def configure(self) -> None:
        self._keep("configure")
        if self.errors:
            raise self.errors.pop()
        self.submit(lambda: self.gate.wait(5.0), lambda outcome: self.set_ready())


@pytest.fixture
def self_starting(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], Graph]]:
    with graph_starter(tmp_path, SelfStarting, Operator, capfd) as start:
        yield start


def configure_by_hand(graph: Graph, *before: str) -> None:
    """Configures the node, and checks that it is ready then, and activated only when it is asked to be."""
    operator = LifecycleOperator(graph.peer, NAME, graph.until)
    assert all(operator.ask(*before, "configure"))
    graph.until(lambda: graph.node.is_ready)
    graph.spin(0.1)
    assert (graph.node.is_active, state_in_ros(graph)) == (False, "inactive")
    assert operator.ask("configure", "activate", "activate") == [False, True, False]
    assert graph.node.is_active


def test_autostart_holds_for_the_start_of_the_process(self_starting: Callable[[], Graph]) -> None:
    graph = self_starting()
    graph.until(lambda: graph.node.is_active)
    configure_by_hand(graph, "deactivate", "cleanup")


def test_a_node_that_is_cleaned_up_while_it_starts_does_not_start_itself_later(
    self_starting: Callable[[], Graph],
) -> None:
    SelfStarting.gate.clear()
    graph = self_starting()
    assert graph.node.starts_itself
    assert LifecycleOperator(graph.peer, NAME, graph.until).ask("cleanup") == [True]
    SelfStarting.gate.set()
    graph.spin(0.1)
    assert not graph.node.is_ready
    configure_by_hand(graph)


def test_a_node_that_cannot_be_configured_at_its_start_does_not_start_itself_later(
    self_starting: Callable[[], Graph],
) -> None:
    SelfStarting.errors.append(UserError("the disk is full"))
    graph = self_starting()
    assert (state_in_ros(graph), graph.node.starts_itself) == ("unconfigured", False)
    configure_by_hand(graph)


def state_in_ros(graph: Graph) -> str:
    """Returns the state of the node as its service says it."""
    future = graph.peer.state.call_async(GetState.Request())
    graph.until(future.done)
    return future.result().current_state.label


def fail_to_activate(graph: Graph, answer: Answer) -> None:
    node: Any = graph.node
    node.add_managed_entity(Part(answer))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.ERROR
    graph.spin(0.1)  # until what was published in the transition has arrived
    graph.peer.heard["/diagnostics"].clear()
    graph.until(lambda: graph.peer.heard["/diagnostics"])


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (lambda: TransitionCallbackReturn.SUCCESS, "unconfigured"),
        (lambda: TransitionCallbackReturn.FAILURE, "finalized"),
        (lambda: TransitionCallbackReturn.ERROR, "finalized"),
        (lambda: RuntimeError("broken"), "finalized"),
    ],
)
def test_after_an_error_the_node_knows_the_state_that_ros_knows(
    graph: Graph, make: Callable[[], Answer], label: str
) -> None:
    fail_to_activate(graph, make())
    assert state_in_ros(graph) == label
    assert graph.peer.newest.startswith(f"{label}, not ready;")
    assert not (graph.node.is_configured or graph.node.is_active or graph.node.is_ready)
    assert graph.node.calls == ["configure", "activated", "deactivated", "cleaned_up"]


def test_a_node_that_cannot_drop_its_work_after_an_error_is_finalized(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(graph.node, "cleaned_up", fail)
    fail_to_activate(graph, TransitionCallbackReturn.SUCCESS)
    assert state_in_ros(graph) == "finalized"
    assert graph.peer.newest.startswith("finalized, not ready;")
    assert graph.logged("the lifecycle transition failed: the disk is full") == 1


def test_an_error_for_the_user_in_the_outcome_of_a_job_is_kept_as_the_failure_of_the_node(graph: Graph) -> None:
    def fail() -> None:
        raise UserError("the checkpoint does not load")

    graph.node.submit(fail, lambda outcome: outcome.result())
    with pytest.raises(UserError, match="the checkpoint does not load"):  # the spinner raises it, as run_node does
        graph.until(lambda: False)
    assert graph.node.failure is not None


def test_a_node_whose_error_is_handled_can_be_configured_again(graph: Graph) -> None:
    fail_to_activate(graph, TransitionCallbackReturn.SUCCESS)
    assert graph.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert graph.node.is_configured
    assert graph.node.is_ready


def test_the_diagnostics_tell_the_values_of_the_node(graph: Graph) -> None:
    graph.until(lambda: graph.peer.heard["/diagnostics"])
    (value,) = graph.peer.heard["/diagnostics"][-1].status[0].values
    assert (value.key, value.value) == ("age of cam_high", "0.010 s")
