"""Tests LeRobot datasets of versions 2.0 and 2.1, which have a data file and videos for each episode."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from pyarrow import parquet

from chunk_ppo_ros.config import RecordingsConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.episode import Episode, LeftOut
from chunk_ppo_ros.data.readers import iterate_episodes, read_episodes
from support.lerobot_sets import CAMERA, LEFT, RIGHT, LeRobotSet, frame, write_video
from support.recordings import numbers

CONFIG = TrainConfig()
SECOND = "data/chunk-000/episode_000001.parquet"
VIDEO = f"videos/chunk-000/{CAMERA}/episode_000001.mp4"


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
@pytest.mark.parametrize("camera", ["video", "image"])
def test_a_dataset_of_version_2(tmp_path: pathlib.Path, version: str, camera: str) -> None:
    data = LeRobotSet(lengths=(3, 4), version=version, camera=camera).name(RIGHT + LEFT)
    data.tasks = {"task_index": [0, 1], "task": ["open it", "閉める"]}
    data.rows["task_index"] = [0] * 3 + [1] * 4
    read = read_episodes(data.write(tmp_path), CONFIG)
    assert [(each.source, each.prompt, each.rate) for each in read] == [
        (f"{tmp_path}, episode 0", "open it", 30.0),
        (f"{tmp_path}, episode 1", "閉める", 30.0),
    ]
    np.testing.assert_allclose(read[1].states, np.roll(numbers(7), 7, axis=1)[3:], atol=1e-6)
    assert read[0].facts.format == f"LeRobot {version[1:]}"
    for step in (3, 0, 2, 1):
        seen = read[1].cameras["cam_high"](step)
        assert abs(int(seen[5, 5, 1]) - int(frame(3 + step)[5, 5, 1])) <= 3


def test_the_table_of_episodes_counts(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet(version="v2.1", camera="").write(tmp_path)
    lines = (folder / "meta" / "episodes.jsonl").read_text().splitlines()
    (folder / "meta" / "episodes.jsonl").write_text(lines[0] + "\n\n")
    with pytest.raises(EpisodesError, match=r"must list each episode, got 2 rows of episode 1 and no entry"):
        read_episodes(folder, CONFIG)
    (folder / "meta" / "episodes.jsonl").write_text("\n".join([*lines, lines[0]]))
    with pytest.raises(EpisodesError, match=r"got episode 0 twice in .*episodes\.jsonl"):
        read_episodes(folder, CONFIG)
    (folder / "meta" / "episodes.jsonl").unlink()
    with pytest.raises(EpisodesError, match=r"must have meta/episodes\.jsonl, got none"):
        read_episodes(folder, CONFIG)


def test_a_missing_file_of_an_episode_is_named_and_may_be_left_out(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet(version="v2.1").write(tmp_path)
    (folder / SECOND).unlink()
    with pytest.raises(EpisodesError, match=r"got no .*episode_000001\.parquet, which has episode 1"):
        read_episodes(folder, CONFIG)
    left_out = TrainConfig(recordings=RecordingsConfig(leave_out_episodes=("episode 1",)))
    kinds = [type(each) for each in iterate_episodes(folder, left_out)]
    assert kinds == [Episode, LeftOut]


def test_a_damaged_file_of_an_episode_may_be_left_out(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet(version="v2.1").write(tmp_path)
    (folder / SECOND).write_bytes((folder / SECOND).read_bytes()[:700])
    with pytest.raises(EpisodesError, match=r"must be whole, got .*episode_000001\.parquet"):
        read_episodes(folder, CONFIG)
    left_out = TrainConfig(recordings=RecordingsConfig(leave_out_episodes=("episode 1",)))
    assert len(read_episodes(folder, left_out)) == 1


def test_a_file_with_the_rows_of_another_episode_is_refused(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet(version="v2.1", camera="", lengths=(3, 3)).write(tmp_path)
    first = folder / "data" / "chunk-000" / "episode_000000.parquet"
    table = parquet.read_table(first)
    (folder / SECOND).rename(first)
    parquet.write_table(table, folder / SECOND)
    with pytest.raises(EpisodesError, match=r"000\.parquet must have the rows of episode 0, got .*episode 1"):
        read_episodes(folder, CONFIG)


def test_numbers_and_names_that_no_file_can_have_are_refused(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(version="v2.1", camera="")
    data.episodes[1]["episode_index"] = 10**300
    with pytest.raises(EpisodesError, match=r"episode_index must be a whole number, got 10000"):
        read_episodes(data.write(tmp_path / "number"), CONFIG)
    data = LeRobotSet(version="v2.1", camera="")
    data.info["data_path"] = "data/" + 300 * "x"
    with pytest.raises(EpisodesError, match=r"names of files must have at most 255 bytes, got data/xxx"):
        read_episodes(data.write(tmp_path / "name"), CONFIG)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_video_with_another_number_of_frames_than_steps_is_refused(tmp_path: pathlib.Path, frames: int) -> None:
    folder = LeRobotSet(version="v2.1").write(tmp_path)
    write_video(folder / VIDEO, range(frames))
    with pytest.raises(EpisodesError, match=rf"one frame for each step .*, 2, got {frames} in .*episode_000001"):
        read_episodes(folder, CONFIG)


def test_tasks_of_version_2(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(version="v2.1", camera="", lengths=(3,))
    data.tasks = {"task_index": [0, 1], "task": ["open it", "close it"]}
    data.rows["task_index"] = [0, 0, 1]
    folder = data.write(tmp_path)
    with pytest.raises(UnansweredQuestion, match=r"--prompt"):
        read_episodes(folder, CONFIG)
    (folder / "meta" / "tasks.jsonl").write_text('{"task_index": 0, "task": "open it"}\n{"task_ind')
    with pytest.raises(EpisodesError, match=r"got no JSON in line 2 of .*tasks\.jsonl"):
        read_episodes(folder, CONFIG)
    (folder / "meta" / "tasks.jsonl").write_text('{"task_index": 0}')
    with pytest.raises(EpisodesError, match=r"must have task_index and task, got task_index in line 1 .*--prompt"):
        read_episodes(folder, CONFIG)
    (folder / "meta" / "tasks.jsonl").unlink()
    with pytest.raises(EpisodesError, match=r"must have meta/tasks\.jsonl, got none .*--prompt"):
        read_episodes(folder, CONFIG)
    assert read_episodes(folder, TrainConfig(run=RunConfig(prompt="lift")))[0].prompt == "lift"


def test_templates_of_version_2_have_defaults(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet(version="v2.1").write(tmp_path)
    info = json.loads((folder / "meta" / "info.json").read_text())
    for key in ("data_path", "video_path", "chunks_size"):
        info[key] = None
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    assert [len(episode) for episode in read_episodes(folder, CONFIG)] == [3, 2]
