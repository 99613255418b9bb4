"""The table of all metrics of a run: the meaning of each, its unit, where it is computed, and which values are good.

`page.py` makes docs/metrics.md from it. A new metric needs one new row. A test compares the table with the metrics that
a training run logs.
"""

from __future__ import annotations

from typing import Literal

from chunk_ppo_ros.reporting.metric_table.distribution_rows import DISTRIBUTIONS, DistributionRow
from chunk_ppo_ros.reporting.metric_table.episode_rows import EPISODES, EVALUATIONS
from chunk_ppo_ros.reporting.metric_table.rollout_rows import ROLLOUTS
from chunk_ppo_ros.reporting.metric_table.row import MetricRow
from chunk_ppo_ros.reporting.metric_table.run_time_rows import run_time_rows
from chunk_ppo_ros.reporting.metric_table.update_rows import UPDATES

Kind = Literal["update", "episode", "evaluation"]
"""The kinds of records that have metrics. `metrics_log.py` writes no other kind beside the record of a start."""

METRICS: dict[Kind, tuple[MetricRow, ...]] = {
    "update": (*UPDATES, *ROLLOUTS, *run_time_rows()),
    "episode": (*EPISODES, *run_time_rows(wall_when="the ROS graph trains")),
    "evaluation": EVALUATIONS,
}
"""The metrics of each kind of record."""

__all__ = ["DISTRIBUTIONS", "METRICS", "DistributionRow", "Kind", "MetricRow"]
