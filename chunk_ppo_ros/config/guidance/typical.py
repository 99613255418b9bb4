"""Typical values of every setting, and the reason to change each.

The reference pages of the documentation show them beside the defaults. docs/learning.md has the measurements.
"""

from __future__ import annotations

from chunk_ppo_ros.config.guidance.episodes import EPISODES
from chunk_ppo_ros.config.guidance.learning import LEARNING
from chunk_ppo_ros.config.guidance.policy import POLICY
from chunk_ppo_ros.config.guidance.robot import ROBOT
from chunk_ppo_ros.config.guidance.runs import RUNS

TYPICAL: dict[str, str] = {**POLICY, **LEARNING, **EPISODES, **ROBOT, **RUNS}
"""Sentences by the dotted name of the setting. Each setting has one."""
