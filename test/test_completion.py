"""Tests what the shell completes, by the script that switches it on, and that it loads nothing that is slow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chunk_ppo_ros.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
BASH = """
eval "$(chunk_ppo completion bash)"
for line in "$@"; do
  COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9
  COMPREPLY=()
  _python_argcomplete chunk_ppo
  echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Returns variables by which a shell finds the program, for which every slow package is broken."""
    program = tmp_path / "bin" / "chunk_ppo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m chunk_ppo_ros "$@"\n')
    program.chmod(0o755)
    for name in ("jax", "mujoco", "rclpy"):
        module = tmp_path / "broken" / name / "__init__.py"
        module.parent.mkdir(parents=True)
        module.write_text("raise RuntimeError('it is slow')\n")
    return {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{tmp_path / 'broken'}{os.pathsep}{ROOT}",
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_flags_choices_sections_and_runs(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    expected = {
        "chunk_ppo tr": {"train", "train-classifier"},
        "chunk_ppo train --lear": {"--learning_rate", "--learning_rate_warmup_steps", "--learning_rate_decay_steps"},
        "chunk_ppo train --learning_rte 3 --simulator ": {"mujoco", "kinematic", "none"},
        "chunk_ppo train --no_w": {"--no_wandb "},
        "chunk_ppo train --no-w": {""},  # the other form of the same flag
        "chunk_ppo doctor --help pp": {"ppo "},
        "chunk_ppo store list m": {"mine "},
        "chunk_ppo train --resume --exp_name ": {"mine "},
        "chunk_ppo --tr": {"--traceback "},
        "chunk_ppo --traceback pretr": {"pretrain "},
        "chunk_ppo --traceback graph --rec": {"--record", "--recorded_rate", "--recompute_log_probs"},
        "chunk_ppo walk --f": {""},
    }
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", *expected],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = done.stdout.split("\n")[:-1]
    found = {line: set(printed.split(" ")) - {""} for line, printed in zip(expected, lines, strict=True)}
    assert found == {line: {word.strip() for word in words} - {""} for line, words in expected.items()}, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_of_a_shell_names_the_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_python_argcomplete chunk_ppo" in capsys.readouterr().out


def test_another_shell_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert "completion" in COMMANDS
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "fish"])
    assert "shell must be one of bash, zsh, got 'fish'" in capsys.readouterr().err
