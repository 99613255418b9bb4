"""Tests that `evaluate` counts what its episodes did. The actor and the simulator are stand-ins."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros.config import PRESETS, EpisodeConfig, TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.errors import SettingError
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
    """Makes every third chunk invalid. Its actions are the chunk's number."""

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
    """Has episodes of 1, 2, 1, 2, .. chunks with the reward 0.5 each. Those of two chunks succeed."""

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
    env, ended = FakeEnv(), []
    monkeypatch.setattr(evaluate, "simulated", lambda config: contextlib.nullcontext(env))
    result = evaluate.evaluate_checkpoint(
        SOMEWHERE, PRESETS["debug"], episodes=4, on_episode=lambda: ended.append(len(env.seeds))
    )
    # The episodes have the chunks 1 | 2 3 | 4 | 5 6, of which the third and the sixth are invalid.
    np.testing.assert_array_equal(result.success, [False, True, False, True])
    np.testing.assert_array_equal(result.reward, [0.5, 1.0, 0.5, 1.0])
    np.testing.assert_array_equal(result.num_chunks, [1, 2, 1, 2])
    np.testing.assert_array_equal(result.invalid, [0, 1, 0, 1])
    summary = result.summary
    assert (summary.success_mean, summary.episodes, result.decoding) == (0.5, 4, "sample")
    assert summary.invalid_fraction == pytest.approx(2 / 6)
    assert "2 of 6 chunks invalid" in str(result)
    assert ACTORS[-1].sequence_numbers == [0, 10_000, 10_001, 20_000, 30_000, 30_001]
    assert ended == [1, 2, 3, 4]
    starts = [seeds.episode_seed(seeds.EVALUATION, run_seed=PRESETS["debug"].run.seed, episode=n) for n in range(4)]
    assert env.seeds == starts


TWO_OF_FOUR = evaluate.EvaluationResult(
    "run/step_3", "greedy", *(np.array(x) for x in ([0, 1, 1, 0], [0.0, 1.0, 1.0, 0.0], [0] * 4, [2] * 4))
)


def test_a_result_has_its_intervals() -> None:
    # Wilson's interval of 2 in 4 is 0.150039..0.849961. The reward's standard error is 0.57735 / 2, and t(0.975, 3) =
    # 3.18245.
    half = 3.18245 * 0.57735 / 2
    assert TWO_OF_FOUR.metrics() == pytest.approx(
        {
            "evaluation/episodes": 4,
            "evaluation/success_mean": 0.5,
            "evaluation/success_low": 0.150039,
            "evaluation/success_high": 0.849961,
            "evaluation/reward_mean": 0.5,
            "evaluation/reward_low": 0.5 - half,
            "evaluation/reward_high": 0.5 + half,
            "evaluation/invalid_fraction": 0.0,
        },
        abs=1e-5,
    )
    assert str(TWO_OF_FOUR) == (
        "run/step_3: success 50.0% [15.0%, 85.0%], mean reward 0.500 [-0.419, 1.419] over 4 episodes, greedy decoding, "
        "95 % intervals"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((), {"episodes": 64, "greedy": False}), (("--episodes", "2", "--greedy"), {"episodes": 2, "greedy": True})],
)
def test_the_command_measures_prints_and_writes(
    arguments: tuple[str, ...],
    expected: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[dict[str, Any]] = []

    def measure(
        checkpoint: Checkpoint, config: TrainConfig, *, on_outcome: Any, on_episode: Any, **options: Any
    ) -> evaluate.EvaluationResult:
        asked.append(options)
        on_episode()
        return TWO_OF_FOUR

    monkeypatch.setattr(evaluate.Checkpoint, "open", lambda path: SOMEWHERE)
    monkeypatch.setattr(evaluate, "evaluate_checkpoint", measure)
    file = tmp_path / "new" / "result.json"
    for output in ((), ("--json", str(file))):
        assert evaluate.main(["somewhere", "--config", "debug", *arguments, *output]) == 0
    assert asked == [expected] * 2
    assert capsys.readouterr().out.splitlines().count(str(TWO_OF_FOUR)) == 2
    written = json.loads(file.read_text())
    assert (written["checkpoint"], written["decoding"], written["success_mean"]) == ("run/step_3", "greedy", 0.5)


def test_an_interval_takes_two_episodes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["somewhere", "--episodes", "1"])
    assert "--episodes must be at least 2 for an interval, got 1" in capsys.readouterr().err


