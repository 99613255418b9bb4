"""Tests what a run without a trainer counts: the order of two checkpoints, the records on disk, and the results."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from chunk_ppo_ros.config import ChunkLengthConfig, DeployConfig, RunConfig, TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.errors import SettingError, UserError
from chunk_ppo_ros.evaluation.deployment.plan import DeploymentPlan
from chunk_ppo_ros.evaluation.deployment.records import EpisodeFile, EpisodeRecord
from chunk_ppo_ros.evaluation.deployment.results import DeploymentResult
from chunk_ppo_ros.evaluation.deployment.run_file import DeployedRun
from chunk_ppo_ros.evaluation.statistics import compare_rates
from chunk_ppo_ros.nodes.reward.run_records import RunRecords
from chunk_ppo_ros.rewards.episodes import Ending
from chunk_ppo_ros.robot.chunk_length import without_schedule


def record(episode: int, outcome: str = "SUCCESS", **fields: object) -> EpisodeRecord:
    known = EpisodeRecord(
        episode=episode,
        policy=0,
        checkpoint="a",
        version=episode,
        prompt="reach",
        seed=episode,
        outcome=outcome,
        intervened=False,
        reward=1.5,
        num_chunks=2,
        started="2026-01-01T10:00:00+00:00",
        ended="2026-01-01T10:00:05+00:00",
        message="by the operator",
    )
    return dataclasses.replace(known, **fields)


def config(folder: Path, *checkpoints: str, **deploy: object) -> TrainConfig:
    run = RunConfig(run_dir=str(folder), exp_name="one")
    return TrainConfig(run=run, deploy=DeployConfig(checkpoints=checkpoints or ("a",), **deploy))


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"outcome": "SUCCESS"}, True),
        ({"outcome": "FAILURE"}, True),
        ({"outcome": "TIME_LIMIT"}, True),
        ({"outcome": "DISCARDED"}, False),
        ({"outcome": "NONE"}, False),
        ({"outcome": "SUCCESS", "intervened": True}, False),
    ],
)
def test_an_episode_counts_where_it_has_a_result_of_the_policy_alone(fields: dict[str, object], counts: bool) -> None:
    assert record(0, **fields).counts is counts


def test_records_are_read_back_and_a_torn_last_line_is_overwritten(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path)
    assert file.read() == []
    first, second = record(0), record(1, "FAILURE", policy=1)
    file.add(first)
    with file.path.open("a") as torn:
        torn.write('{"episode": 1, "pol')
    assert file.read() == [first]
    file.add(second)
    assert file.read() == [first, second]
    assert [json.loads(line)["counts"] for line in file.path.read_text().splitlines()] == [True, True]


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    file = EpisodeFile(tmp_path)
    file.add(record(0))
    file.path.write_text(file.path.read_text() + "[]\n")
    with pytest.raises(UserError, match="line 2 of .* must be the record of an episode, got '\\[\\]'"):
        file.read()


def test_in_simulation_two_checkpoints_act_from_each_start_in_random_order() -> None:
    plan = DeploymentPlan(num_policies=2, num_episodes=50, seed=3, has_starts=True, block_size=2)
    order = [plan.policy_of(episode, ()) for episode in range(100)]
    pairs = np.array(order).reshape(-1, 2)
    assert set(map(tuple, pairs.tolist())) == {(0, 1), (1, 0)}
    assert 10 < pairs[:, 0].sum() < 40
    assert order == [plan.policy_of(episode, (record(0),)) for episode in range(100)]  # whatever has ended before
    assert order != [dataclasses.replace(plan, seed=4).policy_of(episode, ()) for episode in range(100)]


def test_on_a_robot_the_checkpoint_acts_again_whose_episode_does_not_count() -> None:
    plan = DeploymentPlan(num_policies=2, num_episodes=10, seed=0, has_starts=False, block_size=4)
    records: list[EpisodeRecord] = []
    for episode in range(30):
        policy = plan.policy_of(episode, records)
        if episode % 3 == 2:
            assert policy == records[-1].policy
        outcome = "DISCARDED" if episode % 3 == 1 else "SUCCESS"
        records.append(record(episode, outcome, policy=policy))
    counted = [one.policy for one in records if one.counts]
    assert [sum(counted[start : start + 4]) for start in range(0, 20, 4)] == [2] * 5
    assert plan.is_complete(records) and not plan.is_complete(records[:-1])


def test_of_two_episodes_from_one_start_both_must_count() -> None:
    plan = DeploymentPlan(num_policies=2, num_episodes=2, seed=0, has_starts=True, block_size=2)
    records = [
        record(0, seed=5, policy=0),
        record(1, seed=5, policy=1),
        record(2, seed=6, policy=1),
        record(3, "DISCARDED", seed=6, policy=0),
    ]
    assert [one.episode for one in plan.counted(records)] == [0, 1]
    assert not plan.is_complete(records)
    records += [record(4, seed=7, policy=0), record(5, seed=7, policy=1)]
    assert plan.num_done(records) == 2 and plan.is_complete(records)


def test_a_run_without_a_number_of_episodes_never_ends() -> None:
    plan = DeploymentPlan(num_policies=1, num_episodes=0, seed=0, has_starts=True)
    assert not plan.is_complete([record(episode) for episode in range(100)])


def test_a_random_order_has_each_item_equally_often_in_each_block() -> None:
    order = [seeds.random_order(7, position=position, num_items=2, copies=3) for position in range(60)]
    assert [sum(order[start : start + 6]) for start in range(0, 60, 6)] == [3] * 10


def test_a_run_goes_on_with_its_identity_and_refuses_other_settings(tmp_path: Path) -> None:
    run = DeployedRun.begin_or_continue(config(tmp_path))
    assert DeployedRun.begin_or_continue(config(tmp_path, num_episodes=9)) == run  # more episodes are the same run
    with pytest.raises(SettingError, match=r"other ones: deploy.decoding 'greedy' -> 'sample'; take those of the run"):
        DeployedRun.begin_or_continue(config(tmp_path, decoding="sample"))
    with pytest.raises(SettingError, match=r"deploy.checkpoints \['a'\] -> \['a', 'b'\]"):
        DeployedRun.begin_or_continue(config(tmp_path, "a", "b"))
    shorter = dataclasses.replace(config(tmp_path), chunk_length=ChunkLengthConfig(executed_steps=8))
    with pytest.raises(SettingError, match="chunk_length.executed_steps 0 -> 8"):
        DeployedRun.begin_or_continue(shorter)
    (tmp_path / "one" / "deployment.json").write_text("{}")
    with pytest.raises(UserError, match="must be the file of a run without a trainer"):
        DeployedRun.begin_or_continue(config(tmp_path))


def result_of(folder: Path, records: list[EpisodeRecord], *checkpoints: str, has_starts: bool) -> DeploymentResult:
    settings = config(folder, *checkpoints)
    plan = dataclasses.replace(DeploymentPlan.of(settings), has_starts=has_starts)
    return DeploymentResult(DeployedRun.begin_or_continue(settings), plan, tuple(records))


def test_the_result_of_one_checkpoint_has_an_interval_and_each_prompt(tmp_path: Path) -> None:
    records = [record(episode, "FAILURE" if episode < 2 else "SUCCESS") for episode in range(10)]
    records += [record(10, "DISCARDED"), record(11, intervened=True), record(12, prompt="stack"), record(13, "NONE")]
    result = result_of(tmp_path, records, has_starts=True)
    assert str(result).splitlines() == [
        "a: success 81.8% [52.3%, 94.9%] over 11 episodes, greedy decoding",
        "    'reach': success 80.0% [49.0%, 94.3%] over 10 episodes",
        "    'stack': success 100.0% [20.7%, 100.0%] over 1 episode",
        "not counted: 1 discarded, 1 with an intervention, 1 without a result or a partner; 95 % intervals",
    ]
    result.write(tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert (content["policies"][0]["successes"], content["policies"][0]["episodes"]) == (9, 11)
    assert content["policies"][0]["prompts"]["stack"]["episodes"] == 1
    assert (tmp_path / "results.txt").read_text() == f"{result}\n"


def test_two_checkpoints_are_compared_on_the_same_starts(tmp_path: Path) -> None:
    """B solves 5 of 6 starts and A the 6th alone, so 5 of 6 pairs speak for B: p = 7 / 64 by McNemar's exact test."""
    records = []
    for start in range(6):
        solved = (start == 5, start < 5)
        for policy in (0, 1):
            outcome = "SUCCESS" if solved[policy] else "TIME_LIMIT"
            records.append(record(2 * start + policy, outcome, policy=policy, seed=start))
    result = result_of(tmp_path, records, "a", "b", has_starts=True)
    assert "B - A: difference +0.667 over 6 paired starts, p = 0.109 one-sided" in str(result)
    assert json.loads(result.to_json())["order"] == ["A", "B"] * 6


