"""Tests norm_stats in two passes against those in one, and how much memory they take."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from chunk_ppo_ros.config import MODELS
from chunk_ppo_ros.data.episode import Episode, to_chunks
from chunk_ppo_ros.imitation.norm_stats import norm_stats_of
from chunk_ppo_ros.model.tokenization.aloha_transforms import AlohaTransforms
from chunk_ppo_ros.model.tokenization.normalization import compute_norm_stats
from chunk_ppo_ros.model.tokenization.streamed_statistics import streamed_norm_stats

MEGABYTE = 1e6


def compare(states: np.ndarray, actions: np.ndarray, num_blocks: int) -> None:
    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return zip(np.array_split(states, num_blocks), np.array_split(actions, num_blocks), strict=True)

    found, expected = streamed_norm_stats(blocks), compute_norm_stats(states, actions)
    for part in ("state", "actions"):
        for name in ("q01", "q99"):
            np.testing.assert_array_equal(getattr(getattr(found, part), name), getattr(getattr(expected, part), name))
        for name in ("mean", "std"):
            np.testing.assert_allclose(
                getattr(getattr(found, part), name), getattr(getattr(expected, part), name), rtol=1e-9, atol=1e-9
            )


@pytest.mark.parametrize("num_chunks", [1, 2, 3, 100, 101, 250])
def test_quantiles_are_the_same_numbers(num_chunks: int) -> None:
    random = np.random.default_rng(num_chunks)
    states = random.normal(size=(num_chunks, 3)).astype(np.float32)
    actions = random.normal(size=(num_chunks, 4, 5)).astype(np.float32)
    actions[..., 0] = 0.25  # constant
    actions[..., 1] = np.round(actions[..., 1])  # many equal numbers, with -0 among them
    actions[..., 2] *= 1e-30
    actions[..., 3] -= 1e4
    compare(states, actions, min(num_chunks, 7))


def test_nothing_and_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="got no chunk"):
        streamed_norm_stats(lambda: [])
    with pytest.raises(ValueError, match="must be finite"):
        streamed_norm_stats(lambda: [(np.zeros((1, 2), np.float32), np.full((1, 1, 2), np.nan, np.float32))])


def test_the_chunks_of_a_long_episode_are_not_held() -> None:
    """The chunks of 24,000 steps take 67 MB in float32. They were held three times, and twice in float64."""
    random = np.random.default_rng(0)
    values = random.uniform(-1, 1, (24_000, 14)).astype(np.float32)
    episode = Episode("long", values, values, 50.0)
    model = dataclasses.replace(MODELS["tiny"], action_dim=14, action_horizon=50, adapt_to_pi=True)
    tracemalloc.start()
    found = norm_stats_of([episode], model, stride=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * MEGABYTE
    starts, chunks = to_chunks(episode, 50)
    transforms = AlohaTransforms.from_config(model)
    expected = compute_norm_stats(transforms.encode_state(starts), transforms.encode_actions(chunks, starts))
    np.testing.assert_array_equal(found.actions.q01, expected.actions.q01)
    np.testing.assert_array_equal(found.actions.q99, expected.actions.q99)
    print(f"{peak / MEGABYTE:.0f} MB")
