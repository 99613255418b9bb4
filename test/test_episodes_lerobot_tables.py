"""Tests the rows, tasks and successes of LeRobot datasets against what their tables say."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from chunk_ppo_ros.config import RecordingsConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import iterate_episodes, read_episodes
from support.lerobot_sets import EPISODES, FPS, INFO, ROWS, LeRobotSet, frame
from support.recordings import numbers

CONFIG = TrainConfig()


def rows_only(**changes: Any) -> LeRobotSet:
    return LeRobotSet(**{"camera": "", **changes})


def without(name: str) -> TrainConfig:
    return TrainConfig(recordings=RecordingsConfig(leave_out_episodes=(name,)))


def test_rows_in_any_order_become_steps_by_frame_index(tmp_path: pathlib.Path) -> None:
    data = LeRobotSet(camera="image", lengths=(6, 5))
    order = np.random.default_rng(0).permutation(11)
    data.rows = {name: [values[row] for row in order] for name, values in data.rows.items()}
    read = read_episodes(data.write(tmp_path), CONFIG)
    np.testing.assert_array_equal(np.concatenate([episode.states for episode in read]), numbers(11))
    np.testing.assert_array_equal(read[1].cameras["cam_high"](3), frame(9))
    assert read[1].times is not None
    np.testing.assert_allclose(read[1].times, np.arange(5) / FPS, atol=1e-6)


def test_an_episode_in_two_files_is_one(tmp_path: pathlib.Path) -> None:
    folder = LeRobotSet(camera="image", lengths=(3, 4)).write(tmp_path)
    table = parquet.read_table(folder / ROWS)
    parquet.write_table(table.slice(5), folder / "data" / "chunk-000" / "file-001.parquet")
    parquet.write_table(table.slice(0, 5), folder / ROWS)
    read = read_episodes(folder, CONFIG)
    np.testing.assert_array_equal(read[1].states, numbers(7)[3:])
    for step in range(4):
        np.testing.assert_array_equal(read[1].cameras["cam_high"](step), frame(3 + step))


@pytest.mark.parametrize("listed", [1, 2])
def test_two_takes_of_one_number_are_refused(tmp_path: pathlib.Path, listed: int) -> None:
    """The table lists the number twice, or once with the length of both takes or of one."""
    data = rows_only(lengths=(4, 3))
    data.rows["episode_index"] = [0] * 7
    data.episodes[1]["episode_index"] = 0
    data.episodes = data.episodes[:listed]
    folder = data.write(tmp_path)
    with pytest.raises(EpisodesError, match="episode 0 twice in|episode 0 must have the 4 steps .* got 7 rows"):
        read_episodes(folder, CONFIG)
    assert read_episodes(folder, without("episode 0")) == []
    data.episodes, data.info["total_episodes"] = [{**data.episodes[0], "length": 7}], 1
    with pytest.raises(EpisodesError, match=r"must count the steps of .*episode 0 from 0 to 6, got 0 twice"):
        read_episodes(data.write(tmp_path / "whole"), CONFIG)


def test_an_episode_that_is_listed_and_has_no_rows_is_named(tmp_path: pathlib.Path) -> None:
    data = rows_only(lengths=(3, 2, 4))
    kept = [row for row, number in enumerate(data.rows["episode_index"]) if number != 1]
    data.rows = {name: [values[row] for row in kept] for name, values in data.rows.items()}
    folder = data.write(tmp_path)
    with pytest.raises(EpisodesError, match=r"must have rows, got none of episode 1 .*leave out 'episode 1'"):
        read_episodes(folder, CONFIG)
    read = list(iterate_episodes(folder, without("episode 1")))
    assert [len(each) if isinstance(each, Episode) else 0 for each in read] == [3, 0, 4]
    assert str(read[1]) == f"{folder}, episode 1 is left out: it is named by --leave_out_episodes"


def test_rows_of_an_episode_that_is_not_listed_are_named(tmp_path: pathlib.Path) -> None:
    data = rows_only(lengths=(3, 2))
    del data.episodes[1]
    with pytest.raises(EpisodesError, match=r"must list each episode, got 2 rows of episode 1 and no entry"):
        read_episodes(data.write(tmp_path), CONFIG)


@pytest.mark.parametrize("length", [1, 3, 4])
def test_a_length_that_differs_from_the_rows_is_refused(tmp_path: pathlib.Path, length: int) -> None:
    data = rows_only(lengths=(3, 2))
    data.episodes[1]["length"] = length
    with pytest.raises(EpisodesError, match=rf"episode 1 must have the {length} steps that .* lists, got 2 rows"):
        read_episodes(data.write(tmp_path), CONFIG)


@pytest.mark.parametrize(("key", "told"), [("total_episodes", 3), ("total_frames", 6)])
def test_totals_that_differ_from_the_rows_are_refused(tmp_path: pathlib.Path, key: str, told: int) -> None:
    data = rows_only()
    data.info[key] = told
    with pytest.raises(EpisodesError, match=rf"{key} must be what the rows hold, got {told} in .*info\.json and"):
        read_episodes(data.write(tmp_path), CONFIG)


@pytest.mark.parametrize(
    ("frames", "problem"),
    [([0, 1, 3], "got 3 in the place of 2"), ([0, 1, 1], "got 1 twice"), ([1, 2, 3], "got 1 in the place of 0")],
)
def test_steps_that_are_missing_or_doubled_are_refused(tmp_path: pathlib.Path, frames: list[int], problem: str) -> None:
    data = rows_only()
    data.rows["frame_index"][:3] = frames
    folder = data.write(tmp_path)
    with pytest.raises(EpisodesError, match=rf"frame_index must count the steps of .*episode 0 .*{problem} \(row "):
        read_episodes(folder, CONFIG)
    assert len(read_episodes(folder, without("episode 0"))) == 1


@pytest.mark.parametrize("step", [3.0, -2 / FPS])
def test_time_stamps_that_jump_are_refused(tmp_path: pathlib.Path, step: float) -> None:
    data = rows_only(lengths=(8, 6))
    data.rows["timestamp"] = [time + (step if row >= 11 else 0.0) for row, time in enumerate(data.rows["timestamp"])]
    with pytest.raises(EpisodesError, match=r"must rise by 0\.0333 s a step, got .* before step 3 of .*episode 1"):
        read_episodes(data.write(tmp_path), CONFIG)


def test_time_stamps_of_another_rate_are_refused(tmp_path: pathlib.Path) -> None:
    data = rows_only(lengths=(8,))
    data.rows["timestamp"] = [2 * time for time in data.rows["timestamp"]]
    with pytest.raises(EpisodesError, match=r"must show the declared rate, got 15 Hz and fps 30 in"):
        read_episodes(data.write(tmp_path), CONFIG)


def test_time_stamps_of_a_clock_stay(tmp_path: pathlib.Path) -> None:
    """Real time stamps wander by some ms, and may count from 1970, too coarsely for float32."""
    data = rows_only(lengths=(20,))
    wander = np.random.default_rng(0).uniform(-0.008, 0.008, 20)
    data.rows["timestamp"] = list(100.0 + np.arange(20) / FPS + wander)
    times = read_episodes(data.write(tmp_path / "near"), CONFIG)[0].times
    np.testing.assert_allclose(times, data.rows["timestamp"], atol=1e-5)
    data.rows["timestamp"] = [1.75e9 + time for time in data.rows["timestamp"]]
    episode = read_episodes(data.write(tmp_path / "far"), CONFIG)[0]
    assert episode.times is None and any("too coarse" in sentence for sentence in episode.facts.assumed)


def test_steps_with_several_tasks_are_a_question(tmp_path: pathlib.Path) -> None:
    data = rows_only(lengths=(4, 2))
    data.tasks = {"task_index": [0, 1, 2], "task": ["open the drawer", "put the cup in", "open the drawer"]}
    data.rows["task_index"] = [0, 2, 1, 1, 1, 1]
    folder = data.write(tmp_path)
    with pytest.raises(UnansweredQuestion, match=r"got 2 \('open the drawer', 'put the cup in'; .* step 2\).*--prompt"):
        read_episodes(folder, CONFIG)
    assert {each.prompt for each in read_episodes(folder, TrainConfig(run=RunConfig(prompt="tidy up")))} == {"tidy up"}
    assert [each.prompt for each in read_episodes(folder, without("episode 0"))] == ["put the cup in"]


def test_two_numbers_of_one_text_are_one_task(tmp_path: pathlib.Path) -> None:
    data = rows_only(lengths=(3,))
    data.tasks = {"task_index": [0, 1], "task": ["開ける 🥤", "開ける 🥤"]}
    data.rows["task_index"] = [0, 1, 0]
    assert read_episodes(data.write(tmp_path), CONFIG)[0].prompt == "開ける 🥤"


@pytest.mark.parametrize(
    "tasks",
    [
        {"task_index": [0], "task": ["lift"], "episodes": [3], "note": ["x"]},
        {"task_index": [0], "__index_level_0__": ["lift"], "seconds": [1.5]},
        {"task": ["lift"], "task_index": [0], "__index_level_0__": [7]},
        {"task_index": [0.0], "what": ["lift"]},
        {"task_index": pyarrow.array([0], pyarrow.int8()), "task": pyarrow.array(["lift"], pyarrow.large_string())},
        {"task_index": [0], "task": pyarrow.array(["lift"]).dictionary_encode()},
    ],
)
def test_tables_of_tasks_with_more_columns(tmp_path: pathlib.Path, tasks: dict[str, Any]) -> None:
    data = rows_only()
    data.tasks = tasks
    assert {episode.prompt for episode in read_episodes(data.write(tmp_path), CONFIG)} == {"lift"}


@pytest.mark.parametrize(
    ("tasks", "error"),
    [
        (None, r"must have meta/tasks\.parquet, got none"),
        ({"number": [0], "task": ["lift"]}, "must have the column task_index, got number, task"),
        ({"task_index": [0], "task": [3]}, "must have a column of texts, got task_index, task"),
        ({"task_index": [0], "first": ["a"], "second": ["b"]}, "one that is named task, got first, second"),
        ({"task_index": ["0"], "task": ["lift"]}, "task_index must be a whole number, got '0'"),
        ({"task_index": [0, 0], "task": ["a", "b"]}, "task 0 must have one text, got 'a' and 'b'"),
        ({"task_index": [4], "task": ["lift"]}, "one of the 1 tasks of the dataset, got 0 in step 0"),
    ],
)
def test_tasks_that_cannot_be_read_name_the_flag(
    tmp_path: pathlib.Path, tasks: dict[str, Any] | None, error: str
) -> None:
    data = rows_only()
    data.tasks = tasks
    folder = data.write(tmp_path)
    with pytest.raises(EpisodesError, match=rf"{error}.*--prompt"):
        read_episodes(folder, CONFIG)
    assert read_episodes(folder, TrainConfig(run=RunConfig(prompt="lift")))[0].prompt == "lift"


@pytest.mark.parametrize("text", ["", "  ", None])
def test_blank_tasks_are_empty(tmp_path: pathlib.Path, text: str | None) -> None:
    data = rows_only()
    data.tasks = {"task_index": [0, 1], "task": [text, "x"]}
    assert read_episodes(data.write(tmp_path), CONFIG)[0].prompt == ""


def test_a_step_without_a_task_is_refused(tmp_path: pathlib.Path) -> None:
    data = rows_only()
    data.rows["task_index"][1] = None
    with pytest.raises(EpisodesError, match=r"must be one of the 1 tasks .* got nan in step 1 of .*--prompt"):
        read_episodes(data.write(tmp_path), CONFIG)


@pytest.mark.parametrize(
    ("values", "successes"),
    [
        ([False, False, True, False, False], [True, False]),
        ([None, None, None, None, True], [None, True]),
        ([None, False, None, None, None], [False, None]),
        ([0, 0, 1, 0, 0], [True, False]),
        ([0.0, float("nan"), 1.0, None, None], [True, None]),
        ([[False], [False], [True], [False], [False]], [True, False]),
    ],
)
def test_success_in_the_rows(tmp_path: pathlib.Path, values: list[Any], successes: list[bool | None]) -> None:
    data = rows_only().add("next.success", "bool", values)
    assert [episode.success for episode in read_episodes(data.write(tmp_path), CONFIG)] == successes


@pytest.mark.parametrize("column", ["success", "is_success", "is_episode_successful"])
@pytest.mark.parametrize(
    ("values", "successes"),
    [([True, False], [True, False]), ([None, 1], [None, True]), (["success", "failure"], [True, False])],
)
def test_success_in_the_table_of_episodes(
    tmp_path: pathlib.Path, column: str, values: list[Any], successes: list[bool | None]
) -> None:
    data = rows_only()
    for entry, value in zip(data.episodes, values, strict=True):
        entry[column] = value
    assert [episode.success for episode in read_episodes(data.write(tmp_path), CONFIG)] == successes


def test_successes_that_contradict_each_other_or_say_nothing_are_refused(tmp_path: pathlib.Path) -> None:
    data = rows_only().add("next.success", "bool", [False] * 5)
    data.episodes[0]["success"], data.episodes[1]["success"] = None, True
    with pytest.raises(EpisodesError, match=r"got False from next\.success and True from the table .*episode 1"):
        read_episodes(data.write(tmp_path / "a"), CONFIG)
    with pytest.raises(EpisodesError, match=r"next\.success must be true, false or empty, got 2 in .*episode 0"):
        read_episodes(rows_only().add("next.success", "int64", [2, 0, 0, 0, 0]).write(tmp_path / "b"), CONFIG)
    del data.rows["next.success"], data.features["next.success"]
    data.episodes[0]["success"], data.episodes[1]["success"] = "perhaps", ""
    with pytest.raises(EpisodesError, match=r"must be true, false or empty, got 'perhaps' for success in row 0"):
        read_episodes(data.write(tmp_path / "c"), CONFIG)


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("action", None, "must have a list of numbers in each row, got null"),
        ("observation.state", [0.0] * 13, r"must have 14 numbers \(meta/info\.json\) in each row, got 13"),
        ("observation.state", [], r"must have 14 numbers \(meta/info\.json\) in each row, got 0"),
        ("action", [0.0] * 13 + [None], "must have finite numbers in each row, got null in dimension 13"),
        ("action", [0.0, float("nan")] + [0.0] * 12, "must have finite numbers in each row, got nan in dimension 1"),
        ("action", [float("-inf")] * 14, "must have finite numbers in each row, got -inf in dimension 0"),
    ],
)
def test_rows_that_cannot_be_used_are_named(tmp_path: pathlib.Path, column: str, value: Any, error: str) -> None:
    data = rows_only()
    data.rows[column][4] = value
    folder = data.write(tmp_path)
    with pytest.raises(EpisodesError, match=rf"{column} {error} in row 4 of .*file-000\.parquet; leave the"):
        read_episodes(folder, CONFIG)
    assert len(read_episodes(folder, without("episode 1"))) == 1


@pytest.mark.parametrize("shape", ["[14]", "14 doubles", "fixed", "large"])
def test_states_of_other_types_of_lists(tmp_path: pathlib.Path, shape: str) -> None:
    kinds = {
        "[14]": pyarrow.list_(pyarrow.list_(pyarrow.float32())),
        "14 doubles": pyarrow.list_(pyarrow.float64()),
        "fixed": pyarrow.list_(pyarrow.float32(), 14),
        "large": pyarrow.large_list(pyarrow.float16()),
    }
    data = rows_only()
    values = [[row] for row in data.rows["action"]] if shape == "[14]" else data.rows["action"]
    values = [np.float16(row) for row in values] if shape == "large" else values
    data.rows["action"] = pyarrow.array(values, kinds[shape])
    read = read_episodes(data.write(tmp_path), CONFIG)
    np.testing.assert_allclose(read[1].actions, numbers(5)[3:] + 1, atol=2e-3)


def test_a_state_of_one_number_is_not_rounded(tmp_path: pathlib.Path) -> None:
    data = rows_only(size=(1, 2))
    data.rows["observation.state"] = pyarrow.array([0.25, 0.5, 0.75, 1.0, 1.25], pyarrow.float32())
    np.testing.assert_array_equal(read_episodes(data.write(tmp_path), CONFIG)[0].states, [[0.25], [0.5], [0.75]])


def test_columns_that_are_no_numbers_are_refused(tmp_path: pathlib.Path) -> None:
    data = rows_only()
    data.rows["action"] = [["x"] * 14] * 5
    data.rows["action"] = pyarrow.array(data.rows["action"])
    with pytest.raises(EpisodesError, match=r"action must be of the type that .* declares, float32, got list"):
        read_episodes(data.write(tmp_path / "a"), CONFIG)
    data = rows_only()
    data.rows["frame_index"] = ["a"] * 5
    with pytest.raises(EpisodesError, match=r"frame_index must be numbers, got string in"):
        read_episodes(data.write(tmp_path / "b"), CONFIG)
    data = rows_only()
    data.rows["episode_index"][2] = None
    with pytest.raises(EpisodesError, match=r"episode_index must be a whole number, got nan in row 2 of"):
        read_episodes(data.write(tmp_path / "c"), CONFIG)


def test_columns_that_are_declared_and_missing_are_named(tmp_path: pathlib.Path) -> None:
    data = rows_only().add("next.success", "bool", [True] * 5)
    del data.rows["next.success"]
    with pytest.raises(EpisodesError, match=r"file-000\.parquet must have the columns .*; add next\.success"):
        read_episodes(data.write(tmp_path / "a"), CONFIG)
    data = rows_only().add("observation.effort", "float32", [[0.0]] * 5)
    del data.rows["observation.effort"]
    with pytest.raises(EpisodesError, match=r"must have the features of .*, got no observation\.effort in"):
        read_episodes(data.write(tmp_path / "b"), CONFIG)


def test_a_data_file_that_is_listed_and_missing_is_named(tmp_path: pathlib.Path) -> None:
    data = rows_only()
    data.episodes[1]["data/file_index"] = 3
    with pytest.raises(EpisodesError, match=r"got no .*file-003\.parquet, which has episode 1"):
        read_episodes(data.write(tmp_path), CONFIG)


def test_the_order_and_places_in_the_table_of_episodes_do_not_matter(tmp_path: pathlib.Path) -> None:
    """LeRobot's dataset_from_index counts rows of all files, and is wrong after episodes were removed."""
    data = LeRobotSet(lengths=(3, 2))
    for entry, place in zip(data.episodes, (900, 17), strict=True):
        entry |= {"dataset_from_index": place, "dataset_to_index": place}
    data.episodes.reverse()
    read = read_episodes(data.write(tmp_path), CONFIG)
    np.testing.assert_array_equal(read[1].states, numbers(5)[3:])
    assert abs(int(read[1].cameras["cam_high"](1)[5, 5, 1]) - int(frame(4)[5, 5, 1])) <= 3


