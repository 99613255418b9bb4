"""Tests FAST against the published tokenizer, the prompt against openpi's text, and a policy's whole tokenizer."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pathlib
import shutil
import struct
from typing import Any

import hypothesis
import numpy as np
import pytest
import scipy.fft
import sentencepiece
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chunk_ppo_ros.config import TINY_MODEL
from chunk_ppo_ros.core import types
from chunk_ppo_ros.core.errors import CheckpointError
from chunk_ppo_ros.model.tokenization import fast_tokenizer, normalization, prompt_tokenizer
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets
from chunk_ppo_ros.model.tokenization.fast_tokenizer import DecodedChunk, FastTokenizer
from chunk_ppo_ros.model.tokenization.policy_tokenizer import PolicyTokenizer, TooManyTokens
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import PromptTokenizer
from chunk_ppo_ros.model.tokenization.token_ids import TokenIds
from support import published as published_data

TASKS = ["Reach the red ball with both arms", "Transfer the red cube to the left arm"]
H, D = 16, 14
MODEL = dataclasses.replace(TINY_MODEL, max_token_len=104, max_action_tokens=40)
"""The model has slots for 64 prompt and 40 action tokens.

These chunks are less smooth than those that the default slots suit.
"""


def smooth_chunks(key: int, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns states [num, D] and minimum-jerk chunks [num, H, D]. Six joints move, up to 0.4 rad from the state."""
    rng = np.random.default_rng(key)
    states = rng.uniform(-0.8, 0.8, (num, D))
    states[:, [6, 13]] = 0.5
    time = np.clip(np.linspace(1 / H, 1, H) / rng.uniform(0.5, 1.5, (num, 1)), 0, 1)
    ramp = 10 * time**3 - 15 * time**4 + 6 * time**5
    size = np.where(np.arange(D) % 7 < 3, rng.uniform(-0.4, 0.4, (num, D)), 0)
    return states, states[:, None] + ramp[:, :, None] * size[:, None]


@pytest.fixture(scope="module")
def published() -> FastTokenizer:
    return FastTokenizer.load(published_data.fast_folder())


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> PolicyTokenizer:
    folder = tmp_path_factory.mktemp("policy")
    states, actions = smooth_chunks(0, 500)
    transforms = AlohaTransforms.from_config(MODEL)
    encoded = transforms.encode_actions(actions, states)
    norm_stats = normalization.compute_norm_stats(transforms.encode_state(states), encoded)
    clipped, _ = normalization.clip_actions(norm_stats.actions.normalize(encoded), MODEL.action_limit)
    prompt_tokenizer.train_prompt_tokenizer(TASKS, folder / "prompt.model")
    prompt = PromptTokenizer(folder / "prompt.model", max_len=MODEL.max_prompt_len)
    return PolicyTokenizer(prompt=prompt, fast=FastTokenizer.fit(clipped), norm_stats=norm_stats, config=MODEL)


# The tests below check the FAST tokenizer.


def reference() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((published_data.fast_folder() / "reference_encodings.json").read_text())
    return content


def sine() -> np.ndarray:
    """Returns chunks of sine waves, as reference_encodings.json has them."""
    time, k = np.linspace(0, 1, H)[:, None], np.arange(D)[None]
    return 0.8 * np.sin(2 * np.pi * (0.5 + 0.1 * k) * time + k)


REFERENCE_CHUNKS = {
    "ids": sine(),
    "zeros_ids": np.zeros((H, D)),
    "uniform_seed0_ids": np.random.default_rng(0).uniform(-1, 1, (H, D)),
    "walk_seed1_ids": np.clip(np.cumsum(np.random.default_rng(1).normal(0, 0.3, (H, D)), axis=0), -1, 1),
}


@pytest.mark.parametrize("name", REFERENCE_CHUNKS)
def test_reference_encodings(published: FastTokenizer, name: str) -> None:
    """Encoding gives the reference's tokens, and decoding gives the chunk back.

    The coefficients of the decoded chunk are whole numbers, so that encoding it again is exact.
    """
    ids, chunk = reference()[name], REFERENCE_CHUNKS[name]
    assert published.encode(chunk) == ids
    decoded = published.decode(ids, horizon=H, action_dim=D)
    assert decoded.valid
    assert np.linalg.norm(decoded.actions - chunk, axis=0).max() <= 0.2 + 1e-6  # sqrt(16) * 0.5 / 10
    assert published.encode(decoded.actions) == ids


