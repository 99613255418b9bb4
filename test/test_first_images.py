"""The picture of what the policy sees first has its colors, episodes and cameras in their places."""

import pathlib

import numpy as np
from PIL import Image

from chunk_ppo_ros.data.recorded_chunks import RecordedChunks
from chunk_ppo_ros.imitation.inspection.first_images import save_first_images


def test_the_first_image_of_each_camera_in_three_of_five_episodes(tmp_path: pathlib.Path) -> None:
    episodes = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4], np.int32)
    images = np.zeros((9, 2, 4, 4, 3), np.uint8)
    images[..., 0] = 10 * np.arange(9)[:, None, None, None]  # Red tells the chunk,
    images[..., 2] = np.array([50, 200])[None, :, None, None]  # and blue the camera.
    nothing = np.zeros((9, 14), np.float32)
    chunks = RecordedChunks(images, np.ones((9, 2), bool), nothing, nothing[:, None], episodes, ("pour",) * 5)
    save_first_images(tmp_path / "cup.png", chunks)
    picture = np.asarray(Image.open(tmp_path / "cup.png"))
    assert picture.shape == (12, 8, 3)
    for row, red in enumerate((0, 50, 80)):  # The first chunks of episodes 0, 2 and 4.
        for column, blue in enumerate((50, 200)):
            part = picture[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            np.testing.assert_array_equal(part, np.full((4, 4, 3), [red, 0, blue]))
