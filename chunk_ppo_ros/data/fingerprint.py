"""Computes a fingerprint of recorded or demonstrated episodes, and the record of data that a checkpoint keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.entries.recordings import LEFT_FIRST
from chunk_ppo_ros.core.made_from.data_record import BY_NAMES, RECORDINGS, DataRecord
from chunk_ppo_ros.data.episode import Episode

_DIGEST_BITS = 256


class Fingerprint:
    """Adds up episodes, one after the other, to one SHA-256 that does not depend on their order.

    The SHA-256 of each episode is one summand, modulo 2^256, so that an episode that is there twice counts twice. Only
    the sum is held. Images are not read.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0

    def add(self, states: np.ndarray, actions: np.ndarray, *, prompt: str, success: bool | None, rate: float) -> None:
        """Adds an episode.

        Args:
            states: float [T, S], states in the robot's units.
            actions: float [T, ..., D], actions in the robot's units.
            prompt: the task in words.
            success: whether the task was solved; None where it is not known.
            rate: control steps per second, Hz.
        """
        arrays = [np.ascontiguousarray(array, "<f4") for array in (states, actions)]
        digest = hashlib.sha256(json.dumps([prompt, success, rate, [array.shape for array in arrays]]).encode())
        for array in arrays:
            digest.update(array.tobytes())
        self._sum = (self._sum + int.from_bytes(digest.digest(), "big")) % 2**_DIGEST_BITS
        self._count += 1

    def hexdigest(self) -> str:
        """Returns the fingerprint of what was added so far, 64 hexadecimal digits."""
        total = self._sum.to_bytes(_DIGEST_BITS // 8, "big")
        return hashlib.sha256(self._count.to_bytes(8, "big") + total).hexdigest()


class RecordedData:
    """Collects the record of recorded episodes, one after the other. It holds no episode.

    Args:
        places: the files and folders that are read.
        config: the settings of reading: `recordings` and `robot`.
    """

    def __init__(self, places: Sequence[object], config: TrainConfig) -> None:
        self._places = ", ".join(str(place) for place in places)
        self._config = config
        self._fingerprint = Fingerprint()
        self._num_episodes = 0
        self._num_steps = 0
        self._prompts: set[str] = set()
        self._all_named = True

    def add(self, episode: Episode) -> None:
        """Adds an episode, as it was read."""
        self._fingerprint.add(
            episode.states, episode.actions, prompt=episode.prompt, success=episode.success, rate=episode.rate
        )
        self._num_episodes += 1
        self._num_steps += len(episode)
        self._prompts.add(episode.prompt)
        self._all_named &= bool(episode.facts.state_names)

    def record(self) -> DataRecord:
        """Returns the record of the episodes that were added so far."""
        recordings, robot = self._config.recordings, self._config.robot
        units = ("joint_unit", "state_gripper_unit", "action_gripper_unit")
        return DataRecord(
            kind=RECORDINGS,
            origin=self._places,
            fingerprint=self._fingerprint.hexdigest(),
            episode_count=self._num_episodes,
            step_count=self._num_steps,
            rate=robot.control_rate,
            prompts=tuple(sorted(self._prompts)),
            arm_order=BY_NAMES if self._all_named else recordings.arm_order or LEFT_FIRST,
            channel_order=recordings.channel_order,
            units=tuple(f"{name} {getattr(recordings, name)}" for name in units),
            gripper_convention=" ".join((robot.gripper_convention, *robot.gripper_numbers)),
        )


def record_of(episodes: Sequence[Episode], places: Sequence[object], config: TrainConfig) -> DataRecord:
    """Returns the record of episodes that were read from `places` with the settings of `config`."""
    data = RecordedData(places, config)
    for episode in episodes:
        data.add(episode)
    return data.record()
