"""Makes a simulator from a configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chunk_ppo_ros.config import KINEMATIC, MUJOCO, REAL_ROBOT, TrainConfig
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.errors import SimulatorUnavailable as SimulatorUnavailable  # callers of make_simulator catch it
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.interface import Simulator
from chunk_ppo_ros.sim.tasks.own_task import blamed_on
from chunk_ppo_ros.sim.tasks.registry import is_ours, make_task
from chunk_ppo_ros.sim.tasks.scene_terms import with_scene_terms
from chunk_ppo_ros.sim.tasks.task import Task


def make_simulator(config: TrainConfig, *, render: bool = True, name: str | None = None) -> Simulator:
    """Returns the configured simulator, with the terms of `reward.scene_terms`.

    Args:
        config: the settings, of which `env.simulator`, `env.task`, `model.image_size` and `robot` are read.
        render: whether images are wanted. Without them no OpenGL is needed, and `Simulator.render` must not be called.
        name: the simulator in the place of `env.simulator`.

    Raises:
        SimulatorUnavailable: when images are wanted and MuJoCo cannot render here, or the robot's meshes are missing.
        RegistryError: for a task that is not registered.
        SettingError: for a value of `env.simulator` that names no simulator (`none` stands for a real robot), a control
            rate or dimensions that are not ALOHA's, or a task that the simulator cannot honor.
    """
    name = config.env.simulator if name is None else name
    if name not in MAKERS:
        raise SettingError(
            f"env.simulator must be {' or '.join(MAKERS)} to simulate, got {name!r}; {REAL_ROBOT} is for a real robot"
        )
    check_control_rate(config, aloha.CONTROL_RATE)
    check_action_dim(config)
    return build(with_scene_terms(make_task(config.env), config), config, name=name, render=render)


def build(task: Task[Any], config: TrainConfig, *, name: str, render: bool) -> Simulator:
    """Returns the simulator `name` of a task, which is `env.task` or one made from it; see `make_simulator`.

    Raises:
        TaskError: where the simulator cannot be made from the objects of a task of somebody else.
    """
    make = MAKERS[name]
    if is_ours(config.env):
        return make(task, config, render)
    with blamed_on(config.env.task, f"building the scene of its objects in the simulator {name}"):
        return make(task, config, render)


def _make_mujoco(task: Task[Any], config: TrainConfig, render: bool) -> Simulator:
    from chunk_ppo_ros.sim.rendering import rendering_available, select_backend

    # The OpenGL is chosen also without images: MuJoCo's first import fixes it for all simulators of the process.
    if render or rendering_available() is None:
        select_backend()
    from chunk_ppo_ros.sim.mujoco_aloha import MujocoSimulator

    return MujocoSimulator(task, config.model.image_size, config.robot, prompt=config.run.prompt, render=render)


def _make_kinematic(task: Task[Any], config: TrainConfig, render: bool) -> Simulator:
    """Returns the kinematic simulator, which draws without OpenGL and therefore does not read `render`."""
    from chunk_ppo_ros.sim.kinematic import KinematicSimulator

    return KinematicSimulator(task, config.model.image_size, config.robot, prompt=config.run.prompt)


MAKERS: dict[str, Callable[[Task[Any], TrainConfig, bool], Simulator]] = {
    MUJOCO: _make_mujoco,
    KINEMATIC: _make_kinematic,
}
"""The function that makes each simulator, by its name in `config.SIMULATORS`."""


def check_simulator_cameras(config: TrainConfig, camera_names: tuple[str, ...]) -> None:
    """Refuses `model.cameras` that are not those of a simulator, in its order. Its images come without their names.

    Raises:
        SettingError: where the two differ.
    """
    if tuple(aloha.ROBOT_CAMERAS[key] for key in config.model.cameras) != camera_names:
        keys = [aloha.MODEL_CAMERAS[camera] for camera in camera_names]
        raise SettingError(
            f"model.cameras must be the simulator's, {' '.join(keys)}, got {' '.join(config.model.cameras)}; leave "
            "none out, and keep their order"
        )


def check_control_rate(config: TrainConfig, rate: float) -> None:
    """Refuses a `robot.control_rate` that differs from the `rate` of a simulator, Hz.

    Raises:
        SettingError: where the two differ.
    """
    if config.robot.control_rate != rate:
        raise SettingError(
            f"robot.control_rate must be {rate} with a simulator, got {config.robot.control_rate}; set it back, or set "
            f"env.simulator to {REAL_ROBOT} for a real robot"
        )


def check_action_dim(config: TrainConfig) -> None:
    """Refuses a model of another robot, whose actions ALOHA cannot execute.

    Raises:
        SettingError: where `model.action_dim` is not ALOHA's.
    """
    if config.model.action_dim != aloha.ACTION_DIM:
        raise SettingError(
            f"model.action_dim must be {aloha.ACTION_DIM} with a simulator, which is a bimanual ALOHA, got "
            f"{config.model.action_dim}; measure a policy of another robot on its own recordings: "
            "measure-imitation and positions, both with --episodes"
        )
