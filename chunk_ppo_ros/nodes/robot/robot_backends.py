"""Back ends send targets to the robot. A back end sends every target it gets, because limits are applied before.

A back end of this package is one file or folder in this folder, and one line in `ROBOT_BACKENDS`. A back end of another
package is an entry point of the group `chunk_ppo_ros.robot_backends`. The entry point is a function that takes the node
and the `RobotConfig` and returns a `RobotBackend`, whose publishers and timers the node owns. The setting
`robot.backend` names the back end in use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from rclpy.node import Node

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.core.errors import RegistryError
from chunk_ppo_ros.core.registry import Registry
from chunk_ppo_ros.nodes.robot.shadow_backend import make_shadow
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.features import MotorTemperature, RobotFeatures


class RobotBackend(Protocol):
    """Sends targets to the motors of both arms."""

    def send(self, target: np.ndarray, *, stamp: int) -> None:
        """Sends the target of one control step.

        Args:
            target: float64 [14], within the limits, in rad with normalized grippers.
            stamp: the ROS time of the step, ns.
        """


@runtime_checkable
class ReportsProblem(Protocol):
    """A back end that knows whether its commands arrive."""

    def problem(self) -> str:
        """Returns why a target that is sent now would not move the arms, or an empty string. It is asked at each step.

        While there is a problem, no chunk starts, and a running one ends as a FAULT.
        """


@runtime_checkable
class TellsWaits(Protocol):
    """A back end that tells drivers that have not come yet from drivers that have gone or are not as they must be."""

    def only_waits(self) -> bool:
        """Returns whether its problem is only that drivers are waited for that were never ready, and nothing else."""


@runtime_checkable
class ServesLockstep(Protocol):
    """A back end that leaves out messages which would change nothing, and that can send all of them instead."""

    def send_all(self) -> None:
        """Sends every message of each target from now on, because a simulator in lockstep waits for all of them."""


@runtime_checkable
class HearsStates(Protocol):
    """A back end that wants to know when joint states of the followers arrive, and from whom."""

    def note_states(self, side: str, publisher: bytes) -> None:
        """Is called at all joint states of a follower, also at those that cannot be used.

        Args:
            side: "left" or "right".
            publisher: the id of the publisher; empty where rclpy does not tell it.
        """


@runtime_checkable
class HasFeatures(Protocol):
    """A back end that says what its drivers take and tell."""

    def features(self) -> RobotFeatures:
        """Returns names, units, rates and limits."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that a back end has measured or read of a driver.

    Attributes:
        name: what it is about, such as "follower_left bus".
        value: what was found, for people.
        advice: what to do where it is not as it should be, or empty. The robot may move all the same.
    """

    name: str
    value: str
    advice: str = ""


@runtime_checkable
class Diagnoses(Protocol):
    """A back end that measures and reads what its drivers and motors are like. /diagnostics shows it."""

    def diagnose(self) -> tuple[Finding, ...]:
        """Returns the newest findings. It returns at once, and reads nothing itself."""


@runtime_checkable
class TellsTemperatures(Protocol):
    """A back end that reads the temperatures of the motors while the robot stands still."""

    def temperatures(self) -> tuple[MotorTemperature, ...]:
        """Returns the newest temperatures, which are none before the first were read. It reads nothing itself."""


@runtime_checkable
class CountsLosses(Protocol):
    """A back end that knows when the motors of an arm have lost their goals."""

    def goals_dropped(self) -> int:
        """Returns how often that may have been, because their torque was off or their driver was started again."""


@runtime_checkable
class PreparesAgain(Protocol):
    """A back end that can prepare the motors of both arms again when an operator asks for it."""

    def prepare_again(self) -> str:
        """Begins the preparation of both arms. Returns why it does not begin, or an empty string."""


@runtime_checkable
class SwitchesTorque(Protocol):
    """A back end that can switch the torque of the motors off. Nothing but the service `torque_off` asks it to."""

    async def switch_torque_off(self) -> str:
        """Switches the torque of both arms off. Returns why it is still on, or an empty string."""


MakeBackend = Callable[[Node, RobotConfig], RobotBackend]
"""A function that makes a back end for a node."""

ROBOT_BACKENDS: Registry[MakeBackend] = Registry(
    "robot.backend",
    group="chunk_ppo_ros.robot_backends",
    own={
        "ros2_control": "chunk_ppo_ros.nodes.robot.ros2_control:make_ros2_control",
        "interbotix": "chunk_ppo_ros.nodes.robot.interbotix.backend:make_interbotix",
    },
    attributes=("__call__",),
)


def make_backend(node: Node, config: RobotConfig, *, lockstep: bool = False) -> RobotBackend:
    """Makes the back end that `robot.backend` names, or in shadow mode the one that moves nothing.

    Args:
        node: the node that owns its publishers and timers.
        config: the settings of the robot.
        lockstep: whether a simulator waits for the messages of each step.

    Raises:
        RegistryError: for a name that is not registered, or a registered function that makes no back end.
    """
    backend = make_shadow(node, config) if config.shadow else ROBOT_BACKENDS.get(config.backend)(node, config)
    if not hasattr(backend, "send"):
        raise RegistryError(f"robot.backend {config.backend!r} must make a RobotBackend, got {backend!r} without send")
    if lockstep and isinstance(backend, ServesLockstep):
        backend.send_all()
    return backend


def features_of(backend: RobotBackend) -> RobotFeatures | None:
    """Returns what the drivers of a back end take and tell, or None where it does not say."""
    return backend.features() if isinstance(backend, HasFeatures) else None


def sleep_pose_of(backend: RobotBackend) -> np.ndarray:
    """Returns where the arms of a back end are put down, float64 [14]."""
    features = features_of(backend)
    return aloha.SLEEP_POSE if features is None else features.sleep_pose


def findings_of(backend: RobotBackend) -> tuple[Finding, ...]:
    """Returns what a back end has found, which is nothing where it does not look."""
    return backend.diagnose() if isinstance(backend, Diagnoses) else ()


def temperatures_of(backend: RobotBackend) -> tuple[MotorTemperature, ...]:
    """Returns the temperatures that a back end has read, which are none where it does not read them."""
    return backend.temperatures() if isinstance(backend, TellsTemperatures) else ()


def goals_dropped(backend: RobotBackend) -> int:
    """Returns how often the motors of an arm may have lost their goals, which is 0 where a back end does not know."""
    return backend.goals_dropped() if isinstance(backend, CountsLosses) else 0


def note_states_of(backend: RobotBackend) -> Callable[[str, bytes], None]:
    """Returns what is called at all joint states of a follower, which does nothing where a back end does not listen."""
    return backend.note_states if isinstance(backend, HearsStates) else lambda side, publisher: None


def problem_of(backend: RobotBackend) -> str:
    """Returns why a back end cannot move the arms now, or an empty string, also where it does not know."""
    return backend.problem() if isinstance(backend, ReportsProblem) else ""


def only_waits(backend: RobotBackend) -> bool:
    """Returns whether a back end has no other problem than drivers that have not come yet; False where it is silent."""
    return isinstance(backend, TellsWaits) and backend.only_waits()
