"""What the probes of the command `doctor` saw. The checks judge these facts; None stands for what was not looked at."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Mapping

from chunk_ppo_ros.config import TrainConfig

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
class TopicFacts:
    """What came on a topic.

    Attributes:
        name: the name of the topic.
        publishers: the nodes that publish on it.
        arrivals: when messages arrived by this machine's clock, s.
        ages: this machine's clock at each arrival minus the stamp of the message, s.
    """

    name: str
    publishers: tuple[str, ...] = ()
    arrivals: tuple[float, ...] = ()
    ages: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """The mean rate, Hz, or 0 where fewer than two messages came."""
        if len(self.arrivals) < 2 or self.arrivals[-1] <= self.arrivals[0]:
            return 0.0
        return (len(self.arrivals) - 1) / (self.arrivals[-1] - self.arrivals[0])

    @property
    def longest_gap(self) -> float:
        """The longest time between two messages, s, or 0 where fewer than two came."""
        return max((after - before for before, after in itertools.pairwise(self.arrivals)), default=0.0)

    @property
    def age(self) -> float:
        """The median age of the messages, s. At least one message must have come."""
        return statistics.median(self.ages)


@dataclasses.dataclass(frozen=True)
class JointFacts:
    """The joint states of one arm: its topic, and the newest names and positions."""

    arm: str
    topic: TopicFacts
    names: tuple[str, ...] = ()
    positions: tuple[float, ...] = ()

    @property
    def by_name(self) -> dict[str, float]:
        """The newest position of each joint, rad or m."""
        return dict(zip(self.names, self.positions, strict=False))


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """One topic of a camera, and its newest image.

    Attributes:
        camera: the name of the camera on the robot.
        topic: the topic.
        is_compressed: whether the messages hold JPEG or PNG files.
        encoding: the encoding of a raw image, or the format of a compressed one.
        height: the height that was decoded, pixels; 0 where no image came or it cannot be decoded.
        width: the width likewise.
        problem: why the newest image cannot be decoded, or empty.
        mean: the mean gray level of the newest image, 0..255.
        spread: the standard deviation of its gray levels.
    """

    camera: str
    topic: TopicFacts
    is_compressed: bool = False
    encoding: str = ""
    height: int = 0
    width: int = 0
    problem: str = ""
    mean: float = 0.0
    spread: float = 0.0


@dataclasses.dataclass(frozen=True)
class DriverFacts:
    """What `get_robot_info` of an arm's driver told; `problem` says why it told nothing."""

    arm: str
    problem: str = ""
    mode: str = ""
    joints: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    gripper_mode: str = ""


@dataclasses.dataclass(frozen=True)
class ManagerFacts:
    """The controller manager of an arm, and its update rate in Hz; `problem` says why the rate is not known."""

    arm: str
    update_rate: int = 0
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """What a node said about itself on /diagnostics."""

    node: str
    is_error: bool
    is_warning: bool
    text: str


@dataclasses.dataclass(frozen=True)
class GraphFacts:
    """What was seen of the ROS graph.

    Attributes:
        nodes: the names of all nodes, without namespaces.
        followers: the joint states of the followers.
        leaders: the joint states of the leaders.
        images: the topics of the cameras that the settings name.
        other_images: topics of images that the settings do not name.
        publishers: the nodes that publish on each of the topics on which one node alone may publish.
        drivers: Interbotix's drivers of the followers; empty where they were not asked.
        managers: the controller managers of the followers; empty where they were not asked.
        diagnostics: the newest diagnostics of each node.
    """

    nodes: tuple[str, ...] = ()
    followers: tuple[JointFacts, ...] = ()
    leaders: tuple[JointFacts, ...] = ()
    images: tuple[ImageFacts, ...] = ()
    other_images: tuple[str, ...] = ()
    publishers: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    drivers: tuple[DriverFacts, ...] = ()
    managers: tuple[ManagerFacts, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


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
