"""Tests that the bench measures every part once at small sizes. No test asserts how long anything takes."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import jax
import numpy as np
import pytest

from chunk_ppo_ros.agent.transition_checks import check_transition
from chunk_ppo_ros.config import TINY_MODEL, TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import ChunkId, ModelObservation, Observation, SampledChunk
from chunk_ppo_ros.evaluation.bench import bench, bench_inputs, bench_model, measurement
from chunk_ppo_ros.evaluation.bench.bench_inputs import ImageSize
from chunk_ppo_ros.evaluation.bench.bench_model import ModelBench
from chunk_ppo_ros.evaluation.bench.measurement import Case, Figure, measure, milliseconds, rate_of
from chunk_ppo_ros.rl.rollout import RolloutBatch
from chunk_ppo_ros.robot import aloha
from support import toy_policy

RUNS = 2
DOMAIN = int(os.environ["ROS_DOMAIN_ID"])


def small_setup(folder: Path) -> bench.Setup:
    setup = bench.make_setup(folder, runs=RUNS, domain_id=DOMAIN)
    model = dataclasses.replace(setup.config.model, image_size=16, patch_size=16)
    ppo = dataclasses.replace(setup.config.ppo, num_chunks_per_update=4, batch_size=2)
    return dataclasses.replace(
        setup,
        config=dataclasses.replace(setup.config, model=model, ppo=ppo),
        large_images=ImageSize(pixels=32, patch=16),
        num_transitions=12,
    )


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Figure]]:
    """Returns the figures of all parts, at small sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_model, "GRADIENT_BATCHES", (2,))
        setup = small_setup(tmp_path_factory.mktemp("bench"))
        return dict(zip(bench.PARTS, bench.measure_parts(bench.PARTS, setup), strict=True))


EXPECTED = {
    "act": {
        "chunk, 3 cameras at 16/16 = 3 tokens": "ms",
        "chunk, 3 cameras at 16/16 = 3 tokens: tokens sampled": "tokens",
        "chunk, 3 cameras at 32/16 = 12 tokens": "ms",
        "chunk, 3 cameras at 32/16 = 12 tokens: tokens sampled": "tokens",
    },
    "update": {"PPO update: 4 chunks, 2 epochs, batch 2": "chunks/s", "gradients, batch 2": "samples/s"},
    "observe": {
        "3 images 480x640 to observation at 16": "ms",
        "3 images 480x640 to observation at 32": "ms",
        "before that: 3 images 480x640 deserialized": "ms",
    },
    "topics": {  # 3 cameras * size^2 pixels * 3 bytes: 2.304 and 9.216 kB
        "transitions, 3 cameras at 16 (2 kB), 8 under way": "transitions/s",
        "transitions, 3 cameras at 16 (2 kB), one at a time": "transitions/s",
        "transitions, 3 cameras at 32 (9 kB), 8 under way": "transitions/s",
        "transitions, 3 cameras at 32 (9 kB), one at a time": "transitions/s",
    },
    "checkpoint": {
        "save: weights, optimizer, tokenizers, forced to the disk": "ms",
        "load: new weights into an actor": "ms",
        "resume: everything into a learner": "ms",
    },
}


@pytest.mark.graph
@pytest.mark.slow
@pytest.mark.parametrize("part", bench.PARTS)
def test_each_part_gives_its_figures(figures: dict[str, list[Figure]], part: str) -> None:
    assert {figure.name: figure.unit for figure in figures[part]} == EXPECTED[part]
    for figure in figures[part]:
        assert figure.part == part
        assert len(figure.values) == RUNS
        assert all(math.isfinite(value) and value > 0 for value in figure.values)


@pytest.mark.graph
@pytest.mark.slow
def test_a_chunk_has_at_most_the_tokens_that_fit(figures: dict[str, list[Figure]]) -> None:
    # All slots of action tokens count, less those of the forced "|" and the end token.
    tokens = [value for figure in figures["act"] if figure.unit == "tokens" for value in figure.values]
    assert all(1 <= count <= TINY_MODEL.max_action_tokens - 2 for count in tokens)


def test_the_command_prints_and_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    assert bench.main(["--only", "checkpoint", "--runs", "2", "--json", str(file), "--folder", str(tmp_path)]) == 0
    written = json.loads(file.read_text())
    printed = capsys.readouterr().out
    assert written["machine"].keys() >= {"cores", "jax", "load_average_1min", "load_average_1min_after"}
    assert f"jax {written['machine']['jax']}" in printed
    assert [record["name"] for record in written["figures"]] == list(EXPECTED["checkpoint"])
    assert all(record["name"] in printed and record["runs"] == 2 for record in written["figures"])
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]  # nothing else stays behind


