"""Tests recordings by reading them back with the reader of rosbags."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import rclpy
import yaml
from chunk_ppo_msgs import msg
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool, Header

from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.data.bags.bag_messages import topics_of
from chunk_ppo_ros.data.bags.bag_writer import BagRecorder, find_definition, load_types
from chunk_ppo_ros.data.bags.salvaging.command import main as salvage
from chunk_ppo_ros.data.bags.storage.mcap_file import McapFile
from chunk_ppo_ros.nodes.recorder import recorder_node
from chunk_ppo_ros.nodes.wire import qos, topics
from chunk_ppo_ros.runtime import supervisor
from support.node_harness import Peer, graph_starter, node_config
from support.patience import PATIENCE
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


@contextlib.contextmanager
def recorder_process(folder: pathlib.Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs recorder_node in a process of its own, which SIGINT ends unless it has ended."""
    arguments = ["--ros-args", "-p", f"run.run_dir:={folder}", "-p", "run.exp_name:=one", *flags]
    command = [sys.executable, "-m", "chunk_ppo_ros.nodes.recorder.recorder_node", *arguments]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, stderr=log, cwd=pathlib.Path(__file__).parents[1])
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=PATIENCE) in (0, -signal.SIGKILL)
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture
def publisher_node() -> Iterator[Node]:
    """Returns a node that publishes."""
    context = Context()
    rclpy.init(context=context, domain_id=int(os.environ["ROS_DOMAIN_ID"]))
    node = rclpy.create_node("publisher", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def wait_until(done: Callable[[], Any], timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_is_lost_while_the_recorder_has_no_processor(tmp_path: pathlib.Path, publisher_node: Node) -> None:
    """A simulator in lockstep sends about a thousand joint states a second."""
    topic, number = topics.FOLLOWER_STATES["left"], 1500
    publisher = topic.create_publisher(publisher_node)
    with recorder_process(tmp_path) as process:
        wait_until(publisher.get_subscription_count)
        for index in range(number):
            if index == 300:
                process.send_signal(signal.SIGSTOP)
            if index == 600:
                process.send_signal(signal.SIGCONT)
            publisher.publish(JointState(header=Header(frame_id=str(index))))
            time.sleep(0.001)
        publisher.wait_for_all_acked(Duration(seconds=10))
        time.sleep(2.0)
    recorded = [data for name, data in read(tmp_path / "one" / "bag" / "part_0000") if name == f"/{topic.name}"]
    found = sorted(int(deserialize_message(data, JointState).header.frame_id) for data in recorded)
    assert found == list(range(found[0], number))
    assert found[0] < 200  # What was published before the recorder knew of the publisher is not sent again.


def topics_so_far(part: pathlib.Path) -> set[str]:
    """Returns the topics of a part that is being written. One without a beginning has none yet."""
    try:
        return set(topics_of(part)) if part.is_dir() else set()
    except EpisodesError:
        return set()


def test_a_recorder_that_is_killed_leaves_a_part_that_is_salvaged(tmp_path: pathlib.Path, publisher_node: Node) -> None:
    publisher = topics.POLICY_VERSION.create_publisher(publisher_node)
    folder = tmp_path / "one" / "bag"

    def publish(version: int) -> None:
        wait_until(publisher.get_subscription_count)
        publisher.publish(msg.PolicyVersion(run_id="run", version=version))
        part = folder / f"part_{version:04d}"
        wait_until(lambda: "/policy_version" in topics_so_far(part))

    with recorder_process(tmp_path) as process:
        publish(0)
        process.kill()
    assert not (folder / "part_0000" / "metadata.yaml").exists()
    with recorder_process(tmp_path):
        wait_until(lambda: (folder / "part_0000" / "metadata.yaml").exists())
        publish(1)
        with pytest.raises(UserError, match="must not be written by another process, got one that records"):
            salvage(["--", str(folder)])
    for part in (0, 1):
        with Reader(folder / f"part_{part:04d}") as reader:
            (connection,) = [one for one in reader.connections if one.topic == "/policy_version"]
            assert [profile.durability.name for profile in connection.ext.offered_qos_profiles] == ["TRANSIENT_LOCAL"]
            found = [
                deserialize_message(bytes(data), msg.PolicyVersion) for _, _, data in reader.messages([connection])
            ]
        assert found[-1].version == part  # The second part may begin with the first version, which is latched.


@pytest.fixture
def recording(tmp_path: pathlib.Path, publisher_node: Node) -> tuple[pathlib.Path, dict[str, Any]]:
    """Returns a folder that the node recorded in a process of its own, which SIGINT ended, and what was published."""
    transition = to_message(make_transition(image_size=224))
    messages: dict[str, Any] = {
        "transition": transition,
        "policy_version": msg.PolicyVersion(run_id="run", version=3),
        "discarded_episode": msg.EpisodeEvent(run_id="run", episode=2),
        "policy_node/ready": Bool(data=True),
        "joy": Joy(buttons=[0, 1]),
    }
    known = (*topics.RECORDED, topics.joy_buttons("joy"))
    published = {topic.name: topic for topic in known if topic.name in messages}
    publishers = {name: topic.create_publisher(publisher_node) for name, topic in published.items()}
    with recorder_process(tmp_path):
        wait_until(lambda: all(publisher.get_subscription_count() for publisher in publishers.values()))
        for name, publisher in publishers.items():
            publisher.publish(messages[name])
        assert all(publisher.wait_for_all_acked(Duration(seconds=10)) for publisher in publishers.values())
        time.sleep(2.0)  # acknowledged by the transport; the node's callbacks need a moment more on a busy machine
    return tmp_path / "one" / "bag" / "part_0000", {f"/{topic}": each for topic, each in messages.items()}


def test_a_full_disk_ends_the_recording_with_one_line(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    class FullDisk:
        def __init__(
            self, folder: pathlib.Path, types: Any, *, part_bytes: int, total_bytes: int, offered: Any
        ) -> None:
            run = node_config(tmp_path).run
            assert folder == run.folder / "bag"
            assert (part_bytes, total_bytes) == (run.bag_part_size * 1024**2, run.bag_total_size * 1024**2)

        def write(self, topic: str, *_: Any) -> None:
            calls.append(topic)
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            calls.append("flush")

        def close(self) -> None:
            calls.append("close")

    monkeypatch.setattr(recorder_node, "BagRecorder", FullDisk)
    with graph_starter(tmp_path, recorder_node.RecorderNode, Peer, capfd) as start:
        graph = start()
        versions = graph.peer.create_publisher(msg.PolicyVersion, "policy_version", qos.LATCHED)
        graph.until(versions.get_subscription_count)
        versions.publish(msg.PolicyVersion())
        graph.until(lambda: graph.logged("the recording has ended, and training goes on: [Errno 28] No space left"))
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
    of_itself = ("/rosout", "/diagnostics")  # recorder_node also publishes
    recorded = {name: data for name, data in read(folder) if name not in of_itself}
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
    (version,) = [topic for topic in topics if topic["name"] == "/policy_version"]
    forever = {"sec": 9223372036, "nsec": 854775807}
    latched = {
        **{"history": "keep_last", "depth": 1, "reliability": "reliable", "durability": "transient_local"},
        **{"deadline": forever, "lifespan": forever, "liveliness": "automatic"},
        **{"liveliness_lease_duration": forever, "avoid_ros_namespace_conventions": False},
    }
    assert version["offered_qos_profiles"] == [latched]  # as rosbag2 writes it in version 9
    with (folder / "part_0000.mcap").open("rb") as file:
        channels = {channel.topic: channel for channel in McapFile(file, may_be_cut=False).channels()}
    assert yaml.safe_load(channels["/policy_version"].offered) == [latched]
    assert yaml.safe_load(channels["/transition"].offered)[0]["durability"] == "volatile"
