"""Tests that the worked example runs, and that it notices when the package disagrees with the numbers by hand."""

from __future__ import annotations

import importlib.util

import jax.numpy as jnp
import pytest


@pytest.fixture
def example(repository):
    spec = importlib.util.spec_from_file_location("chunk_ppo_by_hand", repository / "examples" / "chunk_ppo_by_hand.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_prints_its_numbers(example, capsys):
    example.main()
    printed = capsys.readouterr().out
    for line in (
        "[package] log pi(chunk) = -2.7726",
        "[package] ratio = 1.5000",
        "[package] advantages = 0.3750, 1.5000, -2.0000",
        "[package] returns = 1.3750, 3.5000, 4.0000",
        "[package] advantages = 0.6250, 2.5000, 2.0000",
        "[package] loss = -0.4500",  # -1.2 * 3/8
        "[package] loss = 3.0000",  # 1.5 * 2
        "All numbers by hand agree",
    ):
        assert line in printed


def test_a_disagreement_is_an_error(example, monkeypatch):
    monkeypatch.setattr(example.ratios, "limited_exp", lambda log_ratio, **_: jnp.exp(2 * log_ratio))
    with pytest.raises(AssertionError, match="ratio"):
        example.main()
