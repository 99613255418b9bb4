"""The settings of the algorithm."""

from __future__ import annotations

import dataclasses

from chunk_ppo_ros.config.schema import Checked, setting
from chunk_ppo_ros.core.rounding import MAX_LOGP_GAPS


@dataclasses.dataclass(frozen=True)
class PPOConfig(Checked):
    """Settings of the algorithm. total_timesteps counts executed control steps, not chunks."""

    total_timesteps: int = setting(5_000, "executed control steps to train for", minimum=1)
    num_chunks_per_update: int = setting(32, "N, chunks in a rollout", minimum=1, maximum=65536)
    num_epochs_per_update: int = setting(2, "passes over a rollout", minimum=1, maximum=100)
    batch_size: int = setting(8, "chunks in a minibatch", minimum=1, maximum=65536)
    gradient_accumulation_steps: int = setting(
        1, "minibatches whose gradients make one step, as one large minibatch would", minimum=1, maximum=65536
    )
    learning_rate: float = setting(1e-4, "peak learning rate of the actor", minimum=0.0, maximum=1.0)
    learning_rate_warmup_steps: int = setting(
        0, "gradient steps over which the actor's learning rate rises linearly to its peak", minimum=0
    )
    learning_rate_decay_steps: int = setting(
        0,
        "gradient steps after the warm-up over which the actor's learning rate falls linearly to a tenth; 0 keeps it",
        minimum=0,
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
        "which probability ratio is clipped: that of the chunk, that of each token, or the geometric mean over the "
        "chunk's tokens (which needs a far smaller clip_coef)",
        choices=("chunk", "token", "sequence_mean"),
    )
    clip_coef: float = setting(0.2, "the ratio is clipped to 1 - clip_coef .. 1 + clip_coef", minimum=0.0, maximum=1.0)
    clip_coef_high: float = setting(
        0.0, "the upper end of the clip range is 1 + clip_coef_high; 0 takes clip_coef", minimum=0.0, maximum=10.0
    )
    ent_coef: float = setting(0.0, "weight of the entropy bonus", minimum=0.0, maximum=1.0)
    ref_kl_coef: float = setting(
        0.0,
        "weight of the KL to the reference, which is the policy that the run started from",
        minimum=0.0,
        maximum=100.0,
    )
    bc_coef: float = setting(
        0.0,
        "weight of imitating chunks that a human drove; each counts like a chunk whose advantage is bc_coef",
        minimum=0.0,
    )
    vf_coef: float = setting(0.5, "weight of the value loss", minimum=0.0, maximum=100.0)
    value_huber_delta: float = setting(
        10.0, "error above which Huber's value loss is linear, in units of reward", minimum=1e-6
    )
    max_grad_norm: float = setting(1.0, "global gradient norm above which gradients are scaled down", minimum=1e-6)
    log_ratio_clamp: float = setting(20.0, "bound on |new - old| log-probability before exp", minimum=0.1, maximum=80.0)
    target_kl: float = setting(
        0.0, "stop an update once the KL of a minibatch (kl/k2) is above this, nats a chunk; 0 never stops", minimum=0.0
    )
    max_kl: float = setting(
        1.0,
        "undo an update after which the KL of old and new policy over the rollout (kl/after, nats a chunk) is above "
        "this, and make it again at a lower learning rate; 0 never undoes one",
        minimum=0.0,
    )
    rate_backoff: float = setting(
        0.5, "factor on the actor's learning rate each time an update is undone", minimum=0.01, maximum=0.99
    )
    undo_from: str = setting(
        "memory",
        "what an update that went too far is undone from: a copy of the trained parameters and moments in memory, or "
        "the checkpoint of the version before, which takes longer and saves 12 bytes for each trained parameter",
        choices=("memory", "checkpoint"),
    )
    gae_value: str = setting(
        "observation",
        "which value GAE uses, V(s) or V(s, a); chunk needs model.chunk_value",
        choices=("observation", "chunk"),
    )
    freeze_image_tower: bool = setting(
        False, "do not train the image tower; images are then embedded once for all epochs of an update"
    )
    freeze_text_tower: bool = setting(False, "do not train the decoder, its adapters included")
    normalize_advantages: bool = setting(True, "normalize advantages over the rollout")
    critic_warmup_updates: int = setting(0, "number of first updates that train only the value head", minimum=0)
    max_logp_gap: float = setting(
        0.0,
        "refuse to train where |ratio - 1| of a chunk exceeds this before the first step; 0 takes the limit of "
        f"model.dtype ({', '.join(f'{dtype} {limit:g}' for dtype, limit in MAX_LOGP_GAPS.items())})",
        minimum=0.0,
    )
    recompute_log_probs: bool = setting(
        False,
        "measure ratios from the log-probs that the trainer finds before its first step, not from those recorded while "
        "sampling; for bfloat16, whose rounding is as large as clip_coef",
    )

    def logp_gap_limit(self, dtype: str) -> float:
        """Returns the largest |ratio - 1| of a chunk before the first gradient step, where model.dtype is `dtype`."""
        return self.max_logp_gap or MAX_LOGP_GAPS[dtype]

    @property
    def num_chunks_per_step(self) -> int:
        """The number of chunks in a step of the optimizer."""
        return self.batch_size * self.gradient_accumulation_steps

    @property
    def clip_range(self) -> tuple[float, float]:
        """The smallest and the largest ratio that are not clipped."""
        return 1.0 - self.clip_coef, 1.0 + (self.clip_coef_high or self.clip_coef)
