"""Tests which transitions of a rollout are blamed for an update that failed, with a learner of a small policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.agent.learner import Learner
from chunk_ppo_ros.agent.offenders import find_offenders
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import RewardTerm, Transition
from chunk_ppo_ros.rl.log_prob_check import RolloutScores
from support import small_policy
from support.rollouts import sampled_rollout

NUM_CHUNKS = 4


def configure(folder: Path) -> TrainConfig:
    small_policy.save_openpi(folder / "imitated")
    run = {"pretrained_checkpoint_path": str(folder / "imitated"), "on_load_failure": "fail"}
    config = small_policy.configure(folder, run=run)
    return dataclasses.replace(
        config, ppo=dataclasses.replace(config.ppo, num_chunks_per_update=NUM_CHUNKS, batch_size=2)
    )


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    return Learner.start(configure(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def rollout(learner: Learner, tmp_path_factory: pytest.TempPathFactory) -> list[Transition]:
    return sampled_rollout(learner, configure(tmp_path_factory.mktemp("actor")))


def changed(transition: Transition, *, chunk: dict[str, Any] | None = None, **outcome: Any) -> Transition:
    return dataclasses.replace(
        transition,
        chunk=dataclasses.replace(transition.chunk, **(chunk or {})),
        outcome=dataclasses.replace(transition.outcome, **outcome),
    )


def blamed(learner: Learner, transitions: list[Transition]) -> dict[int, str]:
    """Returns the reasons by sequence number, after checking that the rollout cannot be trained on."""
    before = learner.counters
    with pytest.raises((UserError, ValueError, ArithmeticError)) as caught:
        learner.update(transitions)
    assert learner.counters == before
    return {one.id.sequence_number: one.reason for one in learner.offenders(caught.value, transitions)}


def test_every_chunk_whose_log_probs_are_not_the_policys_is_blamed(learner: Learner, rollout: list[Transition]) -> None:
    forged = [
        changed(entry, chunk={"token_log_probs": entry.chunk.token_log_probs - np.float32(0.1) * (number in (1, 3))})
        for number, entry in enumerate(rollout)
    ]
    found = blamed(learner, forged[::-1])
    assert sorted(found) == [1, 3] and "(ppo.max_logp_gap)" in found[1]


def test_numbers_that_overflow_are_blamed(learner: Learner, rollout: list[Transition]) -> None:
    broken = [*rollout[:2], changed(rollout[2], reward=float("inf")), rollout[3]]
    assert blamed(learner, broken) == {2: "numbers must be at most 1e+09, got reward inf"}


def test_a_transition_that_cannot_be_prepared_is_blamed(learner: Learner, rollout: list[Transition]) -> None:
    terms = (RewardTerm("huge", 10**400),)
    broken = [*rollout[:3], changed(rollout[3], reward_terms=terms)]
    found = blamed(learner, broken)
    assert list(found) == [3] and found[3].startswith("it cannot be prepared for an update: ")


def test_a_transition_that_differs_from_the_others_is_blamed(learner: Learner, rollout: list[Transition]) -> None:
    found = blamed(learner, [rollout[0], changed(rollout[1], chunk={"temperature": 0.5}), *rollout[2:]])
    assert list(found) == [1] and "as those of most others" in found[1]


@pytest.mark.parametrize("what", ["log_probs", "chunk_values"])
def test_a_chunk_without_a_finite_score_is_blamed(rollout: list[Transition], what: str) -> None:
    """The recorded log-probs of a human's chunk are not compared, so that only its score shows what is wrong."""

    def scores(transitions: Sequence[Transition]) -> RolloutScores:
        log_probs = np.full((NUM_CHUNKS, len(rollout[0].chunk.token_mask)), -1.0)
        log_probs[0, ~rollout[0].chunk.token_mask] = -np.inf  # This one is not sampled and does not count.
        values = np.zeros(NUM_CHUNKS)
        if what == "log_probs":
            log_probs[2, np.flatnonzero(rollout[2].chunk.token_mask)[0]] = -np.inf
        else:
            values[2] = np.nan
        return RolloutScores(log_probs, np.zeros(NUM_CHUNKS), np.zeros(NUM_CHUNKS), values)

    error = UserError("the loss is not finite")
    (found,) = find_offenders(error, rollout, scores=scores, prepare=lambda entries: None)
    assert found.id == rollout[2].id and "must have a finite score" in found.reason


def test_nothing_is_blamed_for_an_error_that_no_transition_explains(
    learner: Learner, rollout: list[Transition]
) -> None:
    assert learner.offenders(UserError("the disk is full"), rollout) == ()


def test_the_rest_of_the_rollout_can_be_trained_on(learner: Learner, rollout: list[Transition]) -> None:
    assert learner.update(rollout)["update/accepted"] == 1.0
