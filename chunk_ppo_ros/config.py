"""The whole configuration of a run as frozen dataclasses, with presets; numpy-free, ROS-free, JAX-free.

Each field is declared once, with its description and range, by `setting`. The command line, the ROS parameters, the
YAML files under `config/` and the metadata of checkpoints are all made from these dataclasses. Unknown keys, wrong
types and values out of range are errors that name the key.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

ConfigT = TypeVar("ConfigT")


def setting(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field with a description and, where given, an inclusive range or the allowed values."""
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


def _check_field(cls: type, field: dataclasses.Field[Any], value: Any) -> None:
    hint = typing.get_type_hints(cls)[field.name]
    expected = typing.get_origin(hint) or hint
    if isinstance(expected, types.UnionType) or not isinstance(expected, type):
        raise TypeError(f"{cls.__name__}.{field.name} has an unsupported type {hint}")
    wrong_bool = isinstance(value, bool) and expected is not bool
    if wrong_bool or not isinstance(value, (int, float) if expected is float else expected):
        raise ValueError(f"{field.name} must be of type {expected.__name__}, got {value!r}")
    metadata = field.metadata
    if metadata.get("choices") and value not in metadata["choices"]:
        raise ValueError(f"{field.name} must be one of {', '.join(metadata['choices'])}, got {value!r}")
    low, high = metadata.get("minimum"), metadata.get("maximum")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        bounds = f"at least {low}" if high is None else f"at most {high}" if low is None else f"within {low}..{high}"
        raise ValueError(f"{field.name} must be {bounds}, got {value!r}")


