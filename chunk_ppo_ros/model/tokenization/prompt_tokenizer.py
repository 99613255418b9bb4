"""Turns the task and the discretized state into prompt tokens, through a sentencepiece model.

The text is openpi's "Task: <task>, State: <bins>;\\n". PaliGemma's sentencepiece model is read from a path and
recognized by its hash. `train_prompt_tokenizer` makes a small one with the same control ids for small policies.
`fast_tokenizer.py` and `token_ids.py` have the action tokens.
"""

from __future__ import annotations

import hashlib
import io
import pathlib
import string
from collections.abc import Sequence

import numpy as np
import sentencepiece
from jaxtyping import Bool, Int32, Int64, Real

from chunk_ppo_ros.core.prompts.quotation import quoted
from chunk_ppo_ros.core.wording.unicode import first_surrogate

PALIGEMMA_SHA256 = "8986bb4f423f07f8c7f70d0dbe3526fb2316056c17bae71b1ea975e77a168fc6"
"""The hash of `paligemma_tokenizer.model`, the sentencepiece model of PaliGemma's and all pi policies' training."""

PALIGEMMA_VOCAB_SIZE = 257_152
"""The number of pieces of PaliGemma's sentencepiece model, which is the number of rows of its token embedding."""

_GEMMA_VOCAB_SIZE = 256_000
"""The number of pieces of Gemma's own model. A model with as many pieces or more must be PaliGemma's."""

MAX_PROMPT_BYTES = 4000
"""The longest prompt that a prompt tokenizer is trained on, in UTF-8. sentencepiece leaves out what is over 4192."""

_WHERE_TO_GET_IT = (
    "take gs://big_vision/paligemma_tokenizer.model, as published with PaliGemma (sha256 "
    f"{PALIGEMMA_SHA256}; under Gemma's terms of use)"
)

PAD, END, BEGIN, UNKNOWN = 0, 1, 2, 3
NUM_BINS = 256
ACTION_PREFIX = "Action: "
BAR = "|"

_BIN_EDGES = np.linspace(-1, 1, NUM_BINS + 1)[:-1]
_SPACE = "\u2581"
_CHARACTERS = string.ascii_lowercase + string.digits + "TSA" + _SPACE + "!\"#&'()*+,-./:;<=>?@[]_%$"
_SYMBOLS = ["Task:", f",{_SPACE}State:", ";\n", "\n", f"Action:{_SPACE}", BAR]


def clean_task(prompt: str) -> str:
    """Returns the task as it stands in the prompt: lower case, stripped, '_' replaced by ' '."""
    return prompt.lower().strip().replace("_", " ")


def state_bins(normalized_state: Real[np.ndarray, "S"]) -> Int64[np.ndarray, "S"]:
    """Returns the number of each value's bin among 256 equal bins of -1..1: -1 below -1, and 255 at 1 and above.

    Raises:
        ValueError: where a value is not finite.
    """
    state = np.asarray(normalized_state)
    if not np.all(np.isfinite(state)):
        raise ValueError(f"state must be finite, got {state.tolist()}; hold the robot until its joints are known")
    return np.asarray(np.digitize(state, _BIN_EDGES) - 1)


def prompt_text(prompt: str, normalized_state: Real[np.ndarray, "S"]) -> str:
    """Returns the text of the prompt that the model reads."""
    return f"Task: {clean_task(prompt)}, State: {' '.join(map(str, state_bins(normalized_state)))};\n"


