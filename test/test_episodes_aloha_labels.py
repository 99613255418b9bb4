"""Tests the prompt, the outcome and the rate that HDF5 files say."""

from __future__ import annotations

import pathlib
from typing import Any

import h5py
import numpy as np
import pytest

from chunk_ppo_ros.config import RecordingsConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, UnansweredQuestion
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.readers import read_episodes
from support.aloha_files import write_aloha


def read(path: pathlib.Path, *, prompt: str = "", **recordings: Any) -> Episode:
    config = TrainConfig(run=RunConfig(prompt=prompt), recordings=RecordingsConfig(**recordings))
    (episode,) = read_episodes(path, config)
    return episode


def with_attribute(folder: pathlib.Path, name: str, value: Any) -> pathlib.Path:
    return write_aloha(folder / "episode_0.hdf5", attributes={name: value})


def with_dataset(folder: pathlib.Path, name: str, value: Any) -> pathlib.Path:
    return write_aloha(folder / "episode_0.hdf5", more=lambda file: file.create_dataset(name, data=value))


# The tests below are about prompts.

TEXTS = {
    "text": "pick the cube",
    "fixed bytes": np.bytes_("pick the cube"),
    "array of one": ["pick the cube"],
    "array of bytes": np.array([b"pick the cube"]),
    "the same twice": ["pick the cube", "pick the cube"],
    "blanks around": "  pick the cube \n",
    "two axes": np.array([["pick the cube"]], dtype=object),
}
BLANK = {
    "empty": h5py.Empty("S10"),
    "empty text": "",
    "blanks": " \t ",
    "no rows": np.array([], "S3"),
    "blank row": [""],
}


@pytest.mark.parametrize("kind", list(TEXTS))
def test_a_prompt_is_its_text(tmp_path: pathlib.Path, kind: str) -> None:
    assert read(with_attribute(tmp_path, "prompt", TEXTS[kind])).prompt == "pick the cube"


@pytest.mark.parametrize("kind", list(BLANK))
def test_blanks_are_no_prompt(tmp_path: pathlib.Path, kind: str) -> None:
    path = with_attribute(tmp_path, "prompt", BLANK[kind])
    assert read(path).prompt == ""
    assert read(path, prompt="stack").prompt == "stack"


@pytest.mark.parametrize("name", ["language_instruction", "instruction", "language_raw", "task", "prompt"])
def test_other_names_of_prompts(tmp_path: pathlib.Path, name: str) -> None:
    episode = read(with_attribute(tmp_path, name, "把杯子 ☕"))
    assert episode.prompt == "把杯子 ☕" and f"Its prompt is that of {name}." in episode.facts.said
    assert read(with_dataset(tmp_path, name, [b"cup"])).prompt == "cup"
    assert read(with_dataset(tmp_path, name, "cup")).prompt == "cup"


def test_several_prompts_are_asked_about(tmp_path: pathlib.Path) -> None:
    path = with_attribute(tmp_path, "prompt", ["open", "close"])
    with pytest.raises(
        UnansweredQuestion, match=r"one prompt, got 'open' \(prompt\), 'close' \(prompt\) in .*--prompt"
    ):
        read(path)
    assert read(path, prompt="open").prompt == "open"
    path = write_aloha(tmp_path / "episode_1.hdf5", attributes={"prompt": "open", "task": "close"})
    with pytest.raises(UnansweredQuestion, match=r"'open' \(prompt\), 'close' \(task\)"):
        read(path)


@pytest.mark.parametrize("value", [3, [1.5, 2.0], np.bytes_(b"\xff\xfe"), True])
def test_a_prompt_that_is_no_text_is_refused(tmp_path: pathlib.Path, value: Any) -> None:
    path = with_attribute(tmp_path, "prompt", value)
    with pytest.raises(EpisodesError, match=r"a prompt must be .*text, got .* in prompt of .*episode_0.*set --prompt"):
        read(path)
    assert read(path, prompt="stack").prompt == "stack"