class _Checked:
    """Base of the sections: checks types, ranges and choices of all fields when constructed."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            _check_field(type(self), field, getattr(self, field.name))


@dataclasses.dataclass(frozen=True)
class Pi0FASTActorCriticConfig(_Checked):
    """Sizes and variants of the policy. The first six fields are those of the original design."""

    action_dim: int = setting(14, "D, dimensions of one action", minimum=1, maximum=64)
    action_horizon: int = setting(16, "H, control steps in a chunk", minimum=1, maximum=100)
    max_token_len: int = setting(180, "text slots of prompt and action tokens together", minimum=8, maximum=4096)
    paligemma_variant: str = setting("gemma_2b", "sizes of both towers", choices=("gemma_2b", "gemma_2b_lora", "tiny"))
    value_head_hidden_dim: int = setting(512, "width of the value head's hidden layer", minimum=1, maximum=65536)
    max_value_steps: int = setting(
        32, "largest horizon that the observation-chunk value accepts", minimum=1, maximum=100
    )
    max_action_tokens: int = setting(100, "T, of max_token_len, slots for action tokens", minimum=4, maximum=2048)
    image_size: int = setting(224, "height and width of the square model images, pixels", minimum=8, maximum=1024)
    patch_size: int = setting(14, "height and width of an image patch, pixels", minimum=1, maximum=64)
    cameras: tuple[str, ...] = setting(
        ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"), "camera keys of the model, in order"
    )
    vocab_size: int = setting(257152, "V, rows of the token embedding", minimum=64, maximum=1048576)
    dtype: str = setting("float32", "dtype of the computation", choices=("float32", "bfloat16"))
    action_limit: float = setting(
        1.5,
        "largest |normalised action| that a chunk is encoded with; decoding bounds its DCT coefficients accordingly",
        minimum=0.1,
        maximum=10.0,
    )
    temperature: float = setting(1.0, "sampling temperature", minimum=1e-3, maximum=10.0)
    constrain_decoding: bool = setting(
        True,
        "sample only tokens that lead to a decodable chunk; otherwise any, and the robot holds on an invalid chunk",
    )
    detach_value: bool = setting(True, "keep the value loss out of the backbone")
    value_bins: int = setting(
        1, "bins of the value head; 1 is a scalar with Huber's loss, more are a histogram (HL-Gauss)", minimum=1
    )
    value_min: float = setting(-10.0, "lower end of the value histogram, in units of reward")
    value_max: float = setting(10.0, "upper end of the value histogram, in units of reward")
    chunk_value: str = setting(
        "none", "how V(s, a) joins observation and chunk", choices=("none", "pooled", "attention")
    )
    siglip_width: int = setting(0, "image tower's width; 0 here and below takes the variant's size", minimum=0)
    siglip_depth: int = setting(0, "image tower's blocks", minimum=0)
    siglip_mlp_dim: int = setting(0, "hidden width of the image tower's MLP", minimum=0)
    siglip_num_heads: int = setting(0, "attention heads of the image tower", minimum=0)
    gemma_width: int = setting(0, "decoder's width", minimum=0)
    gemma_depth: int = setting(0, "decoder's blocks", minimum=0)
    gemma_mlp_dim: int = setting(0, "hidden width of the decoder's MLP", minimum=0)
    gemma_num_heads: int = setting(0, "query heads of the decoder", minimum=0)
    gemma_num_kv_heads: int = setting(0, "key/value heads of the decoder", minimum=0)
    gemma_head_dim: int = setting(0, "width of a decoder's head", minimum=0)
    lora_rank: int = setting(0, "rank of the decoder's low-rank adapters", minimum=0, maximum=1024)
    lora_alpha: float = setting(
        16.0, "adapters of the attention are scaled by lora_alpha / lora_rank", minimum=1e-3, maximum=1024.0
    )
    delta_actions: bool = setting(True, "the policy's joint targets are relative to the state at the start of a chunk")
    adapt_to_pi: bool = setting(
        False, "the policy lives in pi's space (joint signs, gripper angles), as openpi's published ALOHA policies do"
    )
    adapt_gripper: str = setting(
        "openpi", "what a gripper opening means to adapt_to_pi; openpi takes its own", choices=("openpi", "interbotix")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.value_bins > 1 and not self.value_min < self.value_max:
            raise ValueError(
                f"model.value_max must be above model.value_min ({self.value_min}), got {self.value_max}; name the "
                "range of returns"
            )
        if self.chunk_value != "none" and self.action_horizon > self.max_value_steps:
            raise ValueError(
                f"model.max_value_steps must be at least model.action_horizon ({self.action_horizon}) where "
                f"model.chunk_value is set, got {self.max_value_steps}; raise it"
            )
        if self.max_action_tokens >= self.max_token_len:
            raise ValueError(
                f"model.max_action_tokens must be less than model.max_token_len ({self.max_token_len}), got "
                f"{self.max_action_tokens}; leave room for the prompt"
            )
        if self.image_size % self.patch_size:
            raise ValueError(
                f"model.image_size must be a multiple of model.patch_size ({self.patch_size}), got {self.image_size}"
            )

    @property
    def max_prompt_len(self) -> int:
        """L, prompt slots."""
        return self.max_token_len - self.max_action_tokens


@dataclasses.dataclass(frozen=True)
class PPOConfig(_Checked):
    """The algorithm. total_timesteps counts executed control steps, not chunks."""

    total_timesteps: int = setting(5_000, "executed control steps to train for", minimum=1)
    num_chunks_per_update: int = setting(32, "N, chunks in a rollout", minimum=1, maximum=65536)
    num_epochs_per_update: int = setting(2, "passes over a rollout", minimum=1, maximum=100)
    batch_size: int = setting(8, "chunks in a minibatch", minimum=1, maximum=65536)
    gradient_accumulation_steps: int = setting(
        1, "minibatches whose gradients are added up to a step, that of one large minibatch", minimum=1, maximum=65536
    )
    learning_rate: float = setting(1e-4, "peak learning rate of the actor", minimum=0.0, maximum=1.0)
    learning_rate_warmup_steps: int = setting(
        0, "gradient steps over which the actor's learning rate rises linearly to its peak", minimum=0
    )
    learning_rate_decay_steps: int = setting(
        0, "gradient steps, after those, over which it falls linearly to a tenth; 0 keeps it", minimum=0
    )
    value_learning_rate: float = setting(1e-3, "learning rate of the value head", minimum=0.0, maximum=1.0)
    gamma: float = setting(0.99, "discount per chunk", minimum=0.0, maximum=1.0)
    discount_per_step: bool = setting(False, "discount by gamma_step per executed control step instead of per chunk")
    gamma_step: float = setting(
        0.999, "discount per control step, where discount_per_step is set", minimum=0.0, maximum=1.0
    )
    gae_lambda: float = setting(0.95, "lambda of GAE, over chunks", minimum=0.0, maximum=1.0)
    ratio: str = setting(
        "chunk",
        "what has one probability ratio that is clipped: the chunk, each token, or the chunk by its tokens' geometric "
        "mean (which wants a far smaller clip_coef)",
        choices=("chunk", "token", "sequence_mean"),
    )
    clip_coef: float = setting(0.2, "the ratio is clipped to 1 - clip_coef .. 1 + clip_coef", minimum=0.0, maximum=1.0)
    clip_coef_high: float = setting(
        0.0, "where not 0, the upper end of the clip range is 1 + clip_coef_high instead", minimum=0.0, maximum=10.0
    )
    ent_coef: float = setting(0.0, "weight of the entropy bonus", minimum=0.0, maximum=1.0)
    ref_kl_coef: float = setting(
        0.0, "weight of the KL to the reference, the policy that the run started from", minimum=0.0, maximum=100.0
    )
    bc_coef: float = setting(
        0.0, "weight of imitating chunks that a human drove; each counts like one of advantage bc_coef", minimum=0.0
    )
    vf_coef: float = setting(0.5, "weight of the value loss", minimum=0.0, maximum=100.0)
    value_huber_delta: float = setting(10.0, "where the value loss turns linear, in units of reward", minimum=1e-6)
    max_grad_norm: float = setting(1.0, "global gradient norm above which gradients are scaled down", minimum=1e-6)
    log_ratio_clamp: float = setting(20.0, "bound on |new - old| log-probability before exp", minimum=0.1, maximum=80.0)
    target_kl: float = setting(
        0.0, "stop an update once the KL of a minibatch (kl/k2) is above this, nats a chunk; 0 never stops", minimum=0.0
    )
    max_kl: float = setting(
        1.0,
        "undo an update after which the KL of old and new policy over the rollout (kl/after, nats a chunk) is above "
        "this, and make it again at a lower learning rate; 0 never does",
        minimum=0.0,
    )
    rate_backoff: float = setting(
        0.5, "factor on the actor's learning rate where an update is undone", minimum=0.01, maximum=0.99
    )
    gae_value: str = setting(
        "observation", "which value feeds GAE; chunk needs model.chunk_value", choices=("observation", "chunk")
    )
    freeze_image_tower: bool = setting(
        False, "keep the image tower as it is; images are then embedded once for all epochs of an update"
    )
    freeze_text_tower: bool = setting(False, "keep the decoder as it is, adapters included")
    normalize_advantages: bool = setting(True, "normalise advantages over the rollout")
    critic_warmup_updates: int = setting(0, "first updates that train the value head only", minimum=0)
    max_logp_gap: float = setting(
        1e-3,
        "refuse to train where |ratio - 1| of a chunk exceeds this before the first step, with model.dtype float32, "
        "whose rounding makes about 1e-5",
        minimum=0.0,
    )
    max_logp_gap_bfloat16: float = setting(
        0.9,
        "the same with model.dtype bfloat16, whose rounding makes 0.02 in a chunk of 7 tokens and 0.6 in one of 110; "
        "other weights or another temperature make about 1",
        minimum=0.0,
    )
    recompute_log_probs: bool = setting(
        False,
        "measure ratios from the log-probs that the trainer finds before its first step, not from those recorded while "
        "sampling; for bfloat16, whose rounding is as large as clip_coef",
    )

    @property
    def num_chunks_per_step(self) -> int:
        """Chunks in a step of the optimizer."""
        return self.batch_size * self.gradient_accumulation_steps

    @property
    def ratio_band(self) -> tuple[float, float]:
        """The smallest and the largest ratio that are not clipped."""
        return 1.0 - self.clip_coef, 1.0 + (self.clip_coef_high or self.clip_coef)


@dataclasses.dataclass(frozen=True)
class EnvConfig(_Checked):
    """The task and where it happens."""

    simulator: str = setting("mujoco", "physics behind the robot's topics", choices=("mujoco", "kinematic", "none"))
    task: str = setting("reach", "task", choices=("reach", "transfer_cube"))
    cube_spread: float = setting(
        1.0,
        "transfer_cube: the cube is drawn within this share of gym-aloha's 0.2 m by 0.2 m, in each direction",
        minimum=0.0,
        maximum=1.0,
    )
    max_episode_chunks: int = setting(
        4, "time limit of an episode, whole chunks of model.action_horizon control steps", minimum=1, maximum=10000
    )
    realtime: bool = setting(False, "run at real time; false is lockstep with the policy, as fast as possible")
    camera_rate: float = setting(30.0, "camera rate in real time, Hz", minimum=0.1, maximum=120.0)
    sync_tolerance: float = setting(0.1, "largest time between the readings of one observation, s", minimum=0.001)
    sensor_timeout: float = setting(5.0, "a sensor silent for longer is reported and the policy holds, s", minimum=0.01)


@dataclasses.dataclass(frozen=True)
class ChunkLengthConfig(_Checked):
    """How many control steps k of a sampled chunk are executed before the next is sampled. See docs/chunk-length.md."""

    length_rule: str = setting("fixed", "what k depends on", choices=("fixed", "scheduled", "uncertainty"))
    executed_steps: int = setting(
        0, "k, where scheduled at version 0, by uncertainty of a sure chunk; 0 is model.action_horizon", minimum=0
    )
    end_steps: int = setting(
        4, "k at the other end: where scheduled after schedule_updates, by uncertainty of an unsure chunk", minimum=1
    )
    schedule_updates: int = setting(100, "policy versions over which a scheduled k reaches end_steps", minimum=1)
    low_entropy: float = setting(0.7, "mean entropy up to which a chunk is sure, nats a token", minimum=0.0)
    high_entropy: float = setting(1.3, "mean entropy from which a chunk is unsure, nats a token", minimum=0.0)
    low_value: float = setting(
        0.0, "V(s) down to which a chunk is unsure, in units of reward; equal to high_value it does not count"
    )
    high_value: float = setting(0.0, "V(s) from which a chunk is sure, in units of reward")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low_entropy < self.high_entropy:
            raise ValueError(
                f"chunk_length.high_entropy must be above chunk_length.low_entropy ({self.low_entropy}), got "
                f"{self.high_entropy}; see chunk/entropy_* in the metrics for what occurs"
            )
        if self.low_value > self.high_value:
            raise ValueError(
                f"chunk_length.high_value must be at least chunk_length.low_value ({self.low_value}), got "
                f"{self.high_value}; see value/mean in the metrics for what occurs"
            )


@dataclasses.dataclass(frozen=True)
class RobotConfig(_Checked):
    """The chunk player and its limits."""

    control_rate: float = setting(50.0, "control steps per second, Hz", minimum=1.0, maximum=500.0)
    max_velocity: float = setting(
        3.14159, "joint speed above which targets are limited, rad/s", minimum=0.01, maximum=3.14159
    )
    max_gripper_velocity: float = setting(8.0, "gripper speed limit, normalised opening per second", minimum=0.01)
    max_start_jump: float = setting(
        0.5, "largest first target minus measured joint; more refuses the chunk, rad", minimum=0.0
    )
    chunk_deadline: float = setting(1.0, "a trajectory older than this on arrival is refused, s", minimum=0.01)
    pair_timeout: float = setting(0.2, "wait for the other arm's trajectory of the same stamp, s", minimum=0.001)
    state_timeout: float = setting(0.5, "joint states older than this stop the motion, s", minimum=0.01)
    gripper_convention: str = setting("openpi", "gripper constants", choices=("openpi", "interbotix"))
    optional_cameras: tuple[str, ...] = setting((), "cameras that may be absent, by name; the model sees them masked")
    image_topic: str = setting(
        "{camera}/camera/color/image_rect_raw", "image topic of a camera; {camera} stands for its name"
    )


OWN_REWARD_TERMS = ("clamped", "jerk", "effort", "human_success", "feedback", "novelty")
"""Names of the terms that are made here and not by a source; each has a setting of its own."""


@dataclasses.dataclass(frozen=True)
class RewardConfig(_Checked):
    """What is summed into the reward. A penalty is taken off; 0 leaves a term out. See docs/rewards.md."""

    sources: tuple[str, ...] = setting(("task",), "reward sources that must report on every chunk")
    source_timeout: float = setting(5.0, "a source silent for longer is reported, s (steady clock)", minimum=0.01)
    term_weights: tuple[str, ...] = setting(
        (), "factors on terms of the sources, each as name=factor; terms without one count as they come"
    )
    clamped_penalty: float = setting(0.0, "penalty for each executed step in which a target was limited", minimum=0.0)
    jerk_penalty: float = setting(
        0.0, "penalty per rad^2 of squared third differences of the executed targets", minimum=0.0
    )
    effort_penalty: float = setting(
        0.0, "penalty per unit of joint effort and control step; joint states must have efforts", minimum=0.0
    )
    human_success_weight: float = setting(1.0, "reward for an episode that the operator ends as a success")
    feedback_weight: float = setting(1.0, "factor on what is sent to human_feedback")
    classifier: str = setting("", "file that train-classifier wrote, for the source 'classifier'")
    classifier_ends: bool = setting(True, "what the classifier takes for a success ends the episode")
    novelty_weight: float = setting(
        0.0, "reward for new observations, by random network distillation in the trainer", minimum=0.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.sources)) != len(self.sources):
            raise ValueError(f"reward.sources must differ, got {', '.join(self.sources)}; name each once")
        if ("classifier" in self.sources) != bool(self.classifier):
            raise ValueError(
                f"reward.classifier must be given exactly where reward.sources has classifier, got "
                f"'{self.classifier}' with {', '.join(self.sources) or 'none'}; train one by train-classifier"
            )
        factors = self.factors
        if len(factors) != len(self.term_weights):
            raise ValueError(f"reward.term_weights must name a term once, got {', '.join(self.term_weights)}")
        for name in set(OWN_REWARD_TERMS) & set(factors):
            raise ValueError(
                f"reward.term_weights must name terms of sources, got '{name}'; it has a setting of its own, see "
                "docs/rewards.md"
            )

    @property
    def factors(self) -> dict[str, float]:
        """`term_weights` by name.

        Raises:
            ValueError: for an entry that is not name=factor, or whose factor is not a finite number.
        """
        factors = {}
        for entry in self.term_weights:
            name, equals, number = str(entry).partition("=")
            try:
                factors[name.strip()] = float(number)
            except ValueError:
                equals = ""
            if not (name.strip() and equals and math.isfinite(factors[name.strip()])):
                raise ValueError(
                    f"reward.term_weights must be entries name=factor with a finite factor, got {entry!r}; write for "
                    "example progress=2.0"
                )
        return factors


@dataclasses.dataclass(frozen=True)
class PretrainConfig(_Checked):
    """Behaviour cloning on scripted demonstrations or recorded episodes, and the tokenizers that are fitted on them."""

    num_demonstrations: int = setting(500, "demonstrated episodes", minimum=1)
    aim_noise: float = setting(
        0.04,
        "disturbance of the demonstrator's executed aim per chunk, standard deviation, m; in transfer_cube less in "
        "proportion for aims nearer than 0.2 m, and 0.02 suits it",
        minimum=0.0,
    )
    min_pace: float = setting(
        0.3,
        "a demonstrated chunk covers this to all of the way (transfer_cube: has this to all of the top speed), mostly "
        "little, at random",
        minimum=0.01,
        maximum=1.0,
    )
    bc_steps: int = setting(1_000, "gradient steps of behaviour cloning", minimum=1)
    bc_batch_size: int = setting(32, "chunks in a minibatch of behaviour cloning", minimum=1)
    bc_learning_rate: float = setting(1e-3, "peak learning rate of behaviour cloning", minimum=0.0, maximum=1.0)
    fast_vocab_size: int = setting(128, "tokens of the fitted FAST tokenizer", minimum=64, maximum=65536)
    fast_scale: float = setting(3.0, "factor on DCT coefficients before rounding", minimum=0.1, maximum=1000.0)
    prompt_vocab_size: int = setting(384, "pieces of the trained prompt tokenizer", minimum=340, maximum=65536)
    demonstration_workers: int = setting(2, "processes that collect demonstrations", minimum=1, maximum=64)
    chunk_stride: int = setting(
        5, "a chunk of a recorded episode starts at every so many-th control step; openpi takes 1", minimum=1
    )
    episode_cameras: tuple[str, ...] = setting(
        (), "names of model.cameras in recorded episodes, in the same order; empty takes the robot's names"
    )
    validation_fraction: float = setting(
        0.1, "part of the recorded episodes that is held out and scored", minimum=0.0, maximum=0.5
    )


@dataclasses.dataclass(frozen=True)
class RunConfig(_Checked):
    """Names, places and what is kept."""

    exp_name: str = setting("debug", "name of the run; its outputs go to run_dir/exp_name")
    run_dir: str = setting("runs", "folder of metrics, plots and summaries")
    checkpoint_root: str = setting("checkpoints", "folder of checkpoint folders")
    checkpoint_dir: str = setting("", "checkpoint folder below checkpoint_root; empty is exp_name")
    pretrained_checkpoint_path: str = setting("", "openpi or own checkpoint to start from; empty starts from scratch")
    asset_id: str = setting("", "folder of norm_stats.json in an openpi checkpoint's assets; empty takes the only one")
    on_load_failure: str = setting("fallback", "when the start cannot be loaded", choices=("fallback", "fail"))
    resume: bool = setting(False, "go on from the newest checkpoint of this run; fails where there is none")
    keep_checkpoints: int = setting(3, "newest checkpoints kept; the one in use is never removed", minimum=1)
    prompt: str = setting("", "the task in words; empty takes the task's own")
    tokenizer_dir: str = setting("", "folder of FAST and prompt tokenizers; empty takes the checkpoint's")
    wandb: bool = setting(True, "log to wandb; offline unless a login exists")
    autostart: bool = setting(True, "policy_node and trainer_node configure and activate themselves")
    bag_part_size: int = setting(512, "a recording begins a new part after so many MiB", minimum=1, maximum=1048576)
    bag_total_size: int = setting(20480, "the oldest parts of a recording are removed above this, MiB", minimum=2)
    seed: int = setting(0, "seed of everything random", minimum=0)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The configuration of a run, section by section."""

    model: Pi0FASTActorCriticConfig = Pi0FASTActorCriticConfig()
    ppo: PPOConfig = PPOConfig()
    env: EnvConfig = EnvConfig()
    chunk_length: ChunkLengthConfig = ChunkLengthConfig()
    robot: RobotConfig = RobotConfig()
    reward: RewardConfig = RewardConfig()
    pretrain: PretrainConfig = PretrainConfig()
    run: RunConfig = RunConfig()

    def __post_init__(self) -> None:
        if self.ppo.num_chunks_per_update % self.ppo.num_chunks_per_step:
            raise ValueError(
                "ppo.num_chunks_per_update must be a multiple of ppo.batch_size * ppo.gradient_accumulation_steps "
                f"({self.ppo.num_chunks_per_step}), got {self.ppo.num_chunks_per_update}; shapes are fixed, so that "
                "nothing recompiles"
            )
        if len(self.pretrain.episode_cameras) not in (0, len(self.model.cameras)):
            raise ValueError(
                f"pretrain.episode_cameras must name each of model.cameras ({', '.join(self.model.cameras)}), got "
                f"{', '.join(self.pretrain.episode_cameras)}; name one for each, in that order"
            )
        if self.ppo.gae_value == "chunk" and self.model.chunk_value == "none":
            raise ValueError(
                "ppo.gae_value must be observation where model.chunk_value is none, got chunk; set model.chunk_value"
            )
        if self.reward.effort_penalty and self.env.simulator == "kinematic":
            raise ValueError(
                f"reward.effort_penalty must be 0 with env.simulator kinematic, got {self.reward.effort_penalty}; that "
                "simulator has no forces: set env.simulator to mujoco"
            )
        _check_chunk_length(self.chunk_length, self.model, self.ppo)

    @property
    def max_episode_steps(self) -> int:
        """The time limit of an episode, executed control steps; chunks of any length count by their steps."""
        return self.env.max_episode_chunks * self.model.action_horizon

    @property
    def max_logp_gap(self) -> float:
        """The largest |ratio - 1| before the first gradient step, by the dtype of the computation."""
        return self.ppo.max_logp_gap if self.model.dtype == "float32" else self.ppo.max_logp_gap_bfloat16


