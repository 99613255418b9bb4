"""Reads STL meshes and coarsens them, because 60 000 triangles take most of the time that a small image needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

_HEADER_BYTES = 84
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("vertices", "<f4", (3, 3)), ("attributes", "<u2")])


@dataclasses.dataclass(frozen=True)
class Mesh:
    """Holds a triangle mesh.

    Attributes:
        vertices: float [V, 3], the corners, in the unit of the file.
        faces: int [F, 3], the indices of the three corners of each triangle.
    """

    vertices: np.ndarray
    faces: np.ndarray


def read_stl(path: Path) -> Mesh:
    """Returns the mesh of a binary STL file. Corners that triangles share are not merged.

    Raises:
        ValueError: if the file's length does not fit its count of triangles.
    """
    content = path.read_bytes()
    count = int.from_bytes(content[_HEADER_BYTES - 4 : _HEADER_BYTES], "little")
    expected = _HEADER_BYTES + count * _TRIANGLE.itemsize
    if len(content) != expected:
        raise ValueError(f"{path} must be a binary STL of {expected} bytes, got {len(content)}; reinstall gym-aloha")
    triangles = np.frombuffer(content, _TRIANGLE, count, offset=_HEADER_BYTES)
    return Mesh(triangles["vertices"].reshape(-1, 3).astype(float), np.arange(3 * count).reshape(-1, 3))


def coarsen(mesh: Mesh, cell: float) -> Mesh:
    """Returns the mesh with all vertices in the same cube of a grid merged into their mean.

    Triangles that collapse are dropped. This is vertex clustering (Rossignac and Borrel 1993). No vertex moves further
    than the diagonal of a cube.

    Args:
        mesh: the mesh to coarsen.
        cell: the edge of the cubes, in the unit of the mesh, > 0.
    """
    cubes = np.floor(mesh.vertices / cell).astype(np.int64)
    _, cluster = np.unique(cubes, axis=0, return_inverse=True)
    cluster = cluster.reshape(-1)
    counts = np.bincount(cluster)
    means = np.stack([np.bincount(cluster, mesh.vertices[:, axis]) / counts for axis in range(3)], axis=1)
    faces = cluster[mesh.faces]
    alive = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    _, first = np.unique(np.sort(faces[alive], axis=1), axis=0, return_index=True)
    return Mesh(means, faces[alive][np.sort(first)])
