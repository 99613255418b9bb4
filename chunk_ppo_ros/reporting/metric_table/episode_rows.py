"""The metrics of an episode and of an evaluation."""

from __future__ import annotations

from chunk_ppo_ros.reporting.metric_table.row import WITH_PROMPTS, MetricRow

_RUN, _EVALUATE, _STATISTICS = "reporting/run_metrics.py", "evaluation/results.py", "evaluation/statistics.py"
_COMPARED = "two checkpoints were compared"

EPISODES = (
    MetricRow("episode/episode", "1", "The number of the episode within the run.", _RUN),
    MetricRow("episode/total_reward", "reward", "The sum of the rewards of its chunks.", _RUN, "It rises."),
    MetricRow(
        "episode/success",
        "0 or 1",
        "Whether the policy solved the task by itself. It samples tokens; do not compare this with greedy evaluations.",
        _RUN,
        "Its running mean rises to 1.",
    ),
    MetricRow("episode/num_chunks", "chunks", "The executed chunks of the episode.", _RUN),
    MetricRow("episode/intervened", "0 or 1", "Whether a human took over.", _RUN, when="the ROS graph trains"),
    MetricRow(
        "episode/success/<prompt>",
        "0 or 1",
        "The same as episode/success, under the prompt that the episode had.",
        _RUN,
        "Its running mean rises to 1 for each prompt.",
        WITH_PROMPTS,
    ),
)

EVALUATIONS = (
    MetricRow("evaluation/episodes", "episodes", "The unseen starts that were measured.", _EVALUATE),
    MetricRow("evaluation/success_mean", "share", "The solved episodes.", _EVALUATE, "It is 1."),
    MetricRow("evaluation/success_low", "share", "The lower end of its 95 % interval (Wilson 1927).", _EVALUATE),
    MetricRow("evaluation/success_high", "share", "The upper end of its 95 % interval.", _EVALUATE),
    MetricRow("evaluation/reward_mean", "reward", "The mean reward of an episode.", _EVALUATE),
    MetricRow("evaluation/reward_low", "reward", "The lower end of its 95 % interval (Student's t).", _EVALUATE),
    MetricRow("evaluation/reward_high", "reward", "The upper end of its 95 % interval.", _EVALUATE),
    MetricRow(
        "evaluation/invalid_fraction", "share", "The chunks whose tokens stood for no actions.", _EVALUATE, "It is 0."
    ),
    MetricRow(
        "evaluation/episodes/<prompt>",
        "episodes",
        "The starts that were measured with the prompt.",
        _EVALUATE,
        "",
        WITH_PROMPTS,
    ),
    MetricRow(
        "evaluation/success_mean/<prompt>", "share", "The solved ones of them.", _EVALUATE, "It is 1.", WITH_PROMPTS
    ),
    MetricRow(
        "evaluation/success_low/<prompt>", "share", "The lower end of its 95 % interval.", _EVALUATE, when=WITH_PROMPTS
    ),
    MetricRow(
        "evaluation/success_high/<prompt>", "share", "The upper end of its 95 % interval.", _EVALUATE, when=WITH_PROMPTS
    ),
    MetricRow(
        "evaluation/reward_mean/<prompt>", "reward", "The mean reward of these episodes.", _EVALUATE, when=WITH_PROMPTS
    ),
    MetricRow(
        "evaluation/reward_low/<prompt>", "reward", "The lower end of its 95 % interval.", _EVALUATE, when=WITH_PROMPTS
    ),
    MetricRow(
        "evaluation/reward_high/<prompt>", "reward", "The upper end of its 95 % interval.", _EVALUATE, when=WITH_PROMPTS
    ),
    MetricRow(
        "evaluation/difference",
        "share",
        "Success after minus success before.",
        _STATISTICS,
        "It is above 0.",
        _COMPARED,
    ),
    MetricRow(
        "evaluation/p_greater",
        "probability",
        "The probability of at least this difference if neither is better; one-sided.",
        _STATISTICS,
        "It is below 0.05 where the difference is more than chance.",
        _COMPARED,
    ),
    MetricRow(
        "evaluation/p_two_sided",
        "probability",
        "The same for a difference in either direction.",
        _STATISTICS,
        when=_COMPARED,
    ),
    MetricRow(
        "evaluation/num_pairs", "episodes", "The starts that both were measured on.", _STATISTICS, when=_COMPARED
    ),
)
