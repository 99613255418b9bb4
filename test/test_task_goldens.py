"""Tests that starts, rewards and physics of reach and transfer_cube stay as they were at commit e32da5f.

The numbers were printed at that commit, before tasks were registered. Starts are draws and products, so they are
compared to the last bit. Results of trigonometry and contacts are compared within the rounding of another CPU.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib

import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, EnvConfig, PretrainConfig
from chunk_ppo_ros.sim import rendering
from chunk_ppo_ros.sim.experts.demonstrations import record_episode
from chunk_ppo_ros.sim.experts.random_motion import draw_motions
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.sim.tasks.registry import make_task
from chunk_ppo_ros.sim.tasks.task import sample_start
from chunk_ppo_ros.sim.tasks.transfer_cube import TransferCubeTask

REASON = rendering.rendering_available()
needs_mujoco = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.mark.parametrize(
    ("seed", "left", "right", "state"),
    [
        (
            0,
            [-0.13164850288398372, 0.4383168196502771, 0.14447055185287247],
            [0.17230402722861843, 0.5776384991497695, 0.15082308932006372],
            [0.017717502115315174, -0.96734651390458, 1.168893703545993],
        ),
        (
            41,
            [-0.10801405794785088, 0.40319595602261205, 0.1488023961688108],
            [0.09065778693057472, 0.5634217679327063, 0.15122337833079838],
            [-0.01715375168041328, -0.9507579216874501, 1.177865692126674],
        ),
    ],
)
def test_starts_of_reach(seed: int, left: list[float], right: list[float], state: list[float]) -> None:
    start = sample_start(make_task(EnvConfig()), seed=seed)
    assert start.layout.poses["left_target"].position.tolist() == left
    assert start.layout.poses["right_target"].position.tolist() == right
    assert start.state[:3].tolist() == state


@pytest.mark.parametrize(
    ("seed", "spread", "cube"),
    [
        (0, 1.0, [0.13543937139502038, 0.44859734970856424, 0.02]),
        (0, 0.4, [0.11417574855800816, 0.47943893988342573, 0.02]),
        (41, 1.0, [0.046256819858669786, 0.4770205973056359, 0.02]),
        (41, 0.4, [0.07850272794346791, 0.4908082389222544, 0.02]),
    ],
)
def test_starts_of_transfer_cube(seed: int, spread: float, cube: list[float]) -> None:
    task = make_task(EnvConfig(task="transfer_cube", task_settings=(f"cube_spread={spread}",)))
    assert sample_start(task, seed=seed).layout.poses["cube"].position.tolist() == cube


@pytest.mark.parametrize(
    ("simulator", "task", "rewards", "state"),
    [
        ("kinematic", "reach", [1.5567814, 1.0062071], [-0.32189459, -0.65765315, 1.2997491]),
        pytest.param(
            "mujoco", "reach", [1.3820250, 1.0976723], [-0.28501564, -0.63355672, 1.2963313], marks=needs_mujoco
        ),
        pytest.param(
            "mujoco",
            "transfer_cube",
            [0.22169018, 0.10410758, 0.19647959, 0.07989325, 0.02946385, 0.16160016],
            [],
            marks=needs_mujoco,
        ),
    ],
)
def test_demonstrated_chunks(simulator: str, task: str, rewards: list[float], state: list[float]) -> None:
    config = dataclasses.replace(
        PRESETS["debug"],
        env=EnvConfig(simulator=simulator, task=task, max_episode_chunks=2 if task == "reach" else 6),
        pretrain=PretrainConfig(aim_noise=0.02, min_pace=0.5),
    )
    made = make_simulator(config, render=False)
    recording = record_episode(made, config, seed=7, render=False)
    np.testing.assert_allclose(recording.rewards, rewards, atol=1e-6)
    np.testing.assert_allclose(made.state()[: len(state)], state, atol=1e-6)
    made.close()


@needs_mujoco
def test_the_cube_is_that_of_the_scene_that_gym_aloha_ships() -> None:
    rendering.select_backend()  # MuJoCo's first import decides for all tests of this process
    import mujoco

    from chunk_ppo_ros.sim.mujoco_scene import build_model, object_body

    found = importlib.util.find_spec("gym_aloha")
    assert found is not None
    assert found.submodule_search_locations
    folder = pathlib.Path(found.submodule_search_locations[0]) / "assets"
    shipped = mujoco.MjModel.from_xml_path(str(folder / "bimanual_viperx_transfer_cube.xml"))
    ours = build_model(TransferCubeTask.objects, 64)
    bodies = [(shipped, shipped.body("box").id), (ours, ours.body(object_body("cube")).id)]
    for name in ("mass", "inertia", "ipos", "iquat", "gravcomp"):
        one, other = (getattr(model, f"body_{name}")[body] for model, body in bodies)
        np.testing.assert_array_equal(one, other, err_msg=name)
    geoms = [(model, model.body_geomadr[body]) for model, body in bodies]
    for name in (
        *("type", "size", "pos", "quat", "rgba", "condim", "contype", "conaffinity", "priority", "solmix", "solref"),
        *("solimp", "friction", "margin", "gap", "group", "matid"),
    ):
        one, other = (getattr(model, f"geom_{name}")[geom] for model, geom in geoms)
        np.testing.assert_array_equal(one, other, err_msg=name)
    joints = [(model, model.body_dofadr[body]) for model, body in bodies]
    for name in ("frictionloss", "damping", "armature", "solref", "solimp"):
        one, other = (getattr(model, f"dof_{name}")[dof : dof + 6] for model, dof in joints)
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_random_motions() -> None:
    config = dataclasses.replace(PRESETS["debug"], pretrain=PretrainConfig(num_demonstrations=2, min_pace=0.5))
    motions = draw_motions(config, prompts=("move",))
    assert motions.prompts == ("move",)
    # These numbers of the left arm at the end of the second chunk of the second episode were printed at commit 554c103.
    expected = [0.0, -1.1205463, 0.9545708, -0.4845754, -0.3194800, -0.0054541, 0.7785449]
    np.testing.assert_allclose(motions.actions[5, -1, :7], expected, atol=1e-6)
