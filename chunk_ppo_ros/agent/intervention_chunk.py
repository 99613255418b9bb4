"""What a human drove as a chunk that the policy can imitate. No ROS here."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.types import ModelObservation, SampledChunk
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer


def encode_human_chunk(
    tokenizer: PolicyTokenizer,
    observation: ModelObservation,
    commanded: np.ndarray,
    *,
    value: float,
    policy_version: int,
) -> SampledChunk:
    """The chunk of H steps that a human drove from an observation on.

    Its tokens are those of the commanded targets, limited to the actions that the policy can take. A chunk that the
    human ended before its last step says nothing about the steps that did not come, and one that the token slots do not
    hold cannot be said: both are not valid and have no token to imitate. Their actions hold the last target.

    Args:
        tokenizer: of the policy.
        observation: what the robot saw before the first step (no batch axis).
        commanded: float32 [k, D], k within 1..H, the targets that were sent; rad, grippers normalized.
        value: V(observation), in units of reward: what the policy's own chunk before it led to.
        policy_version: the version that computed the value.

    Raises:
        ValueError: where k or D is another.
    """
    config = tokenizer.config
    num_steps = len(commanded)
    if commanded.shape[1:] != (config.action_dim,) or not 1 <= num_steps <= config.action_horizon:
        shape = f"(k, {config.action_dim}) with k within 1..{config.action_horizon}"
        raise ValueError(f"what a human drove must have the shape {shape}, got {commanded.shape}")
    actions = commanded[np.minimum(np.arange(config.action_horizon), num_steps - 1)].astype(np.float32)
    tokens, mask = np.zeros(config.max_action_tokens, np.int32), np.zeros(config.max_action_tokens, bool)
    if num_steps == config.action_horizon:
        try:
            encoded = tokenizer.encode_actions(actions, observation.state)
        except ValueError:  # it needs more slots than there are, which `valid` tells
            pass
        else:
            tokens, mask = encoded.action_tokens, encoded.token_mask
    return SampledChunk(
        observation=observation,
        action_tokens=tokens,
        token_mask=mask,
        token_log_probs=np.zeros(config.max_action_tokens, np.float32),
        value=value,
        actions=actions,
        policy_version=policy_version,
        temperature=config.temperature,
        num_steps_asked=num_steps,
        entropy=0.0,
        valid=bool(mask.any()),
        human_driven=True,
    )
