"""Who of reward_node's neighbours is silent, gone or started anew; each change is logged once."""

from __future__ import annotations

from rclpy.node import Node

from chunk_ppo_ros.config import RewardConfig
from chunk_ppo_ros.nodes.common.presence import PresenceWatch
from chunk_ppo_ros.rewards.referee import ChunkJoin
from chunk_ppo_ros.rewards.silence import SilenceWatch

WATCHED_TOPICS = ("execution_result", "task_reward", "action_chunk")


class RewardWatch:
    """Looks at the graph and at what is overdue. Times are seconds of a steady clock.

    Args:
        node: asks the graph and logs.
        config: names of the reward sources, and the time after which somebody is silent.
    """

    def __init__(self, node: Node, config: RewardConfig) -> None:
        self._logger = node.get_logger()
        self._config = config
        self._presence = PresenceWatch(node, WATCHED_TOPICS)
        self._silence = SilenceWatch()

    def restarted(self, now: float) -> list[str]:
        """Nodes that were started anew since the last look; what they knew of the episode is lost."""
        names = []
        for change in self._presence.update(now):
            if change.present:
                names.append(change.name)
            else:
                self._logger.error(f"{change.name} left the graph; the episode waits for it")
        return names

    def look_for_silence(self, now: float, *, join: ChunkJoin, unanswered_for: float, bootstrap_due_for: float) -> None:
        """Logs who has become silent and who is back.

        Args:
            now: the time.
            join: the chunks whose outcome is not known yet.
            unanswered_for: seconds that trainer_node has not answered; 0 where nothing waits.
            bootstrap_due_for: seconds that policy_node owes a bootstrap; 0 where it owes none.
        """
        timeout = self._config.source_timeout
        late = [entry for entry in join.in_flight() if now - entry.waiting_since > timeout]
        missing = join.missing(late[0]) if late else ()
        self._note("robot_node", "execution_result after a chunk", silent="robot" in missing)
        for source in self._config.sources:
            self._note(f"reward source '{source}'", "task_reward after a chunk", silent=source in missing)
        self._note("trainer_node", "transition_ack (transitions are sent again)", silent=unanswered_for > timeout)
        self._note("policy_node", "bootstrap after a truncated episode", silent=bootstrap_due_for > timeout)

    def _note(self, part: str, missing: str, *, silent: bool) -> None:
        change = self._silence.update(part, f"no {missing} for {self._config.source_timeout} s" if silent else None)
        if change is None:
            return
        began, line = change
        if began:
            self._logger.error(line)
        else:
            self._logger.info(line)