@pytest.mark.parametrize("runs", ["0", "-1", "many"])
def test_the_number_of_runs_is_checked(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        bench.main(["--runs", runs])
    assert exit_status.value.code == 2
    assert "--runs must be " in capsys.readouterr().err


def test_a_part_that_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PART_TIMEOUT", 0.01)
    with tempfile.TemporaryDirectory() as folder, pytest.raises(UserError, match="topic_bench failed"):
        next(bench.measure_parts(["topics"], small_setup(Path(folder))))


class QuickActor:
    """Samples chunks of noise, of which the first has one token, the second two and so on."""

    made: ClassVar[list[QuickActor]] = []

    def __init__(self, config: TrainConfig, checkpoint: SimpleNamespace, *, policy_version: int) -> None:
        self.config, self.checkpoint, self._random = config, checkpoint, np.random.default_rng(0)
        self.sequence_numbers: list[int] = []
        self.made.append(self)

    def observe(self, observation: Observation) -> ModelObservation:
        assert observation.images.shape[1:3] == (self.config.model.image_size,) * 2
        return bench_inputs.random_chunk(self.config.model, self._random).observation

    def act(self, observation: ModelObservation, *, sequence_number: int) -> SampledChunk:
        self.sequence_numbers.append(sequence_number)
        chunk = bench_inputs.random_chunk(self.config.model, self._random)
        mask = np.arange(len(chunk.token_mask)) < len(self.sequence_numbers)
        tokens = np.zeros_like(chunk.action_tokens)
        return dataclasses.replace(chunk, observation=observation, action_tokens=tokens, token_mask=mask)


class QuickUpdate:
    """Writes down the rewards of each rollout and changes nothing."""

    rewards: ClassVar[list[np.ndarray]] = []

    def __init__(self, *_: Any) -> None:
        pass

    def run(self, params: Any, opt_state: Any, rollout: RolloutBatch, *, key: jax.Array) -> SimpleNamespace:
        self.rewards.append(rollout.rewards)
        return SimpleNamespace(params=params, opt_state=opt_state)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelBench:
    """Returns the bench of a model in which nothing takes time. Its policy is the toy policy."""
    bundle = SimpleNamespace(params=toy_policy.init_params(), policy=SimpleNamespace(evaluate=toy_policy.evaluate))
    learner = SimpleNamespace(checkpoint=SimpleNamespace(assets=tmp_path / "assets"))
    monkeypatch.setattr(bench_model, "Learner", SimpleNamespace(start=lambda config: learner))
    monkeypatch.setattr(bench_model.restore, "load", lambda checkpoint, config: bundle)
    monkeypatch.setattr(bench_model, "Actor", QuickActor)
    monkeypatch.setattr(bench_model, "PPOUpdate", QuickUpdate)
    monkeypatch.setattr(bench_model, "GRADIENT_BATCHES", (2,))
    monkeypatch.setattr(QuickActor, "made", [])
    monkeypatch.setattr(QuickUpdate, "rewards", [])
    setup = small_setup(tmp_path)
    return ModelBench(setup.config, setup.large_images, runs=RUNS)


def test_acting_is_measured_at_two_image_sizes_and_counts_its_tokens(quick: ModelBench, tmp_path: Path) -> None:
    figures = quick.act()
    assert {figure.name: figure.unit for figure in figures} == EXPECTED["act"]
    # The first two chunks of each actor warm it up.
    assert [figure.values for figure in figures if figure.unit == "tokens"] == [(3.0, 4.0)] * 2
    small, large = sorted(QuickActor.made, key=lambda actor: actor.config.model.image_size)
    numbers = [*small.sequence_numbers, *large.sequence_numbers]
    assert len(set(numbers)) == len(numbers) == 8  # Each chunk has a key of its own.
    assert (large.config.model.image_size, large.config.model.patch_size) == (32, 16)
    # The second model has the tokenizers of the first one, and its own checkpoints.
    assert large.config.run.tokenizer_dir == str(tmp_path / "assets")
    assert large.config.run.exp_name != small.config.run.exp_name


def test_updates_are_measured_on_new_rollouts(quick: ModelBench) -> None:
    figures = quick.update()
    assert {figure.name: figure.unit for figure in figures} == EXPECTED["update"]
    assert all(len(figure.values) == RUNS and min(figure.values) > 0.0 for figure in figures)
    assert [rewards.shape for rewards in QuickUpdate.rewards] == [(4,)] * (2 + RUNS)
    assert len(np.unique(QuickUpdate.rewards)) == 4 * (2 + RUNS)


def test_parts_with_ros_are_measured_in_processes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure("topics", "a name", "ms", (1.0, 3.0))
    asked: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], *, env: dict[str, str], **options: Any) -> SimpleNamespace:
        assert (options["check"], options["text"], options["timeout"]) == (True, True, bench.PART_TIMEOUT)
        asked.append((command, env))
        return SimpleNamespace(stdout=json.dumps([figure.record()]))

    monkeypatch.setattr(bench.subprocess, "run", run)
    monkeypatch.setenv("ROS_LOCALHOST_ONLY", "1")
    assert list(bench.measure_parts(["observe", "topics"], small_setup(tmp_path))) == [[figure], [figure]]
    common = ["--runs", "2", "--folder", str(tmp_path), "--image_sizes", "16", "32"]
    for (command, environment), end in zip(
        asked, (["observe_bench", *common], ["topic_bench", *common, "--num_transitions", "12"]), strict=True
    ):
        end[0] = f"chunk_ppo_ros.nodes.bench.{end[0]}"
        assert command[1:] == ["-m", "chunk_ppo_ros.runtime.supervised", str(os.getpid()), *end]
        assert environment["ROS_DOMAIN_ID"] == str(DOMAIN)
        assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
        assert environment["ROS_LOG_DIR"] == str(tmp_path / "ros_log")
        assert "ROS_LOCALHOST_ONLY" not in environment


