"""The networks of the Gaussian chunk policy and of its critic, in flax.linen.

A small convolutional encoder sees each camera. It follows Mnih et al. 2015, with kernel sizes and strides for 64
pixels, and has the same weights for all cameras. Two dense layers then see its outputs and the state. A network has
about 0.5 M parameters. The `tiny` token policy has 0.67 M with its critic.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

CONVOLUTIONS = ((16, 8, 4), (32, 4, 2), (32, 3, 2))
"""The features, kernel size and stride of each convolution."""

WIDTH = 256
"""The width of the two dense layers."""


class ChunkNetwork(nn.Module):
    """Maps images and a state to `num_outputs` numbers.

    Attributes:
        num_cameras: number of cameras, C.
        num_outputs: number of outputs.
    """

    num_cameras: int
    num_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array, state: jax.Array) -> jax.Array:
        """Returns the outputs, float32 [B, num_outputs].

        Args:
            images: [B, h, w, C * 3], RGB of one camera after the other, 0..255.
            state: [B, S], normalized state.
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
        num_cameras: number of cameras, C.
        num_actions: length of an action vector.
    """

    num_cameras: int
    num_actions: int

    @nn.compact
    def __call__(self, images: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Returns the mean [B, num_actions] and the logarithm of the standard deviation [num_actions].

        The arguments are those of `ChunkNetwork`.
        """
        mean = ChunkNetwork(self.num_cameras, self.num_actions, name="mean")(images, state)
        return mean, self.param("log_std", nn.initializers.constant(-1.0), (self.num_actions,))
