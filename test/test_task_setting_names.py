"""Tests files of earlier versions that have env.cube_spread, which is a setting of the task transfer_cube now."""

from __future__ import annotations

import pytest

from chunk_ppo_ros.config import EnvConfig, TrainConfig, from_dict
from chunk_ppo_ros.config.renamed import carry_over
from chunk_ppo_ros.sim.tasks.registry import make_task
from chunk_ppo_ros.sim.tasks.task import sample_start


def read(**env: object) -> EnvConfig:
    values, old = carry_over({"env": env})
    assert old == ("env.cube_spread",)
    return from_dict(TrainConfig, values).env


def test_an_old_spread_goes_to_its_task() -> None:
    env = read(task="transfer_cube", cube_spread=0.4)
    assert env.task_settings == ("cube_spread=0.4",)
    cube = sample_start(make_task(env), seed=0).layout.poses["cube"].position
    assert cube.tolist() == [0.11417574855800816, 0.47943893988342573, 0.02]  # as at commit e32da5f


def test_an_old_spread_without_effect_is_left_out() -> None:
    assert read(task="reach", cube_spread=0.4).task_settings == ()
    assert read(cube_spread=1.0).task_settings == ()


def test_an_old_spread_whose_task_is_not_known_says_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"as env\.task_settings: \[cube_spread=0\.4\] where env\.task is not"):
        carry_over({"env": {"cube_spread": 0.4}})
