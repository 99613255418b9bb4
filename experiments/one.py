"""Runs one curve: start, evaluation before, training with points on validation starts, evaluation after.

Finished parts are kept. The start has its own folder, evaluations are in `state.json`, and training is in checkpoints
and `metrics.jsonl`. After a kill at any time, the same call continues.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from chunk_ppo_ros.agent.env import SimulatorEnv
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.parameter_file import flatten
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.evaluation.evaluate import EvaluationResult, evaluate_actor, evaluation_start
from chunk_ppo_ros.reporting.metrics_log import MetricsLog
from chunk_ppo_ros.sim.simulator import make_simulator
from experiments import methods, start_point, state
from experiments.definitions import Curve
from experiments.results import Measured, Result, summarize
from experiments.training import Training


class Changed(UserError):
    """An unfinished or finished curve was made with other settings or other code."""


def run_curve(curve: Curve, root: Path, *, fresh: bool = False, any_code: bool = False) -> Result:
    """Returns the result of a curve, and runs the parts that no earlier call has finished.

    Args:
        curve: curve to run.
        root: folder of unfinished and finished curves.
        fresh: whether to remove everything that earlier calls made of this curve, except the start.
        any_code: whether to continue a curve that other code began; its result names both.

    Raises:
        Changed: when an earlier call had other settings, or had other code and `any_code` is not set.
        Busy: when another process runs this curve.
        NoStart: when no imitation checkpoint fits the rule.
    """
    folder = curve.folder(root)
    with state.locked(folder, wait=False):
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        stages = _Stages(folder, curve, any_code=any_code)
        finished = state.read_json(folder / "result.json")
        if finished is not None:
            return Result(**finished)
        start = start_point.ensure(curve.name, curve.experiment, root)
        return _run(curve, folder, stages, start)


def _run(curve: Curve, folder: Path, stages: _Stages, start: start_point.StartPoint) -> Result:
    began = time.monotonic()
    config = _placed(curve, folder, start.checkpoint)
    with _environment(config) as rollouts, _environment(config) as measuring:
        asked = curve.experiment
        method = methods.begin(asked.method, config, rollouts, greedy=asked.greedy, options=asked.options)
        starts = [evaluation_start(curve.seed, episode) for episode in range(asked.episodes)]

        def evaluated(stage: str) -> Measured:
            return stages.measured(stage, lambda: evaluate_actor(method.policy, measuring, starts=starts, name=stage))

        set_up = time.monotonic() - began
        before = evaluated("before")
        with MetricsLog.open(folder, config=config, run_id=method.run_id) as log:
            Training(curve, method, measuring, log, folder).run(set_up=set_up)
        after = evaluated("after")
    result = summarize(
        curve, start=start.record, before=before, after=after, folder=folder, provenance=stages.provenance()
    )
    state.write_json(folder / "result.json", dataclasses.asdict(result))
    return result


def _placed(curve: Curve, folder: Path, start: Path) -> TrainConfig:
    """Returns the curve's configuration with its folders."""
    run = dataclasses.replace(
        curve.config.run,
        exp_name=curve.label.replace("/", "-"),
        run_dir=str(folder),
        checkpoint_root=str(folder),
        checkpoint_dir="checkpoints",
        pretrained_checkpoint_path=str(start.resolve()),
        on_load_failure="fail",
        keep_checkpoints=1,
        wandb=False,
    )
    return dataclasses.replace(curve.config, run=run)


@contextmanager
def _environment(config: TrainConfig) -> Iterator[SimulatorEnv]:
    """Makes a separate environment, because measuring must not disturb an unfinished episode of a rollout."""
    with closing(make_simulator(config)) as simulator:
        yield SimulatorEnv(simulator, config)


class _Stages:
    """Keeps `state.json`, which has the settings and the code of a curve, and its finished evaluations."""

    def __init__(self, folder: Path, curve: Curve, *, any_code: bool) -> None:
        self._path = folder / "state.json"
        present: dict[str, Any] = {"settings": curve.settings(), "made_by": [state.provenance()], "measured": {}}
        self._values = state.read_json(self._path) or present
        _check_settings(folder, self._values["settings"], present["settings"])
        if self._values["made_by"][-1]["code"] != state.code_version():
            if not any_code:
                raise Changed(
                    f"{folder} must be gone on with by the code that began it "
                    f"({self._values['made_by'][-1]['code']}), got {state.code_version()}; begin anew by --fresh, or "
                    "go on by --any_code"
                )
            self._values["made_by"].append(state.provenance())
        state.write_json(self._path, self._values)

    def measured(self, stage: str, measure: Any) -> Measured:
        """Returns the stage's evaluation. Where there is none yet, `measure` makes it."""
        if stage not in self._values["measured"]:
            began = time.monotonic()
            evaluation: EvaluationResult = measure()
            print(evaluation, flush=True)
            measured = Measured.of(evaluation, minutes=(time.monotonic() - began) / 60)
            self._values["measured"][stage] = dataclasses.asdict(measured)
            state.write_json(self._path, self._values)
        return Measured(**self._values["measured"][stage])

    def provenance(self) -> dict[str, Any]:
        """Returns the record of the code that finished the curve, and of other code that began it, if any."""
        *earlier, last = self._values["made_by"]
        load = round(os.getloadavg()[2], 1)  # Mean over the last 15 minutes; 1 is one busy core.
        return {
            **last,
            "load": load,
            "begun_by": [{key: one[key] for key in ("commit", "code", "date")} for one in earlier],
        }


def _check_settings(folder: Path, stored: dict[str, Any], present: dict[str, Any]) -> None:
    old, new = flatten(stored), flatten(present)
    differing = [
        f"{key}: {old.get(key)!r}, now {new.get(key)!r}" for key in sorted({*old, *new}) if old.get(key) != new.get(key)
    ]
    if differing:
        raise Changed(f"{folder} was begun with other settings: {'; '.join(differing)}; begin anew by --fresh")