def test_two_checkpoints_on_a_robot_are_compared_by_their_rates(tmp_path: Path) -> None:
    records = [record(n, "SUCCESS" if n < 8 else "FAILURE", policy=0) for n in range(10)]
    records += [record(10 + n, "SUCCESS" if n < 2 else "FAILURE", policy=1) for n in range(9)]
    result = result_of(tmp_path, records, "a", "b", has_starts=False)
    assert str(compare_rates((8, 10), (2, 9))) in str(result)


def test_the_difference_of_rates_is_that_of_newcombe() -> None:
    """Newcombe 1998, table II, row (a) has 56/70 - 48/80 with the interval .0524 to .3339 by his method 10."""
    test = compare_rates((48, 80), (56, 70))
    assert (test.difference, test.low, test.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert 0.005 < test.p_two_sided < 0.01
    assert compare_rates((3, 3), (5, 5)).p_two_sided == 1.0


def test_a_deployed_policy_keeps_the_chunk_length_that_its_version_had() -> None:
    """The schedule goes from 16 to 4 steps over 100 versions, so that version 50 has 10."""
    scheduled = ChunkLengthConfig(length_rule="scheduled", end_steps=4, schedule_updates=100)
    settled = without_schedule(scheduled, horizon=16, policy_version=50)
    assert (settled.length_rule, settled.executed_steps) == ("fixed", 10)
    unsure = ChunkLengthConfig(length_rule="uncertainty")
    assert without_schedule(unsure, horizon=16, policy_version=50) == unsure


def test_more_than_two_checkpoints_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 2 checkpoints, got 3; compare two at a time"):
        DeployConfig(checkpoints=("a", "b", "c"))


@pytest.mark.parametrize("checkpoints", [("a",), ("a", "b")])
def test_each_deployed_checkpoint_gets_the_starts_of_an_evaluation(
    checkpoints: tuple[str, ...], tmp_path: Path
) -> None:
    records = RunRecords(config(tmp_path, *checkpoints), prompt_for=lambda episode: "reach")
    seen = []
    for _ in range(4):
        (change,) = records.episodes.begin("the next episode")
        records.episodes.end(Ending.NONE, "over")
        seen.append(change.seed)
    starts = [seeds.episode_seed(seeds.EVALUATION, run_seed=0, episode=episode) for episode in range(4)]
    assert seen == (starts if len(checkpoints) == 1 else [starts[0], starts[0], starts[1], starts[1]])
