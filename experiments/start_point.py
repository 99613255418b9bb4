"""The imitation checkpoint that the curves of an experiment start from: made once, and chosen by `StartRule`."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core import seeds
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.evaluation.evaluate import Acting, EvaluationResult, evaluate_actor
from chunk_ppo_ros.sim.simulator import make_simulator
from experiments import state
from experiments.definitions import Experiment, StartRule

IMITATIONS = {"tokens": "experiments.token_start", "gaussian": "experiments.baselines.gaussian_start"}
"""Modules that are an `Imitation`, by the kind of policy that they make."""


class Imitation(Protocol):
    """What is needed of a module that imitates demonstrations."""

    def imitate(self, config: TrainConfig, folder: Path, *, steps: Collection[int]) -> dict[int, Path]:
        """Imitates, and keeps a checkpoint below `folder` after each of `steps`; their places by these numbers.

        Demonstrations are those of `pretrain` and `run.seed`, so that all kinds of policy imitate the same ones.
        """

    def Candidates(self, config: TrainConfig, *, greedy: bool) -> Candidates:  # noqa: N802  (a class of the module)
        """What loads the checkpoints to be measured."""


class Candidates(Protocol):
    """Loads one checkpoint after the other; what was returned before is not used any more."""

    def load(self, checkpoint: Path) -> Acting:
        """The policy of a checkpoint."""


class NoStart(UserError):
    """No imitation checkpoint has a success within the rule's bounds."""


@dataclasses.dataclass(frozen=True)
class StartPoint:
    """A start that fits the rule.

    Attributes:
        checkpoint: folder of the openpi checkpoint.
        record: how it was made and chosen, for the results.
    """

    checkpoint: Path
    record: dict[str, Any]


def validation_starts(run_seed: int, episodes: int) -> list[int]:
    """Seeds of starts that choices are made on, and never results."""
    return [seeds.episode_seed(seeds.VALIDATION, run_seed=run_seed, episode=episode) for episode in range(episodes)]


def ensure(name: str, experiment: Experiment, root: Path) -> StartPoint:
    """The start of an experiment, made where it is not there yet; other settings make another start.

    Raises:
        NoStart: when no candidate fits; their measured successes are in the text.
    """
    config = start_config(experiment)
    folder = root / name / f"start-{fingerprint(experiment, config)}"
    with state.locked(folder, wait=True):
        record = state.read_json(folder / "start.json")
        if record is None:
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted imitation left
            record = _make(experiment, config, folder)
            state.write_json(folder / "start.json", record)
    return StartPoint(folder / record["checkpoint"], record)


_ROUNDING = 1e-9  # so that a success on a bound is within it


def choose(rule: StartRule, successes: dict[int, float]) -> int:
    """The gradient steps of the candidate that the rule takes.

    Args:
        rule: has the bounds.
        successes: of each candidate by its gradient steps, 0..1.

    Raises:
        NoStart: when none lies within the bounds.
    """
    middle, half = (rule.lowest + rule.highest) / 2, (rule.highest - rule.lowest) / 2
    distances = {steps: abs(success - middle) for steps, success in successes.items()}
    within = [steps for steps, distance in distances.items() if distance <= half + _ROUNDING]
    if not within:
        measured = ", ".join(f"{steps} steps {success:.1%}" for steps, success in sorted(successes.items()))
        raise NoStart(
            f"success of a start must be within {rule.lowest:.0%}..{rule.highest:.0%}, got {measured}; "
            "change the rule's steps or the demonstrations in experiments/definitions.py"
        )
    nearest = min(distances[steps] for steps in within)
    return max(steps for steps in within if distances[steps] <= nearest + rule.margin + _ROUNDING)


def start_config(experiment: Experiment) -> TrainConfig:
    """The settings of imitation; they do not depend on the curve's seed or variant."""
    rule, config = experiment.start, experiment.config
    return dataclasses.replace(
        config,
        run=dataclasses.replace(config.run, seed=rule.seed),
        pretrain=dataclasses.replace(config.pretrain, bc_steps=max(rule.steps)),
    )


def fingerprint(experiment: Experiment, config: TrainConfig) -> str:
    """A name for everything that the imitation depends on: other settings have another one."""
    sections = config_lib.to_dict(config)
    used = {name: sections[name] for name in ("model", "env", "robot", "pretrain")}
    used |= {"rule": config_lib.to_dict(experiment.start), "greedy": experiment.greedy}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:8]


def _make(experiment: Experiment, config: TrainConfig, folder: Path) -> dict[str, Any]:
    """Imitates, measures the candidates and returns the record of the chosen one."""
    rule, started = experiment.start, time.monotonic()
    imitation: Any = importlib.import_module(IMITATIONS[rule.policy])
    folders: dict[int, Path] = imitation.imitate(config, folder, steps=rule.steps)
    imitated = time.monotonic()
    candidates: Candidates = imitation.Candidates(config, greedy=experiment.greedy)
    measured = _measure(folders, candidates, config, starts=validation_starts(rule.seed, rule.episodes))
    chosen = choose(rule, {steps: float(one.success.mean()) for steps, one in measured.items()})
    return {
        "checkpoint": folders[chosen].relative_to(folder).as_posix(),
        "seed": rule.seed,
        "policy": rule.policy,
        "demonstrations": config.pretrain.num_demonstrations,
        "gradient_steps": chosen,
        "success": float(measured[chosen].success.mean()),
        "validation_episodes": rule.episodes,
        "candidates": {str(steps): float(one.success.mean()) for steps, one in measured.items()},
        "imitation_minutes": round((imitated - started) / 60, 2),
        "measuring_minutes": round((time.monotonic() - imitated) / 60, 2),
        **state.provenance(),
    }


def _measure(
    folders: dict[int, Path], candidates: Candidates, config: TrainConfig, *, starts: Sequence[int]
) -> dict[int, EvaluationResult]:
    """All candidates on the same starts, by gradient steps."""
    with closing(make_simulator(config)) as simulator:
        env, measured = SimulatorEnv(simulator, config), {}
        for steps, folder in sorted(folders.items()):
            name = f"{steps} steps of imitation"
            measured[steps] = evaluate_actor(candidates.load(folder), env, starts=starts, name=name)
            print(f"candidate: {measured[steps]}", flush=True)
    return measured
