"""Checks whether the disks have room for checkpoints, recordings and stored transitions."""

from __future__ import annotations

from collections.abc import Iterator

from chunk_ppo_ros.core.findings.finding import Finding, error, ok, warn
from chunk_ppo_ros.core.units import GIBIBYTE, MEBIBYTE
from chunk_ppo_ros.nodes.doctor.facts import Disk, Facts
from chunk_ppo_ros.nodes.trainer.disk_need import DiskNeed


def checkpoints(facts: Facts) -> Iterator[Finding]:
    """Compares the free space with the checkpoints that are kept, and the one that is written."""
    number = facts.config.run.keep_checkpoints + 2  # one is in use, and one is being written
    size, disk = facts.model.checkpoint_size, facts.disk.checkpoints
    found = f"{_free(disk)}; {number} checkpoints of {size / GIBIBYTE:.2f} GiB need {number * size / GIBIBYTE:.1f} GiB"
    if disk.free >= number * size:
        yield ok("checkpoints", found)
    else:
        advice = "free some space, set run.checkpoint_root to another disk, or lower run.keep_checkpoints"
        yield error("checkpoints", found, advice)


def recordings(facts: Facts) -> Iterator[Finding]:
    """Compares the free space with the largest size of a recording. A run need not be recorded."""
    size, disk = facts.config.run.bag_total_size * MEBIBYTE, facts.disk.recordings
    found = f"{_free(disk)}; a recording may grow to {size / GIBIBYTE:.1f} GiB (run.bag_total_size)"
    if disk.free >= size:
        yield ok("recordings", found)
    else:
        advice = "free some space, set run.run_dir to another disk, or lower run.bag_total_size"
        yield warn("recordings", found, advice)


def transitions(facts: Facts) -> Iterator[Finding]:
    """Compares the free space with the transitions that trainer_node keeps."""
    need, disk = DiskNeed.of(facts.config), facts.disk.recordings
    found = (
        f"{_free(disk)}; stored transitions may grow to {need.budget / GIBIBYTE:.1f} GiB (run.max_disk), by up to "
        f"{need.per_hour / GIBIBYTE:.2f} GiB an hour for each robot"
    )
    if disk.free >= need.budget:
        yield ok("transitions", found)
    else:
        yield warn("transitions", found, "free some space, set run.run_dir to another disk, or lower run.max_disk")


def _free(disk: Disk) -> str:
    return f"{disk.free / GIBIBYTE:.1f} GiB are free for {disk.folder}"


CHECKS = (checkpoints, recordings, transitions)
