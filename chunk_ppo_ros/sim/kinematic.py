"""A stand-in for the physics: joints follow their targets exactly, up to the joint speed limit; numpy only, no OpenGL.

There is no mass, no gravity and no contact: arms pass through the table and through each other. What it keeps is what a
policy for the reach task sees and moves: geometry, joint limits, speeds and three cameras.
"""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.safety import TargetLimiter
from chunk_ppo_ros.sim.cameras import HIGH_CAMERA, wrist_cameras
from chunk_ppo_ros.sim.drawing import Capsules, draw
from chunk_ppo_ros.sim.geometry import GRASP_OFFSET, arm_poses, split_arms
from chunk_ppo_ros.sim.interface import CAMERA_NAMES, CONTROL_RATE, SceneState, StepReward
from chunk_ppo_ros.sim.tasks import MARKER_COLORS, MARKER_RADIUS, START_NOISE, Task, sample_start

ARM_COLOR = np.array([24, 24, 26])
FINGER_COLOR = np.array([190, 190, 180])
# Of each arm as on the meshes, m: upper arm, forearm, wrist; the carriage across the gripper; two fingers.
RADII = (0.035, 0.03, 0.03, 0.02, 0.011, 0.011)
COLORS = (ARM_COLOR, ARM_COLOR, ARM_COLOR, ARM_COLOR, FINGER_COLOR, FINGER_COLOR)
# In the gripper's frame, m: middle of the carriage, half its width, where the fingers begin and end. At finger position
# p the middle of a finger lies FINGER_INSET nearer to the centre than p.
CARRIAGE, CARRIAGE_HALF_WIDTH = 0.047, 0.055
FINGER_START, FINGER_END, FINGER_INSET = 0.065, 0.150, 0.010


class KinematicSimulator:
    """The kinematic stand-in; see `Simulator` for its methods."""

    control_rate = CONTROL_RATE
    camera_names = CAMERA_NAMES

    def __init__(
        self, task: Task, image_size: int, robot: RobotConfig, *, prompt: str = "", start_noise: float = START_NOISE
    ) -> None:
        """Makes the simulator; `reset` must follow.

        Args:
            task: what is drawn at a reset and what steps are worth.
            image_size: height and width of images, pixels.
            robot: speed limits and gripper convention.
            prompt: the task in words; empty takes the task's own.
            start_noise: largest deviation of a joint from the start pose at a reset, rad.

        Raises:
            ValueError: for a task with a cube, which needs contacts.
        """
        if "cube" in task.objects:
            raise ValueError(
                f"env.task must be reach with env.simulator kinematic, got {task.name!r}, whose cube needs contacts; "
                "set env.simulator to mujoco"
            )
        self.prompt = prompt or task.prompt
        self._task, self._size, self._start_noise = task, image_size, start_noise
        self._limiter = TargetLimiter(robot)
        self._convention = aloha.GRIPPER_CONVENTIONS[robot.gripper_convention]
        self.reset(seed=0)

    def reset(self, *, seed: int) -> None:
        """Starts an episode drawn from `seed` alone."""
        start = sample_start(self._task, seed=seed, noise=self._start_noise)
        assert start.layout.targets is not None
        self._state, self._targets = start.state, start.layout.targets
        self._velocities = np.zeros(aloha.ACTION_DIM)
        self._scene = self._current_scene()

    def step(self, target: np.ndarray) -> StepReward:
        """One control period towards `target` [14]."""
        moved = self._limiter.limit(np.asarray(target, dtype=float), self._state, 1.0 / self.control_rate).target
        self._velocities = (moved - self._state) * self.control_rate
        self._state = moved
        before, self._scene = self._scene, self._current_scene()
        return self._task.step_reward(before, self._scene)

    def state(self) -> np.ndarray:
        """float32 [14]: joint angles in rad, grippers normalised."""
        return self._state.astype(np.float32)

    def joint_velocities(self) -> np.ndarray:
        """float32 [14]: speeds of the last step, rad/s, grippers in openings per second."""
        return self._velocities.astype(np.float32)

    def efforts(self) -> None:
        """None: nothing has a mass here."""

    def scene(self) -> SceneState:
        """The true scene."""
        return self._scene

    def render(self) -> np.ndarray:
        """uint8 [3, h, w, 3]: cam_high and both wrist cameras, drawn with numpy."""
        poses = arm_poses(split_arms(self._state))
        capsules = self._capsules()
        cameras = (HIGH_CAMERA, *wrist_cameras(poses, GRASP_OFFSET))
        return np.stack([draw(camera, capsules, self._size) for camera in cameras])

    def close(self) -> None:
        """Nothing is held."""

    def _current_scene(self) -> SceneState:
        return SceneState(arm_poses(split_arms(self._state)).grasp_points, self._targets)

    def _capsules(self) -> Capsules:
        """Both arms with their grippers, and the targets."""
        poses = arm_poses(split_arms(self._state))
        segments = []
        for side, opening in enumerate(self._state[aloha.GRIPPER_INDICES]):
            shoulder, elbow, wrist = poses.origins[side, [1, 2, 4]]
            gripper = _gripper_segments(self._convention.finger_from_opening(float(opening)))
            gripper = poses.grasp_points[side] + (gripper - GRASP_OFFSET) @ poses.gripper_rotations[side].T
            palm = gripper[0].mean(axis=0)
            segments += [(shoulder, elbow), (elbow, wrist), (wrist, palm), *gripper]
        segments += [(target, target) for target in self._targets]
        starts, ends = np.swapaxes(np.array(segments), 0, 1)
        return Capsules(
            starts=starts,
            ends=ends,
            radii=np.array([*RADII, *RADII, MARKER_RADIUS, MARKER_RADIUS]),
            colors=np.array([*COLORS, *COLORS, *MARKER_COLORS]),
        )


def _gripper_segments(finger: float) -> np.ndarray:
    """[3, 2, 3], m: start and end of the carriage and of both fingers in the gripper's frame; `finger` in m."""
    across = finger - FINGER_INSET
    carriage = [[CARRIAGE, -CARRIAGE_HALF_WIDTH, 0.0], [CARRIAGE, CARRIAGE_HALF_WIDTH, 0.0]]
    fingers = [[[FINGER_START, y, 0.0], [FINGER_END, y, 0.0]] for y in (across, -across)]
    return np.array([carriage, *fingers])
