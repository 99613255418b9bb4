"""Makes a transition with a value in every field, and its message."""

from __future__ import annotations

import numpy as np
from chunk_ppo_msgs import msg

from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.execution import ExecutionResult, Status
from chunk_ppo_ros.core.metrics import Metrics
from chunk_ppo_ros.nodes.wire import conversions

SOURCE = types.ObservationSource(stamp=1_700_000_000_123_456_789, prompt="reach the ‘red’ cube")
NEXT_SOURCE = types.ObservationSource(stamp=1_700_000_001_000_000_001, prompt="reach")


def make_observation(rng: np.random.Generator, *, image_size: int = 8) -> types.ModelObservation:
    return types.ModelObservation(
        images=rng.integers(0, 256, (3, image_size, image_size, 3), dtype=np.uint8),
        image_mask=np.array([True, False, True]),
        prompt_tokens=np.array([2, 257151, 7, 0, 0], np.int32),
        prompt_mask=np.array([True, True, True, False, False]),
        state=rng.normal(size=14).astype(np.float32),
    )


def make_execution(rng: np.random.Generator) -> ExecutionResult:
    return ExecutionResult(
        status=Status.TAKEOVER,
        num_steps=11,
        stamp=12_000_000_034,
        end=12_220_000_034,
        message="a human took over",
        human_driven=True,
        max_clamp=0.25,
        effort=1.5,
        start_error=0.125,
        duration=0.22,
        run_id="run",
        sender="robot_7",
        measurements=Metrics({"lag": 0.1, "strain": -2.5}),
        commanded=rng.normal(size=(11, 14)).astype(np.float32),
        causes=np.array([0, 1, 2, 3, 4, 8, 16, 0, 0, 0, 0], np.uint8),
    )


def make_transition(
    *, image_size: int = 8, with_next: bool = True, valid: bool = True, human: bool = False, seed: int = 0
) -> types.Transition:
    rng = np.random.default_rng(seed)
    chunk = types.SampledChunk(
        observation=make_observation(rng, image_size=image_size),
        action_tokens=rng.integers(0, 257152, 6).astype(np.int32),
        token_mask=np.array([False, True, True, True, False, False]),
        token_log_probs=-np.abs(rng.normal(size=6)).astype(np.float32),
        value=float(np.float32(0.1)),
        actions=rng.normal(size=(16, 14)).astype(np.float32),
        policy_version=3,
        temperature=float(np.float32(0.7)),
        num_steps_asked=12,
        entropy=float(np.float32(1.3)),
        valid=valid,
        human_driven=human,
        source=SOURCE,
        num_steps_committed=3,
    )
    outcome = types.ChunkOutcome(
        reward=1.5,
        reward_terms=(types.RewardTerm("progress", 1.0), types.RewardTerm("success", 0.25, 2.0)),
        execution=make_execution(rng),
        terminated=False,
        truncated=True,
        success=True,
    )
    return types.Transition(
        id=types.ChunkId("run", 41, 5, 2, "robot_7"),
        chunk=chunk,
        outcome=outcome,
        next_value=float(np.float32(-0.3)),
        next_observation=make_observation(rng, image_size=image_size) if with_next else None,
        discount=float(np.float32(0.99)),
        next_source=NEXT_SOURCE if with_next else types.NO_SOURCE,
    )


def to_message(transition: types.Transition) -> msg.Transition:
    return conversions.transition_to_message(transition)
