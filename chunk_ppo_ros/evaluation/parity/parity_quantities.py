"""Lists every known number of a reference set with ours: forward passes, gradients, decoding and bfloat16."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from chunk_ppo_ros.core_jax.named_leaves import name_leaves
from chunk_ppo_ros.evaluation.parity import parity_forward
from chunk_ppo_ros.evaluation.parity.parity_forward import Forward, make_inputs
from chunk_ppo_ros.evaluation.parity.parity_rows import Quantity, Tolerance
from chunk_ppo_ros.evaluation.parity.parity_served import CONTIGUOUS_SHIFT, SERVED_SHIFT, generated_states
from chunk_ppo_ros.evaluation.parity.parity_set import Arrays, ReferenceSet
from chunk_ppo_ros.evaluation.parity.parity_tolerances import (
    CHOICE,
    COARSE,
    COARSE_CHOICE,
    FINE,
    SCALED,
    VECTOR,
    coarse_tolerance,
)
from chunk_ppo_ros.model.backbone.pi0_fast import Params, Pi0FAST
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import END

_OF_EMBEDDINGS = ("prefix_emb_mean", "prefix_emb_std", "prefix_emb_first8", "input_mask", "ar_mask")

SETTINGS = ("grad_leaf_names", "eos_swap_row")
"""The arrays that describe other arrays and are not compared themselves."""


def list_quantities(reference: ReferenceSet) -> Iterator[Quantity]:
    """Yields all known quantities of the reference, each when it is computed."""
    exact = Model(reference, Pi0FAST.from_config(reference.config), jax.tree.map(jnp.asarray, reference.params))
    yield from _forward_quantities(exact)
    yield from _gradient_quantities(exact)
    yield from _decoding_quantities(exact)
    yield from _ending_quantities(exact)
    rounded = dataclasses.replace(exact, backbone=dataclasses.replace(exact.backbone, dtype=jnp.dtype("bfloat16")))
    suffix = "_bf16"
    stored = {name.removesuffix(suffix): array for name, array in reference.outputs.items() if name.endswith(suffix)}
    for quantity in _coarse_quantities(rounded, stored):
        yield dataclasses.replace(quantity, array=quantity.array + suffix)
    halved = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), exact.params)
    for quantity in _coarse_quantities(dataclasses.replace(rounded, params=halved), reference.bfloat16_outputs):
        yield dataclasses.replace(quantity, array=f"bf16_params/{quantity.array}")


@dataclasses.dataclass(frozen=True)
class Model:
    """A reference set, and the network at one precision that must reproduce it."""

    reference: ReferenceSet
    backbone: Pi0FAST
    params: Params

    def packed(self) -> Forward:
        """Returns the forward pass in openpi's arrangement."""
        run = jax.jit(lambda params, inputs: parity_forward.packed_forward(self.backbone, params, inputs))
        return run(self.params, make_inputs(self.reference))

    def slots(self) -> Forward:
        """Returns the forward pass in the policy's arrangement."""
        run = jax.jit(lambda params, inputs: parity_forward.slots_forward(self.backbone, params, inputs))
        return run(self.params, make_inputs(self.reference))

    def served_logits(self, tokens: np.ndarray, *, shift: int = SERVED_SHIFT) -> np.ndarray:
        """Returns the logits from which openpi's sampler draws each of the given tokens [B, T], float32 [B, T, V]."""
        return np.asarray(_served_logits(self.backbone, self.params, make_inputs(self.reference), tokens, shift))

    def first_rows(self, count: int) -> Model:
        """Returns a model for the first `count` rows of the batch."""
        return dataclasses.replace(self, reference=self.reference.rows(count))


@jax.jit(static_argnums=0)
def _served_logits(
    backbone: Pi0FAST, params: Params, inputs: parity_forward.Inputs, tokens: Array, shift: Array | int
) -> Array:
    valid = parity_forward.valid_slots(backbone, inputs.image_mask, inputs.prompt_mask)
    prefix = parity_forward.embed_prefix(backbone, params, inputs)
    states = generated_states(backbone, params, prefix, valid, tokens, shift=shift)
    return parity_forward.logits_of(params, states)


