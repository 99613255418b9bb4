"""The actor loads a checkpoint and turns observations into action chunks. Nothing here imports ROS.

Learning is in `learner.py`. Observations come from `env.py` and from `nodes/policy/`.
"""

from __future__ import annotations

import zlib

import jax
import numpy as np

from chunk_ppo_ros.agent import restore
from chunk_ppo_ros.agent.acting_weights import ActingWeights
from chunk_ppo_ros.agent.intervention_chunk import encode_human_chunk
from chunk_ppo_ros.config import TrainConfig
from chunk_ppo_ros.core.errors import BrokenWeights, SettingError
from chunk_ppo_ros.core.types import ModelObservation, Observation, SampledChunk
from chunk_ppo_ros.core_jax.arrays import Key, Params
from chunk_ppo_ros.model.checkpoints.checkpoint import Checkpoint
from chunk_ppo_ros.model.outputs import Sample
from chunk_ppo_ros.robot import aloha
from chunk_ppo_ros.robot.chunk_length import choose_num_steps, held_after, mean_entropy
from chunk_ppo_ros.sim.tasks.registry import prompts_of


class Actor:
    """Samples action chunks and values observations with the weights of one policy version.

    Args:
        config: the run's configuration, whose model section must be the checkpoint's.
        checkpoint: a checkpoint of this package, or one of openpi with tokenizers. The value head of openpi's is fresh.
        policy_version: the version number that the sampled chunks carry.
        greedy: whether the likeliest token is taken instead of a sampled one. This is for evaluation only, because
            such chunks cannot be trained on.

    Raises:
        CheckpointError: when the checkpoint is damaged or does not fit the configuration.
        SettingError: when a prompt cannot be encoded, the task does not exist, or the policy is of another robot.
    """

    def __init__(
        self, config: TrainConfig, checkpoint: Checkpoint, *, policy_version: int, greedy: bool = False
    ) -> None:
        self._config = config
        bundle = restore.load(checkpoint, config)
        check_state_dim(bundle.tokenizer.norm_stats.state.dim)
        lengths = {prompt.text: bundle.tokenizer.check_prompt(prompt.text) for prompt in prompts_of(config)}
        self._longest_prompt = max(lengths, key=lambda text: lengths[text])
        self._tokenizer, self._policy = bundle.tokenizer, bundle.policy
        self._weights = ActingWeights(bundle.params, checkpoint)
        self.policy_version = policy_version
        self.greedy = greedy
        self._key = jax.random.key(config.run.seed)
        self._value_key = jax.random.fold_in(self._key, 2**32 - 1)  # no chunk has this sequence number
        temperature = config.model.temperature

        def act(params: Params, observation: ModelObservation, key: Key) -> Sample:
            batch = jax.tree.map(lambda leaf: leaf[None], observation)
            sample = self._policy.sample_actions(params, batch, key=key, temperature=temperature, greedy=greedy)
            return jax.tree.map(lambda leaf: leaf[0], sample)

        def value(params: Params, observation: ModelObservation) -> jax.Array:
            batch = jax.tree.map(lambda leaf: leaf[None], observation)
            return self._policy.compute_observation_value(params, batch)[0]

        def chunk_value(params: Params, observation: ModelObservation, actions: jax.Array) -> jax.Array:
            batch = jax.tree.map(lambda leaf: leaf[None], observation)
            return self._policy.compute_action_chunk_value(params, batch, actions[None])[0]

        self.compiled_act = jax.jit(act)
        self._value = jax.jit(value)
        self._chunk_value = jax.jit(chunk_value)

    def load(self, checkpoint: Checkpoint, *, policy_version: int) -> str:
        """Replaces the weights by those of another version, which is loaded beside the present one where memory allows.

        The present weights stay if the checkpoint is damaged or does not fit, or if the disk fails (`ActingWeights`).

        Args:
            checkpoint: the checkpoint of the other version.
            policy_version: the version number that the chunks sampled from now on carry.

        Returns:
            Why the weights could not be loaded beside the present ones, in words. It is empty where they were.

        Raises:
            CheckpointError: when the checkpoint is damaged or has other shapes.
        """
        note = self._weights.replace(checkpoint, restore.expected_params(self._policy))
        self.policy_version = policy_version
        return note

    def take(self, params: Params, *, policy_version: int) -> None:
        """Takes the weights of a learner in the same process. No checkpoint is written, and the weights are not copied.

        Args:
            params: all parameters of the same model. They must not be donated while the actor uses them.
            policy_version: the version number that the chunks sampled from now on carry.
        """
        self._weights.take(params)
        self.policy_version = policy_version

    def warm_up(self) -> None:
        """Compiles sampling and the value with the longest prompt, so that no first chunk of an episode is late."""
        model = self._config.model
        shape = (len(model.cameras), model.image_size, model.image_size, 3)
        observation = Observation(
            images=np.zeros(shape, np.uint8),
            image_mask=np.ones(shape[0], bool),
            state=np.zeros(model.action_dim, np.float32),
            prompt=self._longest_prompt,
        )
        model_observation = self.observe(observation)
        self.act(model_observation, sequence_number=0)
        self.value(model_observation)

    def observe(self, observation: Observation) -> ModelObservation:
        """Returns the observation in the form that the model takes.

        Raises:
            ValueError: for wrong shapes, a state that is not finite, or a prompt that is too long.
        """
        return self._tokenizer.observe(observation)

    def act(self, observation: ModelObservation, *, sequence_number: int) -> SampledChunk:
        """Samples one chunk. The same seed, weights, observation and sequence number give the same chunk.

        Without constrained decoding, the tokens may stand for no chunk. The chunk is then not valid, and each of its
        actions is the measured state, so that the robot keeps its pose. It can be trained on like any other sample.

        The number of steps to execute follows from the tokens and V(s), by the rule of `chunk_length`. The value of the
        chunk is V(s). If `ppo.gae_value` is "chunk", the value is V(s, a) of the actions to execute, which takes one
        more pass over the observation.
        """
        return self._sample(observation, jax.random.fold_in(self._key, sequence_number))

    def _sample(self, observation: ModelObservation, key: jax.Array) -> SampledChunk:
        sample = jax.device_get(self.compiled_act(self._weights.params, observation, key))
        if not (np.all(np.isfinite(sample.token_log_probs)) and np.isfinite(sample.value)):
            raise BrokenWeights(
                f"log-probabilities and value of a chunk must be finite, got NaN or infinity from policy version "
                f"{self.policy_version}; its weights are broken, load an earlier checkpoint"
            )
        actions, valid = self._decoded(sample.action_tokens, observation.state)
        value, entropy = float(sample.value), mean_entropy(sample.token_entropies, sample.token_mask)
        num_steps = choose_num_steps(
            self._config.chunk_length,
            horizon=len(actions),
            policy_version=self.policy_version,
            entropy=entropy,
            value=value,
        )
        held = held_after(actions, num_steps, horizon=len(actions))
        return SampledChunk(
            observation=observation,
            action_tokens=sample.action_tokens,
            token_mask=sample.token_mask,
            token_log_probs=sample.token_log_probs,
            value=self._value_of_chunk(observation, held) if self._values_chunks else value,
            actions=actions,
            policy_version=self.policy_version,
            temperature=self._config.model.temperature,
            num_steps_asked=num_steps,
            entropy=entropy,
            valid=valid,
        )

    def _decoded(self, action_tokens: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, bool]:
        """Returns float32 [H, D], the actions of sampled tokens, and whether the tokens stand for a chunk.

        Where they stand for none, each action is the measured state.
        """
        decoded = self._tokenizer.decode_actions(action_tokens, state)
        if decoded.valid:
            return decoded.actions, True
        if self._config.model.constrain_decoding:
            raise RuntimeError(
                f"constrained decoding must give tokens that can be decoded, got ones that cannot: {decoded.reason}; "
                "report it with the checkpoint, which this program should have refused"
            )
        return np.tile(state, (self._config.model.action_horizon, 1)).astype(np.float32), False

    def human_chunk(self, observation: ModelObservation, commanded: np.ndarray) -> SampledChunk:
        """Returns the targets that a human commanded as a chunk of this policy version (`intervention_chunk.py`)."""
        return encode_human_chunk(
            self._tokenizer,
            observation,
            commanded,
            value=self.value(observation),
            policy_version=self.policy_version,
        )

    def why_invalid(self, chunk: SampledChunk) -> str:
        """Returns why the tokens of a chunk stand for no actions. The text is empty if they stand for some."""
        return self._tokenizer.decode_actions(chunk.action_tokens, chunk.observation.state).reason

    def value(self, observation: ModelObservation) -> float:
        """Returns the value of an observation, in units of reward.

        This is V(s). If `ppo.gae_value` is "chunk", it is V(s, a) of a chunk that is sampled here and never executed,
        which is V(s) with the noise of one sample. The same seed, weights and observation give the same value.
        """
        if not self._values_chunks:
            return float(self._value(self._weights.params, observation))
        state = zlib.crc32(observation.state.tobytes())
        return self._sample(observation, jax.random.fold_in(self._value_key, state)).value

    @property
    def _values_chunks(self) -> bool:
        return self._config.ppo.gae_value == "chunk"

    def _value_of_chunk(self, observation: ModelObservation, actions: np.ndarray) -> float:
        normalized = self._tokenizer.normalize_actions(actions, observation.state)
        return float(self._chunk_value(self._weights.params, observation, normalized))


def check_state_dim(state_dim: int) -> None:
    """Refuses a policy whose prompt holds the state of another robot.

    Raises:
        SettingError: where its statistics are not those of ALOHA's state.
    """
    if state_dim != aloha.ACTION_DIM:
        raise SettingError(
            f"a policy that acts must have statistics of the {aloha.ACTION_DIM} dimensions of ALOHA's state, got "
            f"{state_dim} in norm_stats.json; measure a policy of another robot on its own recordings: "
            "measure-imitation and positions, both with --episodes"
        )
