"""Holds the figures of a measured imitation, and says which joints were learned."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np

from chunk_ppo_ros.imitation.measuring.quantities import NEGLIGIBLE, Quantity

FORMAT_VERSION = 1

LEARNED, NOT_LEARNED, NOT_COMPARED = "learned", "not learned", "not compared"
AT_REST, NOT_AT_REST = "at rest", "not at rest"

_KINDS = (NOT_LEARNED, NOT_AT_REST, LEARNED, AT_REST, NOT_COMPARED)

NUM_STAGES = 3
"""The number of parts of a chunk's steps (begin, middle, end) whose errors are reported apart."""


@dataclasses.dataclass(frozen=True)
class LikelihoodFigures:
    """How likely the held-out chunks are. Each token is given the tokens before it.

    Attributes:
        nats_per_token: the negative log-probability, as a mean over tokens.
        nats_per_chunk: the same, as a mean over chunks.
        tokens_per_chunk: the mean number of tokens of a chunk.
        uniform: nats per token where all FAST tokens are equally likely, which is the log of their number.
        by_frequency: nats per token where tokens come by their frequency in the training data; None where it is not
            known.
        by_part: the mean nats of a token in the first, second, third and last quarter of a chunk's tokens; None where
            all chunks are shorter.
        by_place: the mean nats of the first, second .. token of a chunk.
        chunks_by_place: how many chunks have a first, second .. token.
        end_nats_per_chunk: the nats of "|" at the end of a chunk, which belong to no joint; 0 where it is forced.
    """

    nats_per_token: float
    nats_per_chunk: float
    tokens_per_chunk: float
    uniform: float
    by_frequency: float | None
    by_part: tuple[float | None, ...]
    by_place: tuple[float, ...]
    chunks_by_place: tuple[int, ...]
    end_nats_per_chunk: float


@dataclasses.dataclass(frozen=True)
class QuantityFigures:
    """The errors of decoded chunks in one quantity, in its unit.

    Attributes:
        name: name of the quantity.
        unit: its unit.
        rmse: root of the mean squared error over all steps of the valid chunks; None without a valid chunk.
        p95: the error that 95 % of the steps do not exceed.
        by_stage: the root of the mean squared error in the first, second and last third of a chunk's steps.
        hold: the root of the mean squared error of holding the state at the start of each chunk; None where states
            have other dimensions than actions.
        mean_chunk: that of the mean chunk of the training data, moved to the state; None where it is not known.
        rounding: that of the recorded chunk after it was written in tokens. No policy can be expected to do better.
        nats_per_chunk: the share of the chunk's nats that belongs to the joint; None for the position of a gripper.
        nats_by_frequency: the same where tokens come by their frequency in the training data.
    """

    name: str
    unit: str
    rmse: float | None
    p95: float | None
    by_stage: tuple[float | None, ...]
    hold: float | None
    mean_chunk: float | None
    rounding: float
    nats_per_chunk: float | None = None
    nats_by_frequency: float | None = None

    @classmethod
    def of(
        cls,
        quantity: Quantity,
        decoded: np.ndarray,
        *,
        hold: np.ndarray | None,
        mean_chunk: np.ndarray | None,
        rounding: np.ndarray,
        nats: tuple[float | None, float | None] = (None, None),
    ) -> QuantityFigures:
        """Returns the figures of a quantity from the errors [N, H] of all ways to make chunks. N may be 0.

        Args:
            quantity: what is measured.
            decoded: the errors of decoded chunks.
            hold: those of holding the state; None where there are none.
            mean_chunk: those of the mean chunk; None where there are none.
            rounding: those of the recorded chunks after they were written in tokens.
            nats: `nats_per_chunk` and `nats_by_frequency`.
        """
        stages = np.array_split(decoded, NUM_STAGES, axis=1)
        p95 = float(np.quantile(decoded, 0.95)) if decoded.size else None
        return cls(
            quantity.name,
            quantity.unit,
            rms(decoded),
            p95,
            tuple(rms(stage) for stage in stages),
            None if hold is None else rms(hold),
            None if mean_chunk is None else rms(mean_chunk),
            rms(rounding) or 0.0,
            *nats,
        )

    @property
    def best_baseline(self) -> float | None:
        """The smaller error of the two baselines; None where there is none."""
        return min((one for one in (self.hold, self.mean_chunk) if one is not None), default=None)

    @property
    def verdict(self) -> str:
        """Whether it was learned, which is to be better than all baselines.

        Where a baseline already has a negligible error, there is nothing to learn. The verdict then says whether the
        decoded chunks keep as still as their tokens allow.
        """
        if self.rmse is None:
            return NOT_LEARNED
        negligible, best = NEGLIGIBLE[self.unit], self.best_baseline
        if best is None:
            return NOT_COMPARED
        if best <= negligible:
            return AT_REST if self.rmse <= max(negligible, 2 * self.rounding) else NOT_AT_REST
        return LEARNED if self.rmse < best else NOT_LEARNED


