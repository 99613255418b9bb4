"""Runs our model on reference data with two arrangements of a row's tokens.

The policy's arrangement pads the prompt and has separate slots for the answer. openpi's arrangement ("packed") has
prompt and answer one after the other and then the pads. It gives numbers for pads too.
Shape letters: B batch, L text slots, T generated tokens, S all slots, W width, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from chunk_ppo_ros.evaluation.parity.parity_set import ReferenceSet
from chunk_ppo_ros.model.backbone import gemma
from chunk_ppo_ros.model.backbone.layout import Layout, make_layout
from chunk_ppo_ros.model.backbone.pi0_fast import Params, Pi0FAST, embedding_table

Carry: TypeAlias = tuple[Array, tuple[gemma.KVCache, ...]]
"""The hidden states of the last tokens [B, W], and the cache of each block, between two steps of decoding."""


@flax.struct.dataclass
class Inputs:
    """The inputs of a forward pass. `ReferenceSet` has the same fields and explains them."""

    images: Array
    image_mask: Array
    tokens: Array
    text_mask: Array
    causal: Array
    scored: Array
    prompt: Array
    prompt_mask: Array

    @property
    def prompt_lengths(self) -> Array:
        """The number of valid tokens of each prompt, int32 [B]."""
        return jnp.sum(self.prompt_mask, axis=1)


@flax.struct.dataclass
class Forward:
    """The numbers of one forward pass over prompt and answer.

    Attributes:
        embeddings: float32 [B, S, W], embeddings of images and text.
        valid: bool [B, S], true for present cameras and text tokens, in openpi's arrangement.
        causal: bool [B, S], true for the answer's tokens, in openpi's arrangement.
        hidden: float32 [B, L - 1, W], hidden states; position i predicts token i + 1.
        logits: float32 [B, L - 1, V], logits of the token that follows each position.
        log_probs: float32 [B, L - 1], nats, log-probs of the tokens that follow.
        score: float32 [B], nats, sum of the log-probs of the scored tokens.
        loss: float32 [B], nats, negative mean of the log-probs of the scored tokens.
    """

    embeddings: Array
    valid: Array
    causal: Array
    hidden: Array
    logits: Array
    log_probs: Array
    score: Array
    loss: Array


def make_inputs(reference: ReferenceSet) -> Inputs:
    """Returns the inputs of a forward pass on the reference's data."""
    fields = [field.name for field in dataclasses.fields(Inputs)]
    return Inputs(**{name: jnp.asarray(getattr(reference, name)) for name in fields})


def packed_forward(backbone: Pi0FAST, params: Params, inputs: Inputs) -> Forward:
    """Returns the numbers of a forward pass in openpi's arrangement.

    Positions are 0, 1, .. over all slots. Pads and masked cameras see nothing.
    """
    images = backbone.embed_images(params, inputs.images)
    embeddings = jnp.concatenate([images, backbone.embed_tokens(params, inputs.tokens)], axis=1)
    valid = valid_slots(backbone, inputs.image_mask, inputs.text_mask)
    steps = jnp.cumsum(_causal_slots(backbone, inputs), axis=1)
    mask = (steps[:, None, :] <= steps[:, :, None]) & valid[:, None, :] & valid[:, :, None]
    hidden, _ = gemma.run_gemma(
        backbone.variant.gemma,
        params["PaliGemma"]["llm"],
        embeddings[:, :-1],
        positions=jnp.broadcast_to(jnp.arange(valid.shape[1] - 1), (len(valid), valid.shape[1] - 1)),
        mask=mask[:, :-1, :-1],
    )
    return _scores(backbone, params, inputs, embeddings, hidden[:, images.shape[1] :])


def slots_forward(backbone: Pi0FAST, params: Params, inputs: Inputs) -> Forward:
    """Returns the numbers of a forward pass in the policy's arrangement, moved to openpi's places.

    The numbers at pads have no meaning.
    """
    length = inputs.prompt_lengths[:, None]
    slots = inputs.tokens.shape[1]
    answers = jnp.take_along_axis(inputs.tokens, jnp.minimum(length + jnp.arange(slots), slots - 1), axis=1)
    embeddings, text = _run_slots(backbone, params, inputs, answers)
    place = jnp.arange(slots - 1)
    slot = jnp.where(place < length, place, place - length + inputs.prompt.shape[1])
    return _scores(backbone, params, inputs, embeddings, jnp.take_along_axis(text, slot[..., None], axis=1))


