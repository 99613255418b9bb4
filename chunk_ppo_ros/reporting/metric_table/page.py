"""Makes docs/metrics.md from the table of metrics.

After a change of a row, run `python -m chunk_ppo_ros.reporting.metric_table.page > docs/metrics.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chunk_ppo_ros.reporting.metric_table import DISTRIBUTIONS, METRICS, Kind, MetricRow

_INTRODUCTION = """# Metrics

A training run logs these metrics to `runs/NAME/metrics.jsonl`, to wandb, for TensorBoard where `run.tensorboard` is on
and, in the ROS graph, to the topics `training_metrics` (updates) and `episode_metrics` (episodes), under the same
names. [report.md](report.md) shows where one looks at them. A value that is not finite is null in the file. Beside the
metrics each record has `kind`, `time` (seconds since 1970), `num_chunks` and `num_steps` (chunks and control steps
trained on so far) and `policy_version`. On the topics all of them are in the array `metrics`, and twenty curves that
people watch are fields beside it (`chunk_ppo topic echo /training_metrics --field policy_loss`). The unit 1 stands
for a number without a unit. The unit "share" stands for a number within 0..1.

This page is made from `chunk_ppo_ros/reporting/metric_table/`; do not edit it by hand, but run
`python -m chunk_ppo_ros.reporting.metric_table.page > docs/metrics.md`.

The methods and curves of `experiments/` log metrics of their own beside these, such as `time/total`. They are
described where they are computed, not here.

The times `run_time/...` are sums since the beginning of the run, over all its starts, at most about a second old. The
page of a run, `report.html`, has a table of their shares. `time/rollout` and `time/update` are of one update.

The line that is printed after an update shows `kl/approx` and `kl/after`. Decide by `kl/after`: it is measured over
the whole rollout once the update is made, and it is what `ppo.max_kl` limits. Which values call for which setting is
in [tune.md](tune.md) and [troubles.md](troubles.md).
"""

_SECTIONS: dict[Kind, str] = {
    "update": """## Updates

There is one record for each update. A metric that is measured in each gradient step is the mean over the gradient steps
of the last attempt, unless its row says something else. A metric of the policy counts only the gradient steps that had
a chunk of the policy. It leaves out the chunks that humans drove or cut short.
""",
    "episode": """## Episodes

There is one record for each finished episode.
""",
    "evaluation": """## Evaluations

There is one record for each evaluation of the demo and of the experiments. It has two labels beside its metrics:
`evaluation/checkpoint` says what was measured, and `evaluation/decoding` is `sample` or `greedy`.
""",
}

_DISTRIBUTIONS = """## Distributions

Each update also logs histograms, in a file of their own, `runs/NAME/histograms.jsonl`. It has one line for each update,
with `run_id`, `policy_version`, `num_chunks`, `num_steps` and `histograms`. A histogram has `low` and `high` (the
smallest and the largest number), the `counts` of 24 bins of equal widths between them, `total` and `total_of_squares`
(the sums of the numbers and of their squares), `is_log` (whether the bins have equal widths of the logarithm) and
`num_left_out` (how many further numbers were not finite). The chunks that humans drove are left out. The page of a run
shows the histograms of six updates; wandb and TensorBoard get those of all updates. The topic has none.
"""


def page() -> str:
    """Returns the text of docs/metrics.md."""
    sections = [f"{text}\n{_table(METRICS[kind])}" for kind, text in _SECTIONS.items()]
    return "\n".join([_INTRODUCTION, *sections, f"{_DISTRIBUTIONS}\n{_table(DISTRIBUTIONS)}"])


def _table(rows: Sequence[MetricRow]) -> str:
    header = "| metric | unit | meaning | good values | computed in |\n|---|---|---|---|---|\n"
    return header + "".join(f"| {_line(row)} |\n" for row in rows)


def _line(row: MetricRow) -> str:
    condition = f" Logged where {row.when}." if row.when else ""
    cells = [f"`{row.name}`", row.unit, row.meaning + condition, row.good, f"`{row.computed_in}`"]
    return " | ".join(cell.replace("|", "\\|") for cell in cells)


if __name__ == "__main__":
    sys.stdout.write(page())
