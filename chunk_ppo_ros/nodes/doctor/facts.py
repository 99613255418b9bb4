"""What the probes of the command `doctor` saw of this machine, and all facts together. The checks judge them.

None stands for what was not looked at. `graph_facts.py` has the facts of the ROS graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.nodes.doctor.graph_facts import GraphFacts

FLOAT_BYTES = 4
"""The bytes of a stored parameter. Parameters are stored in float32, and cast where they are used."""


@dataclasses.dataclass(frozen=True)
class RosFacts:
    """ROS as this process sees it: the variables of the environment, where an empty text is an unset one."""

    distribution: str
    middleware: str
    domain: str
    discovery_range: str
    static_peers: str
    localhost_only: str


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A GPU, and its memory in MiB."""

    name: str
    total: int
    free: int


@dataclasses.dataclass(frozen=True)
class GpuFacts:
    """The GPUs of this machine; `problem` says why they are not known."""

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """The number of parameters of the image tower and the decoder together, and how many of them are trained."""

    num_parameters: int
    num_trained: int

    @property
    def checkpoint_size(self) -> int:
        """The bytes of a checkpoint: float32 parameters, and both moments of Adam of those that are trained."""
        return FLOAT_BYTES * (self.num_parameters + 2 * self.num_trained)

    @property
    def device_size(self) -> int:
        """The bytes that policy_node and trainer_node need at least: two copies, gradients and both moments."""
        return FLOAT_BYTES * (2 * self.num_parameters + 3 * self.num_trained)


@dataclasses.dataclass(frozen=True)
class Disk:
    """The free bytes where a folder is, or will be made."""

    folder: str
    free: int


@dataclasses.dataclass(frozen=True)
class DiskFacts:
    """The places of what a run writes."""

    checkpoints: Disk
    recordings: Disk


@dataclasses.dataclass(frozen=True)
class WeightFacts:
    """A checkpoint and its statistics.

    Attributes:
        path: the folder.
        problem: why the checkpoint or its statistics cannot be used; empty where they can.
        settings: settings of the run that wrote it, by their dotted names; empty where it has none.
        state_dim: the dimensions of the statistics of states.
        action_dim: the dimensions of the statistics of actions.
        ranges: q99 - q01 of each dimension of the states.
        size: the bytes of the checkpoint's files.
    """

    path: str
    problem: str = ""
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)
    state_dim: int = 0
    action_dim: int = 0
    ranges: tuple[float, ...] = ()
    size: int = 0


@dataclasses.dataclass(frozen=True)
class CvBridgeFacts:
    """The self-test of cv_bridge: whether it is installed, and in which encodings it differs from our decoding."""

    is_installed: bool
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Facts:
    """Everything that the checks judge.

    Attributes:
        config: the settings that the facts are held against.
        ros: ROS as this process sees it.
        gpu: the GPUs.
        model: the size of the model.
        disk: the disks.
        cv_bridge: the self-test of cv_bridge.
        weights: the checkpoint, or None where the settings name none.
        graph: the ROS graph, or None where it was not looked at.
    """

    config: TrainConfig
    ros: RosFacts
    gpu: GpuFacts
    model: ModelFacts
    disk: DiskFacts
    cv_bridge: CvBridgeFacts
    weights: WeightFacts | None = None
    graph: GraphFacts | None = None
