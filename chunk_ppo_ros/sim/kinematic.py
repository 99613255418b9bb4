"""Simulates ALOHA without physics, with numpy alone and without OpenGL.

Joints follow their targets exactly, up to the joint speed limit. There is no mass, no gravity and no contact, so that
arms pass through the table and through each other. The simulator keeps what a policy for the reach task sees and moves:
geometry, joint limits, speeds and three cameras.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.robot.gate.command_limiter import CommandLimiter
from chunk_ppo_ros.robot.gate.commands import Command
from chunk_ppo_ros.robot.kinematics import FINGER_END, FINGER_INSET
from chunk_ppo_ros.sim.cameras import HIGH_CAMERA, wrist_cameras
from chunk_ppo_ros.sim.drawing import Capsules, draw
from chunk_ppo_ros.sim.geometry import GRASP_OFFSET, arm_poses, rotate, split_arms
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.scene import Capsule, Motion, Pose, SceneState, Sphere
from chunk_ppo_ros.sim.tasks.task import START_NOISE, Task, sample_start

ARM_COLOR = np.array([24, 24, 26])
FINGER_COLOR = np.array([190, 190, 180])
# The radii of an arm's parts as on the meshes, m: upper arm, forearm, wrist, carriage across the gripper, two fingers.
# The colors have the same order.
RADII = (0.035, 0.03, 0.03, 0.02, 0.011, 0.011)
COLORS = (ARM_COLOR, ARM_COLOR, ARM_COLOR, ARM_COLOR, FINGER_COLOR, FINGER_COLOR)
# Measures of the gripper in its own frame, m: the middle and the half width of the carriage, and where fingers start.
# At finger position p the middle of a finger lies FINGER_INSET nearer to the center than p.
CARRIAGE, CARRIAGE_HALF_WIDTH = 0.047, 0.055
FINGER_START = 0.065


@dataclasses.dataclass(frozen=True)
class _Marker:
    """Describes a ball or a capsule of a task's object: its color, its sizes and its place in the object's frame, m."""

    name: str
    position: np.ndarray
    half_length: float
    radius: float
    color: tuple[int, int, int]

    def segment(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        """Returns the start and the end [3] of the segment in the world, m, where the object stands at `pose`."""
        middle = pose.position + rotate(pose.rotation, self.position)
        half = rotate(pose.rotation, np.array([0.0, 0.0, self.half_length]))
        return middle - half, middle + half


class KinematicSimulator:
    """Simulates the kinematics of ALOHA. `Simulator` documents its methods."""

    control_rate = aloha.CONTROL_RATE
    camera_names = aloha.CAMERAS

    def __init__(
        self,
        task: Task[Any],
        image_size: int,
        robot: RobotConfig,
        *,
        prompt: str = "",
        start_noise: float = START_NOISE,
    ) -> None:
        """Makes the simulator at the start of seed 0.

        Args:
            task: the task, which draws the layout of the scene and judges each step.
            image_size: the height and width of images, pixels.
            robot: the speed limits and the gripper convention.
            prompt: the task in words. An empty prompt takes the task's own words.
            start_noise: the largest deviation of a joint from the start pose at a reset, rad.

        Raises:
            SettingError: for a task with objects that need contacts, or markers that are no balls and capsules.
        """
        self.prompt = prompt or task.prompt
        self._task, self._size, self._start_noise = task, image_size, start_noise
        self._markers = _read_markers(task)
        self._limiter = CommandLimiter(dataclasses.replace(robot, max_acceleration=0.0))  # The joints have no mass.
        self._convention = grippers.convention_of(robot)
        self.reset(seed=0)

    def reset(self, *, seed: int, pose: np.ndarray | None = None) -> None:
        """Starts an episode that is drawn from `seed` alone, but for the robot's `pose` [14] where it is given."""
        start = sample_start(self._task, seed=seed, noise=self._start_noise)
        self._state = start.state if pose is None else np.array(pose, float)
        self._poses = start.layout.poses
        self._velocities = np.zeros(aloha.ACTION_DIM)
        self._scene = self._current_scene()

    def step(self, target: np.ndarray) -> StepReward:
        """Moves for one control period towards `target` [14], rad and normalized grippers."""
        moved = self._limiter.limit(np.asarray(target, dtype=float), Command.at_rest(self._state)).target
        self._velocities = (moved - self._state) * self.control_rate
        self._state = moved
        before, self._scene = self._scene, self._current_scene()
        return self._task.step_reward(self._task.observe(before), self._task.observe(self._scene))

    def state(self) -> np.ndarray:
        """Returns the state, float32 [14], joint angles in rad, grippers normalized."""
        return self._state.astype(np.float32)

    def joint_velocities(self) -> np.ndarray:
        """Returns the speeds of the last step, float32 [14], rad/s, grippers in openings per second."""
        return self._velocities.astype(np.float32)

    def efforts(self) -> None:
        """Returns None, because nothing has a mass here."""

    def scene(self) -> SceneState:
        """Returns the true scene."""
        return self._scene

    def render(self) -> np.ndarray:
        """Returns the images uint8 [3, h, w, 3] of cam_high and both wrist cameras, drawn with numpy."""
        poses = arm_poses(split_arms(self._state))
        capsules = self._capsules()
        cameras = (HIGH_CAMERA, *wrist_cameras(poses, GRASP_OFFSET))
        return np.stack([draw(camera, capsules, self._size) for camera in cameras])

    def close(self) -> None:
        """Does nothing, because this simulator holds no resources."""

    def _current_scene(self) -> SceneState:
        return SceneState(arm_poses(split_arms(self._state)).grasp_points, self._poses)

    def _capsules(self) -> Capsules:
        """Returns the capsules of both arms with their grippers, and of the markers of the task."""
        poses = arm_poses(split_arms(self._state))
        segments = []
        for side, opening in enumerate(self._state[aloha.GRIPPER_INDICES]):
            shoulder, elbow, wrist = poses.origins[side, [1, 2, 4]]
            gripper = _gripper_segments(self._convention.finger_from_opening(float(opening)))
            gripper = poses.grasp_points[side] + (gripper - GRASP_OFFSET) @ poses.gripper_rotations[side].T
            palm = gripper[0].mean(axis=0)
            segments += [(shoulder, elbow), (elbow, wrist), (wrist, palm), *gripper]
        segments += [marker.segment(self._poses[marker.name]) for marker in self._markers]
        starts, ends = np.swapaxes(np.array(segments), 0, 1)
        return Capsules(
            starts=starts,
            ends=ends,
            radii=np.array([*RADII, *RADII, *(marker.radius for marker in self._markers)]),
            colors=np.array([*COLORS, *COLORS, *(marker.color for marker in self._markers)]),
        )


