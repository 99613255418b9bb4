"""Settings of JAX that are made once per process: the data types that go through `jax.jit`, and exact products.

`core_jax/__init__.py` calls both functions, so that JAX is set up as soon as any module of core_jax/ is imported.
`core/types.py` does not contain them, so that nodes without JAX can import the types.
"""

from __future__ import annotations

import jax

from chunk_ppo_ros.core import types


def register_data_types() -> None:
    """Makes `ModelObservation` a pytree, so that it goes through `jax.jit` and `jax.tree`."""
    jax.tree_util.register_dataclass(types.ModelObservation)


def keep_float32_products_exact() -> None:
    """Makes every device multiply float32 matrices in float32.

    By default GPUs round the factors to TF32, and each compiled program rounds differently. The log-probs of acting and
    of scoring would then differ by more than `ppo.max_logp_gap`. Products of bfloat16 stay as they are.
    """
    jax.config.update("jax_default_matmul_precision", "float32")
