"""Runs the checks of recorded episodes before a command works with them, and stops where something is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.findings.verdicts import DataFinding, Verdict, blocking, lines
from chunk_ppo_ros.data.checks.check_table import GROUPS, accepted, require_settled, run_checks
from chunk_ppo_ros.data.checks.pictures import camera_findings, look_at, spread
from chunk_ppo_ros.data.checks.survey import Survey
from chunk_ppo_ros.data.episode import Episode, camera_names
from chunk_ppo_ros.imitation.inspection.tokens import count_tokens, token_findings, tokenizer_for
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint

FOR_STATISTICS = ("recordings", "time", "states and actions")
"""The groups of checks for a work that needs states and actions alone."""

FOR_IMAGES = ("recordings", "cameras")
"""The groups of checks for a work with images that needs neither states and actions nor prompts."""

_PRINTED = ("assumed", "unused")


def check_before(episodes: Sequence[Episode], config: TrainConfig, groups: Iterable[str] = GROUPS) -> None:
    """Runs checks of episodes, and prints what is assumed, what is not used, what was accepted, and hints.

    Args:
        episodes: the episodes, in control steps of `robot.control_rate`.
        config: the settings, of which the section `recordings` says what is accepted.
        groups: the groups of checks (`check_table.GROUPS`).

    Raises:
        EpisodesError: where something is refused. The text is that of `inspect`.
        UnansweredQuestion: where something is asked that is no hint.
        SettingError: where `recordings.insist` names no finding.
    """
    found = [finding for group in run_checks(Survey.of(episodes), config, groups).values() for finding in group]
    _print_short(found)
    require_settled(found)


def check_frames(episodes: Sequence[Episode], config: TrainConfig) -> None:
    """Looks at a few frames of the cameras that the model takes. Errors are those of `check_before`."""
    found = accepted(frame_findings(episodes, camera_names(config)), config)
    _print_short(found)
    require_settled(found)


def check_tokens(
    episodes: Sequence[Episode],
    config: TrainConfig,
    checkpoint: Checkpoint | None,
    *,
    fitted_to: Sequence[Episode],
) -> None:
    """Counts the tokens of all chunks before an imitation reads images. Errors are those of `check_before`.

    Args:
        episodes: the episodes that are imitated or held out.
        config: the settings of the imitation.
        checkpoint: the checkpoint with the tokenizers, or None where they are fitted.
        fitted_to: the episodes that tokenizers and norm_stats are fitted to, where there is no checkpoint.
    """
    found = accepted(find_tokens(episodes, config, checkpoint, fitted_to=fitted_to), config)
    _print_short(found)
    require_settled(found)


def frame_findings(episodes: Sequence[Episode], cameras: Sequence[str] = ()) -> list[DataFinding]:
    """Returns findings about a few frames of the named cameras, or of all."""
    looked_at = [frames for episode in spread(episodes) for frames in look_at(episode, cameras)] if episodes else []
    return list(camera_findings(looked_at))


def find_tokens(
    episodes: Sequence[Episode],
    config: TrainConfig,
    checkpoint: Checkpoint | None,
    *,
    fitted_to: Sequence[Episode],
) -> list[DataFinding]:
    """Returns findings about tokens. Tokenizers that cannot be had or fitted are a finding.

    Arguments are those of `check_tokens`.
    """
    try:
        tokenizer = tokenizer_for(fitted_to, config, checkpoint)
        return list(token_findings(count_tokens(episodes, config, tokenizer), config))
    except (ValueError, UserError) as error:
        return [blocking("tokens", Verdict.REFUSE, f"the tokenizers cannot be used: {error}")]


def _print_short(findings: Iterable[DataFinding]) -> None:
    for finding in findings:
        is_open_hint = finding.is_open and finding.is_hint
        if finding.key in _PRINTED or is_open_hint or "accepted by --insist" in finding.found:
            print("\n".join(lines(finding)))
