"""Looks at recorded episodes before they are used, and says of each finding whether it is fine, asked or refused.

It changes nothing. Of a checkpoint it says what the checkpoint was made from and with.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.agent.checkpoint_description import describe_checkpoint
from chunk_ppo_ros.agent.run_start.starting_checkpoint import NoCheckpoint, open_pretrained
from chunk_ppo_ros.config import TrainConfig, flags
from chunk_ppo_ros.config.commands.recordings import inspect_parser
from chunk_ppo_ros.core.findings.verdicts import DataFinding
from chunk_ppo_ros.core.folders import check_file
from chunk_ppo_ros.data.checks import pictures
from chunk_ppo_ros.data.checks.check_table import accepted, check_insisted, run_checks
from chunk_ppo_ros.data.checks.survey import Survey, read_into
from chunk_ppo_ros.data.episode import Episode, at_rate
from chunk_ppo_ros.imitation.clone_recorded import split_episodes
from chunk_ppo_ros.imitation.inspection import before_work, report
from chunk_ppo_ros.imitation.inspection.picture import draw_episodes
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.reporting.progress import progress_bar


def inspect(paths: Sequence[Path], config: TrainConfig) -> tuple[dict[str, list[DataFinding]], Survey, list[Episode]]:
    """Returns the findings about recordings by group, what is known of them, and their episodes as recorded.

    Args:
        paths: files and folders of recordings.
        config: the settings of reading, and those of the imitation for which tokens are counted.

    Raises:
        SettingError: where `recordings.insist` names no finding.
        CheckpointError: where the checkpoint whose tokenizers are to be taken cannot be opened.
    """
    check_insisted(config)
    start = open_pretrained(config.run)
    checkpoint = None if isinstance(start, NoCheckpoint) else start.require()
    survey, episodes = Survey(), []
    with progress_bar("reading recordings", unit="episode") as bar:
        for episode in read_into(survey, paths, config):
            episodes.append(episode)
            bar.update()
    findings = run_checks(survey, config)
    findings["cameras"] += accepted(before_work.frame_findings(episodes), config)
    imitated = [at_rate(each, config.robot.control_rate) for each in episodes if each.success is not False]
    dims = {(each.states.shape[1], each.actions.shape[1]) for each in imitated}
    if len(dims) == 1:
        split = split_episodes(imitated, fraction=config.pretrain.validation_fraction, seed=config.run.seed)
        found = before_work.find_tokens(imitated, config, checkpoint, fitted_to=split.training)
        findings["tokens"] = accepted(found, config)
    return findings, survey, episodes


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo inspect PATH ...`. Returns 1 where something is asked or refused, otherwise 0."""
    parser = inspect_parser()
    parsed = parser.parse_args(arguments)
    config = flags.config_or_exit(parser, parsed)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # Nothing is computed.
    if any(Checkpoint.is_at(path) for path in parsed.paths):
        return _describe_checkpoint(parser, parsed)
    if parsed.picture:
        check_file(parsed.picture, "--picture")
    findings, survey, episodes = inspect(parsed.paths, config)
    if parsed.picture and episodes:
        draw_episodes(parsed.picture, pictures.spread(episodes))
    if parsed.json:
        print(report.as_json(findings, survey))
    else:
        print(flags.preset_line(parsed))
        print(report.as_text(findings, survey))
        if parsed.picture and episodes:
            print(f"wrote {parsed.picture}: look whether colors, cameras, arms and joints are right")
    return 1 if report.has_open(findings) else 0


def _describe_checkpoint(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> int:
    """Prints what the one checkpoint was made from and with."""
    if len(parsed.paths) > 1:
        parser.error(f"a checkpoint must be inspected by itself, got {len(parsed.paths)} paths; name one")
    described = describe_checkpoint(parsed.paths[0])
    print(described.to_json() if parsed.json else described)
    return 0