def test_numbers_of_episodes_may_have_gaps(tmp_path: pathlib.Path) -> None:
    data = rows_only(lengths=(3, 2))
    data.rows["episode_index"][3:] = [7, 7]
    data.episodes[1]["episode_index"] = 7
    assert [each.source for each in read_episodes(data.write(tmp_path), CONFIG)] == [
        f"{tmp_path}, episode 0",
        f"{tmp_path}, episode 7",
    ]


def test_what_is_not_used_is_named(tmp_path: pathlib.Path) -> None:
    data = rows_only().add("observation.velocity", "float32", [[0.0] * 14] * 5, [14])
    data.add("observation.effort", "float32", [[0.0] * 14] * 5, [14]).add(
        "action.base", "float32", [[0.0] * 2] * 5, [2]
    )
    data.rows["remark"] = ["x"] * 5
    facts = read_episodes(data.write(tmp_path), CONFIG)[0].facts
    assert facts.unused == (
        "observation.velocity [14], velocities",
        "observation.effort [14], efforts",
        "action.base [2], the mobile base",
        "remark, which meta/info.json does not declare",
    )
    assert facts.format == "LeRobot 3.0" and "meta/info.json says 30 Hz" in facts.said


@pytest.mark.parametrize("fps", [29.97, 12.5, 50])
def test_rates_of_any_number(tmp_path: pathlib.Path, fps: float) -> None:
    data = rows_only()
    data.rows["timestamp"] = [step / fps for step in data.rows["frame_index"]]
    data.info["fps"] = fps
    assert read_episodes(data.write(tmp_path), CONFIG)[0].rate == fps


