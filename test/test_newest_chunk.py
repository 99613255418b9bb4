"""Tests how the newest chunk is written into a status of the diagnostics, and read from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from chunk_ppo_ros.agent.next_step.rollout_steps import SampleChunk
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.types import ChunkId, ModelObservation
from chunk_ppo_ros.nodes.common.newest_chunk import NewestChunk, chunk_values, read_chunk
from chunk_ppo_ros.nodes.common.status.diagnostics import key_values
from chunk_ppo_ros.nodes.policy.chunk_publisher import ChunkPublisher
from chunk_ppo_ros.robot.sensor_sync import SyncedSensors
from support.fake_actor import VALUE, FakeActor
from support.fake_node import FakeNode

CHUNK = NewestChunk(17, 3, 2, 7, 0.5, 16, False, 5_000_000_000, 4_950_000_000)


def test_a_chunk_is_read_back() -> None:
    values = texts(CHUNK)
    assert (values["newest chunk: policy_version"], values["newest chunk: human"]) == ("7", "0")
    assert read_chunk(values | {"age of cam_high": "0.01"}) == CHUNK
    assert read_chunk(texts(SEEN_BY_A_HUMAN)) == SEEN_BY_A_HUMAN


def texts(chunk: NewestChunk) -> dict[str, str]:
    """Returns the keys and values as a status holds them."""
    return {each.key: each.value for each in key_values(chunk_values(chunk))}


SEEN_BY_A_HUMAN = NewestChunk(18, 3, 3, 7, -1.25, 4, True, 6_000_000_000, 5_000_000_000)


def test_before_the_first_chunk_there_is_none() -> None:
    assert chunk_values(None) == {}
    assert read_chunk({}) is None


@pytest.mark.parametrize("change", [{"newest chunk: stamp": "soon"}, {"newest chunk: value": ""}])
def test_a_chunk_that_cannot_be_read_is_none(change: dict[str, str]) -> None:
    assert read_chunk(texts(CHUNK) | change) is None


def test_the_publisher_of_chunks_knows_the_newest(tmp_path: Path) -> None:
    node = FakeNode()
    node.now = 5_000_000_000
    publisher = ChunkPublisher(node, control_rate=50.0)  # type: ignore[arg-type]
    assert publisher.newest is None
    observation = ModelObservation(
        images=np.zeros((1, 2, 2, 3), np.uint8),
        image_mask=np.ones(1, bool),
        prompt_tokens=np.arange(4, dtype=np.int32),
        prompt_mask=np.ones(4, bool),
        state=np.zeros(14, np.float32),
    )
    actor = FakeActor(SimpleNamespace(model=PRESETS["debug"].model), tmp_path, policy_version=7)
    readings = SyncedSensors((), np.ones(0, bool), np.zeros(14), stamp=4_950_000_000, newest=4_960_000_000)
    step = SampleChunk(ChunkId("run", 17, 3, 2), policy_version=7, newer_than=0, prompt="reach")
    publisher.publish_chunk(publisher.sampled_message(step, actor.act(observation, sequence_number=17), readings))
    assert CHUNK.value == VALUE
    assert publisher.newest == CHUNK
