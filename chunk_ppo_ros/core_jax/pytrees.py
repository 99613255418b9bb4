"""What JAX has to be told once a process: the data types that go through `jax.jit`, and how exact products are.

Importing this module tells it. Whoever hands a `ModelObservation` to JAX imports it. It is apart from `types.py` so
that nodes without JAX can import the types.
"""

from __future__ import annotations

import jax

from chunk_ppo_ros.core import types

jax.tree_util.register_dataclass(types.ModelObservation)

# GPUs would round the factors of float32 products to TF32, each program its own way, and acting and scoring would
# disagree by more than `ppo.max_logp_gap`. Products of bfloat16 are not touched.
jax.config.update("jax_default_matmul_precision", "float32")
