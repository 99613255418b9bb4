"""The format of the messages that are recorded or kept on disk. What changed in which format is in CHANGELOG.rst."""

from __future__ import annotations

FORMAT = 2
"""The format that this version writes and reads: MessageFormat.VERSION of chunk_ppo_msgs, as a test makes sure."""
