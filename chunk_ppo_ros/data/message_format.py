"""Defines the format of the messages that are recorded or kept on disk. CHANGELOG.rst lists the changes by format."""

from __future__ import annotations

FORMAT = 2
"""The format that this version writes and reads. A test checks that it is MessageFormat.VERSION of chunk_ppo_msgs."""
