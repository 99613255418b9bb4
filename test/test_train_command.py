"""Tests that the command `train` hands its settings on, and warns of what is known to fail."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chunk_ppo_ros.agent import train
from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.agent.rollout_worker import EpisodeSummary
from chunk_ppo_ros.agent.run_start.checkpoint_settings import TrainingSetup
from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint, open_start
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.core.progress import Counters
from chunk_ppo_ros.core.types import Observation, Transition
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.reporting.metrics_file import read_records
from support import toy_policy
from support.small_policy import configure, save_openpi


def test_the_command_trains_with_its_flags_and_names_the_newest_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[TrainConfig, object]] = []

    def fake_train(setup: TrainingSetup, env: object) -> SimpleNamespace:
        trained.append((setup.config, env))
        metadata = SimpleNamespace(provenance=Provenance("scratch"))
        return SimpleNamespace(root=tmp_path / "step_7", require_metadata=lambda: metadata)

    monkeypatch.chdir(tmp_path)  # where the folder of the run is made
    monkeypatch.setattr(train, "train", fake_train)
    monkeypatch.setattr(train, "simulated", lambda config: contextlib.nullcontext("an environment"))
    assert train.main(["--config", "demo", "--seed", "5", "--checkpoint_root", str(tmp_path)]) == 0
    (config, env) = trained[0]
    assert config.ppo == PRESETS["demo"].ppo
    assert (config.run.seed, config.run.checkpoint_root, env) == (5, str(tmp_path), "an environment")
    assert capsys.readouterr().out.endswith(f"the newest checkpoint is {tmp_path / 'step_7'}\n")


def test_a_run_that_is_stopped_in_its_first_rollout_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Report:
        """Notes the requests in the place of the process that draws pages."""

        def __init__(self, run_dir: Path) -> None:
            events.append(f"page of {run_dir.name}")

        def __enter__(self) -> Report:
            return self

        def __exit__(self, *_: object) -> None:
            events.append("closed")

        def request(self) -> None:
            events.append("requested")

    class Stopped:
        """An environment in which the user stops the run at its start."""

        def reset(self, *, seed: int) -> Observation:
            events.append("rollout")
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "ReportWriter", Report)
    start = str(save_openpi(tmp_path / "imitation"))
    config = configure(tmp_path, run={"pretrained_checkpoint_path": start, "exp_name": "mine"})
    setup = TrainingSetup(config, open_start(config.run))
    with pytest.raises(KeyboardInterrupt):
        train.train(setup, cast(ChunkEnv, Stopped()))
    assert events == ["page of mine", "requested", "rollout", "closed"]


def test_a_run_that_has_nothing_to_resume_makes_no_folder(tmp_path: Path) -> None:
    places = ["--exp_name", "unknown", "--checkpoint_root", str(tmp_path / "kept"), "--run_dir", str(tmp_path / "runs")]
    with pytest.raises(CheckpointError, match="unknown holds no finished checkpoint to resume from"):
        train.main([*places, "--no_wandb", "--resume"])
    assert list(tmp_path.iterdir()) == []


class QuickLearner:
    """Is done after two updates, each of which counts what it is given."""

    startup_messages = ("a line to begin with",)
    provenance = Provenance("scratch")

    def __init__(self, events: list[object]) -> None:
        self.counters = Counters("run-1", num_chunks=4, num_steps=64, next_sequence_number=7, next_episode=3)
        self.checkpoint = "step 0"
        self.events = events

    run_id = property(lambda self: self.counters.run_id)
    num_steps = property(lambda self: self.counters.num_steps)
    policy_version = property(lambda self: self.counters.policy_version)
    finished = property(lambda self: self.counters.policy_version == 2)

    def update(self, transitions: list[Transition], *, progress: Callable[[int, int], object]) -> Metrics:
        self.events.append(("update", [one.id.sequence_number for one in transitions]))
        progress(1, 2)
        progress(2, 2)
        self.counters = self.counters.after(transitions)
        return Metrics({"reward/chunk_mean": 0.5})

    def save(self) -> str:
        self.checkpoint = f"step {self.policy_version}"
        return self.checkpoint


class QuickActor:
    """Writes down which weights it has."""

    def __init__(self, config: TrainConfig, checkpoint: str, *, policy_version: int) -> None:
        self.events: list[object] = []
        self.load(checkpoint, policy_version=policy_version)

    def load(self, checkpoint: str, *, policy_version: int) -> None:
        self.events.append((checkpoint, policy_version))


class QuickWorker:
    """Has two chunks and two episodes for each rollout, the second of which is solved."""

    def __init__(self, actor: QuickActor, env: object, *, config: TrainConfig, **numbers: object) -> None:
        actor.events.append((env, numbers))
        self._actor, self._next = actor, 7

    def collect(
        self, num_chunks: int, *, on_chunk: Callable[[], object]
    ) -> tuple[list[Transition], list[EpisodeSummary]]:
        on_chunk()
        self._actor.events.append(("collect", num_chunks))
        made = [toy_policy.transition(self._next + number) for number in range(2)]
        self._next += 2
        return made, [EpisodeSummary(number, 1.0, number == 1, 1, 2) for number in range(2)]


def test_training_goes_on_until_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, actors, requests = configure(tmp_path), list[QuickActor](), list[int]()

    def make_actor(*given: Any, **named: Any) -> QuickActor:
        actors.append(QuickActor(*given, **named))
        learner.events = actors[0].events
        return actors[0]

    class Report(contextlib.nullcontext[Any]):
        def request(self) -> None:
            requests.append(learner.policy_version)

    learner = QuickLearner([])
    monkeypatch.setattr(train, "Learner", SimpleNamespace(start=lambda config, start: learner))
    monkeypatch.setattr(train, "Actor", make_actor)
    monkeypatch.setattr(train, "RolloutWorker", QuickWorker)
    monkeypatch.setattr(train, "ReportWriter", lambda run_dir: Report(Report()))
    env = cast(ChunkEnv, "an environment")
    assert train.train(TrainingSetup(config, NoCheckpoint()), env) == "step 2"
    (actor,) = actors
    numbers = {"run_id": "run-1", "sequence_number": 7, "episode": 3}
    size = config.ppo.num_chunks_per_update
    assert actor.events == [
        ("step 0", 0),
        (env, numbers),
        *(("collect", size), ("update", [7, 8]), ("step 1", 1)),
        *(("collect", size), ("update", [9, 10]), ("step 2", 2)),
    ]
    assert requests == [0, 1, 2]  # The first is before the first rollout.
    records = read_records(config.run.folder)
    assert [record["kind"] for record in records] == ["run", *["episode", "episode", "update"] * 2]
    # The episodes of a rollout are logged before its update.
    assert [record["policy_version"] for record in records[1:]] == [0, 0, 1, 1, 1, 2]
    assert [record["episode/success"] for record in records if record["kind"] == "episode"] == [0.0, 1.0] * 2
    last = records[-1]
    assert (last["num_chunks"], last["num_steps"], last["reward/chunk_mean"]) == (4 + 4, 64 + 8, 0.5)
    assert 0.0 <= last["time/rollout"] < 60.0 and 0.0 <= last["time/update"] < 60.0
    walls = [record["run_time/wall"] for record in records if record["kind"] == "update"]
    assert 0.0 <= walls[0] <= walls[1] < 60.0
    assert {name for record in records for name in record if name.startswith("run_time/")} == {"run_time/wall"}
    assert (records[0]["start"], records[0]["is_fallback"]) == ("fresh weights", False)
    opening, *lines = capsys.readouterr().out.splitlines()
    assert opening == "a line to begin with"
    told = [line.partition("; ") for line in lines]
    assert [line for line, *_ in told] == [
        f"version {number}: {64 + 4 * number}/{config.ppo.total_timesteps} steps, 1/2 episodes solved, "
        "reward/chunk_mean 0.500"
        for number in (1, 2)
    ]
    assert told[0][2] == ""  # The first update says nothing of a pace, because XLA compiles in it.
    assert re.fullmatch(r"about \d.* left, until \d\d:\d\d", told[1][2])


@pytest.mark.parametrize(
    ("variant", "rank", "rate", "warned"),
    [
        ("gemma_2b", 0, 3e-4, True),
        ("gemma_2b", 0, 1e-4, False),
        ("gemma_2b", 8, 3e-4, False),
        ("gemma_2b_lora", 0, 3e-4, False),
        ("tiny", 0, 3e-4, False),
    ],
)
def test_a_rate_that_ruins_all_of_gemma_2b_gives_a_warning(
    variant: str, rank: int, rate: float, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    full = PRESETS["full"]
    config = dataclasses.replace(
        full,
        model=dataclasses.replace(full.model, paligemma_variant=variant, lora_rank=rank),
        ppo=dataclasses.replace(full.ppo, learning_rate=rate),
    )
    train.warn_of_large_rate(config)
    printed = capsys.readouterr().out
    assert printed.startswith("warning: ppo.learning_rate 0.0003 on all of gemma_2b") if warned else printed == ""
