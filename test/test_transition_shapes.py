"""What the learner accepts: a rollout of its own shapes, and nothing of another shape."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chunk_ppo_ros.agent.transition_checks import blank_rollout, check_transition
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.types import Transition

CONFIG = PRESETS["debug"]


def blank() -> Transition:
    return blank_rollout(CONFIG)[0]


def test_a_blank_rollout_fits() -> None:
    for transition in blank_rollout(CONFIG):
        check_transition(transition, CONFIG.model)


@pytest.mark.parametrize("name", ["images", "image_mask", "prompt_tokens", "prompt_mask", "state"])
def test_each_part_of_an_observation_must_have_its_shape(name: str) -> None:
    chunk = blank().chunk
    other = dataclasses.replace(chunk.observation, **{name: np.zeros((3, 1), np.float32)})
    with pytest.raises(ValueError, match=rf"observation.{name} must have shape \(.*\), got \(3, 1\)"):
        check_transition(
            dataclasses.replace(blank(), chunk=dataclasses.replace(chunk, observation=other)), CONFIG.model
        )


def test_no_more_steps_are_executed_than_were_asked() -> None:
    transition = blank()
    asked = dataclasses.replace(transition.chunk, num_steps_asked=4)
    with pytest.raises(ValueError, match=r"num_steps must be within 1..4 \(num_steps_asked\), got 16"):
        check_transition(dataclasses.replace(transition, chunk=asked), CONFIG.model)
