"""Draws capsules on mid-gray with numpy, for the images of the kinematic simulator.

A capsule is a segment with a radius, and a ball is a capsule of length zero. Silhouettes are exact in the middle of the
image and close enough elsewhere. A depth buffer decides which capsule hides another.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.sim.cameras import CameraPose

NEAR = 0.02  # m; nothing that is nearer to the camera is drawn
EDGE_SHADE = 0.45  # the share of its color that a capsule loses at its silhouette
BACKGROUND = 127  # mid-gray, the color of table and surroundings in the images of the MuJoCo simulator


@dataclasses.dataclass(frozen=True)
class Capsules:
    """Holds K capsules: `starts` and `ends` [K, 3], m, `radii` [K], m, and `colors` [K, 3], 0..255."""

    starts: np.ndarray
    ends: np.ndarray
    radii: np.ndarray
    colors: np.ndarray


def draw(camera: CameraPose, capsules: Capsules, size: int) -> np.ndarray:
    """Returns the camera's image of the capsules.

    Returns:
        An RGB image uint8 [size, size, 3].
    """
    image = np.full((size, size, 3), BACKGROUND, np.uint8)
    depths = np.full((size, size), np.inf)
    starts, ends = _to_camera(camera, capsules.starts), _to_camera(camera, capsules.ends)
    focal = 0.5 * size / np.tan(np.radians(0.5 * camera.field_of_view))
    for start, end, radius, color in zip(starts, ends, capsules.radii, capsules.colors, strict=True):
        if max(start[2], end[2]) > NEAR:
            _draw_capsule(image, depths, _clip_near(start, end), _clip_near(end, start), radius, color, focal)
    return image


def _to_camera(camera: CameraPose, points: np.ndarray) -> np.ndarray:
    """Returns points [K, 3] in camera coordinates (right, down, depth), m."""
    return ((points - camera.position) @ camera.rotation) * np.array([1.0, -1.0, -1.0])


def _clip_near(point: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns `point`, or where the segment to `other` crosses the near plane if `point` lies behind that plane."""
    if point[2] >= NEAR:
        return point
    return point + (other - point) * (NEAR - point[2]) / (other[2] - point[2])


def _draw_capsule(
    image: np.ndarray,
    depths: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    radius: float,
    color: np.ndarray,
    focal: float,
) -> None:
    """Draws one capsule into `image` and `depths`.

    Its ends are in camera coordinates, m, and lie in front of the near plane.
    """
    size = len(image)
    a, b = (focal * point[:2] / point[2] + 0.5 * size for point in (start, end))
    radius_a, radius_b = focal * radius / start[2], focal * radius / end[2]
    widest = max(radius_a, radius_b)
    left, top = np.clip(np.floor(np.minimum(a, b) - widest), 0, size).astype(int)
    right, bottom = np.clip(np.ceil(np.maximum(a, b) + widest), 0, size).astype(int)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right)[None, :] + 0.5 - a[0]
    y = np.arange(top, bottom)[:, None] + 0.5 - a[1]
    dx, dy = b - a
    along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0.0, 1.0)
    squares = (x - along * dx) ** 2 + (y - along * dy) ** 2
    fractions = squares / (radius_a + along * (radius_b - radius_a)) ** 2
    depth = start[2] + along * (end[2] - start[2])
    box = (slice(top, bottom), slice(left, right))
    seen = (fractions <= 1.0) & (depth < depths[box])
    depths[box][seen] = depth[seen]
    image[box][seen] = (color * (1.0 - EDGE_SHADE * fractions[seen])[:, None]).astype(np.uint8)
