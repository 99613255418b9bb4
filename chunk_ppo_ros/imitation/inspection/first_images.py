"""Writes a picture of what the policy sees first in recorded episodes, for a person to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.data.checks.pictures import spread
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks


def save_first_images(path: Path, chunks: RecordedChunks) -> None:
    """Writes a PNG with a row for each of a few episodes and a column for each camera of the model.

    The images are those of the first chunk, fitted to the model, with the colors that the policy sees. Masked cameras
    are black. An existing file is replaced.

    Args:
        path: the file to write.
        chunks: the chunks of at least one episode.
    """
    _, firsts = np.unique(chunks.episodes, return_index=True)
    rows = [np.concatenate(list(chunks.images[first]), axis=1) for first in spread(firsts.tolist())]
    picture = Image.fromarray(np.concatenate(rows, axis=0))
    write_atomically(path, lambda file: picture.save(file, "PNG"), durable=False)
