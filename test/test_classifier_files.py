"""Tests which files of a success classifier are refused, and that the sentence names the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from chunk_ppo_ros.imitation.success_classifier import ClassifierError, SuccessClassifier, init


def write(file: Path, *, metadata: dict[str, Any], leaf: Any = None) -> Path:
    """Writes a classifier with changed metadata, and with one array changed by `leaf`."""
    SuccessClassifier(init(1, key=jax.random.key(0)), ("cam_high",), 0.5, 0.9).save(file)
    arrays = dict(np.load(file))
    arrays["metadata"] = np.array(json.dumps({**json.loads(str(arrays["metadata"])), **metadata}))
    if leaf is not None:
        arrays["params/Dense_0/bias"] = leaf(arrays["params/Dense_0/bias"])
    np.savez(file, **arrays)
    return file


def test_a_whole_file_loads(tmp_path: Path) -> None:
    assert SuccessClassifier.load(write(tmp_path / "c.npz", metadata={})).cameras == ("cam_high",)


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"cameras": None}, "must name its cameras, got None"),
        ({"cameras": "cam_high"}, "must name its cameras, got 'cam_high'"),
        ({"cameras": []}, r"must name its cameras, got \[\]"),
        (
            {"cameras": ["cam_high", "cam_low"]},
            r"params/Conv_0/kernel of .* must be \(3, 3, 6, 16\), got",
        ),
        ({"threshold": float("nan")}, "threshold of .* must be within 0..1, got nan"),
        ({"threshold": "0.5"}, "threshold of .* must be within 0..1, got '0.5'"),
        ({"held_out_accuracy": 2}, "held_out_accuracy of .* must be within 0..1, got 2"),
    ],
)
def test_wrong_metadata_is_refused(tmp_path: Path, metadata: dict[str, Any], text: str) -> None:
    with pytest.raises(ClassifierError, match=text):
        SuccessClassifier.load(write(tmp_path / "c.npz", metadata=metadata))


@pytest.mark.parametrize("leaf", [lambda a: a * np.nan, lambda a: a[1:], lambda a: np.array(["a"] * 64)])
def test_wrong_weights_are_refused_by_name(tmp_path: Path, leaf: Any) -> None:
    with pytest.raises(ClassifierError, match=r"params/Dense_0/bias of .*c.npz must (be|hold)"):
        SuccessClassifier.load(write(tmp_path / "c.npz", metadata={}, leaf=leaf))
