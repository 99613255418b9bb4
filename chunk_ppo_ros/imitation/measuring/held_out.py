"""Measures an imitation that was just trained on the episodes that were held out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from chunk_ppo_ros.agent.restore import PolicyBundle
from chunk_ppo_ros.config import PretrainConfig
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch
from chunk_ppo_ros.imitation.measuring.imitated_data import ImitatedData
from chunk_ppo_ros.imitation.measuring.measure import MeasuredChunks, measure
from chunk_ppo_ros.imitation.measuring.measurement import Measurement
from chunk_ppo_ros.imitation.measuring.table import to_table

HELD_OUT = "they were held out, and the policy was not trained on them"


def json_of(directory: Path) -> Path:
    """Returns the JSON file beside the checkpoint at `directory`, `NAME.json`, which has its measured figures."""
    return directory.with_name(f"{directory.name}.json")


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Held-out episodes and what was read of them.

    Attributes:
        episodes: the episodes.
        chunks: all their chunks, in order.
        batch: the same chunks as tokens.
    """

    episodes: tuple[Episode, ...]
    chunks: RecordedChunks
    batch: CloningBatch


def measure_held_out(
    bundle: PolicyBundle,
    held_out: HeldOut,
    *,
    imitated: ImitatedData,
    settings: PretrainConfig,
    directory: Path,
) -> Measurement:
    """Measures a policy on held-out episodes, prints the table, and writes the figures beside its checkpoint.

    Args:
        bundle: the trained policy with its tokenizers.
        held_out: the held-out episodes with their chunks.
        imitated: what the policy was trained on.
        settings: settings of the imitation.
        directory: folder of the checkpoint; `json_of` names the file.
    """
    chunks = MeasuredChunks.select(
        held_out.chunks,
        held_out.batch,
        held_out.episodes,
        stride=settings.chunk_stride,
        most=settings.measured_chunks,
    )
    measurement = measure(
        bundle,
        chunks,
        policy=str(directory),
        trained_on=HELD_OUT,
        imitated=imitated,
        batch_size=settings.bc_batch_size,
    )
    print(to_table(measurement))
    json_of(directory).write_text(measurement.to_json())
    print(f"wrote {json_of(directory)}")
    return measurement
