"""Tests the figures of a measured imitation: likelihood, errors of decoded chunks, baselines and verdicts."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from chunk_ppo_ros.agent.restore import PolicyBundle
from chunk_ppo_ros.core.errors import UserError
from chunk_ppo_ros.core.types import ModelObservation
from chunk_ppo_ros.imitation.behavior_cloning import CloningBatch
from chunk_ppo_ros.imitation.measuring.decoded_chunks import DecodedChunks, decode_tokens
from chunk_ppo_ros.imitation.measuring.imitated_data import ImitatedData
from chunk_ppo_ros.imitation.measuring.likelihood import ChunkNats, chunk_nats, count_tokens, nats_by_frequency
from chunk_ppo_ros.imitation.measuring.measure import MeasuredChunks, measure
from chunk_ppo_ros.imitation.measuring.measurement import Measurement, QuantityFigures
from chunk_ppo_ros.imitation.measuring.quantities import DEGREES, ActionLayout, Quantity
from chunk_ppo_ros.imitation.measuring.table import to_table
from chunk_ppo_ros.model.actor_critic import Pi0FASTActorCritic
from chunk_ppo_ros.model.checkpoints.metadata import Provenance
from chunk_ppo_ros.model.outputs import Sample
from chunk_ppo_ros.model.tokenization.normalization import compute_norm_stats
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer
from chunk_ppo_ros.robot import aloha
from support import small_policy

CHUNKS = 6
MODEL = dataclasses.replace(small_policy.MODEL, max_token_len=100, max_action_tokens=70)
"""The small model with a slot for each coefficient, because chunks of noise are not compressed."""


def make_bundle(*, constrained: bool = True) -> PolicyBundle:
    """Returns the small policy with fresh weights, and tokenizers whose statistics are those of noise around 0."""
    model = dataclasses.replace(MODEL, constrain_decoding=constrained)
    tokenizer = dataclasses.replace(small_policy.make_tokenizer(), config=model)
    policy = Pi0FASTActorCritic(model, tokenizer.token_ids, tokenizer.constraint())
    return PolicyBundle(tokenizer, policy, policy.init(key=jax.random.key(0)), Provenance("scratch"))


def encode(tokenizer: PolicyTokenizer, actions: np.ndarray, states: np.ndarray) -> CloningBatch:
    """Returns chunks as tokens, with black images."""
    model = tokenizer.config
    encoded = [tokenizer.encode_actions(chunk, state) for chunk, state in zip(actions, states, strict=True)]
    shape = (len(states), len(model.cameras), model.image_size, model.image_size, 3)
    prompt = np.ones((len(states), model.max_prompt_len), np.int32)
    return CloningBatch(
        ModelObservation(np.zeros(shape, np.uint8), np.ones(shape[:2], bool), prompt, prompt == 1, states),
        np.stack([one.action_tokens for one in encoded]),
        np.stack([one.token_mask for one in encoded]),
    )


def make_chunks(tokenizer: PolicyTokenizer, *, seed: int = 0) -> MeasuredChunks:
    """Returns chunks that their tokens stand for exactly."""
    random = np.random.default_rng(seed)
    states = random.uniform(-0.5, 0.5, (CHUNKS, 14)).astype(np.float32)
    offsets = random.uniform(-0.9, 0.9, (CHUNKS, MODEL.action_horizon, 14))
    offsets[..., aloha.ARM_INDICES] += states[:, None, aloha.ARM_INDICES]
    batch = encode(tokenizer, offsets, states)
    actions = decode_tokens(batch.action_tokens, states, tokenizer).actions
    starts = tuple(f"cup/episode_{number}.hdf5, step 0" for number in range(CHUNKS))
    return MeasuredChunks(batch, actions, starts, tuple(f"cup/episode_{number}.hdf5" for number in range(CHUNKS)))


def imitated(chunks: MeasuredChunks, tokenizer: PolicyTokenizer) -> ImitatedData:
    """Returns the data of an imitation of the same chunks."""
    relative = chunks.actions - chunks.batch.observation.state[:, None]
    return ImitatedData((), (), count_tokens(chunks.batch, tokenizer), relative.mean(axis=0))


def recite(monkeypatch: pytest.MonkeyPatch, tokens: np.ndarray) -> None:
    """Lets every policy sample these tokens, one row after the other."""

    def sample(self: Any, params: Any, observation: Any, **_: Any) -> Sample:
        zeros = jnp.zeros(tokens.shape, jnp.float32)
        return Sample(jnp.asarray(tokens), zeros == 0, zeros, zeros, zeros[:, 0])

    monkeypatch.setattr(Pi0FASTActorCritic, "sample_actions", sample)


def measured(bundle: PolicyBundle, chunks: MeasuredChunks, *, knows_data: bool = True) -> Measurement:
    data = imitated(chunks, bundle.tokenizer) if knows_data else None
    return measure(bundle, chunks, policy="mine", trained_on="nobody knows", imitated=data, batch_size=CHUNKS)


@pytest.mark.parametrize("constrained", [True, False])
def test_token_nats_are_those_of_the_policy_and_joint_nats_add_up_to_them(constrained: bool) -> None:
    bundle = make_bundle(constrained=constrained)
    batch = make_chunks(bundle.tokenizer).batch
    scores = bundle.policy.evaluate(
        bundle.params, batch.observation, batch.action_tokens, batch.token_mask, temperature=1.0
    )
    # Batches of 4 fill up the last one, which has 2 chunks.
    nats = chunk_nats(bundle.policy, bundle.params, batch, bundle.tokenizer, batch_size=4)
    np.testing.assert_allclose(nats.token_nats, -np.asarray(scores.token_log_probs), atol=2e-5)
    np.testing.assert_allclose(nats.joint_nats.sum(axis=1) + nats.end_nats, nats.token_nats.sum(axis=1), rtol=1e-6)
    assert np.all(nats.end_nats > 0) == (not constrained)
    assert nats.per_token == pytest.approx(nats.token_nats.sum() / batch.token_mask.sum())


def test_broken_weights_are_an_error_of_the_user() -> None:
    bundle = make_bundle()
    broken = jax.tree.map(lambda leaf: leaf * np.nan, bundle.params)
    with pytest.raises(UserError, match="must be finite, got NaN or infinity; the weights are broken: imitate with a"):
        chunk_nats(bundle.policy, broken, make_chunks(bundle.tokenizer).batch, bundle.tokenizer, batch_size=CHUNKS)


@pytest.mark.parametrize("constrained", [True, False])
def test_nats_by_frequency_are_those_of_counted_tokens(constrained: bool) -> None:
    """The tokens of all chunks are counted, so their mean is the entropy of the counts, but for the smoothing by 1.

    Where decoding is constrained, "|" is no choice.
    """
    tokenizer = make_bundle(constrained=constrained).tokenizer
    batch = make_chunks(tokenizer).batch
    counts = count_tokens(batch, tokenizer)
    assert counts[-1] == (0 if constrained else CHUNKS) and counts.sum() == batch.token_mask.sum()
    smoothed = (counts + 1) / (counts + 1)[: -1 if constrained else None].sum()
    nats = nats_by_frequency(batch, counts, tokenizer)
    assert nats.per_token == pytest.approx(-np.sum(counts * np.log(smoothed)) / counts.sum())
    np.testing.assert_allclose(nats.joint_nats.sum(axis=1) + nats.end_nats, nats.token_nats.sum(axis=1), rtol=1e-9)


def test_means_by_place_and_by_quarter() -> None:
    """Chunks of 4 and 2 tokens: the quarters hold tokens 0, 1, 2, 3 of the first and 0, none, 1, none of the second."""
    mask = np.array([[True] * 4, [True, True, False, False]])
    nats = ChunkNats(np.array([[1.0, 2, 3, 4], [5, 7, 0, 0]]), mask, np.zeros((2, 14)), np.zeros(2))
    assert nats.by_place() == ((3.0, 4.5, 3.0, 4.0), (2, 2, 1, 1))
    assert nats.by_part() == (3.0, 2.0, 5.0, 4.0)
    assert dataclasses.replace(nats, token_nats=nats.token_nats[1:], token_mask=mask[1:]).by_part() == (
        *(5.0, None),
        *(7.0, None),
    )
    assert (nats.per_token, nats.per_chunk, nats.tokens_per_chunk) == pytest.approx((22 / 6, 11.0, 3.0))


def test_a_policy_that_reproduces_the_chunks_has_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_bundle()
    chunks = make_chunks(bundle.tokenizer)
    recite(monkeypatch, chunks.batch.action_tokens)
    found = measured(bundle, chunks)
    for one in (*found.joints, *found.grippers):
        assert (one.rmse, one.p95, one.by_stage, one.rounding) == (0.0, 0.0, (0.0, 0.0, 0.0), 0.0)
        assert one.verdict == "learned" and one.best_baseline is not None and one.best_baseline > 1.0
    assert found.verdict == (
        "Learned (better than holding the state and than the mean chunk of the training data): 14 of 14 dimensions."
    )
    assert [one.name for one in found.grippers] == ["left gripper position", "right gripper position"]


def test_a_joint_that_is_wrong_in_the_data_shows_at_that_joint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right elbow was recorded 0.5 rad off, as after a slipped motor horn, and the policy knows the true one."""
    bundle = make_bundle()
    chunks = make_chunks(bundle.tokenizer)
    recite(monkeypatch, chunks.batch.action_tokens)
    off = chunks.actions.copy()
    off[..., 9] = chunks.batch.observation.state[:, None, 9] + 0.1  # holding the state is off by 0.1 rad
    found = measured(bundle, dataclasses.replace(chunks, actions=off), knows_data=False)
    wrong = found.joints[9]
    assert wrong.name == "right elbow" and wrong.rmse == pytest.approx(wrong.rounding) and wrong.rmse > 10
    assert wrong.hold == pytest.approx(np.rad2deg(0.1), rel=1e-4)
    assert [one.name for one in found.joints if one.verdict != "learned"] == ["right elbow"]
    assert [one.rmse for one in found.joints if one is not wrong] == pytest.approx([0.0] * 13)
    left, right = found.grippers
    assert left.rmse == 0.0 and right.rmse is not None and right.rmse > 10
    assert found.verdict.startswith("Not learned (no better than holding the state): right elbow. Learned")


