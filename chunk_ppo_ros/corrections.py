"""What the scripted operator would do where an imitating policy gets.

A policy that imitates strays to where no demonstration was, and stays there. Here it drives, the operator says at each
chunk what it would do, and that is imitated too: DAgger (Ross, Gordon and Bagnell 2011, "A Reduction of Imitation
Learning and Structured Prediction to No-Regret Online Learning", algorithm 3.1 with beta 1 in the first round and 0
after it).
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from chunk_ppo_ros.actor import Actor
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.model import checkpoint as checkpoints
from chunk_ppo_ros.model.tokenizer import PolicyTokenizer
from chunk_ppo_ros.sim.demonstrations import Demonstrations, demonstration_start, join_recordings, record_episode
from chunk_ppo_ros.sim.simulator import make_simulator
from chunk_ppo_ros.types import Observation


class Corrections:
    """Has the operator correct the policy every `pretrain.corrections_every` gradient steps.

    Args:
        config: what is demonstrated, and the model.
        tokenizer: of the policy.
    """

    def __init__(self, config: TrainConfig, tokenizer: PolicyTokenizer) -> None:
        self._config, self._tokenizer = config, tokenizer
        self._next_episode = config.pretrain.num_demonstrations  # those before are the demonstrations

    def are_due(self, step: int) -> bool:
        """Whether the policy is corrected after this gradient step, 1 .. bc_steps."""
        settings = self._config.pretrain
        return bool(settings.corrections_every) and step % settings.corrections_every == 0 and step < settings.bc_steps

    def collect(self, actor_backbone: Any) -> Demonstrations:
        """`pretrain.corrected_episodes` new episodes of the policy with these parameters; says what came of them.

        Chunks that are longer than the policy's are left out: far from all demonstrations there may be some.

        Raises:
            SimulatorUnavailable: when the simulator cannot render here.
        """
        first, count = self._next_episode, self._config.pretrain.corrected_episodes
        self._next_episode += count
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / "driver"
            checkpoints.save_openpi_checkpoint(checkpoint, actor_backbone, write_assets=self._tokenizer.save)
            driven = drive_and_ask(checkpoint, self._config, episodes=range(first, first + count))
        fitting = [self._tokenizer.fits(*chunk) for chunk in zip(driven.actions, driven.state, strict=True)]
        left_out = len(fitting) - sum(fitting)
        print(
            f"the policy drove {count} episodes and solved {np.mean(driven.success):.0%}; {sum(fitting)} chunks of the "
            f"operator's are imitated too{f', {left_out} too long ones are not' if left_out else ''}"
        )
        return driven.take(np.flatnonzero(fitting))


def drive_and_ask(checkpoint: Path, config: TrainConfig, *, episodes: Sequence[int]) -> Demonstrations:
    """The policy of a checkpoint drives, sampling; the chunks are those that the operator intends where it gets.

    Args:
        checkpoint: of the policy.
        config: what is demonstrated, and the model.
        episodes: their numbers among the demonstrated ones; they draw the starts.

    Returns:
        The operator's chunks; `success` is the policy's.

    Raises:
        CheckpointError: when the checkpoint does not fit.
        SimulatorUnavailable: when the simulator cannot render here.
    """
    actor = Actor(config, checkpoint, policy_version=0)
    recordings = []
    with closing(make_simulator(config)) as simulator, tqdm(total=len(episodes), desc="corrections") as bar:
        for episode in episodes:
            driver = _Driver(actor, simulator.prompt, sequence_number=episode * 10_000)
            start = demonstration_start(config, episode)
            recordings.append(record_episode(simulator, config, seed=start, drive=driver))
            bar.update()
    return join_recordings(recordings, config)


@dataclasses.dataclass
class _Driver:
    """Samples the policy's chunks, each with a key of its own."""

    actor: Actor
    prompt: str
    sequence_number: int

    def __call__(self, images: np.ndarray, state: np.ndarray) -> np.ndarray:
        observation = Observation(images, np.ones(len(images), bool), state, self.prompt)
        self.sequence_number += 1
        return self.actor.act(self.actor.observe(observation), sequence_number=self.sequence_number).asked_actions
