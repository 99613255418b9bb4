"""Tests what reward_node says that a run waits for, on `episode_state`, on /diagnostics and in its log."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable

import pytest
from chunk_ppo_msgs import msg
from diagnostic_msgs.msg import DiagnosticStatus

from chunk_ppo_ros.config import DeployConfig, EnvConfig
from chunk_ppo_ros.nodes.reward.operator_commands import OperatorCommands, command_in
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.rewards.episodes import Ending
from support.episode_rig import EpisodeRig
from support.executions import execution
from support.fake_node import FakeNode

RIG = Callable[..., EpisodeRig]
State = msg.EpisodeState
START = services.START_EPISODE.command
HAND_BACK = services.TAKEOVER.command_in("", "{data: false}")


@pytest.fixture
def make_rig(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> RIG:
    return lambda **settings: EpisodeRig(tmp_path, monkeypatch, **settings)


def running(make_rig: RIG) -> EpisodeRig:
    rig = make_rig()
    rig.call("start_episode")
    return rig


def waits(rig: EpisodeRig) -> tuple[str, str]:
    state = rig.state()
    return state.waits_for, state.command


def test_before_a_run_and_after_the_training(make_rig: RIG) -> None:
    rig = make_rig(run_id="")
    assert waits(rig) == ("trainer_node to announce the run; its own status or its log says what it does", "")
    rig.begin_run("run")
    rig.control.director.final = True
    rig.control.director.publish(rig.records.episodes.end(Ending.NONE, "training has reached its end"))
    assert waits(rig) == ("", "")


def test_a_deployment_is_announced_by_its_own_node(make_rig: RIG) -> None:
    rig = make_rig(run_id="", deploy=DeployConfig(checkpoints=("step_5",)))
    assert waits(rig)[0].startswith("deployment_node to announce the run")


def test_an_operator_is_waited_for_with_the_command(make_rig: RIG) -> None:
    rig = make_rig()
    assert waits(rig) == ("an operator to bring robot and scene to the start, and to start the episode", START)
    rig.call("reset_done")
    assert waits(rig) == ("the start of episode 0, which is ready", START)
    rig.call("pause")
    go_on = services.PAUSE.command_in("", "{data: false}")
    assert waits(rig) == ("the end of the pause (by the operator)", go_on)


def test_an_episode_that_starts_by_itself_waits_for_who_drives(make_rig: RIG) -> None:
    rig = make_rig(start_automatically=True)
    rig.take_over(True)
    rig.call("reset_done")
    assert waits(rig) == ("the person who drives to hand back the robot", HAND_BACK)


def test_a_running_episode_waits_for_one_part_after_another(make_rig: RIG) -> None:
    rig = running(make_rig)
    assert waits(rig) == ("policy_node to sample the next chunk; its own status says what it waits for", "")
    rig.run_chunk(number=7)
    assert waits(rig) == ("robot_node to execute chunk 7", "")
    rig.records.join.add_execution(execution(4, stamp=5), now=0.0)
    assert waits(rig) == ("the reward sources to judge chunk 7 (task)", "")
    rig.records.join.pop_episode("run", 0)
    rig.take_over(True)
    assert waits(rig) == ("the person who drives to hand back the robot or to end the episode", "")
    rig.reach_time_limit()
    state = rig.state()
    assert state.phase == State.CLOSING
    assert state.waits_for == "policy_node to value the last observation of the episode"


def test_a_simulation_waits_for_no_person(make_rig: RIG) -> None:
    rig = make_rig(env=EnvConfig(simulator="kinematic"))
    assert waits(rig) == ("sim_node to reset the scene and to start the episode", "")
    rig.call("reset_done")
    assert waits(rig) == ("sim_node to start the episode", "")
    assert rig.status().level == DiagnosticStatus.OK
    assert not [text for _, text in rig.node.take_lines() if text.startswith("waits for")]


def test_a_mirror_beside_a_real_robot_waits_for_the_operator(make_rig: RIG) -> None:
    rig = make_rig(env=EnvConfig(simulator="none", mirror="kinematic"))
    assert waits(rig)[1] == START


def test_the_log_has_each_wait_for_a_person_once_and_the_diagnostics_have_it_as_long_as_it_lasts(make_rig: RIG) -> None:
    rig = make_rig()
    line = f"waits for an operator to bring robot and scene to the start, and to start the episode: {START}"
    for _ in range(5):
        status = rig.status()
        assert (status.level, status.message) == (DiagnosticStatus.WARN, f"episode 0 RESETTING; {line}")
        assert {pair.key: pair.value for pair in status.values}["command"] == START
    assert [text for _, text in rig.node.take_lines()].count(line) == 1
    rig.call("start_episode")
    status = rig.status()
    assert (status.level, status.message.split(";")[0]) == (DiagnosticStatus.OK, "episode 0 RUNNING")
    assert not [text for _, text in rig.node.take_lines() if text.startswith("waits for")]
    rig.call("success")
    rig.tick()
    assert [text for _, text in rig.node.take_lines()].count(line) == 1  # It waits for the next episode.


def test_a_reason_whose_numbers_change_is_logged_once(make_rig: RIG) -> None:
    rig = make_rig(reset="scripted")
    rig.tick()
    for distance in range(3):
        rig.start_pose.answer(False, f"the motion is refused: a joint is 0.{distance + 3} rad from its last command")
        rig.tick()
        assert f"0.{distance + 3} rad" in rig.state().waits_for
    assert len([text for _, text in rig.node.take_lines() if "does not move the arms" in text]) == 1


def test_the_diagnostics_name_conditions_too(make_rig: RIG, tmp_path: pathlib.Path) -> None:
    rig = running(make_rig)
    shutil.rmtree(tmp_path / "robot")
    (tmp_path / "robot").write_text("a file in the place of the folder")
    rig.tick(10.0)
    status = rig.status()
    assert status.level == DiagnosticStatus.ERROR
    assert "the counts and times of the run cannot be written" in status.message


def test_the_state_is_published_at_each_change_and_once_a_second(make_rig: RIG) -> None:
    rig = make_rig()
    rig.tick()
    rig.node.published("episode_state")
    for _ in range(30):
        rig.tick(0.1)
    assert 2 <= len(rig.node.published("episode_state")) <= 3
    rig.call("start_episode")
    rig.call("pause")
    states = rig.node.published("episode_state")
    assert [(state.phase, state.paused) for state in states] == [(State.RUNNING, False), (State.RUNNING, True)]
    assert {(state.run_id, state.sender, state.prompt, state.reset) for state in states} == {
        ("run", "robot_0", "task 0", "operator")
    }


def test_the_waits_of_each_chunk_are_told_once_a_second_alone(make_rig: RIG) -> None:
    """A policy samples several chunks a second. Who listens wants no message for each of their parts."""
    rig = running(make_rig)
    rig.tick()
    rig.node.published("episode_state")
    for number in range(4):
        rig.run_chunk(number=number)
        rig.tick(0.1)
        rig.records.join.pop_episode("run", 0)
        rig.tick(0.1)
    assert len(rig.node.published("episode_state")) <= 1


def test_commands_have_the_namespace_of_the_node() -> None:
    node = FakeNode()
    assert OperatorCommands.of(node).start_episode == START  # type: ignore[arg-type]
    node.get_namespace = lambda: "/lab"  # type: ignore[method-assign]
    commands = OperatorCommands.of(node)  # type: ignore[arg-type]
    assert commands.reset == services.RESET.command_in("/lab")
    assert commands.hand_back == HAND_BACK.replace("/robot_node", "/lab/robot_node")


@pytest.mark.parametrize(
    ("reason", "command"),
    [
        (f"it holds; call `{START}` now", START),
        (f"it holds: {HAND_BACK}, then go on", HAND_BACK),
        ("an arm is blocked", ""),
    ],
)
def test_the_command_of_a_reason_is_found(reason: str, command: str) -> None:
    assert command_in(reason) == command
