"""The metrics of where the time of a run went, which updates and episodes have."""

from __future__ import annotations

from chunk_ppo_ros.reporting.metric_table.row import MetricRow

_RUN, _GRAPH = "reporting/run_metrics.py", "the ROS graph trains"


def run_time_rows(*, wall_when: str = "") -> tuple[MetricRow, ...]:
    """Returns the rows. All are sums since the beginning of the run, over all its starts.

    Args:
        wall_when: the condition under which the wall time is logged; empty where it is always logged.
    """
    return (
        MetricRow("run_time/wall", "s", "The time of the run, over all its starts.", _RUN, when=wall_when),
        MetricRow(
            "run_time/motion",
            "s",
            "While the robot was commanded to move: by chunks, by a human and by scripted motions. In lockstep the "
            "time of chunks is simulated. Divide it by 60 for robot-minutes.",
            _RUN,
            "Its share of run_time/wall is what the robot was used for.",
            _GRAPH,
        ),
        MetricRow(
            "run_time/resetting", "s", "While robot and scene were brought to the start.", _RUN, "It is small.", _GRAPH
        ),
        MetricRow(
            "run_time/ready",
            "s",
            "While an episode that was ready waited for its start, which is the operator's.",
            _RUN,
            "It is small.",
            _GRAPH,
        ),
        MetricRow(
            "run_time/running",
            "s",
            "While an episode ran and was neither paused nor waiting for the trainer.",
            _RUN,
            "It is most of run_time/wall.",
            _GRAPH,
        ),
        MetricRow("run_time/paused", "s", "While an episode that ran was paused.", _RUN, when=_GRAPH),
        MetricRow(
            "run_time/waiting_for_trainer",
            "s",
            "While an episode ran and the policy waited for the trainer's update.",
            _RUN,
            "It is small; otherwise make updates shorter, or the rollouts longer.",
            _GRAPH,
        ),
        MetricRow(
            "run/running_when_robot_died",
            "chunks",
            "The chunks of the run that make no transition, because robot_node or the simulator died while they ran.",
            _RUN,
            "It is 0 where neither of them dies.",
            _GRAPH,
        ),
    )
