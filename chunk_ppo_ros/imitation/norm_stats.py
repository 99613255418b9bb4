"""Computes norm_stats.json from recorded episodes.

Each control step of each episode starts a chunk, as in openpi's training. The statistics are those of states and chunks
after the model's transforms (`model.adapt_to_pi`, `model.delta_actions`), as the policy will see them. They are mean,
standard deviation and exact quantiles.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, flags
from chunk_ppo_ros.config.commands.recordings import norm_stats_parser
from chunk_ppo_ros.core.errors import EpisodesError
from chunk_ppo_ros.core.folders import check_folder, removed_after_failure
from chunk_ppo_ros.core.wording.counts import count_of
from chunk_ppo_ros.data.episode import Episode, chunks_at
from chunk_ppo_ros.imitation.inspection.before_work import FOR_STATISTICS, check_before
from chunk_ppo_ros.imitation.reading import read_all
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.norm_stats_file import FILE
from chunk_ppo_ros.model.tokenization.normalization import MIN_RANGE, NormStats, Stats
from chunk_ppo_ros.model.tokenization.streamed_statistics import streamed_norm_stats
from chunk_ppo_ros.robot import aloha

BLOCK = 1024
"""The number of chunks that are in memory at once."""


def norm_stats_of(episodes: Sequence[Episode], model: Pi0FASTActorCriticConfig, *, stride: int = 1) -> NormStats:
    """Returns the statistics of the transformed states and chunks of all episodes.

    Args:
        episodes: recorded episodes, at least one, all with S state and D action dimensions.
        model: model section; its horizon, dimensions and transforms are used.
        stride: control steps from the start of one chunk to that of the next.

    Raises:
        EpisodesError: when there are no episodes, or their dimensions are not the model's.
    """
    if not episodes:
        raise EpisodesError("norm_stats must have at least one executed episode, got none; record some")
    check_dims(episodes, model)
    return streamed_norm_stats(functools.partial(_blocks, episodes, model, stride))


def _blocks(
    episodes: Sequence[Episode], model: Pi0FASTActorCriticConfig, stride: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the transformed states [n, S] and chunks [n, H, D] of episodes, at most `BLOCK` at once."""
    transforms = AlohaTransforms.from_config(model)
    for episode in episodes:
        for first in range(0, len(episode), BLOCK * stride):
            last = min(first + BLOCK * stride, len(episode))
            starts, chunks = chunks_at(episode, np.arange(first, last, stride), model.action_horizon)
            yield transforms.encode_state(starts), transforms.encode_actions(chunks, starts)


def check_dims(episodes: Sequence[Episode], model: Pi0FASTActorCriticConfig) -> None:
    """Refuses episodes, of which there is at least one, whose dimensions are not the model's.

    Raises:
        EpisodesError: when the dimensions do not fit; the text names the episode.
    """
    state_dim = episodes[0].states.shape[1]
    for episode in episodes:
        dims = (episode.states.shape[1], episode.actions.shape[1])
        if dims != (state_dim, model.action_dim):
            raise EpisodesError(
                f"episodes must have states of {state_dim} and actions of {model.action_dim} dimensions "
                f"(model.action_dim), got {dims[0]} and {dims[1]} in {episode.source}; leave it out or set --action_dim"
            )
    try:
        AlohaTransforms.from_config(model).check_dims(state_dim, model.action_dim)
    except ValueError as error:
        raise EpisodesError(str(error)) from error


def describe(norm_stats: NormStats) -> str:
    """Returns a table of both vectors, and a warning for each dimension that hardly moves."""
    lines: list[str] = []
    for part, stats in (("state", norm_stats.state), ("actions", norm_stats.actions)):
        names = _names(stats.dim)
        lines += [f"{part:<22}{'q01':>9}{'q99':>9}{'mean':>9}{'std':>9}"]
        for name, *numbers in zip(names, stats.q01, stats.q99, stats.mean, stats.std, strict=True):
            lines += [f"  {name:<20}" + "".join(f"{number:9.4f}" for number in numbers)]
        lines += [
            f"warning: {names[i]} of the {part} moves by less than {MIN_RANGE}, so its range is widened to {MIN_RANGE}"
            for i in np.flatnonzero(_widened(stats))
        ]
    return "\n".join(lines)


def _widened(stats: Stats) -> np.ndarray:
    """Returns bool [D], true where the range is `MIN_RANGE`, to which smaller ranges are widened."""
    return stats.q99 - stats.q01 <= MIN_RANGE * (1 + 1e-9)


def _names(num_dims: int) -> list[str]:
    """Returns the name of each dimension of one or two arms of ALOHA. For other vectors the names are numbers."""
    joints = (*aloha.ARM_JOINTS, aloha.GRIPPER)
    if num_dims == len(joints):
        return list(joints)
    if num_dims == aloha.ACTION_DIM:
        return [f"{side} {joint}" for side in aloha.SIDES for joint in joints]
    return [str(number) for number in range(num_dims)]


def main(arguments: Sequence[str]) -> int:
    """Runs `chunk_ppo norm-stats EPISODES... --output DIR`."""
    parser = norm_stats_parser()
    parsed = parser.parse_args(arguments)
    config = flags.config_or_exit(parser, parsed)
    if parsed.stride < 1:
        parser.error(f"--stride must be at least 1, got {parsed.stride}")
    if (parsed.output / FILE).exists():
        raise EpisodesError(f"--output must not have a {FILE} yet, got {parsed.output}; name another folder")
    with removed_after_failure(parsed.output):
        check_folder(parsed.output, "--output")
        episodes = read_all(parsed.episodes, config)
        check_before(episodes, config, FOR_STATISTICS)
        norm_stats = norm_stats_of(episodes, config.model, stride=parsed.stride)
        print(describe(norm_stats))
        norm_stats.save(parsed.output)
    num_steps = sum(len(episode) for episode in episodes)
    read = f"{count_of(len(episodes), 'episode')}, {count_of(num_steps, 'step')}"
    print(f"wrote {parsed.output / FILE}: {read}; {_settings(config.model)}")
    return 0


def _settings(model: Pi0FASTActorCriticConfig) -> str:
    """Returns the settings that the statistics depend on. The policy must have the same."""
    numbers = " ".join(("", *model.adapt_gripper_numbers))
    gripper = f", adapt_gripper {model.adapt_gripper}{numbers}" if model.adapt_to_pi else ""
    return (
        f"for action_horizon {model.action_horizon}, adapt_to_pi {model.adapt_to_pi}{gripper}, "
        f"delta_actions {model.delta_actions}"
    )
