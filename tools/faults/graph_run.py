"""Injects the faults of `graph_cells.py` into a graph with a real robot_node, over loopback and in real time."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from unittest import mock

import rclpy
from chunk_ppo_msgs.msg import EpisodeEvent, ExecutionResult
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.runtime.ros_domain import claim_domain
from faults.graph_cells import TIMED, Cell
from faults.graph_faults import inject_chunks, inject_event, intruder
from faults.graph_judge import GraphJudge
from faults.graph_rig import Rig
from faults.robot_process import HORIZON, RobotProcesses
from faults.state_faults import STAMP_STEPS
from faults.stream_check import Limits

FAULT_TIME = 0.6
"""The time for which a fault goes on, s."""
LOOK_TIME = 2.2
"""The time after which robot_node has looked at the publishers of all topics, s."""
REST_TIME = 0.3
"""The time after which the robot is at rest, s."""
PATIENCE = 60.0
"""The longest wait for robot_node, s."""
SPEED = 0.01
"""The speed of the motions, rad in a control period."""
LOW_SPEED = 0.1
"""The largest speed that an operator sets, rad/s."""


class GraphRun:
    """A robot_node in a process of its own, and the rig that surrounds it.

    Args:
        config: the limits of robot_node.
        folder: where robot_node keeps its files.
    """

    def __init__(self, config: RobotConfig, folder: pathlib.Path) -> None:
        self._max_velocity = config.max_velocity
        self.judge = GraphJudge(Limits.of(config))
        self.rig = Rig(self.judge.on_command, self._on_reading, self.judge.on_result)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.rig)
        self._to_time = ""  # the joint states whose fault is the cause of a stop
        self._robot = RobotProcesses(folder)

    def start(self) -> None:
        """Starts robot_node, and waits until it listens and has executed a chunk."""
        known = self.rig.ends_of_robot_nodes()
        self._robot.start()
        self.until(lambda: self.rig.is_connected and self._has_new_ends(known), "robot_node listens")
        self.spin(1.0)
        self._recover()

    def _has_new_ends(self, known: list[set[bytes]]) -> bool:
        """Returns whether each topic has an end of robot_node that is not known yet."""
        return all(ends - before for ends, before in zip(self.rig.ends_of_robot_nodes(), known, strict=True))

    def close(self) -> None:
        """Ends robot_node and the rig."""
        self._robot.close()
        self._executor.shutdown()
        self.rig.destroy_node()

    def until(self, condition: Callable[[], object], what: str, *, patience: float = PATIENCE) -> None:
        """Spins until a condition holds.

        Raises:
            TimeoutError: if it does not hold in time; the text says what was waited for.
        """
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"waited {patience} s in vain until {what}; robot_node's log ends with\n{self._robot.log()}"
                )
            self._executor.spin_once(timeout_sec=0.01)

    def spin(self, seconds: float) -> None:
        """Spins for some seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.01)

    def run(self, cell: Cell) -> None:
        """Brings robot_node into the state of the cell, injects the fault, and ends it again."""
        self.judge.begin(str(cell), f"--cell {cell}")
        self.judge.counts.faults += 1
        lost = cell.node == "robot_node" and cell.fault == "killed"
        try:
            playing = self._enter(cell.state)
            self._inject(cell)
            self._leave(cell)
            if cell.must_stop and self.judge.statuses.get(playing) == ExecutionResult.EXECUTED:
                self.judge.report("late_holds", f"the chunk was executed although {cell.node} was {cell.fault}")
            self._recover()
        except TimeoutError as error:
            self.judge.report("not_recovered", str(error))
        self.judge.finish(lost=lost)

    def _enter(self, state: str) -> int:
        """Brings robot_node into a state. Returns the stamp of the chunk that plays, or 0."""
        if state == "idle":
            return 0
        if state == "driving":
            self._take_over()
            return 0
        stamp = self._send_motion(HORIZON)
        self.until(lambda: self.judge.num_commands >= 6, "a chunk plays")
        if state == "paused":
            self.judge.cause()
            self.rig.tell(EpisodeEvent.PAUSED)
            self.until(lambda: stamp not in self.judge.outstanding, "the pause ends the chunk")
            self.spin(REST_TIME)
            return 0
        return stamp

    def _inject(self, cell: Cell) -> None:
        if cell.node == "operator":
            self._operate(cell)
        elif cell.steps_clock:
            self._step_clock(STAMP_STEPS[cell.fault])
        elif cell.node == "robot_node":
            self._robot.signal(signal.SIGKILL if cell.fault == "killed" else signal.SIGSTOP)
        elif cell.node == "policy_node":
            if cell.fault == "second_publisher":
                with intruder():
                    self.spin(FAULT_TIME)
            elif cell.fault == "twin_publisher":
                self._inject_twin()
            else:
                self.judge.sent(inject_chunks(self.rig, cell.fault))
        elif cell.node == "reward_node":
            inject_event(self.rig, cell.fault)
        else:
            name = cell.node.removeprefix("follower_")
            self._to_time = name if cell.state == "playing" and cell.fault in TIMED and cell.node != name else ""
            self.rig.faults[name].begin(cell.fault)
        self.spin(FAULT_TIME)

    def _inject_twin(self) -> None:
        """Lets two nodes of the name of the rig send chunks in turn. Neither may be followed once both have sent."""
        with intruder(self.rig.get_name()) as twin:
            self.spin(LOOK_TIME)
            for _ in range(2):
                self.judge.sent(twin.send(self.rig.chunk(self.rig.motion(4, 0.002))))
                self.spin(FAULT_TIME)
                stamp = self._send_motion(4, speed=0.002)
                self.until(lambda: not self.judge.outstanding, "all chunks have results")
            if self.judge.statuses[stamp] != ExecutionResult.REFUSED:
                self.judge.report("late_holds", "a chunk was played although two nodes of one name send chunks")

    def _leave(self, cell: Cell) -> None:
        """Ends the fault and the state."""
        for fault in self.rig.faults.values():
            fault.begin("")
        if cell.node == "robot_node" and cell.fault == "killed":
            self._robot.wait()
            self.judge.outstanding.clear()
            self.judge.restart()
            self.rig.forget_commands()
            self.start()
        elif cell.node == "operator":
            self._undo(cell.fault)
        elif cell.steps_clock:
            self._step_clock(None)
        elif cell.node == "robot_node":
            self._robot.signal(signal.SIGCONT)
        if cell.state == "driving":
            self._call_takeover(False)
            self.rig.leader = None
            self.judge.human_moves = False
        self.spin(0.2)

    def _recover(self) -> None:
        """Starts an episode, and sends small chunks until one is executed."""
        deadline = time.monotonic() + PATIENCE
        self.rig.tell(EpisodeEvent.STARTED)
        self.judge.stream.allow_anchor(confirmed=True)
        while time.monotonic() < deadline:
            stamp = self._send_motion(4, speed=0.002)
            self.until(lambda: not self.judge.outstanding, "all chunks have results")
            if self.judge.statuses.get(stamp) == ExecutionResult.EXECUTED:
                return
            self.spin(0.1)
        raise TimeoutError(f"no chunk was executed within {PATIENCE:g} s after the end of the fault")

    def _send_motion(self, num_steps: int, speed: float = SPEED) -> int:
        stamp = self.rig.send(self.rig.chunk(self.rig.motion(num_steps, speed)))
        self.judge.sent([stamp])
        return stamp

    def _take_over(self) -> None:
        self.judge.human_moves = True
        self.rig.leader, self.rig.leader_speed = self.rig.command.copy(), 0.3 * SPEED
        self._call_takeover(True)
        self.until(lambda: self.judge.num_commands >= 6, "the human moves the robot")

    def _call_takeover(self, human: bool) -> None:
        future = self.rig.takeover.call_async(SetBool.Request(data=human))
        self.until(future.done, "robot_node answers takeover")

    def _operate(self, cell: Cell) -> None:
        """Stops the robot, or lowers its speed. The judge judges by the lower speed once robot_node has taken it."""
        if cell.fault == "emergency_stop":
            if cell.state == "playing":
                self.judge.cause()
            self.until(self.rig.operator.stop(True).done, "robot_node stops")
        else:
            self.until(self.rig.operator.set_max_velocity(LOW_SPEED).done, "robot_node is slow")
            self.judge.slow_down(LOW_SPEED)

    def _undo(self, fault: str) -> None:
        if fault == "emergency_stop":
            self.until(self.rig.operator.stop(False).done, "robot_node clears the stop")
        else:
            self.judge.speed_up(self._max_velocity)
            answer = self.rig.operator.set_max_velocity(self._max_velocity)
            self.until(answer.done, "robot_node is fast again")

    def _step_clock(self, offset: float | None) -> None:
        """Sets the clock of robot_node ahead by an offset, s, or right again. The judge does not trust it meanwhile."""
        self.judge.trusts_stamps = False
        answer = self.rig.clock.step(offset)
        self.until(answer.done, "robot_node answers on its clock")
        if offset is None:
            self.spin(REST_TIME)
            self.judge.trusts_stamps = True

    def _on_reading(self, side: str, state: object) -> None:
        self.judge.on_reading(side, state)  # type: ignore[arg-type]
        if side == self._to_time:
            self._to_time = ""
            self.judge.cause()


@contextlib.contextmanager
def running_graph(config: RobotConfig) -> Iterator[GraphRun]:
    """Runs robot_node and the rig in a ROS domain of their own, within this machine."""
    with contextlib.ExitStack() as stack:
        domain = stack.enter_context(claim_domain())
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults_")))
        variables = {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        variables["ROS_HOME"] = str(folder / "ros")  # An emergency stop of the machine is not that of this robot.
        stack.enter_context(mock.patch.dict(os.environ, variables))
        rclpy.init(domain_id=domain)
        stack.callback(rclpy.shutdown)
        graph = GraphRun(config, folder)
        stack.callback(graph.close)
        graph.start()
        yield graph
