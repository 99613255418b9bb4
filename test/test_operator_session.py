"""Tests a session of an operator: resets by the leaders, marks, a takeover, a discard and an emergency stop.

The nodes of the graph are processes beside fake drivers of four arms. What reaches training is compared with a table.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import rclpy
from chunk_ppo_msgs import msg
from rclpy.serialization import deserialize_message

from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.config.parameter_file import load_config_file, write_parameter_file
from chunk_ppo_ros.data.journal_index import JournalIndex
from chunk_ppo_ros.data.store import read_payload, read_store
from chunk_ppo_ros.nodes.wire import services
from chunk_ppo_ros.robot import aloha
from support.small_policy import MODEL, make_gentle_tokenizer, save_own

pytestmark = [pytest.mark.graph("drivers"), pytest.mark.slow, pytest.mark.usefixtures("interbotix_messages")]

Event = msg.EpisodeEvent
MAX_VELOCITY, LEADER_VELOCITY = 1.5, 1.0  # rad/s
PERIOD = 0.02  # s
AWAY = np.array([0.2, 0.15, -0.1, 0.1, 0.2, -0.3])
"""How far the leaders are from the start pose when the session begins, rad."""


def session_config(folder: Path, repository: Path) -> TrainConfig:
    """Returns the settings of config/robot.yaml with the small policy, teleoperated resets, and a mirror."""
    base = load_config_file(repository / "config" / "robot.yaml", base=PRESETS["debug"])
    replaced = dataclasses.replace
    base = replaced(base, model=MODEL)
    checkpoint = save_own(folder / "start", MODEL, config=base, tokenizer=make_gentle_tokenizer())
    places = {"run_dir": str(folder / "runs"), "checkpoint_root": str(folder / "checkpoints"), "wandb": False}
    robot = {"scripted_velocity": 1.0, "leader_velocity": LEADER_VELOCITY, "max_velocity": MAX_VELOCITY}
    return replaced(
        base,
        ppo=replaced(base.ppo, num_chunks_per_update=1000, batch_size=2),  # no update, so that all stays in the journal
        env=replaced(base.env, mirror="kinematic", max_episode_chunks=1000),
        robot=replaced(base.robot, align_leaders=True, optional_cameras=(), **robot),
        episode=replaced(base.episode, reset="teleoperated"),
        reward=replaced(base.reward, sources=()),  # the operator alone judges
        run=replaced(base.run, pretrained_checkpoint_path=str(checkpoint), exp_name="session", **places),
    )


@dataclasses.dataclass(frozen=True)
class Row:
    """What an episode leads to.

    Attributes:
        outcome: how it ends.
        intervened: whether a human took over.
        trained: the number of its transitions that reach training.
        human: how many of them a human drove.
        cut: how many of them a takeover cut.
        terminated: whether the last of them is an end state, which has no value after it.
    """

    outcome: int
    intervened: bool
    trained: int
    human: int
    cut: int
    terminated: bool


class Session:
    """The graph of a robot as a process, beside fake drivers of four arms and a person.

    Args:
        folder: the folder of all that is written.
        parameters: the parameter file.
        environment: the variables of the process.
    """

    def __init__(self, folder: Path, parameters: Path, environment: dict[str, str]) -> None:
        self.log = folder / "graph.log"
        self._command = [sys.executable, "-m", "chunk_ppo_ros", "graph", "--params_file", str(parameters)]
        self._environment = environment
        self._stack = ExitStack()

    def __enter__(self) -> Session:
        from support.fake_driver import running_driver
        from support.fake_leader import running_leader
        from support.session import Person

        with self._stack as stack:
            rclpy.init()
            stack.callback(rclpy.shutdown)
            self.followers = {s: stack.enter_context(running_driver(s, register_time=0.01)) for s in aloha.SIDES}
            pose = np.array(aloha.START_POSE[:6])
            for driver in self.followers.values():
                driver.motors.positions.update(zip(aloha.ARM_JOINTS, pose, strict=True))
                driver.motors.goals.update(driver.motors.positions)
            self.leaders = {s: stack.enter_context(running_leader(s, pose + AWAY)) for s in aloha.SIDES}
            self.person = Person(self.leaders)
            stack.callback(self.person.close)
            log = stack.enter_context(self.log.open("w"))
            self._graph = stack.enter_context(
                subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
            )
            stack.callback(self._graph.kill)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def stop(self) -> int:
        """Interrupts the graph as Ctrl-C does, and returns its exit status."""
        self._graph.send_signal(signal.SIGINT)
        return self._graph.wait(timeout=30.0)


def run_session(session: Session) -> dict[int, tuple[int, bool]]:
    """Plays the session, and returns how each episode must end, and whether a human took over in it."""
    person = session.person
    person.until_done(services.CONFIRM_MOTION)
    expected = {}
    solved = person.play(chunks=2)
    person.mark(solved, Event.SUCCESS)
    expected[solved] = Event.SUCCESS, False

    helped = person.play()
    person.take_over_in_a_chunk(helped)
    person.grip()
    person.lead(np.array(aloha.START_POSE), seconds=1.0)
    assert person.call(services.TAKEOVER, data=False).success
    person.until_counted(helped, 1)
    person.mark(helped, Event.FAILURE)
    expected[helped] = Event.FAILURE, True

    spoiled = person.play()
    person.mark(spoiled, Event.DISCARDED)
    expected[spoiled] = Event.DISCARDED, False

    stopped = person.play()
    person.hit_emergency_stop(stopped)
    expected[stopped] = Event.FAILURE, False
    person.until_done(services.EMERGENCY_STOP, data=False)
    person.until_done(services.CONFIRM_MOTION)

    last = person.play()
    person.mark(last, Event.SUCCESS)
    person.until_accepted(last)
    expected[last] = Event.SUCCESS, False
    return expected


def row_of(session: Session, episode: int, trained: list[msg.Transition]) -> Row:
    """Returns what became of an episode."""
    own = [each for each in trained if each.chunk.episode == episode]
    end = session.person.ended(episode)
    assert end is not None
    return Row(
        end.outcome,
        end.intervened,
        trained=len(own),
        human=sum(each.chunk.human for each in own),
        cut=sum(each.outcome.intervened for each in own),
        terminated=bool(own) and own[-1].outcome.terminated,
    )


def wanted_row(session: Session, episode: int, outcome: int, intervened: bool) -> Row:
    """Returns what must become of an episode: each chunk that counts is trained on, unless the episode is discarded."""
    discarded = outcome == Event.DISCARDED
    counted = [] if discarded else [each for each in session.person.outcomes(episode) if each.valid]
    marked = outcome in (Event.SUCCESS, Event.FAILURE) and "fault" not in session.person.ended(episode).message
    return Row(
        outcome,
        intervened,
        trained=len(counted),
        human=sum(each.execution.human for each in counted),
        cut=sum(each.intervened for each in counted),
        terminated=marked,
    )


def test_what_an_operator_does_reaches_training_exactly(
    tmp_path: Path, repository: Path, interbotix_messages: Path
) -> None:
    parameters = tmp_path / "robot.yaml"
    config = session_config(tmp_path, repository)
    write_parameter_file(config, parameters)
    path = os.pathsep.join([str(repository), str(interbotix_messages)])
    with Session(tmp_path, parameters, os.environ | {"PYTHONPATH": path}) as session:
        expected = run_session(session)
        assert session.stop() == 128 + signal.SIGINT, session.log.read_text()
    trained = accepted_transitions(config.run.folder / "store" / "journal")
    rows = {episode: row_of(session, episode, trained) for episode in expected}
    assert rows == {episode: wanted_row(session, episode, *how) for episode, how in expected.items()}
    helped = rows[1]
    assert helped.cut == 1 and helped.human >= 3
    assert sum(row.trained for row in rows.values()) == len(trained)
    assert_arms_were_safe(session)


def accepted_transitions(folder: Path) -> list[msg.Transition]:
    """Returns the transitions of a journal whose episodes were not discarded."""
    contents = read_store(folder)
    index = JournalIndex.of(contents, contents.records[0].run_id)
    stored = [deserialize_message(read_payload(index.places[key]), msg.Transition) for key in sorted(index.places)]
    return [one for one in stored if (one.chunk.sender, one.chunk.episode) not in index.discarded]


def assert_arms_were_safe(session: Session) -> None:
    """Asserts that no arm was commanded faster than it may be, also where the driver changed, and that none leapt."""
    for follower in session.followers.values():
        assert follower.motors.mistakes == []
        angles = np.array([angles for kind, angles in follower.motors.commands if kind == "arm"])
        assert np.abs(np.diff(angles, axis=0)).max() <= MAX_VELOCITY * PERIOD + 1e-6
    for leader in session.leaders.values():
        assert leader.motors.mistakes == []
        assert max(leader.jumps) <= LEADER_VELOCITY * PERIOD + 1e-6
        assert max(leader.motors.leaps) <= 0.02