def test_a_number_of_a_task_is_no_prompt(tmp_path: pathlib.Path) -> None:
    assert read(with_attribute(tmp_path, "task", 7)).prompt == ""


# The tests below are about outcomes.


@pytest.mark.parametrize(
    "value", [True, np.True_, 1, 1.0, np.uint8(1), np.array(True), np.array([1]), np.array([[True]])]
)
def test_success_of_any_kind_of_number(tmp_path: pathlib.Path, value: Any) -> None:
    assert read(with_attribute(tmp_path, "success", value)).success is True
    assert read(with_attribute(tmp_path, "success", np.zeros_like(value))).success is False
    assert read(with_dataset(tmp_path, "success", value)).success is True


@pytest.mark.parametrize("value", ["false", "True", np.bytes_("1"), 2, -1, [True, False], np.nan])
def test_other_outcomes_are_refused(tmp_path: pathlib.Path, value: Any) -> None:
    with pytest.raises(EpisodesError, match=r"must be true or false, got .* in .*episode_0\.hdf5; write a bool"):
        read(with_attribute(tmp_path, "success", value))


def test_an_empty_outcome_is_unknown(tmp_path: pathlib.Path) -> None:
    assert read(with_attribute(tmp_path, "success", h5py.Empty("?"))).success is None


# The tests below are about rates.


def test_a_rate_that_nobody_says_is_that_of_aloha(tmp_path: pathlib.Path) -> None:
    episode = read(write_aloha(tmp_path / "episode_0.hdf5"))
    assert episode.rate == 50.0
    assert "The file does not say its rate. It is taken as 50 Hz (--recorded_rate)." in episode.facts.assumed


def test_a_rate_by_the_flag(tmp_path: pathlib.Path) -> None:
    episode = read(write_aloha(tmp_path / "episode_0.hdf5"), recorded_rate=30.0)
    assert episode.rate == 30.0
    assert "Its rate is 30 Hz by --recorded_rate." in episode.facts.said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fps", 30),
        ("frequency", 30.0),
        ("hz", np.array([30])),
        ("control_rate", "30"),
        ("dt", 1 / 30),
        ("FPS", 30),
        ("DT", 1 / 30),
    ],
)
def test_a_rate_by_an_attribute(tmp_path: pathlib.Path, name: str, value: Any) -> None:
    path = with_attribute(tmp_path, name, value)
    episode = read(path)
    assert episode.rate == pytest.approx(30.0)
    assert f"Its rate is 30 Hz by the attribute {name}." in episode.facts.said
    assert read(path, recorded_rate=30.0).rate == pytest.approx(30.0)
    with pytest.raises(
        EpisodesError, match=rf"one rate, got 30 Hz by the attribute {name} and 50 Hz by --recorded_rate"
    ):
        read(path, recorded_rate=50.0)


def test_rates_that_cannot_be_are_refused(tmp_path: pathlib.Path) -> None:
    for value in (-30.0, 0.0, 1e6):
        with pytest.raises(EpisodesError, match=r"0\.1\.\.1000 Hz, got .* by the attribute fps"):
            read(with_attribute(tmp_path, "fps", value))
    with pytest.raises(EpisodesError, match="one rate, got 30 Hz by the attribute fps and 50 Hz by the attribute hz"):
        read(write_aloha(tmp_path / "episode_0.hdf5", attributes={"fps": 30, "hz": 50}))


def test_a_word_in_the_place_of_a_rate_does_not_count(tmp_path: pathlib.Path) -> None:
    for value in ("high", h5py.Empty("f4")):
        assert read(with_attribute(tmp_path, "fps", value)).rate == 50.0


