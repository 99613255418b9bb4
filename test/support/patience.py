"""Says how long a test waits for anything before it fails."""

from __future__ import annotations

PATIENCE = 300.0
"""The seconds that a test waits. A busy machine may be slow, and a test that passes never waits for this long."""
