"""The networks of the Gaussian chunk policy and of its critic, in flax.linen; no RL library here.

A small convolutional encoder over each camera (after Mnih et al. 2015, with the kernel sizes and strides that 64 pixels
want), the same for all cameras, then two dense layers over all of it and the state. About 0.5 M parameters a network,
where the `tiny` token policy has 0.67 M with its critic.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

CONVOLUTIONS = ((16, 8, 4), (32, 4, 2), (32, 3, 2))
"""(features, kernel size, stride) of each layer."""

WIDTH = 256
"""Of the two dense layers."""


class ChunkNetwork(nn.Module):
    """Three images and a state to `num_outputs` numbers.

    Attributes:
        num_cameras: C.
        num_outputs: length of a row of the result.
    """

    num_cameras: int
    num_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array, state: jax.Array) -> jax.Array:
        """float32 [B, num_outputs].

        Args:
            images: [B, h, w, C * 3], RGB of one camera after the other, 0..255.
            state: [B, S], normalised.
        """
        batch, height, width, _ = images.shape
        pixels = images.reshape(batch, height, width, self.num_cameras, 3).transpose(0, 3, 1, 2, 4)
        x = pixels.reshape(-1, height, width, 3).astype(jnp.float32) / 127.5 - 1.0
        for features, kernel, stride in CONVOLUTIONS:
            x = nn.relu(nn.Conv(features, (kernel, kernel), strides=stride)(x))
        x = jnp.concatenate([x.reshape(batch, -1), state], axis=-1)
        for _ in range(2):
            x = nn.relu(nn.Dense(WIDTH)(x))
        return nn.Dense(self.num_outputs, kernel_init=nn.initializers.normal(0.01))(x)


class GaussianChunkPolicy(nn.Module):
    """A Gaussian over action vectors whose deviations do not depend on the observation.

    Attributes:
        num_cameras: C.
        num_actions: length of an action vector.
    """

    num_cameras: int
    num_actions: int

    @nn.compact
    def __call__(self, images: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean [B, num_actions] and logarithm of the standard deviation [num_actions]; arguments as `ChunkNetwork`."""
        mean = ChunkNetwork(self.num_cameras, self.num_actions, name="mean")(images, state)
        return mean, self.param("log_std", nn.initializers.constant(-1.0), (self.num_actions,))
