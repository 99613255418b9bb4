"""Tests the model against openpi's own numbers, which openpi computed on a CPU in float32: golden/set_a.

test/data has the set without its largest arrays, the logits. The slow test compares those of the whole set too, where
../shared has it.
"""

from __future__ import annotations

from pathlib import Path

import jax
import pytest

from chunk_ppo_ros.evaluation.parity.parity import available
from chunk_ppo_ros.evaluation.parity.parity_quantities import SETTINGS, list_quantities
from chunk_ppo_ros.evaluation.parity.parity_rows import Row, compare
from chunk_ppo_ros.evaluation.parity.parity_set import read_reference_set
from support import published

LOG_PROBS = ("token_logp", "decode_token_logp", "teacher_forced_logp")


def compute_rows(folder: Path) -> list[Row]:
    """Returns the comparisons of all numbers of a set, without leaving any out."""
    reference = read_reference_set(folder)
    with jax.default_matmul_precision("highest"):
        computed = [compare(quantity) for quantity in list_quantities(reference)]
    assert {row.name for row in computed} == available(reference) - set(SETTINGS)
    return computed


def exact(rows: list[Row], names: tuple[str, ...]) -> list[Row]:
    """Returns the rows in float32 whose names begin with one of `names`."""
    return [row for row in rows if row.name.startswith(names) and "bf16" not in row.name]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return compute_rows(published.set_a_folder())


def test_every_number_is_within_its_tolerance(rows: list[Row]) -> None:
    assert [str(row) for row in rows if not row.passed] == []


def test_log_probs_agree_within_1e_4(rows: list[Row]) -> None:
    """The bound holds for log-probs of any size.

    The measured difference is 3e-5, as between openpi compiled and not compiled.
    """
    chosen = exact(rows, LOG_PROBS)
    assert len(chosen) == 6
    assert max(row.difference for row in chosen) < 1e-4


def test_greedy_and_sampled_tokens_are_openpis(rows: list[Row]) -> None:
    chosen = [row for row in rows if "tokens" in row.name and "bf16" not in row.name]
    assert len(chosen) == 4
    assert all(row.remark.startswith("0 of ") for row in chosen)


@pytest.mark.slow
def test_the_whole_set_is_reproduced_with_logits_within_1e_4(shared_folder: Path) -> None:
    rows = compute_rows((shared_folder / "golden" / "set_a").resolve())
    assert [str(row) for row in rows if not row.passed] == []
    chosen = exact(rows, ("logits", "decode_logits", *LOG_PROBS))
    assert len(chosen) == 10
    assert max(row.difference for row in chosen) < 1e-4  # 7e-5 were measured