def test_reference_settings_and_error(published: FastTokenizer) -> None:
    decoded = published.decode(reference()["ids"], horizon=H, action_dim=D)
    assert np.abs(decoded.actions - sine()).max() == pytest.approx(reference()["max_abs_err"], abs=1e-6)
    assert (published.scale, published.min_token) == (reference()["scale"], reference()["min_token"])
    assert reference()["zeros_ids"] == [939]
    assert reference().keys() - REFERENCE_CHUNKS.keys() == {
        "sine_formula",
        "scale",
        "min_token",
        "max_abs_err",
        "paligemma_ids",  # test_reference_model_ids
    }


def test_reference_model_ids(published: FastTokenizer) -> None:
    ids = TokenIds(vocab_size=257152, num_fast=2048, skip=128, action_prefix=(4022, 235292, 235248), bar=235371, end=1)
    fast_ids = np.array(reference()["ids"])
    assert ids.to_model(fast_ids).tolist() == reference()["paligemma_ids"]
    np.testing.assert_array_equal(ids.to_fast(ids.to_model(fast_ids)), fast_ids)
    assert published.vocab_size == ids.num_fast


def test_quantized_coefficients_by_hand() -> None:
    # A constant 0.3 over H = 4 has the first coefficient sqrt(4) * 0.3 = 0.6, which times 10 is 6. The others are 0.
    np.testing.assert_array_equal(fast_tokenizer.quantize(np.full((4, 1), 0.3), 10)[:, 0], [6, 0, 0, 0])
    # The chunk (1, -1) has the first coefficient 0. The second is sqrt(2/2) * (cos(pi/4) + cos(pi/4)) = 1.41421, which
    # times 10 rounds to 14.
    np.testing.assert_array_equal(fast_tokenizer.quantize(np.array([[1.0], [-1.0]]), 10)[:, 0], [0, 14])
    assert fast_tokenizer.coefficient_limit(scale=10, horizon=16, action_limit=1.5) == 60
    assert fast_tokenizer.coefficient_limit(scale=10, horizon=10, action_limit=1.5) == 48  # 47.43


def test_what_a_bound_on_coefficients_says_of_actions() -> None:
    """With H = 2 the basis is (1, 1) / sqrt(2) and (1, -1) / sqrt(2), so |x| is at most (|X0| + |X1|) / sqrt(2)."""
    # The limit on coefficients is ceil(10 * sqrt(2)) = 15, so |x| <= 1.5 * 2 / sqrt(2) = 2.12, though the limit was 1.
    assert fast_tokenizer.action_bound(scale=10, horizon=2, action_limit=1.0) == pytest.approx(1.5 * np.sqrt(2))
    # The signs of the largest column of the basis reach this bound.
    for horizon in (2, 10, 16):
        limit = fast_tokenizer.coefficient_limit(scale=10, horizon=horizon, action_limit=1.5)
        basis = scipy.fft.dct(np.eye(horizon), axis=0, norm="ortho")  # [k, n]
        worst = basis[:, np.argmax(np.sum(np.abs(basis), axis=0))]
        reached = scipy.fft.idct(np.sign(worst) * limit / 10, norm="ortho")
        bound = fast_tokenizer.action_bound(scale=10, horizon=horizon, action_limit=1.5)
        assert np.abs(reached).max() == pytest.approx(bound)
    assert bound == pytest.approx(22.03, abs=0.01)  # of H = 16: 14.7 times the limit


