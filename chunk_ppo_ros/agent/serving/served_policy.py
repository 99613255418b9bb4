"""Answers requests of openpi's client with the chunks of a policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from chunk_ppo_ros.agent.serving.requests import Request, RequestForm, read_request
from chunk_ppo_ros.agent.serving.wire_format import MessageError, unpack
from chunk_ppo_ros.core.types import ModelObservation, Observation, SampledChunk

Answer = dict[str, object]
"""An answer by its keys, as it is packed."""


class ActingPolicy(Protocol):
    """The part of `Actor` that is served."""

    def observe(self, observation: Observation) -> ModelObservation:
        """Returns the observation as the model takes it; raises ValueError where it cannot."""

    def act(self, observation: ModelObservation, *, sequence_number: int) -> SampledChunk:
        """Returns a chunk. Each sequence number gives a sample of its own."""


class ServedPolicy:
    """A policy behind the protocol of openpi's server. It is used by one thread.

    Args:
        policy: the policy.
        form: what requests must look like.
        report: is called with a line for the person at the server, when something changes that they should know.
    """

    def __init__(self, policy: ActingPolicy, form: RequestForm, report: Callable[[str], object]) -> None:
        self._policy, self._form, self._report = policy, form, report
        self._num_chunks = 0
        self._missing: tuple[str, ...] = ()

    def answer(self, data: bytes) -> Answer:
        """Returns the answer to a request: `actions` float32 [H, 14] in ALOHA's space, and how long it took.

        No other value is an array, because openpi's ActionChunkBroker cuts each array of an answer like the actions.

        Raises:
            MessageError: where the request is not what it must be.
            BrokenWeights: where the policy computes numbers that are not finite.
        """
        begin = time.monotonic()
        request = read_request(unpack(data), self._form)
        self._tell_missing(request.missing_cameras)
        try:
            observation = self._policy.observe(request.observation)
        except ValueError as error:
            raise MessageError(str(error)) from error
        chunk = self._policy.act(observation, sequence_number=self._num_chunks)
        self._num_chunks += 1
        return {
            "actions": chunk.actions,
            "policy_version": chunk.policy_version,
            "valid": chunk.valid,
            "policy_timing": {"infer_ms": 1e3 * (time.monotonic() - begin)},
            **_log_probs(request, chunk),
        }

    def _tell_missing(self, missing: tuple[str, ...]) -> None:
        """Says once which cameras requests do not have, because a policy may act badly without them."""
        if missing != self._missing:
            self._missing = missing
            what = f"have no {', '.join(missing)}; the policy acts without" if missing else "have all cameras now"
            self._report(f"requests {what}")


def _log_probs(request: Request, chunk: SampledChunk) -> Answer:
    """Returns what a request for log-probabilities adds: numbers and lists of numbers."""
    if not request.wants_log_probs:
        return {}
    return {
        "log_prob": chunk.log_prob,
        "value": float(chunk.value),
        "temperature": float(chunk.temperature),
        "action_tokens": chunk.action_tokens.tolist(),
        "token_mask": chunk.token_mask.tolist(),
        "token_log_probs": chunk.token_log_probs.tolist(),
    }
