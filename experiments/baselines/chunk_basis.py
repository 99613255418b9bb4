"""Converts chunks to the action vectors of a Gaussian policy, which are a few DCT coefficients of each dimension.

Independent noise on each of the H steps of a chunk mostly cancels out, so the robot jitters and explores nothing. Noise
on the lowest coefficients moves a whole chunk smoothly. The token policy explores in the same way, because FAST's
tokens stand for quantized coefficients of the same transform. In chunks of demonstrated reaching the error of 4 of 16
coefficients is 0.4 mrad, and that of 2 is 3.8 mrad.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import fft

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.normalization import NormStats, clip_actions

NUM_COEFFICIENTS = 4
"""The number of lowest coefficients of each dimension in an action vector, K."""


@dataclasses.dataclass(frozen=True)
class ChunkBasis:
    """Converts chunks [H, D] of joint targets to vectors [K * D] within -1..1, and back.

    Attributes:
        norm_stats: statistics of states and actions, the same as the token policy's.
        config: model section; `action_horizon`, `action_dim`, `action_limit` and the transforms are used.
        num_coefficients: number of coefficients of each dimension, K, at most H.
    """

    norm_stats: NormStats
    config: Pi0FASTActorCriticConfig
    num_coefficients: int = NUM_COEFFICIENTS

    def __post_init__(self) -> None:
        """Refuses more coefficients than there are steps."""
        if not 1 <= self.num_coefficients <= self.config.action_horizon:
            raise ValueError(
                f"num_coefficients must be within 1..{self.config.action_horizon} (model.action_horizon), got "
                f"{self.num_coefficients}"
            )

    @property
    def size(self) -> int:
        """The length of an action vector, K * D."""
        return self.num_coefficients * self.config.action_dim

    def encode(self, actions: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Returns the vectors of chunks, float32 [..., K * D], coefficient by coefficient. Higher ones are lost.

        Args:
            actions: [..., H, D], absolute joint targets in rad, grippers normalized.
            state: [..., S], state at the start of the chunk, rad, grippers normalized.
        """
        normalized = self.norm_stats.actions.normalize(self._transforms.encode_actions(actions, state))
        clipped, _ = clip_actions(normalized, self.config.action_limit)
        lowest = fft.dct(clipped, axis=-2, norm="ortho")[..., : self.num_coefficients, :]
        return (lowest / self._largest).reshape(*lowest.shape[:-2], self.size).astype(np.float32)

    def decode(self, vectors: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Returns the chunks of vectors [..., K * D], as absolute joint targets float32 [..., H, D].

        The vectors are clipped to -1..1.
        """
        shape = (*np.shape(vectors)[:-1], self.num_coefficients, self.config.action_dim)
        lowest = np.clip(vectors, -1.0, 1.0).reshape(shape) * self._largest
        normalized = fft.idct(lowest, n=self.config.action_horizon, axis=-2, norm="ortho")
        return self._transforms.decode_actions(self.norm_stats.actions.unnormalize(normalized), state)

    def encode_state(self, state: np.ndarray) -> np.ndarray:
        """Returns the normalized state, float32 [..., S], as in the token policy's prompt."""
        return self.norm_stats.state.normalize(self._transforms.encode_state(state))

    @property
    def _transforms(self) -> AlohaTransforms:
        return AlohaTransforms.from_config(self.config)

    @property
    def _largest(self) -> float:
        """The largest possible coefficient, which is the first one of a chunk that stays at the action limit."""
        return self.config.action_limit * self.config.action_horizon**0.5