def test_decoding_reports_how_large_a_chunk_is(published: FastTokenizer) -> None:
    # Constant 1.2 over 16 steps is the coefficient 10 * 4 * 1.2 = 48.
    chunk = np.zeros((H, D))
    chunk[:, 3] = -1.2
    decoded = published.decode(published.encode(chunk), horizon=H, action_dim=D)
    assert decoded.largest_coefficient == 48
    assert decoded.largest_action == pytest.approx(1.2)


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(chunk=arrays.arrays(np.float32, (H, D), elements=st.floats(-1.5, 1.5, width=32)))
def test_fast_round_trip(policy: PolicyTokenizer, chunk: np.ndarray) -> None:
    """Any chunk within the limit comes back almost unchanged.

    Rounding moves each of 16 orthonormal coefficients by at most 0.05. So the 2-norm over a dimension moves by at most
    sqrt(16) * 0.05 = 0.2, which bounds each step.
    """
    decoded = policy.fast.decode(policy.fast.encode(chunk), horizon=H, action_dim=D)
    assert decoded.valid
    assert np.linalg.norm(decoded.actions - chunk, axis=0).max() <= 0.2 + 1e-5


def test_our_bytes_are_the_librarys(published: FastTokenizer, policy: PolicyTokenizer) -> None:
    chunk = smooth_chunks(3, 1)[1][0]
    for tokenizer in (published, policy.fast):
        ids = tokenizer.encode(chunk)
        text = b"".join(tokenizer.token_bytes[i] or b"" for i in ids).decode()
        assert tokenizer.bpe.decode(ids) == text
        assert len(text) == H * D


def test_decoding_failures_are_told(published: FastTokenizer) -> None:
    ids = reference()["ids"]
    partial = next(i for i, token in enumerate(published.token_bytes) if token == "\u0162".encode()[:1])
    for broken, reason in [
        (ids[:-1], "coefficients instead of 224"),
        ([*ids, partial], "UTF-8"),
        ([2048], "token 2048"),
    ]:
        chunk = published.decode(broken, horizon=H, action_dim=D)
        assert not chunk.valid
        assert reason in chunk.reason
        assert chunk.actions.shape == (H, D)
        assert np.isnan(chunk.actions).all()


def test_encoding_clips_nothing(published: FastTokenizer, policy: PolicyTokenizer) -> None:
    with pytest.raises(ValueError, match=r"actions must have the shape \[H, D\], got \(14,\)"):
        published.encode(np.zeros(D))
    with pytest.raises(ValueError, match=r"chr\(0\) is -354.*got -400"):
        published.encode(np.full((H, D), -10.0))
    with pytest.raises(ValueError, match=r"got 0\.\.80"):  # within Unicode, outside the fitted alphabet
        policy.fast.encode(np.full((H, D), 2.0))
    # The coefficient 0.5 * sqrt(16) * 10 = 20 over chr(0) = -(0xD800 - 20) is the first surrogate, which has no UTF-8.
    with pytest.raises(ValueError, match="clip the normalized actions"):
        dataclasses.replace(published, min_token=20 - 0xD800).encode(np.full((H, D), 0.5))
    with pytest.raises(ValueError, match="finite"):
        policy.fast.encode(np.full((H, D), np.nan))


def test_fit_is_deterministic_and_small(policy: PolicyTokenizer) -> None:
    chunks = np.clip(np.random.default_rng(0).normal(size=(50, H, D)), -1.5, 1.5)
    assert FastTokenizer.fit(chunks).bpe.to_str() == FastTokenizer.fit(chunks).bpe.to_str()
    # With the prompt's 384 pieces and 128 skipped ids it fills a vocabulary of 1024.
    assert policy.fast.vocab_size <= 512
    assert policy.fast.min_token == -60


@pytest.mark.parametrize("name", ["published", "fitted"])
def test_a_coefficient_below_the_first_character_is_refused(
    published: FastTokenizer, policy: PolicyTokenizer, name: str
) -> None:
    """A constant a has the coefficient 40 a.

    The lowest coefficient that exists encodes and decodes, and the next lower one does not.
    """
    tokenizer = published if name == "published" else policy.fast
    last = tokenizer.min_token / 40
    decoded = tokenizer.decode(tokenizer.encode(np.full((H, D), last)), horizon=H, action_dim=D)
    np.testing.assert_allclose(decoded.actions, last, atol=1e-5)
    with pytest.raises(ValueError, match=f"got {tokenizer.min_token - 1}"):
        tokenizer.encode(np.full((H, D), last - 1 / 40))


