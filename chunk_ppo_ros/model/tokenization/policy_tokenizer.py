"""Turns a robot's observation into the model's input, and the model's tokens into joint targets.

`PolicyTokenizer` joins the prompt tokenizer, FAST, the place of FAST ids in the model's vocabulary, and normalization.
The model's text is "Action: ", FAST tokens, "|" and the end token. Only the FAST tokens are sampled and scored, and
also "|" where decoding is free.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32, Real

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.core.prompts.quotation import quoted
from chunk_ppo_ros.model.tokenization import fast_tokenizer, normalization, prompt_tokenizer
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.automaton import FastConstraint
from chunk_ppo_ros.model.tokenization.fast_tokenizer import DecodedChunk, FastTokenizer
from chunk_ppo_ros.model.tokenization.normalization import NormStats
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import PromptTokenizer
from chunk_ppo_ros.model.tokenization.token_ids import FORCED_TAIL, NUM_SKIPPED, TokenIds

PROMPT_MODEL = "prompt.model"
FAST_FOLDER = "fast"


class TooManyTokens(ValueError):
    """A chunk needs more action tokens than the model has slots for them."""


@dataclasses.dataclass(frozen=True)
class EncodedActions:
    """The tokens that the model should generate for a chunk.

    Attributes:
        action_tokens: FAST tokens, "|" and the end token, padded with 0; "Action: " is not among them.
        token_mask: true on the tokens that the model samples: the FAST tokens, and "|" where decoding is free.
        num_clipped: number of values of the normalized chunk that were beyond action_limit and were clipped to it.
    """

    action_tokens: Int32[np.ndarray, "T"]
    token_mask: Bool[np.ndarray, "T"]
    num_clipped: int


@dataclasses.dataclass(frozen=True)
class PolicyTokenizer:
    """Translates between a robot and the model, for one configuration.

    Attributes:
        prompt: tokenizer of the task and the state.
        fast: tokenizer of normalized actions.
        norm_stats: statistics of the state and of the actions in the policy's space (`aloha_transforms.py`).
        config: the model's configuration, whose sizes bound the numbers of prompt and action tokens.
    """

    prompt: PromptTokenizer
    fast: FastTokenizer
    norm_stats: NormStats
    config: Pi0FASTActorCriticConfig

    def __post_init__(self) -> None:
        """Refuses tokenizers and statistics that do not fit the configuration."""
        if self.norm_stats.actions.dim != self.config.action_dim:
            raise ValueError(
                f"norm_stats must have {self.config.action_dim} action dimensions (model.action_dim), got "
                f"{self.norm_stats.actions.dim}; take the norm_stats.json of this robot"
            )
        self.transforms.check_dims(self.norm_stats.state.dim, self.config.action_dim)
        if self.prompt.vocab_size > self.config.vocab_size:
            raise ValueError(
                f"prompt tokenizer must have at most model.vocab_size ({self.config.vocab_size}) pieces, got "
                f"{self.prompt.vocab_size}; train a smaller one"
            )

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes norm_stats.json, prompt.model and fast/ into an assets folder."""
        folder = pathlib.Path(folder)
        self.norm_stats.save(folder)
        self.prompt.save(folder / PROMPT_MODEL)
        self.fast.save(folder / FAST_FOLDER)

    @property
    def transforms(self) -> AlohaTransforms:
        """The steps that transform the robot's states and actions into the policy's, before normalization."""
        return AlohaTransforms.from_config(self.config)

    @property
    def token_ids(self) -> TokenIds:
        """The ids of the action tokens in the model's vocabulary.

        Raises:
            ValueError: where "|" is not one piece of the prompt tokenizer.
        """
        bar = self.prompt.pieces(prompt_tokenizer.BAR)
        if len(bar) != 1:
            raise ValueError(f"'|' must be one piece of the prompt tokenizer, got {len(bar)}; take another model")
        return TokenIds(
            vocab_size=self.config.vocab_size,
            num_fast=self.fast.vocab_size,
            skip=NUM_SKIPPED,
            action_prefix=self.prompt.pieces(prompt_tokenizer.ACTION_PREFIX),
            bar=bar[0],
            end=prompt_tokenizer.END,
        )

    @property
    def max_fast_tokens(self) -> int:
        """The largest number of FAST tokens of a chunk: the action-token slots minus `FORCED_TAIL`."""
        return self.config.max_action_tokens - FORCED_TAIL

    def constraint(self) -> FastConstraint | None:
        """Returns the automaton of decodable chunks for this configuration; None where decoding is free."""
        if not self.config.constrain_decoding:
            return None
        return FastConstraint.build(
            self.fast,
            horizon=self.config.action_horizon,
            action_dim=self.config.action_dim,
            max_tokens=self.max_fast_tokens,
            action_limit=self.config.action_limit,
        )

    def check_prompt(self, prompt: str) -> int:
        """Makes sure that a prompt can be encoded with every state, and returns its largest number of tokens with one.

        Raises:
            SettingError: where the prompt has unknown characters, or more tokens than model.max_token_len with a state.
        """
        longest = np.zeros(self.norm_stats.state.dim, np.float32)  # Each number is in the middle bin, of three digits.
        try:
            _, mask = self.prompt.encode(prompt, longest)
        except ValueError as error:
            raise SettingError(
                f"the prompt {quoted(prompt)} (run.prompt, episode.prompts or the task's own) cannot be used: {error}"
            ) from error
        return int(mask.sum())

    def observe(self, observation: types.Observation) -> types.ModelObservation:
        """Returns the model's input.

        Args:
            observation: what the robot sees; the state in rad, grippers normalized.

        Raises:
            ValueError: where the state has another dimension or is not finite, or the prompt needs too many slots.
        """
        state = self.norm_stats.state.normalize(self.transforms.encode_state(observation.state))
        tokens, mask = self.prompt.encode(observation.prompt, state)
        return types.ModelObservation(
            images=observation.images,
            image_mask=observation.image_mask,
            prompt_tokens=tokens,
            prompt_mask=mask,
            state=np.asarray(observation.state, np.float32),
        )

    def normalize_actions(
        self, actions: Real[np.ndarray, "*batch H D"], state: Real[np.ndarray, "*batch S"]
    ) -> Float32[np.ndarray, "*batch H D"]:
        """Returns a chunk in the policy's space and normalized, as FAST and V(s, a) read it. No action is clipped.

        Args:
            actions: absolute joint targets in rad, grippers normalized.
            state: joint angles in rad, grippers normalized, at the start of the chunk.
        """
        return self.norm_stats.actions.normalize(self.transforms.encode_actions(actions, state))

    def encode_actions(self, actions: Real[np.ndarray, "..."], state: Real[np.ndarray, "S"]) -> EncodedActions:
        """Returns the tokens of a demonstrated chunk.

        Args:
            actions: [H, D], absolute joint targets in rad, grippers normalized.
            state: joint angles in rad, grippers normalized, at the start of the chunk.

        Raises:
            TooManyTokens: where the chunk needs more tokens than there are slots.
            ValueError: where the chunk has another shape or is not finite.
        """
        shape = (self.config.action_horizon, self.config.action_dim)
        if np.shape(actions) != shape:
            raise ValueError(
                f"actions must have the shape {shape} (model.action_horizon, action_dim), got {np.shape(actions)}"
            )
        clipped, num_clipped = normalization.clip_actions(
            self.normalize_actions(actions, state), self.config.action_limit
        )
        ids = self.fast.encode(clipped)
        if len(ids) > self.max_fast_tokens:
            raise TooManyTokens(
                f"chunk must be at most {self.max_fast_tokens} FAST tokens, got {len(ids)}; set "
                f"model.max_action_tokens to at least {len(ids) + FORCED_TAIL}, or leave the chunk out"
            )
        token_ids = self.token_ids
        tokens = np.zeros(self.config.max_action_tokens, np.int32)
        tokens[: len(ids) + FORCED_TAIL] = [*(token_ids.to_model(i) for i in ids), token_ids.bar, token_ids.end]
        num_sampled = len(ids) + (not self.config.constrain_decoding)
        return EncodedActions(tokens, np.arange(len(tokens)) < num_sampled, num_clipped)

    def decode_actions(self, action_tokens: Int[np.ndarray, "T"], state: Real[np.ndarray, "S"]) -> DecodedChunk:
        """Returns the absolute joint targets of generated tokens, or the reason why the tokens stand for none.

        Valid tokens end in "|", stand for H * D coefficients, and keep a limit. Where decoding is constrained, each
        coefficient is within `coefficient_limit`. Where it is free, each normalized action is within
        `model.action_limit` plus `rounding_bound`. openpi checks neither limit.

        Args:
            action_tokens: model ids.
            state: joint angles in rad, grippers normalized, at the start of the chunk.
        """
        token_ids = self.token_ids
        sizes = {"horizon": self.config.action_horizon, "action_dim": self.config.action_dim}
        ends = np.flatnonzero(np.asarray(action_tokens) == token_ids.bar)
        if not ends.size:
            return DecodedChunk.failed("the action tokens have no '|'", **sizes)
        model_ids = np.asarray(action_tokens[: ends[0]])
        foreign = [int(i) for i in model_ids if not token_ids.is_fast(int(i))]
        if foreign:
            return DecodedChunk.failed(f"token {foreign[0]} of the model's vocabulary is not an action token", **sizes)
        decoded = self.fast.decode(token_ids.to_fast(model_ids), **sizes)
        reason = decoded.reason or self._beyond_limit(decoded)
        if reason:
            return DecodedChunk.failed(reason, **sizes)
        unnormalized = self.norm_stats.actions.unnormalize(decoded.actions)
        return dataclasses.replace(decoded, actions=self.transforms.decode_actions(unnormalized, state))

    def _beyond_limit(self, decoded: DecodedChunk) -> str:
        """Returns a text that says how far a chunk is beyond its limit; empty where it is within the limit."""
        scale, horizon, limit = self.fast.scale, self.config.action_horizon, self.config.action_limit
        if self.config.constrain_decoding:
            what, found = "a DCT coefficient", float(decoded.largest_coefficient)
            most = float(fast_tokenizer.coefficient_limit(scale=scale, horizon=horizon, action_limit=limit))
        else:
            what, found = "a normalized action", decoded.largest_action
            most = limit + fast_tokenizer.rounding_bound(scale=scale, horizon=horizon)
        return f"{what} is {found:.4g}, beyond {most:.4g} (model.action_limit)" if found > most else ""
