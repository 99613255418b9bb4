"""Tests that a trainer that is killed between any two system calls loses nothing and trains on nothing twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.killed_trainer import NUM_REQUIRED, NUM_VERSIONS


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_trainer_that_is_killed_at_any_instant_ends_with_the_same_weights(tmp_path: Path, stride: int) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "support.killed_trainer", str(tmp_path / "run"), str(stride)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600.0, check=False)
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    whole = results[-1]  # the life that was not killed
    chunks = list(range(NUM_VERSIONS * NUM_REQUIRED))
    assert whole["trained"] == [chunks[at : at + NUM_REQUIRED] for at in chunks[::NUM_REQUIRED]]
    assert set(chunks) <= set(whole["settled"])
    assert len(results) > 80 // stride
    assert [(instant, result) for instant, result in enumerate(results) if result != whole] == [], done.stderr
