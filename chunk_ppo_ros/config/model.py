"""The settings of the policy network: its sizes and variants."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.entries.cameras import ROBOT_CAMERAS
from chunk_ppo_ros.config.entries.gripper_numbers import GRIPPER_CONVENTION_NAMES, parse_gripper_numbers
from chunk_ppo_ros.config.entries.model_size import parse_settings
from chunk_ppo_ros.config.schema import Checked, setting


@dataclasses.dataclass(frozen=True)
class Pi0FASTActorCriticConfig(Checked):
    """Sizes and variants of the policy."""

    action_dim: int = setting(14, "D, dimensions of one action", minimum=1, maximum=64)
    action_horizon: int = setting(16, "H, control steps in a chunk", minimum=1, maximum=100)
    max_token_len: int = setting(180, "text slots of prompt and action tokens together", minimum=8, maximum=4096)
    paligemma_variant: str = setting("gemma_2b", "sizes of both towers", choices=("gemma_2b", "gemma_2b_lora", "tiny"))
    value_head_hidden_dim: int = setting(512, "width of the value head's hidden layer", minimum=1, maximum=65536)
    max_value_steps: int = setting(
        32, "largest horizon that the observation-chunk value accepts", minimum=1, maximum=100
    )
    max_action_tokens: int = setting(
        100, "T, how many of the max_token_len slots are for action tokens", minimum=4, maximum=2048
    )
    image_size: int = setting(224, "height and width of the square model images, pixels", minimum=8, maximum=1024)
    patch_size: int = setting(14, "height and width of an image patch, pixels", minimum=1, maximum=64)
    cameras: tuple[str, ...] = setting(
        tuple(ROBOT_CAMERAS), "camera keys of the model, in order; a simulator needs all of them"
    )
    vocab_size: int = setting(257152, "V, rows of the token embedding", minimum=64, maximum=1048576)
    dtype: str = setting("float32", "dtype of the computation", choices=("float32", "bfloat16"))
    action_limit: float = setting(
        1.5,
        "largest |normalized action| that a chunk is encoded with; decoding bounds its DCT coefficients accordingly",
        minimum=0.1,
        maximum=10.0,
    )
    temperature: float = setting(1.0, "sampling temperature", minimum=1e-3, maximum=10.0)
    constrain_decoding: bool = setting(
        True,
        "sample only tokens that lead to a decodable chunk; if false, any token, and the robot holds its pose on an "
        "invalid chunk",
    )
    detach_value: bool = setting(True, "keep the value loss out of the backbone")
    value_bins: int = setting(
        1, "bins of the value head; 1 is a scalar with Huber's loss, more are a histogram (HL-Gauss)", minimum=1
    )
    value_min: float = setting(-10.0, "lower end of the value histogram, in units of reward")
    value_max: float = setting(10.0, "upper end of the value histogram, in units of reward")
    chunk_value: str = setting(
        "none",
        "how V(s, a) combines observation and chunk; none has no V(s, a)",
        choices=("none", "pooled", "attention"),
    )
    tower_sizes: tuple[str, ...] = setting(
        (), "sizes of the towers that differ from the variant's, such as gemma.depth=4 siglip.width=96"
    )
    lora_rank: int = setting(0, "rank of the decoder's low-rank adapters", minimum=0, maximum=1024)
    lora_alpha: float = setting(
        16.0, "adapters of the attention are scaled by lora_alpha / lora_rank", minimum=1e-3, maximum=1024.0
    )
    delta_actions: bool = setting(True, "the policy's joint targets are relative to the state at the start of a chunk")
    adapt_to_pi: bool = setting(
        False, "the policy uses pi's joint signs and gripper angles, as openpi's published ALOHA policies do"
    )
    adapt_gripper: str = setting(
        "openpi", "gripper numbers that adapt_to_pi converts with", choices=GRIPPER_CONVENTION_NAMES
    )
    adapt_gripper_numbers: tuple[str, ...] = setting(
        (), "own gripper numbers that replace those of adapt_gripper, as in robot.gripper_numbers"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_settings(self.tower_sizes)
        parse_gripper_numbers("model.adapt_gripper_numbers", self.adapt_gripper_numbers)
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
                f"model.image_size must be a multiple of model.patch_size ({self.patch_size}), got {self.image_size}; "
                "change one of them"
            )

    @property
    def max_prompt_len(self) -> int:
        """The number of prompt slots, L."""
        return self.max_token_len - self.max_action_tokens
