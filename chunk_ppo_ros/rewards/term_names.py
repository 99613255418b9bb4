"""The names of the reward terms that this package makes itself; no reward source may take one of them."""

from __future__ import annotations

CLAMPED = "clamped"
JERK = "jerk"
EFFORT = "effort"
HUMAN_SUCCESS = "human_success"
FEEDBACK = "feedback"
NOVELTY = "novelty"

OWN = (CLAMPED, JERK, EFFORT, HUMAN_SUCCESS, FEEDBACK, NOVELTY)
"""All of them; each has a setting of its own for its weight."""
