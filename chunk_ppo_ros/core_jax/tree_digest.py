"""Computes digests of trees of arrays, by which two runs are compared to the bit."""

from __future__ import annotations

import hashlib

import jax
import numpy as np

from chunk_ppo_ros.core_jax.arrays import PyTree


def tree_digest(tree: PyTree) -> str:
    """Returns the SHA-256 of the names, types, shapes and bytes of all leaves of a tree, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(tree):
        array = np.asarray(jax.device_get(leaf))
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
