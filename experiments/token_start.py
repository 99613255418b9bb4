"""Makes the start of all methods that use the package's own policy, by behavior cloning."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.imitation.clone_demonstrations import clone_demonstrations
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint


def imitate(config: TrainConfig, folder: Path, *, steps: Collection[int]) -> dict[int, Path]:
    """Imitates as `start_point.Imitation` says."""
    last = max(steps)
    earlier = sorted(set(steps) - {last})
    clone_demonstrations(config, folder / "imitation", also_after=earlier)
    return {number: folder / f"imitation-{number}" for number in earlier} | {last: folder / "imitation"}


class Candidates:
    """Has one actor, which takes the weights of one candidate after the other, as `start_point.Candidates` says."""

    def __init__(self, config: TrainConfig, *, greedy: bool) -> None:
        self._config, self._greedy = config, greedy
        self._actor: Actor | None = None

    def load(self, checkpoint: Path) -> Actor:
        """Returns the actor with these weights. An actor that was returned before must not be used any more."""
        opened = Checkpoint.open(checkpoint)
        if self._actor is None:
            self._actor = Actor(self._config, opened, policy_version=0, greedy=self._greedy)
        else:
            self._actor.take(restore.load(opened, self._config).params, policy_version=0)
        return self._actor
