"""The resets of `episode.reset` as generators. Each yields what it waits for, and never blocks."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Mapping

from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from chunk_ppo_ros.config import EpisodeConfig
from chunk_ppo_ros.config.episode import COMMAND, SCRIPTED, TELEOPERATED
from chunk_ppo_ros.nodes.reward.operator_commands import OperatorCommands, command_in
from chunk_ppo_ros.nodes.reward.resets.command_process import CommandProcess
from chunk_ppo_ros.nodes.reward.resets.reset_step import OnDone, ResetStep, ResetStopped, Routine, Steps
from chunk_ppo_ros.nodes.reward.resets.robot_requests import RobotRequest
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.nodes.wire import services

LEADS = "a person to reset the scene by the leader arms"
RETRY_PERIOD = 1.0
"""The time after which robot_node is asked again for a motion that it has refused, s of the steady clock."""
ANSWERING_TIME = 0.5
"""The time in which robot_node refuses a motion, s. A request without an answer for longer means that the arms move."""
SETTLING_TIME = 2.0
"""The time after the begin of a reset in which a motion may be ended by the RESET event itself, s.

The event and the request travel on their own ways, so that robot_node may receive the event last.
"""


class ResetRoutines:
    """Makes the routine of a reset.

    Args:
        node: the node that asks robot_node.
        config: the settings of episodes.
        records: the records of the run, which name the episode and who drives.
        commands: the command lines of an operator.
        folder: the folder for what the user's command writes.
        robot_message: returns what robot_node says of a person who drives, or an empty string.
    """

    def __init__(
        self,
        node: Node,
        config: EpisodeConfig,
        records: RunRecords,
        commands: OperatorCommands,
        *,
        folder: pathlib.Path,
        robot_message: Callable[[], str],
    ) -> None:
        self._config = config
        self._records = records
        self._commands = commands
        self._folder = folder
        self._robot_message = robot_message
        self._start_pose = RobotRequest(node, services.GO_TO_START_POSE)
        self._takeover = RobotRequest(node, services.TAKEOVER)
        self._ending: list[CommandProcess] = []
        self._is_done = False

    def begin(self) -> Routine:
        """Returns the routine of a new reset, in the way that `episode.reset` names."""
        self._is_done = False
        routines = {SCRIPTED: self._scripted, COMMAND: self._command, TELEOPERATED: self._teleoperated}
        return routines.get(self._config.reset, self._by_operator)()

    def note_done(self) -> None:
        """Lets a teleoperated reset go on with its next step, because a person says that it is done."""
        self._is_done = True

    def look_after_ended(self, now: float) -> None:
        """Kills commands that were asked to end and do not. `now` is the time of a steady clock, s."""
        self._ending = [process for process in self._ending if not process.has_ended(now)]

    def close(self, timeout: float) -> None:
        """Ends what still runs within `timeout` seconds. Routines must be closed before."""
        for process in self._ending:
            process.close(timeout)

    def _by_operator(self) -> Routine:
        while True:
            text = "an operator to bring robot and scene to the start, and to start the episode"
            yield ResetStep(text, self._commands.start_episode, OnDone.FINISH)

    def _scripted(self) -> Routine:
        yield from self._go_to_start_pose()
        return "the arms are at the start pose"

    def _command(self) -> Routine:
        yield from self._run_command()
        if self._config.return_to_start:
            yield from self._go_to_start_pose()
        return "the command of the reset has ended with status 0"

    def _teleoperated(self) -> Routine:
        while not self._is_done:
            message = self._robot_message()
            text = f"a person at the leader arms: {message}" if message else LEADS
            yield ResetStep(text, command_in(message) or self._commands.reset_done, OnDone.GO_ON)
        yield from self._hand_back()
        if self._config.return_to_start:
            yield from self._go_to_start_pose()
        return "the teleoperated reset is done"

    def _run_command(self) -> Steps:
        while self._ending:
            yield ResetStep("the end of the command of the last reset")
        name = self._config.reset_arguments[0]
        try:
            process = CommandProcess(self._config.reset_arguments, self._environment(), self._folder)
        except OSError as error:
            raise ResetStopped(f"the command of the reset cannot be started ({error})") from error
        running = f"the command of the reset ({name}) to end; the service pause with data: true ends it"
        try:
            while (status := process.poll()) is None:
                yield ResetStep(running)
        finally:
            process.terminate(time.monotonic())
            self._ending.append(process)
        if status:
            ended = f"was ended by signal {-status}" if status < 0 else f"has ended with status {status}"
            raise ResetStopped(f"the command of the reset {ended} ({_last_words(process)})")

    def _environment(self) -> Mapping[str, str]:
        episodes = self._records.episodes
        return {
            "CHUNK_PPO_RUN_ID": self._records.run_id,
            "CHUNK_PPO_EPISODE": str(episodes.episode),
            "CHUNK_PPO_SEED": str(episodes.seed),
            "CHUNK_PPO_PROMPT": episodes.prompt,
        }

    def _hand_back(self) -> Steps:
        """Asks robot_node to take the robot back from the person, until it has done so."""
        asked, reason = float("-inf"), ""
        try:
            while self._records.human_drives:
                now, there = time.monotonic(), self._takeover.is_reachable
                answer = self._takeover.take_answer()
                if answer is not None:
                    reason = "" if answer[0] else f": {answer[1]}"
                if not there:
                    self._takeover.abandon()
                elif not self._takeover.is_open and now - asked >= RETRY_PERIOD:
                    self._takeover.send(SetBool.Request(data=False))
                    asked = now
                absent = "" if there else ", which is not there"
                text = f"robot_node{absent} to take the robot back from the person who drives{reason}"
                yield ResetStep(text, self._commands.hand_back, OnDone.REFUSE if there else OnDone.FINISH)
        finally:
            self._takeover.abandon()

    def _go_to_start_pose(self) -> Steps:
        """Lets robot_node move the arms to the start pose.

        A motion that is refused has not begun, and is asked for again every second. A motion that was ended before it
        was there was stopped by a person or by an obstacle, so that a person must look.

        Raises:
            ResetStopped: for a motion that was ended before the arms were there.
        """
        began, asked, refusal = time.monotonic(), float("-inf"), ""
        try:
            while True:
                now = time.monotonic()
                if not self._start_pose.is_reachable:
                    self._start_pose.abandon()
                    yield ResetStep("robot_node, which is not there to move the arms", on_done=OnDone.FINISH)
                    continue
                if not self._start_pose.is_open and now - asked >= RETRY_PERIOD:
                    self._start_pose.send(Trigger.Request())
                    asked = now
                answer = self._start_pose.take_answer()
                if answer is not None and answer[0]:
                    return
                if answer is not None:
                    refusal = self._refusal(answer[1], settles=now - began < SETTLING_TIME)
                elif self._start_pose.is_open and now - asked >= ANSWERING_TIME:
                    refusal = ""
                yield self._moving_step(refusal)
        finally:
            self._start_pose.abandon()

    def _refusal(self, message: str, *, settles: bool) -> str:
        if not (settles or message.startswith(services.MOTION_REFUSED)):
            raise ResetStopped(f"the motion to the start pose {message}")
        return message

    def _moving_step(self, refusal: str) -> ResetStep:
        if not refusal:
            return ResetStep("robot_node to move the arms to the start pose")
        reason = refusal.removeprefix(services.MOTION_REFUSED)
        text = f"robot_node, which does not move the arms to the start pose ({reason}); it is asked again every second"
        return ResetStep(text, command_in(reason), OnDone.FINISH)


def _last_words(process: CommandProcess) -> str:
    try:
        line = process.last_line()
    except OSError as error:
        return f"what it wrote to its standard error cannot be read: {error}"
    return f"{line}; {process.errors} has the rest" if line else "it wrote nothing to its standard error"
