"""robot_node plays action chunks on the robot at the control rate. It is the only publisher to the hardware.

It takes one trajectory per arm, checks the pair, sends one limited target per control step and reports each pair once.
In real time a timer sets the pace. In lockstep the joint states after a step trigger the next step, so that a
simulator's time advances as fast as it can compute. While a human drives, the wall clock sets the pace there too.

This node alone decides who drives. An operator takes over and hands back by the service `takeover`, and the node
publishes the change on `takeover_state`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.operator_calls import OperatorCalls
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import ForeignPublishers
from chunk_ppo_ros.nodes.common.peers.message_origin import WithOrigin
from chunk_ppo_ros.nodes.common.runner import run_node
from chunk_ppo_ros.nodes.robot.backend_diagnostics import backend_status
from chunk_ppo_ros.nodes.robot.between_episodes.prepare_service import serve_preparation
from chunk_ppo_ros.nodes.robot.between_episodes.scripted_motions import ScriptedMotions
from chunk_ppo_ros.nodes.robot.between_episodes.torque_off import TorqueOff
from chunk_ppo_ros.nodes.robot.control_pace import ControlPace
from chunk_ppo_ros.nodes.robot.diagnostics_publisher import DiagnosticsPublisher
from chunk_ppo_ros.nodes.robot.driver_publisher import DriverPublisher
from chunk_ppo_ros.nodes.robot.intake.episode_intake import STOP_CLEARED, EpisodeIntake
from chunk_ppo_ros.nodes.robot.intake.joint_state_intake import JointStateIntake
from chunk_ppo_ros.nodes.robot.intake.operator_stops import OperatorStops, stop_file
from chunk_ppo_ros.nodes.robot.intake.speed_parameter import SpeedParameter
from chunk_ppo_ros.nodes.robot.intake.trajectory_intake import TrajectoryIntake
from chunk_ppo_ros.nodes.robot.leaders.teleoperated_reset import make_takeover
from chunk_ppo_ros.nodes.robot.motion_lifecycle import MotionLifecycle
from chunk_ppo_ros.nodes.robot.motor_reports import MotorReports, tells_currents
from chunk_ppo_ros.nodes.robot.obstacles import Obstacles
from chunk_ppo_ros.nodes.robot.results.result_publisher import ResultPublisher
from chunk_ppo_ros.nodes.robot.robot_backends import make_backend, note_states_of, sleep_pose_of
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.nodes.robot.shadow_backend import NOTICE, shadow_status
from chunk_ppo_ros.nodes.robot.start_wait import StartWait
from chunk_ppo_ros.nodes.wire import parameters, qos, topics
from chunk_ppo_ros.robot import grippers
from chunk_ppo_ros.robot.player.make_player import make_player
from chunk_ppo_ros.robot.robot_calls import RobotCalls

LONGEST_BRAKING = 0.5  # s, within the time that a node has to end


class RobotNode(MotionLifecycle):
    """Connects the chunk player to topics, clocks and the back end."""

    _made = False  # ROS also destroys a node whose constructor failed.

    def __init__(self) -> None:
        super().__init__("robot_node")
        config = parameters.declare(self, "robot", "env", "episode", "model", "run")
        self._lockstep = config.env.is_lockstep
        self._convention = grippers.convention_of(config.robot)
        self._player = make_player(config, calls=RobotCalls(self.get_namespace()))
        self._period = 1.0 / config.robot.control_rate
        self._pace = ControlPace(
            self, self._player, lockstep=self._lockstep, period=self._period, step=self._tick, watch=self._watch
        )
        self._backend = make_backend(self, config.robot, lockstep=self._lockstep)
        self._shadow = NOTICE if config.robot.shadow else ""
        self._diagnostics = RobotDiagnostics()
        self._conditions = Conditions(self)
        self._driver = DriverPublisher(self, self._conditions)
        names = [topic.name for topic in topics.published_by_one(config.robot)]
        self._intruders = ForeignPublishers(self, names, own=topics.EXECUTION_RESULT.name)
        self._motors = MotorReports(self._backend, config.robot, self._conditions, self._player)
        self._create_topics(config)
        start = StartWait(self._backend, began=time.monotonic())
        shows = shadow_status if self._shadow else functools.partial(backend_status, self._backend, start)
        DiagnosticsPublisher(
            self,
            self._player,
            self._diagnostics,
            takeover=self._takeover,
            start=start,
            look=self._look_at_all,
            backend=shows,
            motors=self._motors.status,
        )
        self._driver.follow(self._player, self._takeover, run_id=self._episodes.run_id)
        SpeedParameter(self, largest=config.robot.max_velocity, apply=self._player.set_max_velocity)
        self._made = True
        self.start(autostart=config.run.autostart)
        pace = "in lockstep" if self._lockstep else "in real time"
        self.get_logger().info(f"plays chunks at {config.robot.control_rate:g} Hz {pace}")

    @property
    def arms_seen(self) -> tuple[str, ...]:
        """The arms whose joint states have arrived."""
        return tuple(self._player.state_stamps)

    @property
    def moves(self) -> bool:
        """Whether commands are left to send until the robot is at rest."""
        return self._player.playing or self._player.stops

    @property
    def suspended(self) -> str:
        """The reason why no chunk may be played, or empty."""
        return self._player.readiness.suspended

    def halted(self) -> None:
        """Cancels the running chunk, so that the robot brakes and holds. The episode waits."""
        self._player.cancel(self.inactive)
        self._watch()

    def destroy_node(self) -> None:
        """Cancels a running chunk and publishes its result before the node is destroyed."""
        if self._made and self.context.ok():
            self._made = False
            self._player.suspend("robot_node is shutting down")
            deadline = time.monotonic() + LONGEST_BRAKING
            while self._player.stops and not self._lockstep and time.monotonic() < deadline:
                self._tick()
                time.sleep(self._period)
            self._results.publish(at_once=True)
            self._results.close()
            self._stops.close()
            self._takeover.close()
        super().destroy_node()

    def _create_topics(self, config: TrainConfig) -> None:
        """Makes the publishers before the subscriptions, so that a result of the first message can be sent."""
        self._results = ResultPublisher(
            self,
            self._player,
            self._diagnostics,
            self._conditions,
            folder=config.run.folder / "store" / "robot",
            now=self._now,
            run_id=lambda: self._episodes.run_id,
        )
        calls = OperatorCalls(self, run_id=lambda: self._episodes.run_id)
        serve_preparation(calls, self._backend)
        self._takeover = make_takeover(
            self, calls, self._player, config, refusal=lambda: self._shadow, on_driver=self._on_driver
        )
        self._episodes = EpisodeIntake(
            self,
            calls,
            self._player,
            self._conditions,
            is_real=config.env.is_real,
            confirm_start=config.robot.confirm_start,
            note_sender=self._note_sender_of_events,
            on_event=self._on_event,
            on_reset=self._results.note_reset,
        )
        self._watch_arms(config, calls)
        self._take_motions(config, calls)

    def _watch_arms(self, config: TrainConfig, calls: OperatorCalls) -> None:
        """Makes what reads the arms and the operator's stops, and what says by them why the robot must not move."""
        self._intake = JointStateIntake(
            self,
            self._player,
            self._convention,
            diagnostics=self._diagnostics,
            conditions=self._conditions,
            profile=qos.JOINT_STATES_LOCKSTEP if self._lockstep else qos.JOINT_STATES,
            note_sender=self._intruders.on_message,
            tells_currents=tells_currents(self._backend),
            on_arm_states=self._pace.on_arm_states,
            note_arrival=note_states_of(self._backend),
        )
        self._stops = OperatorStops(
            self,
            calls,
            stop_file(config, self.get_namespace()),
            deadman_timeout=config.robot.deadman_timeout,
            on_change=self._watch,
            on_clear=lambda: self._episodes.await_confirmation(STOP_CLEARED),
        )
        self._obstacles = Obstacles(
            self._player,
            self._backend,
            stops=(
                lambda: self._stops.reason,
                lambda: self.inactive,
                lambda: self._episodes.unconfirmed,
            ),
            doubts=(lambda: self._intruders.found,),
            strains=(self._motors.problem,),
        )

    def _take_motions(self, config: TrainConfig, calls: OperatorCalls) -> None:
        """Makes what takes chunks and scripted motions, after all that may forbid them."""
        self._trajectories = TrajectoryIntake(
            self,
            self._player,
            horizon=config.model.action_horizon,
            look=self._look_for_intruders,
            note_sender=self._intruders.on_message,
            max_observation_age=config.robot.max_observation_age,
            lockstep=self._lockstep,
            run_id=lambda: self._episodes.run_id,
            newest_start=lambda: self._episodes.newest_start,
            on_trajectory=self._on_trajectory,
            on_repeated=self._results.repeat,
        )
        self._scripted = ScriptedMotions(
            self,
            calls,
            self._player,
            speed=config.robot.scripted_velocity,
            unready=self._unready_for_scripted_motion,
            sleep_pose=lambda: sleep_pose_of(self._backend),
            run_id=lambda: self._episodes.run_id,
            on_begin=self._on_trajectory,
        )
        TorqueOff(self, calls, self._player, self._backend, sleep_pose=lambda: sleep_pose_of(self._backend))

    def _note_sender_of_events(self, topic: str, then: Callable[[Any], None]) -> WithOrigin:
        """Notes who sends episode events, and uses those of reward_node alone. Others would drop stored results."""
        return self._intruders.on_message(topic, self._results.guard.only_from_one(topic, then))

    def _unready_for_scripted_motion(self) -> str:
        """Returns why no scripted motion may begin, beside the reasons of the player, or an empty string."""
        self._watch()
        return self._shadow or self._episodes.episode

    def _on_event(self, event: int) -> None:
        self._takeover.on_event(event)
        self._publish_results()

    def _on_driver(self, human: bool) -> None:
        self._pace.on_driver(human=human)
        self._publish_results()

    def _on_trajectory(self) -> None:
        self._results.note_begun()
        self._pace.on_chunk()
        self._publish_results()

    def _look_for_intruders(self) -> None:
        """Looks at who publishes trajectories, so that no chunk of another node is played in the meantime."""
        self._intruders.look(*(topic.name for topic in topics.CHUNK_TRAJECTORIES.values()))
        self._obstacles.look()

    def _watch(self) -> None:
        self._obstacles.look()
        self._player.watch(time.monotonic())
        self._publish_results()

    def _tick(self) -> None:
        """Makes one control step.

        In lockstep a position to hold is not sent, because the simulated robot stands still by itself.
        """
        self._obstacles.look()
        now, stamp = time.monotonic(), self._now()
        target = self._player.tick(now, stamp=stamp)
        if target is not None and (self._player.playing or not self._lockstep):
            self._pace.note_step()
            self._backend.send(target, stamp=stamp)
        self._publish_results()

    def _now(self) -> int:
        """Returns the ROS time in ns, in lockstep never before the stamp of the newest joint states.

        The clock of a simulator may arrive after the joint states. In real time a stamp of the driver may be of a clock
        that was set back since, and commands must not be for later than now.
        """
        now = self.get_clock().now().nanoseconds
        return max(now, *self._player.state_stamps.values(), 0) if self._lockstep else now

    def _publish_results(self) -> None:
        self._results.publish()
        self._scripted.update()
        self._driver.follow(self._player, self._takeover, run_id=self._episodes.run_id)

    def _look_at_all(self) -> str:
        """Looks at the publishers of all topics too, and returns why the robot must not move, or an empty string."""
        self._intruders.report(self._conditions)
        return self._obstacles.look()


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the node until it is stopped, and ends the process."""
    run_node(RobotNode, args)


if __name__ == "__main__":
    main()
