"""Chunks as the action vectors of a Gaussian policy: a few DCT coefficients of each dimension; numpy and scipy only.

Independent noise on each of the H steps of a chunk mostly cancels out: the robot jitters and explores nothing. Noise
on the lowest coefficients moves a whole chunk smoothly, which is how the token policy explores too: FAST's tokens
stand for quantised coefficients of the same transform. Chunks of demonstrated reaching are told to 0.4 mrad by 4 of
16 coefficients, to 3.8 mrad by 2.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import fft

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.normalization import NormStats, clip_actions

NUM_COEFFICIENTS = 4
"""K, lowest coefficients of each dimension that an action vector has."""


@dataclasses.dataclass(frozen=True)
class ChunkBasis:
    """Between chunks [H, D] of joint targets and vectors [K * D] within -1..1.

    Attributes:
        norm_stats: of states and actions, as the token policy's.
        config: `action_horizon`, `action_dim`, `action_limit` and the transforms.
        num_coefficients: K, at most H.
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
        """K * D, length of an action vector."""
        return self.num_coefficients * self.config.action_dim

    def encode(self, actions: np.ndarray, state: np.ndarray) -> np.ndarray:
        """float32 [..., K * D] of chunks, coefficient by coefficient; what K coefficients cannot tell is lost.

        Args:
            actions: [..., H, D], absolute joint targets in rad, grippers normalised.
            state: [..., S], rad and grippers normalised, at the start of the chunk.
        """
        normalized = self.norm_stats.actions.normalize(self._transforms.encode_actions(actions, state))
        clipped, _ = clip_actions(normalized, self.config.action_limit)
        lowest = fft.dct(clipped, axis=-2, norm="ortho")[..., : self.num_coefficients, :]
        return (lowest / self._largest).reshape(*lowest.shape[:-2], self.size).astype(np.float32)

    def decode(self, vectors: np.ndarray, state: np.ndarray) -> np.ndarray:
        """float32 [..., H, D], absolute joint targets of vectors [..., K * D], which are clipped to -1..1."""
        shape = (*np.shape(vectors)[:-1], self.num_coefficients, self.config.action_dim)
        lowest = np.clip(vectors, -1.0, 1.0).reshape(shape) * self._largest
        normalized = fft.idct(lowest, n=self.config.action_horizon, axis=-2, norm="ortho")
        return self._transforms.decode_actions(self.norm_stats.actions.unnormalize(normalized), state)

    def encode_state(self, state: np.ndarray) -> np.ndarray:
        """float32 [..., S], the state normalised, as the token policy's prompt tells it."""
        return self.norm_stats.state.normalize(self._transforms.encode_state(state))

    @property
    def _transforms(self) -> AlohaTransforms:
        return AlohaTransforms.from_config(self.config)

    @property
    def _largest(self) -> float:
        """The first coefficient of a chunk that stands at the action limit; no other one can be larger."""
        return self.config.action_limit * self.config.action_horizon**0.5
