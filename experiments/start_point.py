"""Makes the imitation checkpoint from which all curves of an experiment start, and chooses it by `StartRule`."""

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
"""The module of each kind of policy, which has the interface `Imitation`."""


class Imitation(Protocol):
    """The interface of a module that imitates demonstrations."""

    def imitate(self, config: TrainConfig, folder: Path, *, steps: Collection[int]) -> dict[int, Path]:
        """Imitates and writes a checkpoint below `folder` after each of `steps`. Returns their folders by steps.

        The demonstrations follow from `pretrain` and `run.seed`, so that all kinds of policy imitate the same ones.
        """

    def Candidates(self, config: TrainConfig, *, greedy: bool) -> Candidates:  # noqa: N802  (a class of the module)
        """Returns an object that loads the checkpoints to be measured."""


class Candidates(Protocol):
    """Loads one checkpoint after the other. A policy that was returned before is not used any more."""

    def load(self, checkpoint: Path) -> Acting[Any]:
        """Returns the policy of a checkpoint."""


class NoStart(UserError):
    """No imitation checkpoint has a success within the rule's bounds."""


@dataclasses.dataclass(frozen=True)
class StartPoint:
    """A start that fits the rule.

    Attributes:
        checkpoint: folder of the openpi checkpoint.
        record: record of how it was made and chosen, for the results.
    """

    checkpoint: Path
    record: dict[str, Any]


def validation_starts(run_seed: int, episodes: int) -> list[int]:
    """Returns the seeds of starts that are used for choices and never for results."""
    return [seeds.episode_seed(seeds.VALIDATION, run_seed=run_seed, episode=episode) for episode in range(episodes)]


def ensure(name: str, experiment: Experiment, root: Path) -> StartPoint:
    """Returns the start of an experiment, and makes it where there is none yet. Other settings need another start.

    Raises:
        NoStart: when no candidate fits; the text has their measured successes.
    """
    config = start_config(experiment)
    folder = root / name / f"start-{fingerprint(experiment, config)}"
    with state.locked(folder, wait=True):
        record = state.read_json(folder / "start.json")
        if record is None:
            shutil.rmtree(folder, ignore_errors=True)  # It may hold files of an interrupted imitation.
            record = _make(experiment, config, folder)
            state.write_json(folder / "start.json", record)
    return StartPoint(folder / record["checkpoint"], record)


_ROUNDING = 1e-9  # With it, a success that equals a bound counts as within the bounds.


def choose(rule: StartRule, successes: dict[int, float]) -> int:
    """Returns the gradient steps of the candidate that the rule takes.

    Args:
        rule: rule with the bounds.
        successes: success of each candidate by its gradient steps, 0..1.

    Raises:
        NoStart: when no candidate is within the bounds.
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
    """Returns the settings of imitation, which do not depend on the curve's seed or variant."""
    rule, config = experiment.start, experiment.config
    return dataclasses.replace(
        config,
        run=dataclasses.replace(config.run, seed=rule.seed),
        pretrain=dataclasses.replace(config.pretrain, bc_steps=max(rule.steps)),
    )


def fingerprint(experiment: Experiment, config: TrainConfig) -> str:
    """Returns a checksum of all settings that the imitation depends on. Other settings have another checksum."""
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
    """Measures all candidates on the same starts, and returns their results by gradient steps."""
    with closing(make_simulator(config)) as simulator:
        env, measured = SimulatorEnv(simulator, config), {}
        for steps, folder in sorted(folders.items()):
            name = f"{steps} steps of imitation"
            measured[steps] = evaluate_actor(candidates.load(folder), env, starts=starts, name=name)
            print(f"candidate: {measured[steps]}", flush=True)
    return measured