@dataclasses.dataclass(frozen=True)
class InvalidChunk:
    """A chunk whose greedy tokens stand for no actions.

    Attributes:
        start: the episode and the step at which it starts, in words.
        reason: why its tokens stand for no actions.
    """

    start: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What was measured of an imitation on recorded chunks.

    Attributes:
        policy: name of what was measured, such as the folder of the checkpoint.
        episodes: names of the measured episodes.
        trained_on: what is known of whether the policy was trained on them, as a sentence.
        num_chunks: number of measured chunks.
        likelihood: how likely the recorded chunks are.
        joints: the errors of decoded chunks by dimension of the actions.
        grippers: the errors of the positions of the grippers; empty for another robot than ALOHA.
        invalid: the decoded chunks that stand for no actions. The errors are those of the others.
        note: what is left out, and why; empty where nothing is.
    """

    policy: str
    episodes: tuple[str, ...]
    trained_on: str
    num_chunks: int
    likelihood: LikelihoodFigures
    joints: tuple[QuantityFigures, ...]
    grippers: tuple[QuantityFigures, ...]
    invalid: tuple[InvalidChunk, ...]
    note: str = ""

    @property
    def verdict(self) -> str:
        """Sentences that say whether the data was learned, and which joints were not."""
        if len(self.invalid) == self.num_chunks:
            return "Nothing was learned: no decoded chunk stands for actions."
        of = {kind: [one.name for one in self.joints if one.verdict == kind] for kind in _KINDS}
        baselines, total = self._baselines(), len(self.joints)
        sentences = {
            NOT_LEARNED: f"Not learned (no better than {baselines}): {', '.join(of[NOT_LEARNED])}.",
            LEARNED: f"Learned (better than {baselines}): {len(of[LEARNED])} of {total} dimensions.",
            NOT_AT_REST: f"At rest in the recordings, but not in decoded chunks: {', '.join(of[NOT_AT_REST])}.",
            AT_REST: f"At rest in both: {', '.join(of[AT_REST])}.",
            NOT_COMPARED: "There is no baseline to compare with, so nothing says whether the data was learned.",
        }
        texts = [sentences[kind] for kind in _KINDS if of[kind]]
        if self.invalid:
            stand = "stands" if len(self.invalid) == 1 else "stand"
            texts.append(f"{len(self.invalid)} of {self.num_chunks} decoded chunks {stand} for no actions.")
        return " ".join(texts)

    def to_json(self) -> str:
        """Returns the text of a JSON file with all figures, the verdict of each quantity, and the whole verdict."""
        content = dataclasses.asdict(self)
        for key, figures in (("joints", self.joints), ("grippers", self.grippers)):
            content[key] = [{**dataclasses.asdict(one), "verdict": one.verdict} for one in figures]
        content |= {"format_version": FORMAT_VERSION, "decoding": "greedy", "verdict": self.verdict}
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def _baselines(self) -> str:
        names = {"holding the state": "hold", "the mean chunk of the training data": "mean_chunk"}
        known = [text for text, name in names.items() if any(getattr(one, name) is not None for one in self.joints)]
        return " and than ".join(known)


def rms(errors: np.ndarray) -> float | None:
    """Returns the root of the mean squared error; None where there is no error."""
    return math.sqrt(float(np.mean(np.square(errors)))) if errors.size else None