def _check_chunk_length(length: ChunkLengthConfig, model: Pi0FASTActorCriticConfig, ppo: PPOConfig) -> None:
    """Refuses lengths beyond the horizon, and a discount per chunk where chunks differ in length.

    Such a discount would make time run faster in short chunks, and the policy would be paid for looking sure.
    """
    horizon = model.action_horizon
    if length.executed_steps > horizon:
        raise ValueError(
            f"chunk_length.executed_steps must be at most model.action_horizon ({horizon}), got "
            f"{length.executed_steps}; 0 takes all of a chunk"
        )
    if length.length_rule == "fixed":
        return
    most = horizon if length.length_rule == "scheduled" else length.executed_steps or horizon
    if length.end_steps > most:
        raise ValueError(
            f"chunk_length.end_steps must be at most {most} where chunk_length.length_rule is {length.length_rule}, "
            f"got {length.end_steps}; lower it"
        )
    if not (ppo.discount_per_step or ppo.gamma == 1.0):
        raise ValueError(
            f"ppo.discount_per_step must be set where chunk_length.length_rule is {length.length_rule}, got false; "
            f"set it, with ppo.gamma_step {ppo.gamma ** (1 / horizon):.4f} for ppo.gamma {ppo.gamma} a whole chunk"
        )


TINY_MODEL = Pi0FASTActorCriticConfig(
    paligemma_variant="tiny",
    image_size=64,
    patch_size=32,
    max_token_len=60,
    max_action_tokens=32,
    vocab_size=1024,
    value_head_hidden_dim=128,
)

