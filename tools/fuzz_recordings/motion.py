"""What all samples show: how the arms move, and what the cameras see."""

from __future__ import annotations

import numpy as np

NUM_STEPS = 8
CAMERAS = ("cam_high", "cam_left_wrist", "cam_right_wrist")
PROMPT = "put the cup on the saucer"


def motion(number: int) -> np.ndarray:
    """Returns the states of an episode, float32 [8, 14], in which no two numbers are alike."""
    steps = np.arange(NUM_STEPS)[:, None] * 0.013 + np.arange(14)[None] * 0.029 - 0.3 + 0.1 * number
    steps[:, 6::7] = 0.3 + 0.01 * np.arange(NUM_STEPS)[:, None] + 0.1 * number
    return steps.astype(np.float32)


def picture(number: int, camera: str, step: int) -> np.ndarray:
    """Returns the image of a step, uint8 [16, 16, 3], in which the colors tell episode, camera and step."""
    image = np.empty((16, 16, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 60 + 90 * number, 30 * step, 60 * CAMERAS.index(camera) + 40
    image[:8, :8] //= 2
    return image
