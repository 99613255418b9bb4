"""Measures how well a policy imitates recorded chunks: their likelihood, and the errors of the chunks that it decodes.

No robot and no simulator is needed. `measurement.py` says what the figures mean.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from chunk_ppo_ros.agent.restore import PolicyBundle
from chunk_ppo_ros.data.episode import Episode, seen_starts
from chunk_ppo_ros.data.recorded_chunks import RecordedChunks
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch
from chunk_ppo_ros.imitation.measuring.decoded_chunks import DecodedChunks, decode_greedily, decode_tokens
from chunk_ppo_ros.imitation.measuring.imitated_data import ImitatedData
from chunk_ppo_ros.imitation.measuring.likelihood import ChunkNats, chunk_nats, nats_by_frequency
from chunk_ppo_ros.imitation.measuring.measurement import (
    InvalidChunk,
    LikelihoodFigures,
    Measurement,
    QuantityFigures,
)
from chunk_ppo_ros.imitation.measuring.quantities import ActionLayout


@dataclasses.dataclass(frozen=True)
class MeasuredChunks:
    """The N recorded chunks on which a policy is measured.

    Attributes:
        batch: the observations at their starts, and their tokens.
        actions: float32 [N, H, D], the recorded actions, rad, grippers normalized.
        starts: the episode and the step at which each begins, in words.
        episodes: names of the episodes that they come from.
    """

    batch: CloningBatch
    actions: np.ndarray
    starts: tuple[str, ...]
    episodes: tuple[str, ...]

    @classmethod
    def select(
        cls, chunks: RecordedChunks, batch: CloningBatch, episodes: Sequence[Episode], *, stride: int, most: int
    ) -> MeasuredChunks:
        """Returns at most `most` of all chunks, spread evenly over the episodes. Only their images are read.

        Args:
            chunks: the chunks of the episodes, in order.
            batch: the same chunks as tokens.
            episodes: the episodes that they were cut from.
            stride: the stride with which they were cut.
            most: largest number of chunks, at least 1.
        """
        rows = np.unique(np.linspace(0, len(batch) - 1, min(most, len(batch))).round().astype(int))
        steps = np.concatenate([seen_starts(episode, stride=stride) for episode in episodes])
        sources = [episodes[number].source for number in chunks.episodes[rows]]
        starts = [f"{source}, step {step}" for source, step in zip(sources, steps[rows], strict=True)]
        return cls(batch.take(rows), chunks.actions[rows], tuple(starts), tuple(dict.fromkeys(sources)))


def measure(
    bundle: PolicyBundle,
    chunks: MeasuredChunks,
    *,
    policy: str,
    trained_on: str,
    imitated: ImitatedData | None,
    batch_size: int,
) -> Measurement:
    """Returns the figures of a policy on recorded chunks.

    Args:
        bundle: the policy with its parameters and tokenizers.
        chunks: the recorded chunks.
        policy: name of the policy, for the text.
        trained_on: a sentence on whether the policy was trained on the episodes.
        imitated: the data that the policy imitated, which gives two baselines; None where it is not known.
        batch_size: number of chunks that are scored and decoded at once, at least 1.
    """
    size = min(batch_size, len(chunks.batch))
    tokenizer, batch = bundle.tokenizer, chunks.batch
    nats = chunk_nats(bundle.policy, bundle.params, batch, tokenizer, batch_size=size)
    by_frequency = None if imitated is None else nats_by_frequency(batch, imitated.token_counts, tokenizer)
    decoded = decode_greedily(bundle.policy, bundle.params, batch, tokenizer, batch_size=size)
    rounded = decode_tokens(batch.action_tokens, batch.observation.state, tokenizer)
    layout = ActionLayout.of(batch.observation.state.shape[-1], chunks.actions.shape[-1])
    figures = _figures(layout, chunks, decoded, rounded, imitated, shares=(nats, by_frequency))
    invalid = [InvalidChunk(at, why) for at, why in zip(chunks.starts, decoded.reasons, strict=True) if why]
    return Measurement(
        policy=policy,
        episodes=chunks.episodes,
        trained_on=trained_on,
        num_chunks=len(batch),
        likelihood=_likelihood(nats, by_frequency, num_fast=tokenizer.fast.vocab_size),
        joints=tuple(figures[: len(layout.joints)]),
        grippers=tuple(figures[len(layout.joints) :]),
        invalid=tuple(invalid),
        note=layout.note,
    )


def _likelihood(nats: ChunkNats, by_frequency: ChunkNats | None, *, num_fast: int) -> LikelihoodFigures:
    by_place, chunks_by_place = nats.by_place()
    return LikelihoodFigures(
        nats_per_token=nats.per_token,
        nats_per_chunk=nats.per_chunk,
        tokens_per_chunk=nats.tokens_per_chunk,
        uniform=math.log(num_fast),
        by_frequency=None if by_frequency is None else by_frequency.per_token,
        by_part=nats.by_part(),
        by_place=by_place,
        chunks_by_place=chunks_by_place,
        end_nats_per_chunk=float(nats.end_nats.mean()),
    )


def _figures(
    layout: ActionLayout,
    chunks: MeasuredChunks,
    decoded: DecodedChunks,
    rounded: DecodedChunks,
    imitated: ImitatedData | None,
    *,
    shares: tuple[ChunkNats, ChunkNats | None],
) -> list[QuantityFigures]:
    """Returns the figures of each quantity, of the chunks whose tokens stand for actions."""
    kept = decoded.valid
    recorded, states = chunks.actions[kept], chunks.batch.observation.state[kept]
    errors = layout.errors(decoded.actions[kept], recorded)
    rounding = layout.errors(rounded.actions[kept], recorded)
    hold = mean = None
    if states.shape[-1] == recorded.shape[-1]:
        hold = layout.errors(np.broadcast_to(states[:, None], recorded.shape), recorded)
    if imitated is not None:
        mean = layout.errors(imitated.mean_chunks(states), recorded)
    nats = [None if part is None else part.joint_nats.mean(axis=0) for part in shares]
    return [
        QuantityFigures.of(
            quantity,
            errors[..., index],
            hold=None if hold is None else hold[..., index],
            mean_chunk=None if mean is None else mean[..., index],
            rounding=rounding[..., index],
            nats=_shares(nats, index, of_joint=index < len(layout.joints)),
        )
        for index, quantity in enumerate(layout.quantities)
    ]


def _shares(nats: Sequence[np.ndarray | None], index: int, *, of_joint: bool) -> tuple[float | None, float | None]:
    """Returns the nats of a joint under the policy and by frequency; None for what is not a joint or not known."""
    ours, by_frequency = (None if part is None or not of_joint else float(part[index]) for part in nats)
    return ours, by_frequency