def test_the_nats_of_a_joint_that_alone_is_hard() -> None:
    """By frequency, a joint with noise among joints that never move has nearly all nats."""
    tokenizer = make_bundle().tokenizer
    random = np.random.default_rng(1)
    states = np.zeros((64, 14), np.float32)
    still = tokenizer.decode_actions(
        tokenizer.encode_actions(np.zeros((MODEL.action_horizon, 14)), states[0]).action_tokens, states[0]
    ).actions
    actions = np.tile(still, (64, 1, 1))
    actions[..., 3] = random.uniform(-0.9, 0.9, (64, MODEL.action_horizon))
    batch = encode(tokenizer, actions, states)
    nats = nats_by_frequency(batch, count_tokens(batch, tokenizer), tokenizer)
    by_joint = nats.joint_nats.mean(axis=0)
    assert by_joint.argmax() == 3


def test_invalid_chunks_are_counted_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_bundle()
    chunks = make_chunks(bundle.tokenizer)
    tokens = chunks.batch.action_tokens.copy()
    tokens[2] = 0
    recite(monkeypatch, tokens)
    found = measured(bundle, chunks)
    (invalid,) = found.invalid
    assert invalid.start == "cup/episode_2.hdf5, step 0" and invalid.reason == "the action tokens have no '|'"
    assert found.joints[0].rmse == 0.0
    assert found.verdict.endswith("1 of 6 decoded chunks stands for no actions.")
    assert "1 decoded chunk stands for no actions and is left out of the errors (cup/episode_2.hdf5, step 0: the " in (
        to_table(found)
    )
    recite(monkeypatch, 0 * tokens)
    nothing = measured(bundle, chunks)
    assert nothing.verdict == "Nothing was learned: no decoded chunk stands for actions."
    assert nothing.joints[0].rmse is None and json.loads(nothing.to_json())["joints"][0]["verdict"] == "not learned"
    assert len(to_table(nothing).splitlines()) > 16


