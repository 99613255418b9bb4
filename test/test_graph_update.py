"""Tests the whole graph, whose nodes are processes, on the kinematic simulator. It trains and ends by itself."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chunk_ppo_msgs import msg
from rosbags.rosbag2 import Reader

from chunk_ppo_ros.data.bags.bag_writer import load_types
from chunk_ppo_ros.data.journal_index import JournalIndex
from chunk_ppo_ros.data.store import read_store
from chunk_ppo_ros.model.checkpoints.consumed_file import read_consumed
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.reporting.metric_table import METRICS
from support.patience import PATIENCE

pytestmark = [pytest.mark.graph, pytest.mark.slow]

NUM_CHUNKS = 6  # an episode has at most 4 chunks: rollouts end within episodes
SETTINGS = {
    "num_chunks_per_update": NUM_CHUNKS,
    "batch_size": 3,
    "total_timesteps": 2 * NUM_CHUNKS * 16 - 15,  # two updates of 6 chunks of up to 16 steps
    "max_start_jump": 10.0,  # fresh weights start anywhere; the velocity limit keeps what follows within bounds
    "num_demonstrations": 16,
    "demonstration_workers": 1,
    "image_size": 32,
}


def graph_command(folder: Path, **settings: object) -> list[str]:
    flags = [text for name, value in {**SETTINGS, **settings}.items() for text in (f"--{name}", str(value))]
    places = ["--run_dir", str(folder / "runs"), "--checkpoint_root", str(folder / "checkpoints"), "--no_wandb"]
    return [sys.executable, "-m", "chunk_ppo_ros", "graph", "--config", "debug", "--record", *places, *flags]


def processes_of(folder: Path) -> dict[int, str]:
    """Returns the command lines of the processes that name the folder, by their ids."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if str(folder).encode() in command:
            found[int(path.parent.name)] = command.replace(b"\0", b" ").decode()
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """Runs the graph from start to end, and returns its folder."""
    folder = tmp_path_factory.mktemp("graph")
    environment = os.environ | {"PYTHONPATH": str(repository)}
    with subprocess.Popen(
        graph_command(folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=170.0)
        except subprocess.TimeoutExpired:
            process.terminate()
            output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return folder


def records(run: Path, kind: str) -> list[dict[str, float]]:
    lines = (run / "runs" / "debug" / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def recorded(run: Path, topic: str) -> list[Any]:
    """Returns the messages of a topic that were recorded, in the order in which they arrived."""
    folders = sorted((run / "runs" / "debug" / "bag").glob("part_*"))
    kind = next(each for each in topics.RECORDED if each.name == topic).type_name
    store, found = load_types([kind]), []
    for folder in folders:
        with Reader(folder) as reader:
            connections = [each for each in reader.connections if each.topic == f"/{topic}"]
            found += [store.deserialize_cdr(data, kind) for _, _, data in reader.messages(connections)]
    return found


def seconds(message: Any) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def test_all_nodes_stamp_by_simulated_time(run):
    """In lockstep trainer_node does not read /clock. Simulated time stands still while it compiles."""
    events = recorded(run, "episode_event")
    ends = {event.episode: seconds(event) for event in events if event.event == msg.EpisodeEvent.ENDED}
    episodes, updates = recorded(run, "episode_metrics"), recorded(run, "training_metrics")
    assert len(episodes) >= 3
    assert not [each for each in episodes if math.isnan(each.episode_reward)]
    assert not [each for each in updates if math.isnan(each.kl_after)]
    for message in episodes:
        (number,) = [each.value for each in message.metrics if each.name == "episode/episode"]
        assert seconds(message) == pytest.approx(ends[int(number)], abs=1.0)
    last = max(seconds(each) for each in (*events, *recorded(run, "execution_result")))
    first = seconds(events[0])
    for message in (*episodes, *updates, *recorded(run, "policy_version"), *recorded(run, "transition_ack")):
        assert first - 1.0 <= seconds(message) <= last + 1.0


def test_updates_are_made_on_honest_samples(run):
    updates = records(run, "update")
    assert [update["policy_version"] for update in updates] == list(range(1, len(updates) + 1))
    assert len(updates) >= 2
    for update in updates:
        assert update["logp_gap/max_ratio"] <= 1e-3
        assert math.isfinite(update["loss/policy"]) and math.isfinite(update["loss/value"])
        assert update["transitions/refused"] == 0.0
    assert updates[-1]["num_chunks"] == NUM_CHUNKS * len(updates)
    assert updates[-1]["num_steps"] >= SETTINGS["total_timesteps"]


def test_all_metrics_of_the_graph_are_in_the_table(run):
    for kind in ("update", "episode"):
        known = {row.name.replace("<term>", "task") for row in METRICS[kind]}
        logged = {name for record in records(run, kind) for name in record if "/" in name}
        assert logged - known <= {name for name in logged if name.startswith("reward/term/")}
        assert logged


def test_episodes_end_at_the_time_limit_whatever_the_rollouts_do(run):
    episodes = records(run, "episode")
    assert episodes
    assert all(1 <= episode["episode/num_chunks"] <= 4 for episode in episodes)
    numbers = [episode["episode/episode"] for episode in episodes]
    assert numbers == sorted(set(numbers))


def assert_no_process_is_left(folder):
    """Waits until no process is left. The last page may be written after the nodes have ended."""
    deadline = time.monotonic() + PATIENCE
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(folder) == {}


def test_ctrl_c_while_everything_compiles_ends_all_processes_and_leaves_the_checkpoint(tmp_path, repository):
    log = tmp_path / "runs" / "debug" / "logs" / "policy_node.log"
    environment = os.environ | {"PYTHONPATH": str(repository)}
    with subprocess.Popen(graph_command(tmp_path), env=environment, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + PATIENCE
        while not (log.is_file() and "loading policy version 0" in log.read_text()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in output
    assert "terminate called" not in output  # what Python's end makes of a thread that compiles
    assert_no_process_is_left(tmp_path)
    assert (tmp_path / "runs" / "debug" / "summary.md").is_file()
    assert json.loads((tmp_path / "checkpoints" / "debug" / "step_0" / "metadata.json").read_text())


def test_it_leaves_checkpoints_a_report_and_nothing_else(run):
    updates = len(records(run, "update"))
    newest = run / "checkpoints" / "debug" / f"step_{updates}"
    assert (newest / "metadata.json").is_file() and (newest / "params").is_dir()
    log = (run / "runs" / "debug" / "logs" / "trainer_node.log").read_text()
    assert f"training has reached its end; the newest checkpoint is {newest}" in log
    contents = read_store(run / "runs" / "debug" / "store" / "journal")
    stored = JournalIndex.of(contents, contents.records[0].run_id)
    assert set(stored.places) == set(read_consumed(newest).chunks)  # No transition waits.
    assert (run / "runs" / "debug" / "summary.md").is_file()
    assert_no_process_is_left(run)