def test_a_coefficient_beyond_unicode_is_refused(published: FastTokenizer) -> None:
    # The function chr() ends at 0x10ffff = 1114111. The number 40 a - min_token is beyond it from a = 27843.95 on.
    with pytest.raises(ValueError, match="must have a character"):
        published.encode(np.full((H, D), 27844.0))
    with pytest.raises(ValueError, match="finite"):
        published.encode(np.full((H, D), np.inf))


def test_fit_refuses() -> None:
    for shape in ((H, D), (0, H, D)):
        with pytest.raises(ValueError, match=r"\[N, H, D\] with N > 0, got"):
            FastTokenizer.fit(np.zeros(shape))
    with pytest.raises(ValueError, match="within"):
        FastTokenizer.fit(np.full((1, H, D), 1.6))
    with pytest.raises(ValueError, match="vocab_size must be at least 121"):  # -60..60, one byte each
        FastTokenizer.fit(np.zeros((1, H, D)), vocab_size=120)


def test_fast_saves_in_the_published_format(published: FastTokenizer, tmp_path: pathlib.Path) -> None:
    published.save(tmp_path)
    assert FastTokenizer.load(tmp_path).encode(np.zeros((H, D))) == [939]
    folders = (tmp_path, published_data.fast_folder())
    saved, original = (json.loads((folder / "processor_config.json").read_text()) for folder in folders)
    assert saved == original
    saved, original = (json.loads((folder / "tokenizer.json").read_text()) for folder in folders)
    assert saved["model"]["vocab"] == original["model"]["vocab"]
    assert saved["pre_tokenizer"] == original["pre_tokenizer"]
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        FastTokenizer.load(tmp_path)


# The tests below check the prompt tokenizer.


def test_state_bins_match_openpi() -> None:
    golden = np.load(published_data.DATA / "preprocess.npz")
    np.testing.assert_array_equal(prompt_tokenizer.state_bins(golden["state"]), golden["state_bins"])


def test_prompt_text_by_hand() -> None:
    # Bins are 1/128 wide, so 0 is the 128th edge, and 0.5 the 192nd. Below -1 there is no bin, and at and above 1 the
    # last one counts.
    text = prompt_tokenizer.prompt_text("  Pick_up the CUBE ", np.array([-1.01, -1.0, 0.0, 0.5, 1.0, 7.0]))
    assert text == "Task: pick up the cube, State: -1 0 128 192 255 255;\n"


def test_state_bins_at_their_edges() -> None:
    """Bin k is [-1 + k / 128, -1 + (k + 1) / 128), so an edge belongs to the bin above it."""
    edges = -1 + np.arange(256) / 128
    np.testing.assert_array_equal(prompt_tokenizer.state_bins(edges), np.arange(256))
    np.testing.assert_array_equal(prompt_tokenizer.state_bins(np.nextafter(edges, -2)), np.arange(-1, 255))
    far = np.array([-1e9, -1.0, np.nextafter(1.0, 0.0), 1.0, 1e9])
    np.testing.assert_array_equal(prompt_tokenizer.state_bins(far), [-1, 0, 255, 255, 255])
    single = np.float32([-1, -0.5, 0.5, 1])  # these edges are exact in float32, as states are
    np.testing.assert_array_equal(prompt_tokenizer.state_bins(single), [0, 64, 192, 255])


def test_prompt_is_short_and_reversible(policy: PolicyTokenizer) -> None:
    state = np.linspace(-1.2, 1.2, 14)
    tokens, mask = policy.prompt.encode(TASKS[0], state)
    # The pieces are begin, "Task:", seven words, ", State:", 14 numbers, and ";" with a line break.
    assert mask.sum() == 1 + 1 + 7 + 1 + 14 + 1
    assert mask[: mask.sum()].all()
    assert tokens[0] == prompt_tokenizer.BEGIN
    assert (tokens[~mask] == prompt_tokenizer.PAD).all()
    assert policy.prompt.model.decode(tokens[1 : mask.sum()].tolist()) == prompt_tokenizer.prompt_text(TASKS[0], state)


