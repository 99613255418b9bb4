"""Collects what is to know of this machine without ROS's graph: variables of the environment, GPUs and disks."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from rclpy.utilities import get_rmw_implementation_identifier

from chunk_ppo_ros.config import RunConfig
from chunk_ppo_ros.nodes.doctor.facts import Disk, DiskFacts, Gpu, GpuFacts, RosFacts

TIMEOUT = 5.0
"""The longest wait for nvidia-smi, s. It hangs where a GPU has fallen off its bus."""
NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")


def ros_facts() -> RosFacts:
    """Returns how ROS is set up in this process."""
    read = os.environ.get
    return RosFacts(
        distribution=read("ROS_DISTRO", ""),
        middleware=get_rmw_implementation_identifier(),
        domain=read("ROS_DOMAIN_ID", ""),
        discovery_range=read("ROS_AUTOMATIC_DISCOVERY_RANGE", ""),
        static_peers=read("ROS_STATIC_PEERS", ""),
        localhost_only=read("ROS_LOCALHOST_ONLY", ""),
    )


def gpu_facts() -> GpuFacts:
    """Returns the GPUs that NVIDIA's driver knows. JAX is not asked, because it would take their memory."""
    try:
        result = subprocess.run(NVIDIA_SMI, capture_output=True, text=True, timeout=TIMEOUT)
    except FileNotFoundError:
        return GpuFacts(problem="nvidia-smi is not installed")
    except (OSError, subprocess.TimeoutExpired) as failure:
        return GpuFacts(problem=f"nvidia-smi failed: {failure}")
    if result.returncode:
        return GpuFacts(problem=f"nvidia-smi failed: {(result.stdout + result.stderr).strip()}")
    return parse_gpus(result.stdout)


def parse_gpus(text: str) -> GpuFacts:
    """Returns the GPUs of nvidia-smi's lines "NAME, TOTAL MIB, FREE MIB"."""
    gpus = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, *numbers = (part.strip() for part in line.rsplit(",", 2))
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            return GpuFacts(problem=f"nvidia-smi printed {line!r}")
        gpus.append(Gpu(name, int(numbers[0]), int(numbers[1])))
    return GpuFacts(tuple(gpus), "" if gpus else "nvidia-smi lists none")


def disk_facts(run: RunConfig) -> DiskFacts:
    """Returns the free space for the outputs of a run. Folders that do not exist yet are not made."""
    return DiskFacts(checkpoints=_disk(Path(run.checkpoint_root)), recordings=_disk(Path(run.run_dir)))


def _disk(folder: Path) -> Disk:
    resolved = folder.resolve()
    there = next(path for path in (resolved, *resolved.parents) if path.is_dir())
    return Disk(str(folder), shutil.disk_usage(there).free)
