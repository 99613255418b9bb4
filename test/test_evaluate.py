"""`evaluate` counts what its episodes did; the actor and the simulator are stand-ins."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.core.execution import ExecutionResult
from chunk_ppo_ros.core.types import ChunkOutcome
from chunk_ppo_ros.evaluation import evaluate
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.run_settings import RunSettings


@dataclasses.dataclass(frozen=True)
class FakeChunk:
    asked_actions: np.ndarray
    valid: bool


class FakeActor:
    """Every third chunk is invalid; its actions are the chunk's number."""

    greedy = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sequence_numbers: list[int] = []
        ACTORS.append(self)

    def observe(self, observation: int) -> int:
        return observation

    def act(self, observation: int, *, sequence_number: int) -> FakeChunk:
        self.sequence_numbers.append(sequence_number)
        return FakeChunk(np.array(observation), valid=len(self.sequence_numbers) % 3 != 0)


class FakeEnv:
    """Episodes of 1, 2, 1, 2, .. chunks with reward 0.5 each; those of two chunks succeed."""

    def __init__(self, *args: Any) -> None:
        self.seeds: list[int] = []
        self._left = 0

    def reset(self, *, seed: int) -> int:
        self.seeds.append(seed)
        self._length = self._left = 2 - len(self.seeds) % 2
        return 0

    def step_chunk(self, actions: np.ndarray) -> tuple[int, float, bool, ChunkOutcome]:
        self._left -= 1
        success = self._length == 2 and self._left == 0
        outcome = ChunkOutcome(
            reward=0.5,
            reward_terms=(),
            execution=ExecutionResult.whole(16),
            terminated=success,
            truncated=False,
            success=success,
        )
        return 0, 0.5, self._left == 0, outcome

    def close(self) -> None:
        pass


ACTORS: list[FakeActor] = []
SOMEWHERE = Checkpoint(Path("somewhere"), "openpi", {}, {}, {}, None, RunSettings({}))


def test_episodes_are_counted_and_every_chunk_has_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "Actor", FakeActor)
    monkeypatch.setattr(evaluate, "simulated", lambda config: contextlib.nullcontext(FakeEnv()))
    result = evaluate.evaluate_checkpoint(SOMEWHERE, PRESETS["debug"], episodes=4)
    # chunks 1 | 2 3 | 4 | 5 6: the third and the sixth are invalid
    np.testing.assert_array_equal(result.success, [False, True, False, True])
    np.testing.assert_array_equal(result.reward, [0.5, 1.0, 0.5, 1.0])
    np.testing.assert_array_equal(result.num_chunks, [1, 2, 1, 2])
    np.testing.assert_array_equal(result.invalid, [0, 1, 0, 1])
    record = result.record()
    assert (record["success_mean"], record["episodes"], record["decoding"]) == (0.5, 4, "sample")
    assert record["invalid_fraction"] == pytest.approx(2 / 6)
    assert "2 of 6 chunks invalid" in str(result)
    assert len(set(ACTORS[-1].sequence_numbers)) == 6


def test_a_comparison_is_paired_by_start() -> None:
    before = evaluate.EvaluationResult(
        "a", "sample", *(np.array(x) for x in ([0, 0, 1, 0], [0.0] * 4, [0] * 4, [1] * 4))
    )
    after = evaluate.EvaluationResult(
        "b", "sample", *(np.array(x) for x in ([1, 1, 1, 1], [1.0] * 4, [0] * 4, [1] * 4))
    )
    assert "invalid" not in str(after)
    assert evaluate.compare(before, after).difference == pytest.approx(0.75)
