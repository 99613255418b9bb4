"""Starts a Gaussian chunk policy under skrl's PPO as a method of experiments. `skrl_ppo.py` has the part with skrl."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from chunk_ppo_ros.agent.env import ChunkEnv
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError

if TYPE_CHECKING:
    from experiments.baselines.skrl_ppo import GaussianPPO

OPTIONAL = ("skrl", "gymnasium")


class MissingPackage(UserError):
    """A package that only this baseline needs is not installed."""


@dataclasses.dataclass(frozen=True)
class GaussianPPOOptions:
    """The options that the configuration does not have.

    Attributes:
        initial_std: factor on the standard deviations that imitation found, > 0.
    """

    initial_std: float = 1.0


def begin(config: TrainConfig, env: ChunkEnv, *, greedy: bool, options: Mapping[str, float]) -> GaussianPPO:
    """Starts or resumes the method as `methods.begin` says.

    Raises:
        MissingPackage: when skrl or gymnasium is not installed.
    """
    try:
        from experiments.baselines.skrl_ppo import GaussianPPO
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        raise MissingPackage(
            f"the gaussian_ppo baseline must have {' and '.join(OPTIONAL)}, got no {error.name}; run "
            "python -m pip install -r requirements/experiments.txt -c requirements/constraints.txt"
        ) from error
    return GaussianPPO(config, env, greedy=greedy, initial_std=GaussianPPOOptions(**options).initial_std)
