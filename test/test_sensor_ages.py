"""Tests the ages of sensors in a status of the diagnostics: how they are written, and that they are read back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chunk_ppo_ros.nodes.common.sensors.sensor_ages import age_of, age_values, read_ages
from chunk_ppo_ros.nodes.common.status.diagnostics import key_values
from chunk_ppo_ros.nodes.robot.robot_diagnostics import RobotDiagnostics
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.sensor_sync import SensorSync

NOW = 2_000_000_000


def test_ages_are_written_and_read_back() -> None:
    camera = age_of("cam_high", 1_969_000_000, now=NOW, topic="/cam_high/image_raw")
    values = age_values([camera, age_of("left arm", None, now=NOW)])
    assert values == {
        "age of cam_high": 0.031,
        "topic of cam_high": "/cam_high/image_raw",
        "age of left arm": pytest.approx(math.nan, nan_ok=True),
    }
    texts = {each.key: each.value for each in key_values(values)}
    assert texts == {"age of cam_high": "0.031", "topic of cam_high": "/cam_high/image_raw", "age of left arm": "nan"}
    read, silent = read_ages(texts | {"num_steps": "3"})
    assert read == camera
    assert (silent.name, silent.topic) == ("left arm", "")
    assert math.isnan(silent.seconds)


def test_text_that_is_no_number_is_an_age_that_is_not_known() -> None:
    (age,) = read_ages({"age of cam_high": "soon"})
    assert math.isnan(age.seconds)


def test_stamps_of_all_sensors_are_known_from_the_start() -> None:
    sync = SensorSync(("cam_high",), now=0.0)
    sync.add_state("left", np.zeros(7), stamp=5, now=0.0)
    assert sync.stamps == {"cam_high": None, "left arm": 5, "right arm": None}


def test_robot_node_tells_the_ages_of_both_arms_and_of_the_leaders_that_it_hears() -> None:
    diagnostics = RobotDiagnostics()
    diagnostics.note_stamp("left leader", NOW - 500_000_000)
    diagnostics.note_stamp("left arm", NOW - 20_000_000)
    status = diagnostics.status(playing=False, suspended="", arms=aloha.SIDES, human=False, problem="", now=NOW)
    left, leader, right = read_ages({value.key: value.value for value in status.values})
    assert [(age.name, age.seconds) for age in (left, leader)] == [("left arm", 0.02), ("left leader", 0.5)]
    assert right.name == "right arm"
    assert math.isnan(right.seconds)
