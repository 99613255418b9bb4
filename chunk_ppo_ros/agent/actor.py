"""The actor: a checkpoint that turns observations into action chunks. No ROS here.

Not here: learning (`learner.py`) and where observations come from (`env.py`, `nodes/policy/`).
"""

from __future__ import annotations

import zlib
from typing import Any

import jax
import numpy as np

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.intervention_chunk import encode_human_chunk
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.types import ModelObservation, Observation, SampledChunk
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.robot.chunk_length import choose_num_steps, held_after, mean_entropy


class Actor:
    """Samples action chunks and values observations with the weights of one policy version.

    Args:
        config: the run's configuration; its model section must be the checkpoint's.
        checkpoint: an own one, or openpi's with tokenizers (its value head is fresh).
        policy_version: number that the sampled chunks carry.
        greedy: take the likeliest token instead of sampling (for evaluation only; such chunks are not trained on).

    Raises:
        CheckpointError: when the checkpoint is damaged or does not fit the configuration.
    """

    def __init__(
        self, config: TrainConfig, checkpoint: Checkpoint, *, policy_version: int, greedy: bool = False
    ) -> None:
        self._config = config
        bundle = restore.load(checkpoint, config)
        self._tokenizer, self._policy = bundle.tokenizer, bundle.policy
        self._params = bundle.params
        self.policy_version = policy_version
        self.greedy = greedy
        self._key = jax.random.key(config.run.seed)
        self._value_key = jax.random.fold_in(self._key, 2**32 - 1)  # no chunk has this sequence number
        temperature = config.model.temperature

        def act(params: Any, observation: ModelObservation, key: jax.Array) -> Any:
            batch = jax.tree.map(lambda leaf: leaf[None], observation)
            sample = self._policy.sample_actions(params, batch, key=key, temperature=temperature, greedy=greedy)
            return jax.tree.map(lambda leaf: leaf[0], sample)

        def value(params: Any, observation: ModelObservation) -> jax.Array:
            batch = jax.tree.map(lambda leaf: leaf[None], observation)
            return self._policy.compute_observation_value(params, batch)[0]

        def chunk_value(params: Any, observation: ModelObservation, actions: jax.Array) -> jax.Array:
            batch = jax.tree.map(lambda leaf: leaf[None], observation)
            return self._policy.compute_action_chunk_value(params, batch, actions[None])[0]

        self.compiled_act = jax.jit(act)
        self._value = jax.jit(value)
        self._chunk_value = jax.jit(chunk_value)

    def load(self, checkpoint: Checkpoint, *, policy_version: int) -> None:
        """Takes the weights of another version; keeps the present ones while that is damaged or does not fit.

        Weights of two versions are never in memory: the present ones go once the others' checksums and shapes are
        found right. Where the disk then fails all the same, there are none, and the caller must load others.

        Raises:
            CheckpointError: when the checkpoint is damaged or of other shapes.
        """
        expected = restore.expected_params(self._policy)
        self._params = checkpoint.load_leaves(expected, before_reading=self._forget)
        self.policy_version = policy_version

    def take(self, params: Any, *, policy_version: int) -> None:
        """Takes the weights of a learner in the same process, without a checkpoint between; they are not copied.

        Args:
            params: all of them, of the same model; they must not be donated while they are in use here.
            policy_version: number that the chunks sampled from now on carry.
        """
        self._params = params
        self.policy_version = policy_version

    def _forget(self) -> None:
        self._params = None

    def warm_up(self) -> None:
        """Compiles acting and valuing, so that the first chunk of an episode is not late."""
        model = self._config.model
        shape = (len(model.cameras), model.image_size, model.image_size, 3)
        observation = Observation(
            images=np.zeros(shape, np.uint8),
            image_mask=np.ones(shape[0], bool),
            state=np.zeros(model.action_dim, np.float32),
            prompt="warm up",
        )
        model_observation = self.observe(observation)
        self.act(model_observation, sequence_number=0)
        self.value(model_observation)

    def observe(self, observation: Observation) -> ModelObservation:
        """The observation as the model sees it.

        Raises:
            ValueError: for wrong shapes, a state that is not finite, or a prompt that does not fit.
        """
        return self._tokenizer.observe(observation)

    def act(self, observation: ModelObservation, *, sequence_number: int) -> SampledChunk:
        """Samples one chunk; the same seed, weights, observation and sequence number give the same chunk.

        Where decoding is free and the tokens stand for no chunk, it is not valid and its actions hold the pose that it
        was sampled in: the measured state, every step. It is a sample like any other and can be trained on.

        How many of its steps are to be executed follows from its tokens and V(s), by `chunk_length`. Its value is V(s),
        or V(s, a) of what is to be executed where `ppo.gae_value` is chunk, which takes one more pass over the
        observation.
        """
        return self._sample(observation, jax.random.fold_in(self._key, sequence_number))

    def _sample(self, observation: ModelObservation, key: jax.Array) -> SampledChunk:
        sample = jax.device_get(self.compiled_act(self._params, observation, key))
        if not (np.all(np.isfinite(sample.token_log_probs)) and np.isfinite(sample.value)):
            raise RuntimeError(
                f"log-probabilities and value of a chunk must be finite, got NaN or infinity from policy version "
                f"{self.policy_version}; its weights are broken, load an earlier checkpoint"
            )
        decoded = self._tokenizer.decode_actions(sample.action_tokens, observation.state)
        if not decoded.valid and self._config.model.constrain_decoding:
            raise RuntimeError(f"the decoding constraint let an undecodable chunk through: {decoded.reason}")
        hold = np.tile(observation.state, (self._config.model.action_horizon, 1)).astype(np.float32)
        actions = decoded.actions if decoded.valid else hold
        value, entropy = float(sample.value), mean_entropy(sample.token_entropies, sample.token_mask)
        num_steps = choose_num_steps(
            self._config.chunk_length,
            horizon=len(actions),
            policy_version=self.policy_version,
            entropy=entropy,
            value=value,
        )
        return SampledChunk(
            observation=observation,
            action_tokens=sample.action_tokens,
            token_mask=sample.token_mask,
            token_log_probs=sample.token_log_probs,
            value=self._value_of_chunk(observation, held_after(actions, num_steps)) if self._values_chunks else value,
            actions=actions,
            policy_version=self.policy_version,
            temperature=self._config.model.temperature,
            num_steps_asked=num_steps,
            entropy=entropy,
            valid=decoded.valid,
        )

    def human_chunk(self, observation: ModelObservation, commanded: np.ndarray) -> SampledChunk:
        """What a human drove, as a chunk of this policy version; see `intervention_chunk.py`."""
        return encode_human_chunk(
            self._tokenizer,
            observation,
            commanded,
            value=self.value(observation),
            policy_version=self.policy_version,
        )

    def why_invalid(self, chunk: SampledChunk) -> str:
        """Why a chunk's tokens stand for no actions; empty where they do."""
        return self._tokenizer.decode_actions(chunk.action_tokens, chunk.observation.state).reason

    def value(self, observation: ModelObservation) -> float:
        """What the future from an observation on is worth, in units of reward.

        V(s), or where `ppo.gae_value` is chunk V(s, a) of a chunk that is sampled here and never executed: V(s) with
        the noise of one sample. The same seed, weights and observation give the same.
        """
        if not self._values_chunks:
            return float(self._value(self._params, observation))
        state = zlib.crc32(observation.state.tobytes())
        return self._sample(observation, jax.random.fold_in(self._value_key, state)).value

    @property
    def _values_chunks(self) -> bool:
        return self._config.ppo.gae_value == "chunk"

    def _value_of_chunk(self, observation: ModelObservation, actions: np.ndarray) -> float:
        normalized = self._tokenizer.normalize_actions(actions, observation.state)
        return float(self._chunk_value(self._params, observation, normalized))
