"""Turns the targets that a human commanded into a chunk that the policy can imitate. Nothing here imports ROS."""

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
    """Returns the chunk of H steps that a human drove after an observation.

    Its tokens encode the commanded targets, limited to the actions that the policy can take. The chunk is not valid and
    has no token to imitate in two cases. The human ended it before its last step, so that the remaining steps are
    unknown, or it needs more tokens than there are slots. Its remaining actions repeat the last target.

    Args:
        tokenizer: the tokenizer of the policy.
        observation: what the robot saw before the first step (no batch axis).
        commanded: float32 [k, D] with k within 1..H, the targets that were sent, in rad with normalized grippers.
        value: V(observation), in units of reward. The policy's chunk before this one is credited with it.
        policy_version: the version that computed the value.

    Raises:
        ValueError: when k or D is out of range.
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
        except ValueError:  # It needs more slots than there are, so that the chunk becomes invalid.
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
