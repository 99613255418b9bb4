"""Follows which policy version the trainer announces, and whether its weights are loaded."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.agent.next_step.rollout_steps import Hold


@dataclasses.dataclass(frozen=True)
class Announcement:
    """The policy version to act with, as trainer_node announces it.

    Attributes:
        run_id: the identity of the run.
        version: the number of the version.
        num_accepted: the number of transitions of this version that the trainer holds.
        num_required: the number of transitions that make an update.
        next_sequence_number: the lowest sequence number that is free.
        final: whether no update follows.
        only_episode: the only episode in which the version acts, or None where it acts in all.
    """

    run_id: str
    version: int
    num_accepted: int
    num_required: int
    next_sequence_number: int = 0
    final: bool = False
    only_episode: int | None = None


class AnnouncedVersion:
    """The newest announcement, and what became of its weights.

    Attributes:
        newest: the newest announcement, or None before the first one.
        is_loaded: whether the weights of the announced version are loaded.
    """

    def __init__(self) -> None:
        self.newest: Announcement | None = None
        self.is_loaded = False
        self._load_failure = ""

    @property
    def run_id(self) -> str | None:
        """The identity of the announced run, or None before the first announcement."""
        return None if self.newest is None else self.newest.run_id

    def is_version(self, version: int) -> bool:
        """Returns whether this is the number of the announced version."""
        return self.newest is not None and version == self.newest.version

    def announce(self, announcement: Announcement) -> bool:
        """Takes an announcement in the place of the one before.

        Returns:
            Whether it is of another version or run. The weights of that version are not loaded yet.
        """
        known = self.newest
        is_new = known is None or (known.run_id, known.version) != (announcement.run_id, announcement.version)
        if is_new:
            self.is_loaded = False
        self.newest = announcement
        self._load_failure = ""
        return is_new

    def loaded(self, version: int) -> None:
        """Records that the weights of a version are loaded. A version that is no longer announced is ignored."""
        if self.is_version(version):
            self.is_loaded = True
            self._load_failure = ""

    def drop(self) -> None:
        """Records that the weights are no longer in memory, and must be loaded before the policy acts."""
        self.is_loaded = False
        self._load_failure = ""

    def load_failed(self, reason: str) -> None:
        """Records that the announced weights could not be loaded."""
        self._load_failure = reason

    def loaded_announcement(self) -> Announcement | Hold:
        """Returns the announcement if its version is loaded, else a step that holds until it is."""
        if self.newest is None:
            return Hold("waiting for a policy version to be announced")
        if self.newest.final:
            return Hold("the run has reached its end")
        if self._load_failure:
            return Hold(f"policy version {self.newest.version} cannot be loaded: {self._load_failure}")
        if not self.is_loaded:
            return Hold(f"loading policy version {self.newest.version}")
        return self.newest
