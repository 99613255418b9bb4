"""Defines the experiments: a task with its settings, the rule that chooses its start, and named changes to both.

This module has data only. A curve is one triple of experiment, variant and seed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chunk_ppo_ros import config as config_lib
from chunk_ppo_ros.config import KINEMATIC, PRESETS, TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.suggestions import did_you_mean

DEFAULT = "default"


class UnknownName(UserError):
    """No experiment or variant has this name."""


@dataclasses.dataclass(frozen=True)
class StartRule:
    """The rule that chooses the imitation checkpoint from which a curve starts.

    One imitation runs, and its weights after each of `steps` are candidates. The rule takes the candidate whose success
    on validation starts is nearest to the middle of `lowest` .. `highest`. Of candidates that are as near within
    `margin` it takes the one with the most steps, because so few starts cannot show which of them is better. Where no
    candidate is within the bounds, there is no start.

    Attributes:
        steps: gradient steps of imitation after which a candidate is kept; the last is `pretrain.bc_steps`.
        seed: seed of demonstrations, imitation and validation starts. One start serves all curves of an experiment.
        lowest: success that a start must have, 0..1.
        highest: success that a start must not exceed, 0..1.
        margin: difference of success that does not count, 0..1.
        episodes: validation starts that each candidate is measured on.
        policy: kind of policy that imitates, a key of `start_point.IMITATIONS`.
    """

    steps: tuple[int, ...]
    seed: int = 0
    lowest: float = 0.25
    highest: float = 0.50
    margin: float = 0.03
    episodes: int = 200
    policy: str = "tokens"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A task, the way in which it is learned, and the way in which success is measured.

    Attributes:
        config: settings of imitation and training; `run` is made for each curve.
        start: rule that chooses the imitation checkpoint.
        greedy: whether all evaluations take the likeliest token; otherwise they sample, as in training.
        chunks: largest number of chunks; training ends before a rollout would exceed it.
        episodes: number of evaluation starts, before and after, which no training, demonstration or choice has seen.
        validate_every: chunks between points of the curve.
        validation_episodes: number of validation starts for a point.
        save_every: chunks between checkpoints.
        method: name of the method that learns, a key of `methods.METHODS`.
        options: options of the method that are not in the configuration.
    """

    config: TrainConfig
    start: StartRule
    greedy: bool = True
    chunks: int = 3000
    episodes: int = 200
    validate_every: int = 512
    validation_episodes: int = 64
    save_every: int = 256
    method: str = "chunk_ppo"
    options: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A named change of an experiment.

    Attributes:
        why: text for the report that says what differs.
        changes: sections of the configuration with the settings that differ in training. The start stays the same.
        imitated: sections with the settings that differ in imitation as well, so that the variant has its own start.
        factors: sections with the settings that are multiplied.
        experiment: fields of `Experiment` that differ.
    """

    why: str
    changes: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    imitated: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    factors: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    experiment: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Curve:
    """One run of an experiment. The function `curve` makes it."""

    name: str
    variant: str
    seed: int
    experiment: Experiment
    config: TrainConfig

    @property
    def label(self) -> str:
        """The experiment's name, with the variant where it is not the default."""
        return self.name if self.variant == DEFAULT else f"{self.name}/{self.variant}"

    def folder(self, root: Path) -> Path:
        """Returns the folder of the run's own files, below `root`."""
        return root / self.name / self.variant / f"seed{self.seed}"

    def settings(self) -> dict[str, Any]:
        """Returns everything that the numbers depend on, as plain values. Names of folders are left out."""
        whole = config_lib.to_dict(self.experiment)
        del whole["config"]
        sections = config_lib.to_dict(self.config)
        run = sections.pop("run")
        return {**whole, "config": {**sections, "run": {"prompt": run["prompt"], "seed": run["seed"]}}}


