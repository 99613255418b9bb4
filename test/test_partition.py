"""Tests trees in two parts, and which of the model's parameters are trained."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from chunk_ppo_ros.config import MODELS, PPOConfig
from chunk_ppo_ros.model.backbone.freezing import FrozenTowers
from chunk_ppo_ros.model.backbone.pi0_fast import Pi0FAST
from chunk_ppo_ros.rl.partition import Partition

TREE = {"actor": {"a": 1, "b": {"c": 2, "d": 3}}, "value": 4}


@pytest.mark.parametrize(
    ("trained", "chosen", "rest"),
    [
        (True, TREE, None),
        (False, None, TREE),
        ({"actor": False, "value": True}, {"actor": None, "value": 4}, {"actor": TREE["actor"], "value": None}),
        (
            {"actor": {"a": True, "b": {"c": False, "d": True}}, "value": False},
            {"actor": {"a": 1, "b": {"c": None, "d": 3}}, "value": None},
            {"actor": {"a": None, "b": {"c": 2, "d": None}}, "value": 4},
        ),
    ],
)
def test_two_parts_are_the_tree(trained: Any, chosen: Any, rest: Any) -> None:
    partition = Partition(trained)
    assert partition.split(TREE) == (chosen, rest)
    assert partition.join(chosen, rest) == TREE


def test_another_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="structure"):
        Partition({"actor": True}).split(TREE)


def names(tree: Any) -> set[str]:
    return {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(tree)}


def trained_names(*, lora_rank: int, freeze_image_tower: bool, freeze_text_tower: bool) -> tuple[set[str], set[str]]:
    """Returns the names of the trained leaves of a tiny actor, and of all leaves."""
    backbone = Pi0FAST.from_config(dataclasses.replace(MODELS["tiny"], lora_rank=lora_rank))
    shapes = jax.eval_shape(lambda: backbone.init(key=jax.random.key(0)))
    ppo = PPOConfig(freeze_image_tower=freeze_image_tower, freeze_text_tower=freeze_text_tower)
    trained = FrozenTowers.of(ppo).trained_leaves(shapes)
    return names(Partition(trained).split(shapes)[0]), names(shapes)


def towers(leaves: set[str]) -> tuple[set[str], set[str]]:
    """Returns the names of the image tower and of the decoder."""
    return {name for name in leaves if "/img/" in name}, {name for name in leaves if "/llm/" in name}


@pytest.mark.parametrize("freeze_image_tower", [False, True])
@pytest.mark.parametrize("freeze_text_tower", [False, True])
def test_without_adapters_towers_are_trained_as_a_whole(freeze_image_tower: bool, freeze_text_tower: bool) -> None:
    trained, leaves = trained_names(
        lora_rank=0, freeze_image_tower=freeze_image_tower, freeze_text_tower=freeze_text_tower
    )
    image, text = towers(leaves)
    assert trained == (set() if freeze_image_tower else image) | (set() if freeze_text_tower else text)


@pytest.mark.parametrize("freeze_image_tower", [False, True])
@pytest.mark.parametrize("freeze_text_tower", [False, True])
def test_with_adapters_the_decoder_learns_by_them_alone(freeze_image_tower: bool, freeze_text_tower: bool) -> None:
    trained, leaves = trained_names(
        lora_rank=2, freeze_image_tower=freeze_image_tower, freeze_text_tower=freeze_text_tower
    )
    image, text = towers(leaves)
    adapters = {name for name in text if name.endswith(("lora_a", "lora_b"))}
    assert adapters and adapters < text
    assert trained == (set() if freeze_image_tower else image) | (set() if freeze_text_tower else adapters)


def test_the_gradient_reaches_the_image_tower_through_a_frozen_decoder() -> None:
    # The function is f(img, llm) = llm * img with the decoder frozen, so df/dimg = llm = 3.
    partition = Partition({"img": True, "llm": False})
    trained, frozen = partition.split({"img": np.float32(2.0), "llm": np.float32(3.0)})

    def product(trained: Any) -> Any:
        tree = partition.join(trained, frozen)
        return tree["img"] * tree["llm"]

    assert jax.grad(product)(trained) == {"img": 3.0, "llm": None}
