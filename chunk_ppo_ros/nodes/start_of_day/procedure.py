"""Moves each joint a little, then the grippers, and judges what was measured and seen. The operator is asked before."""

from __future__ import annotations

import collections

import numpy as np

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, skipped, warn
from chunk_ppo_ros.nodes.start_of_day.operator import Operator
from chunk_ppo_ros.nodes.start_of_day.pace import Pace
from chunk_ppo_ros.nodes.start_of_day.robot_link import MotionFailed, Robot
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.grippers import GripperConvention
from chunk_ppo_ros.robot.start_check import camera_swap, gripper_motion, joint_motion
from chunk_ppo_ros.robot.start_check.camera_swap import Answer, PictureChange, WristChanges
from chunk_ppo_ros.robot.start_check.gripper_motion import GripperMotion, judge_gripper
from chunk_ppo_ros.robot.start_check.joint_motion import JointMotion, judge_joint

WRIST_CAMERAS = {side: f"cam_{side}_wrist" for side in aloha.SIDES}
REST = 0.5
"""The seconds in which nothing moves while the noise of the cameras is measured."""
MAY_MOVE = "Are both arms free to move, and everybody out of their reach? They go slowly to the start pose."
MAY_GRIP = "Is nothing between the fingers, and no hand near them? Both grippers open and close."
TRY_AGAIN = "Look at the robot. Shall it try again?"
MAX_FAILED = 3
"""The number of motions that may fail before the check ends."""
WHICH_WRIST = "Does cam_left_wrist show the left gripper, and cam_right_wrist the right one?"


class StartOfDay:
    """The check, step by step. What was found so far stays where a motion fails or the operator stops it.

    Args:
        robot: the robot.
        operator: the person who is asked before anything moves.
        convention: the numbers of the grippers.
        pace: how fast it goes.

    Attributes:
        findings: what was found, by group.
    """

    def __init__(self, robot: Robot, operator: Operator, convention: GripperConvention, pace: Pace) -> None:
        self._robot = robot
        self._operator = operator
        self._convention = convention
        self._pace = pace
        self._num_failed = 0
        self.findings: dict[str, list[Finding]] = {"cameras": [], "joints": [], "grippers": []}

    def run(self, cameras: list[str]) -> None:
        """Makes all steps.

        Args:
            cameras: the names of the cameras on the robot.
        """
        self._look_at(cameras)
        if not self._operator.agrees(MAY_MOVE):
            self.findings["joints"].append(skipped("all joints", "the operator did not agree that the arms move"))
            return
        try:
            self._robot.call("confirm_motion")
            self._persist(lambda: self._robot.call("go_to_start_pose"))
            for index in aloha.ARM_INDICES:
                self._try_joint(int(index))
            self._try_grippers(cameras)
        except MotionFailed as failure:
            advice = "do what the text says, look at the robot, and start again"
            self.findings["joints"].append(error("motion", str(failure), advice))

    def _look_at(self, cameras: list[str]) -> None:
        pictures = self._robot.pictures()
        for camera in cameras:
            if camera in pictures:
                height, width = pictures[camera].shape[:2]
                self.findings["cameras"].append(ok(camera, f"{width}x{height}; look at its picture in the report"))
            else:
                self.findings["cameras"].append(error(camera, "it sends no pictures", "call doctor, which says more"))

    def _try_joint(self, index: int) -> None:
        """Moves one joint away and back."""
        home = float(aloha.START_POSE[index])
        asked = joint_motion.step_of(aloha.START_POSE, index)
        before = self._measured()
        self._move(joint_motion.pose_with(index, home + asked), speed=self._pace.speed)
        there = self._measured()
        self._move(joint_motion.pose_with(index, home), speed=self._pace.speed)
        self._add("joints", judge_joint(JointMotion(index, asked, before, there, self._measured())))

    def _move(self, pose: np.ndarray, *, speed: float) -> None:
        self._persist(lambda: self._robot.move(pose, speed=speed))

    def _persist(self, move: collections.abc.Callable[[], None]) -> None:
        """Makes a motion. One that fails is made again where the operator has looked and agrees.

        Raises:
            MotionFailed: where the operator does not agree, or too many motions have failed.
        """
        while True:
            try:
                return move()
            except MotionFailed as failure:
                self._num_failed += 1
                if self._num_failed > MAX_FAILED or not self._operator.agrees(f"{failure}. {TRY_AGAIN}"):
                    raise
                self._add("joints", warn("motion", f"{failure}; it was made again", "look for the cause"))
                self._robot.wait(REST)

    def _measured(self) -> np.ndarray:
        self._robot.wait(self._pace.settling)
        return self._robot.state()

    def _try_grippers(self, cameras: list[str]) -> None:
        if not self._operator.agrees(MAY_GRIP):
            self.findings["grippers"].append(skipped("both grippers", "the operator did not agree that they move"))
            return
        changes = [self._try_gripper(side) for side in aloha.SIDES]
        if set(WRIST_CAMERAS.values()) <= set(cameras) & set(self._robot.pictures()):
            self._add("cameras", camera_swap.judge_wrists(changes, operator=self._asked_for(changes)))
        else:
            self._add("cameras", skipped("wrist cameras", "one of them sends no pictures, or is not used"))

    def _asked_for(self, changes: list[WristChanges]) -> Answer | None:
        """Returns what the operator says where the pictures do not; None where they do, or nobody knows."""
        if camera_swap.answer_of(changes) is not Answer.UNCLEAR:
            return None
        said = self._operator.choose(WHICH_WRIST, ("y", "n"))
        return None if said is None else Answer.RIGHT if said == "y" else Answer.SWAPPED

    def _try_gripper(self, side: str) -> WristChanges:
        """Opens and closes a gripper, and brings it back to where it was in the start pose."""
        noise = self._changes(lambda: self._robot.wait(REST))
        index = int(aloha.GRIPPER_INDICES[aloha.SIDES.index(side)])
        openings: list[float] = []

        def open_and_close() -> None:
            for opening in (gripper_motion.OPEN, gripper_motion.CLOSED):
                pose = joint_motion.pose_with(index, opening)
                self._move(pose, speed=self._pace.gripper_speed)
                openings.append(float(self._measured()[index]))

        seen = self._changes(open_and_close)
        home = joint_motion.pose_with(index, float(aloha.START_POSE[index]))
        self._move(home, speed=self._pace.gripper_speed)
        self._add("grippers", judge_gripper(GripperMotion(side, *openings), self._convention))
        own, other = (seen[WRIST_CAMERAS[each]] - noise[WRIST_CAMERAS[each]] for each in _own_first(side))
        return WristChanges(side, own, other)

    def _changes(self, act: collections.abc.Callable[[], None]) -> dict[str, float]:
        """Returns how much the picture of each wrist camera changed while something was done."""
        changes = {camera: PictureChange() for camera in WRIST_CAMERAS.values()}

        def see(camera: str, picture: np.ndarray) -> None:
            if camera in changes:
                changes[camera].see(picture)

        self._robot.watch(see)
        try:
            act()
        finally:
            self._robot.watch(None)
        return {camera: change.largest for camera, change in changes.items()}

    def _add(self, group: str, finding: Finding) -> None:
        self.findings[group].append(finding)
        self._operator.tell(f"{finding.level.value:<7}  {finding.name}: {finding.found}")


def _own_first(side: str) -> list[str]:
    return sorted(aloha.SIDES, key=lambda each: each != side)


def stopped(reason: str) -> Finding:
    """Returns the finding of a check that was stopped before its end."""
    return warn("end", f"the check was stopped: {reason}", "start it again for a whole report")
