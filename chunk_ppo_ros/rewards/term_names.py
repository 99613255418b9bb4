"""Defines the names of the reward terms that this package makes itself. No reward source may use them."""

from __future__ import annotations

CLAMPED = "clamped"
JERK = "jerk"
EFFORT = "effort"
HUMAN_SUCCESS = "human_success"
FEEDBACK = "feedback"
NOVELTY = "novelty"

OWN = (CLAMPED, JERK, EFFORT, HUMAN_SUCCESS, FEEDBACK, NOVELTY)
"""The names of all terms of this package. Each term has its own setting for its weight."""