def answer_log_probs(backbone: Pi0FAST, params: Params, inputs: Inputs, answers: Array) -> Array:
    """Returns the log-probs of answers int32 [B, T] in the policy's arrangement, float32 [B, T], nats."""
    _, text = _run_slots(backbone, params, inputs, answers)
    slots = inputs.prompt.shape[1] - 1 + jnp.arange(answers.shape[1])
    slots = jnp.where(jnp.arange(answers.shape[1]) == 0, inputs.prompt_lengths[:, None] - 1, slots)
    hidden = jnp.take_along_axis(text, slots[..., None], axis=1)
    return pick(jax.nn.log_softmax(logits_of(params, hidden)), answers)


def cached_log_probs(backbone: Pi0FAST, params: Params, inputs: Inputs, answers: Array) -> Array:
    """Returns the same log-probs as `answer_log_probs`, computed token by token with the cache, as the policy samples.

    They are float32 [B, T], nats.
    """
    layout = _layout(backbone, inputs, answers)
    hidden, cache = backbone.run(params, embed_prefix(backbone, params, inputs), layout)
    blocks, slots = backbone.arrange(params), hidden.shape[1]
    last = slots - inputs.prompt.shape[1] + inputs.prompt_lengths - 1

    def step(carry: Carry, item: tuple[Array, Array]) -> tuple[Carry, Array]:
        (state, cache), (number, tokens) = carry, item
        score = pick(jax.nn.log_softmax(logits_of(params, state)), tokens)
        return backbone.step(params, blocks, tokens, layout, cache, slot=slots + number), score

    start = (hidden[jnp.arange(len(hidden)), last], cache.padded(answers.shape[1]).by_block())
    _, scores = jax.lax.scan(step, start, (jnp.arange(answers.shape[1]), answers.T))
    return scores.T


def embed_prefix(backbone: Pi0FAST, params: Params, inputs: Inputs) -> Array:
    """Returns the embeddings of images and prompt."""
    images, prompt = backbone.embed_images(params, inputs.images), backbone.embed_tokens(params, inputs.prompt)
    return jnp.concatenate([images, prompt], axis=1)


def _run_slots(backbone: Pi0FAST, params: Params, inputs: Inputs, answers: Array) -> tuple[Array, Array]:
    """Returns embeddings of images and text, and hidden states of the text, in the policy's arrangement."""
    prefix, causal = embed_prefix(backbone, params, inputs), backbone.embed_tokens(params, answers)
    embeddings = jnp.concatenate([prefix, causal], axis=1)
    hidden, _ = backbone.run(params, embeddings, _layout(backbone, inputs, answers))
    return embeddings, hidden[:, -(inputs.prompt.shape[1] + answers.shape[1]) :]


def _layout(backbone: Pi0FAST, inputs: Inputs, answers: Array) -> Layout:
    slots = answers.shape[1]
    return make_layout(inputs.image_mask, inputs.prompt_mask, patches=backbone.patches, causal_slots=slots)


def valid_slots(backbone: Pi0FAST, image_mask: Array, text_mask: Array) -> Array:
    """Returns bool [B, S], true for the slots of present cameras and of valid text tokens."""
    return jnp.concatenate([jnp.repeat(image_mask, backbone.patches, axis=1), text_mask], axis=1)


def _causal_slots(backbone: Pi0FAST, inputs: Inputs) -> Array:
    """Returns bool [B, S], true for the answer's tokens, false for images and prompt."""
    images = backbone.patches * inputs.image_mask.shape[1]
    return jnp.pad(inputs.causal, ((0, 0), (images, 0)))


def logits_of(params: Params, hidden: Array) -> Array:
    """Returns the logits float32 [..., V] of hidden states [..., W]."""
    return hidden.astype(jnp.float32) @ embedding_table(params).astype(jnp.float32).T


def pick(scores: Array, tokens: Array) -> Array:
    """Returns the entries of `scores` [..., V] at the tokens [...]."""
    return jnp.take_along_axis(scores, tokens[..., None], axis=-1)[..., 0]


def _scores(backbone: Pi0FAST, params: Params, inputs: Inputs, embeddings: Array, hidden: Array) -> Forward:
    logits = logits_of(params, hidden)
    log_probs = pick(jax.nn.log_softmax(logits), inputs.tokens[:, 1:])
    scored = inputs.scored[:, 1:]
    score = jnp.sum(jnp.where(scored, log_probs, 0.0), axis=1)
    return Forward(
        embeddings=embeddings.astype(jnp.float32),
        valid=valid_slots(backbone, inputs.image_mask, inputs.text_mask),
        causal=_causal_slots(backbone, inputs),
        hidden=hidden.astype(jnp.float32),
        logits=logits,
        log_probs=log_probs,
        score=score,
        loss=-score / jnp.maximum(jnp.sum(scored, axis=1), 1),
    )
