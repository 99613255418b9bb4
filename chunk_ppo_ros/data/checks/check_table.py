"""The table of all checks of recorded episodes, group by group, and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import EpisodesError, SettingError, UnansweredQuestion
from chunk_ppo_ros.core.findings.verdicts import DataFinding, Verdict
from chunk_ppo_ros.data.checks import plausibility, relations, sources, timing
from chunk_ppo_ros.data.checks.survey import Survey

Check = Callable[[Survey, TrainConfig], Iterator[DataFinding]]
"""A function that judges what is known of recordings."""

RECORDINGS: tuple[Check, ...] = (
    sources.unreadable,
    sources.formats,
    sources.episodes,
    sources.left_out,
    sources.joints,
    sources.assumed,
    sources.unused,
    sources.identical,
)
TIMING: tuple[Check, ...] = (timing.rates, timing.gaps, timing.jumps, timing.lags, timing.idle)
MOTION: tuple[Check, ...] = (
    plausibility.ranges,
    plausibility.joint_units,
    plausibility.needless_units,
    plausibility.gripper_units,
    relations.copied,
    relations.swapped_arms,
    relations.gripper_directions,
    relations.constant,
)
PROMPTS: tuple[Check, ...] = (sources.prompts,)
CAMERAS: tuple[Check, ...] = (sources.cameras,)

GROUPS: dict[str, tuple[Check, ...]] = {
    "recordings": RECORDINGS,
    "time": TIMING,
    "states and actions": MOTION,
    "prompts": PROMPTS,
    "cameras": CAMERAS,
}

KEYS = (
    "identical_episodes",
    "rates",
    "gaps",
    "jumps",
    "lag",
    "idle",
    "state_joint_unit",
    "action_joint_unit",
    "state_gripper_unit",
    "action_gripper_unit",
    "copied_actions",
    "swapped_arms",
    "gripper_direction",
    "constant",
    "dark_camera",
    "frozen_camera",
    "clipped_actions",
    "arm_order",
    "channel_order",
    "joint_names",
    "arm_names",
)
"""The keys that `--insist` accepts: of findings, of settings that contradict those of a checkpoint, and of the names of
LeRobot datasets."""


def run_checks(survey: Survey, config: TrainConfig, groups: Iterable[str] = GROUPS) -> dict[str, list[DataFinding]]:
    """Returns the findings of each group, in which those that `recordings.insist` names are accepted.

    Raises:
        SettingError: where `recordings.insist` names an unknown key.
    """
    check_insisted(config)
    return {group: accepted((f for check in GROUPS[group] for f in check(survey, config)), config) for group in groups}


def check_insisted(config: TrainConfig) -> None:
    """Refuses keys of `recordings.insist` that no finding has.

    Raises:
        SettingError: for such a key.
    """
    unknown = [key for key in config.recordings.insist if key not in KEYS]
    if unknown:
        raise SettingError(
            f"recordings.insist must name findings of {', '.join(KEYS)}, got {', '.join(unknown)}; take the keys that "
            "inspect shows"
        )


def accepted(findings: Iterable[DataFinding], config: TrainConfig) -> list[DataFinding]:
    """Returns findings, of which those that `recordings.insist` names are fine."""
    return [finding.accepted(config.recordings.insist) for finding in findings]


def require_settled(findings: Sequence[DataFinding]) -> None:
    """Raises an error where a finding stops the work, with the text of the first one. Refused ones come first.

    Raises:
        EpisodesError: where a finding is refused.
        UnansweredQuestion: where a finding that is no hint is asked and none is refused.
    """
    opened = sorted((f for f in findings if f.stops), key=lambda finding: finding.verdict is not Verdict.REFUSE)
    if not opened:
        return
    first, *others = opened
    error = EpisodesError if first.verdict is Verdict.REFUSE else UnansweredQuestion
    keys = [key for key in dict.fromkeys(other.key for other in others) if key != first.key]
    more = f"; also: {', '.join(keys)} (inspect says more)" if keys else ""
    advice = f"; {first.advice}" if first.advice else ""
    raise error(f"{first.key}: {first.found}{advice}{more}")
