"""Watches which nodes around reward_node are silent, gone or started anew."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

from rclpy.node import Node
from std_msgs.msg import Bool

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.core.execution import Status
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.conditions import Conditions
from chunk_ppo_ros.nodes.common.inputs.handled_inputs import Handles, not_told
from chunk_ppo_ros.nodes.common.peers.presence import PresenceWatch
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.rewards.chunk_join import ChunkJoin

SIMULATOR = "sim_node"
"""The node among the reward sources that has the scene."""


class Role(enum.Enum):
    """Lists what a node is for an episode. Each value is the topic by whose publisher the node is known."""

    ROBOT = topics.EXECUTION_RESULT.name
    SOURCE = topics.TASK_REWARD.name
    POLICY = topics.ACTION_CHUNK.name


@dataclasses.dataclass(frozen=True)
class Restart:
    """Says that a node was started anew, so that it has lost what it had in memory.

    `is_before` says that this happened before the start of this process.
    """

    name: str
    role: Role
    is_before: bool = False

    @property
    def has_lost_the_robot(self) -> bool:
        """Whether robot and scene may not be where they were, so that the episode cannot go on."""
        return self.role is Role.ROBOT or self.name == SIMULATOR

    @property
    def text(self) -> str:
        """One text with all of it, for HandledInput.msg."""
        return f"{self.name} {self.role.value} {'before' if self.is_before else 'anew'}"

    @classmethod
    def of(cls, text: str) -> Restart:
        """Returns what `text` has made of one."""
        name, topic, when = text.split()
        return cls(name, Role(topic), is_before=when == "before")


class RewardWatch:
    """Looks at the graph and at overdue messages. Times are in seconds of a steady clock.

    Args:
        node: the node whose view of the graph is read.
        config: the configuration, with the names of the reward sources and the time after which a node is silent.
        conditions: the conditions of the node.
        announcer: the node that announces the policy and acknowledges transitions.
        handles: tells in which order stops are handled among other inputs.
    """

    def __init__(
        self,
        node: Node,
        config: RewardConfig,
        conditions: Conditions,
        *,
        announcer: str = "trainer_node",
        handles: Handles = not_told,
    ) -> None:
        self._config = config
        self._announcer = announcer
        self._conditions = conditions
        self._presence = {role: PresenceWatch(node, [role.value]) for role in Role}
        self._is_stopped = False  # whether there is an emergency stop
        topics.EMERGENCY_STOP_STATE.create_subscription(node, handles(topics.EMERGENCY_STOP_STATE, self._on_stop))

    def was_stopped(self, status: Status) -> bool:
        """Returns whether a chunk that ended with this status was refused because of an emergency stop."""
        return status is Status.REFUSED and self._is_stopped

    def _on_stop(self, message: Bool) -> None:
        self._is_stopped = message.data

    @property
    def peers(self) -> dict[str, str]:
        """Which processes have robot and scene, by topic and name, for a reward_node that is started anew."""
        return {
            f"{topic} {name}": identity.hex()
            for role, presence in self._presence.items()
            for (topic, name), identity in presence.identities.items()
            if Restart(name, role).has_lost_the_robot
        }

    @property
    def has_unseen_peers(self) -> bool:
        """Whether a process with robot or scene that an earlier reward_node has known was not seen yet."""
        return any(
            Restart(name, role).has_lost_the_robot
            for role, presence in self._presence.items()
            for _, name in presence.unseen
        )

    def expect(self, peers: Mapping[str, str], *, now: float) -> None:
        """Takes which processes an earlier reward_node has known, so that others count as started anew."""
        for key, identity in peers.items():
            topic, name = key.split()
            self._presence[Role(topic)].expect(topic, name, bytes.fromhex(identity), now=now)

    def restarted(self, now: float) -> list[Restart]:
        """Returns the nodes that were started anew since the last call, and so have lost their state."""
        restarts = []
        for role, presence in self._presence.items():
            for change in presence.update(now):
                if change.present:
                    self._conditions.clear_condition(condition_table.NODE_LEFT, name=change.name)
                else:
                    self._conditions.raise_condition(condition_table.NODE_LEFT, name=change.name)
                if change.is_anew:
                    restarts.append(Restart(change.name, role, is_before=change.is_first))
        return restarts

    def look_for_silence(
        self, now: float, *, join: ChunkJoin, unacknowledged_for: float, bootstrap_due_for: float
    ) -> None:
        """Reports which nodes have become silent and which are back.

        Args:
            now: the present time.
            join: the chunks whose outcome is not known yet.
            unacknowledged_for: the seconds for which nobody has acknowledged, or 0 if no transition waits.
            bootstrap_due_for: the seconds for which a bootstrap of policy_node is due, or 0 if none is.
        """
        timeout = self._config.source_timeout
        late = [chunk for chunk in join.in_flight() if now - chunk.waiting_since > timeout]
        missing = late[0].missing if late else ()
        self._report("robot_node", "execution_result after a chunk", silent="robot" in missing)
        for source in self._config.sources:
            self._report(f"reward source '{source}'", "task_reward after a chunk", silent=source in missing)
        transitions = "transition_ack (transitions are sent again)"
        self._report(self._announcer, transitions, silent=unacknowledged_for > timeout)
        self._report("policy_node", "bootstrap after a truncated episode", silent=bootstrap_due_for > timeout)

    def _report(self, part: str, message: str, *, silent: bool) -> None:
        if silent:
            timeout = self._config.source_timeout
            self._conditions.raise_condition(condition_table.PART_SILENT, part=part, message=message, timeout=timeout)
        else:
            self._conditions.clear_condition(condition_table.PART_SILENT, part=part)
