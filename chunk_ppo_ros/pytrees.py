"""Registers the data types that go through `jax.jit` as pytrees.

Importing this module is what registers them; it happens once a process, as Python imports a module once. Whoever hands
a `ModelObservation` to JAX imports it. It is apart from `types.py` so that nodes without JAX can import the types.
"""

from __future__ import annotations

import jax

from chunk_ppo_ros import types

jax.tree_util.register_dataclass(types.ModelObservation)