class PromptTokenizer:
    """A sentencepiece model, and the number of prompt slots.

    Args:
        model_path: file of the sentencepiece model.
        max_len: L, the number of prompt slots.

    Raises:
        FileNotFoundError: where the model is missing; the text says which file to get.
        ValueError: where the file is no sentencepiece model, or its control ids are not PaliGemma's. A model that has
            the size of PaliGemma's but is another one is refused too, because the weights were not trained on its
            tokens.
    """

    def __init__(self, model_path: str | pathlib.Path, *, max_len: int) -> None:
        """Loads the sentencepiece model and checks it."""
        path = pathlib.Path(model_path)
        if not path.is_file():
            raise FileNotFoundError(
                f"prompt tokenizer must be a sentencepiece model file, got {path}, which is missing; "
                f"{_WHERE_TO_GET_IT}, or train a small one with train_prompt_tokenizer"
            )
        self.max_len = max_len
        self._content = path.read_bytes()
        self.model = sentencepiece.SentencePieceProcessor()
        try:
            self.model.LoadFromSerializedProto(self._content)
        except RuntimeError as error:
            raise ValueError(
                f"prompt tokenizer must be a sentencepiece model, got {path} of {len(self._content)} bytes, which is "
                f"none; {_WHERE_TO_GET_IT}"
            ) from error
        self._check(path)

    def _check(self, path: pathlib.Path) -> None:
        found = (self.model.pad_id(), self.model.eos_id(), self.model.bos_id(), self.model.unk_id())
        if found != (PAD, END, BEGIN, UNKNOWN):
            raise ValueError(
                f"ids of pad, eos, bos, unk must be 0, 1, 2, 3 as in PaliGemma, got {found} in {path}; "
                f"{_WHERE_TO_GET_IT}"
            )
        if self.vocab_size >= _GEMMA_VOCAB_SIZE:
            self.require_paligemma(path)

    def require_paligemma(self, source: str | pathlib.Path) -> None:
        """Refuses any model but PaliGemma's.

        Args:
            source: the file that the model was read from, for the error text.

        Raises:
            ValueError: where the file has another hash than PaliGemma's model.
        """
        found = hashlib.sha256(self._content).hexdigest()
        if found != PALIGEMMA_SHA256:
            raise ValueError(
                f"prompt tokenizer must be PaliGemma's, got {source} with {self.vocab_size} pieces and sha256 {found}; "
                f"{_WHERE_TO_GET_IT}"
            )

    @property
    def vocab_size(self) -> int:
        """The number of pieces."""
        return int(self.model.get_piece_size())

    def pieces(self, text: str) -> tuple[int, ...]:
        """Returns the ids of a text, without the begin and end tokens.

        Raises:
            ValueError: where the model has no piece for a part of the text, or the text is no Unicode.
        """
        _check_unicode(text)
        ids = tuple(self.model.encode(text))
        if UNKNOWN in ids:
            unknown = sorted({c for c in text if UNKNOWN in self.model.encode(c)})
            raise ValueError(f"text needs characters that the prompt tokenizer knows, got {unknown} in {quoted(text)}")
        return ids

    def encode(
        self, prompt: str, normalized_state: Real[np.ndarray, "S"]
    ) -> tuple[Int32[np.ndarray, "L"], Bool[np.ndarray, "L"]]:
        """Returns the tokens of a prompt with the state.

        Args:
            prompt: the task in words.
            normalized_state: the state, normalized by the policy's statistics.

        Returns:
            The tokens, padded with 0 on the right, and a mask that is true on the tokens before the padding.

        Raises:
            ValueError: where the tokens are more than L.
        """
        ids = (BEGIN, *self.pieces(prompt_text(prompt, normalized_state)))
        if len(ids) > self.max_len:
            raise ValueError(
                f"prompt must be at most {self.max_len} tokens, got {len(ids)} for {quoted(prompt)}; "
                "shorten it or raise model.max_token_len"
            )
        tokens = np.full(self.max_len, PAD, np.int32)
        tokens[: len(ids)] = ids
        return tokens, np.arange(self.max_len) < len(ids)

    def save(self, path: str | pathlib.Path) -> None:
        """Writes the sentencepiece model, byte for byte as it was read."""
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._content)


def train_prompt_tokenizer(prompts: Sequence[str], path: str | pathlib.Path, *, vocab_size: int = 384) -> None:
    """Trains a small sentencepiece model for prompts on the given tasks and writes it to `path`.

    Each state number with its blank is one piece, and so is each fixed part of the text. Words of the tasks are pieces
    as far as the vocabulary goes. Any other lower-case ASCII text is written letter by letter. The same arguments give
    the same model.

    Raises:
        ValueError: where `prompts` is empty, a prompt is longer than `MAX_PROMPT_BYTES`, or `vocab_size` does not hold
            numbers and characters.
    """
    if not prompts:
        raise ValueError("prompts must name at least one task, got none")
    symbols = [*_SYMBOLS, *(f"{_SPACE}{number}" for number in range(-1, NUM_BINS))]
    _check_prompts(prompts, num_symbols=len(symbols), vocab_size=vocab_size)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([f"Task: {clean_task(prompt)}, State: 0" for prompt in prompts]),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        user_defined_symbols=symbols,
        required_chars=_CHARACTERS,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        num_threads=1,
        pad_id=PAD,
        eos_id=END,
        bos_id=BEGIN,
        unk_id=UNKNOWN,
        minloglevel=2,
    )
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())


def _check_prompts(prompts: Sequence[str], *, num_symbols: int, vocab_size: int) -> None:
    """Refuses what sentencepiece cannot train on, or would leave out without a word."""
    for prompt in prompts:
        _check_unicode(prompt)
        size = len(clean_task(prompt).encode())
        if size > MAX_PROMPT_BYTES:
            raise ValueError(
                f"a prompt must be at most {MAX_PROMPT_BYTES} bytes to train a prompt tokenizer, got {size} for "
                f"{quoted(prompt)}; shorten it"
            )
    characters = {character for prompt in prompts for character in clean_task(prompt).replace(" ", _SPACE)}
    needed = 4 + num_symbols + len(characters | set(_CHARACTERS)) + 1
    if vocab_size < needed:
        others = len(characters - set(_CHARACTERS))
        raise ValueError(
            f"vocab_size must be at least {needed}, for the state numbers, the characters of plain text and {others} "
            f"other characters of the prompts, got {vocab_size}; raise pretrain.prompt_vocab_size, or write the "
            "prompts with fewer different characters"
        )


def _check_unicode(text: str) -> None:
    at = first_surrogate(text)
    if at is not None:
        raise ValueError(f"text must be Unicode, got {quoted(text)}, whose character {at} is none; write it in UTF-8")
