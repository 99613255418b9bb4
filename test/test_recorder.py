"""Tests recordings by reading them back with the reader of rosbags."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import rclpy
import yaml
from chunk_ppo_msgs import msg
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader
from std_msgs.msg import Header

from chunk_ppo_ros.data.bags.bag_writer import BagRecorder, find_definition, load_types
from chunk_ppo_ros.nodes.recorder import recorder_node
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.runtime import supervisor
from support.node_harness import Peer, graph_starter, node_config
from support.wire_transitions import make_transition, to_message

pytestmark = pytest.mark.graph

TYPES = {topic.name: topic.type_name for topic in topics.RECORDED}


def read(folder: pathlib.Path) -> list[tuple[str, bytes]]:
    with Reader(folder) as reader:
        return [(connection.topic, bytes(data)) for connection, _, data in reader.messages()]


def published_hash(name: str) -> str:
    """Returns the hash of a type as rosidl computed it."""
    content = json.loads(find_definition(name).with_suffix(".json").read_text())
    (hash_,) = [entry["hash_string"] for entry in content["type_hashes"] if entry["type_name"] == name]
    return hash_


def test_type_definitions_have_the_hashes_of_rosidl() -> None:
    store = load_types(TYPES.values())
    for name in sorted(set(TYPES.values())):
        assert store.hash_rihs01(name) == published_hash(name), name


def make_recorder(folder: pathlib.Path, *, part_bytes: int = 1 << 30, total_bytes: int = 1 << 40) -> BagRecorder:
    types = load_types(["std_msgs/msg/Header"])
    return BagRecorder(folder, types, part_bytes=part_bytes, total_bytes=total_bytes)


def write(recorder: BagRecorder, number: int) -> bytes:
    data = serialize_message(Header(frame_id=f"{number:0100d}"))
    recorder.write("/header", "std_msgs/msg/Header", 1000 + number, data)
    return data


def test_parts_rotate_and_the_oldest_go(tmp_path: pathlib.Path) -> None:
    # Each message is a little over 100 bytes, so that a part of 150 bytes takes two.
    recorder = make_recorder(tmp_path, part_bytes=150)
    for number in range(6):
        write(recorder, number)
    recorder.close()
    assert sorted(part.name for part in tmp_path.iterdir()) == ["part_0000", "part_0001", "part_0002"]
    size = sum(file.stat().st_size for file in (tmp_path / "part_0000").iterdir())
    recorder = make_recorder(tmp_path, part_bytes=150, total_bytes=2 * size + size // 2 + 150)
    data = write(recorder, 6)
    recorder.close()
    assert sorted(part.name for part in tmp_path.iterdir()) == ["part_0001", "part_0002", "part_0003"]
    assert read(tmp_path / "part_0003") == [("/header", data)]


def test_what_repeats_itself_takes_little_space(tmp_path: pathlib.Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(100):
        write(recorder, number)
    recorder.write("/header", "std_msgs/msg/Header", 2000, serialize_message(Header(frame_id="0" * 100_000)))
    recorder.close()
    assert sum(file.stat().st_size for file in (tmp_path / "part_0000").iterdir()) < 40_000
    assert len(read(tmp_path / "part_0000")) == 101


def test_nothing_recorded_leaves_nothing(tmp_path: pathlib.Path) -> None:
    recorder = make_recorder(tmp_path / "bag")
    recorder.close()
    assert not (tmp_path / "bag").exists()


def test_a_type_that_is_not_installed_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no_such_msgs/msg/None"):
        load_types(["no_such_msgs/msg/None"])


@pytest.fixture
def recording(tmp_path: pathlib.Path) -> tuple[pathlib.Path, dict[str, Any]]:
    """Returns a folder that the node recorded in a process of its own, which SIGINT ended, and what was published."""
    log = (tmp_path / "log").open("w")
    arguments = ["--ros-args", "-p", f"run.run_dir:={tmp_path}", "-p", "run.exp_name:=one"]
    process = subprocess.Popen(
        [sys.executable, "-m", "chunk_ppo_ros.nodes.recorder.recorder_node", *arguments],
        stderr=log,
        cwd=pathlib.Path(__file__).parents[1],
    )
    context = Context()
    rclpy.init(context=context, domain_id=int(os.environ["ROS_DOMAIN_ID"]))
    node = rclpy.create_node("publisher", context=context)
    transition = to_message(make_transition(image_size=224))
    messages: dict[str, Any] = {"transition": transition, "policy_version": msg.PolicyVersion(run_id="run", version=3)}
    profiles = {"transition": qos.TRANSITION, "policy_version": qos.LATCHED}
    publishers = {topic: node.create_publisher(type(each), topic, profiles[topic]) for topic, each in messages.items()}
    deadline = time.monotonic() + 20.0
    while not all(publisher.get_subscription_count() for publisher in publishers.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for topic, publisher in publishers.items():
        publisher.publish(messages[topic])
    assert all(publisher.wait_for_all_acked(Duration(seconds=10)) for publisher in publishers.values())
    time.sleep(2.0)  # acknowledged by the transport; the node's callbacks need a moment more on a busy machine
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    log.close()
    assert "Traceback" not in (tmp_path / "log").read_text()
    node.destroy_node()
    context.try_shutdown()
    return tmp_path / "one" / "bag" / "part_0000", {f"/{topic}": each for topic, each in messages.items()}


def test_a_full_disk_ends_the_recording_with_one_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    class FullDisk:
        def __init__(self, folder: pathlib.Path, types: Any, *, part_bytes: int, total_bytes: int) -> None:
            run = node_config(tmp_path).run
            assert folder == run.folder / "bag"
            assert (part_bytes, total_bytes) == (run.bag_part_size * 1024**2, run.bag_total_size * 1024**2)

        def write(self, topic: str, *_: Any) -> None:
            calls.append(topic)
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            calls.append("close")

    monkeypatch.setattr(recorder_node, "BagRecorder", FullDisk)
    with graph_starter(tmp_path, recorder_node.RecorderNode, Peer, capfd) as start:
        graph = start()
        versions = graph.peer.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        graph.until(versions.get_subscription_count)
        versions.publish(msg.PolicyVersion())
        graph.until(lambda: graph.logged("the recording has ended, training goes on: [Errno 28] No space left"))
        versions.publish(msg.PolicyVersion())
        graph.spin(0.2)
        assert graph.logged("the recording has ended") == 1
    assert calls == ["/policy_version"]


def test_the_recorder_has_time_to_write_its_index_before_the_supervisor_kills_it() -> None:
    *_, (killed_after, number) = supervisor.STOP_STEPS
    assert number == signal.SIGKILL
    assert 1.0 < recorder_node.CLOSE_TIMEOUT < killed_after


def test_a_recording_holds_what_was_published(recording: tuple[pathlib.Path, dict[str, Any]]) -> None:
    folder, published = recording
    recorded = dict(read(folder))
    assert recorded.keys() == published.keys()
    for topic, message in published.items():
        # The bytes are not compared one by one, because what CDR puts between fields to align them is undefined. On the
        # wire a message ends on four bytes.
        assert deserialize_message(recorded[topic], type(message)) == message
        assert 0 <= len(recorded[topic]) - len(serialize_message(message)) < 4
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert metadata["storage_identifier"] == "mcap"
    topics = [entry["topic_metadata"] for entry in metadata["topics_with_message_count"]]
    (transition,) = [topic for topic in topics if topic["name"] == "/transition"]
    assert transition["type"] == "chunk_ppo_msgs/msg/Transition"
    assert transition["type_description_hash"] == published_hash("chunk_ppo_msgs/msg/Transition")
