"""What is summed into the reward of a chunk."""

from __future__ import annotations

import dataclasses
import math

from chunk_ppo_ros.config.schema import Checked, setting

OWN_REWARD_TERMS = ("clamped", "jerk", "effort", "human_success", "feedback", "novelty")
"""Names of the terms that are made here and not by a source; each has a setting of its own."""


@dataclasses.dataclass(frozen=True)
class RewardConfig(Checked):
    """What is summed into the reward. A penalty is taken off; 0 leaves a term out. See docs/rewards.md."""

    sources: tuple[str, ...] = setting(("task",), "reward sources that must report on every chunk")
    source_timeout: float = setting(5.0, "a source silent for longer is reported, s (steady clock)", minimum=0.01)
    term_weights: tuple[str, ...] = setting(
        (), "factors on terms of the sources, each as name=factor; terms without one count as they come"
    )
    clamped_penalty: float = setting(0.0, "penalty for each executed step in which a target was limited", minimum=0.0)
    jerk_penalty: float = setting(
        0.0, "penalty per rad^2 of squared third differences of the executed targets", minimum=0.0
    )
    effort_penalty: float = setting(
        0.0, "penalty per unit of joint effort and control step; joint states must have efforts", minimum=0.0
    )
    human_success_weight: float = setting(1.0, "reward for an episode that the operator ends as a success")
    feedback_weight: float = setting(1.0, "factor on what is sent to human_feedback")
    classifier: str = setting("", "file that train-classifier wrote, for the source 'classifier'")
    classifier_ends: bool = setting(True, "what the classifier takes for a success ends the episode")
    novelty_weight: float = setting(
        0.0, "reward for new observations, by random network distillation in the trainer", minimum=0.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.sources)) != len(self.sources):
            raise ValueError(f"reward.sources must differ, got {', '.join(self.sources)}; name each once")
        if ("classifier" in self.sources) != bool(self.classifier):
            raise ValueError(
                f"reward.classifier must be given exactly where reward.sources has classifier, got "
                f"'{self.classifier}' with {', '.join(self.sources) or 'none'}; train one by train-classifier"
            )
        factors = self.factors
        if len(factors) != len(self.term_weights):
            raise ValueError(f"reward.term_weights must name a term once, got {', '.join(self.term_weights)}")
        for name in set(OWN_REWARD_TERMS) & set(factors):
            raise ValueError(
                f"reward.term_weights must name terms of sources, got '{name}'; it has a setting of its own, see "
                "docs/rewards.md"
            )

    @property
    def factors(self) -> dict[str, float]:
        """`term_weights` by name.

        Raises:
            ValueError: for an entry that is not name=factor, or whose factor is not a finite number.
        """
        factors = {}
        for entry in self.term_weights:
            name, equals, number = str(entry).partition("=")
            try:
                factors[name.strip()] = float(number)
            except ValueError:
                equals = ""
            if not (name.strip() and equals and math.isfinite(factors[name.strip()])):
                raise ValueError(
                    f"reward.term_weights must be entries name=factor with a finite factor, got {entry!r}; write for "
                    "example progress=2.0"
                )
        return factors
