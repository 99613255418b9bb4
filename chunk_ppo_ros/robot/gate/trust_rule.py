"""Says of which arms, and by which rule, joint states are believed. `reading_trust.py` keeps the rule."""

from __future__ import annotations

import dataclasses

import numpy as np

from chunk_ppo_ros.config import RobotConfig
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.robot_calls import WITHOUT_NAMESPACE, RobotCalls

OPENING_RANGE = (-0.6, 1.6)
"""The range of a believed gripper opening. A gripper that is read by the constants of another linkage is within it."""
MOTOR_SPEED = 3.14159
"""The speed of the motors, rad/s. A setting for the speed of commands does not change it."""
SPEED_MARGIN = 1.5
"""The factor by which an arm may seem to be faster than its motors."""
NUM_AGREEING = 5
"""The number of readings in a row that must agree before they are believed."""
AGREEING_TIME = 0.1
"""The shortest time over which these readings must come, s."""


@dataclasses.dataclass(frozen=True)
class ArmKind:
    """Says where the joints of an arm can be.

    Attributes:
        name: what the arm is called beside its side.
        lower: the lower limits of the six joints, rad.
        upper: the upper limits, rad.
        opening: the range of a believed gripper opening.
        mover: what turns the joints.
    """

    name: str
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    opening: tuple[float, float]
    mover: str


_ARM = slice(0, len(aloha.ARM_JOINTS))
FOLLOWER = ArmKind(
    "arm", tuple(aloha.LOWER_LIMITS[_ARM]), tuple(aloha.UPPER_LIMITS[_ARM]), OPENING_RANGE, mover="its motor"
)
LEADER = ArmKind(
    "leader",
    (-3.14158, -1.88496, -2.14675, -3.14158, -1.74533, -3.14158),
    (3.14158, 1.98968, 1.60570, 3.14158, 2.14675, 3.14158),
    (-1.5, 2.5),
    mover="a hand",
)
"""A leader; the ranges are those of the URDF of Interbotix's aloha_wx250s. Its gripper is read by several constants."""
LEADER_SPEED = 10.0
"""The largest speed of a leader's joint that is believed, rad/s. A hand turns it faster than its motor could."""


@dataclasses.dataclass(frozen=True)
class TrustRule:
    """Says when joint states are believed.

    Attributes:
        period: the control period, s. Joint states need not be more frequent.
        max_start_jump: the distance from the last command within which an arm goes on by itself after a doubt, rad.
        num_agreeing: the number of readings in a row that must agree.
        agreeing_time: the shortest time over which they must come, s.
        max_speed: the largest speed of a joint that is believed, rad/s.
        max_silence: the time without joint states after which they must agree again, s.
        max_age: the largest difference between the stamp of joint states and the clock at their arrival, s.
        asks: whether an operator must confirm a pose that is far from the last command.
        calls: the command lines that the operator is told.
    """

    period: float
    max_start_jump: float
    num_agreeing: int = NUM_AGREEING
    agreeing_time: float = AGREEING_TIME
    max_speed: float = SPEED_MARGIN * MOTOR_SPEED
    max_silence: float = np.inf
    max_age: float = np.inf
    asks: bool = True
    calls: RobotCalls = WITHOUT_NAMESPACE

    @classmethod
    def of(cls, config: RobotConfig, *, simulated: bool, calls: RobotCalls = WITHOUT_NAMESPACE) -> TrustRule:
        """Returns the rule for a robot, or for our simulator.

        A reset of the simulator moves the arms at once, its joints have no largest speed, and its time may stand still.
        So it need not agree with itself for a while, its stamps are believed, and it asks nobody.

        Args:
            config: the control rate and the limits.
            simulated: whether the arms are those of our simulator.
            calls: the command lines that the operator of a robot is told.
        """
        period = 1.0 / config.control_rate
        if simulated:
            return cls(period, config.max_start_jump, num_agreeing=1, agreeing_time=0.0, max_speed=np.inf, asks=False)
        timeout = config.state_timeout
        return cls(period, config.max_start_jump, max_silence=timeout, max_age=timeout, calls=calls)

    def for_leaders(self) -> TrustRule:
        """Returns the rule for the leaders beside a robot with this rule. Nobody is asked about where a leader is."""
        return dataclasses.replace(self, max_speed=max(self.max_speed, LEADER_SPEED), asks=False)
