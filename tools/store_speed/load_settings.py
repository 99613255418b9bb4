"""The run whose intake is loaded, and the transitions that are sent to it."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from chunk_ppo_ros.agent.transition_checks import blank_rollout
from chunk_ppo_ros.config import PRESETS, TrainConfig
from chunk_ppo_ros.core.types import ChunkId, Transition
from chunk_ppo_ros.robot.chunk_length import chunk_discount

SENDERS = ("robot_0", "robot_1", "robot_2", "robot_3")
IMAGE_SIZE = 224
CAMERAS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
_CHUNKS_PER_EPISODE = 20
_DEMONSTRATIONS = 16  # for tokenizers that decode nothing


def load_config(folder: pathlib.Path, num_transitions: int) -> TrainConfig:
    """Returns the debug preset with three images of 224x224, and a rollout that the transitions do not fill.

    Args:
        folder: the folder of the run and its checkpoints.
        num_transitions: the number of transitions of all senders together.
    """
    debug = PRESETS["debug"]
    batch_size = debug.ppo.batch_size * debug.ppo.gradient_accumulation_steps
    unfilled = (num_transitions // batch_size + 1) * batch_size
    return dataclasses.replace(
        debug,
        model=dataclasses.replace(debug.model, image_size=IMAGE_SIZE, cameras=CAMERAS),
        ppo=dataclasses.replace(debug.ppo, num_chunks_per_update=unfilled),
        pretrain=dataclasses.replace(debug.pretrain, num_demonstrations=_DEMONSTRATIONS, demonstration_workers=1),
        run=dataclasses.replace(
            debug.run, run_dir=str(folder / "runs"), checkpoint_root=str(folder / "checkpoints"), wandb=False
        ),
    )


class TransitionMaker:
    """Makes the transitions of one sender.

    Args:
        config: the configuration of the run.
        run_id: the run.
        sender: the name of the sender.
    """

    def __init__(self, config: TrainConfig, run_id: str, sender: str) -> None:
        self._blank = _plausible(blank_rollout(config)[0], config)
        self._run_id, self._sender = run_id, sender

    def make(self, number: int) -> Transition:
        """Returns the transition of a sequence number. Its images are random, as those of a camera nearly are."""
        blank = self._blank
        images = images_of(self._sender, number, blank.chunk.observation.images.shape)
        observation = dataclasses.replace(blank.chunk.observation, images=images)
        return dataclasses.replace(
            blank,
            id=ChunkId(self._run_id, number, *divmod(number, _CHUNKS_PER_EPISODE), self._sender),
            chunk=dataclasses.replace(blank.chunk, observation=observation),
        )


def _plausible(blank: Transition, config: TrainConfig) -> Transition:
    """Returns a transition of zeros that the intake of a run accepts."""
    mask = blank.chunk.token_mask.copy()
    mask[0] = True
    discount = chunk_discount(config.ppo, blank.outcome.num_steps)
    return dataclasses.replace(blank, chunk=dataclasses.replace(blank.chunk, token_mask=mask), discount=discount)


def images_of(sender: str, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the images of a transition, which its sender and number alone decide."""
    source = np.random.default_rng([*sender.encode(), number])
    return np.frombuffer(source.bytes(int(np.prod(shape))), np.uint8).reshape(shape)
