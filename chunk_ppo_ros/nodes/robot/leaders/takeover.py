"""Lets an operator take over the robot by the leader arms, and hand it back, and looks after the leaders meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.nodes.common.interbotix_interfaces import load_interfaces
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.robot.leaders.leader import Leader
from chunk_ppo_ros.nodes.robot.leaders.leader_link import LeaderLink
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.leaders.gestures import GripperGestures
from chunk_ppo_ros.robot.leaders.handover import Handover, LeaderReport, Leaders, Order
from chunk_ppo_ros.robot.player.chunk_player import ChunkPlayer
from chunk_ppo_ros.robot.robot_calls import RobotCalls


class Takeover:
    """Serves `takeover`, `leaders_gripped` and `release_leaders`, and has the leaders aligned, held and let go.

    The followers follow no leader before the leaders are limp in the hands of a person.

    Args:
        node: the node that owns the timer, publishers and clients.
        calls: serves, and publishes what was asked and answered.
        player: the chunk player.
        config: whether and how leaders are aligned.
        refusal: returns why nobody can take over, or an empty string.
        on_driver: is called after each change of the driver, with whether a human drives.
    """

    def __init__(
        self,
        node: Node,
        calls: OperatorCalls,
        player: ChunkPlayer,
        config: RobotConfig,
        *,
        refusal: Callable[[], str],
        on_driver: Callable[[bool], None],
    ) -> None:
        self._node = node
        self._calls = calls
        self._player = player
        self._refusal = refusal
        self._on_driver = on_driver
        self._aligns = config.align_leaders and not config.shadow
        self._handover = Handover(aligns=self._aligns, calls=RobotCalls(node.get_namespace()))
        self._gestures = GripperGestures()
        self._gesture_of = (False, False)  # whether a grip counted, and whether the followers followed
        self._leaders = {side: self._make_leader(side, config) for side in aloha.SIDES} if self._aligns else {}
        self._told: tuple[bool, Leaders, str] | None = None
        self.task = ""
        """What the human who drives is asked to do, and what ends it; empty where nobody is asked."""
        self.on_event: Callable[[int], None] = lambda event: None
        """Takes the event of each EpisodeEvent."""
        calls.serve(services.TAKEOVER, self._on_takeover)
        calls.serve(services.LEADERS_GRIPPED, self._on_gripped)
        calls.serve(services.RELEASE_LEADERS, self._on_release)
        node.create_timer(1.0 / config.control_rate, self._step, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def leaders(self) -> Leaders:
        """What the leaders do."""
        return self._handover.leaders

    @property
    def message(self) -> str:
        """What is waited for, and what ends the wait; empty where nothing is."""
        return self._handover.message or (self.task if self._handover.follows else "")

    @property
    def has_squeezed_twice(self) -> bool:
        """Whether the human who drives has closed both grippers twice in short order."""
        return self._handover.follows and self._gestures.has_squeezed_twice

    def begin(self, *, needs_grip: bool = False) -> None:
        """Lets a human drive. What is being executed ends, and the robot holds until the leaders are ready.

        Gestures that were made before are forgotten.

        Args:
            needs_grip: whether the robot holds until the leaders are gripped, also where they are not aligned.
        """
        self._player.take_over()
        self._handover.take_over(needs_grip=needs_grip or bool(self.task))
        for leader in self._leaders.values():
            leader.ask_again()
        self._gestures.restart()
        self._change()

    def end(self) -> None:
        """Hands back. The robot holds its last command, and leaders that were commanded hold where they are."""
        self._player.give_back()
        self._handover.give_back()
        self._change()

    def close(self) -> None:
        """Stops commanding the leaders, whose motors keep what they have."""
        for leader in self._leaders.values():
            leader.close()

    def _make_leader(self, side: str, config: RobotConfig) -> Leader:
        return Leader(LeaderLink(self._node, side, load_interfaces()), side, self._player.leaders, config)

    def _on_takeover(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        refusal = self._refusal()
        if refusal:
            response.success, response.message = False, refusal
            return response
        if request.data:
            self.begin()
        else:
            self.end()
        response.success = True
        driver = "a human drives" if request.data else "the policy drives"
        response.message = "; ".join(filter(None, [driver, self.message]))
        return response

    def _on_gripped(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refusal = self._refusal() or self._handover.grip()
        self._change()
        response.success, response.message = not refusal, refusal or self.message or "the followers follow the leaders"
        return response

    def _on_release(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refusal = self._refusal() or self._handover.release()
        response.success, response.message = not refusal, refusal or self.message
        return response

    def _step(self) -> None:
        now = time.monotonic()
        if not self._player.human_drives and self.leaders is Leaders.FREE:
            for leader in self._leaders.values():
                leader.step(Order.NOTHING, None, now=now)
            return
        self._observe_gestures(now)
        order = self._handover.order
        held = self._player.held(now) if order is Order.ALIGN else None
        reports = [
            leader.step(order, None if held is None else held[aloha.side_slice(side)][:-1], now=now)
            for side, leader in self._leaders.items()
        ]
        readiness = self._player.readiness
        halted = readiness.obstacle or (readiness.suspended if readiness.is_frozen else "")
        self._handover.step(reports or (LeaderReport(is_done=True),), halted=halted)
        if self._handover.takes_grip and self._gestures.is_gripped and not self._handover.grip():
            self._calls.tell("grip of both leaders", success=True, message=self.message)
        self._change()

    def _observe_gestures(self, now: float) -> None:
        """Reads the grippers of the leaders. A gesture must begin after it is waited for."""
        readings = {side: self._player.leaders.reading(side, now=now) for side in aloha.SIDES}
        openings = {side: None if each is None else float(each.state[-1]) for side, each in readings.items()}
        gesture_of = (self._handover.takes_grip, self._handover.follows)
        self._gestures.observe(openings, now)
        if gesture_of != self._gesture_of or not any(gesture_of):
            self._gesture_of = gesture_of
            self._gestures.restart()

    def _change(self) -> None:
        """Tells the player whether the leaders may be followed, and the others who drives."""
        human = self._player.human_drives
        self._player.leaders.hold_back(self._handover.message if human and not self._handover.follows else "")
        state = (human, self.leaders, self.message)
        if state != self._told:
            self._told = state
            self._on_driver(human)
