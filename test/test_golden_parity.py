"""The towers against openpi's own numbers: ../shared/golden/set_a, computed by openpi on a CPU in float32.

Logits (up to 13.5) are compared within 2e-4: the reference itself is 1.4e-4 from our forward pass in float64, which is
its own rounding. 4 of 176 000 differ by more than 1e-4.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model import checkpoint
from chunk_ppo_ros.model.layout import Layout, make_layout
from chunk_ppo_ros.model.pi0_fast import Pi0FAST, embedding_table
from chunk_ppo_ros.model.tree_store import name_leaves

CONFIG = Pi0FASTActorCriticConfig(paligemma_variant="golden", vocab_size=4096, max_token_len=64, max_action_tokens=24)
PROMPT_SLOTS, CAUSAL_SLOTS, IMAGE_SLOTS = 40, 24, 768


@dataclasses.dataclass(frozen=True)
class Golden:
    """The reference's inputs and outputs, and its parameters as our loader reads them."""

    inputs: Any
    outputs: Any
    params: Any

    @property
    def images(self) -> np.ndarray:
        return np.stack([self.inputs[f"image_{camera}"] for camera in CONFIG.cameras], axis=1)

    @property
    def prompt_length(self) -> np.ndarray:
        return self.inputs["infer_tokenized_prompt_mask"].sum(axis=1)

    @property
    def layout(self) -> Layout:
        image_mask = np.stack([self.inputs[f"image_mask_{camera}"] for camera in CONFIG.cameras], axis=1)
        prompt_mask = self.inputs["infer_tokenized_prompt_mask"][:, :PROMPT_SLOTS]
        return make_layout(jnp.array(image_mask), jnp.array(prompt_mask), patches=256, causal_slots=CAUSAL_SLOTS)


@pytest.fixture(scope="module")
def golden(shared_folder: Path) -> Golden:
    folder = shared_folder / "golden" / "set_a"
    expected = jax.eval_shape(lambda: Pi0FAST.from_config(CONFIG).init(key=jax.random.key(0)))
    return Golden(
        inputs=np.load(folder / "inputs.npz"),
        outputs=np.load(folder / "outputs.npz"),
        params=jax.tree.map(jnp.asarray, checkpoint.load_actor(folder / "checkpoint", expected)),
    )


