"""The actor and the learner, as the nodes and the script form use them."""

from __future__ import annotations

from chunk_ppo_ros.actor import Actor
from chunk_ppo_ros.learner import Learner

__all__ = ["Actor", "Learner"]
