"""Tests the sizes of the towers: what a setting may say, and what it changes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from chunk_ppo_ros.config import TINY_MODEL, Pi0FASTActorCriticConfig, PPOConfig, TrainConfig, from_dict
from chunk_ppo_ros.config.entries.model_size import NAMES, GemmaSize, ModelSize, SigLIPSize, parse_settings
from chunk_ppo_ros.core.errors import SettingError
from chunk_ppo_ros.model.backbone.variants import resolve_variant

SIZE = ModelSize(
    siglip=SigLIPSize(width=8, depth=2, mlp_dim=16, num_heads=4),
    gemma=GemmaSize(width=16, depth=3, mlp_dim=24, num_heads=4, head_dim=6),
)


def test_a_setting_changes_one_size() -> None:
    changed = SIZE.changed(("gemma.depth=1", "siglip.num_heads=2"))
    assert changed.gemma == dataclasses.replace(SIZE.gemma, depth=1)
    assert changed.siglip == dataclasses.replace(SIZE.siglip, num_heads=2)
    assert SIZE.changed(()) == SIZE


@pytest.mark.parametrize(
    ("name", "rank", "remat", "in_blocks", "heads"),
    [
        ("gemma_2b", 0, True, False, (16, 8, 1, 256)),
        ("gemma_2b_lora", 16, True, False, (16, 8, 1, 256)),
        ("tiny", 0, False, True, (4, 4, 1, 24)),
    ],
)
def test_a_variant_says_how_its_towers_compute(
    name: str, rank: int, remat: bool, in_blocks: bool, heads: tuple[int, ...]
) -> None:
    """Only large towers recompute activations, and only the small decoder attends in blocks."""
    towers = resolve_variant(Pi0FASTActorCriticConfig(paligemma_variant=name))
    siglip, gemma = towers.siglip, towers.gemma
    assert (siglip.remat, gemma.remat, gemma.attend_in_blocks, gemma.lora_rank) == (remat, remat, in_blocks, rank)
    assert (siglip.num_heads, gemma.num_heads, gemma.num_kv_heads, gemma.head_dim) == heads
    adapted = resolve_variant(Pi0FASTActorCriticConfig(paligemma_variant=name, lora_rank=3, lora_alpha=6.0)).gemma
    assert (adapted.lora_rank, adapted.lora_alpha, adapted.lora_scale) == (3, 6.0, 2.0)
    assert gemma.lora_scale == (16.0 / rank if rank else 0.0)  # openpi's alpha
    # A loop of few blocks is unrolled as a whole, and a loop of many blocks is not unrolled.
    assert (siglip.unroll, gemma.unroll) == ((1, 3) if name == "tiny" else (1, 1))


def test_settings_that_name_all_sizes_are_the_size() -> None:
    assert len(SIZE.settings) == len(NAMES) == 10
    other = ModelSize(SigLIPSize(1, 1, 1, 1), GemmaSize(1, 1, 1, 1, 2))
    assert other.changed(SIZE.settings) == SIZE


def test_a_size_is_read_from_numbers_with_others_beside_them() -> None:
    siglip = dataclasses.asdict(SIZE.siglip) | {"patch_size": [14, 14]}
    gemma = dataclasses.asdict(SIZE.gemma) | {"vocab_size": 512}
    assert ModelSize.from_numbers(siglip=siglip, gemma=gemma) == SIZE
    with pytest.raises(KeyError, match="num_kv_heads"):
        ModelSize.from_numbers(
            siglip=siglip, gemma={"width": 16, "depth": 3, "mlp_dim": 24, "num_heads": 4, "head_dim": 6}
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("gemma.deph=4",), r"must name one of gemma.depth, .*got 'gemma.deph=4'; write gemma.depth=4"),
        (("depth",), r"must name one of .*got 'depth'"),
        (("gemma.depth",), r"must give gemma.depth a whole number of at least 1, got 'gemma.depth'"),
        (("gemma.depth=0",), r"at least 1, got 'gemma.depth=0'"),
        (("gemma.depth=-1",), r"at least 1, got 'gemma.depth=-1'"),
        (("gemma.depth=2.5",), r"at least 1, got 'gemma.depth=2.5'"),
        (("gemma.depth=2", "gemma.depth=2"), r"must give gemma.depth once"),
    ],
)
def test_a_wrong_setting_is_refused_when_the_configuration_is_made(settings: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_settings(settings)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY_MODEL, tower_sizes=settings)


def test_sizes_that_do_not_fit_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"SigLIP width must be a multiple of num_heads \(3\), got 8"):
        SIZE.changed(("siglip.num_heads=3",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("gemma.head_dim=7",), "Gemma head_dim must be even, got 7; RoPE turns pairs"),
        (("gemma.num_kv_heads=3",), r"Gemma num_heads must be a multiple of num_kv_heads \(3\), got 4"),
    ],
)
def test_heads_that_do_not_fit_each_other_are_refused(settings: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SIZE.changed(settings)
    with pytest.raises(SettingError, match=f"^model.tower_sizes cannot be used: {message}"):  # One line for the user.
        resolve_variant(dataclasses.replace(TINY_MODEL, tower_sizes=settings))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value_bins": 2, "value_max": -10.0}, r"value_max must be above model.value_min \(-10.0\), got -10.0"),
        (
            {"chunk_value": "pooled", "max_value_steps": 15},
            r"at least model.action_horizon \(16\) .*, got 15; raise it",
        ),
        ({"max_action_tokens": 60}, r"max_action_tokens must be less than model.max_token_len \(60\), got 60"),
        ({"patch_size": 30}, r"image_size must be a multiple of model.patch_size \(30\), got 64"),
    ],
)
def test_a_model_whose_settings_contradict_each_other_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY_MODEL, **changes)


def test_settings_that_only_just_fit_are_taken() -> None:
    model = dataclasses.replace(
        TINY_MODEL, value_bins=1, value_max=-10.0, chunk_value="pooled", max_value_steps=16, max_action_tokens=59
    )
    assert model.max_prompt_len == 1
    assert dataclasses.replace(TINY_MODEL, max_value_steps=15).chunk_value == "none"


def test_a_value_of_chunks_needs_a_model_that_has_one() -> None:
    with pytest.raises(ValueError, match=r"gae_value must be observation where model.chunk_value is none, got chunk"):
        TrainConfig(ppo=PPOConfig(gae_value="chunk"))
    model = dataclasses.replace(TINY_MODEL, chunk_value="pooled")
    assert TrainConfig(model=model, ppo=PPOConfig(gae_value="chunk")).ppo.gae_value == "chunk"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pop": {}}, "unknown configuration key 'pop'; did you mean one of ppo"),
        ({"ppo": {"gama": 0.5}}, "unknown configuration key 'ppo.gama'; did you mean one of gamma"),
        ({"ppo": 3}, "ppo must be a section of settings, got 3"),
    ],
)
def test_sections_that_nobody_knows_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_dict(TrainConfig, values)