def curve(name: str, *, variant: str = DEFAULT, seed: int) -> Curve:
    """Returns the curve with these names.

    Raises:
        UnknownName: when a name is unknown; the text has the nearest names.
        ValueError: when a variant's settings do not fit the configuration.
    """
    experiment = _look_up("experiment", name, EXPERIMENTS)
    change = _look_up("variant", variant, VARIANTS)
    imitated = config_lib.from_dict(TrainConfig, change.imitated, base=experiment.config)
    experiment = dataclasses.replace(experiment, config=imitated, **change.experiment)
    config = config_lib.from_dict(TrainConfig, change.changes, base=experiment.config)
    multiplied = {
        section: {setting: factor * getattr(getattr(config, section), setting) for setting, factor in settings.items()}
        for section, settings in change.factors.items()
    }
    config = config_lib.from_dict(TrainConfig, multiplied, base=config)
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, seed=seed))
    return Curve(name, variant, seed, experiment, config)


def _look_up(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        near = did_you_mean(name, known, otherwise="; python -m experiments run --help lists them")
        raise UnknownName(f"{kind} must be one of those in experiments/definitions.py, got '{name}'{near}")
    return known[name]


def _with(config: TrainConfig, **sections: Mapping[str, Any]) -> TrainConfig:
    return config_lib.from_dict(TrainConfig, sections, base=config)


_REACH = _with(PRESETS["demo"], run={"exp_name": "reach", "wandb": False, "on_load_failure": "fail"})

_CUBE = _with(
    _REACH,
    model={
        "temperature": 0.5,  # a grasp wants sharper samples than a reach
        # The meeting point is a constant in absolute joints, and not in joints relative to a state that is read from
        # tokens. openpi's pi0_aloha_sim, which has the same task, uses absolute joints too.
        "delta_actions": False,
        "max_action_tokens": 76,  # at scale 10 a demonstrated chunk has up to 68 tokens,
        "max_token_len": 112,  # and the prompt 34
    },
    # An absolute target may lie far outside the joint's range, where it would be refused again and again.
    robot={"max_start_jump": 100.0},
    # Most hand-overs that succeed take 9 to 13 chunks.
    env={"task": "transfer_cube", "task_settings": ("cube_spread=0.4",), "max_episode_chunks": 20},
    ppo={
        "gamma": 0.95,  # the reward of a good grasp comes some chunks later
        "num_chunks_per_update": 512,  # some thirty episodes, or most rollouts have hardly a success
        "batch_size": 64,
        "learning_rate_decay_steps": 0,
    },
    pretrain={
        "num_demonstrations": 1600,
        "aim_noise": 0.02,
        "min_pace": 1.0,
        "fast_scale": 10.0,  # coarse enough to be imitated soon, see docs/learning.md
        "bc_steps": 3500,
    },
    run={"exp_name": "cube"},
)

EXPERIMENTS: dict[str, Experiment] = {
    "reach": Experiment(config=_REACH, start=StartRule(steps=(1000, 1200, 1300, 1400, 1500, 1600))),
    "reach_kinematic": Experiment(
        config=_with(_REACH, env={"simulator": KINEMATIC}),
        start=StartRule(steps=(1000, 1200, 1300, 1400, 1500, 1600)),
    ),
    "cube": Experiment(
        config=_CUBE,
        start=StartRule(steps=(1500, 2000, 2500, 3000, 3500), episodes=100),
        chunks=20_480,
        episodes=200,
        validate_every=4096,
        validation_episodes=64,
        save_every=2048,
    ),
}

_GAMMA_BY_STEP = {"discount_per_step": True, "gamma_step": 0.9576}  # 0.5 over 16 steps

VARIANTS: dict[str, Variant] = {
    DEFAULT: Variant("the settings of the experiment"),
    "token": Variant("a ratio for each token, instead of one for the chunk", {"ppo": {"ratio": "token"}}),
    "sequence_mean": Variant(
        "one ratio for the chunk, the geometric mean of its tokens' ratios; its clip range is 0.2 over about 30 tokens",
        {"ppo": {"ratio": "sequence_mean", "clip_coef": 0.007}},
    ),
    "chunk_value_pooled": Variant(
        "GAE with V(s, a), the chunk joined to the observation by pooling, instead of V(s)",
        {"model": {"chunk_value": "pooled"}, "ppo": {"gae_value": "chunk"}},
    ),
    "chunk_value_attention": Variant(
        "GAE with V(s, a), joined by attention, instead of V(s)",
        {"model": {"chunk_value": "attention"}, "ppo": {"gae_value": "chunk"}},
    ),
    "warmup": Variant("the value head alone learns in the first 3 updates", {"ppo": {"critic_warmup_updates": 3}}),
    "reference_kl": Variant("a KL to the imitation policy in the loss", {"ppo": {"ref_kl_coef": 0.1}}),
    "adaptive_length": Variant(
        "8 to 16 control steps of a chunk are executed, by the entropy of its tokens, instead of all 16",
        {
            "chunk_length": {"length_rule": "uncertainty", "end_steps": 8},
            "ppo": _GAMMA_BY_STEP,
        },
    ),
    "half_length": Variant(
        "8 control steps of a chunk are executed, instead of all 16",
        {"chunk_length": {"executed_steps": 8}, "ppo": _GAMMA_BY_STEP},
    ),
    "free_decoding": Variant(
        "any token may be sampled, in imitation too; an invalid chunk holds the pose",
        imitated={"model": {"constrain_decoding": False}},
        experiment={"start": StartRule(steps=(1000, 1600), lowest=0.15)},  # kinematic: 19 to 21 % from 1,000 steps on
    ),
    "sampled": Variant("measured by sampling, as in training, instead of greedily", experiment={"greedy": False}),
    "stress": Variant("ten times the learning rate", factors={"ppo": {"learning_rate": 10.0}}),
}


def _filtered_bc(*, learning_rate: float, best_fraction: float) -> Variant:
    """Returns a variant with filtered behavior cloning. With best_fraction 0 it keeps the successful episodes."""
    kept = f"the best {best_fraction:.0%} of the" if best_fraction else "successful"
    return Variant(
        f"baseline: cloning of what was sampled in {kept} episodes",
        {
            "ppo": {
                "num_chunks_per_update": 128,
                "batch_size": 32,
                "num_epochs_per_update": 2,
                "learning_rate": learning_rate,
            }
        },
        experiment={"method": "filtered_bc", "options": {"best_fraction": best_fraction}},
    )


def _gaussian_ppo(*, learning_rate: float, initial_std: float) -> Variant:
    """Returns a variant with a Gaussian chunk policy under skrl's PPO, which starts from its own imitation."""
    return Variant(
        "baseline: a Gaussian over DCT coefficients of the chunk, under skrl's PPO",
        {"ppo": {"num_epochs_per_update": 4, "learning_rate": learning_rate}},
        experiment={
            "method": "gaussian_ppo",
            "options": {"initial_std": initial_std},
            "start": StartRule(steps=(44, 48, 52, 56, 60, 64, 68, 200), policy="gaussian"),
        },
    )


TUNING_SEED = 100
"""The seed of the runs by which settings were chosen. No reported curve has this seed."""

FILTERED_BC_GRID = (*itertools.product((3e-5, 1e-4, 3e-4), (0.0, 0.25, 0.5)), (1e-5, 0.5))
"""The pairs of a learning rate and a best fraction.

The last pair lies beyond the edge at which the best of the others lies.
"""

GAUSSIAN_PPO_GRID = (*itertools.product((1e-4, 3e-4, 1e-3), (0.5, 1.0, 2.0)), (3e-5, 2.0), (1e-5, 2.0))
"""The pairs of a learning rate and a factor on the deviations that imitation found.

The last two pairs lie beyond the edge at which the best of the others lies.
"""

VARIANTS |= {
    f"filtered_bc-{rate:g}-{fraction:g}": _filtered_bc(learning_rate=rate, best_fraction=fraction)
    for rate, fraction in FILTERED_BC_GRID
}
VARIANTS |= {
    f"gaussian_ppo-{rate:g}-{std:g}": _gaussian_ppo(learning_rate=rate, initial_std=std)
    for rate, std in GAUSSIAN_PPO_GRID
}
VARIANTS |= {  # the best of their grids
    "filtered_bc": VARIANTS["filtered_bc-3e-05-0.5"],
    "gaussian_ppo": VARIANTS["gaussian_ppo-3e-05-2"],
}
