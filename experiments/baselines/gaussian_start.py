"""Makes the start of the Gaussian chunk policy from the same demonstrations, as a `start_point.Imitation`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tqdm import tqdm

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.sim.experts.demonstrations import collect_demonstrations
from experiments.baselines.gaussian_actor import GaussianActor
from experiments.baselines.gaussian_imitation import GaussianStart, regress


def imitate(config: TrainConfig, folder: Path, *, steps: Collection[int]) -> dict[int, Path]:
    """Imitates as `start_point.Imitation` says."""
    with tqdm(total=config.pretrain.num_demonstrations, desc="demonstrations", unit="episode") as bar:
        demonstrations = collect_demonstrations(config, on_episode=bar.update)
    with tqdm(total=max(steps), desc="regression", unit="step") as bar:
        starts = regress(config, demonstrations, steps=steps, on_step=lambda loss: bar.update())
    folders = {number: folder / f"gaussian-{number}" for number in starts}
    for number, made in starts.items():
        made.save(folders[number])
    return folders


class Candidates:
    """Has one actor, which takes the weights of one candidate after the other, as `start_point.Candidates` says."""

    def __init__(self, config: TrainConfig, *, greedy: bool) -> None:
        self._config, self._greedy = config, greedy
        self._actor: GaussianActor | None = None

    def load(self, checkpoint: Path) -> GaussianActor:
        """Returns the actor with these weights. All candidates have the statistics of the same demonstrations."""
        start = GaussianStart.load(checkpoint, self._config)
        if self._actor is None:
            self._actor = GaussianActor(self._config, start.basis(self._config), start.params, greedy=self._greedy)
        self._actor.params = start.params
        return self._actor