def test_a_comparison_is_paired_by_start() -> None:
    before = evaluate.EvaluationResult(
        "a", "sample", *(np.array(x) for x in ([0, 0, 1, 0], [0.0] * 4, [0] * 4, [1] * 4))
    )
    after = evaluate.EvaluationResult(
        "b", "sample", *(np.array(x) for x in ([1, 1, 1, 1], [1.0] * 4, [0] * 4, [1] * 4))
    )
    assert "invalid" not in str(after)
    assert evaluate.compare(before, after).difference == pytest.approx(0.75)


@dataclasses.dataclass(frozen=True)
class Seen:
    """An observation of which the evaluation changes the prompt."""

    prompt: str = "the task's own"


class PromptEnv(FakeEnv):
    """Shows observations with a prompt."""

    def reset(self, *, seed: int) -> Any:
        super().reset(seed=seed)
        return Seen()

    def step_chunk(self, actions: np.ndarray) -> Any:
        return (Seen(), *super().step_chunk(actions)[1:])


class PromptActor(FakeActor):
    """Remembers the prompt of each chunk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.prompts: list[str] = []

    def observe(self, observation: Any) -> int:
        self.prompts.append(observation.prompt)
        return 0


def evaluate_prompts(monkeypatch: pytest.MonkeyPatch, *prompts: str, episodes: int) -> Any:
    monkeypatch.setattr(evaluate, "Actor", PromptActor)
    monkeypatch.setattr(evaluate, "simulated", lambda config: contextlib.nullcontext(PromptEnv()))
    config = dataclasses.replace(PRESETS["debug"], episode=EpisodeConfig(prompts=prompts))
    return evaluate.evaluate_checkpoint(SOMEWHERE, config, episodes=episodes)


def test_several_prompts_take_turns_and_are_reported_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The episodes of the prompt door have two chunks and succeed, whatever the weights are."""
    result = evaluate_prompts(monkeypatch, "9=cup", "door", episodes=4)
    assert ACTORS[-1].prompts == ["cup", "door", "door"] * 2  # type: ignore[attr-defined]
    assert {prompt: (each.success_mean, each.episodes) for prompt, each in result.by_prompt.items()} == {
        "cup": (0.0, 2),
        "door": (1.0, 2),
    }
    metrics = result.metrics()
    assert (metrics["evaluation/success_mean"], metrics["evaluation/success_mean/door"]) == (0.5, 1.0)
    assert json.loads(result.to_json())["prompts"]["door"]["reward_mean"] == 1.0
    whole, cup, door = str(result).splitlines()
    assert "success 50.0%" in whole and "95 % intervals" in whole
    assert cup.startswith("  'cup': success 0.0% [0.0%, 65.8%]")
    assert door.startswith("  'door': success 100.0% [34.2%, 100.0%]") and door.endswith("over 2 episodes")


def test_a_list_of_one_prompt_is_measured_and_not_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    result = evaluate_prompts(monkeypatch, "cup", episodes=2)
    assert set(ACTORS[-1].prompts) == {"cup"}  # type: ignore[attr-defined]
    assert (result.by_prompt, "prompts" in json.loads(result.to_json())) == ({}, False)


def test_each_prompt_needs_two_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match="at least 2 episodes for each of 3 prompts, got 5; set --episodes 6 or"):
        evaluate_prompts(monkeypatch, "cup", "door", "cube", episodes=5)