def test_every_state_number_is_one_piece(policy: PolicyTokenizer) -> None:
    found = {policy.prompt.pieces(f" {number}") for number in range(-1, 256)}
    assert len(found) == 257
    assert all(len(pieces) == 1 for pieces in found)


def test_other_text_is_spelled_or_refused(policy: PolicyTokenizer) -> None:
    assert len(policy.prompt.pieces("zip (3x)!")) <= 9
    with pytest.raises(ValueError, match="characters that the prompt tokenizer knows, got \\['é'\\]"):
        policy.prompt.encode("café", np.zeros(14))


def test_a_long_prompt_is_refused(policy: PolicyTokenizer) -> None:
    with pytest.raises(ValueError, match="at most 64 tokens, got 7"):
        policy.prompt.encode("arm " * 53, np.zeros(14))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_state_that_is_not_finite_is_refused(policy: PolicyTokenizer, bad: float) -> None:
    with pytest.raises(ValueError, match="state must be finite"):
        policy.prompt.encode("reach", np.array([0.0, bad]))


def test_a_prompt_of_exactly_the_slots_fits(policy: PolicyTokenizer) -> None:
    text = prompt_tokenizer.prompt_text(TASKS[0], np.zeros(14))
    length = 1 + len(policy.prompt.pieces(text))
    policy.prompt.max_len, slots = length, policy.prompt.max_len
    try:
        assert policy.prompt.encode(TASKS[0], np.zeros(14))[1].all()
        policy.prompt.max_len = length - 1
        with pytest.raises(ValueError, match=f"at most {length - 1} tokens, got {length}"):
            policy.prompt.encode(TASKS[0], np.zeros(14))
    finally:
        policy.prompt.max_len = slots


