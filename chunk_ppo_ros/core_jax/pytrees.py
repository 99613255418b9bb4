"""What JAX has to be told once a process: the data types that go through `jax.jit`, and how exact products are.

`core_jax/__init__.py` calls both functions, so that JAX is set up as soon as any module of core_jax/ is imported. They
are apart from `core/types.py` so that nodes without JAX can import the types.
"""

from __future__ import annotations

import jax

from chunk_ppo_ros.core import types


def register_data_types() -> None:
    """Makes `ModelObservation` a pytree, so that it goes through `jax.jit` and `jax.tree`."""
    jax.tree_util.register_dataclass(types.ModelObservation)


def keep_float32_products_exact() -> None:
    """Has every device multiply float32 matrices in float32.

    GPUs would round the factors to TF32, each program its own way, and acting and scoring would disagree by more than
    `ppo.max_logp_gap`. Products of bfloat16 are not touched.
    """
    jax.config.update("jax_default_matmul_precision", "float32")
