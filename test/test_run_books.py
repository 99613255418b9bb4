"""Tests how reward_node counts episodes and times, and keeps both over a restart."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable

import pytest
from chunk_ppo_msgs import msg
from hypothesis import given
from hypothesis import strategies as st

from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.reward.state.run_books import STORE_PERIOD, RunBooks
from chunk_ppo_ros.nodes.wire.arrays import header_of
from chunk_ppo_ros.rewards.bookkeeping.episode_counts import EpisodeCounts, PromptCounts
from chunk_ppo_ros.rewards.bookkeeping.run_times import Activity, RunTimes, Times
from chunk_ppo_ros.rewards.episodes import Ending, EpisodeChange, Event, Phase
from support.episode_rig import EpisodeRig
from support.fake_node import FakeNode

RIG = Callable[..., EpisodeRig]
Takeover = msg.TakeoverState


@pytest.fixture
def make_rig(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> RIG:
    return lambda **settings: EpisodeRig(tmp_path, monkeypatch, **settings)


def ended(
    ending: Ending, *, intervened: bool = False, prompt: str = "reach", event: Event = Event.ENDED, episode: int = 0
) -> EpisodeChange:
    return EpisodeChange(episode, 1, event, ending, 0.0, 3, intervened, prompt, "why")


# The tests below count episodes.


@pytest.mark.parametrize(
    ("ending", "intervened", "number"),
    [
        (Ending.SUCCESS, False, "num_success"),
        (Ending.FAILURE, False, "num_failure"),
        (Ending.TIME_LIMIT, False, "num_time_limit"),
        (Ending.DISCARDED, False, "num_discarded"),
        (Ending.INTERRUPTED, False, "num_interrupted"),
        (Ending.SUCCESS, True, "num_intervened"),
        (Ending.FAILURE, True, "num_intervened"),
        (Ending.TIME_LIMIT, True, "num_intervened"),
        (Ending.DISCARDED, True, "num_discarded"),
        (Ending.INTERRUPTED, True, "num_interrupted"),
    ],
)
def test_each_ended_episode_counts_in_one_number(ending: Ending, intervened: bool, number: str) -> None:
    counts = EpisodeCounts()
    assert counts.add(ended(ending, intervened=intervened))
    (one,) = counts.by_prompt
    assert {name: value for name, value in dataclasses.asdict(one).items() if value} == {"prompt": "reach", number: 1}
    assert counts.num_counted == (ending not in (Ending.DISCARDED, Ending.INTERRUPTED))


def test_what_is_no_outcome_does_not_count() -> None:
    counts = EpisodeCounts()
    assert not counts.add(ended(Ending.NONE))  # The end of training has cut it short.
    assert not counts.add(ended(Ending.NONE, event=Event.STARTED))
    assert counts.by_prompt == ()


def test_prompts_count_apart_and_go_on_from_earlier_counts() -> None:
    counts = EpisodeCounts([PromptCounts("reach", num_success=2)])
    counts.add(ended(Ending.SUCCESS))
    counts.add(ended(Ending.FAILURE, prompt="lift"))
    assert counts.by_prompt == (PromptCounts("reach", num_success=3), PromptCounts("lift", num_failure=1))


# The tests below add up times.


def test_time_goes_to_what_the_run_did_until_now() -> None:
    times = RunTimes(now=10.0)
    times.update(Activity.RESETTING, moves=True, now=11.0)  # nothing was done before
    times.update(Activity.READY, moves=False, now=13.0)
    times.update(Activity.RUNNING, moves=False, now=16.0)
    times.update(Activity.WAITING_FOR_TRAINER, moves=False, now=20.0)
    times.update(Activity.PAUSED, moves=False, now=25.0)
    times.update(Activity.IDLE, moves=False, now=31.0)
    times.update(Activity.IDLE, moves=False, now=38.0)
    times.add_motion(0.32)
    assert times.times == Times(
        wall=28.0, motion=2.32, resetting=2.0, ready=3.0, running=4.0, waiting_for_trainer=5.0, paused=6.0
    )


def test_a_clock_that_stands_adds_nothing() -> None:
    times = RunTimes(Times(wall=5.0), now=10.0)
    times.update(Activity.RUNNING, moves=True, now=10.0)
    times.update(Activity.RUNNING, moves=True, now=9.0)
    assert times.times == Times(wall=5.0)


@given(st.lists(st.tuples(st.sampled_from(Activity), st.booleans(), st.floats(0.0, 100.0)), max_size=20))
def test_the_sums_do_not_overlap(steps: list[tuple[Activity, bool, float]]) -> None:
    times, now = RunTimes(now=0.0), 0.0
    for activity, moves, seconds in steps:
        now += seconds
        times.update(activity, moves=moves, now=now)
    sums = times.times
    apart = sums.resetting + sums.ready + sums.running + sums.paused + sums.waiting_for_trainer
    assert math.isclose(sums.wall, now)
    assert apart <= sums.wall + 1e-6
    assert sums.motion <= sums.wall + 1e-6


# The tests below keep both on disk.


def make_books(path: pathlib.Path, node: FakeNode, *, now: float = 0.0) -> RunBooks:
    return RunBooks(node, Conditions(node), path, now=now)  # type: ignore[arg-type]


def test_a_restarted_node_goes_on_with_the_counts_and_times_of_its_run(tmp_path: pathlib.Path) -> None:
    node, path = FakeNode(), tmp_path / "run" / "episode_counts.json"
    books = make_books(path, node)
    books.begin_run("a", now=1.0)
    books.update(Activity.RUNNING, moves=False, now=2.0)
    books.update(Activity.RUNNING, moves=False, now=4.0)
    assert books.note(ended(Ending.SUCCESS))
    books.store(4.0)
    again = make_books(path, node, now=50.0)
    again.begin_run("a", now=50.0)
    assert not again.note(ended(Ending.SUCCESS))  # The node was killed before it had stored that it published the end.
    assert again.counts.by_prompt == (PromptCounts("reach", num_success=1),)
    assert again.times.times == Times(wall=3.0, running=2.0)
    again.update(Activity.IDLE, moves=False, now=51.0)
    assert again.times.times == Times(wall=4.0, running=2.0)
    again.begin_run("b", now=52.0)
    assert (again.counts.by_prompt, again.times.times) == ((), Times())
    assert node.take_lines() == []


def test_times_are_stored_every_few_seconds(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "episode_counts.json"
    books = make_books(path, FakeNode())
    books.update(Activity.IDLE, moves=False, now=2 * STORE_PERIOD)
    assert not path.exists()  # There is no run yet.
    books.begin_run("a", now=2 * STORE_PERIOD)
    books.update(Activity.READY, moves=False, now=3 * STORE_PERIOD)
    assert json.loads(path.read_text())["times"]["wall"] == STORE_PERIOD
    books.update(Activity.READY, moves=False, now=3.5 * STORE_PERIOD)
    assert json.loads(path.read_text())["times"]["wall"] == STORE_PERIOD


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"run_id": "a"}', '{"run_id": "a", "counts": [{"x": 1}], "times": {}}']
)
def test_a_file_that_cannot_be_read_is_named_and_the_run_begins_at_zero(tmp_path: pathlib.Path, content: str) -> None:
    node, path = FakeNode(), tmp_path / "episode_counts.json"
    path.write_text(content)
    books = make_books(path, node)
    books.begin_run("a", now=0.0)
    assert (books.counts.by_prompt, books.times.times) == ((), Times())
    ((level, text),) = node.take_lines()
    assert level == "error"
    assert text.startswith(f"{path} cannot be read, counts and times of the run begin at 0: ")


def test_a_full_disk_is_told_once_and_costs_no_count(tmp_path: pathlib.Path) -> None:
    node, path = FakeNode(), tmp_path / "run" / "episode_counts.json"
    (tmp_path / "run").write_text("a file in the place of the folder")
    books = make_books(path, node)
    books.begin_run("a", now=0.0)
    node.take_lines()
    for episode in range(2):
        assert books.note(ended(Ending.SUCCESS, episode=episode))
        books.store(1.0 + episode)
    ((level, text),) = node.take_lines()
    assert (level, text.startswith("the counts and times of the run cannot be written: ")) == ("error", True)
    (tmp_path / "run").unlink()
    books.store(3.0)
    assert node.take_lines() == [("info", "the counts and times of the run are written again")]
    assert json.loads(path.read_text())["counts"][0]["num_success"] == 2


# The tests below run the parts of reward_node together.


def spent(rig: EpisodeRig, seconds: float) -> dict[str, float]:
    """Returns the times that some seconds have added, without the wall time."""
    rig.tick(0.0)
    before = rig.state().times
    rig.tick(seconds - 1.0)
    after = rig.state().times
    names = [name for name in after.get_fields_and_field_types() if name != "wall"]
    return {
        name: round(getattr(after, name) - getattr(before, name), 6)
        for name in names
        if getattr(after, name) != getattr(before, name)
    }


def test_each_phase_has_its_time(make_rig: RIG) -> None:
    rig = make_rig()
    rig.tick()
    assert spent(rig, 5.0) == {"resetting": 5.0}
    rig.call("reset_done")
    assert spent(rig, 4.0) == {"ready": 4.0}
    rig.call("start_episode")
    assert spent(rig, 3.0) == {"running": 3.0}
    rig.call("pause")
    assert spent(rig, 2.0) == {"paused": 2.0}
    rig.call("go on")
    assert spent(rig, 3.0) == {"running": 3.0}


def test_the_trainers_update_is_waited_for_from_the_last_acknowledgment_until_the_next_version(make_rig: RIG) -> None:
    rig = make_rig()
    rig.call("start_episode")

    def acknowledge(num_accepted: int, *, run_id: str = "run") -> None:
        ack = msg.TransitionAck(run_id=run_id, sender="robot_0", num_accepted=num_accepted, num_required=4)
        rig.node.subscribers["transition_ack"](ack)

    acknowledge(3)
    acknowledge(4, run_id="other")
    assert spent(rig, 3.0) == {"running": 3.0}
    acknowledge(4)
    assert spent(rig, 5.0) == {"waiting_for_trainer": 5.0}
    assert rig.state().waits_for == "trainer_node to make its update"
    rig.call("pause")
    assert spent(rig, 2.0) == {"paused": 2.0}
    rig.call("go on")
    rig.control.note_version(msg.PolicyVersion(num_required=4))
    assert spent(rig, 3.0) == {"running": 3.0}
    rig.control.note_version(msg.PolicyVersion(num_required=4, num_accepted=4))  # The trainer was started anew.
    assert spent(rig, 3.0) == {"waiting_for_trainer": 3.0}


def test_the_robot_moves_in_chunks_by_script_and_by_hand(make_rig: RIG) -> None:
    rig = make_rig()
    rig.tick()
    scripted = rig.node.subscribers["scripted_motion"]
    scripted(msg.ScriptedMotion(moves=True))
    assert spent(rig, 4.0) == {"motion": 4.0, "resetting": 4.0}
    scripted(msg.ScriptedMotion(moves=False))
    rig.take_over(True, leaders=Takeover.ALIGNING)
    assert spent(rig, 3.0) == {"resetting": 3.0}  # The followers hold.
    rig.take_over(True, leaders=Takeover.LIMP)
    assert spent(rig, 3.0) == {"motion": 3.0, "resetting": 3.0}
    rig.take_over(False)
    rig.call("start_episode")
    rig.take_over(True, leaders=Takeover.LIMP)
    assert spent(rig, 3.0) == {"running": 3.0}  # Segments tell their durations from now on.
    before, tell = rig.state().times.motion, rig.node.subscribers["execution_result"]
    for _ in range(2):  # robot_node repeats a result until it is answered
        tell(msg.ExecutionResult(header=header_of(1), run_id="run", duration=0.32))
    tell(msg.ExecutionResult(header=header_of(2), run_id="run", duration=0.16, human=True))
    tell(msg.ExecutionResult(header=header_of(3), run_id="run", duration=math.nan))  # Nothing was executed.
    tell(msg.ExecutionResult(header=header_of(4), run_id="other", duration=9.0))
    assert rig.state().times.motion - before == pytest.approx(0.48)


def test_a_robot_node_that_died_does_not_move_for_ever(make_rig: RIG) -> None:
    rig = make_rig()
    rig.node.subscribers["scripted_motion"](msg.ScriptedMotion(moves=True))
    rig.node.present["scripted_motion"] = []
    rig.tick()
    assert spent(rig, 4.0) == {"resetting": 4.0}


def test_the_state_counts_the_episodes_of_each_prompt(make_rig: RIG) -> None:
    rig = make_rig()
    for name in ("success", "discard"):
        rig.call("start_episode")
        rig.call(name)
    state = rig.state()
    assert [(each.prompt, each.num_success, each.num_discarded) for each in state.counts] == [
        ("task 0", 1, 0),
        ("task 1", 0, 1),
    ]
    assert (state.prompt, state.episode, rig.phase) == ("task 2", 2, Phase.RESETTING)