def forward(golden: Golden, causal_tokens: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Image tokens and logits of all slots: [images | prompt padded to 40 | causal tokens]."""
    backbone = Pi0FAST.from_config(dataclasses.replace(CONFIG, dtype=dtype))
    text = np.concatenate([golden.inputs["infer_tokenized_prompt"][:, :PROMPT_SLOTS], causal_tokens], axis=1)

    @jax.jit
    def run(params: Any, images: jax.Array, text: jax.Array) -> tuple[jax.Array, jax.Array]:
        embedded = backbone.embed_images(params, images)
        sequence = jnp.concatenate([embedded, backbone.embed_tokens(params, text)], axis=1)
        hidden, _ = backbone.run(params, sequence, golden.layout)
        return embedded.astype(jnp.float32), hidden.astype(jnp.float32) @ embedding_table(params).T

    embedded, logits = run(golden.params, golden.images, text)
    return np.asarray(embedded), np.asarray(logits)


def answers(golden: Golden) -> tuple[np.ndarray, np.ndarray]:
    """The reference's generated part of each row, [2, CAUSAL_SLOTS], and its length."""
    tokens = [
        golden.inputs["tokenized_prompt"][row, n : n + CAUSAL_SLOTS] for row, n in enumerate(golden.prompt_length)
    ]
    return np.stack(tokens), golden.inputs["token_loss_mask"].sum(axis=1)


def packed(golden: Golden, logits: np.ndarray, row: int, length: int) -> np.ndarray:
    """Logits of one row's valid text without the gap of pads, up to the slot that predicts the last token."""
    prompt = logits[row, IMAGE_SLOTS : IMAGE_SLOTS + golden.prompt_length[row]]
    causal = logits[row, IMAGE_SLOTS + PROMPT_SLOTS :][: length - 1]
    return np.concatenate([prompt, causal])


def log_probs(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return np.asarray(jax.nn.log_softmax(logits))[np.arange(len(tokens)), tokens]


def test_embeddings_logits_and_log_probs_match(golden: Golden) -> None:
    tokens, lengths = answers(golden)
    embedded, logits = forward(golden, tokens, "float32")
    np.testing.assert_allclose(embedded[..., :8], golden.outputs["prefix_emb_first8"][:, :IMAGE_SLOTS], atol=1e-4)
    np.testing.assert_allclose(embedded.mean(-1), golden.outputs["prefix_emb_mean"][:, :IMAGE_SLOTS], atol=1e-5)
    for row, length in enumerate(lengths):
        ours = packed(golden, logits, row, length)
        np.testing.assert_allclose(ours, golden.outputs["logits"][row, : len(ours)], rtol=0, atol=2e-4)
        targets = golden.inputs["tokenized_prompt"][row, 1 : len(ours) + 1]
        scores = log_probs(ours, targets)
        np.testing.assert_allclose(scores, golden.outputs["token_logp"][row, : len(ours)], rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(scores[-length:].sum(), golden.outputs["seq_logp_sum"][row], atol=1e-3)


def test_bfloat16_matches_within_its_rounding(golden: Golden) -> None:
    tokens, lengths = answers(golden)
    _, logits = forward(golden, tokens, "bfloat16")
    for row, length in enumerate(lengths):
        ours = packed(golden, logits, row, length)
        scores = log_probs(ours, golden.inputs["tokenized_prompt"][row, 1 : len(ours) + 1])
        np.testing.assert_allclose(scores, golden.outputs["token_logp_bf16"][row, : len(ours)], atol=0.5)


def test_decoding_with_the_cache_matches_at_contiguous_positions(golden: Golden) -> None:
    """openpi's greedy tokens, fed one by one after a prefill of images and prompt."""
    backbone = Pi0FAST.from_config(CONFIG)
    greedy, layout, params = golden.outputs["greedy_tokens"], golden.layout, golden.params
    prompt = golden.inputs["infer_tokenized_prompt"][:, :PROMPT_SLOTS]

    @jax.jit
    def prefill(images: jax.Array) -> Any:
        sequence = [backbone.embed_images(params, images), backbone.embed_tokens(params, prompt)]
        hidden, cache = backbone.run(params, jnp.concatenate(sequence, axis=1), layout)
        last = IMAGE_SLOTS + golden.prompt_length - 1
        return hidden[jnp.arange(2), last], cache.padded(CAUSAL_SLOTS)

    step = jax.jit(lambda tokens, cache, slot: backbone.step(params, tokens, layout, cache, slot=slot))
    hidden, cache = prefill(golden.images)
    for index in range(greedy.shape[1]):
        logits = np.asarray(hidden @ embedding_table(params).T)
        reference = golden.outputs["decode_logits_contig_pos"][:, index]
        np.testing.assert_allclose(logits, reference, rtol=0, atol=2e-4)
        hidden, cache = step(greedy[:, index], cache, jnp.int32(IMAGE_SLOTS + PROMPT_SLOTS + index))


def test_gradients_match(golden: Golden) -> None:
    """openpi's loss is the mean over rows of the mean -log p over the generated part, image and text towers alike."""
    backbone, layout = Pi0FAST.from_config(CONFIG), golden.layout
    tokens, lengths = answers(golden)
    text = np.concatenate([golden.inputs["infer_tokenized_prompt"][:, :PROMPT_SLOTS], tokens], axis=1)
    first = IMAGE_SLOTS + golden.prompt_length - 1
    slots = np.concatenate(
        [first[:, None], IMAGE_SLOTS + PROMPT_SLOTS + np.arange(CAUSAL_SLOTS - 1)[None].repeat(2, 0)], 1
    )

    def loss(params: Any) -> jax.Array:
        sequence = [backbone.embed_images(params, golden.images), backbone.embed_tokens(params, text)]
        hidden, _ = backbone.run(params, jnp.concatenate(sequence, axis=1), layout)
        logits = jnp.take_along_axis(hidden, slots[..., None], axis=1) @ embedding_table(params).T
        scores = jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[..., None], axis=-1)[..., 0]
        weights = (np.arange(CAUSAL_SLOTS) < lengths[:, None]) / lengths[:, None]
        return -jnp.mean(jnp.sum(scores * weights, axis=1))

    value, gradients = jax.jit(jax.value_and_grad(loss))(golden.params)
    np.testing.assert_allclose(value, golden.outputs["loss"].mean(), rtol=1e-5)
    ours = {name: float(jnp.linalg.norm(leaf)) for name, leaf in name_leaves(gradients).items()}
    norms = dict(
        zip(golden.outputs["grad_leaf_names"].tolist(), golden.outputs["grad_leaf_norms"].tolist(), strict=True)
    )
    assert ours == pytest.approx(norms, rel=1e-3, abs=1e-4)
