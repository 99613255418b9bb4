"""Simulates ALOHA in MuJoCo with gravity, contacts, the actuators of the shipped MJCF, and three rendered cameras.

An import of this module imports MuJoCo, which fixes its OpenGL. Therefore use `make_simulator`, which chooses an OpenGL
first. A renderer belongs to the thread that made it. Therefore make, render and close a simulator in one thread.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.mujoco_scene import TIME_STEP, arm_prefix, build_model, grasp_site, object_body
from chunk_ppo_ros.sim.scene import ARMS, FINGERS, TABLE, EpisodeLayout, Motion, Pose, SceneState
from chunk_ppo_ros.sim.tasks.task import START_NOISE, Task, sample_start

FINGER_JOINTS = (aloha.LEFT_FINGER, aloha.RIGHT_FINGER)
TABLE_GEOM = "table"
FINGER_GEOMS = ("10_left_gripper_finger", "10_right_gripper_finger")
OFF = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_FOG)


class MujocoSimulator:
    """Simulates ALOHA in MuJoCo. `Simulator` documents its methods."""

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
        render: bool = True,
    ) -> None:
        """Makes the simulator at the start of seed 0 and, where `render` is true, its OpenGL context.

        Args:
            task: the task, which draws the layout of the scene and judges each step.
            image_size: the height and width of images, pixels.
            robot: the settings with the gripper convention.
            prompt: the task in words. An empty prompt takes the task's own words.
            start_noise: the largest deviation of a joint from the start pose at a reset, rad.
            render: whether images will be asked for.

        Raises:
            SimulatorUnavailable: when the meshes are not installed.
        """
        self.prompt = prompt or task.prompt
        self._task, self._start_noise = task, start_noise
        self._convention = grippers.convention_of(robot)
        self._model = build_model(task.objects, image_size)
        self._data = mujoco.MjData(self._model)
        self._substeps = round(1.0 / (self.control_rate * TIME_STEP))
        self._find_joints()
        self._geom_names = _name_geoms(self._model, [each.name for each in task.objects])
        self._solid = frozenset(each.name for each in task.objects if each.motion is not Motion.MARKER)
        self._renderer = _make_renderer(self._model, image_size) if render else None
        self.reset(seed=0)

    def reset(self, *, seed: int, pose: np.ndarray | None = None) -> None:
        """Starts an episode that is drawn from `seed` alone, with the robot at rest, and at `pose` [14] if given."""
        start = sample_start(self._task, seed=seed, noise=self._start_noise)
        mujoco.mj_resetData(self._model, self._data)
        self._command(start.state if pose is None else np.asarray(pose, float))
        self._data.qpos[self._positions] = self._data.ctrl[self._actuators]
        self._place(start.layout)
        mujoco.mj_forward(self._model, self._data)
        self._scene = self._current_scene()

    def step(self, target: np.ndarray) -> StepReward:
        """Moves for one control period towards `target` [14], as the actuators of the MJCF do it.

        Raises:
            ValueError: for a wrong shape or a number that is not finite; nothing moves.
        """
        if np.shape(target) != (aloha.ACTION_DIM,) or not np.all(np.isfinite(target)):
            raise ValueError(f"target must be {aloha.ACTION_DIM} finite numbers, got {np.asarray(target).tolist()}")
        self._command(np.asarray(target, dtype=float))
        mujoco.mj_step(self._model, self._data, self._substeps)
        # A step leaves poses and contacts as they were before it moved the joints.
        mujoco.mj_fwdPosition(self._model, self._data)
        before, self._scene = self._scene, self._current_scene()
        return self._task.step_reward(self._task.observe(before), self._task.observe(self._scene))

    def state(self) -> np.ndarray:
        """Returns the state, float32 [14], joint angles in rad, grippers normalized and read from the left finger."""
        state = self._data.qpos[self._positions][self._state_indices]
        openings = [self._convention.opening_from_finger(finger) for finger in state[aloha.GRIPPER_INDICES]]
        state[aloha.GRIPPER_INDICES] = openings
        return state.astype(np.float32)

    def joint_velocities(self) -> np.ndarray:
        """Returns the velocities, float32 [14], joints in rad/s, grippers in normalized openings per second."""
        velocities = self._data.qvel[self._velocity_addresses][self._state_indices]
        velocities[aloha.GRIPPER_INDICES] /= self._convention.finger_open - self._convention.finger_closed
        return velocities.astype(np.float32)

    def efforts(self) -> np.ndarray:
        """Returns the torques of the actuators at the arm joints, float32 [12], N m."""
        return self._data.actuator_force[self._actuators][self._arm_indices].astype(np.float32)

    def scene(self) -> SceneState:
        """Returns the true scene."""
        return self._scene

    def render(self) -> np.ndarray:
        """Returns the images uint8 [3, h, w, 3] of cam_high and both wrist cameras.

        Raises:
            RuntimeError: if the simulator was made without images or is closed.
        """
        if self._renderer is None:
            raise RuntimeError("the simulator must be made with render=True and not closed to render")
        images = []
        for camera in self.camera_names:
            self._renderer.update_scene(self._data, camera)
            for flag in OFF:
                self._renderer.scene.flags[flag] = 0
            images.append(self._renderer.render())
        return np.stack(images)

    def close(self) -> None:
        """Releases the OpenGL context. It must be called in the thread that made the simulator."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _find_joints(self) -> None:
        """Finds the addresses of the 16 joints (six and two fingers an arm) and of their actuators.

        The actuators have no names and are found by the joints that they drive.
        """
        names = [arm_prefix(side) + joint for side in aloha.SIDES for joint in (*aloha.ARM_JOINTS, *FINGER_JOINTS)]
        joints = [self._model.joint(name).id for name in names]
        driven = self._model.actuator_trnid[:, 0].tolist()
        self._actuators = np.array([driven.index(joint) for joint in joints])
        self._positions = self._model.jnt_qposadr[joints]
        self._velocity_addresses = self._model.jnt_dofadr[joints]
        self._arm_indices = np.array([i for i, name in enumerate(names) if not name.endswith(FINGER_JOINTS)])
        self._state_indices = np.array([i for i, name in enumerate(names) if not name.endswith(aloha.RIGHT_FINGER)])

    def _command(self, target: np.ndarray) -> None:
        """Writes `target` [14] to the actuators. The two fingers of a gripper get opposite positions."""
        controls = []
        for arm in target.reshape(len(aloha.SIDES), aloha.SIDE_DIM):
            low, high = grippers.FINGER_LIMITS
            finger = float(np.clip(self._convention.finger_from_opening(arm[-1]), low, high))
            controls += [*arm[:-1], finger, -finger]
        self._data.ctrl[self._actuators] = controls

    def _place(self, layout: EpisodeLayout) -> None:
        """Moves each object to its pose in the layout."""
        for name, pose in layout.poses.items():
            body = self._model.body(object_body(name))
            mocap = body.mocapid[0]
            if mocap >= 0:
                self._data.mocap_pos[mocap], self._data.mocap_quat[mocap] = pose.position, pose.rotation
            else:
                address = self._model.jnt_qposadr[body.jntadr[0]]
                self._data.qpos[address : address + 7] = [*pose.position, *pose.rotation]

    def _current_scene(self) -> SceneState:
        bodies = {each.name: self._data.body(object_body(each.name)) for each in self._task.objects}
        return SceneState(
            grasp_points=np.array([self._data.site(grasp_site(side)).xpos for side in aloha.SIDES]),
            poses={name: Pose(body.xpos.copy(), body.xquat.copy()) for name, body in bodies.items()},
            contacts=self._contacts(),
        )

    def _contacts(self) -> dict[str, frozenset[str]]:
        """Returns what each object touches, for each object that has contacts.

        Differs from gym-aloha, which looks at one finger of each gripper.
        """
        found: dict[str, set[str]] = {name: set() for name in self._solid}
        if found:
            for one, other in self._data.contact.geom.tolist():
                names = self._geom_names[one], self._geom_names[other]
                for name, touched in (names, names[::-1]):
                    if name in found and touched:
                        found[name].add(touched)
        return {name: frozenset(touched) for name, touched in found.items()}


def _name_geoms(model: mujoco.MjModel, objects: list[str]) -> list[str]:
    """Returns what contacts call each geom (an object, a finger, an arm or the table), or "" for all others."""
    fingers = {
        arm_prefix(side) + geom: name
        for side in aloha.SIDES
        for geom, name in zip(FINGER_GEOMS, FINGERS[side], strict=True)
    }
    by_body = {object_body(name): name for name in objects}
    names = []
    for number in range(model.ngeom):
        geom, body = model.geom(number).name, model.body(model.geom_bodyid[number]).name
        arm = next((ARMS[side] for side in aloha.SIDES if body.startswith(arm_prefix(side))), "")
        names.append(TABLE if geom == TABLE_GEOM else by_body.get(body) or fingers.get(geom) or arm)
    return names


def _make_renderer(model: mujoco.MjModel, image_size: int) -> mujoco.Renderer:
    return mujoco.Renderer(model, image_size, image_size)
