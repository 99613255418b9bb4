"""Tests what follows where a node of a graph ends by itself, for the supervisor and the launch files alike."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from chunk_ppo_ros.core.errors import CONFIGURATION_ERROR, FRESH_UNASKED
from chunk_ppo_ros.runtime.description import Graph, NodeDescription
from chunk_ppo_ros.runtime.restarts.node_ends import (
    ON_NODE_EXIT,
    GoesOn,
    NodeEnds,
    Reaction,
    RunFails,
    RunIsDone,
    StartsAnew,
    how_it_ended,
)
from chunk_ppo_ros.runtime.restarts.respawns import MAX_RESPAWN_DELAY, MAX_RESPAWNS, SETTLED

ROBOT = NodeDescription(name="robot_node", module="robot_node", use_sim_time=False, environment={})
TRAINER = dataclasses.replace(ROBOT, name="trainer_node", respawn_parameters={"run.resume": True})
VIEW = dataclasses.replace(ROBOT, name="view_node", is_needed=False)
GRAPH = Graph(nodes=(VIEW, TRAINER, ROBOT), parameter_file=pathlib.Path("p.yaml"), run_dir=pathlib.Path("run"))


def started(on_node_exit: str) -> NodeEnds:
    ends = NodeEnds(GRAPH, on_node_exit)
    for node in GRAPH.nodes:
        ends.note_start(node.name, 0.0)
    return ends


def ends_at_each_start(ends: NodeEnds, name: str, code: int, *, up_for: float | None = None) -> list[Reaction]:
    """Returns what follows each time where a node ends half a second after each start, until nothing starts it."""
    found: list[Reaction] = []
    now = 0.0
    while not found or (isinstance(found[-1], StartsAnew) and len(found) < 50):
        ends.note_start(name, now)
        found.append(ends.on_end(name, code, now + 0.5, up_for=up_for))
        now += 100.0
    return found


@pytest.mark.parametrize("on_node_exit", ON_NODE_EXIT)
def test_a_viewer_that_always_fails_is_left_off_after_growing_delays(on_node_exit: str) -> None:
    *starts, last = ends_at_each_start(started(on_node_exit), "view_node", 1)
    delays = [start.delay for start in starts if isinstance(start, StartsAnew)]
    assert delays[:4] == [1.0, 2.0, 4.0, 8.0] and delays[-1] == MAX_RESPAWN_DELAY and len(delays) == MAX_RESPAWNS
    useless = "it was started anew 8 times in a row, and that does not help; the run goes on without view_node"
    assert last == GoesOn(useless)


@pytest.mark.parametrize("on_node_exit", ON_NODE_EXIT)
def test_a_viewer_that_refuses_its_configuration_is_left_off_at_once(on_node_exit: str) -> None:
    reaction = started(on_node_exit).on_end("view_node", CONFIGURATION_ERROR, 1.0, up_for=None)
    assert reaction == GoesOn("a refused configuration stays refused, so that the run goes on without view_node")


@pytest.mark.parametrize("on_node_exit", ON_NODE_EXIT)
def test_a_needed_node_that_refuses_its_configuration_ends_the_run(on_node_exit: str) -> None:
    assert started(on_node_exit).on_end("robot_node", CONFIGURATION_ERROR, 1.0, up_for=None) == RunFails(
        code=CONFIGURATION_ERROR
    )


def test_a_needed_node_is_started_anew_as_often_and_then_ends_the_run() -> None:
    *starts, last = ends_at_each_start(started("respawn"), "robot_node", -9)
    assert len(starts) == MAX_RESPAWNS
    assert starts[0] == StartsAnew(1.0, "it is started anew in 1 s (1 of 8)")
    assert last == RunFails("it was started anew 8 times in a row, and that does not help")


def test_a_node_that_was_up_for_long_enough_is_started_anew_without_an_end() -> None:
    assert len(ends_at_each_start(started("respawn"), "robot_node", -9, up_for=SETTLED)) == 50


def test_a_needed_node_ends_the_run_where_the_user_wants_to_stop() -> None:
    assert started("stop").on_end("robot_node", 1, 1.0, up_for=5.0) == RunFails()


def test_the_others_wait_until_no_node_is_left_that_the_run_needs() -> None:
    ends = started("wait")
    first = ends.on_end("robot_node", 1, 1.0, up_for=None)
    assert first == GoesOn("the others wait; start it by hand, or stop with Ctrl-C")
    assert ends.on_end("trainer_node", 1, 2.0, up_for=None) == RunFails()  # view_node still runs


@pytest.mark.parametrize("on_node_exit", ON_NODE_EXIT)
def test_the_run_is_done_with_the_code_of_the_node_that_ends_it(on_node_exit: str) -> None:
    done = started(on_node_exit).on_end("trainer_node", 0, 1.0, up_for=None)
    assert done == RunIsDone(0, "trainer_node is done; the run has ended")
    in_spite = started(on_node_exit).on_end("trainer_node", FRESH_UNASKED, 1.0, up_for=None)
    assert isinstance(in_spite, RunIsDone) and in_spite.code == FRESH_UNASKED
    assert "trained from fresh weights that nobody asked for" in in_spite.text


def test_a_node_that_cannot_be_started_anew_counts_as_one_that_failed() -> None:
    ends = started("respawn")
    assert isinstance(ends.on_end("view_node", 1, 0.0, up_for=None), StartsAnew)
    reactions = [ends.on_failed_start("view_node", float(each)) for each in range(MAX_RESPAWNS)]
    assert isinstance(reactions[-2], StartsAnew) and isinstance(reactions[-1], GoesOn)


def test_how_a_process_ended_is_told_in_words() -> None:
    assert how_it_ended("robot_node", -9) == "robot_node was killed by signal 9"
    assert how_it_ended("robot_node", 2) == "robot_node ended with exit code 2"


def test_a_trainer_that_is_started_anew_goes_on_from_a_checkpoint_where_there_is_one(tmp_path: pathlib.Path) -> None:
    graph = dataclasses.replace(GRAPH, checkpoint_folder=tmp_path)
    assert graph.parameters(TRAINER, anew=True) == {"use_sim_time": False}
    (tmp_path / "step_0").mkdir()
    (tmp_path / "step_0" / "metadata.json").touch()
    assert graph.parameters(TRAINER, anew=True) == {"use_sim_time": False, "run.resume": True}
    assert graph.parameters(TRAINER) == {"use_sim_time": False}
