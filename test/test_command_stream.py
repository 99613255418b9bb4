"""Tests the figures of a recorded stream of commands, and the command that measures a recording."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from chunk_ppo_msgs import msg
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.config import EnvConfig, RobotConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.data.bags.bag_writer import BagRecorder, load_types
from chunk_ppo_ros.data.bags.command_stream import CommandStream, PlayedSpan, read_command_stream
from chunk_ppo_ros.evaluation.command_stream.stream_figures import StreamFigures, boundaries
from chunk_ppo_ros.nodes.common.interbotix_interfaces import load_interfaces
from chunk_ppo_ros.nodes.recorder.command_topics import command_topics
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.nodes.wire.arrays import header_of
from support.recorded_bytes import recorded_bytes

pytestmark = pytest.mark.graph("drivers")  # one process at a time builds Interbotix's interfaces

MS = 1_000_000
START = 1_700_000_000_000_000_000  # ns of the wall clock
RATE = 50.0
COMMANDS = topics.ARM_COMMANDS["left"].name
TYPES = {
    COMMANDS: "trajectory_msgs/msg/JointTrajectory",
    "action_chunk": "chunk_ppo_msgs/msg/ActionChunk",
    "execution_result": "chunk_ppo_msgs/msg/ExecutionResult",
}
RAMP = np.array([0.0, 0.01, 0.03, 0.04])  # rad, so that the speeds are 0.5, 1.0, 0.5 rad/s at 50 Hz


def span(first: int, last: int, episode: int | None = 0) -> PlayedSpan:
    return PlayedSpan(first, last, None if episode is None else ("run", episode), Status.EXECUTED)


def stream_of(times_ms: list[float], waist: list[float], *spans: PlayedSpan) -> CommandStream:
    """Returns a stream in which only the first joint moves."""
    positions = np.zeros((len(waist), 6))
    positions[:, 0] = waist
    return CommandStream(np.array(times_ms) / 1e3, positions, spans)


def test_periods_count_within_chunks_and_gaps_between_them() -> None:
    stream = stream_of([0, 20, 45, 125, 145], [0.0, 0.0, 0.01, 0.03, 0.04], span(0, 2), span(3, 4))
    figures = StreamFigures.of(stream, rate=RATE)
    np.testing.assert_allclose(figures.periods, [0.02, 0.025, 0.02])
    np.testing.assert_allclose(figures.gaps, [0.08])
    # Before the boundary the joint moved by 0.01 rad in a step of 0.02 s, and after it by 0.02 rad.
    np.testing.assert_allclose(figures.end_speeds, [0.5])
    np.testing.assert_allclose(figures.start_speeds, [1.0])


def test_accelerations_count_by_steps_of_one_chunk() -> None:
    stream = stream_of([0, 20, 40, 60, 500, 520], [*RAMP, 9.0, 9.0], span(0, 3), span(4, 5))
    figures = StreamFigures.of(stream, rate=RATE)
    np.testing.assert_allclose(figures.accelerations, [25.0, 25.0])


@pytest.mark.parametrize("after", [span(2, 3, episode=1), span(2, 3, episode=None)])
def test_a_new_episode_is_no_boundary(after: PlayedSpan) -> None:
    assert not list(boundaries(stream_of([0, 20, 40, 60], [0.0] * 4, span(0, 1), after)))


def test_a_stream_without_boundaries_has_text_and_values() -> None:
    figures = StreamFigures.of(stream_of([0, 20], [0.0, 0.0], span(0, 1)), rate=RATE)
    assert "gap at a boundary, ms: none" in figures.text()
    assert figures.record()["gaps"] == {}


class Recording:
    """Writes a recording of the left arm's commands as recorder_node does."""

    def __init__(self, folder: pathlib.Path, types: dict[str, str] = TYPES) -> None:
        self._names = types
        self._types = load_types(types.values())
        self._recorder = BagRecorder(folder, self._types, part_bytes=1 << 30, total_bytes=1 << 40)

    def write(self, topic: str, message: object, at_ms: float) -> None:
        kind = self._names[topic]
        data = recorded_bytes(message, kind, self._types)
        self._recorder.write(f"/lab/{topic}", kind, START + int(at_ms * MS), data)

    def command(self, waist: float, at_ms: float) -> None:
        point = JointTrajectoryPoint(positions=[waist, *[0.0] * 5])
        self.write(COMMANDS, JointTrajectory(header=header_of(START + int(at_ms * MS)), points=[point]), at_ms)

    def chunk(self, number: int, waist: np.ndarray, begin_ms: float, *, result_ms: float) -> None:
        """Writes a chunk, and the result that repeats its commands; the commands themselves are written beside it."""
        header = header_of(START + int(begin_ms * MS))
        self.write("action_chunk", msg.ActionChunk(header=header, run_id="run", episode=0), begin_ms)
        commanded = np.zeros((len(waist), 14), np.float32)
        commanded[:, 0] = waist
        result = msg.ExecutionResult(header=header, run_id="run", action_dim=14, commanded=commanded.ravel().tolist())
        self.write("execution_result", result, result_ms)

    def close(self) -> None:
        self._recorder.close()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Returns a recording of two chunks. The robot brakes by two commands after the first."""
    recording = Recording(tmp_path / "bag")
    commands = [*RAMP, 0.045, 0.047, *(0.047 + RAMP)]
    times = [0, 20, 40, 60, 80, 100, 160, 180, 200, 220]
    for waist, time in zip(commands, times, strict=True):
        recording.command(float(waist), time)
    recording.chunk(0, RAMP, -10, result_ms=81)  # It arrives after the first command to brake.
    recording.chunk(1, 0.047 + RAMP, 150, result_ms=240)
    recording.close()
    return tmp_path / "bag"


def test_the_commands_of_a_chunk_are_found_by_their_numbers(folder: pathlib.Path) -> None:
    stream = read_command_stream(folder, side="left")
    assert stream.spans == (span(0, 3), span(6, 9))
    np.testing.assert_allclose(np.diff(stream.received)[:3], 0.02, atol=1e-6)


def test_a_result_that_is_repeated_is_one_chunk(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "bag")
    for number, waist in enumerate(RAMP):
        recording.command(float(waist), 20 * number)
    for result_ms in (81, 90):
        recording.chunk(0, RAMP, -10, result_ms=result_ms)
    recording.close()
    assert read_command_stream(tmp_path / "bag", side="left").spans == (span(0, 3),)


def test_the_command_writes_a_picture_and_a_record(
    folder: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["command-stream", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "command_stream.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((tmp_path / "out" / "command_stream.json").read_text())
    assert record["num_chunks"] == 2
    assert record["gaps"]["median"] == pytest.approx(0.1, abs=1e-6)
    assert "2 chunks, 8 commands, 1 boundaries" in capsys.readouterr().out


@pytest.mark.usefixtures("interbotix_messages")
def test_the_commands_to_interbotix_s_drivers_are_read_too(tmp_path: pathlib.Path) -> None:
    group = "follower_left/commands/joint_group"
    recording = Recording(tmp_path / "bag", TYPES | {group: "interbotix_xs_msgs/msg/JointGroupCommand"})
    for number, waist in enumerate(RAMP):
        command = load_interfaces().group_command(name="arm", cmd=[float(waist), *[0.0] * 5])
        recording.write(group, command, 20 * number)
    recording.chunk(0, RAMP, -10, result_ms=70)
    recording.close()
    stream = read_command_stream(tmp_path / "bag", side="left")
    assert stream.spans == (span(0, 3),)
    np.testing.assert_allclose(stream.positions[:, 0], RAMP, atol=1e-7)


def config_of(backend: str, *, realtime: bool = True) -> TrainConfig:
    return TrainConfig(env=EnvConfig(simulator="kinematic", realtime=realtime), robot=RobotConfig(backend=backend))


@pytest.mark.usefixtures("interbotix_messages")
def test_each_command_is_recorded_in_lockstep_too() -> None:
    sent = {topic.name for topic in (*topics.ARM_COMMANDS.values(), *topics.GRIPPER_COMMANDS.values())}
    assert {topic.name for topic in command_topics(config_of("ros2_control"))} == sent
    assert {topic.name: topic.type_name for topic in command_topics(config_of("interbotix"))} == {
        "follower_left/commands/joint_group": "interbotix_xs_msgs/msg/JointGroupCommand",
        "follower_right/commands/joint_group": "interbotix_xs_msgs/msg/JointGroupCommand",
        "follower_left/commands/joint_single": "interbotix_xs_msgs/msg/JointSingleCommand",
        "follower_right/commands/joint_single": "interbotix_xs_msgs/msg/JointSingleCommand",
    }
    assert {topic.name for topic in command_topics(config_of("ros2_control", realtime=False))} == sent
    assert not command_topics(config_of("of_another_package"))


def test_a_recording_without_commands_is_refused(tmp_path: pathlib.Path) -> None:
    recording = Recording(tmp_path / "bag")
    recording.chunk(0, RAMP, 0, result_ms=80)
    recording.close()
    with pytest.raises(EpisodesError, match="0 commands and 1 results.*record a run in real time"):
        read_command_stream(tmp_path / "bag", side="left")


def test_a_folder_without_bags_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(EpisodesError, match="must be a rosbag2 folder"):
        read_command_stream(tmp_path, side="left")
