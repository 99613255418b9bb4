"""Tests that a run's stored transitions become episodes, and the command `export-lerobot`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from rclpy.serialization import serialize_message

from chunk_ppo_ros.__main__ import main
from chunk_ppo_ros.agent.stored_run.run_folders import read_live_store
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.flags.program import SHOWS_PROGRESS
from chunk_ppo_ros.core.consumption.consumed import NOTHING_CONSUMED
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.data.episode import Episode, LeftOut
from chunk_ppo_ros.data.readers import read_episodes
from chunk_ppo_ros.data.rollout_journal import RolloutJournal
from chunk_ppo_ros.data.stored_episodes import read_stored_episodes
from support.patience import PATIENCE
from support.recordings import write_hdf5
from support.rollout_bags import Recording
from support.wire_transitions import make_transition, to_message

CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
K = 11
"""The number of executed steps of a transition of `make_transition`."""


def transition(episode: int, chunk: int, *, ends: bool = False, **changes: Any) -> Transition:
    """Returns a transition with images of its own, of which the left wrist camera was missing."""
    made = make_transition(seed=10 * episode + chunk)
    outcome = dataclasses.replace(made.outcome, terminated=ends, truncated=False, success=ends, reward=chunk + 0.5)
    number = dataclasses.replace(made.id, episode=episode, chunk=chunk, sequence_number=10 * episode + chunk)
    return dataclasses.replace(made, id=number, outcome=dataclasses.replace(outcome, **changes))


@contextlib.contextmanager
def journal(run: Path) -> Iterator[RolloutJournal]:
    opened = RolloutJournal(run / "store" / "journal")
    opened.open()
    opened.begin_run("run", NOTHING_CONSUMED)
    try:
        yield opened
    finally:
        opened.close()


def store(run: Path, transitions: list[Transition], *, discarded: int | None = None, damaged: bool = False) -> Path:
    """Stores transitions as trainer_node does, and returns the folder of the run."""
    results: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
    with journal(run) as opened:
        for made in transitions:
            opened.add(made.id.key, serialize_message(to_message(made)), results.put)
        if damaged:
            opened.add(("robot_7", 999), b"\x00\x01\x00\x00no transition", results.put)
        if discarded is not None:
            opened.discard("robot_7", discarded, results.put)
        for _ in range(len(transitions) + damaged + (discarded is not None)):
            assert results.get(timeout=PATIENCE) is None
    return run


def read(run: Path, **settings: Any) -> list[Episode | LeftOut]:
    contents = read_live_store(run / "store" / "journal", check_payloads=False)
    return list(read_stored_episodes(contents, run, rate=50.0, cameras=CAMERAS, **settings))


def test_an_episode_joins_what_was_executed_of_its_chunks(tmp_path: Path) -> None:
    made = [transition(0, 0), transition(0, 1, ends=True)]
    (episode,) = read(store(tmp_path, made[::-1]))  # stored in another order
    assert isinstance(episode, Episode) and len(episode) == 2 * K
    for number, each in enumerate(made):
        steps = slice(number * K, (number + 1) * K)
        np.testing.assert_array_equal(episode.actions[steps], each.chunk.actions[:K])
        np.testing.assert_array_equal(episode.states[steps][0], each.chunk.observation.state)
        np.testing.assert_array_equal(episode.states[steps][1:], each.outcome.execution.commanded[: K - 1])
        for camera, index in (("cam_high", 0), ("cam_right_wrist", 2)):
            image = episode.cameras[camera](number * K)
            np.testing.assert_array_equal(image, each.chunk.observation.images[index])
    assert episode.image_steps is not None and episode.image_steps.tolist() == [0, K]
    assert episode.rewards is not None and np.flatnonzero(episode.rewards).tolist() == [K - 1, 2 * K - 1]
    assert episode.rewards[[K - 1, 2 * K - 1]].tolist() == [0.5, 1.5]
    assert (episode.success, episode.rate, episode.prompt) == (True, 50.0, made[0].chunk.source.prompt)
    assert "cam_left_wrist" not in episode.cameras
    (other,) = read(tmp_path, prompt="wave")
    assert isinstance(other, Episode) and other.prompt == "wave"


def test_what_is_not_a_whole_episode_is_left_out_by_name(tmp_path: Path) -> None:
    made = [
        *(transition(0, 0), transition(0, 1, ends=True)),
        *(transition(1, 0), transition(1, 2, ends=True)),
        transition(2, 1, ends=True),
        *(transition(3, 0), transition(3, 1)),
        transition(4, 0, ends=True),
    ]
    found = read(store(tmp_path, made, discarded=4, damaged=True))
    assert [isinstance(each, LeftOut) for each in found] == [True, False, True, True, True, True]
    damaged, _, hole, beginning, end, discarded = map(str, found)
    assert damaged.endswith("is left out: 1 transition is not readable; `store verify` says more")
    assert f"{tmp_path}, run run, episode 1 of robot_7 is left out: chunk 1 is not stored" in hole
    assert "chunk 0 is not stored" in beginning
    assert "its end is not stored; the run goes on, or was stopped in it" in end
    assert discarded.endswith("it was discarded")


def test_a_store_is_exported_as_bags_and_shows_how_far_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    run = store(tmp_path / "runs" / "mine", [transition(0, 0), transition(0, 1, ends=True)])
    assert main(["store", "export", str(run), "--to", str(tmp_path / "bags")]) == 0
    printed = capsys.readouterr()
    assert "journal: 2 messages" in printed.out
    assert "exporting the store journal:   0%|          | 0/2 " in printed.err


def test_a_run_is_exported_from_its_store_with_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHOWS_PROGRESS, "1")
    run = store(tmp_path / "runs" / "mine", [transition(0, 0), transition(0, 1, ends=True)])
    (run / "params.yaml").write_text("/**:\n  ros__parameters:\n    robot:\n      control_rate: 25.0\n")
    assert main(["export-lerobot", str(run), str(tmp_path / "set"), "--images", "png"]) == 0
    printed = capsys.readouterr()
    assert "reading: 0episode" in printed.err and "writing:   0%|          | 0/1 " in printed.err
    lines = printed.out.splitlines()
    assert (
        lines[0]
        == f"reading the stored transitions of {run}; cameras and rates are those of {run}/params.yaml and the flags"
    )
    assert lines[1].startswith("writing 1 episode, 22 steps at 25 Hz, 1 task; cam_high 8x8, cam_right_wrist 8x8 (png)")
    assert lines[2].startswith("2 of 22 rows have images of their own step (observation.measured)")
    assert lines[2].endswith("between the starts of chunks the state is the command before")
    assert lines[3] == (f"wrote {tmp_path}/set; open it by LeRobotDataset('local/set', root='{tmp_path}/set')")
    (found,) = read_episodes(tmp_path / "set", TrainConfig())
    (written,) = read(run)
    assert isinstance(written, Episode)
    np.testing.assert_array_equal(found.states, written.states)
    np.testing.assert_array_equal(found.cameras["cam_high"](K + 3), written.cameras["cam_high"](K))
    rows = parquet.read_table(tmp_path / "set" / "data").to_pydict()
    assert np.flatnonzero(rows["observation.measured"]).tolist() == [0, K]


@pytest.mark.parametrize("source", ["runs/mine", "runs/mine/bag"])
def test_a_run_that_was_recorded_is_exported_from_its_bag(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """recorder_node writes the parameters of the run into the folder of the bag too."""
    monkeypatch.chdir(tmp_path)
    store(Path("runs/mine"), [transition(0, 0, ends=True)])
    recording = Recording(Path("runs/mine/bag"))
    recording.joints(0, 100)
    recording.chunk(0, 0)
    recording.outcome(0, 0, reward=2.0)
    recording.close()
    for folder in ("runs/mine", "runs/mine/bag"):
        Path(folder, "params.yaml").write_text("/**:\n  ros__parameters: {}\n")
    assert main(["export-lerobot", source, "set", "--images", "png"]) == 0
    assert capsys.readouterr().out.startswith("reading runs/mine/bag; cameras and rates are those of runs/mine/")
    rows = parquet.read_table("set/data").to_pydict()
    assert rows["next.reward"] == [0.0, 0.0, 0.0, 2.0]


def test_any_recording_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "recorded"
    source.mkdir()
    for number in range(2):
        write_hdf5(source / f"episode_{number}.hdf5", first=float(number))
    assert main(["export-lerobot", str(source), str(tmp_path / "set"), "--prompt", "stack", "--images", "png"]) == 0
    printed = capsys.readouterr().out
    assert "there is no next.reward, because some episodes do not say it" in printed
    config = TrainConfig()
    before, after = read_episodes(source, config), read_episodes(tmp_path / "set", config)
    for mine, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(mine.states, other.states)
        np.testing.assert_array_equal(mine.actions, other.actions)
        for step in range(3):
            np.testing.assert_array_equal(mine.cameras["cam_high"](step), other.cameras["cam_high"](step))
    assert [episode.prompt for episode in after] == ["stack", "stack"]
    assert json.loads((tmp_path / "set" / "meta" / "info.json").read_text())["total_frames"] == 6


def test_what_cannot_be_exported_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("runs/empty", "runs/recorded/bag", "taken"):
        Path(name).mkdir(parents=True)
    for name in ("empty", "recorded"):
        Path("runs", name, "params.yaml").write_text("/**:\n  ros__parameters: {}\n")
    store(Path("runs/unfinished"), [transition(0, 0)])
    for arguments, text in (
        (["nowhere", "set"], "a recording, the folder of a run or the name of one below runs/, got 'nowhere'"),
        (["taken", "taken"], "the folder of the dataset must not exist yet, got taken; name another"),
        (["taken", "set", "--from_store"], "--from_store must be given with the folder of a run, got taken"),
        (["empty", "set"], "a run must have a bag or stored transitions, got runs/empty with neither"),
        (["recorded", "set", "--from_store"], "got runs/recorded with a bag alone; leave out --from_store"),
        (["unfinished", "set"], "a dataset must have at least one episode, got none that can be used"),
    ):
        assert main(["export-lerobot", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert text in line
    assert not Path("set").exists()
