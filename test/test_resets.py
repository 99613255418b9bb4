"""Tests the resets that reward_node conducts: by a scripted motion, by teleoperation, and by a user's command."""

from __future__ import annotations

import ast
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from std_srvs.srv import SetBool

from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.rewards.episodes import Ending, Event, Phase
from support.episode_rig import EpisodeRig

RESET, READY, STARTED, ENDED = Event.RESET, Event.READY, Event.STARTED, Event.ENDED
RIG = Callable[..., EpisodeRig]


@pytest.fixture
def make_rig(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RIG]:
    rigs: list[EpisodeRig] = []

    def make(**settings: Any) -> EpisodeRig:
        rigs.append(EpisodeRig(tmp_path, monkeypatch, **settings))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.control.close()


def scripted(make_rig: RIG) -> EpisodeRig:
    rig = make_rig(reset="scripted")
    rig.tick()
    return rig


# The tests below let robot_node move the arms to the start pose.


def test_a_scripted_reset_is_ready_when_the_arms_are_there(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    for _ in range(30):
        rig.tick()
    assert (rig.phase, len(rig.start_pose.requests)) == (Phase.RESETTING, 1)
    rig.start_pose.answer(True, "the robot is there")
    rig.tick()
    assert rig.phase is Phase.READY
    assert rig.node.published("episode_event")[-1].message == "the arms are at the start pose"
    assert rig.call("start_episode")[0]


def test_a_motion_that_is_refused_is_asked_for_again_every_second_and_names_the_reason(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    reason = f"look at the robot, then call `{services.CONFIRM_MOTION.command}`"
    for number in range(1, 4):
        rig.start_pose.answer(False, f"the motion is refused: {reason}")
        rig.tick()
        state = rig.state()
        assert reason in state.waits_for
        assert state.command == services.CONFIRM_MOTION.command
        assert len(rig.start_pose.requests) == number + 1
    rig.tick(1.0)
    assert rig.state().waits_for == "robot_node to move the arms to the start pose"  # It has not refused again.
    rig.start_pose.answer(True)
    rig.tick()
    assert rig.phase is Phase.READY


def test_a_motion_that_was_stopped_waits_for_a_person_who_begins_it_anew(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    rig.tick(2.5)
    rig.start_pose.answer(False, "ended as CANCELLED: stopped")
    for _ in range(30):
        rig.tick()
    assert len(rig.start_pose.requests) == 1
    state = rig.state()
    assert state.waits_for.startswith("a person, because the motion to the start pose ended as CANCELLED: stopped")
    assert state.command == services.RESET.command
    assert (
        "error",
        "the reset of episode 0 has stopped: the motion to the start pose ended as CANCELLED: stopped",
    ) in (rig.node.take_lines())
    assert rig.call("reset")[0]
    rig.tick()
    assert len(rig.start_pose.requests) == 2


def test_a_motion_that_the_reset_event_itself_ends_is_asked_for_again(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    rig.start_pose.answer(False, "ended as CANCELLED: the episode is being reset")
    rig.tick(1.1)
    rig.tick()
    assert len(rig.start_pose.requests) == 2


def test_a_robot_node_that_is_killed_in_a_reset_is_named_and_asked_again_when_it_is_back(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    rig.start_pose.is_ready = False  # Its answer will never come.
    rig.tick()
    assert rig.state().waits_for == "robot_node, which is not there to move the arms"
    assert rig.start_pose.future is None
    rig.start_pose.is_ready = True
    rig.tick()
    assert len(rig.start_pose.requests) == 2
    rig.start_pose.answer(True)
    rig.tick()
    assert rig.phase is Phase.READY


def test_a_pause_ends_a_reset_and_its_end_begins_the_reset_anew(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    rig.call("pause")
    assert rig.start_pose.future is None
    for _ in range(30):
        rig.tick()
    assert len(rig.start_pose.requests) == 1
    assert rig.state().command == services.PAUSE.command_in("", "{data: false}")
    rig.call("go on")
    rig.tick()
    assert len(rig.start_pose.requests) == 2


def test_a_discard_in_a_reset_begins_that_of_the_next_episode(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    rig.call("discard")
    rig.tick()
    assert len(rig.start_pose.requests) == 2
    rig.start_pose.answer(True)
    rig.tick()
    assert rig.events() == [
        (0, RESET, Ending.NONE),
        (0, ENDED, Ending.DISCARDED),
        (1, RESET, Ending.NONE),
        (1, READY, Ending.NONE),
    ]


def test_a_robot_that_failed_too_often_is_not_moved_before_an_operator_has_looked(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    rig.start_pose.answer(True)
    rig.tick()
    rig.call("start_episode")
    for _ in range(3):
        rig.control.director.spoil("an arm is blocked")
    rig.tick()
    assert (rig.phase, len(rig.start_pose.requests)) == (Phase.RESETTING, 1)
    rig.call("go on")
    rig.tick()
    assert len(rig.start_pose.requests) == 2


def test_transitions_that_wait_for_the_trainer_do_not_touch_a_reset(make_rig: RIG) -> None:
    rig = scripted(make_rig)
    rig.control.director.publish(rig.records.episodes.hold("delivery", "2 transitions wait"))
    rig.tick()
    assert rig.start_pose.future is not None
    rig.start_pose.answer(True)
    rig.tick()
    assert rig.phase is Phase.READY
    state = rig.state()
    assert (state.waits_for, state.command) == ("trainer_node, and is paused until then (2 transitions wait)", "")


# The tests below let a person reset the scene by the leader arms.


def test_a_teleoperated_reset_hands_back_and_returns_before_it_is_ready(make_rig: RIG) -> None:
    rig = make_rig(reset="teleoperated")
    rig.tick()
    assert rig.state().command == services.RESET_DONE.command
    gripped = services.LEADERS_GRIPPED.command
    rig.take_over(True, message=f"grip both leaders, or call {gripped}")
    state = rig.state()
    assert (state.waits_for, state.command) == (
        f"a person at the leader arms: grip both leaders, or call {gripped}",
        gripped,
    )
    rig.call("reset_done")
    rig.tick()
    takeover = rig.node.clients["robot_node/takeover"]
    assert takeover.requests == [SetBool.Request(data=False)]
    assert rig.start_pose.requests == []
    takeover.answer(False, "the leaders are not free")
    assert rig.state().waits_for.endswith("from the person who drives: the leaders are not free")
    assert len(takeover.requests) == 2
    rig.take_over(False)
    rig.tick()
    assert len(rig.start_pose.requests) == 1
    rig.start_pose.answer(True)
    rig.tick()
    assert rig.node.published("episode_event")[-1].message == "the teleoperated reset is done"


def test_a_reset_that_robot_node_ends_by_a_gesture_needs_no_hand_back(make_rig: RIG) -> None:
    rig = make_rig(reset="teleoperated", return_to_start=False)
    rig.tick()
    rig.take_over(True)
    rig.take_over(False)
    rig.call("reset_done")
    rig.tick()
    assert rig.phase is Phase.READY
    assert rig.node.clients["robot_node/takeover"].requests == []


def test_a_person_who_drives_while_robot_node_is_gone_does_not_keep_the_episode(make_rig: RIG) -> None:
    rig = make_rig(reset="teleoperated")
    rig.tick()
    rig.take_over(True)
    rig.node.clients["robot_node/takeover"].is_ready = False
    rig.call("reset_done")
    assert "robot_node, which is not there to take the robot back" in rig.state().waits_for
    assert rig.call("reset_done") == (True, "episode 0 is ready")


# The tests below run a command of the user's.


def python(code: str) -> str:
    """Returns the command line of a small program."""
    return shlex.join([sys.executable, "-c", code])


def until(condition: Callable[[], object], rig: EpisodeRig) -> None:
    """Ticks in real time until something holds."""
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        rig.tick(0.05)
        time.sleep(0.02)


def is_alive(process_id: int) -> bool:
    """Returns whether a process is there, and is no zombie."""
    try:
        return pathlib.Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_knows_its_episode_and_is_followed_by_the_start_pose(make_rig: RIG, tmp_path: pathlib.Path) -> None:
    told_by = "import os; print({name: os.environ[name] for name in os.environ if name.startswith('CHUNK_PPO_')})"
    rig = make_rig(reset="command", reset_command=python(told_by))
    until(lambda: rig.start_pose.requests, rig)
    told = ast.literal_eval((tmp_path / "robot" / "logs" / "reset_command_stdout.log").read_text())
    seed = rig.node.published("episode_event")[0].seed
    assert told == {
        "CHUNK_PPO_RUN_ID": "run",
        "CHUNK_PPO_EPISODE": "0",
        "CHUNK_PPO_SEED": str(seed),
        "CHUNK_PPO_PROMPT": "task 0",
    }
    rig.start_pose.answer(True)
    rig.tick()
    assert rig.node.published("episode_event")[-1].message == "the command of the reset has ended with status 0"


def test_a_command_that_fails_is_named_with_its_status_and_its_last_line(make_rig: RIG) -> None:
    code = "import sys; print('first', file=sys.stderr); sys.exit('the cube is under the table')"
    rig = make_rig(reset="command", reset_command=python(code), return_to_start=False)
    until(lambda: "has ended with status 1" in rig.state().waits_for, rig)
    state = rig.state()
    assert "(the cube is under the table; " in state.waits_for
    assert "reset_command_stderr.log has the rest)" in state.waits_for
    assert state.command == services.RESET.command
    assert rig.start_pose.requests == []
    assert rig.call("reset_done") == (True, "episode 0 is ready")  # A person has put the cube back.


def test_a_command_without_a_word_or_by_a_signal_says_so_too(make_rig: RIG) -> None:
    rig = make_rig(reset="command", reset_command=python("import os; os.kill(os.getpid(), 9)"))
    until(lambda: "was ended by signal 9" in rig.state().waits_for, rig)
    assert "it wrote nothing to its standard error" in rig.state().waits_for


def test_of_what_a_command_wrote_only_the_end_of_the_last_line_that_can_be_read_is_told(make_rig: RIG) -> None:
    code = "import sys; sys.stderr.write('begin ' + 9000 * 'x' + ' the\\tend\\0\\33[0m\\n' + 3000 * '\\0'); sys.exit(1)"
    rig = make_rig(reset="command", reset_command=python(code))
    until(lambda: "has ended with status 1" in rig.state().waits_for, rig)
    text = rig.state().waits_for
    assert text.isprintable()
    assert "x the end[0m; " in text
    assert "begin" not in text.partition(";")[0] and len(text.partition(";")[0]) < 300


def test_a_command_that_removes_its_own_log_does_not_end_the_node(make_rig: RIG, tmp_path: pathlib.Path) -> None:
    code = f"import shutil, sys; shutil.rmtree({str(tmp_path / 'robot' / 'logs')!r}); sys.exit(3)"
    rig = make_rig(reset="command", reset_command=python(code))
    until(lambda: "has ended with status 3" in rig.state().waits_for, rig)
    assert "what it wrote to its standard error cannot be read: " in rig.state().waits_for


HANGS = (
    "import os, subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "open({path!r}, 'a').write(f'{{os.getpid()}} {{child.pid}} '); "
    "time.sleep(60)"
)
"""A program that starts another one, writes the ids of both, and hangs."""


def hang(make_rig: RIG, path: pathlib.Path, *, code: str = HANGS) -> tuple[EpisodeRig, list[int]]:
    """Returns a rig whose command hangs, and the ids of its processes."""
    rig = make_rig(reset="command", reset_command=python(code.format(path=str(path))), return_to_start=False)
    until(lambda: path.exists() and len(path.read_text().split()) == 2, rig)
    return rig, [int(word) for word in path.read_text().split()]


def test_a_command_that_hangs_is_named_and_ended_by_a_pause_with_all_that_it_started(
    make_rig: RIG, tmp_path: pathlib.Path
) -> None:
    rig, processes = hang(make_rig, tmp_path / "ids")
    assert "to end; the service pause with data: true ends it" in rig.state().waits_for
    assert rig.call("reset_done")[0] is False
    rig.call("pause")
    until(lambda: not any(map(is_alive, processes)), rig)
    rig.call("go on")
    until(lambda: len((tmp_path / "ids").read_text().split()) == 4, rig)  # It begins anew.
    rig.control.close()
    until(lambda: not any(is_alive(int(word)) for word in (tmp_path / "ids").read_text().split()), rig)


def test_a_discard_in_a_reset_ends_the_command_before_the_next_one_begins(
    make_rig: RIG, tmp_path: pathlib.Path
) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + HANGS
    rig, first = hang(make_rig, tmp_path / "ids", code=stubborn)
    rig.call("discard")
    rig.tick()
    assert rig.node.published("episode_state")[-1].waits_for == "the end of the command of the last reset"
    until(lambda: len((tmp_path / "ids").read_text().split()) == 4, rig)
    assert not any(map(is_alive, first))
    assert [event for event in rig.events() if event[1] is READY] == []


def test_the_end_of_a_run_ends_the_command(make_rig: RIG, tmp_path: pathlib.Path) -> None:
    rig, processes = hang(make_rig, tmp_path / "ids")
    rig.control.director.final = True
    rig.control.director.publish(rig.records.episodes.end(Ending.NONE, "training has reached its end"))
    until(lambda: not any(map(is_alive, processes)), rig)


def test_a_program_that_is_not_there_is_found_at_the_start(make_rig: RIG) -> None:
    with pytest.raises(UserError, match="reset_command must name a program that can be run, got 'no_such_program'"):
        make_rig(reset="command", reset_command="no_such_program --fast")


def test_a_command_ends_with_a_reward_node_that_is_killed(tmp_path: pathlib.Path) -> None:
    code = (
        "import pathlib, sys, time; from chunk_ppo_ros.nodes.reward.resets.command_process import CommandProcess; "
        f"CommandProcess([sys.executable, '-c', {HANGS.format(path=str(tmp_path / 'ids'))!r}], {{}}, "
        f"pathlib.Path({str(tmp_path)!r})); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60.0
    while not (tmp_path / "ids").exists() or len((tmp_path / "ids").read_text().split()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    command, child = (int(word) for word in (tmp_path / "ids").read_text().split())
    parent.kill()
    parent.wait()
    while is_alive(command):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)  # What a command has started itself is not ended with it.
