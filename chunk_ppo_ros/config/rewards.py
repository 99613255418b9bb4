"""The settings of the reward of a chunk."""

from __future__ import annotations

import dataclasses
import math

from chunk_ppo_ros.config.schema import Checked, setting

TASK_SOURCE = "task"
"""The name of the simulator as a reward source. Without ROS it is the only source."""
CLASSIFIER_SOURCE = "classifier"
"""The name of classifier_node as a reward source."""


@dataclasses.dataclass(frozen=True)
class RewardConfig(Checked):
    """Settings of the reward, a sum of terms. Penalties are subtracted. 0 leaves a term out. See docs/rewards.md."""

    sources: tuple[str, ...] = setting((TASK_SOURCE,), "reward sources that must report on every chunk")
    source_timeout: float = setting(
        5.0, "a source silent for longer is reported, s (steady clock)", minimum=0.01, graph_only=True
    )
    term_weights: tuple[str, ...] = setting(
        (), "factors on terms of the sources, each as name=factor; other terms have the factor 1"
    )
    execution_terms: tuple[str, ...] = setting(
        (), "terms that look at what the robot did, each as name=weight or module:function=weight; see docs/rewards.md"
    )
    scene_terms: tuple[str, ...] = setting(
        (), "terms that look at the simulated scene, each as name=weight or module:function=weight; see docs/rewards.md"
    )
    clamped_penalty: float = setting(0.0, "penalty for each executed step in which a target was limited", minimum=0.0)
    jerk_penalty: float = setting(
        0.0, "penalty per rad^2 of squared third differences of the executed targets", minimum=0.0
    )
    effort_penalty: float = setting(
        0.0, "penalty per unit of joint effort and control step; joint states must have efforts", minimum=0.0
    )
    human_success_weight: float = setting(1.0, "reward for an episode that the operator ends as a success")
    feedback_weight: float = setting(1.0, "factor on the numbers that people send to the topic human_feedback")
    classifier: str = setting(
        "", f"file that train-classifier wrote, for the source '{CLASSIFIER_SOURCE}'", graph_only=True
    )
    classifier_ends: bool = setting(True, "end the episode when the classifier sees a success", graph_only=True)
    novelty_weight: float = setting(
        0.0, "reward for new observations, by random network distillation in the trainer", minimum=0.0
    )
    max_chunk_reward: float = setting(
        20.0,
        "largest |reward| of a chunk, without novelty; trainer_node sets a transition with a larger one aside",
        minimum=1e-3,
        maximum=1e9,
        graph_only=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.sources)) != len(self.sources):
            raise ValueError(f"reward.sources must differ, got {', '.join(self.sources)}; name each once")
        if self.has_classifier != bool(self.classifier):
            raise ValueError(
                f"reward.classifier must be given exactly where reward.sources has {CLASSIFIER_SOURCE}, got "
                f"'{self.classifier}' with {', '.join(self.sources) or 'none'}; train one by train-classifier"
            )
        for name in ("term_weights", "execution_terms", "scene_terms"):
            _by_name(f"reward.{name}", getattr(self, name))

    @property
    def has_classifier(self) -> bool:
        """Whether classifier_node is one of the sources."""
        return CLASSIFIER_SOURCE in self.sources

    @property
    def factors(self) -> dict[str, float]:
        """The factors of `term_weights` by name."""
        return _by_name("reward.term_weights", self.term_weights)

    @property
    def execution_weights(self) -> dict[str, float]:
        """The weights of `execution_terms` by name."""
        return _by_name("reward.execution_terms", self.execution_terms)

    @property
    def scene_weights(self) -> dict[str, float]:
        """The weights of `scene_terms` by name."""
        return _by_name("reward.scene_terms", self.scene_terms)


def _by_name(setting_name: str, entries: tuple[str, ...]) -> dict[str, float]:
    """Returns the factors by name from a setting whose entries are name=factor.

    Raises:
        ValueError: for an entry that is not name=factor, a factor that is not finite, or a name that comes twice.
    """
    factors: dict[str, float] = {}
    for entry in entries:
        name, equals, number = str(entry).partition("=")
        try:
            factor = float(number)
        except ValueError:
            factor = math.nan
        if not (name.strip() and equals and math.isfinite(factor)):
            raise ValueError(
                f"{setting_name} must be entries name=factor with a finite factor, got {entry!r}; write for example "
                f"{str(entry).partition('=')[0].strip() or 'progress'}=2.0"
            )
        factors[name.strip()] = factor
    if len(factors) != len(entries):
        raise ValueError(f"{setting_name} must name a term once, got {', '.join(entries)}; leave one entry of the term")
    return factors
