"""Loads the policy versions that trainer_node or deployment_node announces, in the worker thread of policy_node."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chunk_ppo_msgs import msg

from chunk_ppo_ros.agent.actor import Actor
from chunk_ppo_ros.agent.next_step.announced_version import Announcement
from chunk_ppo_ros.core.counter_file import CounterFile
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.nodes.common import condition_table
from chunk_ppo_ros.nodes.common.peers.foreign_publishers import RunGuard
from chunk_ppo_ros.nodes.common.peers.message_origin import MessageOrigin, WithOrigin
from chunk_ppo_ros.nodes.common.subscriptions import subscribe
from chunk_ppo_ros.nodes.common.worker import Outcome
from chunk_ppo_ros.nodes.common.worker_node import WorkerNode
from chunk_ppo_ros.nodes.policy.actor_store import ActorStore
from chunk_ppo_ros.nodes.policy.policy_store import PolicyStore
from chunk_ppo_ros.nodes.policy.rollout_facts import RolloutFacts
from chunk_ppo_ros.nodes.wire import topics

RETRY_PERIOD = 10.0
"""The time after which a version that could not be loaded is tried again, s of the steady clock."""


class PolicyLoader:
    """Subscribes to `policy_version`, and keeps the actor with the newest weights that could be loaded.

    Args:
        node: the node that subscribes, works and reports the conditions.
        facts: the facts of the rollout, which learn what is announced and loaded.
        store: learns which run is announced.
        sequence_file: the next sequence number, as earlier releases stored it.
        on_change: is called when nothing is left to load.

    Attributes:
        actor: the actor, or None until weights are loaded.
    """

    def __init__(
        self,
        node: WorkerNode,
        facts: RolloutFacts,
        store: PolicyStore,
        sequence_file: CounterFile,
        *,
        on_change: Callable[[], None],
    ) -> None:
        self.actor: Actor | None = None
        self._actors = ActorStore(node.config)
        self._deploy = node.config.deploy
        self._node = node
        self._facts = facts
        self._store = store
        self._sequence_file = sequence_file
        self._on_change = on_change
        self._announced: msg.PolicyVersion | None = None
        self._loading: msg.PolicyVersion | None = None
        self._failed_at: float | None = None  # when the announced version could not be loaded, steady s
        self._guard = RunGuard(node, node)
        subscribe(node, node, topics.POLICY_VERSION, self._on_policy_version, note_sender=self._only_of_trainers)

    @property
    def is_final(self) -> bool:
        """Whether trainer_node has announced that training has reached its end."""
        return self._announced is not None and self._announced.final

    def load_announced(self) -> None:
        """Loads the version that was announced last, if any was."""
        if self._announced is not None:
            self._load(self._announced)

    def drop(self) -> None:
        """Drops the weights."""
        self.actor = None
        self._actors = ActorStore(self._node.config)
        self._loading = None
        self._facts.state.weights.drop()

    def watch(self) -> None:
        """Follows another run whose announcement was refused, where the trainer of the first run has left since.

        A version that could not be loaded is tried again every `RETRY_PERIOD` seconds, because a disk may come back.
        """
        refused = self._guard.take_refused()
        if refused is not None:
            self._on_policy_version(refused)
        failed_at, announced = self._failed_at, self._announced
        if failed_at is not None and announced is not None and time.monotonic() - failed_at >= RETRY_PERIOD:
            self._failed_at = None
            if self._node.is_configured:
                self._load(announced)

    def _only_of_trainers(self, topic: str, then: Callable[[Any], None]) -> WithOrigin:
        """Returns the callback of the subscription. It leaves out what another node announces of the same run."""

        def take(message: msg.PolicyVersion, origin: MessageOrigin) -> None:
            of_run = self._announced is not None and message.run_id == self._announced.run_id
            admitted = self._facts.guard.admits(topic, origin, unknown=True)
            if admitted or not of_run:  # `RunGuard` decides about another run.
                then(message)

        return WithOrigin(take)

    def _on_policy_version(self, message: msg.PolicyVersion) -> None:
        if not self._guard.admits(message, "" if self._announced is None else self._announced.run_id):
            return
        self._tell_return(message)
        self._announced, self._failed_at = message, None
        self._store.begin_run(message.run_id)
        self._facts.state.announce(self._announcement(message))
        if self._node.is_configured:
            self._load(message)

    def _tell_return(self, message: msg.PolicyVersion) -> None:
        """Logs that a trainer goes on from an older checkpoint. The policy follows it."""
        before = self._announced
        if before is not None and before.run_id == message.run_id and message.version < before.version:
            self._node.get_logger().warning(
                f"policy version {message.version} is announced after version {before.version}: the trainer goes on "
                "from an older checkpoint, and the policy follows"
            )

    def _load(self, message: msg.PolicyVersion) -> None:
        """Makes the worker load the announced version, unless it is loaded or being loaded."""
        if message.final or self._facts.state.weights.is_loaded or _is_same(message, self._loading):
            self._on_change()
            return
        self._loading = message
        actors, path, version = self._actors, Path(message.checkpoint), message.version
        if not self._deploy.is_comparison:  # Otherwise the operator must not know which checkpoint acts.
            compiling = "" if self._node.is_ready else ", and compiling it"
            self._node.get_logger().info(f"loading policy version {version} from {path}{compiling}")
        self._node.submit(
            lambda: actors.actor_of(path, policy_version=version), lambda outcome: self._on_loaded(message, outcome)
        )

    def _announcement(self, message: msg.PolicyVersion) -> Announcement:
        return Announcement(
            run_id=message.run_id,
            version=message.version,
            num_accepted=message.num_accepted,
            num_required=message.num_required,
            next_sequence_number=max(message.next_sequence_number, self._sequence_file.read(message.run_id)),
            final=message.final,
            only_episode=message.next_episode if self._deploy.is_comparison else None,
        )

    def _on_loaded(self, message: msg.PolicyVersion, outcome: Outcome[Actor]) -> None:
        if self._loading is message:
            self._loading = None
        try:
            self.actor = outcome.result()
        except CheckpointError as error:
            if self._deploy.is_deployment:
                raise  # No other version will follow.
            self._node.raise_condition(
                condition_table.CHECKPOINT_UNREADABLE,
                version=message.version,
                checkpoint=message.checkpoint,
                reason=str(error),
            )
            if _is_same(message, self._announced):
                self._failed_at = time.monotonic()
                self._facts.state.weights.load_failed(str(error))
            return
        self._node.clear_condition(condition_table.CHECKPOINT_UNREADABLE)
        if self._actors.note:
            self._node.get_logger().info(f"version {message.version} was loaded slowly: {self._actors.note}")
        self._facts.state.weights.loaded(message.version)
        if not self._node.is_ready:
            self._node.set_ready()
        self._on_change()


def _is_same(message: msg.PolicyVersion, other: msg.PolicyVersion | None) -> bool:
    """Returns whether two announcements are of the same weights. Their counts may differ."""
    return other is not None and (message.run_id, message.version, message.checkpoint) == (
        other.run_id,
        other.version,
        other.checkpoint,
    )
