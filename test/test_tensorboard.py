"""Tests the metrics that are written for TensorBoard, by reading the file back."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from chunk_ppo_ros.config import PRESETS, RunConfig, TrainConfig
from chunk_ppo_ros.core.distributions.histogram import Histogram
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.reporting.tensorboard.sink import TensorboardSink

COUNTERS = Counters("run", policy_version=3, num_chunks=96, num_steps=1536)


def masked(data: bytes) -> int:
    """Returns the checksum of a record, as the format of event files masks it."""
    checksum = crc32c(data)
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def events(folder: Path) -> list[Event]:
    """Returns the events of all files: length, its checksum, the event, its checksum."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, offset = path.read_bytes(), 0
        while offset < len(content):
            head = content[offset : offset + 8]
            (length,) = struct.unpack("<Q", head)
            data = content[offset + 12 : offset + 12 + length]
            assert struct.unpack_from("<I", content, offset + 8) == (masked(head),)
            assert struct.unpack_from("<I", content, offset + 12 + length) == (masked(data),)
            found.append(Event.FromString(data))
            offset += 16 + length
    return found


def config_of(folder: Path, *, tensorboard: bool = True) -> TrainConfig:
    run = RunConfig(exp_name="name", run_dir=str(folder), wandb=False, tensorboard=tensorboard)
    return dataclasses.replace(PRESETS["debug"], run=run)


def write(folder: Path, metrics: dict[str, float], *, tensorboard: bool = True) -> Path:
    config = config_of(folder, tensorboard=tensorboard)
    with MetricsLog.open(config.run.folder, config=config, run_id="run") as log:
        log.write("update", Metrics(metrics), counters=COUNTERS, labels={"evaluation/decoding": "greedy"})
    return config.run.folder / "tensorboard"


def test_the_numbers_of_a_record_come_back_under_their_names(tmp_path: Path) -> None:
    folder = write(tmp_path, {"kl/after": 0.25, "update/rolled_back": 2, "value/explained_variance": float("nan")})
    head, _, _, record = events(folder)
    assert head.file_version == "brain.Event:2"
    assert record.step == 96
    assert {value.tag: value.simple_value for value in record.summary.value} == {
        "kl/after": 0.25,
        "update/rolled_back": 2.0,
        "num_steps": 1536.0,
        "policy_version": 3.0,
    }


def test_a_start_says_from_where_on_earlier_records_do_not_count(tmp_path: Path) -> None:
    """An update of 96 chunks is made again. An episode that ended then is not the update of these 96 chunks."""
    update = events(write(tmp_path, {"kl/after": 0.25}))
    (start,) = (event for event in update if event.HasField("session_log"))
    assert (start.session_log.status, start.step) == (SessionLog.START, 96)
    sink = TensorboardSink(tmp_path / "other")
    sink.send("episode", {"num_chunks": 96, "episode/num_chunks": 3})
    sink.close()
    (start,) = (event for event in events(tmp_path / "other" / "tensorboard") if event.HasField("session_log"))
    assert start.step == 97


def test_episodes_have_steps_of_their_own(tmp_path: Path) -> None:
    """Episodes of 3 chunks end during the first rollout, and further ones after an update of 32 chunks."""
    sink = TensorboardSink(tmp_path)
    for num_chunks in (0, 0, 32, 32):
        sink.send("episode", {"num_chunks": num_chunks, "episode/num_chunks": 3, "episode/success": 1.0})
    sink.close()
    steps = [
        event.step
        for event in events(tmp_path / "tensorboard")
        for value in event.summary.value
        if value.tag == "episode/success"
    ]
    assert steps == [3, 6, 32, 35]


def test_settings_are_a_text_and_hyperparameters(tmp_path: Path) -> None:
    values = {value.tag: value for event in events(write(tmp_path, {})) for value in event.summary.value}
    (text,) = values["settings/text_summary"].tensor.string_val
    assert b"| ppo.gamma | 0.99 |" in text
    content = values["_hparams_/session_start_info"].metadata.plugin_data.content
    hyperparameters = HParamsPluginData.FromString(content).session_start_info.hparams
    assert hyperparameters["ppo.gamma"].number_value == 0.99
    assert hyperparameters["env.task"].string_value == "reach"


def test_histograms_come_back_with_their_bins(tmp_path: Path) -> None:
    histogram = Histogram.of(np.array([0.5, 1.0, 2.0, 2.0]), is_log=True)
    assert histogram is not None
    sink = TensorboardSink(tmp_path)
    sink.send("update", {"num_chunks": 8}, {"distribution/ratio": histogram})
    sink.close()
    (found,) = (value.histo for event in events(tmp_path / "tensorboard") for value in event.summary.value)
    assert (found.min, found.max, found.num, found.sum, found.sum_squares) == (0.5, 2.0, 4.0, 5.5, 9.25)
    assert list(found.bucket) == [0, *histogram.counts]
    np.testing.assert_allclose(found.bucket_limit, histogram.edges)


def test_a_resumed_run_adds_to_what_was_written(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        folder = write(tmp_path, {"kl/after": value})
    assert sorted(
        value.simple_value for event in events(folder) for value in event.summary.value if value.tag == "kl/after"
    ) == [1.0, 2.0]


def test_it_is_off_by_default(tmp_path: Path) -> None:
    assert not RunConfig().tensorboard
    assert not write(tmp_path, {"kl/after": 1.0}, tensorboard=False).exists()


def test_a_disk_that_is_full_does_not_stop_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: EventsWriter) -> bool:
        raise OSError(28, "No space left on device")

    sink = TensorboardSink(tmp_path)
    monkeypatch.setattr(EventsWriter, "flush", refuse)
    for _ in range(3):
        sink.send("update", {"num_chunks": 8, "kl/after": 1.0})
    monkeypatch.undo()
    sink.close()
    assert [record.message for record in caplog.records] == [
        "TensorBoard misses further records, which metrics.jsonl has: [Errno 28] No space left on device"
    ]
