"""Builds the MuJoCo model of ALOHA from the MJCF and meshes that the `gym-aloha` wheel ships.

The wheel is found without being imported, because its package needs gym and dm_control. Arms, actuators and table stay
as shipped. This module adds its own cameras and grasp points, makes the meshes coarser, removes shadows and
reflections, and replaces the shipped cube by the objects of the task.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import mujoco
import numpy as np

from chunk_ppo_ros.core.errors import SimulatorUnavailable
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.sim.cameras import HIGH_CAMERA, WRIST_CAMERA, CameraPose
from chunk_ppo_ros.sim.geometry import GRASP_OFFSET
from chunk_ppo_ros.sim.meshes import coarsen, read_stl
from chunk_ppo_ros.sim.scene import NO_TURN, Box, Capsule, Cylinder, Motion, Part, SceneObject, Shape, Sphere

SCENE_FILE = "bimanual_viperx_transfer_cube.xml"
TIME_STEP = 0.002  # s
MESH_CELL = 4.0  # mm, the unit of the STL files; meshes are coarsened within cubes of this edge
SHIPPED_CUBE = "box"
SURROUNDINGS = 0.5  # the gray of everything around the table, 0..1
TABLE_SHADE = 0.5  # the gray of the table, 0..1; the lights of this module make it mid-gray in the images
MARKER_EMISSION = 0.5  # keeps the colors of markers saturated in any light
# The contact parameters of objects are those of the cube that the wheel ships, which the grippers hold by friction.
CONTACT = {"condim": 4, "solimp": [2, 1, 0.01, 0.5, 2], "solref": [0.01, 1], "friction": [1, 0.005, 0.0001]}
JOINT_FRICTION = 0.01  # N and N m, the friction of a free object's joint, the same as that of the shipped cube


def arm_prefix(side: str) -> str:
    """Returns the prefix of the names of an arm's bodies, joints and geoms."""
    return f"vx300s_{side}/"


def grasp_site(side: str) -> str:
    """Returns the name of the site at an arm's grasp point."""
    return f"{side}_grasp"


def object_body(name: str) -> str:
    """Returns the name of the body of a task's object. Its prefix separates it from the bodies of the robot."""
    return f"object/{name}"


def build_model(objects: Sequence[SceneObject], image_size: int) -> mujoco.MjModel:
    """Returns the compiled model.

    Args:
        objects: the objects that the task wants in the scene.
        image_size: the largest height and width of rendered images, pixels.

    Raises:
        SimulatorUnavailable: when `gym-aloha` is not installed.
    """
    assets = _assets_folder()
    spec = mujoco.MjSpec.from_file(str(assets / SCENE_FILE))
    spec.option.timestep = TIME_STEP
    _make_cheap_to_draw(spec, image_size)
    _light_evenly(spec)
    _coarsen_meshes(spec, assets)
    _add_camera(spec.worldbody, aloha.CAMERAS[0], HIGH_CAMERA)
    for side, camera in zip(aloha.SIDES, aloha.CAMERAS[1:], strict=True):
        gripper = spec.body(f"{arm_prefix(side)}gripper_link")
        _add_camera(gripper, camera, WRIST_CAMERA)
        gripper.add_site(name=grasp_site(side), pos=GRASP_OFFSET, rgba=[0, 0, 0, 0])
    for key in list(spec.keys):
        spec.delete(key)
    spec.delete(spec.body(SHIPPED_CUBE))
    for each in objects:
        _add_object(spec, each)
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
    """Puts a mid-gray table in mid-gray surroundings under even light, so that only arms and targets stand out.

    The model's images are centered on mid-gray. An empty place is then near 0, and the constant part of a scene does
    not hide a small target. A policy that is trained from scratch in minutes needs that.
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
    """Replaces each mesh file by a coarser mesh. The table top stays, since it has only 12 triangles."""
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


def _add_object(spec: mujoco.MjSpec, each: SceneObject) -> None:
    body = spec.worldbody.add_body(name=object_body(each.name), mocap=each.motion is not Motion.FREE)
    if each.motion is Motion.FREE:
        body.add_joint(type=mujoco.mjtJoint.mjJNT_FREE, frictionloss=JOINT_FRICTION)
        body.explicitinertial, body.mass = True, each.mass
        body.inertia, body.ipos, body.iquat = _inertia(each)
    for number, part in enumerate(each.parts):
        kind, size = _geometry(part.shape)
        geom = body.add_geom(type=kind, size=size, pos=part.position)
        if each.motion is Motion.MARKER:
            geom.contype = geom.conaffinity = 0
            geom.material = _add_glowing_material(spec, f"{body.name}/{number}", part)
            continue
        geom.rgba = _rgba(part)
        for name, value in CONTACT.items():
            setattr(geom, name, value)


def _inertia(each: SceneObject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the principal moments of inertia [3], kg m^2, their center [3], m, and their axes as a quaternion [4].

    MuJoCo computes them in a model that holds the object alone, because the robot's model takes inertia from other
    geoms.
    """
    if each.inertia is not None:
        return np.array(each.inertia), np.zeros(3), np.array(NO_TURN)
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body()
    body.add_freejoint()
    for part in each.parts:
        kind, size = _geometry(part.shape)
        body.add_geom(type=kind, size=size, pos=part.position, mass=each.mass / len(each.parts))
    model = spec.compile()
    return model.body_inertia[1], model.body_ipos[1], model.body_iquat[1]


def _geometry(shape: Shape) -> tuple[mujoco.mjtGeom, list[float]]:
    """Returns MuJoCo's type and size of a shape."""
    match shape:
        case Sphere(radius):
            return mujoco.mjtGeom.mjGEOM_SPHERE, [radius, 0, 0]
        case Box(half_sizes):
            return mujoco.mjtGeom.mjGEOM_BOX, list(half_sizes)
        case Cylinder(radius, half_height):
            return mujoco.mjtGeom.mjGEOM_CYLINDER, [radius, half_height, 0]
        case Capsule(radius, half_length):
            return mujoco.mjtGeom.mjGEOM_CAPSULE, [radius, half_length, 0]


def _add_glowing_material(spec: mujoco.MjSpec, name: str, part: Part) -> str:
    spec.add_material(name=name, rgba=_rgba(part), emission=MARKER_EMISSION, specular=0.0)
    return name


def _rgba(part: Part) -> list[float]:
    return [*(np.array(part.color) / 255.0), 1.0]