def test_measured_chunks_are_whole_and_end_their_episodes() -> None:
    """The chunks that are sent and trained on have the shapes of the model and break no rule of transitions."""
    model, random = TINY_MODEL, np.random.default_rng(0)
    chunk = bench_inputs.random_chunk(model, random)
    assert (chunk.valid, chunk.human_driven, chunk.num_steps_asked) == (True, False, model.action_horizon)
    made = bench_inputs.transition_of(chunk, 3, random)
    check_transition(made, model)
    assert (made.id, made.outcome.terminated, made.outcome.truncated) == (ChunkId("bench", 3, 3, 0), True, False)
    assert made.outcome.num_steps == model.action_horizon
    assert [term.value for term in made.outcome.reward_terms] == [made.outcome.reward]
    assert (made.next_value, made.next_observation, 0.0 < made.discount < 1.0) == (0.0, None, True)
    observation = chunk.observation
    assert observation.image_mask.all() and observation.prompt_mask.all() and chunk.token_mask.all()
    assert observation.images.std() > 50.0  # Noise: a constant image would be compressed on its way.
    assert np.all(chunk.token_log_probs <= 0.0) and chunk.token_log_probs.std() > 0.0
    assert np.all(chunk.action_tokens >= 1) and np.all(observation.prompt_tokens >= 1)
    np.testing.assert_allclose(observation.state, aloha.START_POSE, atol=0.1)
    np.testing.assert_array_equal(chunk.actions, np.tile(observation.state, (model.action_horizon, 1)))


def test_the_bench_writes_below_its_folder_alone(tmp_path: Path) -> None:
    setup = bench.make_setup(tmp_path, runs=3)
    assert (setup.runs, setup.num_transitions, setup.domain_id) == (3, 128, None)
    run = setup.config.run
    assert (run.checkpoint_root, run.run_dir, run.wandb) == (str(tmp_path), str(tmp_path), False)
    size = setup.large_images  # As many image tokens as the published models have for each camera.
    assert (size.pixels // size.patch) ** 2 == 256


def test_the_machine_is_described_with_its_load_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (1.234, 5.0, 9.0))
    machine = bench.machine()
    assert machine["load_average_1min"] == 1.23
    assert (machine["cores"], machine["jax"]) == (len(os.sched_getaffinity(0)), jax.__version__)
    assert machine["numpy"] == np.__version__
    assert machine["device"] == "cpu"


def test_cases_take_turns_on_new_inputs_and_warm_ups_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(measurement.time, "perf_counter", lambda: clock[0])
    order: list[str] = []
    inputs = iter(range(100))

    def prepare() -> int:
        clock[0] += 1000.0  # must not be in the figures
        return next(inputs)

    def work(name: str, given: int) -> None:
        order.append(f"{name}{given}")
        clock[0] += given

    cases = [
        Case("a", "ms", prepare, lambda given: work("a", given), milliseconds),
        Case("b", "things/s", prepare, lambda given: work("b", given), rate_of(21)),
    ]
    slow, fast = measure("part", cases, runs=2)
    # Inputs 0..3 go to the two warm-ups of each case, and 4..7 to the runs. Case a takes 4 s and 6 s, and case b 5 s
    # and 7 s.
    assert order == ["a0", "b1", "a2", "b3", "a4", "b5", "a6", "b7"]
    assert slow.values == (4000.0, 6000.0)
    assert fast.values == (21 / 5, 21 / 7)


def test_a_figure_survives_its_record_and_shows_median_and_spread() -> None:
    figure = Figure("part", "name", "ms", (3.0, 1.0, 200.4, 2.0))
    record = json.loads(json.dumps(figure.record()))
    assert Figure.from_record(record) == figure
    assert (record["median"], record["min"], record["max"], record["runs"]) == (2.5, 1.0, 200.4, 4)  # (2 + 3) / 2
    assert str(figure).split() == ["name", "2.5", "ms", "1", "200", "4"]
