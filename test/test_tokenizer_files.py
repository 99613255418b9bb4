"""Tests which files of FAST and which prompts are refused, and that no command ends in a traceback with them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chunk_ppo_ros import __main__
from chunk_ppo_ros.agent.run_start.tokenizer_fitting import fit
from chunk_ppo_ros.core.errors import CheckpointError, SettingError
from chunk_ppo_ros.model.tokenization.assets import PolicyAssets
from chunk_ppo_ros.model.tokenization.prompt_tokenizer import (
    MAX_PROMPT_BYTES,
    PromptTokenizer,
    prompt_text,
    train_prompt_tokenizer,
)
from support.small_policy import MODEL, configure, make_tokenizer

SOME_STATE = np.zeros(14, np.float32)


def write(folder: Path, **change: Any) -> Path:
    """Writes the small policy's assets with changed numbers of FAST, and returns the changed file."""
    make_tokenizer().save(folder)
    file = folder / "fast" / "processor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    return file


@pytest.mark.parametrize("scale", ["10", 0, 0.0, -3.0, None, True, [3.0], float("nan"), float("inf"), 1e300])
def test_a_scale_with_which_nothing_can_be_decoded_is_refused(tmp_path: Path, scale: Any) -> None:
    file = write(tmp_path, scale=scale)
    with pytest.raises(
        CheckpointError, match=f"scale in {file} must be a number above 0 and at most 100000"
    ) as refused:
        PolicyAssets.find(tmp_path).load_tokenizer(MODEL)
    assert f"got {scale!r}" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("min_token", ["-5", None, False, 0.5, float("nan"), float("-inf"), -(2**40), {}])
def test_a_min_token_that_is_no_coefficient_is_refused(tmp_path: Path, min_token: Any) -> None:
    file = write(tmp_path, min_token=min_token)
    with pytest.raises(CheckpointError, match=f"min_token in {file} must be a whole number within"):
        PolicyAssets.find(tmp_path).load_tokenizer(MODEL)


def test_numbers_as_other_programs_write_them_are_taken(tmp_path: Path) -> None:
    write(tmp_path, scale=3, min_token=float(make_tokenizer().fast.min_token))
    fast = PolicyAssets.find(tmp_path).load_tokenizer(MODEL).fast
    assert (fast.scale, fast.min_token) == (3, make_tokenizer().fast.min_token)


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "[" * 100_000])
@pytest.mark.parametrize("name", ["processor_config.json", "tokenizer.json"])
def test_a_file_of_fast_that_is_none_is_named(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path)
    (tmp_path / "fast" / name).write_text(content)
    with pytest.raises(CheckpointError, match=f"in? ?{tmp_path}/fast/{name} |{tmp_path}/fast/{name} cannot be read"):
        PolicyAssets.find(tmp_path).load_tokenizer(MODEL)


def test_a_bpe_without_tokens_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / "fast" / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"] |= {"vocab": {}, "merges": []}
    file.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=f"{file} must have tokens, got none"):
        PolicyAssets.find(tmp_path).load_tokenizer(MODEL)


def test_a_prompt_that_is_too_long_is_refused_and_one_at_the_limit_is_trained_on(tmp_path: Path) -> None:
    """sentencepiece says nothing of a prompt that it leaves out, and fails where nothing else is left."""
    for prompts in (["a" * (MAX_PROMPT_BYTES + 1)], ["reach", "put the cup " * 400]):
        with pytest.raises(ValueError, match=f"a prompt must be at most {MAX_PROMPT_BYTES} bytes .*got 4[0-9]+ for '"):
            train_prompt_tokenizer(prompts, tmp_path / "prompt.model")
    train_prompt_tokenizer(["é" * (MAX_PROMPT_BYTES // 2)], tmp_path / "prompt.model")
    tokenizer = PromptTokenizer(tmp_path / "prompt.model", max_len=MAX_PROMPT_BYTES)
    assert tokenizer.pieces("é")


def test_too_many_different_characters_are_refused_with_the_number_that_is_needed(tmp_path: Path) -> None:
    prompt = "".join(chr(0x4E00 + index) for index in range(150))
    with pytest.raises(ValueError, match=r"vocab_size must be at least (\d+), .* and 150 other characters") as refused:
        train_prompt_tokenizer([prompt], tmp_path / "prompt.model")
    needed = int(str(refused.value).split("at least ")[1].split(",")[0])
    with pytest.raises(ValueError, match=f"vocab_size must be at least {needed}"):
        train_prompt_tokenizer([prompt], tmp_path / "prompt.model", vocab_size=needed - 1)
    train_prompt_tokenizer([prompt], tmp_path / "prompt.model", vocab_size=needed)
    tokenizer = PromptTokenizer(tmp_path / "prompt.model", max_len=400)
    text = prompt_text(prompt, SOME_STATE)
    assert tokenizer.model.decode(list(tokenizer.pieces(text))) == text


def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    """Python reads a byte of the command line that is no UTF-8 as half of a pair."""
    with pytest.raises(ValueError, match=r"text must be Unicode, got 'cup \\udcff', whose character 4 is none"):
        train_prompt_tokenizer(["cup \udcff"], tmp_path / "prompt.model")
    with pytest.raises(ValueError, match=r"text must be Unicode, got .*udcff"):
        make_tokenizer().prompt.encode("cup \udcff", SOME_STATE)
    with pytest.raises(SettingError, match=r"cannot be used: text must be Unicode"):
        make_tokenizer().check_prompt("cup \udcff")


@pytest.mark.parametrize("prompt", ["a" * 5000, "".join(map(chr, range(0x4E00, 0x4E96)))])
def test_a_command_says_it_in_one_line(tmp_path: Path, prompt: str, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new"
    places = ["--checkpoint_root", str(new / "c"), "--simulator", "kinematic"]
    assert __main__.main(["pretrain", "--prompt", prompt, "--num_demonstrations", "2", *places]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("chunk_ppo pretrain: no tokenizers can be fitted: ")
    assert not new.exists() or not [file for file in new.rglob("*") if file.is_file()]


class Chunks:
    """Some chunks that tokenizers are fitted to."""

    state = np.random.default_rng(0).uniform(-1, 1, (8, 14)).astype(np.float32)
    actions = np.random.default_rng(1).uniform(-1, 1, (8, 4, 14)).astype(np.float32)
    prompts = ("reach",)


def test_settings_that_allow_no_tokenizer_are_an_error_of_the_settings(tmp_path: Path) -> None:
    config = configure(tmp_path, vocab_size=600)
    assert fit(Chunks(), config).fast.vocab_size <= 128
    coarse = dataclasses.replace(config, pretrain=dataclasses.replace(config.pretrain, fast_scale=1000.0))
    with pytest.raises(SettingError, match="no tokenizers can be fitted: vocab_size must be at least"):
        fit(Chunks(), coarse)