@pytest.mark.parametrize(("unit", "start"), [(1.0, 1.7e9), (1e3, 0.0), (1e6, 0.0), (1e9, 0.0)])
def test_times_that_speak_against_the_rate_are_asked_about(tmp_path: pathlib.Path, unit: float, start: float) -> None:
    path = with_dataset(tmp_path, "observations/timestamps", start + unit * np.arange(6) / 30)
    with pytest.raises(UnansweredQuestion, match="timestamps has steps at 30 Hz in .*; set --recorded_rate"):
        read(path)
    episode = read(path, recorded_rate=30.0)
    assert episode.times is not None
    np.testing.assert_allclose(episode.times - episode.times[0], np.arange(6) / 30, atol=1e-6)


def test_times_of_the_rate_are_kept(tmp_path: pathlib.Path) -> None:
    episode = read(with_dataset(tmp_path, "timestamp", np.arange(6)[:, None] / 48))
    assert episode.rate == 50.0 and episode.times is not None
    assert "timestamp has the times of the steps, 48 Hz." in episode.facts.said


def test_times_that_do_not_rise_are_not_used(tmp_path: pathlib.Path) -> None:
    episode = read(with_dataset(tmp_path, "timestamp", np.zeros(6)))
    assert episode.times is None
    assert "timestamp [6], times" in episode.facts.unused


def test_other_attributes_are_named(tmp_path: pathlib.Path) -> None:
    episode = read(with_attribute(tmp_path, "operator", "Ada"))
    assert episode.facts.unused == ("attribute operator, Ada",)


# The tests below are about what files say of the order of their arms, beside the recorder's cameras.

RIGHT_NAMES = [f"{side}_joint_{number}" for side in ("right", "left") for number in range(7)]
RIGHT_FIRST = {
    "names as attribute": lambda file: file.attrs.__setitem__("joint_names", RIGHT_NAMES),
    "names of the states": lambda file: file["observations/qpos"].attrs.__setitem__("names", RIGHT_NAMES),
    "names as dataset": lambda file: file.create_dataset("observations/joint_names", data=np.array(RIGHT_NAMES, "S")),
    "the order in words": lambda file: file.attrs.__setitem__("arm_order", "right_first"),
    "the order of sides": lambda file: file.attrs.__setitem__("arms", ["right", "left"]),
    "a robot whose name is a dataset": lambda file: file.create_dataset("robot_name", data="aloha_stationary"),
}


@pytest.mark.parametrize("kind", list(RIGHT_FIRST))
def test_files_that_name_the_right_arm_first_ask_for_the_order(tmp_path: pathlib.Path, kind: str) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5", more=RIGHT_FIRST[kind])
    with pytest.raises(UnansweredQuestion, match="--arm_order right_first"):
        read(path)
    assert len(read(path, arm_order="right_first")) == len(read(path, arm_order="left_first"))


@pytest.mark.parametrize("texts", [RIGHT_NAMES[7:] + RIGHT_NAMES[:7], ["cam_right_wrist", "cam_left_wrist"], ["right"]])
def test_other_names_do_not_ask_for_the_order(tmp_path: pathlib.Path, texts: list[str]) -> None:
    path = write_aloha(tmp_path / "episode_0.hdf5", more=lambda file: file.attrs.__setitem__("names", texts))
    assert "The left arm is taken to come first (--arm_order)." in read(path).facts.assumed


# The tests below are about rates that are no numbers, or that stand elsewhere.


@pytest.mark.parametrize("value", ["30 Hz", float("nan"), [30, 30], b"0.02 s"])
def test_a_rate_that_is_no_number_is_asked_about(tmp_path: pathlib.Path, value: Any) -> None:
    path = with_attribute(tmp_path, "fps", value)
    with pytest.raises(UnansweredQuestion, match="must be a number.*--recorded_rate"):
        read(path)
    assert read(path, recorded_rate=30.0).rate == 30.0


def test_rates_of_datasets_and_of_the_group_of_observations_count(tmp_path: pathlib.Path) -> None:
    assert read(with_dataset(tmp_path, "fps", 30)).rate == 30.0
    of_group = write_aloha(
        tmp_path / "episode_1.hdf5", more=lambda file: file["observations"].attrs.__setitem__("dt", 0.04)
    )
    assert read(of_group).rate == 25.0
