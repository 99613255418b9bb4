"""Turns the targets that a human commanded into a chunk that the policy can imitate. Nothing here imports ROS."""

from __future__ import annotations

import numpy as np

from chunk_ppo_ros.core.types import ModelObservation, SampledChunk
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer, TooManyTokens
from chunk_ppo_ros.robot.chunk_length import held_after


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
        ValueError: when k or D is out of range, or a whole chunk cannot be encoded for another reason than the number
            of its tokens, for example because a target is NaN.
    """
    config = tokenizer.config
    num_steps = len(commanded)
    if commanded.shape[1:] != (config.action_dim,) or not 1 <= num_steps <= config.action_horizon:
        shape = f"(k, {config.action_dim}) with k within 1..{config.action_horizon}"
        raise ValueError(
            f"what a human drove must have the shape {shape}, got {commanded.shape}; set model.action_dim and "
            "model.action_horizon alike for all nodes"
        )
    actions = held_after(commanded, num_steps, horizon=config.action_horizon).astype(np.float32)
    is_whole = num_steps == config.action_horizon
    tokens, mask = _tokens(tokenizer, actions, observation.state) if is_whole else _no_tokens(tokenizer)
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


def _tokens(tokenizer: PolicyTokenizer, actions: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns tokens [T] and mask [T] of a whole chunk [H, D]; none where it needs more tokens than there are slots."""
    try:
        encoded = tokenizer.encode_actions(actions, state)
    except TooManyTokens:
        return _no_tokens(tokenizer)
    return encoded.action_tokens, encoded.token_mask


def _no_tokens(tokenizer: PolicyTokenizer) -> tuple[np.ndarray, np.ndarray]:
    num_slots = tokenizer.config.max_action_tokens
    return np.zeros(num_slots, np.int32), np.zeros(num_slots, bool)
