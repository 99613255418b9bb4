"""Tests the checks of recorded episodes: each finding, on episodes that have what it finds and on sound ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, SettingError, UnansweredQuestion
from chunk_ppo_ros.core.findings.verdicts import DataFinding, Verdict, ask
from chunk_ppo_ros.data.checks.check_table import KEYS, require_settled, run_checks
from chunk_ppo_ros.data.checks.pictures import camera_findings, look_at, spread
from chunk_ppo_ros.data.checks.survey import Problem, Survey
from chunk_ppo_ros.data.checks.vector_statistics import MAX_ROWS, VectorStatistics
from chunk_ppo_ros.data.episode import Episode, LeftOut, RecordingFacts
from chunk_ppo_ros.robot import aloha
from support.recorded_motion import CAMERAS, LAG_STEPS, RATE, random_motion

CONFIG = PRESETS["debug"]


def shade(step: int) -> np.ndarray:
    return np.full((6, 8, 3), 20 + step % 200, np.uint8)


def sound(seed: int = 0, **changes: Any) -> Episode:
    """Returns an episode in which the states follow the actions by 100 ms."""
    moved = random_motion(seed)
    given: dict[str, Any] = {
        "source": f"episode_{seed}",
        "states": moved[:-LAG_STEPS].astype(np.float32),
        "actions": moved[LAG_STEPS:].astype(np.float32),
        "rate": RATE,
        "prompt": "stack",
        "cameras": dict.fromkeys(CAMERAS, shade),
    }
    return Episode(**{**given, **changes})


def check(*episodes: Episode, config: TrainConfig = CONFIG) -> dict[str, DataFinding]:
    """Returns the findings by key; of several with one key an open one."""
    groups = run_checks(Survey.of(episodes), config)
    found = sorted((each for group in groups.values() for each in group), key=lambda finding: finding.is_open)
    return {finding.key: finding for finding in found}


def opened(*episodes: Episode, config: TrainConfig = CONFIG) -> dict[str, Verdict]:
    return {key: found.verdict for key, found in check(*episodes, config=config).items() if found.is_open}


def changed(values: np.ndarray, dims: Any, new: Any) -> np.ndarray:
    copy = values.copy()
    copy[:, dims] = new
    return copy


def with_recordings(**changes: Any) -> TrainConfig:
    return dataclasses.replace(CONFIG, recordings=dataclasses.replace(CONFIG.recordings, **changes))


def test_sound_episodes_are_fine() -> None:
    found = check(sound(0), sound(1))
    assert not [finding for finding in found.values() if finding.is_open]
    assert found["lag"].values["lags_ms"] == {aloha.joint_name(index): 100.0 for index in range(14)}
    assert "2, of 295 to 295 steps" in found["episodes"].found
    assert found["prompts"].values["prompts"] == {"stack": 2}


def in_degrees(episode: Episode, *parts: str) -> Episode:
    given = {part: getattr(episode, part).copy() for part in parts}
    for values in given.values():
        values[:, aloha.ARM_INDICES] *= 180 / np.pi
    return dataclasses.replace(episode, **given)


def test_degrees_are_refused_with_the_flag() -> None:
    found = check(in_degrees(sound(0), "states", "actions"), in_degrees(sound(1), "states", "actions"))
    for key in ("state_joint_unit", "action_joint_unit"):
        assert found[key].verdict is Verdict.REFUSE
        assert "it is likely in degrees: set --joint_unit deg; to use it as it is, --insist" in found[key].advice
        assert "episode_" in found[key].found and ", step" in found[key].found


@pytest.mark.parametrize("part", ["states", "actions"])
def test_degrees_of_states_or_actions_alone_are_not_settled_by_the_flag(part: str) -> None:
    found = check(sound(0), in_degrees(sound(1), part))[f"{part[:-1]}_joint_unit"]
    assert found.verdict is Verdict.REFUSE
    assert "in episode_1 only states or only actions are" in found.advice and "--leave_out_episodes" in found.advice


def test_degrees_of_some_episodes_are_read_by_themselves() -> None:
    found = check(sound(0), in_degrees(sound(1), "states", "actions"))["state_joint_unit"]
    assert "episode_1 are, and the others are not: read each kind by itself" in found.advice


def test_one_joint_a_turn_too_far_is_not_taken_for_degrees() -> None:
    episode = sound()
    states = episode.states.copy()
    states[:, 5] += 2 * np.pi
    found = check(dataclasses.replace(episode, states=states))["state_joint_unit"]
    assert "left wrist_rotate" in found.found and "turned" in found.advice


@pytest.mark.parametrize(
    ("scale", "offset", "unit", "verdict"),
    [
        (100.0, 0.0, "percent", Verdict.REFUSE),
        (40.0, 18.0, "finger_mm", Verdict.REFUSE),
        (72.0, 41.0, "interbotix_2", Verdict.REFUSE),
        (121.0, -35.6, "motor_deg", Verdict.REFUSE),
        (2.11, -0.62, "motor_rad", Verdict.ASK),
        (0.04, 0.018, "finger_m", Verdict.ASK),
    ],
)
@pytest.mark.parametrize("part", ["states", "actions"])
def test_the_likely_unit_of_a_gripper(scale: float, offset: float, unit: str, verdict: Verdict, part: str) -> None:
    episode, grippers = sound(), aloha.GRIPPER_INDICES
    opening = np.linspace(0.0, 1.0, len(episode))[:, None]
    given = {
        "states": changed(episode.states, grippers, opening),
        "actions": changed(episode.actions, grippers, opening),
    }
    given[part] = changed(given[part], grippers, offset + scale * opening)
    found = check(dataclasses.replace(episode, **given))[f"{part[:-1]}_gripper_unit"]
    assert found.verdict is verdict
    assert unit in found.advice and f"--{part[:-1]}_gripper_unit" in found.advice


@pytest.mark.parametrize(("lag", "asked"), [(-4, True), (0, True), (1, False), (49, False), (60, True)])
def test_the_lag_of_a_robot(lag: int, asked: bool) -> None:
    moved = random_motion(3, 600)
    middle = slice(100, 500)
    states = moved[100 - lag : 500 - lag].astype(np.float32)
    found = check(sound(states=states, actions=moved[middle].astype(np.float32)))["lag"]
    assert found.is_open is asked
    lags = list(found.values["lags_ms"].values())  # type: ignore[attr-defined]
    assert len(lags) == 14
    np.testing.assert_allclose(lags, lag * 20.0, atol=20.0)


def test_states_that_do_not_follow_have_no_lag() -> None:
    noise = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 300, 14)).astype(np.float32)
    assert "not known" in check(sound(states=noise[0], actions=noise[1]))["lag"].found


def test_arms_in_another_order_are_asked() -> None:
    episode = sound()
    swapped = np.roll(episode.states, 7, axis=1)
    assert opened(dataclasses.replace(episode, states=swapped))["swapped_arms"] is Verdict.ASK


def test_a_gripper_the_other_way_round_is_asked() -> None:
    episode = sound()
    states = changed(episode.states, 6, 1.0 - episode.states[:, 6])
    found = check(dataclasses.replace(episode, states=states))["gripper_direction"]
    assert "left gripper" in found.found


def test_copied_actions_are_asked() -> None:
    episode = sound()
    assert "copied_actions" in opened(dataclasses.replace(episode, actions=episode.states.copy()))


def test_constant_dimensions_are_named_and_dead_states_are_asked() -> None:
    episode = sound()
    both = {"states": changed(episode.states, [0, 1], 0.2), "actions": changed(episode.actions, [0, 1], 0.2)}
    still = check(dataclasses.replace(episode, **both))["constant"]
    assert not still.is_open and "left waist of the state" in still.found
    dead = check(dataclasses.replace(episode, states=changed(episode.states, 8, 0.2)))["constant"]
    assert dead.verdict is Verdict.ASK and "right shoulder" in dead.found


def test_episodes_of_one_step_are_named() -> None:
    episode = sound()
    single = sound(1, states=episode.states[:1], actions=episode.actions[:1])
    found = check(episode, single)
    assert found["episodes"].values["single_step"] == ["episode_1"]
    assert not [each for each in found.values() if each.is_open]


def test_identical_episodes_are_asked() -> None:
    found = check(sound(0), sound(1), sound(0, source="copy"))["identical_episodes"]
    assert found.values["copies"] == ["copy is episode_0"]


def test_gaps_and_wrong_rates_are_asked() -> None:
    episode = sound()
    times = np.arange(len(episode)) / RATE
    gap = times + 0.4 * (np.arange(len(episode)) >= 30)
    found = check(dataclasses.replace(episode, times=gap))["gaps"]
    assert found.verdict is Verdict.ASK and "0.420 s before step 30 of episode_0" in found.found
    assert opened(dataclasses.replace(episode, times=times)) == {}
    wrong = check(dataclasses.replace(episode, times=times * 50 / 30))["rates"]
    assert "50 Hz said, 30 Hz by its times" in wrong.found


def test_two_takes_in_one_episode_jump() -> None:
    episode = sound()
    states = episode.states.copy()
    states[40:, 8] += 0.9  # The second take begins with another right shoulder.
    found = check(dataclasses.replace(episode, states=states))["jumps"]
    assert found.is_hint and "right shoulder by 0.9" in found.found and "before step 40 of episode_0" in found.found
    turned = episode.states.copy()
    turned[:, 5] = np.where(np.arange(len(turned)) < 40, 3.13, -3.13)  # A wrist counts on from pi at -pi.
    assert not check(dataclasses.replace(episode, states=turned))["jumps"].is_open


def test_long_waits_are_asked() -> None:
    episode = sound()
    waiting = np.repeat(episode.states[:1], 400, axis=0)
    states = np.concatenate([waiting, episode.states])
    actions = np.concatenate([np.repeat(episode.actions[:1], 400, axis=0), episode.actions])
    found = check(dataclasses.replace(episode, states=states, actions=actions))["idle"]
    assert found.verdict is Verdict.ASK and "at starts 8." in found.found


def test_missing_prompts_cannot_be_insisted_on() -> None:
    episode = sound(prompt="")
    found = check(episode)["prompts"]
    assert found.verdict is Verdict.ASK and "episode_0" in found.found and "--prompt" in found.advice
    assert "prompts" not in KEYS


def test_absent_cameras_are_asked_and_others_named() -> None:
    config = dataclasses.replace(CONFIG, pretrain=dataclasses.replace(CONFIG.pretrain, episode_cameras=CAMERAS))
    assert set(CONFIG.model.cameras) == set(aloha.ROBOT_CAMERAS)
    found = check(sound(cameras={"cam_low": shade, "cam_high": shade}), config=config)["cameras"]
    assert found.verdict is Verdict.ASK
    assert "there is cam_low, cam_high" in found.found and "--episode_cameras" in found.advice
    more = check(sound(cameras=dict.fromkeys((*CAMERAS, "cam_low"), shade)), config=config)["cameras"]
    assert more.values["unused"] == ["cam_low"]


def test_what_is_assumed_unused_and_left_out_is_named() -> None:
    facts = RecordingFacts("HDF5", assumed=("It is 50 Hz.",), unused=("qvel [295, 14], velocities",))
    survey = Survey.of([sound(facts=facts)])
    survey.add(LeftOut("episode_9", "it has a gap"))
    found = {each.key: each for each in run_checks(survey, CONFIG)["recordings"]}
    assert found["assumed"].details == ("It is 50 Hz. (1 episode)",)
    assert found["unused"].values["streams"] == ["qvel [295, 14], velocities"]
    assert found["left_out"].details == ("episode_9 is left out: it has a gap",)
    assert found["formats"].values["formats"] == {"HDF5": 1}


def test_different_dimensions_and_nothing_are_refused() -> None:
    episode = sound()
    single = sound(1, states=episode.states[:, :7], actions=episode.actions[:, :7])
    assert opened(episode, single) == {"dimensions": Verdict.REFUSE}
    assert opened() == {"formats": Verdict.REFUSE}


@pytest.mark.parametrize(("is_question", "verdict"), [(True, Verdict.ASK), (False, Verdict.REFUSE)])
def test_what_cannot_be_read_is_a_finding(is_question: bool, verdict: Verdict) -> None:
    survey = Survey.of([sound()])
    survey.problems.append(Problem("bad.hdf5", "bad.hdf5 is damaged", is_question))
    (found,) = [each for each in run_checks(survey, CONFIG)["recordings"] if each.is_open]
    assert (found.key, found.verdict, found.found) == ("unreadable", verdict, "bad.hdf5 is damaged")


def test_a_vector_of_no_arm_has_no_limits() -> None:
    values = np.random.default_rng(0).uniform(-50, 50, (30, 8)).astype(np.float32)
    found = check(sound(states=values, actions=values[:, :7]))
    assert not [each for each in found.values() if each.is_open]
    assert "no limits are known" in found["joints"].found


def test_insisting_accepts_a_finding_by_its_key() -> None:
    episode = sound()
    copied = dataclasses.replace(episode, actions=episode.states.copy())
    config = with_recordings(insist=("copied_actions", "lag"))
    assert opened(copied, config=config) == {}
    assert "(accepted by --insist copied_actions)" in check(copied, config=config)["copied_actions"].found
    with pytest.raises(SettingError, match=r"recordings.insist must name findings of .*, got copies"):
        check(copied, config=with_recordings(insist=("copies",)))


def test_open_findings_stop_a_command_and_hints_do_not() -> None:
    episode = sound()
    questions = [ask("rates", "another rate", "correct it"), ask("gaps", "steps are missing", "cut them")]
    with pytest.raises(UnansweredQuestion, match=r"^rates: another rate; correct it; .*--insist rates; also: gaps"):
        require_settled(questions)
    copied = dataclasses.replace(episode, actions=episode.states.copy())
    hints = [each for each in check(copied).values() if each.is_open]
    assert {each.key for each in hints} == {"lag", "copied_actions"}
    require_settled(hints)
    degrees = dataclasses.replace(copied, states=copied.states * 57)
    with pytest.raises(EpisodesError, match=r"^state_joint_unit: .*it is likely in degrees"):
        require_settled([each for each in check(degrees).values() if each.key == "state_joint_unit"])
    require_settled(list(check(episode).values()))


def images_of(read: Any) -> list[DataFinding]:
    return list(camera_findings(look_at(sound(cameras={"cam_high": read}))))


def test_dark_frozen_and_broken_cameras() -> None:
    def broken(step: int) -> np.ndarray:
        raise EpisodesError(f"no image at step {step}")

    assert [each.found for each in images_of(shade)] == ["cam_high: 8x6 pixels, neither dark nor frozen"]
    assert [each.key for each in images_of(lambda step: np.full((6, 8, 3), step % 7, np.uint8))] == ["dark_camera"]
    assert [each.key for each in images_of(lambda step: np.full((6, 8, 3), 90, np.uint8))] == ["frozen_camera"]
    (found,) = images_of(broken)
    assert (found.key, found.verdict, found.found) == ("images", Verdict.REFUSE, "cam_high: no image at step 0")


def test_episodes_are_chosen_evenly() -> None:
    assert [each.source for each in spread([sound(number) for number in range(5)])] == [
        "episode_0",
        "episode_2",
        "episode_4",
    ]


def test_statistics_hold_a_bounded_number_of_rows() -> None:
    values = np.random.default_rng(0).normal(size=(3 * MAX_ROWS, 2)).astype(np.float32)
    values[70_000, 1] = 99.0
    statistics = VectorStatistics(2)
    for part in np.array_split(values, 17):
        statistics.add(part, f"part {len(part)}")
    np.testing.assert_allclose(statistics.quantiles(), np.quantile(values, [0.01, 0.99], axis=0), atol=0.06)
    assert statistics.high[1] == 99.0 and statistics.num_steps == len(values)
    few = VectorStatistics(2)
    few.add(values[:100], "few")
    np.testing.assert_array_equal(few.quantiles(), np.quantile(values[:100].astype(np.float64), [0.01, 0.99], axis=0))


@pytest.mark.parametrize("scale", [(0.0, 0.044), (0.01844, 0.058)])
def test_grippers_in_meters_in_states_and_actions_are_asked_about(scale: tuple[float, float]) -> None:
    episode = sound()
    states, actions = episode.states.copy(), episode.actions.copy()
    for part in (states, actions):
        part[:, aloha.GRIPPER_INDICES] = scale[0] + part[:, aloha.GRIPPER_INDICES] * (scale[1] - scale[0])
    found = opened(dataclasses.replace(episode, states=states, actions=actions))
    assert found["state_gripper_unit"] is Verdict.ASK
    assert found["action_gripper_unit"] is Verdict.ASK


def test_radians_that_were_taken_for_degrees_are_asked_about() -> None:
    config = dataclasses.replace(CONFIG, recordings=dataclasses.replace(CONFIG.recordings, joint_unit="deg"))
    joints = np.where(np.isin(np.arange(aloha.ACTION_DIM), aloha.GRIPPER_INDICES), 1.0, np.pi / 180)
    episode = sound()
    small = dataclasses.replace(
        episode,
        states=(episode.states * joints).astype(np.float32),
        actions=(episode.actions * joints).astype(np.float32),
    )
    assert check(small, config=config)["state_joint_unit"].verdict is Verdict.ASK
    assert "state_joint_unit" not in opened(episode, config=config)


@pytest.mark.parametrize("key", ["joint_names", "arm_names"])
def test_keys_that_readers_name_are_accepted(key: str) -> None:
    config = dataclasses.replace(CONFIG, recordings=dataclasses.replace(CONFIG.recordings, insist=(key,)))
    assert key in KEYS
    check(sound(), config=config)