def _forward_quantities(model: Model) -> Iterator[Quantity]:
    outputs, valid = model.reference.outputs, model.reference.text_mask[:, :-1]
    for name, value in _forward_arrays(model.packed()):
        if name in outputs:
            yield Quantity(name, value, outputs[name], FINE[name], remark="openpi's packing, pads too")
    for name, value in _forward_arrays(model.slots()):
        if name in outputs and name not in _OF_EMBEDDINGS:
            per_token = valid if value.ndim > 1 else None
            yield Quantity(name, value, outputs[name], FINE[name], counted=per_token, remark="the policy's slots")


def _forward_arrays(forward: Forward) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the numbers of a forward pass under openpi's names."""
    yield "prefix_emb_mean", np.asarray(forward.embeddings.mean(axis=-1))
    yield "prefix_emb_std", np.asarray(forward.embeddings.std(axis=-1))
    yield "prefix_emb_first8", np.asarray(forward.embeddings[..., :8])
    yield "input_mask", np.asarray(forward.valid)
    yield "ar_mask", np.asarray(forward.causal)
    yield "logits", np.asarray(forward.logits)
    yield "pre_logits_text", np.asarray(forward.hidden)
    yield "token_logp", np.asarray(forward.log_probs)
    yield "seq_logp_sum", np.asarray(forward.score)
    yield "loss", np.asarray(forward.loss)


def _gradient_quantities(model: Model) -> Iterator[Quantity]:
    """Yields the norms of the gradients of the mean loss over the batch, in the policy's arrangement."""
    outputs = model.reference.outputs
    if not {"grad_leaf_norms", "grad_leaf_names", "grad_global_norm"} & outputs.keys():
        return

    @jax.jit
    def gradient_norms(params: Params, inputs: parity_forward.Inputs) -> Params:
        def loss(params: Params) -> Array:
            return jnp.mean(parity_forward.slots_forward(model.backbone, params, inputs).loss)

        return jax.tree.map(jnp.linalg.norm, jax.grad(loss)(params))

    tree = gradient_norms(model.params, make_inputs(model.reference))
    norms = {name: float(norm) for name, norm in name_leaves(tree).items()}
    has_both = {"grad_leaf_names", "grad_leaf_norms"} <= outputs.keys()
    pairs = zip(outputs["grad_leaf_names"], outputs["grad_leaf_norms"], strict=True) if has_both else ()
    for name, norm in pairs:
        ours = norms.get(str(name).removesuffix("/value"), np.nan)
        yield Quantity("grad_leaf_norms", np.array(ours), norm, SCALED, remark=str(name))
    if "grad_global_norm" in outputs:
        total = np.sqrt(np.sum(np.square(list(norms.values()))))
        yield Quantity("grad_global_norm", total, outputs["grad_global_norm"], SCALED)


def _decoding_quantities(model: Model) -> Iterator[Quantity]:
    outputs = model.reference.outputs
    greedy = outputs.get("greedy_tokens")
    if greedy is not None:
        served = model.served_logits(greedy)
        yield _choice("greedy_tokens", served, greedy, CHOICE)
        yield from _decoded(outputs, "openpi", served, greedy)
        yield from _decoded(outputs, "contig", model.served_logits(greedy, shift=CONTIGUOUS_SHIFT), greedy)
        if "teacher_forced_logp_of_greedy" in outputs:
            yield from _teacher_forced_quantities(model, greedy)
    for name, tokens in outputs.items():
        if match := re.fullmatch(r"sampled_tokens_T([\d.]+)_key(\d+)", name):
            temperature, seed = float(match[1]), int(match[2])
            noisy = model.served_logits(tokens) / temperature + _noise(model, tokens.shape, seed=seed)
            yield _choice(name, noisy, tokens, Tolerance(CHOICE.bound / temperature))


def _decoded(outputs: Arrays, rule: str, logits: np.ndarray, tokens: np.ndarray) -> Iterator[Quantity]:
    """Yields logits and log-probs of decoding under one position rule, where the reference has them."""
    log_probs = np.asarray(parity_forward.pick(jax.nn.log_softmax(jnp.asarray(logits)), jnp.asarray(tokens)))
    names = {f"decode_logits_{rule}_pos": (logits, VECTOR), f"decode_token_logp_{rule}_pos": (log_probs, SCALED)}
    for name, (value, tolerance) in names.items():
        if name in outputs:
            yield Quantity(name, value, outputs[name], tolerance)


