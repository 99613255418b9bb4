"""Makes reference data in the layout of golden/set_a, with this package's small model in openpi's place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.config.entries.model_size import size_settings
from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.evaluation.parity.parity_quantities import Model, list_quantities
from chunk_ppo_ros.evaluation.parity.parity_set import ReferenceSet, read_reference_set
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.model.checkpoints import orbax_trees

SIZES = {
    "siglip": {"width": 8, "depth": 1, "mlp_dim": 16, "num_heads": 2},
    "gemma": {
        "width": 16,
        "depth": 2,
        "mlp_dim": 24,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 4,
        "vocab_size": 64,
    },
}
IMAGE_SIZES = {"base_0_rgb": (28, 28), "wrist_0_rgb": (20, 30), "wrist_1_rgb": (50, 24)}  # the model's is 28
LENGTHS = ((5, 4), (3, 6))  # prompt and answer of each row
TEXT_SLOTS, STEPS = 12, 4


def write_set(folder: Path, *, image_mask: np.ndarray, suffix: str = "", only_greedy: bool = False) -> Path:
    """Writes a whole set and returns its folder.

    Args:
        folder: made here.
        image_mask: bool [2, 3].
        suffix: what leaves of the checkpoint end in, "/value" as openpi's trainer has it.
        only_greedy: leave out all outputs but the greedy tokens.
    """
    folder.mkdir()
    random = np.random.default_rng(3)
    (folder / "config.json").write_text(json.dumps({**SIZES, "checkpoint": f"{folder.name}/checkpoint/params"}))
    np.savez(folder / "inputs.npz", **make_inputs(random, image_mask))
    leaves = name_leaves(make_params())
    orbax_trees.save_tree(
        folder / "checkpoint" / "params", {f"params/{name}{suffix}": leaf for name, leaf in leaves.items()}
    )
    np.savez(folder / "outputs.npz", nothing=0)
    np.savez(folder / "outputs.npz", **make_outputs(read_reference_set(folder), only_greedy=only_greedy))
    return folder


def make_params() -> dict:
    """Returns random parameters, in which those of norms are random too."""
    decoder = dict(SIZES["gemma"])
    vocab_size = decoder.pop("vocab_size")
    sizes = size_settings(siglip=SIZES["siglip"], gemma=decoder)
    config = Pi0FASTActorCriticConfig(image_size=28, patch_size=14, vocab_size=vocab_size, tower_sizes=sizes)
    params = Pi0FAST.from_config(config).init(key=jax.random.key(4))
    random = np.random.default_rng(5)
    return jax.tree.map(lambda leaf: leaf + 0.1 * random.standard_normal(leaf.shape, np.float32), params)


def make_inputs(random: np.random.Generator, image_mask: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the arrays of inputs.npz: images of several sizes, prompts and answers of several lengths."""
    tokens = np.zeros((len(LENGTHS), TEXT_SLOTS), np.int32)
    valid, answer = np.zeros(tokens.shape, bool), np.zeros(tokens.shape, np.int32)
    for row, (prompt_length, answer_length) in enumerate(LENGTHS):
        end = prompt_length + answer_length
        tokens[row, :end] = random.integers(3, 64, end)
        valid[row, :end], answer[row, prompt_length:end] = True, 1
    prompt = valid & (answer == 0)
    images = {
        f"image_{camera}": random.integers(0, 256, (len(LENGTHS), *size, 3), dtype=np.uint8)
        for camera, size in IMAGE_SIZES.items()
    }
    masks = {f"image_mask_{camera}": image_mask[:, index] for index, camera in enumerate(IMAGE_SIZES)}
    return {
        **images,
        **masks,
        "tokenized_prompt": tokens,
        "tokenized_prompt_mask": valid,
        "token_ar_mask": answer,
        "token_loss_mask": answer > 0,
        "infer_tokenized_prompt": np.where(prompt, tokens, 0),
        "infer_tokenized_prompt_mask": prompt,
    }


def make_outputs(reference: ReferenceSet, *, only_greedy: bool) -> dict[str, np.ndarray]:
    """Returns the arrays of outputs.npz, which our model computes in the first way where there are several.

    Tokens are drawn one by one. Arrays of numbers are chosen by their names, with placeholders.
    """
    model = Model(reference, Pi0FAST.from_config(reference.config), jax.tree.map(jnp.asarray, reference.params))
    if only_greedy:
        return {"greedy_tokens": draw(model)}
    names = list(name_leaves(reference.params))
    tokens = {"greedy_tokens": draw(model), "sampled_tokens_T2_key7": draw(model, temperature=2.0, seed=7)}
    placeholders = {name: np.zeros(0) for name in ASKED}
    placeholders |= {"grad_leaf_names": np.array(names), "grad_leaf_norms": np.zeros(len(names))}
    computed = list(list_quantities(dataclasses.replace(reference, outputs={**tokens, **placeholders})))
    norms = [float(quantity.ours) for quantity in computed if quantity.array == "grad_leaf_norms"]
    outputs = {name: next(q.ours for q in computed if q.array == name) for name in ASKED}
    return {**tokens, **outputs, "grad_leaf_names": np.array(names), "grad_leaf_norms": np.array(norms)}


ASKED = (
    "prefix_emb_mean",
    "prefix_emb_std",
    "prefix_emb_first8",
    "input_mask",
    "ar_mask",
    "logits",
    "pre_logits_text",
    "token_logp",
    "seq_logp_sum",
    "loss",
    "grad_global_norm",
    "decode_logits_openpi_pos",
    "decode_logits_contig_pos",
    "teacher_forced_logp_of_greedy",
)


def draw(model: Model, *, temperature: float = 0.0, seed: int = 0) -> np.ndarray:
    """Returns tokens int32 [2, STEPS] as openpi's sampler draws them, at its positions and with a key for each step."""
    tokens, key = np.zeros((len(LENGTHS), STEPS), np.int32), jax.random.key(seed)
    for step in range(STEPS):
        logits = model.served_logits(tokens)[:, step]
        key, step_key = jax.random.split(key)
        chosen = jax.random.categorical(step_key, logits / temperature) if temperature else logits.argmax(axis=-1)
        tokens[:, step] = chosen
    return tokens