def figures(*, rmse: float, hold: float | None, mean: float | None = None, rounding: float = 0.0) -> QuantityFigures:
    def errors(value: float | None) -> np.ndarray | None:
        return None if value is None else np.full((2, 6), value)

    found = QuantityFigures.of(
        Quantity("elbow", DEGREES),
        np.full((2, 6), rmse),
        hold=errors(hold),
        mean_chunk=errors(mean),
        rounding=np.full((2, 6), rounding),
    )
    assert found.rmse == pytest.approx(rmse)
    return found


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (figures(rmse=1.0, hold=2.0, mean=1.5), "learned"),
        (figures(rmse=1.6, hold=2.0, mean=1.5), "not learned"),
        (figures(rmse=1.6, hold=1.5, mean=2.0), "not learned"),
        (figures(rmse=0.1, hold=0.0), "at rest"),
        (figures(rmse=1.0, hold=0.1), "not at rest"),
        (figures(rmse=1.0, hold=0.1, rounding=0.6), "at rest"),
        (figures(rmse=1.0, hold=None), "not compared"),
    ],
)
def test_verdicts(found: QuantityFigures, verdict: str) -> None:
    assert found.verdict == verdict


def test_stages_are_thirds_of_the_steps() -> None:
    """At 7 steps they have 3, 2 and 2. The 95 % quantile of 0 .. 6 is 5.7."""
    errors = np.arange(7.0)[None]
    found = QuantityFigures.of(Quantity("elbow", DEGREES), errors, hold=None, mean_chunk=None, rounding=errors)
    assert found.by_stage == pytest.approx((np.sqrt(5 / 3), np.sqrt(12.5), np.sqrt(30.5)))
    assert found.p95 == pytest.approx(5.7)


