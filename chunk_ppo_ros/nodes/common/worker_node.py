"""The base of policy_node and trainer_node, with a lifecycle around a worker thread, readiness, and conditions.

Transitions of a lifecycle are synchronous in rclpy, so configuring only submits the loading and compiling to the
worker. Readiness is published (latched `~/ready`) when that is done. Until then activation is refused.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Bool

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.common.conditions import DIAGNOSTICS_PERIOD, Condition, Conditions
from chunk_ppo_ros.nodes.common.runner import EndOfRun
from chunk_ppo_ros.nodes.common.status.diagnostics import Diagnostics, Value
from chunk_ppo_ros.nodes.common.status.ros_time import RosTime
from chunk_ppo_ros.nodes.common.worker import Outcome, ResultT, Worker
from chunk_ppo_ros.nodes.wire import parameters, topics


class Lifecycle(enum.Enum):
    """The primary states of a ROS 2 lifecycle node. Each value is the label that ROS gives to the state."""

    UNCONFIGURED = "unconfigured"
    INACTIVE = "inactive"
    ACTIVE = "active"
    FINALIZED = "finalized"


class WorkerNode(LifecycleNode):
    """A lifecycle node whose slow work runs in one worker thread.

    Subclasses override `configure`, `activated`, `deactivated`, `cleaned_up`, `activity`, `values` and `watch`, and
    call `start` when they are constructed.

    Args:
        name: the name of the node.
        sections: the sections of the configuration that the node declares.
    """

    def __init__(self, name: str, *sections: str) -> None:
        super().__init__(name)
        self.config = parameters.declare(self, *sections)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        # EventsExecutor supports no guard conditions. A timer that is reset from any thread fires once instead.
        self._wake = self.create_timer(0.0, self._deliver, clock=steady, autostart=False)
        self._worker = Worker(name=f"{name}_worker", wake=self._wake.reset)
        self.failure: UserError | EndOfRun | None = None
        """The error with which the node must end, or the end of its run, after which `run_node` ends the process."""
        self._generation = 0
        self._ready = False
        self._starts_itself = False  # whether the node is on its way from the start of its process to active
        self._lifecycle = Lifecycle.UNCONFIGURED
        self._conditions = Conditions(self, on_change=self._publish_diagnostics)
        self._ready_publisher = topics.READY.create_publisher(self)
        self.ros_time = RosTime(self, self.config)
        """The time by which the node stamps what it publishes."""
        self._diagnostics = Diagnostics(self, now=self.ros_time.now)
        self._watch_timer = self.create_timer(DIAGNOSTICS_PERIOD, self._on_watch, clock=steady)

    # Subclasses override or call the methods below.

    def configure(self) -> None:
        """Submits loading and compiling to the worker. The subclass calls `set_ready` when both are done.

        Raises:
            UserError: when the node cannot be configured.
        """

    def activated(self) -> None:
        """Is called when the node may act from now on."""

    def deactivated(self) -> None:
        """Is called when the node must hold from now on."""

    def cleaned_up(self) -> None:
        """Is called when everything that `configure` made must be dropped."""

    def activity(self) -> str:
        """Returns what the node does at the moment, in words, for the diagnostics."""
        return "working" if self.is_working else "idle"

    def values(self) -> dict[str, Value]:
        """Returns facts that the diagnostics tell by name, such as the ages of sensors. Numbers can be plotted."""
        return {}

    def watch(self) -> None:
        """Is called once a second of steady time."""

    def start(self) -> None:
        """Configures the node, and activates it when it is ready, if `run.autostart` is set.

        This holds for the start of the process. A node that an operator configures later is activated by an operator.
        """
        if self.config.run.autostart:
            self._starts_itself = True
            if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
                self._starts_itself = False

    def submit(
        self,
        job: Callable[[], ResultT],
        then: Callable[[Outcome[ResultT]], None],
        *,
        dropped: Callable[[Outcome[ResultT]], None] = lambda outcome: None,
    ) -> None:
        """Runs a job in the worker. `then` gets its outcome, or `dropped` if the node was cleaned up in between."""
        generation = self._generation
        self._worker.submit(job, lambda outcome: (then if generation == self._generation else dropped)(outcome))

    @property
    def is_working(self) -> bool:
        """Whether a job runs or waits."""
        return self._worker.num_open > 0

    @property
    def is_configured(self) -> bool:
        """Whether the node is in the lifecycle state inactive or active."""
        return self._lifecycle in (Lifecycle.INACTIVE, Lifecycle.ACTIVE)

    @property
    def is_active(self) -> bool:
        """Whether the node is in the lifecycle state active."""
        return self._lifecycle is Lifecycle.ACTIVE

    @property
    def starts_itself(self) -> bool:
        """Whether `run.autostart` activates the node as soon as it is ready, because its process has just started."""
        return self._starts_itself

    @property
    def is_ready(self) -> bool:
        """Whether loading and compiling are done."""
        return self._ready

    def set_ready(self) -> None:
        """Publishes readiness, and activates a node that starts itself."""
        self._set_ready(True)
        if self._starts_itself:
            self._starts_itself = False
            self.trigger_activate()

    def raise_condition(self, condition: Condition, **values: Hashable) -> None:
        """Raises a condition. It is logged once, and is in the diagnostics until it is cleared."""
        self._conditions.raise_condition(condition, **values)

    def clear_condition(self, condition: Condition, **values: Hashable) -> None:
        """Clears a condition. This is logged if it was raised before."""
        self._conditions.clear_condition(condition, **values)

    # rclpy calls the methods below at transitions of the lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configures the node."""
        return self._transition(self.configure, super().on_configure, state, Lifecycle.INACTIVE)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activates the node if it is ready."""
        if not self._ready:
            self.get_logger().error(
                "activate must wait until ~/ready is true, got it while the node loads or compiles; call it again then"
            )
            return TransitionCallbackReturn.FAILURE
        return self._transition(self.activated, super().on_activate, state, Lifecycle.ACTIVE)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivates the node."""
        return self._transition(self.deactivated, super().on_deactivate, state, Lifecycle.INACTIVE)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drops everything that `configure` made, and the results of the jobs that still run."""
        self._begin_anew()
        return self._transition(self.cleaned_up, super().on_cleanup, state, Lifecycle.UNCONFIGURED)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the lifecycle. The node holds, and its process goes on until it is stopped."""
        self._starts_itself = False
        work = self.deactivated if self.is_active else lambda: None
        result = self._transition(work, super().on_shutdown, state, Lifecycle.FINALIZED)
        self._lifecycle = Lifecycle.FINALIZED  # whatever the result: a node that is shut down never acts again
        return result

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drops everything after a transition that ended in an error, so that the node can be configured again.

        If that fails too, ROS finalizes the node. It then holds, as after a shutdown.
        """
        self._lifecycle = Lifecycle.FINALIZED  # until the error is handled
        self._begin_anew()
        return self._transition(self._drop_all, super().on_error, state, Lifecycle.UNCONFIGURED)

    def _begin_anew(self) -> None:
        """Forgets the conditions, the readiness, and the results of the jobs that still run."""
        self._generation += 1
        self._starts_itself = False
        self._conditions.forget()
        self._set_ready(False)

    def _drop_all(self) -> None:
        self.deactivated()
        self.cleaned_up()

    def _transition(
        self,
        work: Callable[[], None],
        inherited: Callable[[LifecycleState], TransitionCallbackReturn],
        state: LifecycleState,
        goal: Lifecycle,
    ) -> TransitionCallbackReturn:
        """Does the work of a transition and stores the state that it leads to.

        rclpy drops exceptions of transitions without a message, so they are logged here.
        """
        try:
            work()
        except Exception as error:  # A fault of the program too must leave the state of the lifecycle as it was.
            self.get_logger().error(f"the lifecycle transition failed: {error}")
            return TransitionCallbackReturn.FAILURE
        result = inherited(state)
        if result is TransitionCallbackReturn.SUCCESS:
            self._lifecycle = goal
        return result

    def destroy_node(self) -> None:
        """Closes the worker and destroys the node."""
        self._worker.close()
        super().destroy_node()

    def _deliver(self) -> None:
        self._wake.cancel()
        try:
            self._worker.deliver()
        except (UserError, EndOfRun) as end:
            self.failure = end

    def _set_ready(self, ready: bool) -> None:
        self._ready = ready
        self._ready_publisher.publish(Bool(data=ready))
        self._publish_diagnostics()

    def _on_watch(self) -> None:
        self.watch()
        self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        state = self._lifecycle.value + ("" if self._ready else ", not ready")
        message = "; ".join([state, self.activity(), *self._conditions.texts])
        self._diagnostics.publish(self._diagnostics.status(self._conditions.level, message, self.values()))
