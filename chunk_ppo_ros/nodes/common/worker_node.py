"""What policy_node and trainer_node share: a lifecycle around a worker thread, readiness, and conditions told once.

Transitions of a lifecycle are synchronous in rclpy, so configuring only submits the loading and compiling to the
worker. Readiness is published (latched `~/ready`) when that is done; until then activation is refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Hashable, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Bool

from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.common.worker import Outcome, ResultT, Worker
from chunk_ppo_ros.nodes.wire import parameters, qos

_DIAGNOSTICS_PERIOD = 1.0  # s, steady time


class WorkerNode(LifecycleNode):
    """A lifecycle node whose slow work runs in one worker thread.

    Subclasses override `configure`, `activated`, `deactivated`, `cleaned_up`, `activity` and `watch`, and call `start`
    when they are constructed.

    Args:
        name: of the node.
        sections: sections of the configuration that the node declares.
    """

    def __init__(self, name: str, *sections: str) -> None:
        super().__init__(name)
        self.config = parameters.declare(self, *sections)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        # A guard condition would do, but EventsExecutor knows none: a timer that is reset fires once, from any thread.
        self._wake = self.create_timer(0.0, self._deliver, clock=steady, autostart=False)
        self._worker = Worker(name=f"{name}_worker", wake=self._wake.reset)
        self._generation = 0
        self._ready = False
        self._conditions: dict[str, tuple[Hashable, bytes, str]] = {}
        self._ready_publisher = self.create_publisher(Bool, "~/ready", qos.LATCHED)
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", qos.RELIABLE)
        self._watch_timer = self.create_timer(_DIAGNOSTICS_PERIOD, self._on_watch, clock=steady)

    # For subclasses.

    def configure(self) -> None:
        """Submits loading and compiling, and ends with `set_ready`.

        Raises:
            UserError: when the node cannot be configured.
        """

    def activated(self) -> None:
        """The node may act from now on."""

    def deactivated(self) -> None:
        """The node holds from now on."""

    def cleaned_up(self) -> None:
        """Everything that `configure` made is to be dropped."""

    def activity(self) -> str:
        """What the node does at the moment, in words, for the diagnostics."""
        return "working" if self.is_working else "idle"

    def watch(self) -> None:
        """Called once a second of steady time."""

    def start(self) -> None:
        """Configures the node, and activates it when ready, where `run.autostart` says so."""
        if self.config.run.autostart:
            self.trigger_configure()

    def submit(self, job: Callable[[], ResultT], then: Callable[[Outcome[ResultT]], None]) -> None:
        """Runs a job in the worker; `then` gets its outcome, unless the node was cleaned up in between."""
        generation = self._generation
        self._worker.submit(job, lambda outcome: then(outcome) if generation == self._generation else None)

    @property
    def is_working(self) -> bool:
        """Whether a job runs or waits."""
        return self._worker.num_open > 0

    @property
    def is_configured(self) -> bool:
        """Whether the node is in the lifecycle state inactive or active."""
        return self._state_machine.current_state[1] in ("inactive", "active")

    @property
    def is_active(self) -> bool:
        """Whether the node is in the lifecycle state active."""
        return self._state_machine.current_state[1] == "active"

    @property
    def is_ready(self) -> bool:
        """Whether loading and compiling are done."""
        return self._ready

    def set_ready(self) -> None:
        """Publishes readiness; activates where `run.autostart` says so."""
        self._set_ready(True)
        if self.config.run.autostart:
            self.trigger_activate()

    # Conditions: what is wrong, told once.

    def complain(self, key: str, text: str, *, about: Hashable = None, error: bool = False) -> None:
        """Tells a condition, in the log once and in the diagnostics for as long as it lasts.

        Args:
            key: names the condition.
            text: what is wrong and what to do.
            about: told again only where this changes; not the text, which may count seconds.
            error: whether it is an error rather than a warning.
        """
        known = self._conditions.get(key)
        level = DiagnosticStatus.ERROR if error else DiagnosticStatus.WARN
        self._conditions[key] = (about, level, text)
        if known is None or known[0] != about:
            if error:  # rclpy refuses two severities from one line
                self.get_logger().error(text)
            else:
                self.get_logger().warning(text)
            self._publish_diagnostics()

    def relieve(self, key: str, text: str = "") -> None:
        """The condition is over; `text` goes to the log where there was one."""
        if self._conditions.pop(key, None) is not None:
            if text:
                self.get_logger().info(text)
            self._publish_diagnostics()

    # Lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(lambda: self.configure(), super().on_configure, state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        if not self._ready:
            self.get_logger().error("activate must wait until ~/ready is true; loading or compiling goes on")
            return TransitionCallbackReturn.FAILURE
        return self._transition(lambda: self.activated(), super().on_activate, state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(lambda: self.deactivated(), super().on_deactivate, state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._generation += 1
        self._conditions.clear()
        self._set_ready(False)
        return self._transition(lambda: self.cleaned_up(), super().on_cleanup, state)

    def _transition(
        self,
        work: Callable[[], None],
        inherited: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
    ) -> TransitionCallbackReturn:
        """rclpy drops exceptions of transitions without a word, so they are logged here."""
        try:
            work()
        except Exception as error:
            self.get_logger().error(f"transition failed: {error}")
            return TransitionCallbackReturn.FAILURE
        return inherited(state)

    def destroy_node(self) -> None:
        self._worker.close()
        super().destroy_node()

    def _deliver(self) -> None:
        self._wake.cancel()
        self._worker.deliver()

    def _set_ready(self, ready: bool) -> None:
        self._ready = ready
        self._ready_publisher.publish(Bool(data=ready))
        self._publish_diagnostics()

    def _on_watch(self) -> None:
        self.watch()
        self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        texts = [text for _, _, text in self._conditions.values()]
        level = max((level for _, level, _ in self._conditions.values()), default=DiagnosticStatus.OK)
        state = self._state_machine.current_state[1] + ("" if self._ready else ", not ready")
        message = "; ".join([state, self.activity(), *texts])
        status = DiagnosticStatus(name=self.get_name(), level=level, message=message)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics_publisher.publish(array)


def run_worker_node(
    factory: Callable[[], WorkerNode],
    args: Sequence[str] | None = None,
    *,
    make_executor: Callable[[], Executor] = SingleThreadedExecutor,
) -> int:
    """Runs the node until it is stopped; returns the exit code.

    A job that still runs then is abandoned. Python's own end would take the thread down inside the compiler and abort,
    so the process ends at once, with everything that counts written and renamed before.
    """
    nodes: list[WorkerNode] = []

    def remember() -> WorkerNode:
        nodes.append(factory())
        return nodes[0]

    code = run_node(remember, args, make_executor=make_executor)
    if nodes and nodes[0].is_working:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