def _teacher_forced_quantities(model: Model, tokens: np.ndarray) -> Iterator[Quantity]:
    """Yields the scores of given tokens under the policy's rule, in one pass and token by token with the cache."""
    name, inputs = "teacher_forced_logp_of_greedy", make_inputs(model.reference)
    ways = {"in one pass": parity_forward.answer_log_probs, "with the cache": parity_forward.cached_log_probs}
    for remark, score in ways.items():
        ours = jax.jit(score, static_argnums=0)(model.backbone, model.params, inputs, jnp.asarray(tokens))
        yield Quantity(name, np.asarray(ours), model.reference.outputs[name], SCALED, remark=f"the policy's, {remark}")


def _noise(model: Model, shape: tuple[int, ...], *, seed: int) -> np.ndarray:
    """Returns the noise that openpi's sampler (`jax.random.categorical`) adds to the logits, float32 [B, T, V]."""
    key, noise = jax.random.key(seed), []
    for _ in range(shape[1]):
        key, step = jax.random.split(key)
        noise.append(jax.random.gumbel(step, (shape[0], model.reference.config.vocab_size)))
    return np.stack(noise, axis=1)


def _ending_quantities(model: Model) -> Iterator[Quantity]:
    """Yields decoding with two exchanged rows of the embedding, so that the end token is drawn."""
    outputs = model.reference.outputs
    if "eos_swap_row" not in outputs:
        return
    other = int(outputs["eos_swap_row"])
    order = np.arange(model.reference.config.vocab_size)
    order[[END, other]] = other, END

    def exchange(path: tuple[object, ...], leaf: Array) -> Array:
        return leaf[order] if jax.tree_util.keystr(path).endswith("['input_embedding']") else leaf

    swapped = dataclasses.replace(model, params=jax.tree.map_with_path(exchange, model.params))
    for name, tokens in outputs.items():
        if name.startswith("eos_greedy_tokens"):
            rows = swapped.first_rows(len(tokens))
            yield _choice(name, rows.served_logits(tokens), tokens, CHOICE)


def _choice(name: str, scores: np.ndarray, tokens: np.ndarray, tolerance: Tolerance) -> Quantity:
    """Returns how far the scores of the reference's tokens [B, T] are below our best scores [B, T, V].

    Tokens after the end must be 0. Each score is computed after the reference's own earlier tokens. So where no token
    is below, our sequence is the same.
    """
    chosen = np.take_along_axis(scores, tokens.astype(int)[..., None], axis=-1)[..., 0]
    below = scores.max(axis=-1) - chosen
    ended = np.cumsum(np.all(tokens == END, axis=0)) - np.all(tokens == END, axis=0) > 0
    below = np.where(ended, np.where(tokens == 0, 0.0, np.inf), below)
    remark = f"{np.count_nonzero(below)} of {tokens.size} tokens differ; below our best"
    return Quantity(name, below, np.zeros_like(below), tolerance, remark=remark)


def _coarse_quantities(model: Model, outputs: Arrays) -> Iterator[Quantity]:
    """Yields the forward pass and the greedy tokens at bfloat16.

    A name such as `logits_first64` stands for the first 64 columns of the logits.
    """
    known = [name for name in outputs if re.sub(r"_first\d+$", "", name) in COARSE or name in COARSE]
    if known:
        ours, valid = dict(_forward_arrays(model.slots())), model.reference.text_mask[:, :-1]
        embeddings = dict(_forward_arrays(model.packed())) if set(known) & set(_OF_EMBEDDINGS) else {}
    for name in known:
        whole = name if name in COARSE else re.sub(r"_first\d+$", "", name)
        value = embeddings[name] if name in _OF_EMBEDDINGS else ours[whole][..., : outputs[name].shape[-1]]
        counted = valid if name not in _OF_EMBEDDINGS and value.ndim > 1 else None
        tolerance = coarse_tolerance(whole, outputs[name], model.reference.outputs.get(whole), counted)
        yield Quantity(name, value, outputs[name], tolerance, counted=counted)
    if "greedy_tokens" in outputs:
        tokens = outputs["greedy_tokens"]
        yield _choice("greedy_tokens", model.served_logits(tokens), tokens, COARSE_CHOICE)
