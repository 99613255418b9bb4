"""Measures on recorded episodes, without a robot, how well a checkpoint learned to imitate.

It prints the likelihood of the recorded chunks by token and by joint, and the errors of greedily decoded chunks in
degrees and in millimeters at the grippers, beside those of holding the state and of the mean chunk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.run_start.checkpoint_settings import config_for_measuring
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.config.commands.recordings import measure_imitation_parser
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.folders import check_file
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.fingerprint import record_of
from chunk_ppo_ros.data.recorded_chunks import read_chunks
from chunk_ppo_ros.imitation.behavior_cloning import tokenize
from chunk_ppo_ros.imitation.clone_recorded import leave_out_failures
from chunk_ppo_ros.imitation.measuring.chosen_episodes import choose_episodes, imitated_by, limit_starts
from chunk_ppo_ros.imitation.measuring.measure import MeasuredChunks, measure
from chunk_ppo_ros.imitation.measuring.measurement import Measurement
from chunk_ppo_ros.imitation.measuring.table import to_table
from chunk_ppo_ros.imitation.norm_stats import check_dims
from chunk_ppo_ros.imitation.reading import read_all
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.checkpoints.data_contradictions import check_data
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer


def measure_checkpoint(
    checkpoint: Checkpoint, config: TrainConfig, paths: Sequence[Path], *, held_out: Sequence[str] = ()
) -> Measurement:
    """Returns the figures of a checkpoint on recorded episodes. Episodes that are marked as failures are left out.

    Args:
        checkpoint: checkpoint of this package or of openpi.
        config: configuration of the model and of reading episodes. `pretrain.measured_chunks` chunks are measured.
        paths: files and folders of episodes.
        held_out: ends of the names of the episodes to measure; empty takes those that the imitation held out, or all
            where none of them is there.

    Raises:
        CheckpointError: when the checkpoint is damaged or does not fit the configuration.
        ContradictedCheckpoint: when the episodes were read with another meaning than those that it imitated.
        EpisodesError: when the episodes cannot be read, do not fit the model, or lack a name of `held_out`.
    """
    bundle, imitated = restore.load(checkpoint, config), imitated_by(checkpoint)
    if imitated is not None:
        imitated.check_fits(bundle.tokenizer)
    episodes = leave_out_failures(read_all(paths, config))
    check_dims(episodes, config.model)
    check_data(checkpoint, record_of(episodes, paths, config), insisted=config.recordings.insist)
    chosen = choose_episodes(episodes, imitated, names=held_out)
    settings = config.pretrain
    starting = limit_starts(chosen.episodes, stride=settings.chunk_stride, most=settings.measured_chunks)
    return measure(
        bundle,
        _read(starting, config, bundle.tokenizer),
        policy=str(checkpoint.root),
        trained_on=chosen.trained_on,
        imitated=imitated,
        batch_size=settings.bc_batch_size,
    )


def _read(episodes: Sequence[Episode], config: TrainConfig, tokenizer: PolicyTokenizer) -> MeasuredChunks:
    """Returns all chunks that start at steps with images."""
    chunks = read_chunks(episodes, config, folder=Path(tempfile.gettempdir()), stride=1)
    try:
        batch = tokenize(chunks, tokenizer)
    except ValueError as error:
        sources = ", ".join(dict.fromkeys(episode.source for episode in episodes[:3]))
        raise EpisodesError(f"episodes ({sources} ..) cannot be measured: {error}") from error
    return MeasuredChunks.select(chunks, batch, episodes, stride=1, most=len(batch))


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo measure-imitation CHECKPOINT --episodes PATH ... [--json FILE]`."""
    parser = measure_imitation_parser()
    parsed = parser.parse_args(arguments)
    if parsed.json:
        check_file(parsed.json, "--json")
    checkpoint = Checkpoint.open(parsed.checkpoint)
    config = config_for_measuring(parser, parsed, checkpoint, needs_task=False, only_recorded=True)
    measurement = measure_checkpoint(checkpoint, config, parsed.episodes, held_out=parsed.held_out)
    print(to_table(measurement))
    if parsed.json:
        parsed.json.write_text(measurement.to_json())
        print(f"wrote {parsed.json}")
    return 0
