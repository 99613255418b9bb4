"""Keeps beside a policy which recorded episodes it imitated and which were held out, and what chunks are on average.

The file `imitation.json` in the assets of an imitation holds it. So its held-out episodes can be measured later, beside
baselines that know the training data.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.data.episode import Episode
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch
from chunk_ppo_ros.imitation.measuring.likelihood import count_tokens
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer

FILE = "imitation.json"
"""The name of the file in the assets of a checkpoint."""

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class EpisodeMark:
    """Recognizes a recorded episode.

    Attributes:
        name: its name, as `Episode.source`.
        crc: CRC-32 of its states and actions, which stays where the files are moved.
    """

    name: str
    crc: int

    @classmethod
    def of(cls, episode: Episode) -> EpisodeMark:
        """Returns the mark of an episode."""
        content = (np.ascontiguousarray(part, np.float32).tobytes() for part in (episode.states, episode.actions))
        return cls(episode.source, zlib.crc32(b"".join(content)))


@dataclasses.dataclass(frozen=True)
class ImitatedData:
    """What a policy was trained on by imitation.

    Attributes:
        trained_on: the episodes that were imitated.
        held_out: the episodes that were held out.
        token_counts: int [F + 1], how often each FAST token was imitated, and last "|" where decoding is free.
        mean_chunk: float [H, D], the mean of the imitated chunks relative to the states at their starts; the mean of
            the chunks themselves where states have other dimensions. Joints are in rad, grippers normalized.
    """

    trained_on: tuple[EpisodeMark, ...]
    held_out: tuple[EpisodeMark, ...]
    token_counts: np.ndarray
    mean_chunk: np.ndarray

    @classmethod
    def of(
        cls,
        training: Sequence[Episode],
        held_out: Sequence[Episode],
        chunks: RecordedChunks,
        batch: CloningBatch,
        tokenizer: PolicyTokenizer,
    ) -> ImitatedData:
        """Returns the data of an imitation.

        Args:
            training: the episodes that are imitated.
            held_out: the episodes that are held out.
            chunks: the imitated chunks.
            batch: the same chunks as tokens.
            tokenizer: the tokenizer of these tokens.
        """
        total = np.zeros(chunks.actions.shape[1:])
        for state, actions in zip(chunks.state, chunks.actions, strict=True):  # A copy of all may not fit into memory.
            total += actions - start_of(state, actions)
        return cls(
            tuple(map(EpisodeMark.of, training)),
            tuple(map(EpisodeMark.of, held_out)),
            count_tokens(batch, tokenizer),
            total / len(chunks.actions),
        )

    def mean_chunks(self, states: np.ndarray) -> np.ndarray:
        """Returns the mean chunk at each of N states [N, S] as absolute targets, float64 [N, H, D]."""
        chunks = [self.mean_chunk + start_of(state, self.mean_chunk) for state in states]
        return np.array(chunks).reshape(len(states), *self.mean_chunk.shape)

    def check_fits(self, tokenizer: PolicyTokenizer) -> None:
        """Refuses data of an imitation by another tokenizer.

        Raises:
            CheckpointError: where the number of tokens, the horizon or the dimensions differ.
        """
        model = tokenizer.config
        found = (len(self.token_counts), *self.mean_chunk.shape)
        wanted = (tokenizer.fast.vocab_size + 1, model.action_horizon, model.action_dim)
        if found != wanted:
            raise CheckpointError(
                f"the imitation must have been of {wanted[0] - 1} FAST tokens and of chunks of {wanted[1:]} (steps, "
                f"dimensions), got {found[0] - 1} and {found[1:]} in its {FILE}; measure it with the tokenizers and "
                "the horizon that it was made with"
            )

    def save(self, assets: Path) -> None:
        """Writes the file into the assets of a checkpoint."""
        content = {
            "format_version": FORMAT_VERSION,
            "trained_on": [dataclasses.asdict(mark) for mark in self.trained_on],
            "held_out": [dataclasses.asdict(mark) for mark in self.held_out],
            "token_counts": self.token_counts.tolist(),
            "mean_chunk": self.mean_chunk.tolist(),
        }
        (assets / FILE).write_text(json.dumps(content) + "\n")

    def save_with(self, tokenizer: PolicyTokenizer, assets: Path) -> None:
        """Writes the file into the assets of a checkpoint, beside the tokenizers and norm_stats."""
        tokenizer.save(assets)
        self.save(assets)

    @classmethod
    def load(cls, assets: Path) -> ImitatedData | None:
        """Returns what the assets of a checkpoint keep; None where they keep nothing.

        Raises:
            CheckpointError: where the file is damaged or of another format.
        """
        path = assets / FILE
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text())
            if content["format_version"] != FORMAT_VERSION:
                raise ValueError(f"format_version must be {FORMAT_VERSION}, got {content['format_version']}")
            marks = [tuple(EpisodeMark(**mark) for mark in content[key]) for key in ("trained_on", "held_out")]
            counts, mean = np.array(content["token_counts"], np.int64), np.array(content["mean_chunk"], np.float64)
            if counts.ndim != 1 or mean.ndim != 2 or not np.all(np.isfinite(mean)):
                raise ValueError(f"token_counts and mean_chunk are of shapes {counts.shape} and {mean.shape}")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CheckpointError(
                f"{path} cannot be read: {error!r}; take another checkpoint, or remove the file to measure without it"
            ) from error
        return cls(marks[0], marks[1], counts, mean)


def start_of(state: np.ndarray, actions: np.ndarray) -> np.ndarray | float:
    """Returns what a chunk is relative to: its state [S], or 0 where that has not the dimensions of the actions."""
    return state if len(state) == actions.shape[-1] else 0.0
