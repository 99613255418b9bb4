"""Checks the judge of `make chaos` against tables of evidence, and runs a small graph whose nodes are killed."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from chaos.campaign import Death
from chaos.closing import Closing
from chaos.command import main
from chaos.heard import NEVER, Heard
from chaos.judge import INTERRUPTED, Evidence, Judge, StoredTransition, Verdict
from chaos.kill_plan import ANY_MOMENT, RESTARTING, TOPICS, draw_kills
from chaos.settings import NODES, SUPERVISOR
from chaos.store_files import SegmentKeeper, records_below

from chunk_ppo_ros.data.store import Entry, Store

STAMP = 1_000
"""The stamp of chunk 0, ns. That of chunk n is n higher."""


def chunk(number: int, *, at: float | None = None, stamp: int | None = None) -> Heard:
    stamp = STAMP + number if stamp is None else stamp
    time = float(number) if at is None else at
    return Heard("action_chunk", time, stamp=stamp, number=number, value=0.5 * number)


def result(number: int, steps: int = 4) -> Heard:
    return Heard("execution_result", number + 0.5, stamp=STAMP + number, steps=steps)


def stored(
    number: int, *, stamp: int | None = None, steps: int = 4, next_value: float | None = None
) -> StoredTransition:
    value = 0.5 * (number + 1) if next_value is None else next_value
    return StoredTransition(STAMP + number if stamp is None else stamp, steps, value, terminated=False)


def evidence(**changes: object) -> Evidence:
    """Returns the evidence of five chunks, of which an update took the first three and the journal has the fourth.

    The fifth is under way.
    """
    heard = [message for number in range(5) for message in (chunk(number), result(number))]
    whole = Evidence(
        heard=heard,
        told=(),
        trained={1: [0, 1, 2]},
        waiting=frozenset({3}),
        set_aside={},
        stored={number: frozenset({stored(number)}) for number in range(4)},
        in_stores=frozenset({4}),
        deaths=(),
        quiet_since=3.5,
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


def judge(**changes: object) -> Verdict:
    return Judge(evidence(**changes)).verdict()


def wrong(verdict: Verdict) -> Mapping[str, int]:
    lines = {"lost": verdict.lost, "twice": verdict.trained_twice, "other": verdict.contradictions}
    return {name: len(found) for name, found in lines.items() if found}


def test_chunks_that_are_trained_on_or_wait_are_not_lost() -> None:
    verdict = judge()
    assert wrong(verdict) == {}
    assert verdict.counts == {"trained": 3, "waiting": 1, "under way at the end": 1, "executed": 5}


def test_a_chunk_that_the_robot_executed_and_nobody_has_is_lost() -> None:
    verdict = judge(waiting=frozenset())
    assert wrong(verdict) == {"lost": 1}
    assert verdict.lost[0].startswith("chunk 3 of stamp 1003: status -1 after 4 steps , no outcome")


def test_a_chunk_under_way_that_was_sent_before_the_last_kill_is_lost() -> None:
    assert wrong(judge(quiet_since=4.5)) == {"lost": 1}
    assert wrong(judge(in_stores=frozenset())) == {"lost": 1}


def test_the_store_of_the_robot_tells_of_what_the_listener_missed() -> None:
    heard = evidence().heard
    missed = [message for message in heard if message.stamp != STAMP + 3]
    assert judge(heard=missed).counts["executed"] == 4
    told = [dataclasses.replace(message, time=NEVER) for message in heard if message.stamp == STAMP + 3]
    assert wrong(judge(heard=missed, told=told)) == {} and judge(heard=missed, told=told).counts["executed"] == 5
    assert wrong(judge(heard=missed, told=told, waiting=frozenset())) == {"lost": 1}


@pytest.mark.parametrize(("time", "is_lost"), [(2.9, True), (3.2, False), (4.1, True)])
@pytest.mark.parametrize("target", ["robot_node", "sim_node", SUPERVISOR])
def test_a_chunk_may_be_missing_only_if_the_robot_died_before_the_next_was_sent(
    time: float, is_lost: bool, target: str
) -> None:
    verdict = judge(
        waiting=frozenset(), stored={n: frozenset({stored(n)}) for n in range(3)}, deaths=[Death(time, (target,))]
    )
    assert bool(verdict.lost) == is_lost
    assert all(line.startswith("chunk 3 ") for line in verdict.lost)


@pytest.mark.parametrize(("alive_at", "is_lost"), [(2.6, True), (3.3, False)])
def test_a_chunk_that_was_sent_to_a_dead_simulator_ran_when_it_died(alive_at: float, is_lost: bool) -> None:
    heard = [*evidence().heard, Heard("/clock", alive_at)]
    assert bool(judge(heard=heard, waiting=frozenset(), deaths=[Death(1.5, ("sim_node",))]).lost) == is_lost


def test_a_chunk_that_was_refused_unheard_is_not_lost() -> None:
    heard = [message for message in evidence().heard if message != result(3)]
    refused = Heard("chunk_outcome", 3.6, stamp=STAMP + 3, number=3, valid=False)
    assert wrong(judge(heard=heard, waiting=frozenset())) == {"lost": 1}
    assert wrong(judge(heard=[*heard, refused], waiting=frozenset())) == {}


def test_the_death_of_another_node_excuses_nothing() -> None:
    deaths = [Death(3.2, ("policy_node", "reward_node", "trainer_node"))]
    assert wrong(judge(waiting=frozenset(), deaths=deaths)) == {"lost": 1}


def test_a_chunk_of_which_nothing_was_executed_is_not_lost() -> None:
    heard = [*evidence().heard[:6], chunk(3), result(3, steps=0), *evidence().heard[8:]]
    verdict = judge(heard=heard, waiting=frozenset())
    assert wrong(verdict) == {} and verdict.counts["not executed"] == 1


def test_a_chunk_that_the_robot_calls_interrupted_is_lost_unless_the_robot_died() -> None:
    heard = [*evidence().heard[:7], dataclasses.replace(result(3, steps=0), status=INTERRUPTED), *evidence().heard[8:]]
    assert wrong(judge(heard=heard, waiting=frozenset())) == {"lost": 1}
    assert wrong(judge(heard=heard, waiting=frozenset(), deaths=[Death(3.2, ("robot_node",))])) == {}


def test_a_chunk_that_was_set_aside_is_told_apart() -> None:
    verdict = judge(waiting=frozenset(), set_aside={STAMP + 3: "its value is not finite"})
    assert wrong(verdict) == {} and verdict.counts["set aside"] == 1
    assert verdict.set_aside == ("chunk 3 was set aside: its value is not finite",)


def test_a_chunk_that_policy_node_has_stored_and_not_sent_is_not_lost() -> None:
    withdrawn = chunk(4, at=NEVER, stamp=STAMP + 60)
    verdict = judge(told=[withdrawn])
    assert wrong(verdict) == {} and verdict.counts["stored and never sent"] == 1
    executed = Heard("execution_result", NEVER, stamp=STAMP + 60, steps=4)
    assert wrong(judge(told=[withdrawn, executed])) == {"lost": 1}


def test_a_chunk_in_two_updates_was_trained_on_twice() -> None:
    verdict = judge(trained={1: [0, 1, 2], 2: [2]})
    assert verdict.trained_twice == ("chunk 2 was trained on 2 times, by the updates to versions [1, 2]",)


def test_a_chunk_under_two_numbers_was_trained_on_twice() -> None:
    twin = {**evidence().stored, 2: frozenset({stored(2, stamp=STAMP + 1)})}
    assert wrong(judge(stored=twin))["twice"] == 1


def test_a_number_that_was_given_twice_loses_the_second_chunk() -> None:
    heard = [
        *evidence().heard,
        chunk(1, at=2.6, stamp=STAMP + 50),
        Heard("execution_result", 2.7, stamp=STAMP + 50, steps=4),
    ]
    verdict = judge(heard=heard)
    assert len(verdict.lost) == 1 and "stamp 1050" in verdict.lost[0]


@pytest.mark.parametrize(
    ("wrong_one", "text"),
    [
        (stored(1, steps=3), "with 3 steps, and the robot told of 4 steps"),
        (stored(1, next_value=7.0), "with next value 7.0, and [1.0] were sent"),
    ],
)
def test_a_transition_that_says_something_else_than_the_nodes_is_told(wrong_one: StoredTransition, text: str) -> None:
    verdict = judge(stored={**evidence().stored, 1: frozenset({wrong_one})})
    assert len(verdict.contradictions) == 1 and text in verdict.contradictions[0]


def test_a_chunk_that_nobody_sent_and_two_different_transitions_are_told() -> None:
    two = frozenset({stored(1), dataclasses.replace(stored(1), terminated=True, next_value=0.0)})
    verdict = judge(stored={**evidence().stored, 1: two}, trained={1: [0, 1, 2, 77]})
    assert [line.split(",")[0] for line in verdict.contradictions] == [
        "chunk 1 was trained on",
        "chunk 77 was trained on",
        "chunk 77 was trained on",
    ]


def test_the_last_line_has_its_form_and_any_count_that_must_be_0_makes_it_wrong() -> None:
    right = Closing(kills=3, chunks=50, running_when_robot_died=1, lost=0, trained_twice=0, weights_equal=True)
    assert str(right) == "kills=3 chunks=50 running_when_robot_died=1 lost=0 trained_twice=0 weights_equal=true"
    assert right.is_right
    for change in ({"lost": 1}, {"trained_twice": 1}, {"weights_equal": False}):
        assert not dataclasses.replace(right, **change).is_right


def test_kills_are_over_all_nodes_and_moments_and_a_seed_repeats_them() -> None:
    kills = draw_kills(400, 10_000, 1)
    assert draw_kills(400, 10_000, 1) == kills != draw_kills(400, 10_000, 2)
    assert {target for kill in kills for target in kill.targets} == {*NODES, SUPERVISOR}
    assert {kill.moment for kill in kills} == {*TOPICS, ANY_MOMENT, RESTARTING}
    assert {len(kill.targets) for kill in kills} == {1, 2}
    assert [kill.chunks for kill in kills] == sorted(kill.chunks for kill in kills)


def test_records_are_read_without_the_package_also_after_their_segment_was_removed(tmp_path: Path) -> None:
    keeper = SegmentKeeper(tmp_path / "store", tmp_path / "kept")
    store = Store(tmp_path / "store" / "robot", name="robot")
    store.open()
    store.append([Entry(1, "left", 7, b"seven"), Entry(2, "", 8, b"")])
    keeper.close()
    (segment,) = (tmp_path / "store" / "robot").glob("*.log")
    segment.unlink()
    kept = records_below(tmp_path / "kept" / "robot")
    store.close()
    assert [(one.index, one.kind, one.sender, one.number, one.payload) for one in kept] == [
        (0, 1, "left", 7, b"seven"),
        (1, 2, "", 8, b""),
    ]


def test_a_damaged_record_is_passed_over(tmp_path: Path) -> None:
    store = Store(tmp_path, name="robot")
    store.open()
    store.append([Entry(0, "", number, b"x" * 20) for number in range(3)])
    store.close()
    (segment,) = tmp_path.glob("*.log")
    data = bytearray(segment.read_bytes())
    data[data.index(b"CPR1", data.index(b"CPR1") + 1) + 50] ^= 1
    segment.write_bytes(data)
    assert [record.number for record in records_below(tmp_path)] == [0, 2]


@pytest.mark.graph
def test_nothing_is_lost_in_a_small_graph_whose_nodes_are_killed(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--kills", "4", "--chunks", "80", "--seed", "1", "--chunks-per-update", "16"])
    output = capsys.readouterr().out
    assert status == 0, output
    last = r"kills=4 chunks=\d+ running_when_robot_died=\d+ lost=0 trained_twice=0 weights_equal=true"
    assert re.fullmatch(last, output.splitlines()[-1])
