"""Tests where the time of a run went: in the metrics of trainer_node and of the script form, and on the page."""

from __future__ import annotations

from pathlib import Path

from chunk_ppo_msgs import msg

from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.nodes.trainer.run_times import RunTimesIntake
from chunk_ppo_ros.reporting.curves.updates import Updates
from chunk_ppo_ros.reporting.metrics_file import MetricsFile
from chunk_ppo_ros.reporting.run_clock import RunClock
from chunk_ppo_ros.reporting.run_metrics import RUN_TIMES, run_time_metrics
from chunk_ppo_ros.reporting.time_section import time_section
from support.fake_node import FakeNode, SteadyClock

RUN_TIME_FIELDS = msg.RunTimes.get_fields_and_field_types()
GRAPH = {"run_time/running": 300.0, "run_time/resetting": 120.0, "run_time/ready": 60.0, "run_time/paused": 0.0}
GRAPH |= {"run_time/wall": 600.0, "run_time/motion": 150.0, "run_time/waiting_for_trainer": 30.0}


def lines(section: str) -> list[str]:
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def state(run_id: str, **times: float) -> msg.EpisodeState:
    return msg.EpisodeState(run_id=run_id, times=msg.RunTimes(**times))


def test_the_names_are_those_of_the_message() -> None:
    assert set(RUN_TIMES) == set(RUN_TIME_FIELDS)


def test_the_newest_times_of_the_run_are_metrics() -> None:
    node = FakeNode()
    intake = RunTimesIntake(node)  # type: ignore[arg-type]
    assert intake.metrics("run") == Metrics({})
    node.subscribers["episode_state"](state("run"))  # reward_node has not counted yet
    assert intake.metrics("run") == Metrics({})
    node.subscribers["episode_state"](state("run", wall=9.0, motion=2.0))
    node.subscribers["episode_state"](state("run", wall=10.0, motion=3.0, ready=4.0))
    assert intake.metrics("another run") == Metrics({})
    others = ("resetting", "running", "paused", "waiting_for_trainer")
    expected = {"run_time/wall": 10.0, "run_time/motion": 3.0, "run_time/ready": 4.0}
    expected["run/running_when_robot_died"] = 0
    assert dict(intake.metrics("run")) == expected | {f"run_time/{name}": 0.0 for name in others}


def test_what_is_not_known_is_left_out() -> None:
    assert dict(run_time_metrics({"wall": 5.0})) == {"run_time/wall": 5.0}


def test_the_wall_time_goes_on_after_that_of_earlier_starts(tmp_path: Path) -> None:
    clock, file = SteadyClock(1000.0), MetricsFile(tmp_path)
    file.append({"kind": "run", "run_id": "run-1"})
    first = RunClock(tmp_path, since=990.0, clock=clock.monotonic)
    clock.now = 1020.0
    assert dict(first.metrics()) == {"run_time/wall": 30.0}
    file.append({"kind": "update", **first.metrics()})
    file.append({"kind": "update", "run_time/wall": None})
    file.append({"kind": "run", "run_id": "run-1"})
    clock.now = 5000.0
    second = RunClock(tmp_path, since=4990.0, clock=clock.monotonic)
    assert dict(second.metrics()) == {"run_time/wall": 40.0}
    file.append({"kind": "run", "run_id": "run-2"})
    other = RunClock(tmp_path, since=4990.0, clock=clock.monotonic)
    assert dict(other.metrics()) == {"run_time/wall": 10.0}
    file.close()


def updates_of(*records: dict[str, float]) -> Updates:
    return Updates.of({"num_chunks": number, **record} for number, record in enumerate(records))


def test_the_page_says_the_shares_of_a_run_of_the_graph() -> None:
    """Of 600 s, 300 + 120 + 60 + 0 + 30 s are in an episode or its reset, and 90 s are left."""
    updates = updates_of({"time/update": 15.0}, {"time/update": 30.0, "time/rollout": 99.0})
    section = time_section(GRAPH, updates, in_lockstep=False)
    assert section.startswith("## Where the time went\n")
    assert lines(section) == [
        "| the whole run | 10.0 | 100.0% |",
        "| an episode ran | 5.0 | 50.0% |",
        "| robot and scene were reset | 2.0 | 20.0% |",
        "| a ready episode waited for its start | 1.0 | 10.0% |",
        "| an episode was paused | 0.0 | 0.0% |",
        "| an episode waited for the trainer | 0.5 | 5.0% |",
        "| the rest: starts of nodes, and between episodes | 1.5 | 15.0% |",
        "| the robot was in motion | 2.5 | 25.0% |",
        "| updates | 0.8 | 7.5% |",
    ]
    lockstep = lines(time_section(GRAPH, updates, in_lockstep=True))
    assert lockstep[7:] == ["| updates | 0.8 | 7.5% |", "| the robot was in motion, in simulated time | 2.5 | |"]
    assert section.endswith("\n\nThe motion of the robot and the updates overlap with the rows above them.")


def test_the_page_of_the_script_form_says_what_it_knows() -> None:
    updates = updates_of({"time/rollout": 60.0, "time/update": 30.0})
    assert lines(time_section({"run_time/wall": 120.0}, updates, in_lockstep=True)) == [
        "| the whole run | 2.0 | 100.0% |",
        "| rollouts | 1.0 | 50.0% |",
        "| updates | 0.5 | 25.0% |",
    ]


def test_a_run_of_before_times_were_recorded_has_no_section() -> None:
    assert time_section(None, updates_of({"time/update": 1.0}), in_lockstep=True) == ""