@pytest.mark.parametrize("fps", [0, -1, "30", None, True, [30], float("nan"), float("inf")])
def test_rates_that_are_none_are_refused(tmp_path: pathlib.Path, fps: Any) -> None:
    data = rows_only()
    data.info["fps"] = fps
    with pytest.raises(EpisodesError, match=r"fps must be a number of steps per second, got"):
        read_episodes(data.write(tmp_path), CONFIG)


def test_what_the_rows_lack_is_assumed_and_told(tmp_path: pathlib.Path) -> None:
    data = rows_only()
    for name in ("frame_index", "timestamp"):
        del data.rows[name], data.features[name]
    folder = data.write(tmp_path)
    (folder / EPISODES).unlink()
    episode = read_episodes(folder, CONFIG)[1]
    np.testing.assert_array_equal(episode.states, numbers(5)[3:])
    assert episode.times is None
    assert episode.facts.assumed[2:5] == (
        "time stamps are missing, so steps are 0.03333 s apart",
        "the rows have no frame_index, so steps are in the order of the rows",
        "the dataset has no table of episodes (meta/episodes), so the rows alone tell the episodes",
    )


def test_texts_that_no_file_can_hold_are_refused(tmp_path: pathlib.Path) -> None:
    folder = rows_only(version="v2.1").write(tmp_path)
    (folder / "meta" / "tasks.jsonl").write_text('{"task_index": 0, "task": "lift \\ud800"}')
    with pytest.raises(EpisodesError, match=r"got no JSON in line 1 of .*surrogates not allowed"):
        read_episodes(folder, CONFIG)


