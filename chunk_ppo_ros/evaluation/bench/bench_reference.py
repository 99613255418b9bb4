"""Measures sampling and gradient steps at the sizes for which docs/performance.md has openpi's own times."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig, PPOConfig
from chunk_ppo_ros.config.entries.model_size import GemmaSize, ModelSize, SigLIPSize
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.evaluation.bench.bench_policy import ACTION_DIM, BenchPolicy, with_tokens
from chunk_ppo_ros.evaluation.bench.measurement import Case, Figure, measure, milliseconds
from chunk_ppo_ros.model.tokenization.token_ids import FORCED_TAIL
from chunk_ppo_ros.rl.rollout import RolloutBatch

PART = "reference"


@dataclasses.dataclass(frozen=True)
class ReferenceSizes:
    """A model with the batch sizes that it is measured with.

    Attributes:
        name: name of the model in the figures.
        model: sizes of the model; action_horizon * action_dim is the number of tokens in a chunk.
        sample_batches: numbers of observations that are acted on at once.
        step_batch: number of chunks of a gradient step.
    """

    name: str
    model: Pi0FASTActorCriticConfig
    sample_batches: tuple[int, ...]
    step_batch: int

    @property
    def num_tokens(self) -> int:
        """The number of FAST tokens in every chunk."""
        return self.model.action_horizon * self.model.action_dim


def _towers(size: ModelSize, *, vocab_size: int, patch_size: int = 14) -> Pi0FASTActorCriticConfig:
    return Pi0FASTActorCriticConfig(
        paligemma_variant="tiny", tower_sizes=size.settings, vocab_size=vocab_size, patch_size=patch_size
    )


def _sizes(
    name: str, towers: Pi0FASTActorCriticConfig, *, max_token_len: int, sample_batches: tuple[int, ...], step_batch: int
) -> ReferenceSizes:
    """Returns sizes in which half of the text slots are for action tokens and the rest for prompt and forced tokens."""
    num_tokens = max_token_len // 2 // ACTION_DIM * ACTION_DIM
    config = with_tokens(towers, num_tokens, prompt_len=max_token_len - num_tokens - FORCED_TAIL)
    return ReferenceSizes(name, config, sample_batches, step_batch)


SIZES: dict[str, ReferenceSizes] = {
    "0.5m": _sizes(
        "0.5m",
        max_token_len=64,
        sample_batches=(1, 8),
        step_batch=4,
        towers=_towers(
            ModelSize(
                siglip=SigLIPSize(width=32, depth=1, mlp_dim=128, num_heads=2),
                gemma=GemmaSize(width=64, depth=4, mlp_dim=128, num_heads=8, head_dim=16),
            ),
            vocab_size=4096,
        ),
    ),
    "7.8m": _sizes(
        "7.8m",
        max_token_len=96,
        sample_batches=(1, 8),
        step_batch=2,
        towers=_towers(
            ModelSize(
                siglip=SigLIPSize(width=192, depth=4, mlp_dim=768, num_heads=3),
                gemma=GemmaSize(width=256, depth=4, mlp_dim=1024, num_heads=8, head_dim=32),
            ),
            vocab_size=8192,
        ),
    ),
}
"""The two models with which openpi was timed."""


def read_sizes(folder: Path) -> ReferenceSizes:
    """Returns the sizes in the config.json of a folder of reference data.

    Raises:
        UserError: when the file is missing or does not name the sizes.
    """
    file = folder / "config.json"
    try:
        stored = json.loads(file.read_text())
        image, text = stored["siglip"], stored["gemma"]
        return _sizes(
            str(stored["name"]),
            max_token_len=stored["max_token_len"],
            sample_batches=(1, 8),
            step_batch=4,
            towers=_towers(
                ModelSize.from_numbers(siglip=image, gemma=text),
                vocab_size=text["vocab_size"],
                patch_size=image["patch_size"][0],
            ),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} must name the sizes of both towers, got {error!r}; give a folder of reference data, or one of "
            f"{', '.join(SIZES)}"
        ) from error


def find_sizes(name: str) -> ReferenceSizes:
    """Returns the sizes of a known name, or of a folder of reference data."""
    return SIZES[name] if name in SIZES else read_sizes(Path(name))


class ReferenceBench:
    """Measures a model of one size.

    Args:
        sizes: model and batch sizes to measure.
        runs: number of timed runs of each case.
    """

    def __init__(self, sizes: ReferenceSizes, *, runs: int) -> None:
        self._sizes = sizes
        self._runs = runs
        self._bench = BenchPolicy(sizes.model)

    def measure(self) -> list[Figure]:
        """Measures sampling, a gradient step of PPO, and a matrix product with as many operations as that step."""
        sampling = [self._sampling(batch) for batch in self._sizes.sample_batches]
        figures = measure(PART, [*sampling, self._stepping(), self._product()], runs=self._runs)
        step, product = figures[-2:]
        ratios = tuple(ours / bound for ours, bound in zip(step.values, product.values, strict=True))
        return [*figures, Figure(PART, f"{self._sizes.name}: gradient step over that product", "times", ratios)]

    def _sampling(self, batch: int) -> Case[ModelObservation]:
        name = f"{self._sizes.name}: sample {self._sizes.num_tokens} tokens, batch {batch}"
        return Case(name, "ms", lambda: self._bench.observations(batch), self._bench.sample, milliseconds)

    def _stepping(self) -> Case[RolloutBatch]:
        """Returns the case of a gradient step on one minibatch."""
        batch = self._sizes.step_batch
        step = self._bench.stepper(PPOConfig(num_chunks_per_update=batch, batch_size=batch))
        name = f"{self._sizes.name}: gradient step, batch {batch}"
        return Case(name, "ms", lambda: self._bench.rollout(batch), step, milliseconds)

    def _product(self) -> Case[jax.Array]:
        """Returns the case of a product of two square matrices with as many operations as the gradient step."""
        side = round((self._bench.step_flops(self._sizes.step_batch) / 2) ** (1 / 3))
        product, random = jax.jit(jnp.matmul), np.random.default_rng(0)

        def factors() -> jax.Array:
            return jax.device_put(random.standard_normal((2, side, side), np.float32))

        def work(pair: jax.Array) -> None:
            jax.block_until_ready(product(pair[0], pair[1]))

        name = f"{self._sizes.name}: product of two {side} x {side}, as many operations"
        return Case(name, "ms", factors, work, milliseconds)
