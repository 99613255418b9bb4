"""What the probes of the command `doctor` saw of the ROS graph: topics, arms, cameras, drivers, and diagnostics."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Mapping


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
