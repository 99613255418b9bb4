"""Tests V(s) and V(s, a) on hidden states: what they see, where gradients end, and that V(s, a) learns what a does."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from chunk_ppo_ros.config import Pi0FASTActorCriticConfig
from chunk_ppo_ros.model.value_head import Params, ValueHead

BATCH, SLOTS, WIDTH, STEPS, DIMS = 3, 7, 4, 6, 2
CONFIG = Pi0FASTActorCriticConfig(
    action_dim=DIMS, action_horizon=STEPS, max_value_steps=8, value_head_hidden_dim=10, value_min=-5.0, value_max=5.0
)
FORMS = ("pooled", "attention")


def make_head(**changes: Any) -> ValueHead:
    return ValueHead.from_config(dataclasses.replace(CONFIG, **changes), prefix_width=WIDTH)


@functools.partial(jax.jit, static_argnums=0)
def fresh_params(head: ValueHead) -> Params:
    return head.init(key=jax.random.key(0))


def random_params(head: ValueHead) -> Params:
    """Returns parameters whose output layers are not zero."""
    params = fresh_params(head)
    for part in (params, *([params["chunk"]] if "chunk" in params else [])):
        kernel = np.random.default_rng(1).normal(size=part["output"]["kernel"].shape)
        part["output"]["kernel"] = jnp.asarray(kernel, jnp.float32)
    return params


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Inputs:
    hidden: jax.Array
    valid: jax.Array
    actions: jax.Array


def make_inputs(batch: int = BATCH, seed: int = 0) -> Inputs:
    """Returns inputs in which the first slots of every row but row 0 are not valid."""
    random = np.random.default_rng(seed)
    valid = np.ones((batch, SLOTS), bool)
    valid[1:, :2] = False
    return Inputs(
        hidden=jnp.asarray(random.normal(size=(batch, SLOTS, WIDTH)), jnp.float32),
        valid=jnp.asarray(valid),
        actions=jnp.asarray(random.uniform(-1, 1, (batch, STEPS, DIMS)), jnp.float32),
    )


INPUTS = make_inputs()


@functools.partial(jax.jit, static_argnums=0)
def observation_value(head: ValueHead, params: Params, inputs: Inputs) -> jax.Array:
    return head.observation_value(params, inputs.hidden, inputs.valid).mean


@functools.partial(jax.jit, static_argnums=0)
def chunk_value(head: ValueHead, params: Params, inputs: Inputs) -> jax.Array:
    return head.chunk_value(params, inputs.hidden, inputs.valid, inputs.actions).mean


def test_a_head_of_observations_has_the_tree_that_it_always_had() -> None:
    shapes = jax.tree.map(jnp.shape, fresh_params(make_head()))
    assert shapes == {
        "hidden": {"kernel": (2 * WIDTH, 10), "bias": (10,)},
        "output": {"kernel": (10, 1), "bias": (1,)},
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_head_of_chunks_only_adds_to_it(form: str) -> None:
    """A head of chunks adds parameters only, so a checkpoint without it can go on with a fresh one."""
    params, plain = fresh_params(make_head(chunk_value=form)), fresh_params(make_head())
    chunk = params.pop("chunk")
    jax.tree.map(np.testing.assert_array_equal, params, plain)
    assert chunk["step_embedding"].shape == (8, 10)
    assert chunk["hidden"]["kernel"].shape == (2 * WIDTH + 10, 10)
    assert ("attention" in chunk) == (form == "attention")


@pytest.mark.parametrize("bins", [1, 2, 5])
@pytest.mark.parametrize("form", FORMS)
def test_values_start_at_zero(form: str, bins: int) -> None:
    head = make_head(chunk_value=form, value_bins=bins)
    params = fresh_params(head)
    np.testing.assert_allclose(observation_value(head, params, INPUTS), 0.0, atol=1e-6)
    np.testing.assert_allclose(chunk_value(head, params, INPUTS), 0.0, atol=1e-6)


def test_a_histogram_starts_in_the_middle_of_its_range() -> None:
    head = make_head(value_bins=4, value_min=0.0, value_max=1.0)
    params = fresh_params(head)
    np.testing.assert_allclose(observation_value(head, params, INPUTS), 0.5, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_slots_that_are_not_valid_do_not_matter(form: str) -> None:
    head = make_head(chunk_value=form)
    params = random_params(head)
    hidden = jnp.where(INPUTS.valid[..., None], INPUTS.hidden, 1e3)
    changed = dataclasses.replace(INPUTS, hidden=hidden)
    expected = observation_value(head, params, INPUTS)
    np.testing.assert_allclose(observation_value(head, params, changed), expected, rtol=1e-5)
    np.testing.assert_allclose(chunk_value(head, params, changed), chunk_value(head, params, INPUTS), rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_every_step_and_its_place_matter_to_its_own_row_only(form: str) -> None:
    head = make_head(chunk_value=form)
    params = random_params(head)
    base = chunk_value(head, params, INPUTS)
    for step in range(STEPS):
        moved = dataclasses.replace(INPUTS, actions=INPUTS.actions.at[0, step].add(0.5))
        difference = np.abs(chunk_value(head, params, moved) - base)
        assert difference[0] > 1e-4
        np.testing.assert_allclose(difference[1:], 0.0, atol=1e-6)
    backwards = dataclasses.replace(INPUTS, actions=INPUTS.actions[:, ::-1])
    assert np.all(np.abs(chunk_value(head, params, backwards) - base) > 1e-4)


def test_attention_looks_at_the_prefix_slot_by_slot() -> None:
    """Two slots move apart. Their mean and the last slot, which is all that pooling sees, stay as they are."""
    head = make_head(chunk_value="attention")
    params = random_params(head)
    one_up = INPUTS.hidden.at[:, 3].add(1.0).at[:, 4].add(-1.0)
    changed = dataclasses.replace(INPUTS, hidden=one_up)
    assert np.all(np.abs(chunk_value(head, params, changed) - chunk_value(head, params, INPUTS)) > 1e-4)
    pooled = make_head(chunk_value="pooled")
    params = random_params(pooled)
    np.testing.assert_allclose(chunk_value(pooled, params, changed), chunk_value(pooled, params, INPUTS), atol=1e-5)


@pytest.mark.parametrize("copies", [1, 50])
def test_prefix_and_chunk_start_with_half_of_the_attention_each(copies: int) -> None:
    """With keys of zero, the result is half the mean prefix value and half the mean step's.

    It does not depend on how often the prefix is repeated.
    """
    head = make_head(chunk_value="attention")
    assert head.encoder is not None
    params = jax.jit(lambda key: head.encoder.init(key=key))(jax.random.key(0))
    attention = params["attention"]
    for name in ("prefix_key_value", "step_key_value"):
        attention[name]["kernel"] = attention[name]["kernel"].at[0].set(0.0)
    hidden = jnp.tile(INPUTS.hidden[:1], (1, copies, 1))
    steps = INPUTS.actions[:1] @ params["step"]["kernel"] + params["step_embedding"][:STEPS]
    means = (
        jnp.einsum("w,wnh->nh", jnp.mean(hidden[0], axis=0), attention["prefix_key_value"]["kernel"][1]),
        jnp.einsum("e,enh->nh", jnp.mean(jax.nn.gelu(steps[0]), axis=0), attention["step_key_value"]["kernel"][1]),
    )
    expected = jnp.einsum("nh,nhe->e", sum(means) / 2, attention["out"]["kernel"])
    valid = jnp.ones(hidden.shape[:2], bool)
    found = jax.jit(head.encoder.encode)(params, jnp.ones((1, 2 * WIDTH)), hidden, valid, INPUTS.actions[:1])
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_gradients_end_at_the_actions_and_at_a_detached_prefix(form: str, detach: bool) -> None:
    head = make_head(chunk_value=form, detach_value=detach, value_bins=7)
    params = random_params(head)

    def loss(params: Params, hidden: jax.Array, actions: jax.Array) -> jax.Array:
        inputs = dataclasses.replace(INPUTS, hidden=hidden, actions=actions)
        return jnp.sum(chunk_value(head, params, inputs) ** 2)

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    of_params, of_hidden, of_actions = gradient(params, INPUTS.hidden, INPUTS.actions)
    np.testing.assert_array_equal(of_actions, np.zeros_like(of_actions))
    assert np.any(of_hidden) != detach
    chunk = of_params.pop("chunk")
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(of_params))
    for path, leaf in jax.tree.leaves_with_path(chunk):
        assert np.all(np.isfinite(leaf)) and np.any(leaf), path


@pytest.mark.parametrize(
    ("form", "shape", "message"),
    [
        ("pooled", (BATCH, 9, DIMS), r"at most 8 \(model.max_value_steps\), got 9"),
        ("attention", (BATCH, 9, DIMS), r"at most 8 \(model.max_value_steps\), got 9"),
        ("pooled", (BATCH, STEPS, 3), r"\[B, H, 2\] \(model.action_dim\), got \(3, 6, 3\)"),
        ("pooled", (STEPS, DIMS), r"\[B, H, 2\] \(model.action_dim\), got \(6, 2\)"),
        ("none", (BATCH, STEPS, DIMS), "model.chunk_value must be pooled or attention to value a chunk, got none"),
    ],
)
def test_chunks_that_do_not_fit_are_refused(form: str, shape: tuple[int, ...], message: str) -> None:
    head = make_head(chunk_value=form)
    with pytest.raises(ValueError, match=message):
        chunk_value(head, fresh_params(head), dataclasses.replace(INPUTS, actions=jnp.zeros(shape)))


def test_fewer_steps_than_embeddings_can_be_valued() -> None:
    head = make_head(chunk_value="pooled")
    short = dataclasses.replace(INPUTS, actions=INPUTS.actions[:, :1])
    assert chunk_value(head, random_params(head), short).shape == (BATCH,)


@pytest.mark.parametrize(("form", "bins"), [("pooled", 1), ("attention", 21)])
def test_the_value_of_a_chunk_learns_what_the_value_of_an_observation_cannot(form: str, bins: int) -> None:
    """The return is 2 tanh(x) (first action - last action), with x of the observation. Its mean over actions is 0.

    In 100 steps Adam learns from 1024 chunks. On 1024 others V(s, a) explains most of the variance, and V(s) none.
    """
    head = make_head(chunk_value=form, value_bins=bins, value_head_hidden_dim=32)
    optimizer = optax.adam(1e-2)

    def returns_of(inputs: Inputs) -> jax.Array:
        return 2 * jnp.tanh(inputs.hidden[:, -1, 0]) * (inputs.actions[:, 0, 0] - inputs.actions[:, -1, 0])

    train, test = make_inputs(1024, seed=1), make_inputs(1024, seed=2)

    def loss(params: Params) -> jax.Array:
        estimates = (
            head.observation_value(params, train.hidden, train.valid),
            head.chunk_value(params, train.hidden, train.valid, train.actions),
        )
        return jnp.mean(sum(estimate.loss(returns_of(train), huber_delta=10.0) for estimate in estimates))

    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def explained(params: Params) -> tuple[jax.Array, jax.Array]:
        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), length=100)
        returns = returns_of(test)
        observation = head.observation_value(params, test.hidden, test.valid).mean
        residuals = returns - observation, returns - chunk_value(head, params, test)
        return tuple(1 - jnp.var(residual) / jnp.var(returns) for residual in residuals)

    of_observation, of_chunk = explained(fresh_params(head))
    assert of_chunk > 0.8
    assert of_observation < 0.1