def test_errors_in_degrees_percent_and_millimeters() -> None:
    """A waist that is off by 0.1 rad moves a stretched gripper on a circle: by 2 r sin(0.05).

    With all joints at 0 the fingers end 0.05955 + 0.2 + 0.1 + 0.069744 + 0.15 = 0.579294 m in front of the waist.
    """
    layout = ActionLayout.of(14, 14)
    recorded = np.zeros((1, 1, 14))
    actions = recorded.copy()
    actions[..., 7], actions[..., 6] = 0.1, 0.25
    errors = layout.errors(actions, recorded)[0, 0]
    expected = dict.fromkeys(range(16), 0.0) | {7: np.rad2deg(0.1), 6: 25.0, 15: 1000 * 2 * 0.579294 * np.sin(0.05)}
    np.testing.assert_allclose(errors, [expected[index] for index in range(16)], atol=1e-9)
    assert [one.unit for one in layout.quantities] == [*(["deg"] * 6 + ["%"]) * 2, "mm", "mm"]
    single = ActionLayout.of(7, 7)
    assert [one.name for one in single.quantities][-2:] == ["gripper", "gripper position"]
    np.testing.assert_allclose(single.errors(actions[..., 7:], recorded[..., 7:])[0, 0, [0, 7]], errors[[7, 15]])


@pytest.mark.parametrize(("state_dim", "action_dim"), [(8, 7), (16, 16), (6, 6)])
def test_other_robots_have_the_units_of_their_recordings(state_dim: int, action_dim: int) -> None:
    layout = ActionLayout.of(state_dim, action_dim)
    assert layout.grippers == () and {one.unit for one in layout.joints} == {"as recorded"}
    assert layout.note == (
        f"degrees and millimeters are left out, because states of {state_dim} and actions of {action_dim} dimensions "
        "are not one or two arms of ALOHA"
    )
    errors = layout.errors(np.full((1, 2, action_dim), 0.5), np.zeros((1, 2, action_dim)))
    np.testing.assert_allclose(errors, np.full((1, 2, action_dim), 0.5))