SIMULATED_ROBOT = RobotConfig(max_start_jump=6.3)
"""In a simulator a jump is limited like any other motion instead of refused: an untrained policy asks for them."""

MODELS: dict[str, Pi0FASTActorCriticConfig] = {
    "tiny": TINY_MODEL,
    "gemma_2b": Pi0FASTActorCriticConfig(max_token_len=250, max_action_tokens=150, adapt_to_pi=True),
    "gemma_2b_lora": Pi0FASTActorCriticConfig(
        paligemma_variant="gemma_2b_lora", max_token_len=250, max_action_tokens=150, adapt_to_pi=True
    ),
}

PRESETS: dict[str, TrainConfig] = {
    "debug": TrainConfig(
        model=TINY_MODEL,
        ppo=PPOConfig(
            total_timesteps=5_000,
            num_chunks_per_update=32,
            num_epochs_per_update=2,
            batch_size=8,
            learning_rate=1e-4,
        ),
        env=EnvConfig(simulator="kinematic"),
        robot=SIMULATED_ROBOT,
    ),
    "demo": TrainConfig(
        model=dataclasses.replace(TINY_MODEL, temperature=0.7),
        ppo=PPOConfig(
            total_timesteps=46_000,
            num_chunks_per_update=128,
            num_epochs_per_update=4,
            batch_size=32,
            learning_rate=5e-5,
            learning_rate_warmup_steps=32,
            learning_rate_decay_steps=336,
            gamma=0.5,  # in reach, the way gained now is nearly all that matters; a longer view adds noise
            max_kl=1.0,
        ),
        env=EnvConfig(simulator="mujoco", max_episode_chunks=6),
        robot=SIMULATED_ROBOT,
        pretrain=PretrainConfig(num_demonstrations=1800, min_pace=0.12, bc_steps=1600),
        run=RunConfig(exp_name="demo"),
    ),
    "full": TrainConfig(
        model=MODELS["gemma_2b"],
        ppo=PPOConfig(
            total_timesteps=500_000,
            num_chunks_per_update=128,
            num_epochs_per_update=4,
            batch_size=32,
            learning_rate=3e-4,
        ),
        run=RunConfig(exp_name="full"),
    ),
}


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as nested plain dicts, tuples as lists; `from_dict` inverts it."""
    return {
        field.name: to_dict(value)
        if dataclasses.is_dataclass(value)
        else list(value)
        if isinstance(value, tuple)
        else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }


def from_dict(cls: type[ConfigT], values: Mapping[str, Any], *, base: ConfigT | None = None, path: str = "") -> ConfigT:
    """Builds a configuration from nested mappings.

    Args:
        cls: a configuration dataclass.
        values: its fields; missing ones keep the value of `base`, or the default.
        base: what missing fields are taken from.
        path: prefix of keys in error texts.

    Raises:
        ValueError: for an unknown key (with the nearest known ones), a wrong type or a value out of range.
    """
    hints = typing.get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3) or known
            raise ValueError(f"unknown configuration key '{path}{key}'; did you mean one of {', '.join(near)}?")
    built: dict[str, Any] = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, Mapping):
                raise ValueError(f"{path}{name} must be a section of settings, got {value!r}")
            inner = getattr(base, name) if base is not None else None
            built[name] = from_dict(hints[name], value, base=inner, path=f"{path}{name}.")
        else:
            built[name] = _coerce(hints[name], value)
    return dataclasses.replace(base, **built) if base is not None else cls(**built)  # type: ignore[type-var]


def _coerce(hint: Any, value: Any) -> Any:
    """Lists become tuples and whole numbers floats where the field says so; all else is left to the check."""
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return tuple(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
