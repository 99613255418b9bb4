"""Compares recorded episodes with those that a checkpoint imitated."""

from __future__ import annotations

from collections.abc import Collection

from chunk_ppo_ros.core.errors import ContradictedCheckpoint
from chunk_ppo_ros.core.made_from.data_record import RECORDINGS, DataRecord
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint


def check_data(checkpoint: Checkpoint, data: DataRecord, *, insisted: Collection[str]) -> None:
    """Refuses episodes that were read with another meaning than those that a checkpoint imitated last.

    What was only measured otherwise (rate, units, grippers) is printed, because reading has converted it. So is whether
    the data is the same.

    Args:
        checkpoint: the checkpoint that is trained or measured with the episodes.
        data: the record of the episodes.
        insisted: the settings whose contradiction the user accepts (`recordings.insist`).

    Raises:
        ContradictedCheckpoint: where the order of the arms or of color channels differs. The text names both values.
    """
    before = checkpoint.history.newest_data(RECORDINGS)
    if before is None:
        return
    found = before.contradictions(data)
    refused = {name: values for name, values in found.items() if name not in insisted}
    if refused:
        listed = "; ".join(f"recordings.{name}: checkpoint {old}, now {new}" for name, (old, new) in refused.items())
        flags = " ".join(f"--{name} {old}" for name, (old, _) in refused.items())
        raise ContradictedCheckpoint(
            f"{checkpoint.root} imitated recordings that were read otherwise: {listed}; set {flags}, or, where these "
            f"files really are in the other order, --insist {' '.join(refused)}"
        )
    if data.fingerprint == before.fingerprint:
        print(f"{checkpoint.root} imitated the same data (fingerprint {data.fingerprint[:12]})", flush=True)
    differing = before.differences(data)
    if differing:
        print(f"these recordings differ from those that {checkpoint.root} imitated: {'; '.join(differing)}", flush=True)
