"""Builds the MuJoCo model of ALOHA from the MJCF and meshes that the `gym-aloha` wheel ships.

The wheel is found without being imported (its package needs gym and dm_control). Arms, actuators, table and cube
stay as shipped; ours are the cameras, the targets, the grasp points, coarser meshes, and no shadows or reflections.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import mujoco
import numpy as np

from chunk_ppo_ros.core.errors import SimulatorUnavailable
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.cameras import HIGH_CAMERA, WRIST_CAMERA, CameraPose
from chunk_ppo_ros.sim.geometry import GRASP_OFFSET
from chunk_ppo_ros.sim.interface import CAMERA_NAMES
from chunk_ppo_ros.sim.meshes import coarsen, read_stl
from chunk_ppo_ros.sim.tasks import MARKER_COLORS, MARKER_RADIUS

SCENE_FILE = "bimanual_viperx_transfer_cube.xml"
TIME_STEP = 0.002  # s
MESH_CELL = 4.0  # mm, the unit of the STL files
CUBE_BODY = "box"
SURROUNDINGS = 0.5
TABLE_SHADE = 0.5  # under the lights below it is drawn as mid-grey
MARKER_EMISSION = 0.5  # keeps the targets' colours saturated in any light


def arm_prefix(side: str) -> str:
    """What the names of an arm's bodies, joints and geoms begin with."""
    return f"vx300s_{side}/"


def grasp_site(side: str) -> str:
    """Name of the site at an arm's grasp point."""
    return f"{side}_grasp"


def target_body(side: str) -> str:
    """Name of the mocap body that is an arm's target."""
    return f"{side}_target"


def build_model(objects: frozenset[str], image_size: int) -> mujoco.MjModel:
    """The compiled model.

    Args:
        objects: what the task wants in the scene: "targets" (only the cameras notice them), "cube" (the shipped one).
        image_size: largest height and width of rendered images, pixels.

    Raises:
        SimulatorUnavailable: when `gym-aloha` is not installed.
    """
    assets = _assets_folder()
    spec = mujoco.MjSpec.from_file(str(assets / SCENE_FILE))
    spec.option.timestep = TIME_STEP
    _make_cheap_to_draw(spec, image_size)
    _light_evenly(spec)
    _coarsen_meshes(spec, assets)
    _add_camera(spec.worldbody, CAMERA_NAMES[0], HIGH_CAMERA)
    for side, camera in zip(aloha.SIDES, CAMERA_NAMES[1:], strict=True):
        gripper = spec.body(f"{arm_prefix(side)}gripper_link")
        _add_camera(gripper, camera, WRIST_CAMERA)
        gripper.add_site(name=grasp_site(side), pos=GRASP_OFFSET, rgba=[0, 0, 0, 0])
    if "targets" in objects:
        for side, color in zip(aloha.SIDES, MARKER_COLORS, strict=True):
            _add_target(spec, target_body(side), color)
    for key in list(spec.keys):
        spec.delete(key)
    if "cube" not in objects:
        spec.delete(spec.body(CUBE_BODY))
    return spec.compile()


def _assets_folder() -> Path:
    found = importlib.util.find_spec("gym_aloha")
    if found is None or not found.submodule_search_locations:
        raise SimulatorUnavailable(
            "env.simulator mujoco needs the robot's meshes, which the package gym-aloha ships, and it is missing; "
            "run 'pip install --no-deps gym-aloha', or set env.simulator to kinematic"
        )
    return Path(found.submodule_search_locations[0]) / "assets"


def _make_cheap_to_draw(spec: mujoco.MjSpec, image_size: int) -> None:
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    spec.visual.global_.offwidth = spec.visual.global_.offheight = image_size
    for light in spec.lights:
        light.castshadow = False


def _light_evenly(spec: mujoco.MjSpec) -> None:
    """A mid-grey table in mid-grey surroundings under even light: what stands out are the arms and the targets.

    The model's images are centred on mid-grey, so that an empty place is near 0 and a small target is not drowned by
    the constant part of a dark scene. A policy that is trained from scratch in minutes needs that.
    """
    spec.visual.headlight.ambient = [0.5] * 3
    spec.visual.headlight.diffuse = [0.3] * 3
    spec.visual.headlight.specular = [0.0] * 3
    for light in spec.lights:
        light.diffuse = [0.15] * 3
        light.specular = [0.0] * 3
    spec.add_texture(
        name="surroundings",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[SURROUNDINGS] * 3,
        rgb2=[SURROUNDINGS] * 3,
        width=8,
        height=48,
    )
    for geom in spec.geoms:
        if geom.meshname == "tabletop":
            geom.rgba = [TABLE_SHADE] * 3 + [1.0]


def _coarsen_meshes(spec: mujoco.MjSpec, assets: Path) -> None:
    """Replaces each mesh file by its coarser self; the table top has 12 triangles and stays."""
    for mesh in spec.meshes:
        coarse = coarsen(read_stl(assets / mesh.file), MESH_CELL)
        if mesh.name != "tabletop":
            mesh.file = ""
            mesh.uservert = coarse.vertices.ravel()
            mesh.userface = coarse.faces.ravel()


def _add_camera(body: mujoco.MjsBody, name: str, pose: CameraPose) -> None:
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, pose.rotation.ravel())
    body.add_camera(name=name, pos=pose.position, quat=quaternion, fovy=pose.field_of_view)


def _add_target(spec: mujoco.MjSpec, name: str, color: np.ndarray) -> None:
    rgba = [*(color / 255.0), 1.0]
    spec.add_material(name=name, rgba=rgba, emission=MARKER_EMISSION, specular=0.0)
    body = spec.worldbody.add_body(name=name, mocap=True)
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[MARKER_RADIUS, 0, 0], material=name, contype=0, conaffinity=0
    )
