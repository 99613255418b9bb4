"""Imitation as a command: what it refuses before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunk_ppo_ros import pretrain
from chunk_ppo_ros.config import PRESETS
from chunk_ppo_ros.errors import CheckpointError


def test_a_taken_folder_is_refused_before_anything_is_demonstrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain, "collect_demonstrations", lambda *_, **__: pytest.fail("it has begun"))
    with pytest.raises(CheckpointError, match="must not exist yet"):
        pretrain.pretrain(PRESETS["debug"], tmp_path)
