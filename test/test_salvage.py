"""Tests that parts of recordings that were cut off become whole bags, and that nothing is lost where that fails."""

from __future__ import annotations

import os
import pathlib

import pytest
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from chunk_ppo_ros.core.errors import EpisodesError, UserError
from chunk_ppo_ros.data.bags.bag_writer import BagRecorder
from chunk_ppo_ros.data.bags.salvaging.command import main
from chunk_ppo_ros.data.bags.salvaging.salvage import salvage_part

TYPES = get_typestore(Stores.ROS2_JAZZY)
HEADER = "std_msgs/msg/Header"
ALWAYS = QosTime(9223372036, 854775807)
LATCHED = Qos(
    *(QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, ALWAYS, ALWAYS),
    *(QosLiveliness.AUTOMATIC, ALWAYS, False),
)


def record(folder: pathlib.Path, *, number: int) -> BagRecorder:
    """Writes messages in groups of ten, each of which is on disk at once."""
    recorder = BagRecorder(folder, TYPES, part_bytes=1 << 30, total_bytes=1 << 40, offered=lambda topic: [LATCHED])
    for index in range(number):
        if index and not index % 10:
            recorder.flush()
        stamp = TYPES.types["builtin_interfaces/msg/Time"](sec=index, nanosec=0)
        data = TYPES.serialize_cdr(TYPES.types[HEADER](stamp=stamp, frame_id="x" * 100), HEADER)
        recorder.write("/header", HEADER, 1000 + index, bytes(data))
    return recorder


def read(part: pathlib.Path) -> tuple[list[int], list[Qos]]:
    """Returns the seconds of the stamps, and the profiles of the only topic, as rosbags reads them."""
    with Reader(part) as reader:
        (connection,) = reader.connections
        stamps = [TYPES.deserialize_cdr(data, HEADER).stamp.sec for _, _, data in reader.messages()]
    return stamps, list(connection.ext.offered_qos_profiles)


def cut(part: pathlib.Path, num_bytes: int) -> None:
    file = part / f"{part.name}.mcap"
    os.truncate(file, file.stat().st_size - num_bytes)
    (part / "metadata.yaml").unlink(missing_ok=True)


def test_the_whole_messages_of_a_part_become_a_bag(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, number=35).close()
    part = tmp_path / "part_0000"
    assert read(part) == (list(range(35)), [LATCHED])
    file = part / "part_0000.mcap"
    os.truncate(file, file.read_bytes().index(b"rosbag2") - 150)  # within the last group of messages
    (part / "metadata.yaml").unlink()
    assert main([str(tmp_path)]) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{part} was cut off and is whole again: 30 messages; ")
    assert read(part) == (list(range(30)), [LATCHED])
    assert sorted(path.name for path in part.iterdir()) == ["metadata.yaml", "part_0000.mcap"]
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path} has no part without metadata.yaml, as a recorder that is killed leaves it; where a damaged part "
        "has this file, move the file away first\n"
    )


def test_a_part_may_be_named_alone_and_one_without_messages_is_removed(tmp_path: pathlib.Path) -> None:
    record(tmp_path, number=5).close()
    part = tmp_path / "part_0000"
    cut(part, (part / "part_0000.mcap").stat().st_size - 100)
    assert main([str(part)]) == 0
    assert list(tmp_path.iterdir()) == []


def test_each_part_begins_with_the_newest_value_of_latched_topics(tmp_path: pathlib.Path) -> None:
    def profiles(topic: str) -> list[Qos]:
        return [LATCHED if topic == "/state" else LATCHED._replace(durability=QosDurability.VOLATILE)]

    recorder = BagRecorder(tmp_path, TYPES, part_bytes=400, total_bytes=1 << 40, offered=profiles)
    for index in range(8):
        stamp = TYPES.types["builtin_interfaces/msg/Time"](sec=index, nanosec=0)
        data = bytes(TYPES.serialize_cdr(TYPES.types[HEADER](stamp=stamp, frame_id="x" * 100), HEADER))
        recorder.write("/state" if index in (1, 2) else "/header", HEADER, 1000 + index, data)
    recorder.close()
    found = []
    for part in sorted(tmp_path.iterdir()):
        with Reader(part) as reader:
            messages = [
                (each.topic, time, TYPES.deserialize_cdr(data, HEADER)) for each, time, data in reader.messages()
            ]
        found.append([(topic, time, header.stamp.sec) for topic, time, header in messages])
    assert found[0] == [("/header", 1000, 0), ("/state", 1001, 1), ("/state", 1002, 2), ("/header", 1003, 3)]
    assert found[1][:2] == [("/state", 1004, 2), ("/header", 1004, 4)]
    assert found[2][0][::2] == ("/state", 2)


def test_a_recording_that_goes_on_is_left_alone(tmp_path: pathlib.Path) -> None:
    recorder = record(tmp_path, number=15)
    recorder.flush()
    with pytest.raises(UserError, match="must not be written by another process, got one that records; stop it first"):
        main([str(tmp_path)])
    recorder.close()
    assert read(tmp_path / "part_0000")[0] == list(range(15))


def test_what_cannot_be_salvaged_stays_as_it_is(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, number=35).close()
    part = tmp_path / "part_0000"
    file = part / "part_0000.mcap"
    content = bytearray(file.read_bytes())
    content[400] ^= 0xFF
    file.write_bytes(content)
    cut(part, 100)
    before = file.read_bytes()
    assert main([str(tmp_path)]) == 1
    assert f"{part} stays cut off: recording must be whole" in capsys.readouterr().out
    assert file.read_bytes() == before and sorted(path.name for path in tmp_path.iterdir()) == ["part_0000"]
    (part / "other.mcap").write_bytes(b"")
    with pytest.raises(EpisodesError, match=r"must have one \.mcap file to be salvaged, got other.mcap, part_0000"):
        salvage_part(part)


def test_a_bag_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="a bag must be a folder, got .*none; name the folder of a recording"):
        main([str(tmp_path / "none")])
