"""Tests the benches of the nodes at small sizes, in one process: what they measure and print, and what they refuse."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import Observation
from chunk_ppo_ros.evaluation.bench.bench_inputs import PROMPT
from chunk_ppo_ros.nodes.bench import observe_bench, topic_bench
from chunk_ppo_ros.nodes.bench.topic_receiver import Receiver
from chunk_ppo_ros.nodes.common.sensors import sensor_conditions
from support.spinner import spinning
from support.wire_transitions import make_transition

pytestmark = pytest.mark.graph


@contextlib.contextmanager
def receiving_thread(folder: Path, num_transitions: int) -> Iterator[None]:
    """Stands for the receiving process."""
    with spinning(Receiver(folder, num_transitions)):
        yield


def test_transitions_are_sent_with_eight_and_with_one_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(topic_bench, "receiving_process", receiving_thread)
    monkeypatch.setattr(topic_bench, "TIMEOUT", 5.0)
    windows: list[int] = []
    send = topic_bench.Sender.send

    def keep_window(self: topic_bench.Sender, transitions: Any, *, window: int) -> None:
        windows.append(window)
        assert len(transitions) == 3
        send(self, transitions, window=window)

    monkeypatch.setattr(topic_bench.Sender, "send", keep_window)
    words = ["--folder", str(tmp_path), "--num_transitions", "3", "--runs", "1", "--image_sizes", "8"]
    assert topic_bench.main(words) == 0
    assert not rclpy.ok()
    records = json.loads(capfd.readouterr().out)
    assert [(record["name"], record["unit"], len(record["values"])) for record in records] == [
        ("transitions, 3 cameras at 8 (1 kB), 8 under way", "transitions/s", 1),  # 3 * 8^2 * 3 bytes are 0.576 kB
        ("transitions, 3 cameras at 8 (1 kB), one at a time", "transitions/s", 1),
    ]
    assert all(math.isfinite(record["values"][0]) and record["values"][0] > 0 for record in records)
    assert windows == [8, 1] * 3  # There are two warm-ups.


def test_a_sender_says_what_was_refused_and_who_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rclpy.init(args=[])
    sender = topic_bench.Sender()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(topic_bench, "TIMEOUT", 0.1)
            with pytest.raises(UserError, match="the receiving process must be found within 0.1 s; is loopback up"):
                sender.find_receiver()
            with pytest.raises(UserError, match="all 1 transitions must be accepted, got 0 answers in 0.1 s"):
                sender.send([make_transition()], window=8)
        with receiving_thread(tmp_path, 2):
            sender.find_receiver()
            with pytest.raises(UserError, match="all 1 transitions must be accepted, got .*41: run_id must be 'bench'"):
                sender.send([make_transition()], window=8)
    finally:
        sender.destroy_node()
        rclpy.shutdown()


class Tokenizer:
    """Keeps the observations that it is given."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []

    def observe(self, observation: Observation) -> None:
        self.observations.append(observation)


def test_an_observation_is_made_of_new_messages_at_each_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = Tokenizer()
    monkeypatch.setattr(observe_bench, "fit_tokenizer", lambda config: tokenizer)
    monkeypatch.setattr(observe_bench, "CAMERA_SIZE", (12, 16))
    assert observe_bench.main(["--runs", "1", "--image_sizes", "8", "16"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == [
        "3 images 12x16 to observation at 8",
        "3 images 12x16 to observation at 16",
        "before that: 3 images 12x16 deserialized",
    ]
    assert {(record["part"], record["unit"], len(record["values"])) for record in records} == {("observe", "ms", 1)}
    shapes = [observation.images.shape for observation in tokenizer.observations]
    assert shapes == [(3, 8, 8, 3), (3, 16, 16, 3)] * 3
    first, second = tokenizer.observations[:2]
    assert (first.prompt, first.image_mask.tolist()) == (PROMPT, [True] * 3)
    assert not np.array_equal(first.state, second.state)


def test_a_condition_ends_the_bench() -> None:
    subscriptions = observe_bench.Subscriptions()
    subscriptions.clear_condition(sensor_conditions.IMAGE_UNREADABLE, camera="cam_high")
    with pytest.raises(RuntimeError, match="images of cam_high: cam_high: too dark"):
        subscriptions.raise_condition(sensor_conditions.IMAGE_UNREADABLE, camera="cam_high", reason="too dark")
