"""Tests the parts of scenes: what is refused, contacts by name, and orientations in both simulators."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha, grippers
from chunk_ppo_ros.sim import rendering
from chunk_ppo_ros.sim.cameras import HIGH_CAMERA, WRIST_CAMERA, look_at
from chunk_ppo_ros.sim.geometry import rotate
from chunk_ppo_ros.sim.interface import StepReward
from chunk_ppo_ros.sim.kinematic import KinematicSimulator
from chunk_ppo_ros.sim.scene import (
    ARMS,
    FINGERS,
    TABLE,
    Box,
    Capsule,
    EpisodeLayout,
    Motion,
    Part,
    Pose,
    SceneObject,
    SceneState,
    Sphere,
)
from chunk_ppo_ros.sim.tasks.task import Task, sample_start

REASON = rendering.rendering_available()
needs_mujoco = pytest.mark.skipif(REASON is not None, reason=str(REASON))
HALF = float(np.sqrt(0.5))
QUARTER_ABOUT_X = np.array([HALF, HALF, 0.0, 0.0])
BRICK = SceneObject("brick", (Part(Box((0.02, 0.03, 0.04)), (9, 9, 9)),), motion=Motion.FREE, mass=0.1)
POLE = SceneObject("pole", (Part(Capsule(0.02, 0.1), (20, 200, 20), (0.0, 0.0, 0.05)),))


class Stillness(Task[SceneState]):
    """A task that does nothing with its objects."""

    name, prompt = "stillness", "do nothing"

    def __init__(self, *objects: SceneObject, pose: Pose, places: dict[str, Pose] | None = None) -> None:
        self.objects = objects
        self._layout = EpisodeLayout({each.name: pose for each in objects} if places is None else places)

    def sample_layout(self, rng: np.random.Generator) -> EpisodeLayout:
        return self._layout

    def observe(self, scene: SceneState) -> SceneState:
        return scene

    def step_reward(self, before: SceneState, after: SceneState) -> StepReward:
        return StepReward((), terminated=False, success=False)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "table"}, "must be an identifier other than .* got 'table'"),
        ({"name": "left/arm"}, "got 'left/arm'"),
        ({"name": None}, "must be an identifier other than .* got None"),
        ({"parts": ()}, "must have at least one part"),
        ({"mass": 0.0}, "must have a mass exactly where it is free, got 0.0 kg and FREE"),
        ({"motion": Motion.FIXED}, "got 0.1 kg and FIXED"),
    ],
)
def test_objects_that_cannot_be_built_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(BRICK, **change)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"color": "green"}, "must be three whole numbers of 0..255 .*, got 'green'"),
        ({"color": (30, 200, 600)}, "got .30, 200, 600."),
        ({"color": (0.1, 0.8, 0.2)}, "got .0.1, 0.8, 0.2."),
        ({"shape": Sphere(-1.0)}, "must be numbers above 0, m, got Sphere"),
        ({"shape": Box((0.1, 0.1, 0.0))}, "must be numbers above 0, m, got Box"),
        ({"shape": Sphere("small")}, "must be numbers above 0, m, got Sphere"),
        ({"shape": "ball"}, "must have a Sphere, Box, Cylinder or Capsule as its shape, got 'ball'"),
        ({"position": (0.0, 0.0)}, "must be three finite numbers, m, got .0.0, 0.0."),
        ({"position": (0.0, 0.0, np.nan)}, "must be three finite numbers"),
    ],
)
def test_parts_that_cannot_be_built_or_drawn_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(Part(Sphere(0.04), (30, 200, 60)), **change)


@pytest.mark.parametrize(
    ("touched", "by", "grips"),
    [
        ((), set(), set()),
        ((TABLE, ARMS["left"]), set(), set()),
        ((FINGERS["left"][0],), {"left"}, set()),
        ((*FINGERS["right"], FINGERS["left"][1], TABLE), {"left", "right"}, {"right"}),
    ],
)
def test_grippers_touch_by_one_finger_and_grip_by_two(touched: tuple[str, ...], by: set[str], grips: set[str]) -> None:
    scene = SceneState(np.zeros((2, 3)), contacts={"brick": frozenset(touched)})
    assert scene.touched_by("brick") == by
    assert scene.gripped_by("brick") == grips
    assert scene.touched_by("another") == scene.gripped_by("another") == set()


@pytest.mark.parametrize("places", [{}, {"pole": Pose(np.zeros(3)), "brick": Pose(np.zeros(3))}])
def test_a_layout_must_place_every_object_and_no_other(places: dict[str, Pose]) -> None:
    task = Stillness(POLE, pose=Pose(np.zeros(3)), places=places)
    with pytest.raises(ValueError, match="a layout of the task stillness must place pole, got "):
        sample_start(task, seed=0)


def test_a_quaternion_turns_by_the_right_hand() -> None:
    # A quarter turn about x takes z to -y and y to z.
    np.testing.assert_allclose(rotate(QUARTER_ABOUT_X, np.array([0.0, 0.0, 1.0])), [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(rotate(QUARTER_ABOUT_X, np.array([3.0, 1.0, 0.0])), [3, 0, 1], atol=1e-12)


def test_the_kinematic_simulator_draws_turned_capsules() -> None:
    # The pole reaches from 0.05 m below to 0.15 m above its origin along its own z. When turned, it reaches along -y.
    def draw(pose: Pose, pole: SceneObject = POLE) -> np.ndarray:
        return KinematicSimulator(Stillness(pole, pose=pose), 64, RobotConfig(), start_noise=0.0).render()[0]

    place = np.array([0.0, 0.6, 0.1])
    turned = draw(Pose(place, QUARTER_ABOUT_X))
    assert np.any(turned != draw(Pose(place)))
    rows = [np.nonzero(image[..., 1] > 1.5 * image[..., 0])[0].mean() for image in (turned, draw(Pose(place)))]
    assert rows[0] > rows[1]  # -y is towards the lower edge of the image of cam_high


@needs_mujoco
def test_mujoco_places_free_and_fixed_objects_as_they_are_turned() -> None:
    rendering.select_backend()  # MuJoCo's first import decides for all tests of this process
    from chunk_ppo_ros.sim.mujoco_aloha import MujocoSimulator

    fixed = dataclasses.replace(BRICK, motion=Motion.FIXED, mass=0.0, name="wall")
    pose = Pose(np.array([0.0, 0.6, 0.3]), QUARTER_ABOUT_X)
    task = Stillness(fixed, POLE, pose=pose)
    simulator = MujocoSimulator(task, 64, RobotConfig(), render=False)
    for _ in range(5):
        simulator.step(simulator.state())
    for name in ("wall", "pole"):  # neither falls
        np.testing.assert_allclose(simulator.scene().position(name), pose.position, atol=1e-12)
        np.testing.assert_allclose(simulator.scene().poses[name].rotation, QUARTER_ABOUT_X, atol=1e-12)
    assert [*simulator.scene().contacts] == ["wall"]  # a marker has none
    simulator.close()
    falling = MujocoSimulator(Stillness(BRICK, pose=pose), 64, RobotConfig(), render=False)
    np.testing.assert_allclose(falling.scene().poses["brick"].rotation, QUARTER_ABOUT_X, atol=1e-12)
    for _ in range(5):
        falling.step(falling.state())
    # The cube falls for 0.1 s at 9.81 m/s^2 in steps of 2 ms. So g dt^2 n (n + 1) / 2 with n = 50 is 0.05 m, less a
    # little friction.
    assert falling.scene().position("brick")[2] == pytest.approx(0.25, abs=5e-3)
    falling.close()


@needs_mujoco
def test_an_objects_mass_is_shared_equally_by_its_parts() -> None:
    rendering.select_backend()
    from chunk_ppo_ros.sim.mujoco_scene import build_model, object_body

    parts = tuple(Part(Sphere(0.01), (9, 9, 9), (x, 0.0, 0.0)) for x in (-0.03, 0.03))
    model = build_model([SceneObject("dumbbell", parts, motion=Motion.FREE, mass=0.1)], 64)
    body = model.body(object_body("dumbbell"))
    assert body.mass[0] == 0.1
    # Each ball of 0.05 kg has 2/5 m r^2 = 2e-6 about its own axes, and m x^2 = 4.5e-5 more about the axes across.
    np.testing.assert_allclose(sorted(body.inertia), [4e-6, 9.4e-5, 9.4e-5], rtol=1e-6)
    np.testing.assert_allclose(body.ipos, np.zeros(3), atol=1e-12)


@needs_mujoco
def test_the_limits_of_the_joints_are_those_of_the_wheels_robot() -> None:
    rendering.select_backend()
    from chunk_ppo_ros.sim.mujoco_scene import arm_prefix, build_model

    model = build_model([], 48)
    for side in aloha.SIDES:
        half = aloha.side_slice(side)
        ranges = np.array([model.joint(arm_prefix(side) + joint).range for joint in aloha.ARM_JOINTS])
        np.testing.assert_allclose(aloha.LOWER_LIMITS[half], [*ranges[:, 0], 0.0], atol=1e-4)
        np.testing.assert_allclose(aloha.UPPER_LIMITS[half], [*ranges[:, 1], 1.0], atol=1e-4)
        np.testing.assert_allclose(model.joint(arm_prefix(side) + aloha.LEFT_FINGER).range, grippers.FINGER_LIMITS)


@needs_mujoco
def test_the_model_is_lit_and_drawn_as_policies_were_trained_on_it() -> None:
    rendering.select_backend()
    from chunk_ppo_ros.sim.mujoco_scene import build_model, grasp_site, object_body

    model = build_model([BRICK, POLE], 48)
    assert (model.opt.timestep, model.nkey) == (0.002, 0)
    assert (model.vis.quality.offsamples, model.vis.quality.shadowsize) == (0, 0)
    assert (model.vis.global_.offwidth, model.vis.global_.offheight) == (48, 48)
    headlight = model.vis.headlight
    np.testing.assert_allclose(
        [headlight.ambient, headlight.diffuse, headlight.specular], [[0.5] * 3, [0.3] * 3, [0.0] * 3]
    )
    assert model.nlight > 0
    np.testing.assert_allclose(model.light_diffuse, 0.15)
    np.testing.assert_array_equal(model.light_specular, 0.0)
    assert not np.any(model.light_castshadow)
    surroundings = model.texture("surroundings")
    first = int(surroundings.adr[0])
    assert (int(surroundings.width[0]), int(surroundings.height[0])) == (8, 48)
    assert set(model.tex_data[first : first + 8 * 48 * 3].tolist()) == {127}
    table = model.mesh("tabletop")
    assert int(table.facenum[0]) == 12
    np.testing.assert_allclose(model.geom_rgba[model.geom_dataid == table.id], [[0.5, 0.5, 0.5, 1.0]])
    assert 5_000 < model.nmeshface < 12_000  # of 60 000 that are shipped
    cameras = {name: model.camera(name) for name in aloha.CAMERAS}
    np.testing.assert_allclose(cameras["cam_high"].pos, HIGH_CAMERA.position)
    assert [float(camera.fovy[0]) for camera in cameras.values()] == [
        HIGH_CAMERA.field_of_view,
        WRIST_CAMERA.field_of_view,
        WRIST_CAMERA.field_of_view,
    ]
    np.testing.assert_array_equal(model.site(grasp_site("left")).rgba, 0.0)
    marker, brick = (int(model.body(object_body(name)).geomadr[0]) for name in ("pole", "brick"))
    material = model.mat(int(model.geom_matid[marker]))
    assert (float(material.emission[0]), float(material.specular[0])) == (0.5, 0.0)
    np.testing.assert_allclose(material.rgba, [20 / 255, 200 / 255, 20 / 255, 1.0], rtol=1e-6)
    np.testing.assert_allclose(model.geom_rgba[brick], [9 / 255, 9 / 255, 9 / 255, 1.0], rtol=1e-6)
    contacts = [(int(model.geom_contype[geom]), int(model.geom_conaffinity[geom])) for geom in (marker, brick)]
    assert contacts == [(0, 0), (1, 1)]
    joint = int(model.body(object_body("brick")).dofadr[0])
    assert model.dof_frictionloss[joint] == 0.01


def test_a_camera_that_looks_at_a_point_is_a_rotation() -> None:
    """The columns of the rotation are right, up and backward.

    `up` need not have length one, nor be at a right angle to the view.
    """
    camera = look_at(np.array([0.0, -2.0, 2.0]), np.zeros(3), up=np.array([0.0, 0.0, 3.0]), field_of_view=50.0)
    half = 0.5**0.5
    np.testing.assert_allclose(camera.rotation.T, [[1, 0, 0], [0, half, half], [0, -half, half]], atol=1e-12)
