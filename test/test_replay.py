"""Tests a recorded run in lockstep: what is in its bag, and that a replay makes its transitions again."""

from __future__ import annotations

import collections
import itertools
from pathlib import Path

import pytest
import yaml
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from chunk_ppo_ros.agent.stored_run.command import main as store
from chunk_ppo_ros.config.parameter_file import load_config_file
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import iterate_episodes
from chunk_ppo_ros.nodes.replay.command import main
from chunk_ppo_ros.reporting.command import main as report
from support.operators import RandomOperator
from support.recorded_run import NUM_CHUNKS, NUM_UPDATES, RUN, record_run

pytestmark = [pytest.mark.graph, pytest.mark.slow]

TYPES = get_typestore(Stores.ROS2_JAZZY)
PERIOD = 20_000_000  # ns, the control period
STREAMS = ("/clock", "/follower_left/joint_states", "/follower_right/joint_states")
LATCHED = ("/policy_version", "/episode_event", "/episode_state", "/takeover_state", "/robot_node/active")
RECORDED = (
    *(*STREAMS, *LATCHED, "/emergency_stop_state", "/action_chunk", "/bootstrap", "/execution_result", "/task_reward"),
    *("/chunk_outcome", "/transition", "/transition_ack", "/operator_call", "/human_feedback"),
    *("/training_metrics", "/episode_metrics", "/handled_input"),
    *("/diagnostics", "/rosout", "/robot/left/joint_trajectory", "/follower_left/arm_controller/joint_trajectory"),
    "/cam_high/camera/color/image_rect_raw/compressed",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """Returns the folder of a run that was recorded, with an operator who marks, discards, pauses and rewards.

    What the operator does reaches reward_node within milliseconds of the ends of chunks.
    """
    folder = tmp_path_factory.mktemp("replay")
    record_run(folder, repository, "--bag_cameras")
    return folder / "runs" / RUN


def stamps(bag: Path) -> dict[str, list[int]]:
    """Returns the different stamps of each stream, ns, as rosbags reads them."""
    found: dict[str, set[int]] = collections.defaultdict(set)
    with Reader(bag) as reader:
        streams = [connection for connection in reader.connections if connection.topic in STREAMS]
        for connection, _, data in reader.messages(streams):
            message = TYPES.deserialize_cdr(data, connection.msgtype)
            stamp = message.clock if connection.topic == "/clock" else message.header.stamp
            found[connection.topic].add(stamp.sec * 10**9 + stamp.nanosec)
    return {topic: sorted(times) for topic, times in found.items()}


def test_a_run_in_lockstep_is_recorded_without_a_gap(run: Path) -> None:
    times = stamps(run / "bag" / "part_0000")
    assert set(times) == set(STREAMS)
    for topic, found in times.items():
        gaps = [after - before for before, after in itertools.pairwise(found) if after - before != PERIOD]
        assert len(found) > NUM_UPDATES * NUM_CHUNKS * 4 and gaps == [], topic


def test_a_recording_holds_all_that_a_replay_needs(run: Path) -> None:
    with Reader(run / "bag" / "part_0000") as reader:
        profiles = {one.topic: one.ext.offered_qos_profiles for one in reader.connections}
    assert set(RECORDED) <= set(profiles)
    assert {topic for topic in profiles if not profiles[topic]} == set()
    for topic in LATCHED:
        assert [profile.durability.name for profile in profiles[topic]] == ["TRANSIENT_LOCAL"], topic
    metadata = yaml.safe_load((run / "bag" / "part_0000" / "metadata.yaml").read_text())
    entries = metadata["rosbag2_bagfile_information"]["topics_with_message_count"]
    assert all(entry["topic_metadata"]["offered_qos_profiles"] for entry in entries)


def test_imitation_reads_the_recording(run: Path) -> None:
    config = load_config_file(run / "params.yaml")
    episodes = [one for one in iterate_episodes(run / "bag", config) if isinstance(one, Episode)]
    assert sum(len(episode) for episode in episodes) > NUM_UPDATES * NUM_CHUNKS * 4 // 2
    assert episodes[0].success  # as the operator said
    assert episodes[0].cameras["cam_high"](0).shape == (32, 32, 3)


@pytest.mark.long("make replay")
def test_a_replay_makes_the_transitions_of_the_run_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = run.parent / "again"
    assert main([str(run / "bag"), "--output", str(again), "--compare", str(run), "--patience", "120"]) == 0
    first, *results = capsys.readouterr().out.splitlines()
    number = int(first.split(" with ")[1].split()[0])
    assert number >= NUM_UPDATES * NUM_CHUNKS
    assert results == [
        f"replay: {number} of {number} transitions are equal, byte for byte, to {source}"
        for source in ("those of the recording", f"those that {run} has stored")
    ]
    assert store(["list", str(again)]) == 0
    assert report([str(again)]) == 0
    assert "journal" in capsys.readouterr().out


KILLS: dict[int, dict[int, str]] = {
    3: {6: "robot_node"},
    4: {5: "policy_node", 11: "sim_node"},
    5: {4: "trainer_node", 10: "robot_node"},
}
"""The nodes that are killed in the runs of some seeds, by the number of outcomes after which they are."""


def compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Replays the run below a folder. Returns the exit status, and what was printed."""
    run = folder / "runs" / RUN
    status = main([str(run / "bag"), "--output", str(folder / "runs" / "again"), "--compare", str(run)])
    return status, capsys.readouterr().out


@pytest.mark.long("make replay")
@pytest.mark.parametrize("seed", range(1, 9))
def test_a_run_of_a_random_operator_is_replayed_exactly(
    seed: int, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kills = KILLS.get(seed, {})
    acts = record_run(
        tmp_path,
        repository,
        *("--seed", str(seed)),
        operator=lambda context: RandomOperator(context, seed=seed),
        kills=kills,
    )
    status, printed = compared(tmp_path, capsys)
    assert status == 0, (acts, printed)
    number = int(printed.split(" with ")[1].split()[0])
    assert number >= NUM_UPDATES * NUM_CHUNKS
    assert printed.count(f"{number} of {number} transitions are equal") == 2
    assert len([act for act in acts if act.startswith("kill")]) == len(kills)


@pytest.mark.long("make replay")
def test_a_run_in_which_reward_node_was_killed_is_refused(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_run(tmp_path, repository, kills={5: "reward_node"})
    with pytest.raises(UserError, match="of one process of reward_node, got a run in which it was started anew"):
        compared(tmp_path, capsys)


def test_the_name_of_a_run_is_no_recording(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent.parent)
    with pytest.raises(UserError, match=r"got the run runs/taped; give runs/taped/bag, or .* by replay-updates taped"):
        main([RUN])
    with pytest.raises(UserError, match="got nothing, which has none; replay-updates takes the name of a run"):
        main(["nothing"])
    with pytest.raises(UserError, match="--output must name a folder that is not there yet, got runs/taped"):
        main([str(run / "bag"), "--output", RUN])