def test_info_may_begin_with_a_byte_order_mark(tmp_path: pathlib.Path) -> None:
    folder = rows_only().write(tmp_path)
    (folder / INFO).write_text((folder / INFO).read_text(), encoding="utf-8-sig")
    assert len(read_episodes(folder, CONFIG)) == 2


def test_checksums_of_pages_are_verified_where_there_are_some(tmp_path: pathlib.Path) -> None:
    folder = rows_only().write(tmp_path)
    table = parquet.read_table(folder / ROWS)
    parquet.write_table(
        table, folder / ROWS, write_page_checksum=True, compression="none", use_dictionary=False, store_schema=False
    )
    content = bytearray((folder / ROWS).read_bytes())
    place = content.index(np.float32(numbers(5)[2, 3]).tobytes())
    content[place] ^= 1
    (folder / ROWS).write_bytes(bytes(content))
    with pytest.raises(EpisodesError, match=r"must be whole, got .*file-000\.parquet, which cannot be read: .*CRC"):
        read_episodes(folder, CONFIG)


def test_values_beyond_what_the_file_keeps_of_them_are_refused(tmp_path: pathlib.Path) -> None:
    """Without checksums, the smallest and largest values that Parquet files keep tell changes."""
    folder = rows_only().write(tmp_path)
    table = parquet.read_table(folder / ROWS)
    parquet.write_table(table, folder / ROWS, compression="none", use_dictionary=False)
    content = bytearray((folder / ROWS).read_bytes())
    content[content.index(np.float32(numbers(5)[2, 3]).tobytes()) + 3] ^= 128
    (folder / ROWS).write_bytes(bytes(content))
    with pytest.raises(EpisodesError, match=r"state is from -0\.3.* and was written as from -?0\.0 to 0\.6"):
        read_episodes(folder, CONFIG)