def test_a_robot_whose_states_have_other_dimensions_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """States of 8 and actions of 7 dimensions, as in LIBERO. There is no state to hold."""
    model = dataclasses.replace(MODEL, action_dim=7, delta_actions=False)
    random = np.random.default_rng(0)
    states = random.uniform(-1, 1, (CHUNKS, 8)).astype(np.float32)
    known = small_policy.make_tokenizer(7)
    stats = compute_norm_stats(states, random.uniform(-1, 1, (CHUNKS, model.action_horizon, 7)))
    tokenizer = dataclasses.replace(known, config=model, norm_stats=stats)
    policy = Pi0FASTActorCritic(model, tokenizer.token_ids, tokenizer.constraint())
    bundle = PolicyBundle(tokenizer, policy, policy.init(key=jax.random.key(0)), Provenance("scratch"))
    batch = encode(tokenizer, random.uniform(-0.9, 0.9, (CHUNKS, model.action_horizon, 7)), states)
    actions = decode_tokens(batch.action_tokens, states, tokenizer).actions
    chunks = MeasuredChunks(batch, actions, ("one, step 0",) * CHUNKS, ("one",))
    recite(monkeypatch, batch.action_tokens)
    data = ImitatedData((), (), count_tokens(batch, tokenizer), actions.mean(axis=0))
    found = measure(bundle, chunks, policy="mine", trained_on="nobody knows", imitated=data, batch_size=CHUNKS)
    assert [one.hold for one in found.joints] == [None] * 7 and found.grippers == ()
    assert found.joints[0].mean_chunk == pytest.approx(np.sqrt(np.mean((actions - actions.mean(0))[..., 0] ** 2)))
    assert found.verdict == "Learned (better than the mean chunk of the training data): 7 of 7 dimensions."
    assert "not known: hold (states have other dimensions)" in to_table(found) and found.note in to_table(found)
    foreign = measure(bundle, chunks, policy="mine", trained_on="nobody knows", imitated=None, batch_size=CHUNKS)
    assert foreign.verdict == "There is no baseline to compare with, so nothing says whether the data was learned."


def test_the_json_file_has_all_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_bundle()
    chunks = make_chunks(bundle.tokenizer)
    recite(monkeypatch, chunks.batch.action_tokens)
    content = json.loads(measured(bundle, chunks).to_json())
    assert set(content) == {
        *("policy", "episodes", "trained_on", "num_chunks", "likelihood", "joints", "grippers", "invalid", "note"),
        *("format_version", "decoding", "verdict"),
    }
    assert (content["num_chunks"], content["decoding"], len(content["joints"])) == (CHUNKS, "greedy", 14)
    assert set(content["joints"][0]) == {
        *("name", "unit", "rmse", "p95", "by_stage", "hold", "mean_chunk", "rounding"),
        *("nats_per_chunk", "nats_by_frequency", "verdict"),
    }
    likelihood = content["likelihood"]
    assert sum(one["nats_per_chunk"] for one in content["joints"]) == pytest.approx(likelihood["nats_per_chunk"])
    assert len(likelihood["by_place"]) == len(likelihood["chunks_by_place"])
    assert likelihood["uniform"] == pytest.approx(np.log(bundle.tokenizer.fast.vocab_size))
    assert np.dot(likelihood["by_place"], likelihood["chunks_by_place"]) == pytest.approx(
        CHUNKS * likelihood["nats_per_chunk"]
    )


def test_without_the_training_data_the_table_says_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = make_bundle()
    chunks = make_chunks(bundle.tokenizer)
    recite(monkeypatch, chunks.batch.action_tokens)
    table = to_table(measured(bundle, chunks, knows_data=False))
    assert "by the frequency of tokens in the training data it would be unknown per token" in table
    assert "; not known: mean (training data)" in table and "by freq" not in table
    assert table.startswith(
        "6 chunks of 6 episodes (cup/episode_0.hdf5, cup/episode_1.hdf5, cup/episode_2.hdf5, and 3 "
    )


def test_decoded_chunks_know_which_are_valid() -> None:
    assert DecodedChunks(np.zeros((2, 1, 1), np.float32), ("", "too long")).valid.tolist() == [True, False]
