"""Tests what is said of a checkpoint's folder, in words and as JSON."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from chunk_ppo_ros.agent.checkpoint_description import describe_checkpoint
from chunk_ppo_ros.core.errors import CheckpointError, MissingCheckpoint
from support.small_policy import MODEL, configure, make_tokenizer, rewrite_json, save_openpi, save_own


def test_an_own_checkpoint_is_described(tmp_path: Path) -> None:
    path = save_own(tmp_path / "run", config=configure(tmp_path, run={"prompt": "stack the cups"}), step=7)
    description = describe_checkpoint(path)
    text = str(description)
    first, *lines = text.splitlines()
    assert first == (
        f"{path}: a checkpoint of the run other, version 7, after 0 control steps; the run started from fresh weights"
    )
    assert lines[0].startswith("  actor_backbone: ") and lines[0].endswith(" arrays of float32")
    assert lines[1].startswith("  value_head: ")
    assert "  value head: of observations" in lines
    assert "paligemma_variant tiny, action_dim 14, action_horizon 4, image_size 32" in text
    assert "env.task reach" in text and "run.prompt stack the cups" in text and "env.simulator kinematic" in text
    assert "model.temperature 1.0" in text and "recordings.channel_order rgb" in text
    assert f"  norm_stats: {path / 'assets'}: state of 14 dimensions, q01 from -0.9" in text
    pieces, tokens = make_tokenizer().prompt.vocab_size, make_tokenizer().fast.vocab_size
    assert f"  tokenizers: prompt of {pieces} pieces; FAST of {tokens} tokens, scale 3" in lines
    assert lines[-3:-1] == ["  made in these stages:", "    1. fresh: fresh weights"]
    assert lines[-1].startswith("    2. training: chunk PPO on task reach, simulator kinematic, run other, 7 updates")
    read = json.loads(description.to_json())
    assert read["settings"]["env.task"] == "reach"
    assert [stage["kind"] for stage in read["stages"]["stages"]] == ["fresh", "training"]


def test_a_value_head_over_chunks_and_adapters_are_named(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, chunk_value="pooled", lora_rank=2)
    text = str(describe_checkpoint(save_own(tmp_path / "run", model)))
    assert "value head: of observations and of action chunks" in text
    assert "it has low-rank adapters" in text


def test_a_checkpoint_of_another_program_is_described_as_far_as_it_goes(tmp_path: Path) -> None:
    path = save_openpi(tmp_path / "openpi")
    shutil.rmtree(path / "assets" / "trossen" / "fast")
    text = str(describe_checkpoint(path / "params"))
    assert text.startswith(f"{path}: a checkpoint in openpi's layout, without settings of this package\n")
    for line in (
        "  value head: none; it starts fresh",
        "  model: its settings are not known",
        "  tokenizers: none; name their folder by --tokenizer_dir",
        f"    1. foreign: weights whose making is not known ({path})",
    ):
        assert line in text.splitlines()


def test_what_is_damaged_is_said_where_the_rest_can_be_described(tmp_path: Path) -> None:
    path = save_openpi(tmp_path / "openpi")
    (path / "assets" / "trossen" / "prompt.model").write_bytes(b"damaged")
    assert "  tokenizers: cannot be used: " in str(describe_checkpoint(path))
    (path / "assets" / "trossen" / "norm_stats.json").write_text("{")
    text = str(describe_checkpoint(path))
    assert "  norm_stats: cannot be used: " in text
    assert "  tokenizers: not looked for, because norm_stats cannot be used" in text
    own = save_own(tmp_path / "run")
    rewrite_json(own / "metadata.json", lambda content: content["settings"]["env"].update(gravity=1.6))
    assert "  settings of another release, not read: env.gravity" in str(describe_checkpoint(own))


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingCheckpoint, match="must be a folder"):
        describe_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="must have a folder params, got: an empty folder"):
        describe_checkpoint(tmp_path)
