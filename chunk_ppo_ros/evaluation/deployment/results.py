"""The result of a deployment: success rates with intervals, for each checkpoint and prompt, and their comparison."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.core.atomic_file import write_atomically
from chunk_ppo_ros.core.files.deployed_run import RESULT_JSON, RESULT_TEXT
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.evaluation.deployment.plan import DeploymentPlan
from chunk_ppo_ros.evaluation.deployment.records import EpisodeFile, EpisodeRecord
from chunk_ppo_ros.evaluation.deployment.run_file import DeployedRun
from chunk_ppo_ros.evaluation.statistics import compare_rates, paired_test, success_interval

NAMES = ("A", "B")
"""What the checkpoints are called in the result."""


@dataclasses.dataclass(frozen=True)
class Rate:
    """A success rate with its 95 % interval.

    Attributes:
        successes: the number of solved episodes.
        episodes: the number of episodes.
    """

    successes: int
    episodes: int

    @classmethod
    def of(cls, records: Sequence[EpisodeRecord]) -> Rate:
        """Returns the rate of some episodes."""
        return cls(sum(record.success for record in records), len(records))

    def fields(self) -> dict[str, float]:
        """Returns the numbers for the JSON file. Without episodes there is no rate."""
        counts: dict[str, float] = dataclasses.asdict(self)
        if not self.episodes:
            return counts
        low, high = success_interval(self.successes, self.episodes)
        return {**counts, "success_mean": self.successes / self.episodes, "success_low": low, "success_high": high}

    def __str__(self) -> str:
        if not self.episodes:
            return "no episode counts yet"
        low, high = success_interval(self.successes, self.episodes)
        share = f"{self.successes / self.episodes:.1%} [{low:.1%}, {high:.1%}]"
        return f"success {share} over {count_of(self.episodes, 'episode')}"


@dataclasses.dataclass(frozen=True)
class DeploymentResult:
    """The result of the episodes of a deployment so far.

    Attributes:
        run: what was deployed, and how it acted.
        plan: which episodes count.
        records: the episodes that have ended.
    """

    run: DeployedRun
    plan: DeploymentPlan
    records: tuple[EpisodeRecord, ...]

    @classmethod
    def read(cls, folder: Path, plan: DeploymentPlan) -> DeploymentResult:
        """Returns the result of the folder of a run.

        Raises:
            UserError: when its files are missing or damaged.
        """
        return cls(DeployedRun.read(folder), plan, tuple(EpisodeFile(folder).read()))

    def of_policy(self, policy: int) -> tuple[EpisodeRecord, ...]:
        """Returns the episodes of a checkpoint that count, in the order of their numbers."""
        return tuple(record for record in self.plan.counted(self.records) if record.policy == policy)

    @property
    def comparison(self) -> str:
        """The comparison of two checkpoints in one line. It is empty where there is nothing to compare."""
        if self.plan.num_policies == 1 or not self.plan.num_done(self.records):
            return ""
        before, after = self.of_policy(0), self.of_policy(1)
        if not self.plan.is_paired:
            first, second = Rate.of(before), Rate.of(after)
            test = compare_rates((first.successes, first.episodes), (second.successes, second.episodes))
            return f"B - A: {test}"
        solved = [{record.seed: float(record.success) for record in records} for records in (before, after)]
        starts = sorted(solved[0])
        return f"B - A: {paired_test(*([values[seed] for seed in starts] for values in solved))}"

    @property
    def left_out(self) -> str:
        """The episodes that do not count, in words."""
        counted, records = self.plan.counted(self.records), self.records
        intervened = sum(record.intervened and record.outcome != "DISCARDED" for record in records)
        discarded = sum(record.outcome == "DISCARDED" for record in records)
        others = len(records) - len(counted) - intervened - discarded
        unpaired = f", {others} without a result or a partner" if others else ""
        return f"{discarded} discarded, {intervened} with an intervention{unpaired}"

    def to_json(self) -> str:
        """Returns the text of the JSON file."""
        policies = [
            {
                "name": NAMES[policy],
                "checkpoint": checkpoint,
                **Rate.of(self.of_policy(policy)).fields(),
                "prompts": {prompt: Rate.of(records).fields() for prompt, records in self._by_prompt(policy).items()},
            }
            for policy, checkpoint in enumerate(self.run.checkpoints)
        ]
        content = {
            "run_id": self.run.run_id,
            "decoding": self.run.decoding,
            "complete": self.plan.is_complete(self.records),
            "policies": policies,
            "comparison": self.comparison,
            "left_out": self.left_out,
            "order": [NAMES[record.policy] for record in self.records],
        }
        return json.dumps(content, indent=2) + "\n"

    def __str__(self) -> str:
        lines = []
        for policy, checkpoint in enumerate(self.run.checkpoints):
            name = f"{NAMES[policy]}: " if self.plan.num_policies > 1 else ""
            lines.append(f"{name}{checkpoint}: {Rate.of(self.of_policy(policy))}, {self.run.decoding} decoding")
            prompts = self._by_prompt(policy)
            lines += [f"    '{prompt}': {Rate.of(records)}" for prompt, records in prompts.items() if len(prompts) > 1]
        lines += [self.comparison] if self.comparison else []
        return "\n".join([*lines, f"not counted: {self.left_out}; 95 % intervals"])

    def _by_prompt(self, policy: int) -> dict[str, list[EpisodeRecord]]:
        records = self.of_policy(policy)
        prompts = sorted({record.prompt for record in records})
        return {prompt: [record for record in records if record.prompt == prompt] for prompt in prompts}

    def write(self, folder: Path) -> None:
        """Writes both files into a folder.

        Raises:
            OSError: when a file cannot be written.
        """
        write_atomically(folder / RESULT_TEXT, lambda file: file.write(f"{self}\n".encode()))
        write_atomically(folder / RESULT_JSON, lambda file: file.write(self.to_json().encode()))