def test_training_the_prompt_tokenizer(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        prompt_tokenizer.train_prompt_tokenizer(TASKS, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert capfd.readouterr() == ("", "")
    assert PromptTokenizer(tmp_path / "a", max_len=8).vocab_size <= 384
    with pytest.raises(ValueError, match="vocab_size must be at least"):
        prompt_tokenizer.train_prompt_tokenizer(TASKS, tmp_path / "c", vocab_size=300)
    with pytest.raises(ValueError, match="at least one task"):
        prompt_tokenizer.train_prompt_tokenizer([], tmp_path / "c")


def test_a_missing_prompt_model_says_what_to_get(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gs://big_vision/paligemma_tokenizer\.model.*\(sha256 8986bb4f"):
        PromptTokenizer(tmp_path / "prompt.model", max_len=8)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\x03abc"])
def test_a_file_that_is_no_sentencepiece_model_is_refused(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "prompt.model").write_bytes(content)
    with pytest.raises(ValueError, match=f"must be a sentencepiece model, got .* of {len(content)} bytes.*gs://"):
        PromptTokenizer(tmp_path / "prompt.model", max_len=8)


def test_a_model_with_other_control_ids_is_refused(tmp_path: pathlib.Path) -> None:
    """By default, sentencepiece gives unk the id 0, bos 1 and eos 2, and has no pad."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["reach the red ball"]),
        model_writer=model,
        model_type="char",
        vocab_size=16,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (tmp_path / "prompt.model").write_bytes(model.getvalue())
    with pytest.raises(ValueError, match=r"must be 0, 1, 2, 3 as in PaliGemma, got \(-1, 2, 1, 0\)"):
        PromptTokenizer(tmp_path / "prompt.model", max_len=8)


@pytest.fixture(scope="module")
def large_model(policy: PolicyTokenizer, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Returns a model with as many pieces as Gemma's that is not Gemma's.

    It is the small model with pieces of its own appended. A piece is field 1 of the model's protocol buffer. It has a
    text (field 1) and a score (field 2, float).
    """
    path = tmp_path_factory.mktemp("large") / "prompt.model"
    policy.prompt.save(path)
    missing = 256_000 - policy.prompt.vocab_size
    pieces = [b"\x0a\x08<%06d>\x15" % i + struct.pack("<f", -float(i)) for i in range(missing)]
    path.write_bytes(path.read_bytes() + b"".join(b"\x0a" + bytes([len(piece)]) + piece for piece in pieces))
    return path


def test_a_model_of_paligemmas_size_must_be_paligemmas(
    large_model: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(large_model.read_bytes()).hexdigest()
    message = f"must be PaliGemma's, got .* with 256000 pieces and sha256 {digest}; take gs://big_vision"
    with pytest.raises(ValueError, match=message):
        PromptTokenizer(large_model, max_len=64)
    # With its hash it is taken, and stays the same file in a checkpoint's assets.
    monkeypatch.setattr(prompt_tokenizer, "PALIGEMMA_SHA256", digest)
    PromptTokenizer(large_model, max_len=64).save(tmp_path / "saved.model")
    assert (tmp_path / "saved.model").read_bytes() == large_model.read_bytes()
    assert PromptTokenizer(tmp_path / "saved.model", max_len=64).vocab_size == 256_000


def test_weights_with_paligemmas_vocabulary_are_not_given_another_model(
    policy: PolicyTokenizer, tmp_path: pathlib.Path
) -> None:
    """openpi's assets have norm_stats alone. An own checkpoint brings its model, whose size does not matter."""
    config = dataclasses.replace(MODEL, vocab_size=prompt_tokenizer.PALIGEMMA_VOCAB_SIZE)
    policy.save(tmp_path / "own")
    (tmp_path / "openpi").mkdir()
    shutil.copy(tmp_path / "own" / "norm_stats.json", tmp_path / "openpi")
    assert PolicyAssets.find(tmp_path / "own").load_tokenizer(config).token_ids.to_model(0) == 257023
    with pytest.raises(CheckpointError, match=r"must be PaliGemma's, got .*own.prompt\.model with \d+ pieces"):
        PolicyAssets.find(tmp_path / "openpi").load_tokenizer(config, tokenizer_dir=tmp_path / "own")


# The tests below check both tokenizers within the vocabulary of a model.


def test_token_ids_refuse_a_vocabulary_that_is_too_small() -> None:
    with pytest.raises(ValueError, match="at least num_fast \\+ skip = 640, got 600"):
        TokenIds(vocab_size=600, num_fast=512, skip=128, action_prefix=(8,), bar=9, end=1)
    with pytest.raises(ValueError, match=r"outside the FAST tokens 60\.\.571, got \[88\]"):
        TokenIds(vocab_size=700, num_fast=512, skip=128, action_prefix=(8,), bar=88, end=1)


def test_token_ids_of_the_small_vocabulary(policy: PolicyTokenizer) -> None:
    ids = policy.token_ids
    assert ids.to_model(0) == 1024 - 1 - 128 == 895
    assert ids.to_model(ids.num_fast - 1) >= policy.prompt.vocab_size  # no overlap with the prompt's pieces
    assert ids.action_prefix == policy.prompt.pieces("Action: ")
    assert (ids.bar,) == policy.prompt.pieces("|")
    assert ids.end == 1


def test_actions_round_trip(policy: PolicyTokenizer) -> None:
    states, chunks = smooth_chunks(7, 20)
    widest = np.max(policy.norm_stats.actions.q99 - policy.norm_stats.actions.q01)
    for state, chunk in zip(states, chunks, strict=True):
        encoded = policy.encode_actions(chunk, state)
        count = int(encoded.token_mask.sum())
        assert encoded.num_clipped == 0
        assert encoded.action_tokens.shape == encoded.token_mask.shape == (40,)
        assert encoded.token_mask[:count].all()
        assert all(policy.token_ids.is_fast(int(token)) for token in encoded.action_tokens[:count])
        assert encoded.action_tokens[count:].tolist() == [policy.token_ids.bar, 1, *[0] * (38 - count)]
        decoded = policy.decode_actions(encoded.action_tokens, state)
        assert decoded.valid
        # The error of 0.2 in normalized units (see test_fast_round_trip) is 0.1 of the quantile range.
        np.testing.assert_allclose(decoded.actions, chunk, atol=0.1 * widest)


def test_clipped_demonstrations_are_counted(policy: PolicyTokenizer) -> None:
    state = np.zeros(D)
    chunk = np.zeros((H, D))
    chunk[:, [6, 13]] = 0.5
    chunk[10:, 0] = 5.0
    encoded = policy.encode_actions(chunk, state)
    assert encoded.num_clipped == 6
    limit = policy.norm_stats.actions.unnormalize(np.full(D, MODEL.action_limit, np.float32))[0]
    decoded = policy.decode_actions(encoded.action_tokens, state)
    assert abs(decoded.actions[-1, 0] - limit) < 0.1


def test_a_chunk_of_too_many_tokens_says_how_many(policy: PolicyTokenizer) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (H, D))
    config = dataclasses.replace(MODEL, max_token_len=400, max_action_tokens=300)
    roomy = dataclasses.replace(policy, config=config)
    assert roomy.encode_actions(noise, np.zeros(D)).num_clipped > 0
    needed = int(roomy.encode_actions(noise, np.zeros(D)).token_mask.sum())
    assert needed > 38
    with pytest.raises(TooManyTokens, match=f"at most 38 FAST tokens, got {needed}; .*at least {needed + 2}"):
        policy.encode_actions(noise, np.zeros(D))
    with pytest.raises(ValueError, match=r"shape \(16, 14\)"):
        policy.encode_actions(noise[:5], np.zeros(D))


def test_generated_tokens_that_stand_for_nothing(policy: PolicyTokenizer) -> None:
    bar = policy.token_ids.bar
    for tokens, reason in [
        ([0] * 40, "no '|'"),
        ([1], "no '|'"),  # the end token came first
        ([5, bar, 1], "token 5 of the model's vocabulary is not an action token"),
        ([policy.token_ids.to_model(policy.fast.vocab_size), bar], "is not an action token"),  # below the last one
        ([bar, 1], "0 coefficients"),
    ]:
        decoded = policy.decode_actions(np.array(tokens), np.zeros(D))
        assert not decoded.valid
        assert reason in decoded.reason
        assert np.isnan(decoded.actions).all()


def test_the_limit_of_free_decoding_is_on_actions(policy: PolicyTokenizer) -> None:
    """|normalized action| may be at most 1.5, and 0.2 more for rounding.

    Constrained decoding bounds coefficients only, by 60.
    """
    free = dataclasses.replace(policy, config=dataclasses.replace(MODEL, constrain_decoding=False))
    bar = policy.token_ids.bar

    def decode(tokenizer: PolicyTokenizer, chunk: np.ndarray) -> DecodedChunk:
        ids = tokenizer.fast.encode(chunk)
        return tokenizer.decode_actions(np.array([*map(tokenizer.token_ids.to_model, ids), bar]), np.zeros(D))

    within, beyond = np.zeros((H, D)), np.zeros((H, D))
    within[:, 0] = 1.5
    # Coefficients 0 and 2 at 40: at the first step 4 * (1 / 4 + sqrt(2 / 16) * cos(pi / 16)) = 2.387, none above 60.
    coefficients = np.zeros(H)
    coefficients[[0, 2]] = 4.0
    beyond[:, 0] = scipy.fft.idct(coefficients, norm="ortho")
    for chunk, largest, valid in ((within, 1.5, True), (beyond, 2.387, False)):
        found = decode(policy, chunk)
        assert found.valid
        assert found.largest_action == pytest.approx(largest, abs=1e-3)
        assert decode(free, chunk).valid is valid
    assert "a normalized action is 2.387, beyond 1.7 (model.action_limit)" in decode(free, beyond).reason
    assert np.isnan(decode(free, beyond).actions).all()


def test_a_coefficient_beyond_the_constraint_is_told(policy: PolicyTokenizer, published: FastTokenizer) -> None:
    """The published tokenizer has characters for more than action_limit allows."""
    wide = dataclasses.replace(policy, fast=published, config=dataclasses.replace(MODEL, vocab_size=4096))
    ids = [wide.token_ids.to_model(i) for i in published.encode(np.full((H, D), 1.6))]
    decoded = wide.decode_actions(np.array([*ids, wide.token_ids.bar]), np.zeros(D))
    assert decoded.reason == "a DCT coefficient is 64, beyond 60 (model.action_limit)"


def test_cloning_teaches_what_would_be_sampled(policy: PolicyTokenizer) -> None:
    """Free decoding samples "|" as well. It never samples the end token after it."""
    state, chunk = (values[0] for values in smooth_chunks(9, 1))
    free = dataclasses.replace(policy, config=dataclasses.replace(MODEL, constrain_decoding=False))
    constrained, unconstrained = policy.encode_actions(chunk, state), free.encode_actions(chunk, state)
    np.testing.assert_array_equal(unconstrained.action_tokens, constrained.action_tokens)
    (added,) = np.flatnonzero(unconstrained.token_mask != constrained.token_mask)
    assert unconstrained.token_mask[added]
    assert unconstrained.action_tokens[added] == policy.token_ids.bar
    np.testing.assert_array_equal(
        free.decode_actions(unconstrained.action_tokens, state).actions,
        policy.decode_actions(constrained.action_tokens, state).actions,
    )


def test_an_observation_has_the_tokens_of_its_prompt_and_state(policy: PolicyTokenizer) -> None:
    state = smooth_chunks(8, 1)[0][0].astype(np.float32)
    images, mask = np.ones((3, 64, 64, 3), np.uint8), np.array([True, False, True])
    seen = policy.observe(types.Observation(images=images, image_mask=mask, state=state, prompt=TASKS[1]))
    tokens, prompt_mask = policy.prompt.encode(TASKS[1], policy.norm_stats.state.normalize(state))
    np.testing.assert_array_equal(seen.prompt_tokens, tokens)
    np.testing.assert_array_equal(seen.prompt_mask, prompt_mask)
    np.testing.assert_array_equal(seen.state, state)
    assert seen.prompt_tokens.shape == (MODEL.max_prompt_len,)
    assert seen.images is images


def test_saves_and_loads(policy: PolicyTokenizer, tmp_path: pathlib.Path) -> None:
    policy.save(tmp_path / "assets" / "trossen")
    state, chunk = (values[0] for values in smooth_chunks(9, 1))
    loaded = PolicyAssets.find(tmp_path / "assets").load_tokenizer(MODEL)
    assert loaded.token_ids == policy.token_ids
    expected = policy.encode_actions(chunk, state).action_tokens
    np.testing.assert_array_equal(loaded.encode_actions(chunk, state).action_tokens, expected)
    # openpi's assets have no tokenizers, which come from a folder of their own.
    (tmp_path / "bare").mkdir()
    shutil.copy(tmp_path / "assets" / "trossen" / "norm_stats.json", tmp_path / "bare")
    bare = PolicyAssets.find(tmp_path / "bare")
    with pytest.raises(CheckpointError, match=r"bare cannot be used: .*openpi's checkpoints have none"):
        bare.load_tokenizer(MODEL)
    loaded = bare.load_tokenizer(MODEL, tokenizer_dir=tmp_path / "assets" / "trossen")
    np.testing.assert_array_equal(loaded.encode_actions(chunk, state).action_tokens, expected)


def test_a_configuration_that_does_not_fit_is_refused(policy: PolicyTokenizer) -> None:
    with pytest.raises(ValueError, match="7 action dimensions"):
        dataclasses.replace(policy, config=dataclasses.replace(MODEL, action_dim=7))
    with pytest.raises(ValueError, match="at most model.vocab_size"):
        dataclasses.replace(policy, config=dataclasses.replace(MODEL, vocab_size=128))


def test_the_bar_must_be_one_piece(policy: PolicyTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptTokenizer, "pieces", lambda self, text: (5, 6))
    with pytest.raises(ValueError, match=r"'\|' must be one piece of the prompt tokenizer, got 2; take another model"):
        _ = policy.token_ids


def test_constraint_of_the_configuration(policy: PolicyTokenizer) -> None:
    constraint = policy.constraint()
    assert constraint is not None
    assert (constraint.total, constraint.max_tokens) == (224, 38)
    assert constraint.next_pending.shape == (1, policy.fast.vocab_size)  # every character is one byte
    free = dataclasses.replace(policy, config=dataclasses.replace(MODEL, constrain_decoding=False))
    assert free.constraint() is None