def _gripper_segments(finger: float) -> np.ndarray:
    """Returns start and end of the carriage and of both fingers in the gripper's frame, [3, 2, 3], m.

    Args:
        finger: the finger position, m.
    """
    across = finger - FINGER_INSET
    carriage = [[CARRIAGE, -CARRIAGE_HALF_WIDTH, 0.0], [CARRIAGE, CARRIAGE_HALF_WIDTH, 0.0]]
    fingers = [[[FINGER_START, y, 0.0], [FINGER_END, y, 0.0]] for y in (across, -across)]
    return np.array([carriage, *fingers])


def _read_markers(task: Task[Any]) -> list[_Marker]:
    """Returns the markers of a task.

    Raises:
        SettingError: for an object that needs contacts, or a shape that cannot be drawn.
    """
    markers = []
    for each in task.objects:
        for part in each.parts:
            match part.shape:
                case Sphere(radius) if each.motion is Motion.MARKER:
                    half_length = 0.0
                case Capsule(radius, half_length) if each.motion is Motion.MARKER:
                    pass
                case _:
                    raise SettingError(
                        "env.task must have markers of balls and capsules alone with env.simulator kinematic, which "
                        f"has no contacts, got {task.name!r} with {each.name}; set env.simulator to mujoco"
                    )
            markers.append(_Marker(each.name, np.array(part.position), half_length, radius, part.color))
    return markers
