"""Tests the metrics of what the safety layer did with the chunks of a rollout."""

from __future__ import annotations

import dataclasses

import pytest

from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.types import Transition
from chunk_ppo_ros.reporting.run_metrics import safety_metrics
from support.executions import execution
from support.fake_learner import make_transition


def ended(result: ExecutionResult) -> Transition:
    transition = make_transition(0)
    return dataclasses.replace(transition, outcome=dataclasses.replace(transition.outcome, execution=result))


def test_limits_faults_and_takeovers_are_counted_by_hand() -> None:
    """Of 16 + 16 + 6 + 2 steps, 4 + 1 were limited, in two chunks."""
    metrics = safety_metrics(
        [
            ended(execution(16, status=Status.LIMITED, clamped=4, max_clamp=0.25)),
            ended(execution(16)),
            ended(execution(6, status=Status.FAULT, clamped=1, message="a motor is hot")),
            ended(execution(2, status=Status.TAKEOVER)),
        ]
    )
    assert dict(metrics) == pytest.approx(
        {
            "safety/limited_chunks": 2,
            "safety/clamped_share": 5 / 40,
            "safety/max_clamp": 0.25,
            "safety/faults": 1,
            "safety/takeovers": 1,
        }
    )


def test_a_rollout_without_chunks_has_no_incidents() -> None:
    assert set(safety_metrics([]).values()) == {0}
