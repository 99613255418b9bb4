"""The names of the two groups of parameters, which model/ makes, rl/ trains, and checkpoints store."""

from __future__ import annotations

ACTOR = "actor_backbone"
"""The group of the policy, {"PaliGemma": ...} with openpi's tree. Checkpoints since 0.1.0 have this name."""

VALUE = "value_head"
"""The group of the value head, with the value head over the chunk below "chunk" where the model has one."""
