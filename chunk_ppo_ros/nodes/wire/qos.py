"""Quality-of-service profiles, each named by its purpose."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from chunk_ppo_ros.core.consumption.number_window import MOST_ROBOTS
from chunk_ppo_ros.rewards.delivery import WINDOW


def _profile(
    depth: int,
    *,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability, durability=durability)


SENSOR = _profile(1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Reads a sensor of which only the newest reading counts. It matches reliable and best-effort publishers."""

SENSOR_LOCKSTEP = _profile(1)
"""Reads a sensor in lockstep. Only the newest reading counts, but none may be lost, because no other follows it."""

JOINT_STATES = _profile(8, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Publishes and reads joint states. A few are kept so that those of both arms can be matched by stamp."""

JOINT_STATES_LOCKSTEP = _profile(8)
"""Reads joint states in lockstep. They are reliable, because a lost one would stop simulated time."""

STREAM_PUBLISHER = _profile(512)
"""Publishes joint states and the time of a simulator. They are reliable, and the history is deep enough for a recorder
that gets no processor for half a second."""

IMAGE_PUBLISHER = _profile(2)
"""Publishes images. They are reliable, because recorders and other tools of a lab subscribe to them reliably."""

IMAGE_RECORDING = _profile(16, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Reads images to record them. It matches reliable and best-effort publishers."""

COMMAND = _profile(8)
"""Publishes and reads joint trajectories. None may be lost, and old ones are of no use."""

LOG = _profile(1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Publishes what nodes log, as rclpy does it."""

RELIABLE = _profile(64)
"""Publishes and reads chunks, results, rewards, outcomes and metrics, which are sent one by one."""

RELAXED = _profile(64, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Reads messages of a best-effort publisher, such as a wireless switch, beside a reliable subscription."""

TRANSITION = _profile(2 * WINDOW)
"""Publishes transitions of about 450 kB. The history holds those that are under way, and their repetitions."""

TRANSITION_SUBSCRIPTION = _profile(WINDOW * MOST_ROBOTS)
"""Reads transitions. The history holds all that are under way from all robots of a run, so that none is sent again
because trainer_node was busy. It takes memory only while they wait, up to 58 MB."""

ACKNOWLEDGMENT = _profile(256)
"""Publishes and reads acknowledgments. The history holds those of a whole rollout and its repetitions."""

LATCHED = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Publishes a state. The last value is true until the next one, and late subscribers get it."""

HISTORY = _profile(64, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Publishes and reads what is true for good. Late subscribers get the newest messages of it."""

HANDLED = _profile(2048, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Publishes and reads what a node has handled. The history is for a recorder that starts later or is started anew,
because a replay needs each of them. reward_node has ten ticks a second and about five inputs for each chunk, so that at
three chunks a second the history is that of the last 80 s. In lockstep chunks may be faster, and it is shorter.

A message has 150 bytes to 3.3 kB, that of a result of 50 steps, so that the history takes about 4 MB and at most 8 MB.
"""

LATCHED_SUBSCRIPTION = _profile(16, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""Reads a state. The history is deeper than the publisher's, so that no quick change is missed."""
