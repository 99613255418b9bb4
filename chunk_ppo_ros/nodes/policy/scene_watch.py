"""Notices that the simulator or robot_node was started anew in an episode, which reward_node then ends."""

from __future__ import annotations

from rclpy.node import Node

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.nodes.common.peers.presence import PresenceWatch
from chunk_ppo_ros.nodes.wire import topics
from chunk_ppo_ros.robot import aloha

HOLD_TIME = 15.0
"""The longest time for which the policy waits until reward_node ends the episode of the old scene, s of the steady
clock. reward_node sees the new simulator within a second, unless it was itself started anew at the same time."""
LATE_TIME = 5.0
"""The time after the end of an interrupted episode within which a process that is seen to be new is taken for the one
that the episode was ended for, s of the steady clock. On a busy machine two nodes see it at different times."""


class SceneWatch:
    """Knows whether the episode is about to be ended, because the simulator or robot_node was started anew.

    A new simulator shows another scene than the one that the episode began in. A new robot_node would play a chunk of
    an episode that ends. Both are known by the identity of a publisher, which the graph shows before its messages are
    heard. Beside a real robot there is one scene only, whatever drivers are started anew.

    Args:
        node: the node whose view of the graph is read.
        config: the configuration, which says whether the scene is simulated.
    """

    def __init__(self, node: Node, config: TrainConfig) -> None:
        camera = aloha.ROBOT_CAMERAS[config.model.cameras[0]]
        scene = [topics.simulated_images(camera, config.robot).name] if config.env.has_scene else []
        self._presence = PresenceWatch(node, [topics.EXECUTION_RESULT.name, *scene])
        self._doubtful_until = 0.0  # steady s
        self._expected_until = 0.0  # steady s
        self._is_late = False

    def is_doubtful(self, now: float) -> bool:
        """Returns whether the policy must wait for the end of the episode, as far as `look` has seen.

        Args:
            now: the time of the steady clock, s.
        """
        return now < self._doubtful_until

    def look(self, now: float, *, in_episode: bool = True) -> bool:
        """Looks at the graph, and returns whether the policy must wait for the end of the episode.

        Args:
            now: the time of the steady clock, s.
            in_episode: whether an episode runs. What was started anew before it does not end it.
        """
        is_anew = any(change.is_anew for change in self._presence.update(now))
        if is_anew and in_episode and now < self._expected_until:
            self._is_late = True
        elif is_anew and in_episode:
            self._doubtful_until = now + HOLD_TIME
        return self.is_doubtful(now)

    def take_late(self) -> bool:
        """Returns whether a new process was seen only in the episode after the one that was ended for it.

        A chunk that was sent meanwhile may have gone to the process before. It is told once.
        """
        is_late, self._is_late = self._is_late, False
        return is_late

    def episode_interrupted(self, now: float) -> None:
        """Records that reward_node has ended an episode, because it has seen a new process.

        Args:
            now: the time of the steady clock, s.
        """
        if not self.look(now):
            self._expected_until = now + LATE_TIME

    def episode_reset(self, now: float) -> None:
        """Records that a new scene begins, or that its episode starts.

        Args:
            now: the time of the steady clock, s.
        """
        self.look(now, in_episode=False)
        self._doubtful_until = 0.0