@pytest.mark.parametrize("name", [INFO, "meta/tasks.parquet", EPISODES, ROWS])
@pytest.mark.parametrize("damage", ["empty", "half", "noise"])
def test_damaged_files_are_refused_by_name(tmp_path: pathlib.Path, name: str, damage: str) -> None:
    folder = LeRobotSet().write(tmp_path)
    content = (folder / name).read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, 500, np.uint8).tobytes()
    damaged = {"empty": b"", "half": content[: len(content) // 2], "noise": noise}[damage]
    (folder / name).write_bytes(damaged)
    with pytest.raises(EpisodesError, match=pathlib.Path(name).name) as error:
        read_episodes(folder, CONFIG)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"features": []}, "features must be named in"),
        ({"features": {"action": 3}}, "feature action must have a dtype, got 3"),
        ({"codebase_version": None}, "must be of version"),
        ({"total_frames": "5"}, "total_frames must be a whole number, got '5'"),
        ({"data_path": 3}, "data_path must be a text, got 3"),
    ],
)
def test_values_of_the_wrong_kind_in_info_are_named(tmp_path: pathlib.Path, change: dict[str, Any], error: str) -> None:
    folder = rows_only().write(tmp_path)
    info = json.loads((folder / INFO).read_text()) | change
    (folder / INFO).write_text(json.dumps(info))
    with pytest.raises(EpisodesError, match=error):
        read_episodes(folder, CONFIG)
    (folder / INFO).write_text(json.dumps([1]))
    with pytest.raises(EpisodesError, match=r"meta/info\.json must be a JSON object, got list"):
        read_episodes(folder, CONFIG)
